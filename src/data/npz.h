/* Zip archives read through a memory map: stored members in place, deflated ones unpacked when first asked
 * for. PKWARE, "APPNOTE.TXT - .ZIP File Format Specification" 6.3, with its zip64 records. */
#ifndef KPAR_DATA_NPZ_H
#define KPAR_DATA_NPZ_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct kpar_npz kpar_npz;

/* Maps `path` and reads its directory. KPAR_EFORMAT when it is no zip file, is truncated, or declares more
 * than it can hold: members that overlap, or that deflate could not have made so small. */
kpar_status kpar_npz_open(const char *path, kpar_npz **archive) KPAR_MUST_USE;
void kpar_npz_close(kpar_npz *archive);

int kpar_npz_count(const kpar_npz *archive);
const char *kpar_npz_name(const kpar_npz *archive, int member);
/* The last member of that name, -1 where there is none. */
int kpar_npz_find(const kpar_npz *archive, const char *name);
/* Bytes of the member once unpacked, as declared. */
size_t kpar_npz_size(const kpar_npz *archive, int member);

/* The first min(capacity, size) bytes of a member into `head`, without unpacking the rest. */
kpar_status kpar_npz_peek(kpar_npz *archive, int member, unsigned char *head, size_t capacity,
                          size_t *length) KPAR_MUST_USE;

/* All bytes of a member; borrowed until the archive is closed. KPAR_ENOMEM when they would not fit into the
 * machine's memory, KPAR_EFORMAT when size or checksum are not as declared. */
kpar_status kpar_npz_bytes(kpar_npz *archive, int member, const unsigned char **bytes) KPAR_MUST_USE;

#endif
