/* A step whose loss is not finite: all ranks refuse it, name the layer that it comes from, and are as before it. */
#include "train/trainer_internal.h"

#include "data/npy.h"

#include "keras_fixture.h"
#include "unit.h"

#include <math.h>
#include <pthread.h>

enum { ROWS = 40, WIDTH = 12, BATCH = 16, MOST_RANKS = 8, LONGEST = 512 };

typedef struct layout {
    kpar_mesh mesh;
    int microbatches, leaves, zero;
    const char *schedule, *choice, *without_passes;
    bool no_windows, split_features;
    int ranks_per_node; /* 0: one node */
} layout;

typedef struct rank {
    pthread_t thread;
    kpar_comm *comm;
    const layout *layout;
    const char *model;
    int layers;          /* dense, dense_1, ... */
    char wrong[LONGEST]; /* what went wrong in the test; "": nothing */
} rank;

static void write_array(const char *folder_name, const char *name, kpar_dtype dtype, int width, void *data)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", path_of(folder_name), name);
    const kpar_array array = {.dtype = dtype, .rank = width ? 2 : 1, .dims = {ROWS, width}, .data = data};
    ck_assert_msg(kpar_npy_write(path, &array) == KPAR_OK, "%s", kpar_error_message());
}

/* Two folders with the same data, but for one value of the first batch. */
static void write_data(void)
{
    float x[ROWS * WIDTH];
    int32_t y[ROWS];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i * 37 % 101) / 101;
    for (int i = 0; i < ROWS; i++) y[i] = i % 5;
    for (int bad = 0; bad < 2; bad++) {
        const char *name = bad ? "bad" : "good";
        if (bad) x[(BATCH - 1) * WIDTH + 3] = NAN;
        char command[PATH_BYTES];
        snprintf(command, sizeof command, "mkdir '%s'", path_of(name));
        ck_assert_int_eq(system(command), 0);
        write_array(name, "x.npy", KPAR_F32, WIDTH, x);
        write_array(name, "y.npy", KPAR_I32, 0, y);
    }
}

static kpar_status make_trainer(rank *r, kpar_trainer **trainer)
{
    const layout *l = r->layout;
    const kpar_trainer_options options = {
        .modes = 1u << KPAR_MODE_TRAIN,
        .device.threads = 1,
        .plan = {.mesh = l->mesh,
                 .batch_size = BATCH,
                 .microbatches = l->leaves ? 0 : l->microbatches,
                 .leaves = l->leaves,
                 .schedule = l->schedule ? kpar_schedule_find(l->schedule) : NULL,
                 .zero = l->zero,
                 .split_features = l->split_features,
                 .windows = !l->no_windows,
                 .choice = l->choice,
                 .without_passes = l->without_passes,
                 .check_passes = true,
                 .device = kpar_device_find("cpu"),
                 .real = KPAR_F32},
    };
    return kpar_trainer_create(r->comm, case_model(r->model), &options, trainer);
}

static kpar_status step(kpar_trainer *t, const char *data)
{
    double sums[16];
    const kpar_dataset_names names = {0};
    kpar_dataset *dataset;
    KPAR_TRY(kpar_trainer_open_data(t, path_of(data), &names, &dataset));
    const kpar_rows rows = {dataset, 0, ROWS};
    const kpar_batch batch = {.data = &rows, .rows = BATCH};
    kpar_status status = kpar_trainer_step(t, KPAR_MODE_TRAIN, &batch, sums, NULL);
    kpar_dataset_close(dataset);
    return status;
}

/* --- state --- */

/* The next variable's slot from *at on; NULL: there is none. */
static const kpar_slot *next_variable(const kpar_trainer *t, size_t *at)
{
    const kpar_program *p = t->programs[KPAR_MODE_TRAIN];
    while (*at < p->n_slots)
        if (p->slots[(*at)++].kind == KPAR_SLOT_VARIABLE) return &p->slots[*at - 1];
    return NULL;
}

/* All variables of this rank, one after the other; free() them. */
static char *state_of(const kpar_trainer *t, size_t *bytes)
{
    char *state = NULL;
    const kpar_slot *slot;
    *bytes = 0;
    for (size_t at = 0; (slot = next_variable(t, &at));) {
        state = realloc(state, *bytes + slot->place.bytes + 1);
        memcpy(state + *bytes, kpar_executor_memory(t->executor, &slot->place), slot->place.bytes);
        *bytes += slot->place.bytes;
    }
    return state;
}

static void set_state(const kpar_trainer *t, const char *state)
{
    const kpar_slot *slot;
    if (kpar_comm_barrier(t->comm) != KPAR_OK) return; /* ranks may have weights in common */
    for (size_t at = 0; (slot = next_variable(t, &at)); state += slot->place.bytes)
        memcpy(kpar_executor_memory(t->executor, &slot->place), state, slot->place.bytes);
}

static void spoil_kernel(const kpar_trainer *t, const char *layer)
{
    const kpar_slot *slot;
    for (size_t at = 0; (slot = next_variable(t, &at));) {
        const kpar_variable *v = &t->catalog->variables[slot->index];
        if (strcmp(v->layer, layer) != 0 || strcmp(v->name, "kernel") != 0) continue;
        float *values = kpar_executor_memory(t->executor, &slot->place);
        for (size_t i = 0; i < slot->place.bytes / sizeof *values; i++) values[i] = NAN;
    }
}

/* --- steps --- */

static void wrong(rank *r, const char *what, const char *detail)
{
    if (!*r->wrong) snprintf(r->wrong, sizeof r->wrong, "%s: %s", what, detail);
}

/* The step is refused for the layer's sake, and nothing has changed. */
static void expect_refusal(rank *r, kpar_trainer *t, const char *data, const char *layer)
{
    char words[128];
    size_t bytes, again;
    snprintf(words, sizeof words, "not finite come from layer '%s';", layer);
    char *before = state_of(t, &bytes);
    kpar_status status = step(t, data);
    if (status != KPAR_ENUMERIC || !strstr(kpar_error_message(), words) ||
        !strstr(kpar_error_message(), "step 1: "))
        wrong(r, layer, status == KPAR_OK ? "no failure" : kpar_error_message());
    char *after = state_of(t, &again);
    if (again != bytes || memcmp(before, after, bytes) != 0) wrong(r, layer, "the state has changed");
    free(before);
    free(after);
}

static void spoil_each_layer(rank *r, kpar_trainer *t)
{
    size_t bytes;
    char *before = state_of(t, &bytes);
    for (int i = 0; i < r->layers; i++) {
        char layer[32] = "dense";
        if (i > 0) snprintf(layer, sizeof layer, "dense_%d", i);
        if (kpar_comm_barrier(r->comm) != KPAR_OK) return;
        spoil_kernel(t, layer);
        expect_refusal(r, t, "good", layer);
        set_state(t, before);
    }
    free(before);
}

/* The state after a good step, with or without bad ones before it; free() it. */
static char *trained(rank *r, bool bad_before, size_t *bytes)
{
    kpar_trainer *t = NULL;
    char *state = NULL;
    *bytes = 0;
    kpar_status status = make_trainer(r, &t);
    if (status == KPAR_OK && bad_before) {
        expect_refusal(r, t, "bad", "dense");
        spoil_each_layer(r, t);
    }
    if (status == KPAR_OK && !*r->wrong) status = step(t, "good");
    if (status != KPAR_OK)
        wrong(r, "training", kpar_error_message());
    else
        state = state_of(t, bytes);
    if (kpar_comm_barrier(r->comm) != KPAR_OK) wrong(r, "at the end", kpar_error_message());
    kpar_trainer_destroy(t);
    return state;
}

static void *run(void *context)
{
    rank *r = context;
    size_t bytes, others;
    char *plain = trained(r, false, &bytes), *state = NULL;
    if (!*r->wrong) state = trained(r, true, &others);
    if (!*r->wrong && (bytes != others || memcmp(plain, state, bytes) != 0))
        wrong(r, "the good step", "not the state of a trainer that never saw the bad ones");
    free(plain);
    free(state);
    return NULL;
}

static void run_layout(const layout *l, const char *model, int layers)
{
    kpar_comm *comms[MOST_RANKS];
    rank ranks[MOST_RANKS];
    const int n = kpar_mesh_size(l->mesh);
    ck_assert_int_eq(kpar_comm_local_create(n, l->ranks_per_node, comms), KPAR_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] = (rank){.comm = comms[i], .layout = l, .model = model, .layers = layers};
        ck_assert_int_eq(pthread_create(&ranks[i].thread, NULL, run, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < n; i++)
        ck_assert_msg(!*ranks[i].wrong, "%s %dx%dx%d: rank %d: %s", model, l->mesh.data, l->mesh.pipeline,
                      l->mesh.tensor, i, ranks[i].wrong);
    for (int i = 0; i < n; i++) kpar_comm_destroy(comms[i]);
}

static const layout layouts[] = {
    {.mesh = {1, 1, 1}, .microbatches = 1},
    {.mesh = {1, 1, 1}, .microbatches = 4},
    {.mesh = {2, 1, 1}, .microbatches = 1},
    {.mesh = {2, 1, 1}, .microbatches = 1, .zero = 1},
    {.mesh = {2, 1, 1}, .microbatches = 2, .zero = 1, .no_windows = true},
    {.mesh = {2, 1, 1}, .microbatches = 1, .zero = 1, .ranks_per_node = 1},
    {.mesh = {2, 1, 1}, .microbatches = 1, .without_passes = "simplify,fuse,bucket"},
    {.mesh = {3, 1, 1}, .leaves = 8, .zero = 1},
    {.mesh = {2, 1, 1},
     .microbatches = 1,
     .zero = 1,
     .choice = "all_reduce:ring,reduce_scatter:ring,all_gather:ring"},
    {.mesh = {2, 1, 1},
     .microbatches = 1,
     .zero = 1,
     .choice = "all_reduce:whole,reduce_scatter:whole,all_gather:whole"},
    {.mesh = {1, 2, 1}, .microbatches = 4},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "gpipe"},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {2, 2, 1}, .microbatches = 4, .schedule = "zb-h1", .zero = 1},
    {.mesh = {1, 2, 1}, .microbatches = 4, .without_passes = "simplify,fuse,bucket"},
    {.mesh = {1, 1, 2}, .microbatches = 1},
    {.mesh = {1, 1, 2}, .microbatches = 1, .split_features = true},
    {.mesh = {2, 2, 1}, .microbatches = 4, .zero = 1},
    {.mesh = {2, 2, 1}, .microbatches = 4},
    {.mesh = {2, 2, 1}, .leaves = 8},
    {.mesh = {2, 2, 1}, .microbatches = 2, .no_windows = true},
    {.mesh = {1, 2, 2}, .microbatches = 4},
    {.mesh = {1, 2, 2}, .microbatches = 4, .schedule = "gpipe"},
    {.mesh = {2, 2, 2}, .microbatches = 2, .zero = 1},
};

START_TEST(a_step_without_a_finite_loss_is_refused_by_all_ranks_and_changes_nothing)
{
    make_folder();
    write_data();
    run_layout(&layouts[_i], "opt_adam", 3);
    remove_folder();
}
END_TEST

static const layout deep_layouts[] = {
    {.mesh = {1, 2, 1}, .microbatches = 4},
    {.mesh = {1, 4, 1}, .microbatches = 1},
    {.mesh = {1, 4, 1}, .microbatches = 4},
    {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "gpipe"},
    {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "zb-h1"},
    {.mesh = {2, 4, 1}, .microbatches = 4, .zero = 1},
    {.mesh = {1, 4, 2}, .microbatches = 2},
};

START_TEST(the_layer_is_named_whatever_its_stage)
{
    make_folder();
    write_data();
    run_layout(&deep_layouts[_i], "deep_mlp8", 8);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *tests = tcase_create("steps that are refused");
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, a_step_without_a_finite_loss_is_refused_by_all_ranks_and_changes_nothing, 0,
                        (int)(sizeof layouts / sizeof *layouts));
    tcase_add_loop_test(tests, the_layer_is_named_whatever_its_stage, 0,
                        (int)(sizeof deep_layouts / sizeof *deep_layouts));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
