/* What the files of emission share. Inside src/plan only.
 *
 * The emitter walks the placed and cut graph in the order of one rank's schedule and writes instructions over
 * buffers. When all modes are written, buffers get offsets and the programs are finished. */
#ifndef KPAR_PLAN_EMIT_INTERNAL_H
#define KPAR_PLAN_EMIT_INTERNAL_H

#include "comm/algorithm.h"
#include "parallel/place.h"
#include "plan/plan.h"

/* Parts of the arena, in this order. STATE, SHARED and COMMON lie at the same offsets on all ranks of a stage, so that
 * peers find each other's buffers; COMMON is there on the first rank of those that have it in common only; STEP is
 * reused while a step runs; SLOTS differ with the shards a rank owns. */
typedef enum kpar_segment {
    KPAR_SEGMENT_STATE,
    KPAR_SEGMENT_SHARED,
    KPAR_SEGMENT_COMMON,
    KPAR_SEGMENT_STEP,
    KPAR_SEGMENT_SLOTS,
    KPAR_SEGMENT_COUNT
} kpar_segment;

typedef struct kpar_buffer {
    kpar_segment segment;
    size_t offset, bytes;
    int first, last; /* STEP: instructions between which it is in use */
} kpar_buffer;

enum { KPAR_FOR_EVER = 1 << 30 };

/* Where a value lies. */
typedef struct kpar_storage {
    int buffer; /* -1: nowhere yet */
    size_t offset;
} kpar_storage;

/* A byte range before offsets are known. */
typedef struct kpar_draft_place {
    int rank; /* -1: own */
    int buffer;
    size_t offset, bytes;
} kpar_draft_place;

typedef struct kpar_draft {
    kpar_instruction instruction; /* without places */
    kpar_draft_place *places;
} kpar_draft;

/* Where a variable lies on this rank, the same for all modes. */
typedef struct kpar_variable_layout {
    bool present, has_copy, owner;
    bool common; /* the copy lies in the window of the first of the ranks that read it; see emit_common.c */
    const kpar_op_id *sums; /* common: those that its gradient goes through */
    size_t n_sums;
    kpar_segment segment;
    size_t offset;       /* of what is held: the whole local part or the shard */
    size_t shard_offset; /* of the own shard, if a copy is held */
    kpar_slice slice;    /* what is held */
    kpar_slice shard;    /* what is owned */
} kpar_variable_layout;

/* How the sums over microbatches of one value are kept. */
typedef struct kpar_accumulator {
    bool direct;         /* the value's own kernel may write here */
    bool keep_terms;     /* the subtree terms go to a collective */
    kpar_storage result; /* first term */
    size_t term_bytes;   /* from one term to the next */
    int stack;           /* buffer of partial sums below the terms, -1: none */
} kpar_accumulator;

/* A copy in common that may be written only when all ranks have given the flags before a sum. */
typedef struct kpar_guarded {
    const struct kpar_guarded *next;
    kpar_value_id copy;
} kpar_guarded;

/* A STEP buffer that a forward send reads: kept until the stage's backward of the microbatch has ended. */
typedef struct kpar_sent {
    int buffer, stage, microbatch;
} kpar_sent;

/* A windowed sum that its readers take as they read, instead of a kernel of its own: see emit_pending.c. */
typedef struct kpar_pending_sum kpar_pending_sum;

typedef struct kpar_emitter {
    const kpar_plan *plan;
    const kpar_plan_options *options;
    const kpar_catalog *catalog;
    const kpar_graph *graph;
    kpar_mode mode;
    bool follows; /* another mode has laid out the variables */
    kpar_coordinate me;
    int rank, microbatches;
    int home;     /* the rank with the memory in common */
    int64_t rows; /* capacity of a microbatch */
    kpar_arena *arena;

    kpar_variable_layout *variables; /* by catalog index; shared by the modes */
    size_t *state_bytes, *common_bytes, *slot_bytes;

    int *homes;      /* by op: the place in the pipeline whose microbatches it needs, -1: none's */
    bool *guards;    /* by op of the update: makes what guards it, here or on another stage */
    bool late_guard; /* that is made of gradients */

    bool *needed;                   /* by op: this rank runs it */
    int *users;                     /* by value: ops of this rank that read it */
    kpar_op_id *user;               /* by value: one of them */
    kpar_value_id *root;            /* by value: the one whose memory it is */
    kpar_op_id *last_update;        /* by root: the last op of the update that reads it, -1: none */
    int *becomes;                   /* by value: a state whose next value it is, -1: none's */
    kpar_storage *storage;          /* [value * (microbatches + 1) + microbatch + 1] */
    kpar_accumulator *accumulators; /* by op (accumulate) */
    int *collective_number;         /* by op: counted apart for ops of a step and of a microbatch */
    int n_step_collectives, n_microbatch_collectives;
    const kpar_guarded **guarded; /* by op: what its flags guard besides its own data */
    int *unread;                  /* by op: readers still to come of what it guards, in the last backward */
    kpar_pending_sum **pending;   /* by op: a collective whose sum is pending, NULL: none */

    kpar_buffer *buffers;
    size_t n_buffers, buffers_capacity;
    kpar_draft *drafts;
    size_t n_drafts, drafts_capacity;
    kpar_program *program;
    size_t shared_bytes, step_bytes;
    kpar_sent *sent;
    size_t n_sent, sent_capacity;
    kpar_lane lane;   /* of kernels emitted now */
    kpar_phase phase; /* of all that is emitted now */
} kpar_emitter;

/* emit_walk.c: writes the program but for its offsets. */
kpar_status kpar_emit_walk(kpar_emitter *e);

/* emit_needed.c */
/* Sets homes, guards, needed and users. */
void kpar_emit_find_needed(kpar_emitter *e);
/* What guards the update of this rank's stage, or NULL. */
const kpar_output *kpar_emit_own_guard(const kpar_emitter *e);

/* emit_slots.c: adds the slots of all that was placed. */
kpar_status kpar_emit_slots(kpar_emitter *e);

/* emit_storage.c */
/* Whole cache lines. */
static inline size_t kpar_emit_align(size_t bytes) { return (bytes + 63) / 64 * 64; }
int kpar_emit_buffer(kpar_emitter *e, kpar_segment segment, size_t bytes);
void kpar_emit_buffer_forever(kpar_emitter *e, int buffer);
size_t kpar_emit_value_bytes(const kpar_emitter *e, kpar_value_id value);
kpar_storage *kpar_emit_slot(kpar_emitter *e, kpar_value_id value, int microbatch);
void kpar_emit_find_roots(kpar_emitter *e);
/* Whether the state is one of this rank's place in the pipeline. */
static inline bool kpar_emit_has_state(const kpar_emitter *e, const kpar_state *state)
{
    return state->place < 0 || state->place == e->me.pipeline;
}
/* Whether the one op that reads the value is the only one that reads its memory, under whatever shape. */
bool kpar_emit_is_last_reader(const kpar_emitter *e, kpar_value_id value);
/* Where the value is; sources are placed at first use. KPAR_EINTERNAL if it was not computed. */
kpar_status kpar_emit_find(kpar_emitter *e, kpar_value_id value, int microbatch, kpar_storage *where);
/* Where the value is to be written, made now. */
kpar_storage kpar_emit_target(kpar_emitter *e, kpar_value_id value, int microbatch);
/* Whether both are the same memory for sure. */
bool kpar_emit_is_same(const kpar_emitter *e, kpar_storage a, kpar_storage b);
/* Whether `microbatch` matters for the value. */
static inline bool kpar_emit_is_replayed(const kpar_value *v)
{
    return v->phase == KPAR_PHASE_MICROBATCH || v->phase == KPAR_PHASE_FACTS_ROWS;
}
kpar_status kpar_emit_variables(kpar_emitter *e);
/* Gives STEP buffers offsets; sets step_bytes. */
void kpar_emit_plan_memory(kpar_emitter *e);

/* emit_kernel.c */
kpar_draft *kpar_emit_draft(kpar_emitter *e, kpar_instruction_kind kind, kpar_lane lane, const char *layer,
                            const char *what, int microbatch, const kpar_draft_place *places, int n_places,
                            int n_writes);
kpar_draft_place kpar_emit_place(kpar_storage where, size_t bytes);
kpar_kernel_spec kpar_emit_spec(kpar_emitter *e, const kpar_op *op);
kpar_status kpar_emit_kernel(kpar_emitter *e, const kpar_op *op, int microbatch, bool accumulate,
                             kpar_storage output, int which);
void kpar_emit_run(kpar_emitter *e, const kpar_kernel_spec *spec, const char *layer, const char *what,
                   int microbatch, const kpar_draft_place *places);
void kpar_emit_copy(kpar_emitter *e, kpar_dtype dtype, size_t count, const char *layer, const char *what,
                    int microbatch, kpar_draft_place from, kpar_draft_place to);
/* to[count] = sum of the sources, or what else `reduction` says, added as `additions` say: pairs of sources, the sum taking the first one's place; NULL: in
 * order. */
void kpar_emit_sum(kpar_emitter *e, kpar_dtype dtype, size_t count, const char *layer, const char *what,
                   int microbatch, kpar_reduction reduction, const kpar_draft_place *from, int n,
                   const int (*additions)[2], kpar_draft_place to);

/* emit_accumulate.c */
kpar_status kpar_emit_accumulators(kpar_emitter *e);
kpar_op_id kpar_emit_accumulating(const kpar_emitter *e,
                                  kpar_value_id value); /* the accumulate that reads it, -1 */
kpar_status kpar_emit_accumulate_kernel(kpar_emitter *e, kpar_op_id accumulate, const kpar_op *op,
                                        int microbatch);
kpar_status kpar_emit_accumulate_value(kpar_emitter *e, kpar_op_id accumulate, int microbatch);
void kpar_emit_accumulated(kpar_emitter *e, kpar_op_id accumulate); /* after the last microbatch */
/* Leaves of replica `data`: first and number; the subtree terms it keeps. */
void kpar_emit_leaves(const kpar_emitter *e, int data, int *first, int *count);

/* emit_collective.c */
kpar_status kpar_emit_collective(kpar_emitter *e, kpar_op_id op, int microbatch);
/* The algorithm of a collective op outside of microbatches; after the accumulators are made. */
kpar_status kpar_emit_algorithm(kpar_emitter *e, kpar_op_id op, const kpar_algorithm_row **row);

/* A collective that is being emitted. */
typedef struct kpar_collecting {
    kpar_emitter *e;
    const kpar_op *op;
    kpar_op_id id;
    int microbatch;
    kpar_collective_shape shape;
    kpar_dtype dtype;
    kpar_storage data; /* the buffer of parts */
    size_t term_bytes; /* from one subtree term to the next */
    kpar_storage scratch;
    kpar_steps steps;
    size_t sum; /* which step is the first that sums; steps.n: none */
    const char *what;
} kpar_collecting;
kpar_status kpar_emit_steps(kpar_collecting *c, size_t first, size_t end);
kpar_draft_place kpar_emit_place_of_range(const kpar_collecting *c, const kpar_range *range);

/* emit_common.c */
/* Decides which weights are in common, and by which flags they are guarded; after the accumulators are made. */
kpar_status kpar_emit_find_common(kpar_emitter *e);
/* An op of the last backward was emitted; true: some sum's flags may be given now as far as readers are concerned. */
bool kpar_emit_was_read(kpar_emitter *e, const kpar_op *op);

/* emit_pending.c */
/* Emits the steps before the sum and leaves it pending, where the collective's readers can take it; false: they cannot. */
kpar_status kpar_emit_pend(const kpar_collecting *c, bool *pending);
/* Takes the pending sums among the inputs of a map into its kernel: replaces them by what they are sums of. */
void kpar_emit_take_sums(kpar_emitter *e, const kpar_op *op, kpar_kernel_spec *spec,
                         kpar_draft_place **places);
/* After an op: emits the steps behind sums that it was the last to read. */
kpar_status kpar_emit_end_sums(kpar_emitter *e, kpar_op_id op);
void kpar_emit_release_pending(kpar_emitter *e);

#endif
