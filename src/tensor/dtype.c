/* The table of data types and conversion between them.
 *
 * A conversion goes block by block through int64_t where both types are integers, else through double, so
 * each type has one load and one store for each of the two. Elements are copied in and out: memory need not
 * be aligned. */
#include "tensor/dtype.h"

#include "tensor/small_float.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[KPAR_DTYPE_COUNT] = {
#define KPAR_DTYPE_ROW(constant, name, bytes) {name, bytes},
    KPAR_DTYPE_LIST(KPAR_DTYPE_ROW)
#undef KPAR_DTYPE_ROW
};

size_t kpar_dtype_bytes(kpar_dtype dtype) { return dtypes[dtype].bytes; }

const char *kpar_dtype_name(kpar_dtype dtype) { return dtypes[dtype].name; }

bool kpar_dtype_parse(const char *name, kpar_dtype *dtype)
{
    for (int i = 0; i < KPAR_DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name) != 0) continue;
        *dtype = (kpar_dtype)i;
        return true;
    }
    return false;
}

/* load_X: count elements of type X to the intermediate; store_X: back. */
#define LOAD(function, element, intermediate, expression)                                                    \
    static void function(intermediate *values, const unsigned char *source, size_t count)                    \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            element x;                                                                                       \
            memcpy(&x, source + i * sizeof x, sizeof x);                                                     \
            values[i] = (intermediate)(expression);                                                          \
        }                                                                                                    \
    }
#define STORE(function, element, intermediate, expression)                                                   \
    static void function(unsigned char *target, const intermediate *values, size_t count)                    \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            intermediate x = values[i];                                                                      \
            element y = (element)(expression);                                                               \
            memcpy(target + i * sizeof y, &y, sizeof y);                                                     \
        }                                                                                                    \
    }

/* A real number is truncated towards zero; one beyond the range becomes its nearest end, NaN becomes 0.
 * `above` is the first double that is too large. */
#define INTEGER(name, element, least, above, most)                                                           \
    LOAD(load_##name, element, double, x)                                                                    \
    LOAD(load_integer_##name, element, int64_t, x)                                                           \
    STORE(store_integer_##name, element, int64_t, x)                                                         \
    static element clamped_##name(double x)                                                                  \
    {                                                                                                        \
        if (isnan(x)) return 0;                                                                              \
        if (x <= (double)(least)) return least;                                                              \
        return x >= (above) ? (most) : (element)x;                                                           \
    }                                                                                                        \
    STORE(store_##name, element, double, clamped_##name(x))

LOAD(load_f32, float, double, x)
LOAD(load_f64, double, double, x)
LOAD(load_f16, uint16_t, double, kpar_double_from_float16(x))
LOAD(load_bf16, uint16_t, double, kpar_double_from_bfloat16(x))
LOAD(load_bool, unsigned char, double, x != 0)
LOAD(load_integer_bool, unsigned char, int64_t, x != 0)
STORE(store_f32, float, double, x)
STORE(store_f64, double, double, x)
STORE(store_f16, uint16_t, double, kpar_float16_from_double(x))
STORE(store_bf16, uint16_t, double, kpar_bfloat16_from_double(x))
STORE(store_bool, unsigned char, double, x != 0)
STORE(store_integer_bool, unsigned char, int64_t, x != 0)
INTEGER(i8, int8_t, INT8_MIN, 0x1p7, INT8_MAX)
INTEGER(i16, int16_t, INT16_MIN, 0x1p15, INT16_MAX)
INTEGER(i32, int32_t, INT32_MIN, 0x1p31, INT32_MAX)
INTEGER(i64, int64_t, INT64_MIN, 0x1p63, INT64_MAX)
INTEGER(u8, uint8_t, 0, 0x1p8, UINT8_MAX)
INTEGER(u16, uint16_t, 0, 0x1p16, UINT16_MAX)
INTEGER(u32, uint32_t, 0, 0x1p32, UINT32_MAX)
INTEGER(u64, uint64_t, 0, 0x1p64, UINT64_MAX)

typedef struct converter {
    void (*load)(double *values, const unsigned char *source, size_t count);
    void (*store)(unsigned char *target, const double *values, size_t count);
    /* NULL where the type is not an integer */
    void (*load_integer)(int64_t *values, const unsigned char *source, size_t count);
    void (*store_integer)(unsigned char *target, const int64_t *values, size_t count);
} converter;

/* clang-format off */
#define REAL_ROW(name) {load_##name, store_##name, NULL, NULL}
#define INTEGER_ROW(name) {load_##name, store_##name, load_integer_##name, store_integer_##name}
/* clang-format on */
static const converter converters[KPAR_DTYPE_COUNT] = {
    [KPAR_F32] = REAL_ROW(f32),      [KPAR_F64] = REAL_ROW(f64),    [KPAR_F16] = REAL_ROW(f16),
    [KPAR_BF16] = REAL_ROW(bf16),    [KPAR_I8] = INTEGER_ROW(i8),   [KPAR_I16] = INTEGER_ROW(i16),
    [KPAR_I32] = INTEGER_ROW(i32),   [KPAR_I64] = INTEGER_ROW(i64), [KPAR_U8] = INTEGER_ROW(u8),
    [KPAR_U16] = INTEGER_ROW(u16),   [KPAR_U32] = INTEGER_ROW(u32), [KPAR_U64] = INTEGER_ROW(u64),
    [KPAR_BOOL] = INTEGER_ROW(bool),
};

void kpar_convert(void *target, kpar_dtype target_dtype, const void *source, kpar_dtype source_dtype,
                  size_t count)
{
    enum { BLOCK = 512 };
    union {
        double real[BLOCK];
        int64_t integer[BLOCK];
    } block;
    const converter *to = &converters[target_dtype], *from = &converters[source_dtype];
    bool integers = to->load_integer && from->load_integer;
    if (target_dtype == source_dtype && target_dtype != KPAR_BOOL) {
        if (count) memcpy(target, source, count * kpar_dtype_bytes(target_dtype));
        return;
    }
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        const unsigned char *in = (const unsigned char *)source + done * kpar_dtype_bytes(source_dtype);
        unsigned char *out = (unsigned char *)target + done * kpar_dtype_bytes(target_dtype);
        if (integers) {
            from->load_integer(block.integer, in, n);
            to->store_integer(out, block.integer, n);
        } else {
            from->load(block.real, in, n);
            to->store(out, block.real, n);
        }
    }
}
