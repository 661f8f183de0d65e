/* The placement rule of maps: a result is split as one of its inputs, or stays a sum of terms where the expression is linear
 * in them. */
#include "parallel/place_rules.h"

/* How an expression depends on its partial inputs. */
enum dependence { NOT, LINEAR, OTHERWISE };

static enum dependence of_scalar(const kpar_scalar *s, const enum dependence *d)
{
    switch (s->op) {
    case KPAR_SCALAR_ADD:
    case KPAR_SCALAR_SUBTRACT:
        return d[s->a] == d[s->b] ? d[s->a] : OTHERWISE;
    case KPAR_SCALAR_NEGATE:
        return d[s->a];
    case KPAR_SCALAR_MULTIPLY:
        return d[s->a] == NOT ? d[s->b] : d[s->b] == NOT ? d[s->a] : OTHERWISE;
    case KPAR_SCALAR_DIVIDE:
        return d[s->b] == NOT ? d[s->a] : OTHERWISE;
    default:
        break;
    }
    int n = kpar_scalar_operands(s->op);
    bool free = (n < 1 || d[s->a] == NOT) && (n < 2 || d[s->b] == NOT) && (n < 3 || d[s->c] == NOT);
    return free ? NOT : OTHERWISE;
}

/* Whether the sum over ranks of the map's result is the map of the sums of its partial inputs. */
static bool keeps_sums(const kpar_rule *r)
{
    const kpar_expression *e = r->op->attributes.expression;
    enum dependence *d = kpar_alloc((size_t)e->n_scalars * sizeof *d);
    bool keeps = true;
    for (int i = 0; i < e->n_scalars; i++) {
        const kpar_scalar *s = &e->scalars[i];
        if (s->op == KPAR_SCALAR_INPUT)
            d[i] = r->given[s->index].kind != KPAR_PARTIAL ? NOT
                   : kpar_is_sum(r->given[s->index])       ? LINEAR
                                                           : OTHERWISE;
        else
            d[i] = of_scalar(s, d);
    }
    for (int i = 0; i < e->n_outputs; i++) keeps = keeps && d[e->outputs[i]] == LINEAR;
    kpar_free(d);
    return keeps;
}

/* The output dimension that a split or sharded input of a map stands for, or -1. */
static int output_dim(const kpar_rule *r, int input)
{
    const kpar_placement p = r->given[input];
    const kpar_shape *shape = kpar_rule_shape(r, input);
    if (p.kind != KPAR_SPLIT) return -1;
    int dim = r->output->rank - shape->rank + p.dim;
    return shape->dims[p.dim].size == r->output->dims[dim].size ? dim : -1;
}

/* The placement that an input of a map must have for the result to be split on `dim`. */
static kpar_placement input_for(const kpar_rule *r, int input, int dim)
{
    const kpar_shape *shape = kpar_rule_shape(r, input);
    int own = dim - (r->output->rank - shape->rank);
    bool repeated = own < 0 || (shape->dims[own].size == 1 && !shape->dims[own].batch &&
                                (r->output->dims[dim].size != 1 || r->output->dims[dim].batch));
    return repeated ? (kpar_placement){.kind = KPAR_REPLICATED} : kpar_split_on(own);
}

/* Whether an input of a map has the rows of the result: a dimension 0 of its own that is not repeated. */
static bool has_rows(const kpar_rule *r, int input)
{
    const kpar_shape *shape = kpar_rule_shape(r, input);
    return shape->rank > 0 && shape->rank == r->output->rank &&
           shape->dims[0].size == r->output->dims[0].size;
}

/* Shards are of rows: what has rows is sharded like input `sharded`, what is repeated along them stays whole. */
static bool shard_map(kpar_rule *r, int sharded)
{
    if (!has_rows(r, sharded)) return false;
    for (int i = 0; i < r->n_inputs; i++)
        if (has_rows(r, i)) r->wanted[i] = r->given[sharded];
    r->result = r->given[sharded];
    return true;
}

static int64_t elements(const kpar_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) n *= shape->dims[i].size;
    return n;
}

/* Whether the results are more to add up over ranks than the partial inputs are. What is only reduced is little. */
static bool widens_sums(const kpar_rule *r)
{
    int64_t given = 0;
    for (int i = 0; i < r->n_inputs; i++)
        if (r->given[i].kind == KPAR_PARTIAL) given += elements(kpar_rule_shape(r, i));
    return r->wide > 1 && r->wide * elements(r->output) > given;
}

/* Whether sums over ranks may wait. Leaves are added up at the end of a step, along their tree: not before, and not after
 * something else was made of the sum of some. */
static bool may_wait(const kpar_rule *r)
{
    return r->reproducible && r->axis == KPAR_AXIS_DATA ? r->op->phase != KPAR_PHASE_UPDATE : !widens_sums(r);
}

bool kpar_rule_map(kpar_rule *r)
{
    bool partial = false;
    for (int i = 0; i < r->n_inputs; i++) {
        partial = partial || r->given[i].kind == KPAR_PARTIAL;
        if (r->given[i].kind == KPAR_SHARD && shard_map(r, i)) return true;
    }
    int dim = -1;
    for (int i = 0; i < r->n_inputs && dim < 0; i++) dim = output_dim(r, i);
    if (dim >= 0) {
        for (int i = 0; i < r->n_inputs; i++) r->wanted[i] = input_for(r, i, dim);
        r->result = kpar_split_on(dim);
        return true;
    }
    if (partial && keeps_sums(r) && may_wait(r)) {
        for (int i = 0; i < r->n_inputs; i++) r->wanted[i] = r->given[i];
        r->result = (kpar_placement){.kind = KPAR_PARTIAL};
        return true;
    }
    return false;
}
