/* Variables between memory and files. */
#include "train/trainer_internal.h"

#include <string.h>

static bool is_in_file(const kpar_trainer *t, const kpar_variable *v, bool has_optimizer)
{
    const bool overridden = v->kind == KPAR_VARIABLE_LEARNING_RATE && t->options.config;
    return v->kind == KPAR_VARIABLE_CONSTANT ? false
           : kpar_variable_is_optimizers(v)  ? has_optimizer && !overridden
                                             : kpar_keras_has_weights(t->file);
}

static kpar_status load_slot(kpar_trainer *t, const kpar_slot *slot, bool has_optimizer)
{
    const kpar_variable *v = &t->catalog->variables[slot->index];
    void *memory = kpar_executor_memory(t->executor, &slot->place);
    if (v->begins_as_weight && !is_in_file(t, v, has_optimizer)) v = &t->catalog->variables[v->of];
    const bool in_file = is_in_file(t, v, has_optimizer);
    const size_t count = (size_t)kpar_count(slot->slice.rank, slot->slice.size);
    const bool direct = slot->tensor.dtype == v->dtype;
    void *values = memory;
    if (!direct) KPAR_TRY(kpar_try_alloc(count * kpar_dtype_bytes(v->dtype) + 1, v->path, &values));
    kpar_status status = KPAR_OK;
    if (in_file)
        status = kpar_keras_read(t->file, v, &slot->slice, values);
    else
        kpar_variable_initialize(v, &slot->slice, values);
    if (direct) return status;
    if (status == KPAR_OK) kpar_convert(memory, slot->tensor.dtype, values, v->dtype, count);
    kpar_free_aligned(values);
    return status;
}

bool kpar_trainer_fills(const kpar_program *p, size_t i)
{
    const kpar_slot *slot = &p->slots[i];
    if (slot->kind != KPAR_SLOT_VARIABLE || kpar_count(slot->slice.rank, slot->slice.size) == 0) return false;
    return kpar_program_is_shard(p, i) == kpar_program_in_common(p, &slot->place);
}

kpar_status kpar_trainer_load(kpar_trainer *t)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    bool has_optimizer = false;
    if (kpar_keras_has_weights(t->file))
        KPAR_TRY(kpar_keras_check_weights(t->file, t->catalog, &has_optimizer));
    for (size_t i = 0; i < p->n_slots; i++)
        if (kpar_trainer_fills(p, i)) KPAR_TRY(load_slot(t, &p->slots[i], has_optimizer));
    t->steps_done = kpar_trainer_iteration(t);
    return KPAR_OK;
}

int64_t kpar_trainer_iteration(kpar_trainer *t)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].kind == KPAR_SLOT_VARIABLE &&
            t->catalog->variables[p->slots[i].index].kind == KPAR_VARIABLE_ITERATION) {
            int64_t iteration;
            memcpy(&iteration, kpar_executor_memory(t->executor, &p->slots[i].place), sizeof iteration);
            return iteration;
        }
    return 0;
}

/* --- who owns what --- */

kpar_status kpar_trainer_gather_owned(kpar_trainer *t)
{
    const size_t n = (size_t)t->catalog->n;
    const kpar_program *p = kpar_trainer_any_program(t);
    kpar_owned *own = kpar_alloc_zeroed(n + 1, sizeof *own);
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].kind == KPAR_SLOT_VARIABLE && p->slots[i].owner)
            own[p->slots[i].index] = (kpar_owned){true, p->slots[i].slice};
    t->owned = kpar_alloc_zeroed(n * (size_t)kpar_comm_size(t->comm) + 1, sizeof *t->owned);
    kpar_status status = kpar_comm_all_gather(t->comm, own, t->owned, n * sizeof *own);
    kpar_free(own);
    return status;
}

static bool intersect(const kpar_slice *a, const kpar_slice *b, kpar_slice *both)
{
    *both = *a;
    for (int i = 0; i < a->rank; i++) {
        const int64_t stop_a = a->start[i] + a->size[i], stop_b = b->start[i] + b->size[i];
        both->start[i] = a->start[i] > b->start[i] ? a->start[i] : b->start[i];
        both->size[i] = (stop_a < stop_b ? stop_a : stop_b) - both->start[i];
        if (both->size[i] <= 0) return false;
    }
    return true;
}

/* Copies the part `part` between a dense array of `outer` and a dense array of the part. */
static void copy_part(const kpar_slice *outer, const kpar_slice *part, size_t element, char *whole,
                      char *dense, bool into_whole)
{
    int64_t index[KPAR_MAX_RANK] = {0};
    const int last = part->rank - 1;
    const size_t run = element * (size_t)(part->rank ? part->size[last] : 1);
    for (;;) {
        size_t offset = 0;
        for (int i = 0; i < part->rank; i++)
            offset = offset * (size_t)outer->size[i] + (size_t)(part->start[i] - outer->start[i] + index[i]);
        if (into_whole)
            memcpy(whole + offset * element, dense, run);
        else
            memcpy(dense, whole + offset * element, run);
        dense += run;
        int d = last - 1;
        while (d >= 0 && ++index[d] == part->size[d]) index[d--] = 0;
        if (d < 0) return;
    }
}

/* --- saving: rank 0 asks for slices, their owners send them --- */

typedef struct request {
    int variable; /* -1: saving has ended */
    kpar_slice slice;
} request;

static const kpar_slot *owned_slot(const kpar_trainer *t, int variable)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].kind == KPAR_SLOT_VARIABLE && p->slots[i].owner && p->slots[i].index == variable)
            return &p->slots[i];
    return NULL;
}

/* The own share of what is asked for, dense, in the variable's type. */
static void own_share(kpar_trainer *t, const request *r, const kpar_slice *part, void *dense)
{
    const kpar_slot *slot = owned_slot(t, r->variable);
    const kpar_dtype dtype = t->catalog->variables[r->variable].dtype;
    const size_t count = (size_t)kpar_count(part->rank, part->size),
                 bytes = kpar_dtype_bytes(slot->tensor.dtype);
    const bool direct = slot->tensor.dtype == dtype;
    char *raw = direct ? dense : kpar_alloc(count * bytes + 1);
    copy_part(&slot->slice, part, bytes, kpar_executor_memory(t->executor, &slot->place), raw, false);
    if (direct) return;
    kpar_convert(dense, dtype, raw, slot->tensor.dtype, count);
    kpar_free(raw);
}

/* --- weights become their averages --- */

/* Puts the part of a weight into the memory that this rank fills. */
static void put_part(kpar_trainer *t, int weight, const kpar_slice *part, char *dense)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    const kpar_dtype from = t->catalog->variables[weight].dtype;
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        kpar_slice both;
        if (slot->index != weight || !kpar_trainer_fills(p, i) || !intersect(part, &slot->slice, &both))
            continue;
        const size_t n = (size_t)kpar_count(both.rank, both.size), bytes = kpar_dtype_bytes(from),
                     element = kpar_dtype_bytes(slot->tensor.dtype);
        char *given = kpar_alloc(n * bytes + 1), *taken = kpar_alloc(n * element + 1);
        copy_part(part, &both, bytes, dense, given, false);
        kpar_convert(taken, slot->tensor.dtype, given, from, n);
        copy_part(&slot->slice, &both, element, kpar_executor_memory(t->executor, &slot->place), taken, true);
        kpar_free(given);
        kpar_free(taken);
    }
}

/* Each owner of a part of the average tells it to all. */
static kpar_status spread_average(kpar_trainer *t, int weight, int average)
{
    kpar_status status = KPAR_OK;
    for (int rank = 0; rank < kpar_comm_size(t->comm) && status == KPAR_OK; rank++) {
        const kpar_owned *owned = &t->owned[(size_t)rank * (size_t)t->catalog->n + (size_t)average];
        if (!owned->owns) continue;
        const size_t bytes = (size_t)kpar_count(owned->slice.rank, owned->slice.size) *
                             kpar_dtype_bytes(t->catalog->variables[average].dtype);
        char *dense = kpar_alloc(bytes + 1);
        const request r = {average, owned->slice};
        if (rank == kpar_comm_rank(t->comm)) own_share(t, &r, &owned->slice, dense);
        status = kpar_comm_broadcast(t->comm, dense, bytes, rank);
        if (status == KPAR_OK) put_part(t, weight, &owned->slice, dense);
        kpar_free(dense);
    }
    return status;
}

kpar_status kpar_trainer_take_averages(kpar_trainer *t)
{
    kpar_status status = KPAR_OK;
    for (int i = 0; i < t->catalog->n && status == KPAR_OK; i++)
        if (t->catalog->variables[i].is_average) status = spread_average(t, t->catalog->variables[i].of, i);
    return kpar_comm_agree(t->comm, status); /* written, also where others read it */
}

static kpar_status serve(kpar_trainer *t, const request *r)
{
    const kpar_owned *own =
        &t->owned[(size_t)kpar_comm_rank(t->comm) * (size_t)t->catalog->n + (size_t)r->variable];
    kpar_slice part;
    if (!own->owns || !intersect(&r->slice, &own->slice, &part)) return KPAR_OK;
    const size_t bytes =
        (size_t)kpar_count(part.rank, part.size) * kpar_dtype_bytes(t->catalog->variables[r->variable].dtype);
    void *dense = kpar_alloc(bytes + 1);
    own_share(t, r, &part, dense);
    kpar_status status = kpar_comm_send(t->comm, dense, bytes, 0);
    kpar_free(dense);
    return status;
}

static kpar_status fetch(void *context, int variable, const kpar_slice *slice, void *values)
{
    kpar_trainer *t = context;
    request r = {variable, *slice};
    const size_t element = kpar_dtype_bytes(t->catalog->variables[variable].dtype);
    KPAR_TRY(kpar_comm_broadcast(t->comm, &r, sizeof r, 0));
    for (int rank = 0; rank < kpar_comm_size(t->comm); rank++) {
        const kpar_owned *owned = &t->owned[(size_t)rank * (size_t)t->catalog->n + (size_t)variable];
        kpar_slice part;
        if (!owned->owns || !intersect(slice, &owned->slice, &part)) continue;
        const size_t bytes = (size_t)kpar_count(part.rank, part.size) * element;
        void *dense = kpar_alloc(bytes + 1);
        kpar_status status = KPAR_OK;
        if (rank == 0)
            own_share(t, &r, &part, dense);
        else
            status = kpar_comm_receive(t->comm, dense, bytes, rank);
        if (status == KPAR_OK) copy_part(slice, &part, element, values, dense, true);
        kpar_free(dense);
        KPAR_TRY(status);
    }
    return KPAR_OK;
}

static kpar_status serve_until_done(kpar_trainer *t)
{
    for (;;) {
        request r;
        KPAR_TRY(kpar_comm_broadcast(t->comm, &r, sizeof r, 0));
        if (r.variable < 0) return KPAR_OK;
        KPAR_TRY(serve(t, &r));
    }
}

kpar_status kpar_trainer_with_variables(kpar_trainer *t,
                                        kpar_status (*visit)(kpar_fetch fetch, void *context), void *context)
{
    kpar_status status;
    if (kpar_comm_rank(t->comm) == 0) {
        status = visit(fetch, context);
        request done = {.variable = -1};
        kpar_status sent = kpar_comm_broadcast(t->comm, &done, sizeof done, 0);
        if (status == KPAR_OK) status = sent;
    } else
        status = serve_until_done(t);
    return kpar_comm_agree(t->comm, status);
}

typedef struct saving {
    kpar_trainer *t;
    const char *path;
} saving;

static kpar_status save(kpar_fetch fetch_slice, void *context)
{
    const saving *s = context;
    size_t length;
    const char *config = kpar_trainer_config(s->t, &length);
    const bool trained = s->t->programs[KPAR_MODE_TRAIN] != NULL;
    return kpar_keras_save(s->path, config, length, s->t->catalog, trained, fetch_slice, s->t);
}

kpar_status kpar_trainer_save(kpar_trainer *t, const char *path)
{
    return kpar_trainer_with_variables(t, save, &(saving){t, path});
}
