/* Data types of tensors and arrays. */
#ifndef KPAR_TENSOR_DTYPE_H
#define KPAR_TENSOR_DTYPE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* constant, name, bytes */
#define KPAR_DTYPE_LIST(X)                                                                                   \
    X(F32, "float32", 4)                                                                                     \
    X(F64, "float64", 8)                                                                                     \
    X(F16, "float16", 2)                                                                                     \
    X(BF16, "bfloat16", 2)                                                                                   \
    X(I8, "int8", 1)                                                                                         \
    X(I16, "int16", 2)                                                                                       \
    X(I32, "int32", 4)                                                                                       \
    X(I64, "int64", 8)                                                                                       \
    X(U8, "uint8", 1)                                                                                        \
    X(U16, "uint16", 2)                                                                                      \
    X(U32, "uint32", 4)                                                                                      \
    X(U64, "uint64", 8)                                                                                      \
    X(BOOL, "bool", 1)

typedef enum kpar_dtype {
#define KPAR_DTYPE_ENUM(constant, name, bytes) KPAR_##constant,
    KPAR_DTYPE_LIST(KPAR_DTYPE_ENUM)
#undef KPAR_DTYPE_ENUM
        KPAR_DTYPE_COUNT
} kpar_dtype;

size_t kpar_dtype_bytes(kpar_dtype dtype);
const char *kpar_dtype_name(kpar_dtype dtype);
bool kpar_dtype_parse(const char *name, kpar_dtype *dtype);

/* Converts `count` elements. Integers among themselves as in C: exact where the value fits, else it wraps.
 * All else by way of double: float16 and bfloat16 round to nearest even, once; a real number to an integer is
 * truncated, with values beyond the range taken to its nearest end and NaN to 0; to bool is "not zero".
 * Source and target must not overlap and need not be aligned. */
void kpar_convert(void *target, kpar_dtype target_dtype, const void *source, kpar_dtype source_dtype,
                  size_t count);

#endif
