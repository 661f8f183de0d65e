/* The calls of a model's layers: a chain, or a graph whose edges are (layer, call, output), put into an order
 * in which inputs come first. */
#include "keras/describe.h"

#include <stdlib.h>
#include <string.h>

static bool is_input(const kpar_layer *layer) { return strcmp(layer->class_name, "InputLayer") == 0; }

static kpar_port *one_port(kpar_arena *arena, const char *name, kpar_tensor_ref tensor)
{
    return kpar_arena_copy(arena, &(kpar_port){name, tensor}, sizeof(kpar_port));
}

kpar_status kpar_describe_chain(kpar_description *d, const kpar_scope *scope)
{
    kpar_model *model = d->model;
    const kpar_layer *layers = d->layers + scope->first;
    if (!is_input(&layers[0]))
        return kpar_fail(
            KPAR_EFORMAT,
            "%s: the shape of the input is not known; build the model in Keras (model.build) before saving",
            d->file);
    for (size_t i = 0; i < scope->count; i++) {
        kpar_call call = {.layer = (int)(scope->first + i), .n_inputs = i > 0};
        if (i > 0)
            call.inputs = kpar_arena_copy(model->arena, &(kpar_tensor_ref){(int)d->n_calls - 1, 0},
                                          sizeof(kpar_tensor_ref));
        KPAR_PUSH(d->calls, d->n_calls, d->calls_capacity) = call;
    }
    model->n_inputs = model->n_outputs = 1;
    model->inputs = one_port(model->arena, layers[0].name, (kpar_tensor_ref){0, 0});
    model->outputs =
        one_port(model->arena, layers[scope->count - 1].name, (kpar_tensor_ref){(int)d->n_calls - 1, 0});
    return KPAR_OK;
}

/* A tensor as the config names it: output `tensor` of call `number` of a layer. */
typedef struct source {
    size_t layer;
    int64_t number, tensor;
} source;

/* A call before it has its place: its inputs are sources[first .. first + count). */
typedef struct node {
    size_t layer, first, count;
    int number;
    int call; /* its place; -1: none yet */
} node;

typedef struct graph {
    kpar_description *d;
    const kpar_scope *scope;
    size_t *first_node; /* of each layer of the scope, and the end */
    node *nodes;
    size_t n_nodes, nodes_capacity;
    source *sources;
    size_t n_sources, sources_capacity;
    const char *owner; /* of the layer being read */
} graph;

static kpar_status find_layer(const graph *g, const char *name, size_t *layer)
{
    for (size_t i = g->scope->first; name && i < g->scope->first + g->scope->count; i++)
        if (strcmp(g->d->layers[i].name, name) == 0) {
            *layer = i;
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EFORMAT, "%s: refers to layer '%s', which the model has not", g->owner,
                     name ? name : "?");
}

/* ["name", call, output] */
static kpar_status read_source(const graph *g, const json_t *history, source *s)
{
    const json_t *number = json_array_get(history, 1), *tensor = json_array_get(history, 2);
    if (!json_is_string(json_array_get(history, 0)) || !json_is_integer(number) || !json_is_integer(tensor))
        return kpar_fail(KPAR_EFORMAT, "%s: expected a tensor as [layer, call, output], found something else",
                         g->owner);
    s->number = json_integer_value(number);
    s->tensor = json_integer_value(tensor);
    return find_layer(g, json_string_value(json_array_get(history, 0)), &s->layer);
}

static bool is_tensor(const json_t *value)
{
    const char *class_name = json_string_value(json_object_get(value, "class_name"));
    return class_name && strcmp(class_name, "__keras_tensor__") == 0;
}

/* Tensors among arguments, which may be in lists, in lists. */
static kpar_status collect(graph *g, const json_t *value, int depth)
{
    enum { DEEPEST = 8 };
    size_t i;
    const json_t *item;
    if (is_tensor(value)) {
        source s;
        KPAR_TRY(read_source(g, json_object_get(json_object_get(value, "config"), "keras_history"), &s));
        KPAR_PUSH(g->sources, g->n_sources, g->sources_capacity) = s;
        return KPAR_OK;
    }
    if (!json_is_array(value) || depth == DEEPEST)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: is called with an argument that is no output of a layer, which is not supported", g->owner);
    json_array_foreach(value, i, item) KPAR_TRY(collect(g, item, depth + 1));
    return KPAR_OK;
}

/* A stored `training` is a default that fit and predict override; a mask of null is none. */
static kpar_status check_kwargs(const graph *g, const json_t *kwargs)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)kwargs, key, value)
    {
        if (json_is_null(value) || strcmp(key, "training") == 0) continue;
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is called with %s, which is not supported", g->owner, key);
    }
    return KPAR_OK;
}

static kpar_status read_node(graph *g, size_t layer, int number, const json_t *inbound)
{
    node n = {.layer = layer, .first = g->n_sources, .number = number, .call = -1};
    const json_t *args = json_object_get(inbound, "args");
    if (!json_is_array(args))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: is called in the way of Keras 2; load and save the model with Keras 3",
                         g->owner);
    KPAR_TRY(collect(g, args, 0));
    KPAR_TRY(check_kwargs(g, json_object_get(inbound, "kwargs")));
    n.count = g->n_sources - n.first;
    if (n.count == 0) return kpar_fail(KPAR_EFORMAT, "%s: is called without input", g->owner);
    KPAR_PUSH(g->nodes, g->n_nodes, g->nodes_capacity) = n;
    return KPAR_OK;
}

static kpar_status read_nodes(graph *g, size_t layer, const json_t *object)
{
    const json_t *inbound = json_object_get(object, "inbound_nodes"), *item;
    size_t number;
    g->owner = kpar_layer_owner(g->d, &g->d->layers[layer]);
    g->first_node[layer - g->scope->first] = g->n_nodes;
    if (is_input(&g->d->layers[layer])) {
        KPAR_PUSH(g->nodes, g->n_nodes, g->nodes_capacity) =
            (node){.layer = layer, .first = g->n_sources, .call = -1};
        return KPAR_OK;
    }
    if (json_array_size(inbound) == 0) return kpar_fail(KPAR_EFORMAT, "%s: is never called", g->owner);
    json_array_foreach(inbound, number, item) KPAR_TRY(read_node(g, layer, (int)number, item));
    return KPAR_OK;
}

/* Edges name layers, so that names have to tell them apart. */
static kpar_status check_names(const graph *g)
{
    const kpar_layer *first = &g->d->layers[g->scope->first], *end = first + g->scope->count;
    for (const kpar_layer *layer = first; layer < end; layer++)
        for (const kpar_layer *other = first; other < layer; other++)
            if (strcmp(layer->name, other->name) == 0)
                return kpar_fail(KPAR_EFORMAT, "%s: another layer has the same name",
                                 kpar_layer_owner(g->d, layer));
    return KPAR_OK;
}

static kpar_status read_all_nodes(graph *g)
{
    const json_t *layers = json_object_get(g->scope->config, "layers"), *object;
    size_t i;
    json_array_foreach(layers, i, object) KPAR_TRY(read_nodes(g, g->scope->first + i, object));
    g->first_node[g->scope->count] = g->n_nodes;
    return KPAR_OK;
}

/* The node that makes a tensor; NULL: that layer is not called so often. */
static const node *node_of(const graph *g, const source *s)
{
    size_t layer = s->layer - g->scope->first, first = g->first_node[layer], end = g->first_node[layer + 1];
    return s->number >= 0 && (uint64_t)s->number < end - first ? &g->nodes[first + (size_t)s->number] : NULL;
}

static kpar_status check_source(const graph *g, const source *s, const char *owner)
{
    if (node_of(g, s) && s->tensor >= 0 && s->tensor < INT32_MAX) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: refers to call %lld of layer '%s', which has no such call", owner,
                     (long long)s->number, g->d->layers[s->layer].name);
}

static bool is_ready(const graph *g, const node *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (node_of(g, &g->sources[n->first + i])->call < 0) return false;
    return true;
}

static void place(graph *g, node *n)
{
    kpar_description *d = g->d;
    kpar_call call = {.layer = (int)n->layer, .number = n->number, .n_inputs = (int)n->count};
    call.inputs = kpar_arena_alloc(d->model->arena, n->count * sizeof *call.inputs);
    for (size_t i = 0; i < n->count; i++) {
        const source *s = &g->sources[n->first + i];
        call.inputs[i] = (kpar_tensor_ref){node_of(g, s)->call, (int)s->tensor};
    }
    n->call = (int)d->n_calls;
    KPAR_PUSH(d->calls, d->n_calls, d->calls_capacity) = call;
}

/* Sweeps until all have a place. Layers stand by depth, so that one sweep does unless layers are shared. */
static kpar_status order(graph *g)
{
    size_t placed = 0, before;
    do {
        before = placed;
        for (size_t i = 0; i < g->n_nodes; i++)
            if (g->nodes[i].call < 0 && is_ready(g, &g->nodes[i])) {
                place(g, &g->nodes[i]);
                placed++;
            }
    } while (placed > before && placed < g->n_nodes);
    return placed == g->n_nodes
               ? KPAR_OK
               : kpar_fail(KPAR_EFORMAT, "%s: layers feed each other in a circle", g->d->file);
}

static kpar_status check_sources(const graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const node *n = &g->nodes[i];
        for (size_t k = 0; k < n->count; k++)
            KPAR_TRY(
                check_source(g, &g->sources[n->first + k], kpar_layer_owner(g->d, &g->d->layers[n->layer])));
    }
    return KPAR_OK;
}

static kpar_status read_port(const graph *g, const char *key, const json_t *history, kpar_port *port)
{
    source s;
    KPAR_TRY(read_source(g, history, &s));
    KPAR_TRY(check_source(g, &s, g->owner));
    *port = (kpar_port){key ? key : g->d->layers[s.layer].name, {node_of(g, &s)->call, (int)s.tensor}};
    return KPAR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const kpar_port *)a)->name, ((const kpar_port *)b)->name);
}

/* input_layers or output_layers: one tensor, a list or a dict of them. Keras takes a dict's in the order of its keys,
 * in whichever order they were written. */
static kpar_status read_ports(graph *g, const char *what, kpar_port **ports, int *n)
{
    const json_t *all = json_object_get(g->scope->config, what), *item;
    bool single = json_is_string(json_array_get(all, 0));
    size_t count = single ? 1 : json_is_object(all) ? json_object_size(all) : json_array_size(all), i;
    g->owner = kpar_arena_printf(g->d->model->arena, "%s: %s", g->d->file, what);
    if (count == 0) return kpar_fail(KPAR_EFORMAT, "%s: expected at least one, found none", g->owner);
    kpar_port *port = *ports = kpar_arena_alloc(g->d->model->arena, count * sizeof **ports);
    *n = (int)count;
    if (single) return read_port(g, NULL, all, port);
    json_array_foreach(all, i, item) KPAR_TRY(read_port(g, NULL, item, port++));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, key, value) KPAR_TRY(read_port(g, key, value, port++));
    if (json_is_object(all)) qsort(*ports, count, sizeof **ports, by_name);
    return KPAR_OK;
}

static kpar_status check_inputs(const graph *g)
{
    const kpar_model *model = g->d->model;
    for (int i = 0; i < model->n_inputs; i++)
        if (!is_input(&g->d->layers[g->d->calls[model->inputs[i].tensor.call].layer]))
            return kpar_fail(KPAR_EFORMAT, "%s: input '%s' is no InputLayer", g->d->file,
                             model->inputs[i].name);
    return KPAR_OK;
}

static kpar_status build(graph *g)
{
    kpar_model *model = g->d->model;
    KPAR_TRY(check_names(g));
    KPAR_TRY(read_all_nodes(g));
    KPAR_TRY(check_sources(g));
    KPAR_TRY(order(g));
    KPAR_TRY(read_ports(g, "input_layers", &model->inputs, &model->n_inputs));
    KPAR_TRY(read_ports(g, "output_layers", &model->outputs, &model->n_outputs));
    return check_inputs(g);
}

kpar_status kpar_describe_graph(kpar_description *d, const kpar_scope *scope)
{
    graph g = {.d = d, .scope = scope, .owner = d->file};
    g.first_node = kpar_alloc_zeroed(scope->count + 1, sizeof *g.first_node);
    kpar_status status = build(&g);
    kpar_free(g.first_node);
    kpar_free(g.nodes);
    kpar_free(g.sources);
    return status;
}
