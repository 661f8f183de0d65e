/* Option structs of the public API, which may grow at their end: the first member, a size_t, says how many bytes the
 * caller's header knew of. */
#ifndef KPAR_API_VERSIONED_H
#define KPAR_API_VERSIONED_H

#include "base/status.h"

#include <stddef.h>

/* One kind of struct, as this library knows it. */
typedef struct kpar_versioned {
    const char *name;     /* of the type */
    const void *defaults; /* a whole struct; its size member is not looked at */
    size_t bytes;
} kpar_versioned;

/* Fills the caller's struct of `bytes` bytes with the defaults of the members that it has. */
void kpar_versioned_init(const kpar_versioned *kind, void *given, size_t bytes);

/* Copies the caller's struct over the defaults into `own`. NULL gives the defaults. KPAR_EUSAGE where it was not
 * initialized, or sets a member that this library does not know. */
kpar_status kpar_versioned_take(const kpar_versioned *kind, const void *given, void *own) KPAR_MUST_USE;

#endif
