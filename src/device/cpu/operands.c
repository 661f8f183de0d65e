/* Inputs of expressions: joined dimensions, the block size that suits them, gathering. */
#include "device/cpu/operands.h"

#include <string.h>

/* Joins neighbouring dimensions along which the input advances evenly; drops those of one element. */
static void join_dimensions(kpar_operand_input *in, const kpar_tensor_spec *tensor,
                            const kpar_tensor_spec *whole)
{
    int64_t strides[KPAR_MAX_RANK];
    kpar_broadcast_strides(tensor, whole, strides);
    in->rank = 0;
    for (int d = 0; d < whole->rank; d++) {
        if (whole->dims[d] == 1) continue;
        const int last = in->rank - 1;
        if (last >= 0 && in->strides[last] == strides[d] * whole->dims[d]) {
            in->dims[last] *= whole->dims[d];
            in->strides[last] = strides[d];
            continue;
        }
        in->dims[in->rank] = whole->dims[d];
        in->strides[in->rank++] = strides[d];
    }
}

/* The one element of a tensor is computed like each of many: a bias or a sum of one number has the same bits wherever maps
 * end. A scalar, such as a learning rate, is a uniform. */
static bool is_uniform(const kpar_tensor_spec *tensor, const kpar_tensor_spec *whole, bool direct)
{
    return kpar_tensor_count(tensor) == 1 && !(direct && tensor->rank > 0 && whole->rank > 0);
}

void kpar_operand_describe(kpar_operand_input *in, const kpar_tensor_spec *tensor,
                           const kpar_tensor_spec *whole, kpar_dtype type)
{
    const bool direct = kpar_tensor_count(tensor) == kpar_tensor_count(whole) && tensor->dtype == type;
    in->dtype = tensor->dtype;
    join_dimensions(in, tensor, whole);
    in->how = is_uniform(tensor, whole, direct) ? KPAR_READ_UNIFORM
              : direct                          ? KPAR_READ_DIRECT
                                                : KPAR_READ_GATHERED;
    if (in->how != KPAR_READ_GATHERED || in->rank == 0 || kpar_tensor_count(whole) == 0) return;
    const int last = in->rank - 1;
    if (in->strides[last] == 0) in->how = KPAR_READ_SPREAD;
    if (in->rank == 2 && in->strides[0] == 0 && in->dtype == type) in->how = KPAR_READ_TILED;
}

/* How an input is read in blocks of so many elements. `aligned`: they begin at multiples of that size. */
static kpar_reading reading_in(const kpar_operand_input *in, int64_t block, bool aligned)
{
    if (in->how != KPAR_READ_TILED && in->how != KPAR_READ_SPREAD) return in->how;
    const int64_t length = in->dims[in->rank - 1];
    if (!aligned) return KPAR_READ_GATHERED;
    if (length % block == 0) return in->how == KPAR_READ_TILED ? KPAR_READ_SLICED : KPAR_READ_SPREAD;
    return in->how == KPAR_READ_TILED && block % length == 0 ? KPAR_READ_TILED : KPAR_READ_GATHERED;
}

int64_t kpar_operands_block(kpar_operand_input *inputs, int n, int64_t most, int64_t lanes, int64_t unit)
{
    int64_t best = most;
    int fewest = n + 1;
    for (int64_t block = most; block >= most / 8; block -= lanes) {
        int gathered = 0;
        if (unit % block) continue;
        for (int i = 0; i < n; i++) gathered += reading_in(&inputs[i], block, true) == KPAR_READ_GATHERED;
        if (gathered < fewest) {
            fewest = gathered;
            best = block;
        }
    }
    for (int i = 0; i < n; i++) inputs[i].how = reading_in(&inputs[i], best, unit % best == 0);
    return best;
}

/* n times the first of `target`. */
static void repeat(void *target, kpar_dtype type, int64_t n)
{
    if (type == KPAR_F32) {
        float *to = target;
        const float value = to[0];
        for (int64_t i = 1; i < n; i++) to[i] = value;
    } else {
        double *to = target;
        const double value = to[0];
        for (int64_t i = 1; i < n; i++) to[i] = value;
    }
}

void kpar_operand_gather(const kpar_operand_input *in, const void *source, void *target, kpar_dtype type,
                         int64_t first, int64_t n)
{
    int64_t at[KPAR_MAX_RANK] = {0}, offset = 0;
    for (int d = in->rank - 1; d >= 0; d--) {
        at[d] = first % in->dims[d];
        first /= in->dims[d];
        offset += at[d] * in->strides[d];
    }
    const int last = in->rank - 1;
    const size_t bytes = kpar_dtype_bytes(in->dtype), target_bytes = kpar_dtype_bytes(type);
    char *to = target;
    while (n > 0) {
        const int64_t left = in->dims[last] - at[last], run = left < n ? left : n;
        const char *from = (const char *)source + (size_t)offset * bytes;
        if (in->strides[last] == 0) {
            kpar_convert(to, type, from, in->dtype, 1);
            repeat(to, type, run);
        } else if (in->dtype == type)
            memcpy(to, from, (size_t)run * bytes);
        else
            kpar_convert(to, type, from, in->dtype, (size_t)run);
        to += (size_t)run * target_bytes;
        n -= run;
        at[last] += run;
        offset += run * in->strides[last];
        for (int d = last; d > 0 && at[d] == in->dims[d]; d--) {
            offset += in->strides[d - 1] - in->dims[d] * in->strides[d];
            at[d] = 0;
            at[d - 1]++;
        }
    }
}
