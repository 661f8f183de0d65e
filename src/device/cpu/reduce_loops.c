/* The inner loops of reductions, an instance for each. */
#include "device/cpu/vector.h"

#include "device/cpu/reduce_loops.h"

#include <math.h>

#define REDUCE_LOOPS(name, nothing, combine)                                                                 \
    static inline void begin_##name(float sums[KPAR_STRIP])                                                  \
    {                                                                                                        \
        for (int j = 0; j < KPAR_STRIP; j++) sums[j] = (nothing);                                            \
    }                                                                                                        \
    static inline void load_##name(float to[KPAR_STRIP], const float *x, int64_t length)                     \
    {                                                                                                        \
        for (int j = 0; j < KPAR_STRIP; j++) to[j] = j < length ? x[j] : (nothing);                          \
    }                                                                                                        \
    static inline void add_##name(float sums[KPAR_STRIP], const float *x)                                    \
    {                                                                                                        \
        KPAR_INDEPENDENT for (int j = 0; j < KPAR_STRIP; j++) sums[j] = combine(sums[j], x[j]);              \
    }                                                                                                        \
    KPAR_CLONES static void columns_##name(float *to, const float *x, const int64_t *offsets, int64_t n,     \
                                           int64_t length)                                                   \
    {                                                                                                        \
        float sums[KPAR_STRIP], row[KPAR_STRIP];                                                             \
        begin_##name(sums);                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            if (length < KPAR_STRIP) load_##name(row, x + offsets[i], length);                               \
            add_##name(sums, length < KPAR_STRIP ? row : x + offsets[i]);                                    \
        }                                                                                                    \
        for (int64_t j = 0; j < length; j++) to[j] = combine(to[j], sums[j]);                                \
    }                                                                                                        \
    KPAR_CLONES static void row_##name(float *to, const float *x, int64_t n)                                 \
    {                                                                                                        \
        KPAR_INDEPENDENT for (int64_t j = 0; j < n; j++) to[j] = combine(to[j], x[j]);                       \
    }                                                                                                        \
    static inline void add_line_##name(float lanes[KPAR_STRIP], const float *x, int64_t n)                   \
    {                                                                                                        \
        float sums[KPAR_STRIP], rest[KPAR_STRIP];                                                            \
        for (int64_t first = 0; first < n; first += KPAR_CHUNK * KPAR_STRIP) {                               \
            const int64_t past = first + KPAR_CHUNK * KPAR_STRIP, end = past < n ? past : n;                 \
            int64_t j = first;                                                                               \
            begin_##name(sums);                                                                              \
            for (; j + KPAR_STRIP <= end; j += KPAR_STRIP) add_##name(sums, x + j);                          \
            load_##name(rest, x + j, end - j);                                                               \
            add_##name(sums, rest);                                                                          \
            add_##name(lanes, sums);                                                                         \
        }                                                                                                    \
    }                                                                                                        \
    static inline float combined_##name(float lanes[KPAR_STRIP])                                             \
    {                                                                                                        \
        for (int half = KPAR_STRIP / 2; half > 0; half /= 2)                                                 \
            for (int j = 0; j < half; j++) lanes[j] = combine(lanes[j], lanes[j + half]);                    \
        return lanes[0];                                                                                     \
    }                                                                                                        \
    KPAR_CLONES static float lines_##name(const float *x, const int64_t *offsets, int64_t n, int64_t length) \
    {                                                                                                        \
        float lanes[KPAR_STRIP];                                                                             \
        begin_##name(lanes);                                                                                 \
        for (int64_t i = 0; i < n; i++) add_line_##name(lanes, x + offsets[i], length);                      \
        return combined_##name(lanes);                                                                       \
    }                                                                                                        \
    KPAR_CLONES static void line_##name(float lanes[KPAR_STRIP], const float *x, int64_t n)                  \
    {                                                                                                        \
        add_line_##name(lanes, x, n);                                                                        \
    }                                                                                                        \
    KPAR_CLONES static float lanes_##name(float lanes[KPAR_STRIP]) { return combined_##name(lanes); }        \
    static const kpar_reduce_loops loops_##name = {                                                          \
        (nothing), columns_##name, row_##name, lines_##name, line_##name, lanes_##name,                      \
    };

#define SUM_OF(a, b) ((a) + (b))
#define PRODUCT_OF(a, b) ((a) * (b))
#define MAXIMUM_OF(a, b) ((((a) >= (b)) | ((a) != (a))) ? (a) : (b))
#define MINIMUM_OF(a, b) ((((a) <= (b)) | ((a) != (a))) ? (a) : (b))
REDUCE_LOOPS(sum, 0.0f, SUM_OF)
REDUCE_LOOPS(product, 1.0f, PRODUCT_OF)
REDUCE_LOOPS(maximum, -INFINITY, MAXIMUM_OF)
REDUCE_LOOPS(minimum, INFINITY, MINIMUM_OF)

const kpar_reduce_loops *kpar_reduce_loops_of(kpar_reduction reduction)
{
    static const kpar_reduce_loops *const all[KPAR_REDUCTION_COUNT] = {
        [KPAR_REDUCE_SUM] = &loops_sum,
        [KPAR_REDUCE_MAX] = &loops_maximum,
        [KPAR_REDUCE_MIN] = &loops_minimum,
        [KPAR_REDUCE_PRODUCT] = &loops_product,
    };
    return all[reduction];
}
