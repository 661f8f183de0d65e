/* Host arrays: a data type, a shape, row-major bytes. */
#ifndef KPAR_TENSOR_ARRAY_H
#define KPAR_TENSOR_ARRAY_H

#include "tensor/dtype.h"

#define KPAR_MAX_RANK 8

typedef struct kpar_array {
    kpar_dtype dtype;
    int rank;
    int64_t dims[KPAR_MAX_RANK];
    void *data; /* owned; NULL until allocated */
} kpar_array;

/* Product of dims[0..rank); 1 for a scalar. */
int64_t kpar_count(int rank, const int64_t *dims);

static inline int64_t kpar_array_count(const kpar_array *array)
{
    return kpar_count(array->rank, array->dims);
}

/* Allocates zeroed data. KPAR_ENOMEM where the system refuses or the bytes overflow, KPAR_EFORMAT for a rank
 * above KPAR_MAX_RANK or a negative dimension; *array is then empty, so destroying it is harmless. */
kpar_status kpar_array_create(kpar_array *array, kpar_dtype dtype, int rank,
                              const int64_t *dims) KPAR_MUST_USE;
void kpar_array_destroy(kpar_array *array);

/* A rectangular part of an array: starts and sizes along each dimension. */
typedef struct kpar_slice {
    int rank;
    int64_t start[KPAR_MAX_RANK], size[KPAR_MAX_RANK];
} kpar_slice;

/* "(3, 4)", "(3,)" or "()" into `text`; returns text. For messages. */
enum { KPAR_SHAPE_TEXT = 128 };
const char *kpar_shape_text(char text[KPAR_SHAPE_TEXT], int rank, const int64_t *dims);

#endif
