/* Parts and kernels of collectives. */
#include "comm/collective.h"

void kpar_even_parts(size_t total, int n, size_t *offsets, size_t *counts)
{
    enum { LINE = 16 };
    const size_t share = (total / (size_t)n + LINE) / LINE * LINE;
    for (size_t i = 0; i < (size_t)n; i++) {
        offsets[i] = share * i < total ? share * i : total;
        counts[i] = total - offsets[i] < share ? total - offsets[i] : share;
    }
}

static kpar_tensor_spec *flat_tensors(kpar_arena *arena, kpar_dtype dtype, size_t count, int n)
{
    kpar_tensor_spec *tensors = kpar_arena_alloc(arena, (size_t)n * sizeof *tensors);
    for (int i = 0; i < n; i++)
        tensors[i] = (kpar_tensor_spec){.dtype = dtype, .rank = 1, .dims = {(int64_t)count}};
    return tensors;
}

kpar_kernel_spec kpar_copy_kernel(kpar_arena *arena, kpar_dtype dtype, size_t count)
{
    return (kpar_kernel_spec){.op = KPAR_OP_COMPUTE_COPY,
                              .n_inputs = 1,
                              .n_outputs = 1,
                              .tensors = flat_tensors(arena, dtype, count, 2)};
}

kpar_kernel_spec kpar_sum_kernel(kpar_arena *arena, kpar_dtype dtype, size_t count, kpar_reduction reduction,
                                 int n, const int (*additions)[2])
{
    kpar_expression_builder *b = kpar_expression_begin(n);
    kpar_x *terms = kpar_arena_alloc(arena, (size_t)n * sizeof *terms);
    for (int i = 0; i < n; i++) terms[i] = kpar_x_input(b, i);
    for (int i = 0; i + 1 < n; i++) {
        const int into = additions ? additions[i][0] : 0, other = additions ? additions[i][1] : i + 1;
        terms[into] = kpar_x_binary(b, kpar_reduction_operation(reduction), terms[into], terms[other]);
    }
    return (kpar_kernel_spec){.op = KPAR_OP_MAP,
                              .n_inputs = n,
                              .n_outputs = 1,
                              .tensors = flat_tensors(arena, dtype, count, n + 1),
                              .attributes = {.expression = kpar_expression_end(b, arena, &terms[0], 1)}};
}
