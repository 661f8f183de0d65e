/* Graphs made by hand, for unit tests: shapes from text, sources, and the values they are computed with. */
#ifndef KPAR_TESTS_GRAPH_FIXTURE_H
#define KPAR_TESTS_GRAPH_FIXTURE_H

#include "graph/build.h"
#include "graph/pass.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSERT_OK(call)                                                                                      \
    do {                                                                                                     \
        const kpar_status status_ = (call);                                                                  \
        ck_assert_msg(status_ == KPAR_OK, "%s: %s", #call, kpar_error_message());                            \
    } while (0)

/* That the call fails with this status and a message with both words. */
#define ASSERT_FAILS(call, expected, one, other)                                                             \
    do {                                                                                                     \
        const kpar_status status_ = (call);                                                                  \
        ck_assert_msg(status_ == (expected), "%s gave %s", #call, kpar_status_name(status_));                \
        ck_assert_msg(strstr(kpar_error_message(), one), "no '%s' in: %s", one, kpar_error_message());       \
        ck_assert_msg(strstr(kpar_error_message(), other), "no '%s' in: %s", other, kpar_error_message());   \
    } while (0)

/* "b 3 2b" is (batch, 3, 2·batch); "" is a scalar. */
static inline kpar_shape shape(const char *text)
{
    kpar_shape result = {0};
    while (*text) {
        char *end;
        kpar_dim d = {.size = *text == 'b' ? 1 : strtoll(text, &end, 10)};
        if (*text != 'b') text = end;
        d.batch = *text == 'b';
        text += d.batch + strspn(text + d.batch, " ");
        result.dims[result.rank++] = d;
    }
    return result;
}

static inline kpar_value_id source(kpar_graph *g, kpar_source kind, int index, kpar_dtype dtype,
                                   const char *dims)
{
    return kpar_graph_source(g, kind, index, dtype, shape(dims));
}

static inline kpar_value_id variable_of(kpar_graph *g, int index, const char *dims)
{
    return source(g, KPAR_FROM_VARIABLE, index, g->real, dims);
}

static inline kpar_value_id feature_of(kpar_graph *g, int index, const char *dims)
{
    return source(g, KPAR_FROM_FEATURE, index, g->real, dims);
}

static inline kpar_value_id unary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a)
{
    kpar_value_id y;
    ASSERT_OK(kpar_build_unary(g, op, a, &y));
    return y;
}

static inline kpar_value_id binary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a, kpar_value_id b)
{
    kpar_value_id y;
    ASSERT_OK(kpar_build_binary(g, op, a, b, &y));
    return y;
}

static inline kpar_value_id matmul(kpar_graph *g, kpar_value_id a, kpar_value_id b)
{
    kpar_value_id y;
    ASSERT_OK(kpar_build_matmul(g, a, false, b, false, &y));
    return y;
}

/* The sum of all elements. */
static inline kpar_value_id total(kpar_graph *g, kpar_value_id a)
{
    kpar_value_id y;
    ASSERT_OK(kpar_build_reduce(g, KPAR_REDUCE_SUM, (1u << g->values[a].shape.rank) - 1, a, &y));
    return y;
}

/* relu(x W + b) of layer `name`; its variables are `first` and first + 1. */
static inline kpar_value_id dense(kpar_graph *g, const char *name, int first, kpar_value_id x, int64_t units)
{
    char text[64];
    const kpar_shape *s = &g->values[x].shape;
    g->layer = name;
    snprintf(text, sizeof text, "%lld %lld", (long long)s->dims[s->rank - 1].size, (long long)units);
    kpar_value_id y = matmul(g, x, variable_of(g, first, text));
    snprintf(text, sizeof text, "%lld", (long long)units);
    y = binary(g, KPAR_SCALAR_ADD, y, variable_of(g, first + 1, text));
    return unary(g, KPAR_SCALAR_RELU, y);
}

static inline int count_ops(const kpar_graph *g, kpar_op_kind kind)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++) n += g->ops[i].kind == (int)kind;
    return n;
}

/* The only op of this kind. */
static inline const kpar_op *only_op(const kpar_graph *g, kpar_op_kind kind)
{
    ck_assert_int_eq(count_ops(g, kind), 1);
    size_t i = 0;
    while (g->ops[i].kind != (int)kind) i++;
    return &g->ops[i];
}

/* A number in (-1, 1), different for each value and element, the same in every run. */
static inline double number_of(const kpar_value *v, int64_t element)
{
    const double seed = 12.9898 * (double)(element + 1) + 78.233 * (double)(v->index + 1);
    const double x = sin(seed + 37.719 * (double)v->source) * 43758.5453;
    return 2 * (x - floor(x)) - 1;
}

/* For an evaluation: integers are 0, 1, 2, 0, 1 ...; other sources are numbers in (-1, 1). */
static inline void fill_source(void *context, const kpar_value *v, double *elements, int64_t count)
{
    (void)context;
    const bool integer = v->dtype == KPAR_I32 || v->dtype == KPAR_I64;
    for (int64_t i = 0; i < count; i++) elements[i] = integer ? (double)(i % 3) : number_of(v, i);
}

#endif
