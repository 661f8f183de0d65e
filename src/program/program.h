/* What is executed: the static instruction list of one rank.
 *
 * A program is a list of instructions over one arena of memory. The order of the list is a valid serial
 * execution. Instructions sit in lanes; within a lane they start in list order; across lanes only tokens order
 * them. This folder knows no op's meaning: a kernel is a specification that a device prepares.
 *
 * A kernel, a guard, a signal or a wait ends before the next instruction of its lane starts. Sends, receives and collectives
 * are asynchronous: the next instruction of the lane starts once they are started, and one that needs their end waits
 * for it by a token, in their own lane too.
 *
 * Memory is named by places: byte ranges of an arena, one's own or (through a shared window) a peer's. A peer's
 * memory is only ever read, but for what ranks of a node have in common. Signals and waits guard such accesses:
 *   - without places they order everything: what comes before a signal in the list has ended when it is given, and
 *     nothing after a wait that touches windows (reads a peer's place, or writes any place, which a peer might
 *     read) starts before it ended;
 *   - with places they order, as if they wrote them, only what touches these bytes.
 *
 * The first n_start instructions are a list of their own that runs once; the rest is run again and again. A list
 * starts on a rank when that rank's list before has ended; its peers may still be in theirs. */
#ifndef KPAR_PROGRAM_PROGRAM_H
#define KPAR_PROGRAM_PROGRAM_H

#include "graph/op.h"

/* constant, name. On CUDA a lane is a stream. */
#define KPAR_LANE_LIST(X)                                                                                    \
    X(COMPUTE, "compute") /* kernels */                                                                      \
    X(COMM, "comm")       /* what moves between ranks */
typedef enum kpar_lane {
#define KPAR_LANE_ENUM(constant, name) KPAR_LANE_##constant,
    KPAR_LANE_LIST(KPAR_LANE_ENUM)
#undef KPAR_LANE_ENUM
        KPAR_LANE_COUNT
} kpar_lane;
const char *kpar_lane_name(kpar_lane lane);

/* constant, name, one line of documentation */
#define KPAR_INSTRUCTION_LIST(X)                                                                             \
    X(KERNEL, "kernel", "runs kernel `kernel` on `places`: its inputs, then its outputs")                    \
    X(SEND, "send", "sends places[0] to rank `peer` on `channel`; done when the place may be written again") \
    X(RECEIVE, "receive", "receives into places[0] from rank `peer` on `channel`")                           \
    X(SIGNAL, "signal",                                                                                      \
      "sets own flag `channel` to the number of runs of its list; ranks sharing the window see it")          \
    X(WAIT, "wait", "waits until flag `channel` of rank `peer` has the number of runs of its own list")      \
    X(COLLECTIVE, "collective",                                                                              \
      "a whole collective of the transport over `group`: `collective`, `places`, `counts`")                  \
    X(GUARD, "guard",                                                                                        \
      "reads the scalar places[0] of `dtype`: if it is not finite, kernels behind it in its lane do "        \
      "nothing")
typedef enum kpar_instruction_kind {
#define KPAR_INSTRUCTION_ENUM(constant, name, doc) KPAR_INSTRUCTION_##constant,
    KPAR_INSTRUCTION_LIST(KPAR_INSTRUCTION_ENUM)
#undef KPAR_INSTRUCTION_ENUM
        KPAR_INSTRUCTION_COUNT
} kpar_instruction_kind;
const char *kpar_instruction_name(kpar_instruction_kind kind);

/* Whether it is only started in its lane's turn and ends some time later. */
static inline bool kpar_instruction_is_asynchronous(kpar_instruction_kind kind)
{
    return kind == KPAR_INSTRUCTION_SEND || kind == KPAR_INSTRUCTION_RECEIVE ||
           kind == KPAR_INSTRUCTION_COLLECTIVE;
}

/* Whether it orders ranks that share windows, and moves nothing. */
static inline bool kpar_instruction_is_flag(kpar_instruction_kind kind)
{
    return kind == KPAR_INSTRUCTION_SIGNAL || kind == KPAR_INSTRUCTION_WAIT;
}

typedef enum kpar_collective {
    KPAR_COLLECTIVE_ALL_REDUCE,     /* places[0], in place; or from places[0] to places[1] */
    KPAR_COLLECTIVE_REDUCE_SCATTER, /* places[0]: all parts one after the other; places[1]: own part */
    KPAR_COLLECTIVE_ALL_GATHER,     /* places[0]: own part; places[1]: all parts one after the other */
    KPAR_COLLECTIVE_COUNT
} kpar_collective;
const char *kpar_collective_name(kpar_collective collective);

typedef struct kpar_place {
    int rank;      /* whose arena: -1 own, else a peer on the same node */
    size_t offset; /* bytes from the arena's start */
    size_t bytes;
} kpar_place;

/* A kernel: an op on fixed shapes. Tensors are dense and row-major. */
typedef struct kpar_tensor_spec {
    kpar_dtype dtype;
    int rank;
    int64_t dims[KPAR_MAX_RANK];
} kpar_tensor_spec;

typedef struct kpar_kernel_spec {
    int op; /* kpar_op_kind */
    int n_inputs, n_outputs;
    const kpar_tensor_spec *tensors; /* inputs, then outputs */
    kpar_attributes attributes;      /* with concrete start and stop */
    /* random: the part of the unsplit row that this rank computes. gather, scatter_add of a part of a table: the rows of
     * all of it, and the first of the part; other rows are zeros, and nothing is added to them */
    int64_t row_elements, row_start;
} kpar_kernel_spec;

typedef struct kpar_instruction {
    kpar_instruction_kind kind;
    kpar_lane lane;
    kpar_phase phase;
    int microbatch; /* -1: not of one */
    int kernel;     /* KERNEL: index */
    int n_places;
    const kpar_place *places;
    int n_writes; /* how many of the last places are written (KERNEL: the outputs); SIGNAL, WAIT: 0 */
    int peer;     /* SEND, RECEIVE, WAIT: world rank */
    int channel; /* SEND, RECEIVE: number that both ends use; SIGNAL, WAIT: flag number. A list signals a flag once */
    kpar_collective collective;
    kpar_reduction reduction;
    kpar_dtype dtype;     /* COLLECTIVE, GUARD */
    int group;            /* COLLECTIVE: index in program->groups */
    const size_t *counts; /* COLLECTIVE: elements of each member's part; ALL_REDUCE: NULL */
    int n_waits;
    const int *
        waits; /* earlier instructions of the same list that must have ended: of other lanes, or asynchronous */
    const char *layer; /* never NULL */
    const char *what;  /* a few words for messages and dumps, e.g. "dense/matmul"; never NULL */
} kpar_instruction;

/* Ranks that take part in a collective, by world rank, in order. */
typedef struct kpar_group {
    int n;
    const int *ranks;
} kpar_group;

/* A named range of the arena that the host reads or writes between runs. */
typedef enum kpar_slot_kind {
    KPAR_SLOT_VARIABLE,      /* `index`: in the catalog; `slice`: the part of the variable held */
    KPAR_SLOT_FEATURE,       /* `index`: number of the input; `microbatch` */
    KPAR_SLOT_LABEL,         /* `index`: number of the output; `microbatch` */
    KPAR_SLOT_SAMPLE_WEIGHT, /* `index`: number of the output; `microbatch` */
    KPAR_SLOT_ROW_MASK,      /* `microbatch` */
    KPAR_SLOT_ROW_POSITION,  /* `microbatch` */
    KPAR_SLOT_PREDICTION,    /* `index`: number of the output; `microbatch` */
    KPAR_SLOT_REPORT,        /* `index`: number of the entry */
    KPAR_SLOT_COUNT
} kpar_slot_kind;
const char *kpar_slot_name(kpar_slot_kind kind);

typedef struct kpar_slot {
    kpar_slot_kind kind;
    int index;
    int microbatch;
    kpar_tensor_spec tensor; /* as it lies in memory */
    kpar_slice slice; /* VARIABLE, FEATURE: which part of the whole (dimension 0 of a FEATURE: all rows) */
    bool owner;       /* VARIABLE: this rank's values are the ones to save and to report */
    kpar_place place;
} kpar_slot;

typedef struct kpar_program {
    kpar_arena *arena; /* owns everything below */
    int rank, world;
    size_t arena_bytes; /* memory the rank needs for all of this */
    size_t state_bytes; /* of that, at the start: what lives from run to run and is shared by programs */
    kpar_place
        common;  /* memory that this rank reads and writes as if it were its own, and so do others: on rank
                           common.rank; bytes 0: none */
    int n_flags; /* flags it signals or waits for: 0 .. n_flags-1 */
    int microbatches; /* replays in a run on this rank */
    int rows;         /* capacity of a microbatch in rows */
    kpar_kernel_spec *kernels;
    size_t n_kernels, kernels_capacity;
    int *kernel_table; /* hash table of kernel indices, for kpar_program_kernel */
    size_t kernel_table_capacity;
    kpar_instruction *instructions;
    size_t n_instructions, instructions_capacity;
    size_t n_start; /* the first n_start instructions run once, when training starts */
    kpar_group *groups;
    size_t n_groups, groups_capacity;
    kpar_slot *slots;
    size_t n_slots, slots_capacity;
} kpar_program;

kpar_program *kpar_program_create(int rank, int world);
void kpar_program_destroy(kpar_program *program);

/* Index of an equal kernel, added if it is new. Copies what `spec` points to. */
int kpar_program_kernel(kpar_program *program, const kpar_kernel_spec *spec);

/* Appends a copy of an instruction (its arrays are copied too; the own rank in a place becomes -1) and returns its
 * index. */
int kpar_program_append(kpar_program *program, const kpar_instruction *instruction);

/* Whether slot `i` is a rank's shard of a variable that it also holds a copy of: the slot before it. */
bool kpar_program_is_shard(const kpar_program *program, size_t i);

/* Whether a place lies in memory in common. */
bool kpar_program_in_common(const kpar_program *program, const kpar_place *place);

/* Whether reading a place moves bytes: it is a peer's, and not in common. */
bool kpar_program_is_remote(const kpar_program *program, const kpar_place *place);

/* Bytes that an instruction moves between ranks on this rank's account: what it sends or reads from peers' windows;
 * for a collective what a ring would send. */
size_t kpar_program_moved_bytes(const kpar_program *program, const kpar_instruction *instruction);

/* Index of the group of these ranks, added if it is new. */
int kpar_program_group(kpar_program *program, const int *ranks, int n);

/* Fills in every instruction's waits: those that conflict with it (same bytes, at least one writes), and signals and
 * waits as said above; without what is implied by other waits. Call once, after memory was planned and n_start set. */
void kpar_program_order(kpar_program *program);

/* Invariants of one program. KPAR_EINTERNAL names the instruction. */
kpar_status kpar_program_check(const kpar_program *program) KPAR_MUST_USE;

/* Text, a line an instruction, that kpar_program_read reads back to an equal program. Reading checks the program;
 * KPAR_EFORMAT names the line. */
void kpar_program_dump(const kpar_program *program, kpar_text *text);
kpar_status kpar_program_read(const char *text, kpar_program **program) KPAR_MUST_USE;

/* Hash over everything in the dump: equal programs have equal hashes, on every machine. */
uint64_t kpar_program_hash(const kpar_program *program);

/* Checks the programs of all ranks together: messages match in number, size and order; every wait has its
 * signal; conflicting accesses to the same memory (also through windows, also from one run to the next) are
 * ordered; no deadlock with sends that end only when they are received. The error, KPAR_EINTERNAL, names both ranks
 * and the two instructions. `programs[r]` is rank r's. */
kpar_status kpar_programs_check(const kpar_program *const *programs, int n) KPAR_MUST_USE;

/* What things take. Peers' memory that a kernel reads is moved first; a collective is a ring. */
typedef struct kpar_costs {
    double (*kernel_seconds)(const void *context, const kpar_kernel_spec *kernel);
    double (*move_seconds)(const void *context, int from, int to, size_t bytes); /* world ranks */
    const void *context;
} kpar_costs;

/* Seconds of an instruction by itself: a message counts at its sender, a flag nowhere. */
double kpar_program_seconds(const kpar_program *program, const kpar_instruction *instruction,
                            const kpar_costs *costs);

/* Simulates one run (not the start) and returns each rank's busy and end times. A rank has one thread for the kernels of
 * all lanes (the comm lane first), and sends one message and receives one message at a time. */
typedef struct kpar_simulated_rank {
    double compute_seconds; /* in kernels of the compute lane */
    double end_seconds;     /* when its last instruction ends */
    size_t sent_bytes;      /* to other ranks, or read by it from their windows */
} kpar_simulated_rank;
kpar_status kpar_programs_simulate(const kpar_program *const *programs, int n, const kpar_costs *costs,
                                   kpar_simulated_rank *ranks) KPAR_MUST_USE;

#endif
