/* The intermediate representation: values and ops.
 *
 * A value has a type, a shape, a phase and, once placed, a placement; it is assigned once. An op reads values
 * and defines values. The ops stand in an order in which each reads only what was defined before. A graph
 * describes what one process would compute on the global batch; the passes turn it, step by step, into what each
 * rank does. Everything lives in the graph's arena; values and ops are named by their index. */
#ifndef KPAR_GRAPH_GRAPH_H
#define KPAR_GRAPH_GRAPH_H

#include "graph/expression.h"
#include "tensor/array.h"

/* A dimension: `size`, or size times the batch. The batch is a symbol: what it stands for depends on where the
 * value exists (the rows of a microbatch on one replica). */
typedef struct kpar_dim {
    int64_t size;
    bool batch;
} kpar_dim;

typedef struct kpar_shape {
    int rank;
    kpar_dim dims[KPAR_MAX_RANK];
} kpar_shape;

/* When a value exists; see docs/architecture.md. FACTS_ROWS and MICROBATCH are replayed for each microbatch; the
 * only way out of them is the op `accumulate`. */
#define KPAR_PHASE_LIST(X)                                                                                   \
    X(STATE, "state")           /* a variable, from step to step */                                          \
    X(START, "start")           /* once, before the first step */                                            \
    X(FACTS_ROWS, "facts_rows") /* from data alone, for each microbatch */                                   \
    X(FACTS, "facts")           /* from data alone, over the whole global batch */                           \
    X(MICROBATCH, "microbatch") /* forward and backward */                                                   \
    X(UPDATE, "update")         /* once, after the microbatches */
typedef enum kpar_phase {
#define KPAR_PHASE_ENUM(constant, name) KPAR_PHASE_##constant,
    KPAR_PHASE_LIST(KPAR_PHASE_ENUM)
#undef KPAR_PHASE_ENUM
        KPAR_PHASE_COUNT
} kpar_phase;
const char *kpar_phase_name(kpar_phase phase);

typedef enum kpar_reduction {
    KPAR_REDUCE_SUM,
    KPAR_REDUCE_MAX,
    KPAR_REDUCE_MIN,
    KPAR_REDUCE_PRODUCT,
    KPAR_REDUCTION_COUNT
} kpar_reduction;
const char *kpar_reduction_name(kpar_reduction reduction);
/* Of two elements. */
kpar_scalar_op kpar_reduction_operation(kpar_reduction reduction);

/* Where a value lies along one mesh axis. */
typedef enum kpar_placement_kind {
    KPAR_REPLICATED, /* every rank has all of it */
    KPAR_SPLIT,      /* each rank has an equal part of dimension `dim` (of the batch: its rows) */
    KPAR_PARTIAL,    /* each rank has a term; the value is their sum, or what else `reduction` says */
    KPAR_SHARD, /* the ranks own uneven parts of dimension 0, or one rank owns all; see kpar_shard_range */
} kpar_placement_kind;

typedef struct kpar_placement {
    kpar_placement_kind kind;
    int dim;                  /* SPLIT */
    int owner;                /* SHARD: the one rank that owns all, or -1 for rows */
    kpar_reduction reduction; /* PARTIAL */
} kpar_placement;

static inline bool kpar_placement_equal(kpar_placement a, kpar_placement b)
{
    return a.kind == b.kind && (a.kind != KPAR_SPLIT || a.dim == b.dim) &&
           (a.kind != KPAR_SHARD || a.owner == b.owner) &&
           (a.kind != KPAR_PARTIAL || a.reduction == b.reduction);
}

/* Whether ranks have terms of a sum. */
static inline bool kpar_is_sum(kpar_placement p)
{
    return p.kind == KPAR_PARTIAL && p.reduction == KPAR_REDUCE_SUM;
}

typedef enum kpar_axis { KPAR_AXIS_DATA, KPAR_AXIS_TENSOR, KPAR_AXIS_COUNT } kpar_axis;

/* Rows [*first, *first + *count) of `rows` that shard `index` of `shards` owns: ceil(rows / shards) each, the
 * last ones fewer or none; or all of them if `owner` == index. */
void kpar_shard_range(kpar_placement shard, int64_t rows, int shards, int index, int64_t *first,
                      int64_t *count);

/* What a value without a producing op is. */
typedef enum kpar_source {
    KPAR_FROM_OP,
    KPAR_FROM_VARIABLE,      /* `index`: the variable's index in the catalog */
    KPAR_FROM_COPY,          /* `index`: a variable; its compute copy, which forward and backward read */
    KPAR_FROM_FEATURE,       /* `index`: number of the model input */
    KPAR_FROM_LABEL,         /* `index`: number of the model output */
    KPAR_FROM_SAMPLE_WEIGHT, /* `index`: number of the output; f32 (batch, ...), 0 on rows that are not real */
    KPAR_FROM_ROW_MASK,      /* f32 (batch): 1 on real rows, 0 on others */
    KPAR_FROM_ROW_POSITION, /* i64 (batch): the row's position in the global batch */
    KPAR_SOURCE_COUNT
} kpar_source;

typedef int kpar_value_id; /* -1: none */
typedef int kpar_op_id;    /* -1: none */

typedef struct kpar_value {
    kpar_dtype dtype;
    kpar_shape shape;
    kpar_phase phase;
    kpar_placement placement[KPAR_AXIS_COUNT];
    kpar_source source;
    int index;         /* see kpar_source */
    kpar_op_id op;     /* the op that defines it, or -1 */
    const char *layer; /* the layer it comes from, for messages; never NULL, may be "" */
} kpar_value;

/* Every op's attributes: type, name, what it is to graph/attributes.h, and how many of them (an array) or nothing. An op
 * uses those that its row names. What compares, hashes, prints and reads attributes goes by this list. */
#define KPAR_ATTRIBUTE_LIST(X)                                                                               \
    X(bool, transpose_a, BOOL, )              /* matmul */                                                   \
    X(bool, transpose_b, BOOL, )              /* matmul */                                                   \
    X(kpar_reduction, reduction, INT, )       /* reduce, cumulative, pool, all_reduce, reduce_scatter */     \
    X(unsigned, axes, INT, )                  /* reduce: bit mask of the dimensions removed */               \
    X(int, axis, INT, )                       /* arg_reduce, cumulative, concat, iota, split; gather: shared dims */ \
    X(bool, exclusive, BOOL, )                /* cumulative: each element without itself */                  \
    X(bool, reverse, BOOL, )                  /* cumulative: from the last element on */                     \
    X(int, permutation, INT, [KPAR_MAX_RANK]) /* transpose: input dimension of each output dimension */      \
    X(int64_t, start, INT64, [KPAR_MAX_RANK]) /* slice: first element; pad, conv, pool: added before */      \
    X(int64_t, stop, INT64, [KPAR_MAX_RANK]) /* slice: past the last, or KPAR_TO_END; others: added after */ \
    X(int64_t, window, INT64, [KPAR_MAX_RANK])   /* pool: size along each dimension; 0 stands for 1 */       \
    X(int64_t, stride, INT64, [KPAR_MAX_RANK])   /* conv, pool: between windows; 0 stands for 1 */           \
    X(int64_t, dilation, INT64, [KPAR_MAX_RANK]) /* conv: between a window's cells; 0 stands for 1 */        \
    X(kpar_shape, shape, SHAPE, )  /* result; scatter_add: table; map: at least this, or rank 0 */           \
    X(kpar_dtype, dtype, DTYPE, )  /* constant, iota, receive */                                             \
    X(double, value, DOUBLE, )     /* constant */                                                            \
    X(uint64_t, key, UINT64, )     /* random */                                                              \
    X(bool, sparse, BOOL, )        /* cross_entropy: labels are class numbers */                             \
    X(kpar_axis, mesh_axis, INT, ) /* collectives */                                                         \
    X(int, peer, INT, )            /* send, receive: the other end's place in the pipeline */                \
    X(int, channel, INT, )         /* send, receive: number of the transfer */                               \
    X(bool, accumulate, BOOL, )    /* emitted kernels only: add to what the output holds */

typedef struct kpar_attributes {
    /* map; or the epilogue of an anchor: inputs are {anchor's result, then the op's inputs beyond the anchor's own} */
    const kpar_expression *expression;
#define KPAR_ATTRIBUTE_MEMBER(type, name, kind, count) type name count;
    KPAR_ATTRIBUTE_LIST(KPAR_ATTRIBUTE_MEMBER)
#undef KPAR_ATTRIBUTE_MEMBER
} kpar_attributes;

#define KPAR_TO_END INT64_MAX

/* Defined in graph/op.h. */
typedef enum kpar_op_kind kpar_op_kind;

/* Which part of the microbatch phase an op belongs to. Where a schedule splits backward, KPAR_BACKWARD is what another layer or
 * stage needs, and the rest may wait. */
typedef enum kpar_part { KPAR_FORWARD, KPAR_BACKWARD, KPAR_BACKWARD_WEIGHT, KPAR_PART_COUNT } kpar_part;
const char *kpar_part_name(kpar_part part);

typedef struct kpar_op {
    int kind; /* kpar_op_kind */
    int n_inputs, n_outputs;
    const kpar_value_id *inputs;
    const kpar_value_id *outputs;
    kpar_attributes attributes;
    kpar_phase phase;
    kpar_part part;
    int stage;          /* pipeline stage, see kpar_mesh_of_stage; -1 before the cut */
    kpar_op_id forward; /* backward ops: the op whose gradient this is part of, else -1 */
    const char *layer;  /* never NULL */
} kpar_op;

/* A variable's value before and after a step. */
typedef struct kpar_state {
    int variable;        /* index in the catalog */
    kpar_value_id value; /* before */
    kpar_value_id next;  /* after; == value if the step leaves it alone */
    bool copy;           /* of the variable's compute copy instead of the variable itself */
    int place;           /* after the cut: of the ranks at this place in the pipeline alone; -1: of all */
} kpar_state;

/* A value that leaves the graph: the host reads it after a program ran, or it guards the update. */
typedef enum kpar_output_kind {
    KPAR_OUTPUT_PREDICTION, /* `index`: number of the model output; (batch, ...), phase microbatch */
    KPAR_OUTPUT_REPORT,     /* `index`: number of the report entry; scalar, phase update */
    KPAR_OUTPUT_GUARD, /* `index`: the place in the pipeline that looks at it, after the cut; scalar, phase update: states change
                               only in a step where it is finite */
    KPAR_OUTPUT_COUNT
} kpar_output_kind;

typedef struct kpar_output {
    kpar_output_kind kind;
    int index;
    kpar_value_id value;
} kpar_output;

typedef struct kpar_graph {
    kpar_arena *arena; /* shared with the graphs made from this one */
    int *arena_users;
    kpar_value *values;
    size_t n_values, values_capacity;
    kpar_op *ops;
    size_t n_ops, ops_capacity;
    kpar_state *states;
    size_t n_states, states_capacity;
    kpar_output *outputs;
    size_t n_outputs, outputs_capacity;

    /* Numbers + 1 of what is there, 0: nothing. Of graph.c alone. */
    struct {
        struct {
            int *values; /* by index of the source */
            size_t capacity;
        } sources[KPAR_SOURCE_COUNT];
        size_t n_values; /* those looked at */
        int *states;     /* by value */
        size_t states_capacity;
    } known;

    /* What new values and ops get. Set by whoever builds. */
    kpar_phase phase;
    kpar_part part;
    kpar_op_id forward;
    int stage;
    const char *layer; /* kept by reference: lives as long as the graph's arena or longer */
    kpar_dtype real;   /* type of real-valued values: F32, or F64 for the gradient oracle */
} kpar_graph;

kpar_graph *kpar_graph_create(kpar_dtype real);
kpar_graph *kpar_graph_create_like(const kpar_graph *graph); /* empty, sharing the arena */
void kpar_graph_destroy(kpar_graph *graph);

static inline const kpar_value *kpar_graph_value(const kpar_graph *graph, kpar_value_id id)
{
    return &graph->values[id];
}

/* A value without a producing op. The same (source, index) gives the same value. Variables and their copies get phase
 * STATE, data FACTS_ROWS. */
kpar_value_id kpar_graph_source(kpar_graph *graph, kpar_source source, int index, kpar_dtype dtype,
                                kpar_shape shape);

/* The general way to append an op: computes shapes and types by the op's row and returns its first output.
 * KPAR_EUNSUPPORTED or KPAR_EINTERNAL with a message that names the layer when the inputs do not fit. */
kpar_status kpar_graph_append(kpar_graph *graph, kpar_op_kind kind, const kpar_value_id *inputs, int n_inputs,
                              const kpar_attributes *attributes, kpar_value_id *first_output) KPAR_MUST_USE;

/* `value` is the source of a variable or of its compute copy. */
void kpar_graph_set_state(kpar_graph *graph, kpar_value_id value, kpar_value_id next);
/* The same for the ranks at one place in the pipeline alone, see kpar_state. */
void kpar_graph_set_state_at(kpar_graph *graph, kpar_value_id value, kpar_value_id next, int place);
/* What it becomes so far: `value` itself where nothing was set. */
kpar_value_id kpar_graph_next_state(const kpar_graph *graph, kpar_value_id value);
void kpar_graph_add_output(kpar_graph *graph, kpar_output_kind kind, int index, kpar_value_id value);

/* Asserts every invariant: order, types, phases (what may read what), placements. KPAR_EINTERNAL names the op. */
kpar_status kpar_graph_check(const kpar_graph *graph) KPAR_MUST_USE;

/* For people (text) and for Graphviz. */
void kpar_graph_dump_text(const kpar_graph *graph, kpar_text *text);
void kpar_graph_dump_dot(const kpar_graph *graph, kpar_text *text);

/* Shapes. */
kpar_shape kpar_shape_of(int rank, const kpar_dim *dims);
bool kpar_shape_equal(const kpar_shape *a, const kpar_shape *b);
const char *kpar_shape_format(char text[KPAR_SHAPE_TEXT], const kpar_shape *shape); /* "(2·batch, 10)" */

#endif
