/* The executor over the local transport: ranks are threads, programs are written by hand. The device of these tests has
 * one kernel: the sum of its inputs, element by element, plus the attribute `value`. All tests are run twice: without and
 * with a progress thread a rank. */
#include "comm/transport.h"
#include "run/executor.h"
#include "unit.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MAX_RANKS = 4, FLOATS = 16, BYTES = FLOATS * 4, SLOTS = 32, SEEDS = 100 };

/* The device. */

static kpar_status sum_create(const kpar_device_options *options, kpar_device **device)
{
    (void)options;
    *device = kpar_alloc_zeroed(1, sizeof **device);
    return KPAR_OK;
}

static void sum_destroy(kpar_device *device) { kpar_free(device); }

static kpar_status sum_prepare(kpar_device *device, const kpar_kernel_spec *spec, kpar_kernel **kernel)
{
    (void)device;
    if (spec->op != KPAR_OP_MAP)
        return kpar_fail(KPAR_EUNSUPPORTED, "the device of the tests knows no such op");
    *kernel = kpar_alloc_zeroed(1, sizeof **kernel);
    (*kernel)->spec = spec;
    return KPAR_OK;
}

static void sum_release(kpar_device *device, kpar_kernel *kernel)
{
    (void)device;
    kpar_free(kernel);
}

static kpar_status sum_run(kpar_device *device, kpar_kernel *kernel, void *const *places)
{
    const kpar_kernel_spec *spec = kernel->spec;
    float *out = places[spec->n_inputs];
    (void)device;
    if (spec->attributes.value < -1e6) return kpar_fail(KPAR_EDATA, "this value is too small");
    for (int i = 0; i < FLOATS; i++) {
        float sum = (float)spec->attributes.value;
        for (int s = 0; s < spec->n_inputs; s++) sum += ((const float *)places[s])[i];
        out[i] = sum;
    }
    return KPAR_OK;
}

static const kpar_device_class sums = {
    .name = "sums",
    .doc = "sums",
    .create = sum_create,
    .destroy = sum_destroy,
    .prepare = sum_prepare,
    .release = sum_release,
    .run = sum_run,
};

/* Programs. Memory is SLOTS slots of FLOATS floats. */

static kpar_place slot(int rank, int number) { return (kpar_place){rank, (size_t)number * BYTES, BYTES}; }

static kpar_place own(int number) { return slot(-1, number); }

static kpar_program *program(int rank, int world)
{
    kpar_program *p = kpar_program_create(rank, world);
    p->arena_bytes = SLOTS * BYTES;
    p->microbatches = 1;
    return p;
}

static kpar_instruction instruction(kpar_instruction_kind kind, kpar_lane lane, const char *what)
{
    return (kpar_instruction){.kind = kind,
                              .lane = lane,
                              .phase = KPAR_PHASE_MICROBATCH,
                              .microbatch = 0,
                              .layer = "dense_2",
                              .what = what};
}

static void kernel(kpar_program *p, kpar_lane lane, double value, int n_inputs, const kpar_place *inputs,
                   int out)
{
    kpar_tensor_spec tensors[MAX_RANKS + 1];
    kpar_place places[MAX_RANKS + 1];
    for (int i = 0; i <= n_inputs; i++) {
        tensors[i] = (kpar_tensor_spec){.dtype = KPAR_F32, .rank = 1, .dims = {FLOATS}};
        places[i] = i < n_inputs ? inputs[i] : own(out);
    }
    kpar_instruction i = instruction(KPAR_INSTRUCTION_KERNEL, lane, "dense_2/sum");
    i.kernel = kpar_program_kernel(p, &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                          .n_inputs = n_inputs,
                                                          .n_outputs = 1,
                                                          .tensors = tensors,
                                                          .attributes = {.value = value}});
    i.places = places;
    i.n_places = n_inputs + 1;
    i.n_writes = 1;
    kpar_program_append(p, &i);
}

static void add(kpar_program *p, double value, int in, int out)
{
    const kpar_place place = own(in);
    kernel(p, KPAR_LANE_COMPUTE, value, 1, &place, out);
}

static int message(kpar_program *p, kpar_instruction_kind kind, int peer, int channel, int number)
{
    kpar_instruction i =
        instruction(kind, KPAR_LANE_COMM, kind == KPAR_INSTRUCTION_SEND ? "dense_2/send" : "dense_2/receive");
    const kpar_place place = own(number);
    i.peer = peer;
    i.channel = channel;
    i.places = &place;
    i.n_places = 1;
    i.n_writes = kind == KPAR_INSTRUCTION_RECEIVE;
    return kpar_program_append(p, &i);
}

static void flag(kpar_program *p, kpar_instruction_kind kind, int peer, int number)
{
    kpar_instruction i = instruction(kind, KPAR_LANE_COMM, "sum/flag");
    i.peer = peer;
    i.channel = number;
    if (number >= p->n_flags) p->n_flags = number + 1;
    kpar_program_append(p, &i);
}

static void wait_for_all(kpar_program *p, int number)
{
    for (int peer = 0; peer < p->world; peer++)
        if (peer != p->rank) flag(p, KPAR_INSTRUCTION_WAIT, peer, number);
}

/* A job: programs of n ranks, run as threads. */

typedef struct job {
    int n, ranks_per_node, runs;
    kpar_program *programs[MAX_RANKS][2]; /* [rank][program] */
    int n_programs;
    kpar_executor_options options;
    unsigned idle;        /* bit for a rank that makes its executor but does not run */
    bool examine;         /* after the runs */
    bool one_thread_only; /* may call the communicator */
    /* out */
    kpar_status status[MAX_RANKS];
    char error[MAX_RANKS][512];
    float memory[MAX_RANKS][SLOTS][FLOATS];
    int source[MAX_RANKS];
    size_t allocated; /* in all runs but the first, by all ranks */
    kpar_executor_times times[MAX_RANKS];
} job;

typedef struct rank_thread {
    job *job;
    kpar_comm *comm;
    pthread_t thread;
} rank_thread;

static kpar_status run_programs(job *j, int rank, kpar_executor *executor, kpar_comm *comm)
{
    const kpar_place all = {-1, 0, SLOTS * BYTES};
    float *memory = kpar_executor_memory(executor, &all);
    size_t before = 0;
    for (int i = 0; i < SLOTS * FLOATS; i++) memory[i] = (float)(rank + 1);
    KPAR_TRY(kpar_comm_barrier(comm));
    if (j->idle >> rank & 1) return KPAR_OK;
    for (int p = 0; p < j->n_programs; p++) KPAR_TRY(kpar_executor_start(executor, p));
    for (int i = 0; i < j->runs; i++) {
        if (i == 1) {
            KPAR_TRY(kpar_comm_barrier(comm));
            before = kpar_alloc_total();
            KPAR_TRY(kpar_comm_barrier(comm));
        }
        for (int p = 0; p < j->n_programs; p++) KPAR_TRY(kpar_executor_run(executor, p));
    }
    if (j->runs < 2) return KPAR_OK;
    KPAR_TRY(kpar_comm_barrier(comm));
    if (rank == 0) j->allocated = kpar_alloc_total() - before;
    return kpar_comm_barrier(comm);
}

static void *run_rank(void *argument)
{
    rank_thread *t = argument;
    job *j = t->job;
    int rank = kpar_comm_rank(t->comm);
    const kpar_device_options device_options = {0};
    const kpar_program *programs[] = {j->programs[rank][0], j->programs[rank][1]};
    kpar_executor *executor;
    kpar_status status = kpar_executor_create(t->comm, &sums, &device_options, programs, j->n_programs,
                                              &j->options, &executor);
    if (status == KPAR_OK) {
        status = run_programs(j, rank, executor, t->comm);
        if (status != KPAR_OK) snprintf(j->error[rank], sizeof j->error[rank], "%s", kpar_error_message());
        if (j->examine && (status == KPAR_OK || status == KPAR_ENUMERIC)) {
            kpar_status again = kpar_executor_examine(executor, 0, &j->source[rank]);
            ck_assert_int_eq(again, status);
        }
        const kpar_place all = {-1, 0, SLOTS * BYTES};
        memcpy(j->memory[rank], kpar_executor_memory(executor, &all), sizeof j->memory[rank]);
        j->times[rank] = kpar_executor_times_get(executor);
    } else {
        snprintf(j->error[rank], sizeof j->error[rank], "%s", kpar_error_message());
    }
    j->status[rank] = status;
    if (kpar_comm_barrier(t->comm) != KPAR_OK) j->status[rank] = status == KPAR_OK ? KPAR_ECOMM : status;
    kpar_executor_destroy(executor);
    return NULL;
}

static void run_job(job *j)
{
    kpar_comm *comms[MAX_RANKS];
    rank_thread threads[MAX_RANKS];
    ck_assert_int_eq(kpar_comm_local_create(j->n, j->ranks_per_node, comms), KPAR_OK);
    for (int rank = 0; rank < j->n; rank++) {
        threads[rank] = (rank_thread){.job = j, .comm = comms[rank]};
        if (j->one_thread_only) comms[rank]->any_thread = false;
        ck_assert_int_eq(pthread_create(&threads[rank].thread, NULL, run_rank, &threads[rank]), 0);
    }
    for (int rank = 0; rank < j->n; rank++) pthread_join(threads[rank].thread, NULL);
    for (int rank = 0; rank < j->n; rank++) kpar_comm_destroy(comms[rank]);
}

static void run_well(job *j)
{
    run_job(j);
    for (int rank = 0; rank < j->n; rank++)
        ck_assert_msg(j->status[rank] == KPAR_OK, "rank %d: %s", rank, j->error[rank]);
}

static bool with_progress_thread;

static void use_progress_thread(void) { with_progress_thread = true; }

/* Orders what was written, and lets the checker see it unless there are several programs. */
static void make_job(job *j, int n, void (*write)(kpar_program *))
{
    memset(j, 0, sizeof *j);
    *j = (job){.n = n, .runs = 3, .n_programs = 1};
    j->options = (kpar_executor_options){.stall_seconds = 20, .progress_thread = with_progress_thread};
    const kpar_program *programs[MAX_RANKS];
    for (int rank = 0; rank < n; rank++) {
        programs[rank] = j->programs[rank][0] = program(rank, n);
        write(j->programs[rank][0]);
        kpar_program_order(j->programs[rank][0]);
    }
    ck_assert_msg(kpar_programs_check(programs, n) == KPAR_OK, "%s", kpar_error_message());
}

static void free_job(job *j)
{
    for (int rank = 0; rank < j->n; rank++)
        for (int p = 0; p < j->n_programs; p++) kpar_program_destroy(j->programs[rank][p]);
}

/* A pipeline: each rank takes slot 0 (what it received), adds, sends slot 1; the sum of all microbatches in slot 2. */
static void write_pipeline(kpar_program *p)
{
    const kpar_place sum[] = {own(2), own(1)};
    for (int m = 0; m < 4; m++) {
        if (p->rank > 0) message(p, KPAR_INSTRUCTION_RECEIVE, p->rank - 1, 0, 0);
        add(p, m + 1, 0, 1);
        kernel(p, KPAR_LANE_COMPUTE, 0, 2, sum, 2);
        if (p->rank + 1 < p->world) message(p, KPAR_INSTRUCTION_SEND, p->rank + 1, 0, 1);
    }
}

/* Slot 2 after `runs`: starts at rank + 1; microbatch m arrives at rank r as 1 + (m + 1)(r + 1). */
static float pipeline_sum(int rank, int runs)
{
    float sum = 0;
    for (int m = 0; m < 4; m++) sum += 1 + (float)((m + 1) * (rank + 1));
    return (float)(rank + 1) + (float)runs * sum;
}

static bool pipeline_is_right(const job *j)
{
    for (int rank = 0; rank < j->n; rank++)
        for (int i = 0; i < FLOATS; i++)
            if (j->memory[rank][2][i] != pipeline_sum(rank, j->runs)) return false;
    return true;
}

START_TEST(a_pipeline_gives_what_it_says)
{
    static job j;
    for (int n = 1; n <= MAX_RANKS; n++) {
        make_job(&j, n, write_pipeline);
        run_well(&j);
        for (int rank = 0; rank < n; rank++)
            ck_assert_float_eq(j.memory[rank][2][3], pipeline_sum(rank, j.runs));
        ck_assert(pipeline_is_right(&j));
        ck_assert_uint_eq(j.times[0].sent_bytes, n > 1 ? 3 * 4 * BYTES : 0);
        free_job(&j);
    }
}
END_TEST

START_TEST(lanes_in_any_order_give_the_same)
{
    static job j;
    make_job(&j, 3, write_pipeline);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        j.options.lane_seed = seed;
        run_well(&j);
        ck_assert_msg(pipeline_is_right(&j), "seed %d", (int)seed);
    }
    free_job(&j);
}
END_TEST

START_TEST(a_missing_wait_shows_with_some_order_of_lanes)
{
    static job j;
    int wrong = 0;
    make_job(&j, 2, write_pipeline);
    kpar_instruction *reader = &j.programs[1][0]->instructions[1];
    ck_assert_int_gt(reader->n_waits, 0);
    reader->n_waits = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        j.options.lane_seed = seed;
        run_well(&j);
        wrong += !pipeline_is_right(&j);
    }
    ck_assert_int_gt(wrong, 0);
    free_job(&j);
}
END_TEST

/* slot 0 += 1; slot 1 = sum of all ranks' slot 0, through windows; slot 0 = slot 1. */
static void write_windowed_sum(kpar_program *p)
{
    kpar_place all[MAX_RANKS];
    for (int rank = 0; rank < p->world; rank++) all[rank] = slot(rank, 0);
    add(p, 1, 0, 0);
    flag(p, KPAR_INSTRUCTION_SIGNAL, 0, 0);
    wait_for_all(p, 0);
    kernel(p, KPAR_LANE_COMM, 0, p->world, all, 1);
    flag(p, KPAR_INSTRUCTION_SIGNAL, 0, 1);
    wait_for_all(p, 1);
    add(p, 0, 1, 0);
}

static float windowed_sum(int n, int runs)
{
    float before[MAX_RANKS], sum = 0;
    for (int rank = 0; rank < n; rank++) before[rank] = (float)(rank + 1);
    for (int run = 0; run < runs; run++) {
        sum = 0;
        for (int rank = 0; rank < n; rank++) sum += before[rank] + 1;
        for (int rank = 0; rank < n; rank++) before[rank] = sum;
    }
    return sum;
}

START_TEST(a_windowed_sum_is_the_same_on_all_ranks)
{
    static job j;
    for (int n = 1; n <= MAX_RANKS; n++) {
        make_job(&j, n, write_windowed_sum);
        j.runs = 5;
        run_well(&j);
        for (int rank = 0; rank < n; rank++)
            ck_assert_float_eq(j.memory[rank][1][7], windowed_sum(n, j.runs));
        ck_assert_uint_eq(j.times[0].sent_bytes, (size_t)(5 * (n - 1)) * BYTES);
        free_job(&j);
    }
}
END_TEST

START_TEST(a_windowed_sum_is_the_same_in_any_order_of_lanes)
{
    static job j;
    make_job(&j, 3, write_windowed_sum);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        j.options.lane_seed = seed;
        run_well(&j);
        for (int rank = 0; rank < 3; rank++)
            ck_assert_float_eq(j.memory[rank][1][0], windowed_sum(3, j.runs));
    }
    free_job(&j);
}
END_TEST

static void write_start_and_run(kpar_program *p)
{
    write_windowed_sum(p);
    p->n_start = p->n_instructions;
    write_windowed_sum(p);
}

START_TEST(start_and_run_count_their_flags_by_themselves)
{
    static job j;
    make_job(&j, 3, write_start_and_run);
    run_well(&j);
    for (int rank = 0; rank < 3; rank++)
        ck_assert_float_eq(j.memory[rank][1][0], windowed_sum(3, j.runs + 1));
    free_job(&j);
}
END_TEST

START_TEST(several_programs_share_memory)
{
    static job j;
    make_job(&j, 2, write_windowed_sum);
    j.n_programs = 2;
    for (int rank = 0; rank < 2; rank++) {
        j.programs[rank][1] = program(rank, 2);
        write_windowed_sum(j.programs[rank][1]);
        kpar_program_order(j.programs[rank][1]);
    }
    run_well(&j);
    ck_assert_float_eq(j.memory[1][1][0], windowed_sum(2, 2 * j.runs));
    free_job(&j);
}
END_TEST

static void write_collective(kpar_program *p)
{
    int ranks[MAX_RANKS];
    for (int i = 0; i < p->world; i++) ranks[i] = i;
    kpar_instruction i = instruction(KPAR_INSTRUCTION_COLLECTIVE, KPAR_LANE_COMM, "sum");
    const kpar_place places[] = {own(0), own(1)};
    add(p, 1, 0, 0);
    i.places = places;
    i.n_places = 2;
    i.n_writes = 1;
    if (p->rank % 2 == 0)
        kpar_program_group(p, (const int[]){p->rank}, 1); /* so that numbers differ between ranks */
    i.group = kpar_program_group(p, ranks, p->world);
    kpar_program_append(p, &i);
    add(p, 0, 1, 0);
}

START_TEST(whole_collectives_sum_over_their_group)
{
    static job j;
    for (int n = 2; n <= MAX_RANKS; n++) {
        make_job(&j, n, write_collective);
        run_well(&j);
        for (int rank = 0; rank < n; rank++)
            ck_assert_float_eq(j.memory[rank][0][5], windowed_sum(n, j.runs));
        free_job(&j);
    }
}
END_TEST

START_TEST(a_run_allocates_nothing)
{
    static job j;
    static void (*const writers[])(kpar_program *) = {write_pipeline, write_windowed_sum};
    for (int i = 0; i < 2; i++) {
        make_job(&j, 3, writers[i]);
        j.runs = 10;
        run_well(&j);
        ck_assert_uint_eq(j.allocated, 0);
        free_job(&j);
    }
}
END_TEST

START_TEST(a_stalled_rank_says_for_whom_it_waits)
{
    static job j;
    make_job(&j, 2, write_pipeline);
    j.options.stall_seconds = 0.05;
    j.runs = 1;
    j.idle = 1; /* rank 0 sends nothing */
    run_job(&j);
    ck_assert_int_eq(j.status[1], KPAR_ESTALL);
    ck_assert_ptr_nonnull(strstr(j.error[1], "rank 1 on "));
    ck_assert_ptr_nonnull(strstr(j.error[1], "s in step 1 of this run for rank 0: "));
    ck_assert_ptr_nonnull(
        strstr(j.error[1], "for rank 0: receive 'dense_2/receive' of microbatch 0 (instruction 0)"));
    free_job(&j);
    make_job(&j, 2, write_windowed_sum);
    j.options.stall_seconds = 0.05;
    j.runs = 1;
    j.idle = 2;
    run_job(&j);
    ck_assert_int_eq(j.status[0], KPAR_ESTALL);
    ck_assert_ptr_nonnull(strstr(j.error[0], "for rank 1: wait 'sum/flag'"));
    free_job(&j);
}
END_TEST

static void write_failing(kpar_program *p) { add(p, -1e9, 0, 1); }

START_TEST(a_failing_kernel_is_named_with_its_layer)
{
    static job j;
    make_job(&j, 1, write_failing);
    run_job(&j);
    ck_assert_int_eq(j.status[0], KPAR_EDATA);
    ck_assert_str_eq(j.error[0],
                     "layer 'dense_2': instruction 0 (kernel 'dense_2/sum'): this value is too small");
    free_job(&j);
}
END_TEST

/* A kernel that fails at once beside a receive of what never comes. */
static void write_failing_beside_a_receive(kpar_program *p)
{
    message(p, p->rank ? KPAR_INSTRUCTION_SEND : KPAR_INSTRUCTION_RECEIVE, 1 - p->rank, 0, 0);
    if (p->rank == 0) add(p, -1e9, 5, 6);
}

START_TEST(a_failing_kernel_does_not_wait_for_messages)
{
    static job j;
    make_job(&j, 2, write_failing_beside_a_receive);
    j.idle = 2;
    run_job(&j);
    ck_assert_int_eq(j.status[0], KPAR_EDATA);
    ck_assert_str_eq(j.error[0],
                     "layer 'dense_2': instruction 1 (kernel 'dense_2/sum'): this value is too small");
    free_job(&j);
}
END_TEST

static void write_failing_in_the_comm_lane(kpar_program *p)
{
    const kpar_place place = own(0);
    kernel(p, KPAR_LANE_COMM, -1e9, 1, &place, 1);
    add(p, 1, 1, 2);
}

START_TEST(a_failing_kernel_of_the_comm_lane_ends_the_compute_lane)
{
    static job j;
    make_job(&j, 1, write_failing_in_the_comm_lane);
    run_job(&j);
    ck_assert_int_eq(j.status[0], KPAR_EDATA);
    ck_assert_str_eq(j.error[0],
                     "layer 'dense_2': instruction 0 (kernel 'dense_2/sum'): this value is too small");
    free_job(&j);
}
END_TEST

START_TEST(a_failing_message_is_named_by_both_its_ends)
{
    static job j;
    static const kpar_place half = {-1, 0, BYTES / 2};
    make_job(&j, 2, write_pipeline);
    kpar_instruction *receive = &j.programs[1][0]->instructions[0];
    ck_assert_int_eq(receive->kind, KPAR_INSTRUCTION_RECEIVE);
    receive->places = &half;
    run_job(&j);
    for (int rank = 0; rank < 2; rank++) {
        ck_assert_int_eq(j.status[rank], KPAR_ECOMM);
        ck_assert_ptr_nonnull(strstr(j.error[rank], rank ? "instruction 0 (receive 'dense_2/receive')"
                                                         : "(send 'dense_2/send')"));
        ck_assert_ptr_nonnull(strstr(j.error[rank], rank ? "32 bytes at one end, 64 at the other"
                                                         : "64 bytes at one end, 32 at the other"));
    }
    free_job(&j);
}
END_TEST

START_TEST(messages_belong_to_the_comm_lane)
{
    static job j;
    make_job(&j, 2, write_pipeline);
    j.programs[1][0]->instructions[0].lane = KPAR_LANE_COMPUTE;
    run_job(&j);
    for (int rank = 0; rank < 2; rank++) {
        ck_assert_int_eq(j.status[rank], KPAR_EINTERNAL);
        ck_assert_ptr_nonnull(strstr(j.error[rank], "outside the comm lane"));
    }
    free_job(&j);
}
END_TEST

START_TEST(a_communicator_of_one_thread_has_no_progress_thread)
{
    static job j;
    make_job(&j, 2, write_pipeline);
    j.one_thread_only = true;
    run_job(&j);
    for (int rank = 0; rank < 2; rank++) {
        ck_assert_int_eq(j.status[rank], with_progress_thread ? KPAR_EUNSUPPORTED : KPAR_OK);
        if (with_progress_thread) ck_assert_ptr_nonnull(strstr(j.error[rank], "MPI_THREAD_SERIALIZED"));
    }
    free_job(&j);
}
END_TEST

START_TEST(windows_that_cannot_be_reached_are_refused_by_all)
{
    static job j;
    make_job(&j, 4, write_windowed_sum);
    j.ranks_per_node = 2;
    run_job(&j);
    for (int rank = 0; rank < 4; rank++) {
        ck_assert_int_eq(j.status[rank], KPAR_EINTERNAL);
        ck_assert_ptr_nonnull(strstr(j.error[rank], "on rank 0 needs the window of rank 2"));
    }
    free_job(&j);
}
END_TEST

/* Slot 1 is 6e38, slot 4 the sum of that and slot 2; then the guard on slot 4 and a kernel behind it, into slot 5. */
static void write_infinite(kpar_program *p)
{
    const kpar_place both[] = {own(1), own(1)};
    add(p, 3e38, 3, 1);
    kernel(p, KPAR_LANE_COMPUTE, 0, 2, both, 2);
    add(p, 0, 2, 4);
}

static void guard(kpar_program *p, int slot)
{
    const kpar_place scalar = {-1, own(slot).offset, sizeof(float)};
    const kpar_instruction in = {.kind = KPAR_INSTRUCTION_GUARD,
                                 .lane = KPAR_LANE_COMPUTE,
                                 .phase = KPAR_PHASE_UPDATE,
                                 .microbatch = -1,
                                 .kernel = -1,
                                 .places = &scalar,
                                 .n_places = 1,
                                 .peer = -1,
                                 .dtype = KPAR_F32,
                                 .layer = "",
                                 .what = "guard"};
    kpar_program_append(p, &in);
}

static void write_guarded(kpar_program *p)
{
    write_infinite(p);
    guard(p, 4);
    add(p, 1, 5, 5);
}

START_TEST(kernels_behind_a_guard_that_is_not_finite_do_nothing)
{
    static job j;
    make_job(&j, 1, write_guarded);
    j.examine = true;
    run_job(&j);
    ck_assert_int_eq(j.status[0], KPAR_ENUMERIC);
    ck_assert_ptr_nonnull(strstr(j.error[0], "(guard 'guard')"));
    ck_assert_float_eq(j.memory[0][5][0], 1);
    ck_assert_int_eq(j.source[0], 1);
    free_job(&j);
}
END_TEST

static void write_finite(kpar_program *p)
{
    add(p, 2, 3, 4);
    guard(p, 4);
    add(p, 1, 5, 5);
}

START_TEST(a_guard_that_is_finite_lets_kernels_run)
{
    static job j;
    make_job(&j, 1, write_finite);
    j.examine = true;
    run_well(&j);
    ck_assert_float_eq(j.memory[0][5][0], 1 + 3 + 1); /* three runs, and the one that examines */
    ck_assert_int_eq(j.source[0], -1);
    free_job(&j);
}
END_TEST

/* Rank 0 sends what is no longer finite; rank 1 only works with it, in place. */
static void write_infinite_pipeline(kpar_program *p)
{
    const kpar_place received[] = {own(0), own(0)};
    if (p->rank == 0) {
        write_infinite(p);
        message(p, KPAR_INSTRUCTION_SEND, 1, 0, 4);
    } else {
        add(p, 1, 3, 1);
        message(p, KPAR_INSTRUCTION_RECEIVE, 0, 0, 0);
        kernel(p, KPAR_LANE_COMPUTE, 0, 2, received, 0);
    }
}

START_TEST(values_that_are_not_finite_come_from_the_rank_that_made_them)
{
    static job j;
    make_job(&j, 2, write_infinite_pipeline);
    j.examine = true;
    run_well(&j);
    ck_assert_int_eq(j.source[0], 1);
    ck_assert_int_eq(j.source[1], -1);
    free_job(&j);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
    static job j;
    size_t before = kpar_alloc_live();
    make_job(&j, 3, write_windowed_sum);
    run_well(&j);
    free_job(&j);
    ck_assert_uint_eq(kpar_alloc_live(), before);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        a_pipeline_gives_what_it_says,
        lanes_in_any_order_give_the_same,
        a_missing_wait_shows_with_some_order_of_lanes,
        a_windowed_sum_is_the_same_on_all_ranks,
        a_windowed_sum_is_the_same_in_any_order_of_lanes,
        start_and_run_count_their_flags_by_themselves,
        several_programs_share_memory,
        whole_collectives_sum_over_their_group,
        a_run_allocates_nothing,
        a_stalled_rank_says_for_whom_it_waits,
        a_failing_kernel_is_named_with_its_layer,
        a_failing_kernel_does_not_wait_for_messages,
        a_failing_kernel_of_the_comm_lane_ends_the_compute_lane,
        a_failing_message_is_named_by_both_its_ends,
        messages_belong_to_the_comm_lane,
        a_communicator_of_one_thread_has_no_progress_thread,
        windows_that_cannot_be_reached_are_refused_by_all,
        kernels_behind_a_guard_that_is_not_finite_do_nothing,
        a_guard_that_is_finite_lets_kernels_run,
        values_that_are_not_finite_come_from_the_rank_that_made_them,
        nothing_is_left_behind,
    };
    Suite *s = suite_create("executor");
    for (int with = 0; with < 2; with++) {
        TCase *c = tcase_create(with ? "with a progress thread" : "on one thread");
        tcase_set_timeout(c, 120);
        if (with) tcase_add_checked_fixture(c, use_progress_thread, NULL);
        for (size_t t = 0; t < sizeof tests / sizeof tests[0]; t++) tcase_add_test(c, tests[t]);
        suite_add_tcase(s, c);
    }
    return s;
}

int main(void) { return run_suite(suite()); }
