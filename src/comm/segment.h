/* Memory that processes of one machine share.
 *
 * A segment is an anonymous file in memory (memfd), opened by peers through /proc/PID/fd. Nothing has a
 * name that a killed job could leave behind, and the size of /dev/shm, tiny in containers, is no limit.
 * Its pages are reserved when it is made: too little memory is an error then, never a SIGBUS later. */
#ifndef KPAR_COMM_SEGMENT_H
#define KPAR_COMM_SEGMENT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct kpar_segment {
    void *base; /* NULL: none */
    size_t bytes;
    int file; /* -1: closed, or private memory */
} kpar_segment;

/* What a peer needs to open a segment; plain data, to be sent. */
typedef struct kpar_segment_name {
    long process;
    int file;
    size_t bytes;
} kpar_segment_name;

/* KPAR_ENOMEM if the machine, or the control group, has less than `bytes` left for the segments of `ranks`
 * ranks: it would not refuse to reserve them, but kill. */
kpar_status kpar_segment_check_room(size_t bytes, int ranks) KPAR_MUST_USE;

/* Zeroed memory of at least `bytes`; `shared`: that others can open while the file is. KPAR_ENOMEM,
 * KPAR_ECOMM. */
kpar_status kpar_segment_create(kpar_segment *segment, size_t bytes, bool shared) KPAR_MUST_USE;
kpar_segment_name kpar_segment_name_of(const kpar_segment *segment);
kpar_status kpar_segment_open(kpar_segment *segment, const kpar_segment_name *name) KPAR_MUST_USE;

/* Once all peers have it open, the file is not needed: the memory lives as long as anyone's mapping. */
void kpar_segment_close_file(kpar_segment *segment);
void kpar_segment_destroy(kpar_segment *segment);

#endif
