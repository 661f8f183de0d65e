/* EinsumDense: sums of products of an input and a kernel, whose dimensions letters name. */
#include "model/einsum.h"

#include <string.h>

typedef struct equation {
    kpar_einsum letters; /* of the input, the kernel and the result */
    bool left;           /* "..." stands in front */
    kpar_shape x_shape, y_shape;
    const char *text;
} equation;

static kpar_status refuse(const kpar_lowering *lowering, const equation *s)
{
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'equation': expected a form like abc,cd->abd, ...ab,bc->...ac or "
                     "ab...,bc->ac..., whose kernel's letters are in the other parts, found %s for an input "
                     "of %d dimensions",
                     lowering->owner, s->text, s->x_shape.rank);
}

static kpar_status read_equation(const kpar_lowering *lowering, equation *s)
{
    const int ranks[] = {s->x_shape.rank, 0};
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "equation", "", &s->text));
    const char *x = s->letters.operands[0], *kernel = s->letters.operands[1], *y = s->letters.result;
    s->left = strncmp(s->text, "...", 3) == 0;
    if (!kpar_einsum_read(s->text, ranks, 2, &s->letters) || x[0] != y[0]) /* the batch stays in front */
        return refuse(lowering, s);
    for (const char *c = kernel; *c; c++)
        if (!strchr(x, *c) && !strchr(y, *c)) return refuse(lowering, s);
    return KPAR_OK;
}

/* Sizes of the result: those of the input, and of new letters what output_shape says behind batch and "...". */
static kpar_status read_shape(const kpar_lowering *lowering, equation *s)
{
    const json_t *given = json_object_get(lowering->layer->config, "output_shape");
    const char *x = s->letters.operands[0], *y = s->letters.result;
    const int elided = s->letters.elided;
    s->y_shape.rank = (int)strlen(y);
    for (int i = 0; i < s->y_shape.rank; i++) {
        const char *known = strchr(x, y[i]);
        const int at = i - 1 - (s->left && elided > 0 ? elided - 1 : 0);
        const json_t *size =
            json_is_array(given) ? (at < 0 ? NULL : json_array_get(given, (size_t)at)) : given;
        s->y_shape.dims[i] = known ? s->x_shape.dims[known - x] : (kpar_dim){json_integer_value(size), false};
        if (s->y_shape.dims[i].size < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'output_shape': expected a size for '%c' of %s",
                             lowering->owner, y[i], s->text);
    }
    return KPAR_OK;
}

static kpar_dim size_of(const equation *s, char letter)
{
    const char *x = s->letters.operands[0], *at = strchr(x, letter);
    return at ? s->x_shape.dims[at - x]
              : s->y_shape.dims[strchr(s->letters.result, letter) - s->letters.result];
}

/* + bias, of the dimensions that bias_axes names from the first of these on. */
static kpar_status add_bias(kpar_lowering *lowering, const equation *s, kpar_value_id *y)
{
    const char *axes;
    kpar_value_id bias;
    kpar_weight weight = {.name = "bias", .initializer = "bias_initializer", .by_default = "Zeros"};
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "bias_axes", "", &axes));
    if (!*axes) return KPAR_OK;
    for (const char *c = s->letters.result; *c; c++)
        if (weight.rank > 0 || strchr(axes, *c))
            weight.dims[weight.rank++] = strchr(axes, *c) ? size_of(s, *c).size : 1;
    if (weight.rank == 0 || strchr(axes, s->letters.result[0]))
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'bias_axes': %s names no dimensions behind the batch of %s",
                         lowering->owner, axes, s->text);
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &bias));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, *y, bias, y);
}

KPAR_LAYER(einsum_dense)
{
    equation s = {.left = false};
    kpar_value_id operands[2], x;
    kpar_weight weight = {
        .name = "kernel", .initializer = "kernel_initializer", .by_default = "GlorotUniform"};
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &operands[0]));
    s.x_shape = *kpar_lower_shape(lowering, operands[0]);
    KPAR_TRY(read_equation(lowering, &s));
    KPAR_TRY(read_shape(lowering, &s));
    for (const char *c = s.letters.operands[1]; *c; c++) weight.dims[weight.rank++] = size_of(&s, *c).size;
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &operands[1]));
    KPAR_TRY(kpar_lower_einsum(lowering, &s.letters, operands, &x));
    KPAR_TRY(add_bias(lowering, &s, &x));
    return kpar_lower_activation(lowering, json_object_get(lowering->layer->config, "activation"), x, output);
}
