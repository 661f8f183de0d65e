/* Structs that grow: what the caller has not is the default, what the library has not must be zero. */
#include "api/versioned.h"

#include <string.h>

/* More than any struct will have: a size beyond it was never set. */
enum { MOST_BYTES = 4096 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void kpar_versioned_init(const kpar_versioned *kind, void *given, size_t bytes)
{
    memset(given, 0, bytes);
    memcpy(given, kind->defaults, smaller(bytes, kind->bytes));
    memcpy(given, &bytes, sizeof bytes);
}

static kpar_status check_rest(const kpar_versioned *kind, const unsigned char *given, size_t bytes)
{
    for (size_t i = kind->bytes; i < bytes; i++)
        if (given[i])
            return kpar_fail(KPAR_EUSAGE,
                             "%s: a member beyond byte %zu is set, which this library does not know; "
                             "link the library that the header came with",
                             kind->name, kind->bytes);
    return KPAR_OK;
}

kpar_status kpar_versioned_take(const kpar_versioned *kind, const void *given, void *own)
{
    size_t bytes;
    memcpy(own, kind->defaults, kind->bytes);
    if (!given) return KPAR_OK;
    memcpy(&bytes, given, sizeof bytes);
    if (bytes < sizeof bytes || bytes > MOST_BYTES)
        return kpar_fail(KPAR_EUSAGE, "%s: struct_bytes is %zu; call %s_init on it first", kind->name, bytes,
                         kind->name);
    KPAR_TRY(check_rest(kind, given, bytes));
    memcpy(own, given, smaller(bytes, kind->bytes));
    return KPAR_OK;
}
