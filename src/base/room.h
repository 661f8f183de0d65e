/* What memory this process has taken, and how much more it and its machine allow. From /proc and the control groups. */
#ifndef KPAR_BASE_ROOM_H
#define KPAR_BASE_ROOM_H

#include <stddef.h>

/* Bytes that can be had, and by what they are bounded. */
typedef struct kpar_room {
    size_t bytes;      /* SIZE_MAX: not bounded */
    const char *limit; /* words for messages, a literal */
} kpar_room;

/* What this process may still take by its own limits: RLIMIT_DATA and RLIMIT_AS less what it has. */
kpar_room kpar_room_process(void);

/* What all processes of this machine, or of this process's control group (a container, a batch job), may take together,
 * without swapping; memory that only caches files counts as free. */
kpar_room kpar_room_machine(void);

/* Of that, what control groups of either version leave: `groups` lists those of a process, like /proc/self/cgroup, and their
 * files are below `root`. */
kpar_room kpar_room_groups(const char *groups, const char *root);

/* The most memory of its own that this process had at a time: without files mapped (programs, data) and without memory
 * shared with others. 0 where the system does not say. */
size_t kpar_room_peak(void);

#endif
