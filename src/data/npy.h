/* NumPy's .npy format: a header that is a Python dictionary, then the elements. Versions 1 to 3. */
#ifndef KPAR_DATA_NPY_H
#define KPAR_DATA_NPY_H

#include "tensor/array.h"

enum { KPAR_NPY_LONGEST_HEADER = 1 << 16 };

/* An array in a .npy or .npz file. Read correctly: bool, (u)int8..64, float16/32/64, big-endian, Fortran
 * order, unaligned. */
typedef struct kpar_npy {
    kpar_array array; /* type and shape; no data */
    bool swapped;     /* bytes are in the other order than this machine's */
    bool fortran;     /* the first dimension varies fastest */
    size_t header_bytes;
    const unsigned char *elements; /* borrowed; any alignment */
} kpar_npy;

/* Reads the header at the start of `head`, of which `head_bytes` are there, of a file of `file_bytes`.
 * KPAR_EFORMAT when it is damaged or its shape and the size of the file do not agree, KPAR_EUNSUPPORTED for
 * other types. `label` begins messages. `elements` is left NULL. */
kpar_status kpar_npy_parse(const char *label, const unsigned char *head, size_t head_bytes, size_t file_bytes,
                           kpar_npy *npy) KPAR_MUST_USE;

/* Copies of row `row` the part `slice` (its dimension 0 is ignored), converted to `dtype`. Nothing is
 * checked. */
void kpar_npy_read_row(const kpar_npy *npy, int64_t row, const kpar_slice *slice, kpar_dtype dtype,
                       void *values);

/* Writes an array as version 1.0; an old file stays until the new one is whole. bfloat16 is
 * KPAR_EUNSUPPORTED. */
kpar_status kpar_npy_write(const char *path, const kpar_array *array) KPAR_MUST_USE;

/* NumPy's name of a type without its byte order, "f4"; NULL where it has none. */
const char *kpar_npy_type_name(kpar_dtype dtype);

#endif
