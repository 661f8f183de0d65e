/* Sum, product, maximum and minimum of two vectors, each type in its own arithmetic. */
#include "comm/transport.h"

/* A float's maximum or minimum is NaN if either operand is. `x != x` is false for integers. */
#define COMBINE(name, type)                                                                                  \
    static void name(kpar_reduction reduction, void *accumulated, const void *added, size_t count)           \
    {                                                                                                        \
        type *a = accumulated;                                                                               \
        const type *b = added;                                                                               \
        switch (reduction) {                                                                                 \
        case KPAR_REDUCE_SUM:                                                                                \
            for (size_t i = 0; i < count; i++) a[i] = (type)(a[i] + b[i]);                                   \
            break;                                                                                           \
        case KPAR_REDUCE_MAX:                                                                                \
            for (size_t i = 0; i < count; i++) a[i] = a[i] > b[i] || a[i] != a[i] ? a[i] : b[i];             \
            break;                                                                                           \
        case KPAR_REDUCE_MIN:                                                                                \
            for (size_t i = 0; i < count; i++) a[i] = a[i] < b[i] || a[i] != a[i] ? a[i] : b[i];             \
            break;                                                                                           \
        case KPAR_REDUCE_PRODUCT:                                                                            \
            for (size_t i = 0; i < count; i++) a[i] = (type)(a[i] * b[i]);                                   \
            break;                                                                                           \
        case KPAR_REDUCTION_COUNT:                                                                           \
            break;                                                                                           \
        }                                                                                                    \
    }

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wtautological-compare"
#endif
COMBINE(combine_f32, float)
COMBINE(combine_f64, double)
COMBINE(combine_i8, int8_t)
COMBINE(combine_i16, int16_t)
COMBINE(combine_i32, int32_t)
COMBINE(combine_i64, int64_t)
COMBINE(combine_u8, uint8_t)
COMBINE(combine_u16, uint16_t)
COMBINE(combine_u32, uint32_t)
COMBINE(combine_u64, uint64_t)

static void (*const combines[KPAR_DTYPE_COUNT])(kpar_reduction, void *, const void *, size_t) = {
    [KPAR_F32] = combine_f32, [KPAR_F64] = combine_f64, [KPAR_I8] = combine_i8, [KPAR_I16] = combine_i16,
    [KPAR_I32] = combine_i32, [KPAR_I64] = combine_i64, [KPAR_U8] = combine_u8, [KPAR_U16] = combine_u16,
    [KPAR_U32] = combine_u32, [KPAR_U64] = combine_u64,
};

bool kpar_combine(kpar_dtype dtype, kpar_reduction reduction, void *acc, const void *values, size_t count)
{
    if (!combines[dtype]) return false;
    combines[dtype](reduction, acc, values, count);
    return true;
}
