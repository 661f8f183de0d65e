/* How the inputs of an expression lie in memory next to its outputs, and how blocks of them are read. */
#ifndef KPAR_DEVICE_CPU_OPERANDS_H
#define KPAR_DEVICE_CPU_OPERANDS_H

#include "device/spec.h"

/* constant, what a block of the input is. In the blocks that were chosen: */
typedef enum kpar_reading {
    KPAR_READ_UNIFORM, /* one value for all elements */
    KPAR_READ_DIRECT,  /* where it lies: an element for each of the output's */
    KPAR_READ_SLICED, /* where it lies, again and again: a vector along the last dimensions, of several blocks */
    KPAR_READ_TILED,    /* the same for all blocks: such a vector that fits a block a whole number of times */
    KPAR_READ_SPREAD,   /* one value a block */
    KPAR_READ_GATHERED, /* to be put together */
} kpar_reading;

/* An input, with dimensions along which it advances evenly joined. */
typedef struct kpar_operand_input {
    kpar_dtype dtype;
    kpar_reading how;
    int rank;
    int64_t dims[KPAR_MAX_RANK], strides[KPAR_MAX_RANK];
} kpar_operand_input;

/* Describes an input that is broadcast to `whole` and computed with as `type`; how it is read is settled by
 * kpar_operands_block. */
void kpar_operand_describe(kpar_operand_input *in, const kpar_tensor_spec *tensor,
                           const kpar_tensor_spec *whole, kpar_dtype type);

/* Elements of a block, at most `most` and a multiple of `lanes`, at which as few as possible of the inputs have to be
 * gathered; settles how each is read. Blocks begin at multiples of that size; or, where `unit` is not 0,
 * whole blocks behind a multiple of `unit`. */
int64_t kpar_operands_block(kpar_operand_input *inputs, int n, int64_t most, int64_t lanes, int64_t unit);

/* Elements first .. first + n - 1, as `type`, into `target`: the values at `source` repeated and converted as the input
 * says. */
void kpar_operand_gather(const kpar_operand_input *in, const void *source, void *target, kpar_dtype type,
                         int64_t first, int64_t n);

/* Where a SLICED input has element `first`: its offset in elements. */
static inline int64_t kpar_operand_slice(const kpar_operand_input *in, int64_t first)
{
    return first % in->dims[in->rank - 1];
}

#endif
