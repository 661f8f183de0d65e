/* The executor: prepares kernels, resolves places, makes the window and groups; everything that a run needs. */
#include "run/executor_internal.h"

#include <string.h>

static size_t place_count(const kpar_program *program)
{
    size_t n = 0;
    for (size_t i = 0; i < program->n_instructions; i++) n += (size_t)program->instructions[i].n_places;
    return n;
}

/* Where a place lies in this process; NULL if its rank shares no window with this one. */
static void *resolve(const kpar_executor *executor, const kpar_place *place)
{
    bool own = place->rank < 0 || place->rank == kpar_comm_rank(executor->comm);
    char *start = own ? executor->memory : kpar_comm_window_of(executor->comm, place->rank);
    return start ? start + place->offset : NULL;
}

static kpar_status unreachable(const kpar_program *program, size_t index, int rank)
{
    const kpar_instruction *in = &program->instructions[index];
    return kpar_fail(
        KPAR_EINTERNAL,
        "layer '%s': instruction %zu '%s' on rank %d needs the window of rank %d, which is not reachable",
        in->layer, index, in->what, program->rank, rank);
}

static kpar_status resolve_places(kpar_executor *executor, kpar_loaded *loaded)
{
    const kpar_program *program = loaded->program;
    loaded->places = kpar_arena_alloc(executor->arena, program->n_instructions * sizeof *loaded->places);
    void **next = kpar_arena_alloc(executor->arena, place_count(program) * sizeof *next);
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        loaded->places[i] = next;
        next += in->n_places;
        for (int p = 0; p < in->n_places; p++) {
            loaded->places[i][p] = resolve(executor, &in->places[p]);
            if (!loaded->places[i][p]) return unreachable(program, i, in->places[p].rank);
        }
        if (in->kind == KPAR_INSTRUCTION_WAIT && !kpar_comm_window_of(executor->comm, in->peer))
            return unreachable(program, i, in->peer);
    }
    return KPAR_OK;
}

static void fill_list(kpar_executor *executor, const kpar_program *program, kpar_run_list *list, int first,
                      int end)
{
    list->first = first;
    list->end = end;
    for (int i = first; i < end; i++) {
        list->n_lane[program->instructions[i].lane]++;
        list->moved_bytes += kpar_program_moved_bytes(program, &program->instructions[i]);
    }
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) {
        int n = 0;
        list->lanes[lane] = kpar_arena_alloc(executor->arena, (size_t)list->n_lane[lane] * sizeof(int));
        for (int i = first; i < end; i++)
            if ((int)program->instructions[i].lane == lane) list->lanes[lane][n++] = i;
    }
}

/* Two threads may not run one kernel at a time: a device prepares those that its lanes run. */
static kpar_status prepare_kernels(kpar_executor *executor, kpar_loaded *loaded, int device)
{
    const kpar_program *program = loaded->program;
    kpar_kernel **kernels = kpar_arena_alloc(executor->arena, program->n_kernels * sizeof *kernels);
    loaded->kernels[device] = kernels;
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        if (in->kind != KPAR_INSTRUCTION_KERNEL || kpar_executor_device_of(executor, in->lane) != device ||
            kernels[in->kernel])
            continue;
        KPAR_TRY(executor->class->prepare(executor->devices[device], &program->kernels[in->kernel],
                                          &kernels[in->kernel]));
    }
    return KPAR_OK;
}

/* Everything of a program that needs no other rank. */
static kpar_status load(kpar_executor *executor, kpar_loaded *loaded)
{
    const kpar_program *program = loaded->program;
    size_t n = program->n_instructions;
    KPAR_TRY(kpar_program_check(program));
    loaded->ended = kpar_arena_alloc(executor->arena, n * sizeof *loaded->ended);
    loaded->kernel_seconds = kpar_arena_alloc(executor->arena, n * sizeof *loaded->kernel_seconds);
    fill_list(executor, program, &loaded->lists[KPAR_LIST_START], 0, (int)program->n_start);
    fill_list(executor, program, &loaded->lists[KPAR_LIST_RUN], (int)program->n_start, (int)n);
    for (int device = 0; device < executor->n_devices; device++)
        KPAR_TRY(prepare_kernels(executor, loaded, device));
    return KPAR_OK;
}

/* Random lanes take turns on one thread. Kernels beside the compute lane's take one thread. The progress thread comes
 * last: it takes over how the devices have set this thread's arithmetic (denormals). */
static kpar_status create_devices(kpar_executor *executor, const kpar_device_options *options)
{
    const kpar_device_options one = {.threads = 1};
    const bool own_thread = executor->options.progress_thread && !executor->options.lane_seed;
    if (own_thread && !kpar_comm_moves_on_any_thread(executor->comm))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "no progress thread: MPI gives less than MPI_THREAD_SERIALIZED here");
    executor->n_devices = own_thread ? KPAR_LANE_COUNT : 1;
    for (int i = 0; i < executor->n_devices; i++)
        KPAR_TRY(executor->class->create(i == KPAR_LANE_COMPUTE ? options : &one, &executor->devices[i]));
    return own_thread ? kpar_progress_thread_create(&executor->progress) : KPAR_OK;
}

static int count_asynchronous(const kpar_program *program)
{
    int n = 0;
    for (size_t i = 0; i < program->n_instructions; i++)
        n += kpar_instruction_is_asynchronous(program->instructions[i].kind);
    return n;
}

static kpar_status load_all(kpar_executor *executor, const kpar_device_options *device_options)
{
    int most = 0;
    KPAR_TRY(create_devices(executor, device_options));
    for (int i = 0; i < executor->n_programs; i++) {
        int n = count_asynchronous(executor->programs[i].program);
        if (n > most) most = n;
        KPAR_TRY(load(executor, &executor->programs[i]));
    }
    executor->under_way = kpar_arena_alloc(executor->arena, (size_t)most * sizeof *executor->under_way);
    return KPAR_OK;
}

/* A flag has the same number on every rank: room for the most flags that any rank has. */
static kpar_status number_flags(kpar_executor *executor, int *n_flags)
{
    int size = kpar_comm_size(executor->comm);
    int *all = kpar_alloc((size_t)size * sizeof *all);
    kpar_status status = KPAR_OK;
    *n_flags = 0;
    for (int i = 0; i < executor->n_programs && status == KPAR_OK; i++) {
        int most = 0;
        status =
            kpar_comm_all_gather(executor->comm, &executor->programs[i].program->n_flags, all, sizeof *all);
        for (int rank = 0; rank < size && status == KPAR_OK; rank++)
            if (all[rank] > most) most = all[rank];
        for (int list = 0; list < KPAR_LISTS; list++, *n_flags += most)
            executor->programs[i].lists[list].flag_base = *n_flags;
    }
    kpar_free(all);
    return status;
}

static kpar_status create_window(kpar_executor *executor)
{
    size_t bytes = 0;
    int n_flags;
    for (int i = 0; i < executor->n_programs; i++)
        if (executor->programs[i].program->arena_bytes > bytes)
            bytes = executor->programs[i].program->arena_bytes;
    KPAR_TRY(number_flags(executor, &n_flags));
    return kpar_comm_window_create(executor->comm, bytes, n_flags, &executor->memory);
}

static kpar_status resolve_all(kpar_executor *executor)
{
    for (int i = 0; i < executor->n_programs; i++) KPAR_TRY(resolve_places(executor, &executor->programs[i]));
    return KPAR_OK;
}

static kpar_status prepare(kpar_executor *executor, const kpar_device_options *device_options)
{
    KPAR_TRY(kpar_comm_agree(executor->comm, load_all(executor, device_options)));
    KPAR_TRY(create_window(executor));
    KPAR_TRY(kpar_comm_agree(executor->comm, resolve_all(executor)));
    return kpar_executor_make_groups(executor);
}

kpar_status kpar_executor_create(kpar_comm *comm, const kpar_device_class *device,
                                 const kpar_device_options *device_options,
                                 const kpar_program *const *programs, int n_programs,
                                 const kpar_executor_options *options, kpar_executor **out)
{
    enum { STALL_SECONDS = 60 };
    kpar_executor *executor = kpar_alloc_zeroed(1, sizeof *executor);
    *executor = (kpar_executor){.comm = comm, .class = device, .options = *options, .n_programs = n_programs};
    executor->arena = kpar_arena_create();
    if (executor->options.stall_seconds <= 0) executor->options.stall_seconds = STALL_SECONDS;
    executor->programs = kpar_arena_alloc(executor->arena, (size_t)n_programs * sizeof *executor->programs);
    for (int i = 0; i < n_programs; i++) executor->programs[i].program = programs[i];
    kpar_status status = prepare(executor, device_options);
    if (status != KPAR_OK) {
        kpar_executor_destroy(executor);
        executor = NULL;
    }
    *out = executor;
    return status;
}

static void release_kernels(kpar_executor *executor, kpar_loaded *loaded, int device)
{
    kpar_kernel **kernels = loaded->kernels[device];
    for (size_t i = 0; kernels && i < loaded->program->n_kernels; i++)
        if (kernels[i]) executor->class->release(executor->devices[device], kernels[i]);
}

static void destroy_device(kpar_executor *executor, int device)
{
    for (int i = 0; i < executor->n_programs; i++) release_kernels(executor, &executor->programs[i], device);
    if (executor->devices[device]) executor->class->destroy(executor->devices[device]);
}

void kpar_executor_destroy(kpar_executor *executor)
{
    if (!executor) return;
    kpar_progress_thread_destroy(executor->progress);
    for (int device = 0; device < executor->n_devices; device++) destroy_device(executor, device);
    if (executor->memory) kpar_comm_window_destroy(executor->comm);
    kpar_arena_destroy(executor->arena);
    kpar_free(executor);
}

kpar_status kpar_executor_start(kpar_executor *executor, int program)
{
    kpar_loaded *loaded = &executor->programs[program];
    kpar_executor_times before = executor->times;
    kpar_status status = kpar_executor_replay(executor, loaded, &loaded->lists[KPAR_LIST_START]);
    executor->times = before;
    return status;
}

kpar_status kpar_executor_run(kpar_executor *executor, int program)
{
    kpar_loaded *loaded = &executor->programs[program];
    return kpar_executor_replay(executor, loaded, &loaded->lists[KPAR_LIST_RUN]);
}

kpar_status kpar_executor_examine(kpar_executor *executor, int program, int *source)
{
    executor->examines = true;
    executor->source = -1;
    kpar_status status = kpar_executor_run(executor, program);
    executor->examines = false;
    *source = executor->source;
    return status;
}

void *kpar_executor_memory(kpar_executor *executor, const kpar_place *place)
{
    return resolve(executor, place);
}

kpar_executor_times kpar_executor_times_get(const kpar_executor *executor) { return executor->times; }

double kpar_executor_kernel_seconds(const kpar_executor *executor, int program, int index)
{
    return executor->programs[program].kernel_seconds[index];
}

uint64_t kpar_executor_runs(const kpar_executor *executor, int program)
{
    return executor->programs[program].lists[KPAR_LIST_RUN].runs;
}
