/* Making a trainer: file, model, plan, programs, executor, weights. */
#include "train/trainer_internal.h"

#include "base/room.h"

#include <stdio.h>
#include <string.h>

const char *kpar_trainer_config(const kpar_trainer *t, size_t *length)
{
    if (!t->options.config) return kpar_keras_config(t->file, length);
    *length = strlen(t->options.config);
    return t->options.config;
}

static kpar_status open_model(kpar_trainer *t)
{
    size_t length;
    KPAR_TRY(kpar_keras_open(t->path, &t->file));
    if (t->options.weights) KPAR_TRY(kpar_keras_take_weights(t->file, t->options.weights));
    if (kpar_comm_rank(t->comm) == 0 && kpar_keras_has_weights(t->file)) KPAR_TRY(kpar_keras_verify(t->file));
    const char *config = kpar_trainer_config(t, &length);
    return kpar_keras_describe(t->path, config, length, &t->model);
}

static kpar_status make_plan(kpar_trainer *t)
{
    const int size = kpar_comm_size(t->comm);
    kpar_plan_options *o = &t->options.plan;
    if (kpar_mesh_size(o->mesh) != size)
        return kpar_fail(KPAR_EUSAGE,
                         "mesh: --data-parallel %d x --pipeline %d x --tensor %d is %d ranks, started are "
                         "%d; start with -np %d or change the mesh",
                         o->mesh.data, o->mesh.pipeline, o->mesh.tensor, kpar_mesh_size(o->mesh), size,
                         kpar_mesh_size(o->mesh));
    t->nodes = kpar_alloc((size_t)size * sizeof *t->nodes);
    for (int i = 0; i < size; i++) t->nodes[i] = kpar_comm_node(t->comm, i);
    o->nodes = t->nodes;
    t->me = kpar_mesh_coordinate(o->mesh, kpar_comm_rank(t->comm));
    t->catalog = kpar_catalog_create();
    KPAR_TRY(kpar_plan_create(t->model, t->catalog, o, t->options.modes, &t->plan));
    KPAR_TRY(kpar_plan_emit(t->plan, kpar_comm_rank(t->comm), t->programs));
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (t->programs[mode] && t->programs[mode]->arena_bytes > t->arena_bytes)
            t->arena_bytes = t->programs[mode]->arena_bytes;
    return KPAR_OK;
}

static void describe_arithmetic(kpar_trainer *t)
{
    const kpar_plan_options *o = &t->options.plan;
    char device[64] = "";
    if (o->leaves == 0) return;
    if (o->device->arithmetic) o->device->arithmetic(device, sizeof device);
    snprintf(t->arithmetic, sizeof t->arithmetic, "%d leaves, tensor %d, threads %d, device %s%s%s",
             o->leaves, o->mesh.tensor, t->options.device.threads, o->device->name, *device ? " with " : "",
             device);
}

/* Leaves go to any rank: all must compute alike. */
static kpar_status compare_arithmetic(kpar_trainer *t)
{
    enum { BYTES = sizeof t->arithmetic };
    if (t->options.plan.leaves == 0) return KPAR_OK;
    const int size = kpar_comm_size(t->comm);
    char *all = kpar_alloc_zeroed((size_t)size, BYTES);
    kpar_status status = kpar_comm_all_gather(t->comm, t->arithmetic, all, BYTES);
    for (int i = 1; i < size && status == KPAR_OK; i++)
        if (strcmp(all + (size_t)i * BYTES, all) != 0)
            status = kpar_fail(
                KPAR_EUSAGE,
                "rank %d computes with %s, rank 0 with %s: a reproducible run needs the same on all ranks; "
                "where instruction sets differ, set ONEDNN_MAX_CPU_ISA to the least of them",
                i, all + (size_t)i * BYTES, all);
    kpar_free(all);
    return status;
}

/* Rank 0 proves the programs of all ranks together. */
static kpar_status prove_mode(kpar_trainer *t, kpar_mode mode, kpar_program *(*all)[KPAR_MODE_COUNT])
{
    const int size = kpar_comm_size(t->comm);
    const kpar_program **programs = kpar_alloc((size_t)size * sizeof *programs);
    for (int rank = 0; rank < size; rank++) programs[rank] = all[rank][mode];
    kpar_status status = kpar_programs_check(programs, size);
    kpar_free(programs);
    return status == KPAR_OK ? KPAR_OK : kpar_fail_in(status, "%s", kpar_mode_name(mode));
}

static kpar_status prove_programs(kpar_trainer *t)
{
    const int size = kpar_comm_size(t->comm);
    if (!t->options.plan.check_passes || kpar_comm_rank(t->comm) != 0) return KPAR_OK;
    kpar_program *(*all)[KPAR_MODE_COUNT] = kpar_alloc_zeroed((size_t)size, sizeof *all);
    kpar_status status = KPAR_OK;
    for (int rank = 0; rank < size && status == KPAR_OK; rank++)
        status = kpar_plan_emit(t->plan, rank, all[rank]);
    for (int mode = 0; mode < KPAR_MODE_COUNT && status == KPAR_OK; mode++)
        if (t->programs[mode]) status = prove_mode(t, (kpar_mode)mode, all);
    for (int rank = 0; rank < size; rank++)
        for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
            if (all[rank][mode]) kpar_program_destroy(all[rank][mode]);
    kpar_free(all);
    return status;
}

static kpar_status make_executor(kpar_trainer *t)
{
    const kpar_program *programs[KPAR_MODE_COUNT];
    int n = 0;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        t->program_index[mode] = t->programs[mode] ? n : -1;
        if (t->programs[mode]) programs[n++] = t->programs[mode];
    }
    return kpar_executor_create(t->comm, t->options.plan.device, &t->options.device, programs, n,
                                &t->options.executor, &t->executor);
}

static size_t report_values(const kpar_trainer *t)
{
    int most = 0;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        int n, values;
        kpar_plan_reports(t->plan, (kpar_mode)mode, &n, &values);
        if (values > most) most = values;
    }
    return (size_t)most;
}

static kpar_status create(kpar_trainer *t)
{
    KPAR_TRY(kpar_comm_agree(t->comm, open_model(t)));
    KPAR_TRY(kpar_comm_agree(t->comm, make_plan(t)));
    KPAR_TRY(kpar_trainer_compare_starts(t));
    describe_arithmetic(t);
    KPAR_TRY(kpar_comm_agree(t->comm, compare_arithmetic(t)));
    if (!t->options.ignore_memory) KPAR_TRY(kpar_trainer_check_memory(t));
    KPAR_TRY(kpar_comm_agree(t->comm, prove_programs(t)));
    KPAR_TRY(make_executor(t));
    t->row_numbers = kpar_alloc(((size_t)kpar_trainer_any_program(t)->rows + 1) * sizeof *t->row_numbers);
    t->sums = kpar_alloc((report_values(t) + 2) * sizeof *t->sums);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (t->programs[mode])
            KPAR_TRY(kpar_comm_agree(t->comm, kpar_executor_start(t->executor, t->program_index[mode])));
    KPAR_TRY(kpar_comm_agree(t->comm, kpar_trainer_load(t)));
    return kpar_trainer_gather_owned(t);
}

kpar_status kpar_trainer_create(kpar_comm *comm, const char *model_path, const kpar_trainer_options *options,
                                kpar_trainer **trainer)
{
    kpar_trainer *t = kpar_alloc_zeroed(1, sizeof *t);
    *t = (kpar_trainer){
        .comm = comm, .options = *options, .path = kpar_strdup(model_path), .arena = kpar_arena_create()};
    kpar_status status = create(t);
    if (status != KPAR_OK)
        kpar_trainer_destroy(t);
    else
        *trainer = t;
    return status;
}

void kpar_trainer_destroy(kpar_trainer *t)
{
    if (!t) return;
    if (t->executor) kpar_executor_destroy(t->executor);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (t->programs[mode]) kpar_program_destroy(t->programs[mode]);
    kpar_plan_destroy(t->plan);
    if (t->catalog) kpar_catalog_destroy(t->catalog);
    if (t->model) kpar_model_destroy(t->model);
    if (t->file) kpar_keras_close(t->file);
    kpar_arena_destroy(t->arena);
    kpar_free(t->nodes);
    kpar_free(t->path);
    kpar_free(t->owned);
    kpar_free(t->logs);
    kpar_free(t->row_numbers);
    kpar_free(t->sums);
    kpar_free(t);
}

const kpar_plan *kpar_trainer_plan(const kpar_trainer *trainer) { return trainer->plan; }
const kpar_model *kpar_trainer_model(const kpar_trainer *trainer) { return trainer->model; }
kpar_executor_times kpar_trainer_times(const kpar_trainer *trainer)
{
    return kpar_executor_times_get(trainer->executor);
}

/* The window of a rank that has peers on its node is shared memory, else its own. */
size_t kpar_trainer_peak_bytes(const kpar_trainer *trainer)
{
    const kpar_comm *comm = trainer->comm;
    const int me = kpar_comm_rank(comm);
    bool shared = false;
    for (int rank = 0; rank < kpar_comm_size(comm); rank++)
        if (rank != me && kpar_comm_shares(comm, me, rank)) shared = true;
    return kpar_room_peak() + (shared ? trainer->arena_bytes : 0);
}

const kpar_program *kpar_trainer_any_program(const kpar_trainer *trainer)
{
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (trainer->programs[mode]) return trainer->programs[mode];
    return NULL;
}
