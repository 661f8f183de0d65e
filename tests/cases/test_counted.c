/* What is counted on each rank: bytes of data and weights that it reads, blocks that a replay allocates. */
#include "../unit/unit.h"
#include "base/memory.h"
#include "train/trainer_internal.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 4, ROWS = 40, COLUMNS = 12, BATCH = 8, STEPS = 5, LONGEST = 512 };

typedef struct rank {
    pthread_t thread;
    kpar_comm *comm;
    const kpar_plan_options *plan;
    bool progress_thread;
    kpar_trainer *trainer;
    kpar_dataset *dataset;
    size_t weight_bytes, slice_bytes, kernel_bytes; /* read, held of all weights, held of the first kernel */
    size_t data_bytes;                              /* read in STEPS steps */
    size_t allocated;                               /* in STEPS replays, by all ranks */
    kpar_status status;
    char message[LONGEST];
} rank;

static const char *case_file(char *path, const char *name)
{
    const char *tree = getenv("srcdir");
    snprintf(path, LONGEST, "%s/tests/cases/data/opt_adam/%s", tree ? tree : ".", name);
    return path;
}

/* Of weights: the file has no optimizer state. */
static void count_slices(rank *r)
{
    const kpar_program *p = r->trainer->programs[KPAR_MODE_TRAIN];
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_VARIABLE) continue;
        if (strncmp(r->trainer->catalog->variables[slot->index].path, "layers/", 7) != 0) continue;
        const size_t bytes =
            (size_t)kpar_count(slot->slice.rank, slot->slice.size) * kpar_dtype_bytes(slot->tensor.dtype);
        r->slice_bytes += bytes;
        if (slot->index == 0) r->kernel_bytes += bytes;
    }
}

static kpar_status take_steps(rank *r)
{
    const kpar_rows rows = {r->dataset, 0, ROWS};
    double sums[16];
    for (int i = 0; i < STEPS; i++) {
        const kpar_batch batch = {
            .data = &rows, .rows = BATCH, .first = i * BATCH, .shuffle = true, .seed = 1};
        KPAR_TRY(kpar_trainer_step(r->trainer, KPAR_MODE_TRAIN, &batch, sums, NULL));
    }
    return kpar_comm_barrier(r->comm);
}

/* The last batch again and again. */
static kpar_status replay(rank *r)
{
    const size_t blocks = kpar_alloc_total();
    KPAR_TRY(kpar_comm_barrier(r->comm));
    for (int i = 0; i < STEPS; i++)
        KPAR_TRY(kpar_executor_run(r->trainer->executor, r->trainer->program_index[KPAR_MODE_TRAIN]));
    KPAR_TRY(kpar_comm_barrier(r->comm));
    r->allocated = kpar_alloc_total() - blocks;
    return kpar_comm_barrier(r->comm);
}

static kpar_status train(rank *r)
{
    const kpar_trainer_options options = {.plan = *r->plan,
                                          .device = {.threads = 1},
                                          .executor.progress_thread = r->progress_thread,
                                          .modes = 1u << KPAR_MODE_TRAIN};
    char path[LONGEST];
    KPAR_TRY(kpar_trainer_create(r->comm, case_file(path, "model.keras"), &options, &r->trainer));
    r->weight_bytes = kpar_keras_bytes_read(r->trainer->file);
    count_slices(r);
    KPAR_TRY(kpar_trainer_open_data(r->trainer, case_file(path, "data.npz"), &(kpar_dataset_names){0},
                                    &r->dataset));
    const size_t bytes = kpar_dataset_bytes_read(r->dataset); /* all labels were checked */
    KPAR_TRY(take_steps(r));
    r->data_bytes = kpar_dataset_bytes_read(r->dataset) - bytes;
    return replay(r);
}

static void *run(void *context)
{
    rank *r = context;
    r->status = train(r);
    if (r->status != KPAR_OK) snprintf(r->message, LONGEST, "%s", kpar_error_message());
    kpar_trainer_destroy(r->trainer);
    if (r->dataset) kpar_dataset_close(r->dataset);
    return NULL;
}

static void run_all(rank *ranks, kpar_mesh mesh, bool split_features, bool progress_thread)
{
    const int n = kpar_mesh_size(mesh);
    const kpar_plan_options plan = {
        .mesh = mesh,
        .batch_size = BATCH,
        .microbatches = mesh.pipeline > 1 ? 2 : 1,
        .zero = mesh.data > 1,
        .split_features = split_features,
        .windows = true,
        .device = &kpar_device_cpu,
        .real = KPAR_F32,
    };
    kpar_comm *comms[RANKS];
    ck_assert_int_eq(kpar_comm_local_create(n, 0, comms), KPAR_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] = (rank){.comm = comms[i], .plan = &plan, .progress_thread = progress_thread};
        ck_assert_int_eq(pthread_create(&ranks[i].thread, NULL, run, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < n; i++) {
        kpar_comm_destroy(comms[i]);
        ck_assert_msg(ranks[i].status == KPAR_OK, "rank %d: %s", i, ranks[i].message);
    }
}

START_TEST(with_split_features_a_rank_reads_its_columns_and_its_slices_only)
{
    rank whole[RANKS], split[RANKS];
    run_all(whole, (kpar_mesh){1, 1, 1}, false, false);
    run_all(split, (kpar_mesh){1, 1, 2}, true, false);
    const size_t x_bytes = ROWS * COLUMNS * sizeof(float), y_bytes = whole[0].data_bytes - x_bytes;
    ck_assert_uint_eq(whole[0].weight_bytes, whole[0].slice_bytes);
    ck_assert_uint_eq(y_bytes, ROWS * sizeof(int32_t));
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(split[i].data_bytes, x_bytes / 2 + y_bytes);
        ck_assert_uint_eq(split[i].kernel_bytes, whole[0].kernel_bytes / 2);
        ck_assert_uint_eq(split[i].weight_bytes, split[i].slice_bytes);
        ck_assert_uint_lt(split[i].weight_bytes, whole[0].weight_bytes * 6 / 10); /* some biases stay whole */
    }
}
END_TEST

START_TEST(a_stage_reads_its_weights_and_what_it_needs_of_the_data_only)
{
    rank whole[RANKS], stages[RANKS];
    run_all(whole, (kpar_mesh){1, 1, 1}, false, false);
    run_all(stages, (kpar_mesh){1, 2, 1}, false, false);
    for (int i = 0; i < 2; i++) ck_assert_uint_eq(stages[i].weight_bytes, stages[i].slice_bytes);
    ck_assert_uint_eq(stages[0].data_bytes + stages[1].data_bytes, whole[0].data_bytes);
    ck_assert_uint_gt(stages[0].data_bytes, stages[1].data_bytes);
}
END_TEST

START_TEST(a_replay_allocates_nothing)
{
    static const kpar_mesh meshes[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {2, 2, 1}};
    for (size_t i = 0; i < sizeof meshes / sizeof meshes[0]; i++) {
        rank ranks[RANKS];
        run_all(ranks, meshes[i], false, _i);
        ck_assert_msg(ranks[0].allocated == 0, "%d x %d x %d: %zu blocks in %d replays", meshes[i].data,
                      meshes[i].pipeline, meshes[i].tensor, ranks[0].allocated, STEPS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counted");
    TCase *all = tcase_create("counted");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, with_split_features_a_rank_reads_its_columns_and_its_slices_only);
    tcase_add_test(all, a_stage_reads_its_weights_and_what_it_needs_of_the_data_only);
    tcase_add_loop_test(all, a_replay_allocates_nothing, 0, 2); /* without and with a progress thread */
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
