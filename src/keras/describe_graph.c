/* The calls of a Functional's layers: a graph whose edges are (layer, call, output), put into an order in which inputs
 * come first. */
#include "keras/describe.h"

#include "base/text.h"
#include "model/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor as the config names it: output `tensor` of call `number` of a member. */
typedef struct source {
    size_t member;
    int64_t number, tensor;
    const char *argument; /* by which a call is given it; NULL: by its position */
} source;

/* A call before it has its place: it reads sources[first .. first + count), the first n_inputs of them by position. */
typedef struct node {
    size_t member, first, count, n_inputs;
    int input;          /* number of the model's input that it is; -1: none */
    const json_t *args; /* of an operation */
    const json_t *kwargs;
    bool placed;
    kpar_result result; /* once placed */
} node;

typedef struct graph {
    kpar_description *d;
    const kpar_scope *scope;
    kpar_expansion *call;
    size_t *first_node; /* of each member, and the end */
    node *nodes;
    size_t n_nodes, nodes_capacity;
    source *sources;
    size_t n_sources, sources_capacity;
    const char *owner;    /* of the member being read */
    const char *argument; /* by which its call is given what is read; NULL: by position */
    bool operation;       /* it is one: its arguments may be other things than tensors */
} graph;

static const char *owner_of(const graph *g, size_t member)
{
    return kpar_layer_owner(g->d, &g->d->layers[g->scope->members[member].layer]);
}

static kpar_status find_member(const graph *g, const char *name, size_t *member)
{
    for (size_t i = 0; name && i < g->scope->n_members; i++)
        if (strcmp(g->scope->members[i].name, name) == 0) {
            *member = i;
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
    s->argument = g->argument;
    return find_member(g, json_string_value(json_array_get(history, 0)), &s->member);
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
    if ((g->operation && !json_is_array(value)) || (g->argument && json_is_null(value))) return KPAR_OK;
    if (!json_is_array(value) || depth == DEEPEST)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: is called with an argument that is no output of a layer, which is not supported", g->owner);
    json_array_foreach(value, i, item) KPAR_TRY(collect(g, item, depth + 1));
    return KPAR_OK;
}

/* Whether there are tensors among them. */
static bool has_tensor(const json_t *value, int depth)
{
    size_t i;
    const json_t *item;
    if (depth < 0) return false;
    json_array_foreach(value, i, item) if (has_tensor(item, depth - 1)) return true;
    return is_tensor(value);
}

/* Arguments by name that have a position behind the `n` that were given by theirs. */
static kpar_status collect_positions(graph *g, const char *positions, size_t n, const json_t *kwargs)
{
    char name[64];
    for (const char *word = positions; *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, word);
        word += length;
        if (n > 0) {
            n--;
            continue;
        }
        const json_t *value = json_object_get(kwargs, name);
        if (!has_tensor(value, 2)) return KPAR_OK;
        KPAR_TRY(collect(g, value, 0));
    }
    return KPAR_OK;
}

/* Tensors among the other arguments by name; other things stay in kwargs. */
static kpar_status collect_named(graph *g, const char *positions, const json_t *kwargs)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)kwargs, key, value)
    {
        if (kpar_has_word(positions, key)) continue;
        g->argument = key;
        if (has_tensor(value, 2)) KPAR_TRY(collect(g, value, 0));
    }
    g->argument = NULL;
    return KPAR_OK;
}

/* A call as Keras 2 wrote it: [["layer", call, output, {arguments by name}], ...], tensors by their position alone. */
static kpar_status read_old_node(graph *g, node n, const json_t *inbound)
{
    size_t i;
    const json_t *history;
    json_array_foreach(inbound, i, history)
    {
        source s;
        KPAR_TRY(read_source(g, history, &s));
        KPAR_PUSH(g->sources, g->n_sources, g->sources_capacity) = s;
        if (json_array_get(history, 3)) n.kwargs = json_array_get(history, 3);
    }
    n.n_inputs = n.count = g->n_sources - n.first;
    if (n.n_inputs == 0) return kpar_fail(KPAR_EFORMAT, "%s: is called without input", g->owner);
    KPAR_PUSH(g->nodes, g->n_nodes, g->nodes_capacity) = n;
    return KPAR_OK;
}

static kpar_status read_node(graph *g, size_t member, const json_t *inbound)
{
    node n = {.member = member, .first = g->n_sources, .input = -1};
    const json_t *args = json_object_get(inbound, "args");
    if (json_is_array(inbound)) return read_old_node(g, n, inbound);
    if (!json_is_array(args))
        return kpar_fail(KPAR_EFORMAT, "%s: expected a call's args as a list, found something else",
                         g->owner);
    const char *positions = kpar_layer_positions(g->d->layers[g->scope->members[member].layer].row);
    KPAR_TRY(collect(g, args, 0));
    n.kwargs = json_object_get(inbound, "kwargs");
    n.args = g->operation ? args : NULL;
    if (!g->operation) KPAR_TRY(collect_positions(g, positions, json_array_size(args), n.kwargs));
    n.n_inputs = g->n_sources - n.first;
    KPAR_TRY(collect_named(g, positions, n.kwargs));
    n.count = g->n_sources - n.first;
    if (n.n_inputs == 0) return kpar_fail(KPAR_EFORMAT, "%s: is called without input", g->owner);
    KPAR_PUSH(g->nodes, g->n_nodes, g->nodes_capacity) = n;
    return KPAR_OK;
}

static kpar_status read_nodes(graph *g, size_t member)
{
    const json_t *inbound = json_object_get(g->scope->members[member].object, "inbound_nodes"), *item;
    size_t number;
    g->owner = owner_of(g, member);
    g->operation = g->d->layers[g->scope->members[member].layer].is_operation;
    g->first_node[member] = g->n_nodes;
    if (kpar_is_input(g->d, &g->scope->members[member])) {
        KPAR_PUSH(g->nodes, g->n_nodes, g->nodes_capacity) =
            (node){.member = member, .first = g->n_sources, .input = 0};
        return KPAR_OK;
    }
    if (json_array_size(inbound) == 0) return kpar_fail(KPAR_EFORMAT, "%s: is never called", g->owner);
    json_array_foreach(inbound, number, item) KPAR_TRY(read_node(g, member, item));
    return KPAR_OK;
}

/* Edges name members, so that names have to tell them apart. */
static kpar_status check_names(const graph *g)
{
    for (size_t i = 0; i < g->scope->n_members; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(g->scope->members[i].name, g->scope->members[k].name) == 0)
                return kpar_fail(KPAR_EFORMAT, "%s: another layer has the same name", owner_of(g, i));
    return KPAR_OK;
}

static kpar_status read_all_nodes(graph *g)
{
    for (size_t i = 0; i < g->scope->n_members; i++) KPAR_TRY(read_nodes(g, i));
    g->first_node[g->scope->n_members] = g->n_nodes;
    return KPAR_OK;
}

/* The node that makes a tensor; NULL: that member is not called so often. */
static node *node_of(const graph *g, const source *s)
{
    size_t first = g->first_node[s->member], end = g->first_node[s->member + 1];
    return s->number >= 0 && (uint64_t)s->number < end - first ? &g->nodes[first + (size_t)s->number] : NULL;
}

static kpar_status check_source(const graph *g, const source *s, const char *owner)
{
    if (node_of(g, s) && s->tensor >= 0 && s->tensor < INT32_MAX) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: refers to call %lld of layer '%s', which has no such call", owner,
                     (long long)s->number, g->scope->members[s->member].name);
}

static bool is_ready(const graph *g, const node *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (!node_of(g, &g->sources[n->first + i])->placed) return false;
    return true;
}

static kpar_status place(graph *g, node *n)
{
    const kpar_member *member = &g->scope->members[n->member];
    n->placed = true;
    if (n->input >= 0) return kpar_describe_input(g->d, member, g->call, n->input, &n->result);
    kpar_tensor_ref *inputs = kpar_arena_alloc(g->d->model->arena, n->n_inputs * sizeof *inputs);
    kpar_named_input *named = kpar_arena_alloc(g->d->model->arena, (n->count + 1) * sizeof *named);
    const kpar_arguments arguments = {.inputs = inputs,
                                      .n_inputs = (int)n->n_inputs,
                                      .named = named,
                                      .n_named = (int)(n->count - n->n_inputs),
                                      .args = n->args,
                                      .kwargs = n->kwargs};
    for (size_t i = 0; i < n->count; i++) {
        const source *s = &g->sources[n->first + i];
        kpar_tensor_ref *tensor = i < n->n_inputs ? &inputs[i] : &named[i - n->n_inputs].tensor;
        if (s->argument) named[i - n->n_inputs].name = s->argument;
        KPAR_TRY(kpar_describe_output(owner_of(g, n->member), &node_of(g, s)->result, s->tensor, tensor));
    }
    return kpar_describe_member(g->d, member, &arguments, &n->result);
}

/* Sweeps until all have a place. Layers stand by depth, so that one sweep does unless layers are shared. */
static kpar_status order(graph *g)
{
    size_t placed = 0, before;
    do {
        before = placed;
        for (size_t i = 0; i < g->n_nodes; i++)
            if (!g->nodes[i].placed && is_ready(g, &g->nodes[i])) {
                KPAR_TRY(place(g, &g->nodes[i]));
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
            KPAR_TRY(check_source(g, &g->sources[n->first + k], owner_of(g, n->member)));
    }
    return KPAR_OK;
}

/* An input or output of the model, before calls have their place. */
typedef struct end {
    const char *name;
    source source;
} end;

/* Here, and not between layers, Keras counts the calls of a Functional within from 1: the first is its own making. */
static kpar_status read_end(const graph *g, const char *key, const json_t *history, end *e)
{
    KPAR_TRY(read_source(g, history, &e->source));
    const kpar_scope *model = g->scope->members[e->source.member].model;
    e->source.number -= model && !model->sequential;
    KPAR_TRY(check_source(g, &e->source, g->owner));
    e->name = key ? key : g->scope->members[e->source.member].name;
    return KPAR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const end *)a)->name, ((const end *)b)->name);
}

/* input_layers or output_layers: one tensor, a list or a dict of them. Keras takes a dict's in the order of its keys,
 * in whichever order they were written. */
static kpar_status read_ends(graph *g, const char *what, end **ends, int *n)
{
    const json_t *all = json_object_get(g->scope->config, what), *item;
    bool single = json_is_string(json_array_get(all, 0));
    size_t count = single ? 1 : json_is_object(all) ? json_object_size(all) : json_array_size(all), i;
    g->owner = kpar_arena_printf(g->d->model->arena, "%s: %s", g->d->file, what);
    if (count == 0) return kpar_fail(KPAR_EFORMAT, "%s: expected at least one, found none", g->owner);
    end *e = *ends = kpar_arena_alloc(g->d->model->arena, count * sizeof **ends);
    *n = (int)count;
    if (single) return read_end(g, NULL, all, e);
    json_array_foreach(all, i, item) KPAR_TRY(read_end(g, NULL, item, e++));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, key, value) KPAR_TRY(read_end(g, key, value, e++));
    if (json_is_object(all)) qsort(*ends, count, sizeof **ends, by_name);
    return KPAR_OK;
}

/* Tells the input layers which input they are. */
static kpar_status number_inputs(graph *g, const end *inputs, int n)
{
    for (int i = 0; i < n; i++) {
        if (!kpar_is_input(g->d, &g->scope->members[inputs[i].source.member]))
            return kpar_fail(KPAR_EFORMAT, "%s: input '%s' is no InputLayer", g->d->file, inputs[i].name);
        node_of(g, &inputs[i].source)->input = i;
    }
    return KPAR_OK;
}

static kpar_status make_ports(const graph *g, const end *ends, int n, kpar_port **ports)
{
    *ports = kpar_arena_alloc(g->d->model->arena, (size_t)n * sizeof **ports);
    for (int i = 0; i < n; i++) {
        (*ports)[i].name = ends[i].name;
        KPAR_TRY(kpar_describe_output(g->owner, &node_of(g, &ends[i].source)->result, ends[i].source.tensor,
                                      &(*ports)[i].tensor));
    }
    return KPAR_OK;
}

static kpar_status build(graph *g)
{
    end *inputs, *outputs;
    KPAR_TRY(check_names(g));
    KPAR_TRY(read_all_nodes(g));
    KPAR_TRY(check_sources(g));
    KPAR_TRY(read_ends(g, "input_layers", &inputs, &g->call->n_inputs));
    KPAR_TRY(read_ends(g, "output_layers", &outputs, &g->call->n_outputs));
    KPAR_TRY(number_inputs(g, inputs, g->call->n_inputs));
    KPAR_TRY(order(g));
    KPAR_TRY(make_ports(g, inputs, g->call->n_inputs, &g->call->inputs));
    return make_ports(g, outputs, g->call->n_outputs, &g->call->outputs);
}

kpar_status kpar_describe_graph(kpar_description *d, const kpar_scope *scope, kpar_expansion *call)
{
    graph g = {.d = d, .scope = scope, .call = call, .owner = d->file};
    g.first_node = kpar_alloc_zeroed(scope->n_members + 1, sizeof *g.first_node);
    kpar_status status = build(&g);
    kpar_free(g.first_node);
    kpar_free(g.nodes);
    kpar_free(g.sources);
    return status;
}
