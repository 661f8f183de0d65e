/* EinsumDense: sums of products of an input and a kernel, whose dimensions letters name. */
#include "model/lower_internal.h"

#include <string.h>

/* What the equation says: a letter for each dimension. Those that "..." stands for have numbers as letters. */
typedef struct einsum {
    char x[KPAR_MAX_RANK + 1], kernel[KPAR_MAX_RANK + 1], y[KPAR_MAX_RANK + 1];
    int elided; /* dimensions that "..." stands for */
    bool left;  /* it stands in front */
    kpar_shape x_shape, y_shape;
    const char *equation;
} einsum;

static kpar_status refuse(const kpar_lowering *lowering, const char *equation)
{
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'equation': expected a form like abc,cd->abd, ...ab,bc->...ac or "
                     "ab...,bc->ac..., whose letters are each in two of its parts, found %s",
                     lowering->owner, equation);
}

/* Letters of one part of `length`, with `elided` numbers in the place of "..."; false: it is none. */
static bool read_part(const char *part, size_t length, int elided, char *letters, bool *left)
{
    int n = 0;
    for (size_t i = 0; i < length; i++) {
        const bool dots = length - i >= 3 && strncmp(part + i, "...", 3) == 0;
        if (dots && i != 0 && i + 3 != length) return false;
        for (int k = 0; dots && k < elided && n < KPAR_MAX_RANK; k++) letters[n++] = (char)(k + 1);
        if (dots) {
            *left = i == 0;
            i += 2;
            continue;
        }
        const bool letter = (part[i] >= 'a' && part[i] <= 'z') || (part[i] >= 'A' && part[i] <= 'Z');
        if (!letter || n == KPAR_MAX_RANK || memchr(letters, part[i], (size_t)n)) return false;
        letters[n++] = part[i];
    }
    letters[n] = '\0';
    return n > 0;
}

static kpar_status read_equation(const kpar_lowering *lowering, einsum *s)
{
    bool left = false;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "equation", "", &s->equation));
    const char *comma = strchr(s->equation, ','), *arrow = comma ? strstr(comma, "->") : NULL;
    if (!arrow) return refuse(lowering, s->equation);
    const size_t length = (size_t)(comma - s->equation);
    const bool dots = memmem(s->equation, length, "...", 3) != NULL;
    s->elided = dots ? s->x_shape.rank - (int)(length - 3) : 0;
    if (s->elided < 0 || !read_part(s->equation, length, s->elided, s->x, &s->left) ||
        !read_part(comma + 1, (size_t)(arrow - comma - 1), 0, s->kernel, &left) ||
        !read_part(arrow + 2, strlen(arrow + 2), s->elided, s->y, &left))
        return refuse(lowering, s->equation);
    if ((int)strlen(s->x) != s->x_shape.rank)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'equation' is %s, and its input has %d dimensions",
                         lowering->owner, s->equation, s->x_shape.rank);
    for (const char *c = s->x; *c; c++)
        if (!strchr(s->y, *c) == !strchr(s->kernel, *c)) return refuse(lowering, s->equation);
    for (const char *c = s->kernel; *c; c++)
        if (!strchr(s->y, *c) == !strchr(s->x, *c)) return refuse(lowering, s->equation);
    return s->y[0] == s->x[0] ? KPAR_OK : refuse(lowering, s->equation); /* the batch stays in front */
}

/* Sizes of the result: those of the input, and of new letters what output_shape says behind batch and "...". */
static kpar_status read_shape(const kpar_lowering *lowering, einsum *s)
{
    const json_t *given = json_object_get(lowering->layer->config, "output_shape");
    s->y_shape.rank = (int)strlen(s->y);
    for (int i = 0; i < s->y_shape.rank; i++) {
        const char *known = strchr(s->x, s->y[i]);
        const int at = i - 1 - (s->left && s->elided > 0 ? s->elided - 1 : 0);
        const json_t *size =
            json_is_array(given) ? (at < 0 ? NULL : json_array_get(given, (size_t)at)) : given;
        s->y_shape.dims[i] =
            known ? s->x_shape.dims[known - s->x] : (kpar_dim){json_integer_value(size), false};
        if (s->y_shape.dims[i].size < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'output_shape': expected a size for '%c' of %s",
                             lowering->owner, s->y[i], s->equation);
    }
    return KPAR_OK;
}

static kpar_dim size_of(const einsum *s, char letter)
{
    const char *at = strchr(s->x, letter);
    return at ? s->x_shape.dims[at - s->x] : s->y_shape.dims[strchr(s->y, letter) - s->y];
}

/* The letters of `from` that are in `other`, or not, appended to `to`. */
static void choose(const char *from, const char *other, bool in, char *to)
{
    size_t n = strlen(to);
    for (; *from; from++)
        if ((strchr(other, *from) != NULL) == in) to[n++] = *from;
    to[n] = '\0';
}

/* Dimensions with letters `from` in the order `to`. */
static kpar_status arrange(kpar_lowering *lowering, const char *from, const char *to, kpar_value_id *value)
{
    int order[KPAR_MAX_RANK];
    for (int i = 0; to[i]; i++) order[i] = (int)(strchr(from, to[i]) - from);
    return kpar_build_transpose(lowering->graph, order, *value, value);
}

static int64_t count(const einsum *s, const char *letters)
{
    int64_t product = 1;
    for (; *letters; letters++) product *= size_of(s, *letters).size;
    return product;
}

/* + bias, of the dimensions that bias_axes names from the first of these on. */
static kpar_status add_bias(kpar_lowering *lowering, const einsum *s, kpar_value_id *y)
{
    const char *axes;
    kpar_value_id bias;
    kpar_weight weight = {.name = "bias", .initializer = "bias_initializer", .by_default = "Zeros"};
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "bias_axes", "", &axes));
    if (!*axes) return KPAR_OK;
    for (const char *c = s->y; *c; c++)
        if (weight.rank > 0 || strchr(axes, *c))
            weight.dims[weight.rank++] = strchr(axes, *c) ? size_of(s, *c).size : 1;
    if (weight.rank == 0 || strchr(axes, s->y[0]))
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'bias_axes': %s names no dimensions behind the batch of %s",
                         lowering->owner, axes, s->equation);
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &bias));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, *y, bias, y);
}

/* One product of matrices: what stays of the input by what is summed, times that by what is new. */
static kpar_status multiply(kpar_lowering *lowering, const einsum *s, kpar_value_id x, kpar_value_id kernel,
                            kpar_value_id *y)
{
    kpar_graph *g = lowering->graph;
    char kept[KPAR_MAX_RANK + 1] = "", summed[KPAR_MAX_RANK + 1] = "", made[2 * KPAR_MAX_RANK + 1] = "",
         left[2 * KPAR_MAX_RANK + 1], right[2 * KPAR_MAX_RANK + 1];
    choose(s->x, s->y, true, kept);
    choose(s->kernel, s->x, true, summed);
    strcpy(left, kept);
    choose(summed, summed, true, left);
    strcpy(right, summed);
    choose(s->kernel, s->x, false, right);
    strcpy(made, kept);
    choose(s->kernel, s->x, false, made);
    const int64_t n = count(s, summed);
    const kpar_shape rows = {.rank = 2, .dims = {{count(s, kept), true}, {n, false}}};
    const kpar_shape columns = {.rank = 2, .dims = {{n, false}, {count(s, s->kernel) / n, false}}};
    kpar_shape result = {.rank = s->y_shape.rank};
    for (int i = 0; made[i]; i++) result.dims[i] = size_of(s, made[i]);
    KPAR_TRY(arrange(lowering, s->x, left, &x));
    KPAR_TRY(kpar_build_reshape(g, rows, x, &x));
    KPAR_TRY(arrange(lowering, s->kernel, right, &kernel));
    KPAR_TRY(kpar_build_reshape(g, columns, kernel, &kernel));
    KPAR_TRY(kpar_build_matmul(g, x, false, kernel, false, y));
    KPAR_TRY(kpar_build_reshape(g, result, *y, y));
    return arrange(lowering, made, s->y, y);
}

KPAR_LAYER(einsum_dense)
{
    einsum s = {.elided = 0};
    kpar_value_id x, kernel;
    kpar_weight weight = {
        .name = "kernel", .initializer = "kernel_initializer", .by_default = "GlorotUniform"};
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    s.x_shape = *kpar_lower_shape(lowering, x);
    KPAR_TRY(read_equation(lowering, &s));
    KPAR_TRY(read_shape(lowering, &s));
    for (const char *c = s.kernel; *c; c++) weight.dims[weight.rank++] = size_of(&s, *c).size;
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &kernel));
    KPAR_TRY(multiply(lowering, &s, x, kernel, &x));
    KPAR_TRY(add_bias(lowering, &s, &x));
    return kpar_lower_activation(lowering, json_object_get(lowering->layer->config, "activation"), x, output);
}
