/* Operations that are sums of products. */
#include "model/einsum.h"
#include "model/operations.h"

#include <math.h>
#include <string.h>

static kpar_status two_operands(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_value_id *ab)
{
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &ab[i]));
    return KPAR_OK;
}

static KPAR_OPERATION(einsum)
{
    const char *text;
    const int n = (int)json_array_size(lowering->model->calls[lowering->call].args);
    int ranks[KPAR_EINSUM_OPERANDS];
    kpar_value_id operands[KPAR_EINSUM_OPERANDS];
    kpar_einsum e;
    (void)n_inputs;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "subscripts", "", &text));
    for (int i = 0; i < n && i < KPAR_EINSUM_OPERANDS; i++) {
        KPAR_TRY(kpar_operand(lowering, inputs, i, &operands[i]));
        ranks[i] = kpar_lower_shape(lowering, operands[i])->rank;
    }
    if (kpar_einsum_read(text, ranks, n, &e)) return kpar_lower_einsum(lowering, &e, operands, output);
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: subscripts \"%s\" are not supported; supported are letters, each once in an operand, and "
        "\"...\", with the result behind \"->\", such as \"btc,bsc->bts\"",
        lowering->owner, text);
}

/* Letters for the dimensions of an operand: 'a' and following, or 'A' and following. */
static void name_dims(int rank, char first, char *letters)
{
    for (int i = 0; i < rank; i++) letters[i] = (char)(first + i);
    letters[rank] = '\0';
}

/* The product summed over letters that both have; the result has all others, those of a first. */
static kpar_status contract(kpar_lowering *lowering, const kpar_value_id *ab, const char *a, const char *b,
                            kpar_value_id *output)
{
    char letters[2 * KPAR_EINSUM_LETTERS] = "";
    int n = 0;
    for (const char *c = a; *c; c++)
        if (!strchr(b, *c)) letters[n++] = *c;
    for (const char *c = b; *c; c++)
        if (!strchr(a, *c)) letters[n++] = *c;
    if (n > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    return kpar_lower_product(lowering, a, ab[0], b, ab[1], letters, output);
}

/* The last dimension of the first with one of the second: the `from_end`-th from its end, or its only one. */
static kpar_status dot_with(kpar_lowering *lowering, const kpar_value_id *inputs, int from_end,
                            kpar_value_id *output)
{
    char a[KPAR_EINSUM_LETTERS], b[KPAR_EINSUM_LETTERS];
    kpar_value_id ab[2];
    KPAR_TRY(two_operands(lowering, inputs, ab));
    const int ranks[] = {kpar_lower_shape(lowering, ab[0])->rank, kpar_lower_shape(lowering, ab[1])->rank};
    if (ranks[0] == 0 || ranks[1] == 0)
        return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, ab[0], ab[1], output);
    name_dims(ranks[0], 'a', a);
    name_dims(ranks[1], 'A', b);
    b[ranks[1] >= from_end ? ranks[1] - from_end : 0] = a[ranks[0] - 1];
    return contract(lowering, ab, a, b, output);
}

static KPAR_OPERATION(dot)
{
    (void)n_inputs;
    return dot_with(lowering, inputs, 2, output);
}

static KPAR_OPERATION(inner)
{
    (void)n_inputs;
    return dot_with(lowering, inputs, 1, output);
}

/* Argument 'axes': how many dimensions at the end of the first and the front of the second, or which of each. */
static KPAR_OPERATION(tensor_dot)
{
    const json_t *axes = json_object_get(lowering->layer->config, "axes");
    char a[KPAR_EINSUM_LETTERS], b[KPAR_EINSUM_LETTERS];
    kpar_value_id ab[2];
    (void)n_inputs;
    KPAR_TRY(two_operands(lowering, inputs, ab));
    const int ranks[] = {kpar_lower_shape(lowering, ab[0])->rank, kpar_lower_shape(lowering, ab[1])->rank};
    const json_t *first = json_array_get(axes, 0), *second = json_array_get(axes, 1);
    const int n = json_is_array(first)  ? (int)json_array_size(first)
                  : json_is_array(axes) ? 1
                                        : (int)json_integer_value(axes);
    name_dims(ranks[0], 'a', a);
    name_dims(ranks[1], 'A', b);
    for (int i = 0; i < n; i++) {
        int64_t from = ranks[0] - n + i, to = i;
        if (json_is_array(axes)) {
            from = json_integer_value(json_is_array(first) ? json_array_get(first, (size_t)i) : first);
            to = json_integer_value(json_is_array(second) ? json_array_get(second, (size_t)i) : second);
        }
        if (from < 0) from += ranks[0];
        if (to < 0) to += ranks[1];
        if (from < 0 || to < 0 || from >= ranks[0] || to >= ranks[1])
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'axes' names a dimension that is not there",
                             lowering->owner);
        b[to] = a[from];
    }
    return contract(lowering, ab, a, b, output);
}

/* Letters of the leading dimensions are alike from the last on; one of size 1 against another has its own, and is summed. */
static void name_leading(const kpar_shape *shape, const kpar_shape *other, int rank, int leading, char own,
                         char *letters)
{
    for (int i = 0; i < leading; i++) {
        const int from_end = leading - i, at = other->rank - 2 - from_end;
        const bool repeated = shape->dims[i].size == 1 && !shape->dims[i].batch && at >= 0 &&
                              (other->dims[at].size != 1 || other->dims[at].batch);
        letters[i] = (char)((repeated ? own : 'a') + from_end);
    }
    letters[rank] = '\0';
}

/* Products of the matrices of the last two dimensions; vectors are a row, or a column. */
static KPAR_OPERATION(matmul)
{
    char a[KPAR_EINSUM_LETTERS], b[KPAR_EINSUM_LETTERS], y[2 * KPAR_EINSUM_LETTERS] = "";
    kpar_value_id ab[2];
    (void)n_inputs;
    KPAR_TRY(two_operands(lowering, inputs, ab));
    const kpar_shape x = *kpar_lower_shape(lowering, ab[0]), z = *kpar_lower_shape(lowering, ab[1]);
    const int lead_x = x.rank > 2 ? x.rank - 2 : 0, lead_z = z.rank > 2 ? z.rank - 2 : 0;
    if (x.rank == 0 || z.rank == 0)
        return kpar_fail(KPAR_EFORMAT, "%s: expected matrices, found a number", lowering->owner);
    name_leading(&x, &z, x.rank, lead_x, 'k', a);
    name_leading(&z, &x, z.rank, lead_z, 'p', b);
    a[x.rank - 1] = 'S';
    b[z.rank > 1 ? z.rank - 2 : 0] = 'S';
    if (x.rank > 1) a[x.rank - 2] = 'M';
    if (z.rank > 1) b[z.rank - 1] = 'N';
    int n = 0;
    for (int from_end = lead_x > lead_z ? lead_x : lead_z; from_end > 0; from_end--)
        y[n++] = (char)('a' + from_end);
    if (x.rank > 1) y[n++] = 'M';
    if (z.rank > 1) y[n++] = 'N';
    return kpar_lower_product(lowering, a, ab[0], b, ab[1], y, output);
}

/* Distances of the rows of two tensors. */
static KPAR_OPERATION(distances)
{
    kpar_value_id ab[2];
    (void)n_inputs;
    KPAR_TRY(two_operands(lowering, inputs, ab));
    const int rank = kpar_lower_shape(lowering, ab[0])->rank;
    KPAR_TRY(kpar_lower_insert(lowering, rank - 1, ab[0], &ab[0]));
    KPAR_TRY(kpar_lower_insert(lowering, kpar_lower_shape(lowering, ab[1])->rank - 2, ab[1], &ab[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x square = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)));
    KPAR_TRY(kpar_lower_apply(lowering, e, square, ab, 2, output));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *output, output));
    return kpar_build_unary(lowering->graph, KPAR_SCALAR_SQUARE_ROOT, *output, output);
}

/* --- attention --- */

/* Keys or values (batch, steps, heads, size), each head for as many heads of the queries as share it. */
static kpar_status shared_heads(kpar_lowering *lowering, int64_t heads, kpar_value_id *x)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, *x);
    const int64_t own = shape->rank == 4 ? shape->dims[2].size : 0;
    if (own < 1 || heads % own != 0)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: expected tensors (batch, steps, heads, size) and keys and values whose heads divide the "
            "%lld of the queries",
            lowering->owner, (long long)heads);
    return own == heads ? KPAR_OK : kpar_lower_repeat(lowering, 2, heads / own, false, *x, x);
}

/* Scores that are hidden, by the mask or because their key is later than the query, become very small. */
static kpar_status hide(kpar_lowering *lowering, kpar_value_id *scores)
{
    kpar_graph *g = lowering->graph;
    const double hidden = -0.7 * 3.4028234663852886e38; /* as in Keras */
    const kpar_shape shape = *kpar_lower_shape(lowering, *scores);
    const kpar_shape queries = {.rank = 2, .dims = {shape.dims[2], {1, false}}},
                     keys = {.rank = 1, .dims = {shape.dims[3]}};
    bool causal;
    kpar_value_id mask, terms[3] = {*scores};
    KPAR_TRY(kpar_operand_named(lowering, "mask", &mask));
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "is_causal", false, &causal));
    if (mask >= 0) KPAR_TRY(kpar_lower_kept_where(lowering, mask, terms[0], hidden, &terms[0]));
    *scores = terms[0];
    if (!causal) return KPAR_OK;
    KPAR_TRY(kpar_build_iota(g, 0, g->real, queries, &terms[1]));
    KPAR_TRY(kpar_build_iota(g, 0, g->real, keys, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x seen = kpar_x_le(e, kpar_x_input(e, 2), kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e,
                            kpar_x_select(e, seen, kpar_x_input(e, 0), kpar_x_constant(e, hidden)), terms, 3,
                            scores);
}

/* Of query, key and value with their heads apart. */
static KPAR_OPERATION(attention)
{
    kpar_value_id parts[3], bias, scale, scores;
    (void)n_inputs;
    for (int i = 0; i < 3; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &parts[i]));
    const kpar_shape query = *kpar_lower_shape(lowering, parts[0]);
    for (int i = 0; i < 3; i++)
        KPAR_TRY(shared_heads(lowering, query.rank == 4 ? query.dims[2].size : 0, &parts[i]));
    KPAR_TRY(kpar_operand_named(lowering, "scale", &scale));
    KPAR_TRY(kpar_operand_named(lowering, "bias", &bias));
    if (scale < 0)
        KPAR_TRY(kpar_build_constant(lowering->graph, 1 / sqrt((double)query.dims[3].size),
                                     (kpar_shape){.rank = 0}, &scale));
    KPAR_TRY(kpar_lower_product(lowering, "btnh", parts[0], "bsnh", parts[1], "bnts", &scores));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, scores, scale, &scores));
    if (bias >= 0) KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, scores, bias, &scores));
    KPAR_TRY(hide(lowering, &scores));
    KPAR_TRY(kpar_build_softmax(lowering->graph, scores, &scores));
    return kpar_lower_product(lowering, "bnts", scores, "bsnh", parts[2], "btnh", output);
}

static const kpar_layer_row rows[] = {
    {"Matmul", "products of matrices", "", "", .lower = matmul},
    {"Dot", "the last dimension with the last but one", "", "", .lower = dot},
    {"Inner", "the last dimension with the last", "", "", .lower = inner},
    {"Tensordot", "dimensions of one with those of the other", "axes", "", .lower = tensor_dot},
    {"Einsum", "sums of products by subscripts", "subscripts", "", .lower = einsum},
    {"DotProductAttention", "attention of queries to keys and values in heads", "is_causal", "",
     .lower = attention, .call_arguments = "bias mask scale"},
    {"CDist", "distances of rows", "", "", .lower = distances},
};

const kpar_operation_table kpar_operations_of_products = KPAR_OPERATION_TABLE(rows);
