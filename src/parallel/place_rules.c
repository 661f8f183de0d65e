/* Placement rules. Matmul and convolution: columns, rows or the inner dimension (Shoeybi et al., "Megatron-LM", 2019,
 * arises from applying these in order); everything else follows its inputs. */
#include "parallel/place_rules.h"

/* Whether a dimension can be cut in `extent` equal parts; the batch always can. */
static bool divides(const kpar_rule *r, kpar_dim d)
{
    return d.batch || (d.size % r->extent == 0 && d.size > 0);
}

static bool is_split(kpar_placement p, int dim) { return p.kind == KPAR_SPLIT && p.dim == dim; }

static bool rule_reduce(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    const kpar_reduction reduction = r->op->attributes.reduction;
    const bool sum = reduction == KPAR_REDUCE_SUM;
    if (p.kind == KPAR_PARTIAL && p.reduction == reduction) {
        r->wanted[0] = r->result = p;
        return true;
    }
    if (p.kind == KPAR_SHARD) { /* of rows */
        if ((r->op->attributes.axes & 1) && (!sum || r->reproducible)) return false;
        r->wanted[0] = p;
        r->result = r->op->attributes.axes & 1 ? (kpar_placement){.kind = KPAR_PARTIAL} : p;
        return true;
    }
    if (p.kind != KPAR_SPLIT) return false;
    if (r->op->attributes.axes >> p.dim & 1)
        r->result = (kpar_placement){.kind = KPAR_PARTIAL, .reduction = reduction};
    else {
        int dim = 0;
        for (int i = 0; i < p.dim; i++) dim += !(r->op->attributes.axes >> i & 1);
        r->result = kpar_split_on(dim);
    }
    r->wanted[0] = p;
    return true;
}

static bool rule_arg_reduce(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    if (p.kind != KPAR_SPLIT || p.dim == r->op->attributes.axis) return false;
    r->wanted[0] = p;
    r->result = kpar_split_on(p.dim - (p.dim > r->op->attributes.axis));
    return true;
}

/* Lines lie whole on a rank. Sums of terms are terms of the sums. */
static bool rule_cumulative(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    const bool lines = p.kind == KPAR_SPLIT && p.dim != r->op->attributes.axis;
    if (!lines && !(kpar_is_sum(p) && r->op->attributes.reduction == KPAR_REDUCE_SUM)) return false;
    r->wanted[0] = r->result = p;
    return true;
}

static const kpar_placement whole = {.kind = KPAR_REPLICATED}, partial = {.kind = KPAR_PARTIAL};

/* The placements of an op of two inputs. */
static bool place_two(kpar_rule *r, kpar_placement first, kpar_placement second, kpar_placement result)
{
    r->wanted[0] = first;
    r->wanted[1] = second;
    r->result = result;
    return true;
}

/* An owner multiplies what it alone has, and has the product alone. */
static bool multiply_owned(kpar_rule *r)
{
    const kpar_placement a = r->given[0], b = r->given[1], owned = a.kind == KPAR_SHARD ? a : b;
    if (owned.kind != KPAR_SHARD || owned.owner < 0) return false;
    for (int i = 0; i < 2; i++)
        if (r->given[i].kind != KPAR_REPLICATED && !kpar_placement_equal(r->given[i], owned)) return false;
    return place_two(r, a, b, owned);
}

static bool rule_matmul(kpar_rule *r)
{
    if (multiply_owned(r)) return true;
    const kpar_attributes *at = &r->op->attributes;
    const int rank = r->output->rank;
    const int m = at->transpose_a ? rank - 1 : rank - 2, ka = at->transpose_a ? rank - 2 : rank - 1;
    const int kb = at->transpose_b ? rank - 1 : rank - 2, n = at->transpose_b ? rank - 2 : rank - 1;
    const kpar_placement a = r->given[0], b = r->given[1];
    if (a.kind == KPAR_SPLIT && a.dim < rank - 2) return place_two(r, a, a, a);
    if (is_split(a, ka)) return place_two(r, a, kpar_split_on(kb), partial);
    if (is_split(a, m)) return place_two(r, a, whole, kpar_split_on(rank - 2));
    if (is_split(b, kb)) return place_two(r, kpar_split_on(ka), b, partial);
    if (is_split(b, n)) return place_two(r, whole, b, kpar_split_on(rank - 1));
    /* Nothing decides: a weight that is still free is cut by columns. */
    if (r->axis == KPAR_AXIS_TENSOR && r->open[1] && divides(r, kpar_rule_shape(r, 1)->dims[n]))
        return place_two(r, whole, kpar_split_on(n), kpar_split_on(rank - 1));
    return false;
}

/* The groups of a convolution between images of shape `x` and a kernel. */
static int64_t groups_of(const kpar_shape *x, const kpar_shape *kernel)
{
    const int64_t in = kernel->dims[kernel->rank - 2].size;
    return in > 0 ? x->dims[x->rank - 1].size / in : 1;
}

/* Channels of both sides are cut alike where they are in groups: each rank has some of the groups. */
static bool split_groups(kpar_rule *r, int64_t groups, bool wished)
{
    const kpar_placement channels = kpar_split_on(r->output->rank - 1);
    return wished && groups % r->extent == 0 && place_two(r, channels, channels, channels);
}

/* By output channels, or by input channels as partial sums, like the columns and rows of a matmul. */
static bool rule_conv(kpar_rule *r)
{
    const int last = r->output->rank - 1;
    const kpar_placement x = r->given[0], kernel = r->given[1], channels = kpar_split_on(last),
                         in = kpar_split_on(last - 1);
    const int64_t groups = groups_of(kpar_rule_shape(r, 0), kpar_rule_shape(r, 1));
    const bool open = r->axis == KPAR_AXIS_TENSOR && r->open[1];
    if (is_split(x, 0)) return place_two(r, x, whole, x);
    if (groups > 1) return split_groups(r, groups, is_split(x, last) || is_split(kernel, last) || open);
    if (is_split(x, last) || is_split(kernel, last - 1)) return place_two(r, channels, in, partial);
    if (is_split(kernel, last) || (open && divides(r, kpar_rule_shape(r, 1)->dims[last])))
        return place_two(r, whole, channels, channels);
    return false;
}

/* Of a transposed convolution the kernel may be open: it is cut by the channels that it makes. */
static bool rule_conv_input_gradient(kpar_rule *r)
{
    const int last = r->output->rank - 1;
    const kpar_placement dy = r->given[0], kernel = r->given[1], channels = kpar_split_on(last);
    const int64_t groups = groups_of(r->output, kpar_rule_shape(r, 1));
    const bool open = r->axis == KPAR_AXIS_TENSOR && r->open[1];
    if (is_split(dy, 0)) return place_two(r, dy, whole, dy);
    if (groups > 1) return split_groups(r, groups, is_split(dy, last) || is_split(kernel, last));
    if (is_split(kernel, last) || is_split(dy, last)) return place_two(r, channels, channels, partial);
    if (is_split(kernel, last - 1) || (open && divides(r, kpar_rule_shape(r, 1)->dims[last - 1])))
        return place_two(r, whole, kpar_split_on(last - 1), channels);
    return false;
}

static bool rule_conv_kernel_gradient(kpar_rule *r)
{
    const int last = r->output->rank - 1;
    const kpar_placement x = r->given[0], dy = r->given[1], channels = kpar_split_on(last);
    const int64_t groups = groups_of(kpar_rule_shape(r, 0), r->output);
    if (is_split(x, 0) || is_split(dy, 0)) return place_two(r, kpar_split_on(0), kpar_split_on(0), partial);
    if (groups > 1) return split_groups(r, groups, is_split(x, last) || is_split(dy, last));
    if (is_split(x, last)) return place_two(r, channels, whole, kpar_split_on(last - 1));
    if (is_split(dy, last)) return place_two(r, whole, channels, channels);
    return false;
}

/* Images and channels are pooled each by itself. */
static bool rule_pool(kpar_rule *r)
{
    const int last = r->output->rank - 1;
    for (int i = 0; i < r->n_inputs; i++) {
        const kpar_placement p = r->given[i];
        if (!is_split(p, 0) && !is_split(p, last)) continue;
        for (int k = 0; k < r->n_inputs; k++) r->wanted[k] = p;
        r->result = p;
        return true;
    }
    return false;
}

static bool rule_transpose(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    if (p.kind == KPAR_PARTIAL) {
        r->wanted[0] = r->result = p;
        return true;
    }
    if (p.kind != KPAR_SPLIT) return false;
    for (int i = 0; i < r->output->rank; i++)
        if (r->op->attributes.permutation[i] == p.dim) r->result = kpar_split_on(i);
    r->wanted[0] = p;
    return true;
}

static int64_t elements_before(const kpar_shape *shape, int dim, int *batches)
{
    int64_t product = 1;
    *batches = 0;
    for (int i = 0; i < dim; i++) {
        product *= shape->dims[i].size;
        *batches += shape->dims[i].batch;
    }
    return product;
}

int kpar_reshaped_dim(const kpar_shape *from, const kpar_shape *to, int dim)
{
    int batches, others;
    const int64_t before = elements_before(from, dim, &batches);
    for (int i = 0; i < to->rank; i++)
        if (elements_before(to, i, &others) == before && others == batches &&
            to->dims[i].batch == from->dims[dim].batch &&
            (to->dims[i].size != 1 || from->dims[dim].size == 1))
            return i;
    return -1;
}

/* A split survives where the same number of elements stands before the dimension and it still divides. */
static bool rule_reshape(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    if (p.kind == KPAR_PARTIAL) {
        r->wanted[0] = r->result = p;
        return true;
    }
    if (p.kind != KPAR_SPLIT) return false;
    const kpar_dim own = kpar_rule_shape(r, 0)->dims[p.dim];
    int batches, others;
    int64_t before = elements_before(kpar_rule_shape(r, 0), p.dim, &batches);
    for (int i = 0; i < r->output->rank; i++) {
        const kpar_dim d = r->output->dims[i];
        if (elements_before(r->output, i, &others) != before || others != batches) continue;
        if (d.batch != own.batch || !divides(r, d) || (d.size == 1 && own.size != 1 && !d.batch)) continue;
        r->wanted[0] = p;
        r->result = kpar_split_on(i);
        return true;
    }
    return false;
}

/* slice and pad: a dimension that is kept whole may be split. */
static bool rule_bounds(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    if (p.kind == KPAR_SPLIT) {
        const kpar_dim in = kpar_rule_shape(r, 0)->dims[p.dim], out = r->output->dims[p.dim];
        if (in.size != out.size || r->op->attributes.start[p.dim] != 0) return false;
    } else if (!kpar_is_sum(p))
        return false;
    r->wanted[0] = r->result = p;
    return true;
}

/* A few parts that are whole go with those split along another dimension; terms of sums go with terms only. */
static bool rule_concat(kpar_rule *r)
{
    kpar_placement p = r->given[0];
    int wholes = 0;
    for (int i = 1; i < r->n_inputs && p.kind == KPAR_REPLICATED; i++) p = r->given[i];
    if (p.kind == KPAR_REPLICATED || (p.kind == KPAR_SPLIT && p.dim == r->op->attributes.axis)) return false;
    for (int i = 0; i < r->n_inputs; i++) {
        if (p.kind == KPAR_SPLIT && r->given[i].kind == KPAR_REPLICATED)
            wholes++;
        else if (!kpar_placement_equal(r->given[i], p))
            return false;
    }
    if (2 * wholes >= r->n_inputs) return false;
    for (int i = 0; i < r->n_inputs; i++) r->wanted[i] = p;
    r->result = p;
    return true;
}

/* Where samples have tables of their own. */
static bool both_by_samples(kpar_rule *r)
{
    const kpar_placement samples = kpar_split_on(0);
    if (!is_split(r->given[0], 0) && !is_split(r->given[1], 0)) return false;
    return place_two(r, samples, samples, samples);
}

/* Of a table that is cut by rows each rank has some; the others' are zeros, so that the rows picked are a sum. One that is cut
 * within its rows gives parts of what is picked. */
static bool rule_gather(kpar_rule *r)
{
    if (r->op->attributes.axis > 0) return both_by_samples(r);
    const kpar_placement p = r->given[1], table = r->given[0];
    if (table.kind == KPAR_SPLIT && table.dim > 0)
        return place_two(r, table, whole, kpar_split_on(kpar_rule_shape(r, 1)->rank + table.dim - 1));
    const kpar_dim rows = kpar_rule_shape(r, 0)->dims[0];
    const bool large = r->vocabulary > 0 && rows.size >= r->vocabulary && divides(r, rows);
    if (is_split(r->given[0], 0) || (r->axis == KPAR_AXIS_TENSOR && r->open[0] && large))
        return place_two(r, kpar_split_on(0), whole, partial);
    if (p.kind != KPAR_SPLIT) return false;
    r->wanted[1] = r->result = p;
    return true;
}

static bool rule_scatter_add(kpar_rule *r)
{
    if (r->op->attributes.axis > 0) return both_by_samples(r);
    const kpar_placement rows = r->given[0];
    const int within =
        rows.dim - kpar_rule_shape(r, 1)->rank + 1; /* the table's dimension, where it is one within rows */
    if (is_split(r->wish, 0)) return place_two(r, whole, whole, kpar_split_on(0));
    if (rows.kind == KPAR_SPLIT && within > 0) return place_two(r, rows, whole, kpar_split_on(within));
    if (!is_split(r->given[0], 0) || !is_split(r->given[1], 0)) return false;
    r->wanted[0] = r->wanted[1] = kpar_split_on(0);
    r->result = (kpar_placement){.kind = KPAR_PARTIAL};
    return true;
}

/* What mixes the last dimension only: any other may be split, in all inputs alike. */
static bool rule_rows(kpar_rule *r)
{
    const kpar_placement p = r->given[0];
    if (p.kind != KPAR_SPLIT || p.dim == kpar_rule_shape(r, 0)->rank - 1) return false;
    for (int i = 0; i < r->n_inputs; i++) r->wanted[i] = p;
    r->result = p;
    return true;
}

static bool rule_random(kpar_rule *r)
{
    if (r->given[0].kind != KPAR_SPLIT) return false;
    r->wanted[0] = r->result = kpar_split_on(0);
    return true;
}

/* Sums over microbatches among them: of terms of a sum, but of no other. */
static bool rule_same(kpar_rule *r)
{
    if (r->given[0].kind == KPAR_PARTIAL && !kpar_is_sum(r->given[0])) return false;
    r->wanted[0] = r->result = r->given[0];
    return true;
}

static bool (*const rules[KPAR_OP_COUNT])(kpar_rule *) = {
    [KPAR_OP_MAP] = kpar_rule_map,
    [KPAR_OP_REDUCE] = rule_reduce,
    [KPAR_OP_ARG_REDUCE] = rule_arg_reduce,
    [KPAR_OP_CUMULATIVE] = rule_cumulative,
    [KPAR_OP_MATMUL] = rule_matmul,
    [KPAR_OP_CONV] = rule_conv,
    [KPAR_OP_CONV_INPUT_GRADIENT] = rule_conv_input_gradient,
    [KPAR_OP_CONV_KERNEL_GRADIENT] = rule_conv_kernel_gradient,
    [KPAR_OP_POOL] = rule_pool,
    [KPAR_OP_MAX_POOL_GRADIENT] = rule_pool,
    [KPAR_OP_MEAN_POOL_GRADIENT] = rule_pool,
    [KPAR_OP_TRANSPOSE] = rule_transpose,
    [KPAR_OP_RESHAPE] = rule_reshape,
    [KPAR_OP_SLICE] = rule_bounds,
    [KPAR_OP_PAD] = rule_bounds,
    [KPAR_OP_CONCAT] = rule_concat,
    [KPAR_OP_GATHER] = rule_gather,
    [KPAR_OP_SCATTER_ADD] = rule_scatter_add,
    [KPAR_OP_RANDOM] = rule_random,
    [KPAR_OP_SOFTMAX] = rule_rows,
    [KPAR_OP_SOFTMAX_GRADIENT] = rule_rows,
    [KPAR_OP_CROSS_ENTROPY] = rule_rows,
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = rule_rows,
    [KPAR_OP_ACCUMULATE] = rule_same,
    [KPAR_OP_COMPUTE_COPY] = rule_same,
};

bool kpar_rule_apply(kpar_rule *rule) { return rules[rule->op->kind] && rules[rule->op->kind](rule); }
