/* Graphs: creation, sources, appending ops, states and outputs. */
#include "graph/op.h"

#include <stdio.h>
#include <string.h>

const char *kpar_part_name(kpar_part part)
{
    static const char *const names[KPAR_PART_COUNT] = {"forward", "backward", "backward-weight"};
    return (unsigned)part < KPAR_PART_COUNT ? names[part] : "?";
}

const char *kpar_phase_name(kpar_phase phase)
{
    static const char *const names[] = {
#define KPAR_PHASE_NAME(constant, name) name,
        KPAR_PHASE_LIST(KPAR_PHASE_NAME)
#undef KPAR_PHASE_NAME
    };
    return (unsigned)phase < KPAR_PHASE_COUNT ? names[phase] : "?";
}

static kpar_graph *create(kpar_arena *arena, int *arena_users, kpar_dtype real)
{
    kpar_graph *graph = kpar_alloc_zeroed(1, sizeof *graph);
    *graph = (kpar_graph){
        .arena = arena,
        .arena_users = arena_users,
        .phase = KPAR_PHASE_MICROBATCH,
        .part = KPAR_FORWARD,
        .forward = -1,
        .stage = -1,
        .layer = "",
        .real = real,
    };
    ++*arena_users;
    return graph;
}

kpar_graph *kpar_graph_create(kpar_dtype real)
{
    kpar_arena *arena = kpar_arena_create();
    return create(arena, kpar_arena_alloc(arena, sizeof(int)), real);
}

kpar_graph *kpar_graph_create_like(const kpar_graph *graph)
{
    return create(graph->arena, graph->arena_users, graph->real);
}

void kpar_graph_destroy(kpar_graph *graph)
{
    if (!graph) return;
    if (--*graph->arena_users == 0) kpar_arena_destroy(graph->arena);
    kpar_free(graph->values);
    kpar_free(graph->ops);
    kpar_free(graph->states);
    kpar_free(graph->outputs);
    for (int i = 0; i < KPAR_SOURCE_COUNT; i++) kpar_free(graph->known.sources[i].values);
    kpar_free(graph->known.states);
    kpar_free(graph);
}

kpar_shape kpar_shape_of(int rank, const kpar_dim *dims)
{
    kpar_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++) shape.dims[i] = dims[i];
    return shape;
}

bool kpar_shape_equal(const kpar_shape *a, const kpar_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i].size != b->dims[i].size || a->dims[i].batch != b->dims[i].batch) return false;
    return true;
}

const char *kpar_shape_format(char text[KPAR_SHAPE_TEXT], const kpar_shape *shape)
{
    size_t used = (size_t)snprintf(text, KPAR_SHAPE_TEXT, "(");
    for (int i = 0; i < shape->rank && used < KPAR_SHAPE_TEXT - 32; i++) {
        kpar_dim d = shape->dims[i];
        const char *separator = i ? ", " : "";
        char *end = text + used;
        size_t room = KPAR_SHAPE_TEXT - used;
        if (!d.batch)
            used += (size_t)snprintf(end, room, "%s%lld", separator, (long long)d.size);
        else if (d.size == 1)
            used += (size_t)snprintf(end, room, "%sbatch", separator);
        else
            used += (size_t)snprintf(end, room, "%s%lld·batch", separator, (long long)d.size);
    }
    snprintf(text + used, KPAR_SHAPE_TEXT - used, ")");
    return text;
}

void kpar_shard_range(kpar_placement shard, int64_t rows, int shards, int index, int64_t *first,
                      int64_t *count)
{
    if (shard.owner >= 0) {
        *first = 0;
        *count = shard.owner == index ? rows : 0;
        return;
    }
    int64_t share = (rows + shards - 1) / shards;
    *first = share * index < rows ? share * index : rows;
    *count = rows - *first < share ? rows - *first : share;
}

static kpar_value_id add_value(kpar_graph *graph, kpar_value value)
{
    KPAR_PUSH(graph->values, graph->n_values, graph->values_capacity) = value;
    return (kpar_value_id)graph->n_values - 1;
}

/* Room in `numbers` for [index], with zeros behind what was there. */
static int *room_for(int **numbers, size_t *capacity, size_t index)
{
    if (index >= *capacity) {
        const size_t before = *capacity;
        *capacity = 2 * index + 16;
        *numbers = kpar_realloc(*numbers, *capacity * sizeof **numbers);
        memset(*numbers + before, 0, (*capacity - before) * sizeof **numbers);
    }
    return &(*numbers)[index];
}

static int *known_source(kpar_graph *graph, kpar_source source, int index)
{
    return room_for(&graph->known.sources[source].values, &graph->known.sources[source].capacity,
                    (size_t)index);
}

/* Passes append values themselves: those that have come since the last time. */
static void learn_sources(kpar_graph *graph)
{
    for (; graph->known.n_values < graph->n_values; graph->known.n_values++) {
        const kpar_value *v = &graph->values[graph->known.n_values];
        if (v->op >= 0) continue;
        int *known = known_source(graph, v->source, v->index);
        if (!*known) *known = (int)graph->known.n_values + 1;
    }
}

kpar_value_id kpar_graph_source(kpar_graph *graph, kpar_source source, int index, kpar_dtype dtype,
                                kpar_shape shape)
{
    learn_sources(graph);
    const int known = *known_source(graph, source, index);
    if (known) return known - 1;
    return add_value(graph, (kpar_value){
                                .dtype = dtype,
                                .shape = shape,
                                .phase = source == KPAR_FROM_VARIABLE || source == KPAR_FROM_COPY
                                             ? KPAR_PHASE_STATE
                                             : KPAR_PHASE_FACTS_ROWS,
                                .source = source,
                                .index = index,
                                .op = -1,
                                .layer = graph->layer,
                            });
}

kpar_status kpar_graph_append(kpar_graph *graph, kpar_op_kind kind, const kpar_value_id *inputs, int n_inputs,
                              const kpar_attributes *attributes, kpar_value_id *first_output)
{
    static const kpar_attributes none;
    if (!attributes) attributes = &none;
    const kpar_op_row *row = kpar_op_row_get(kind);
    kpar_dtype dtypes[KPAR_OP_OUTPUTS];
    kpar_shape shapes[KPAR_OP_OUTPUTS];
    int n_outputs = 1;
    kpar_status status = row->shape(graph, inputs, n_inputs, attributes, dtypes, shapes, &n_outputs);
    if (status != KPAR_OK) return kpar_fail_in(status, "layer '%s': %s", graph->layer, row->name);

    kpar_value_id *outputs = kpar_arena_alloc(graph->arena, (size_t)n_outputs * sizeof *outputs);
    for (int i = 0; i < n_outputs; i++)
        outputs[i] = add_value(graph, (kpar_value){
                                          .dtype = dtypes[i],
                                          .shape = shapes[i],
                                          .phase = graph->phase,
                                          .source = KPAR_FROM_OP,
                                          .op = (kpar_op_id)graph->n_ops,
                                          .layer = graph->layer,
                                      });
    KPAR_PUSH(graph->ops, graph->n_ops, graph->ops_capacity) = (kpar_op){
        .kind = (int)kind,
        .n_inputs = n_inputs,
        .n_outputs = n_outputs,
        .inputs = kpar_arena_copy(graph->arena, inputs, (size_t)n_inputs * sizeof *inputs),
        .outputs = outputs,
        .attributes = *attributes,
        .phase = graph->phase,
        .part = graph->part,
        .stage = graph->stage,
        .forward = graph->forward,
        .layer = graph->layer,
    };
    if (first_output) *first_output = n_outputs ? outputs[0] : -1;
    return KPAR_OK;
}

kpar_value_id kpar_graph_next_state(const kpar_graph *graph, kpar_value_id value)
{
    const int known = (size_t)value < graph->known.states_capacity ? graph->known.states[value] : 0;
    return known ? graph->states[known - 1].next : value;
}

void kpar_graph_set_state(kpar_graph *graph, kpar_value_id value, kpar_value_id next)
{
    kpar_graph_set_state_at(graph, value, next, -1);
}

void kpar_graph_set_state_at(kpar_graph *graph, kpar_value_id value, kpar_value_id next, int place)
{
    const kpar_value *v = &graph->values[value];
    int *known = room_for(&graph->known.states, &graph->known.states_capacity, (size_t)value);
    for (size_t i = *known ? (size_t)*known - 1 : graph->n_states; i < graph->n_states; i++)
        if (graph->states[i].value == value && graph->states[i].place == place) {
            graph->states[i].next = next;
            return;
        }
    if (!*known) *known = (int)graph->n_states + 1;
    KPAR_PUSH(graph->states, graph->n_states, graph->states_capacity) =
        (kpar_state){v->index, value, next, v->source == KPAR_FROM_COPY, place};
}

void kpar_graph_add_output(kpar_graph *graph, kpar_output_kind kind, int index, kpar_value_id value)
{
    KPAR_PUSH(graph->outputs, graph->n_outputs, graph->outputs_capacity) = (kpar_output){kind, index, value};
}
