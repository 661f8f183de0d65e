/* Filling the input slots of a program with a global batch's rows. */
#include "data/order.h"
#include "train/trainer_internal.h"

#include <string.h>

/* Numbers, within the dataset, of the rows of one microbatch; beyond the real ones a real row is repeated. */
static void number_rows(kpar_trainer *t, const kpar_batch *b, int64_t first, int64_t count, int64_t capacity)
{
    for (int64_t i = 0; i < capacity; i++) {
        int64_t position = b->first + (i < count ? first + i : count > 0 ? first : 0);
        t->row_numbers[i] =
            b->data->first + kpar_order_row(b->shuffle, b->seed, b->epoch, b->data->rows, position);
    }
}

/* The slice of the dataset's array that a slot holds: labels (n, 1) serve where (n) is asked for, and the other way. */
static kpar_slice array_slice(const kpar_array *array, const kpar_slot *slot)
{
    kpar_slice slice = {.rank = array->rank};
    for (int i = 0; i < array->rank; i++) {
        const bool same = array->rank == slot->slice.rank && i > 0;
        slice.start[i] = same ? slot->slice.start[i] : 0;
        slice.size[i] = same ? slot->slice.size[i] : array->dims[i];
    }
    return slice;
}

static kpar_status fill_rows(kpar_trainer *t, const kpar_batch *b, const kpar_slot *slot, int64_t capacity,
                             void *memory)
{
    const kpar_dataset_kind kind = slot->kind == KPAR_SLOT_FEATURE ? KPAR_DATASET_X : KPAR_DATASET_Y;
    const kpar_array *array = kpar_dataset_array(b->data->dataset, kind, slot->index);
    if (!array)
        return kpar_fail(KPAR_EDATA, "%s: no labels for output %d", kpar_dataset_path(b->data->dataset),
                         slot->index);
    const kpar_slice slice = array_slice(array, slot);
    return kpar_dataset_read(b->data->dataset, kind, slot->index, t->row_numbers, (size_t)capacity, &slice,
                             slot->tensor.dtype, memory);
}

static kpar_status fill_slot(kpar_trainer *t, const kpar_batch *b, const kpar_slot *slot, int64_t capacity)
{
    int64_t first, count;
    void *memory = kpar_executor_memory(t->executor, &slot->place);
    kpar_plan_rows(t->plan, b->rows, t->me.data, slot->microbatch, &first, &count);
    number_rows(t, b, first, count, capacity);
    switch (slot->kind) {
    case KPAR_SLOT_FEATURE:
    case KPAR_SLOT_LABEL:
        return fill_rows(t, b, slot, capacity, memory);
    case KPAR_SLOT_SAMPLE_WEIGHT:
    case KPAR_SLOT_ROW_MASK:
        return kpar_trainer_fill_weights(t, b, slot, count, capacity, memory);
    case KPAR_SLOT_ROW_POSITION:
        for (int64_t i = 0; i < capacity; i++) ((int64_t *)memory)[i] = first + i;
        return KPAR_OK;
    default:
        return KPAR_OK;
    }
}

kpar_status kpar_trainer_fill(kpar_trainer *t, kpar_mode mode, const kpar_batch *batch)
{
    const kpar_program *p = t->programs[mode];
    KPAR_TRY(kpar_trainer_check_weighted(t, mode, batch));
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].microbatch >= 0) KPAR_TRY(fill_slot(t, batch, &p->slots[i], p->rows));
    return KPAR_OK;
}

/* --- checking data against the model --- */

static bool fits(const kpar_array *array, const kpar_shape *shape)
{
    int a = 1, s = 1;
    while (a < array->rank || s < shape->rank) { /* the same dimensions, ones aside */
        if (a < array->rank && array->dims[a] == 1 && (s >= shape->rank || shape->dims[s].size != 1))
            a++;
        else if (s < shape->rank && shape->dims[s].size == 1 && (a >= array->rank || array->dims[a] != 1))
            s++;
        else if (a < array->rank && s < shape->rank && array->dims[a] == shape->dims[s].size)
            a++, s++;
        else
            return false;
    }
    return true;
}

static kpar_status check_array(kpar_trainer *t, const kpar_rows *rows, const kpar_value *v)
{
    const bool feature = v->source == KPAR_FROM_FEATURE;
    const kpar_dataset_kind kind = feature ? KPAR_DATASET_X : KPAR_DATASET_Y;
    const kpar_array *array = kpar_dataset_array(rows->dataset, kind, v->index);
    const char *port = feature ? t->model->inputs[v->index].name : t->model->outputs[v->index].name;
    char found[KPAR_SHAPE_TEXT], expected[KPAR_SHAPE_TEXT];
    if (!array)
        return kpar_fail(KPAR_EDATA, "%s: no labels for output '%s'; name the array with --y",
                         kpar_dataset_path(rows->dataset), port);
    const bool exact = !feature || (array->rank == v->shape.rank);
    if (exact && fits(array, &v->shape)) return KPAR_OK;
    return kpar_fail(KPAR_EDATA, "%s: array '%s' has shape %s, %s '%s' of the model expects %s",
                     kpar_dataset_path(rows->dataset), kpar_dataset_name(rows->dataset, kind, v->index),
                     kpar_shape_text(found, array->rank, array->dims), feature ? "input" : "output", port,
                     kpar_shape_format(expected, &v->shape));
}

/* Each rank looks at its share of the labels that are class numbers. */
static kpar_status check_labels(kpar_trainer *t, const kpar_rows *rows, int output,
                                const kpar_label_range *range)
{
    if (range->classes == 0) return KPAR_OK;
    const int64_t size = kpar_comm_size(t->comm), rank = kpar_comm_rank(t->comm);
    const int64_t first = rows->rows * rank / size, last = rows->rows * (rank + 1) / size;
    return kpar_dataset_check_labels(rows->dataset, output, range->classes,
                                     range->ignores ? &range->ignored : NULL, rows->first + first,
                                     last - first);
}

static kpar_status check_mode(kpar_trainer *t, const kpar_rows *rows, kpar_mode mode)
{
    const kpar_graph *g = kpar_plan_graph(t->plan, mode);
    if (rows->rows < 1) return kpar_fail(KPAR_EDATA, "%s: no rows", kpar_dataset_path(rows->dataset));
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].source == KPAR_FROM_FEATURE || g->values[i].source == KPAR_FROM_LABEL)
            KPAR_TRY(check_array(t, rows, &g->values[i]));
    for (int i = 0; i < t->model->n_outputs; i++)
        KPAR_TRY(check_labels(t, rows, i, &kpar_plan_label_ranges(t->plan, mode)[i]));
    return kpar_trainer_check_weights(t, rows, mode);
}

static kpar_status check_data(kpar_trainer *t, const kpar_rows *rows)
{
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (kpar_plan_graph(t->plan, (kpar_mode)mode)) KPAR_TRY(check_mode(t, rows, (kpar_mode)mode));
    return KPAR_OK;
}

kpar_status kpar_trainer_check_data(kpar_trainer *trainer, const kpar_rows *rows)
{
    return kpar_comm_agree(trainer->comm, check_data(trainer, rows));
}

kpar_status kpar_trainer_check_features(kpar_trainer *trainer, const kpar_rows *rows)
{
    return kpar_comm_agree(trainer->comm, check_mode(trainer, rows, KPAR_MODE_PREDICT));
}

kpar_status kpar_trainer_open_data(kpar_trainer *t, const char *path, const kpar_dataset_names *names,
                                   kpar_dataset **dataset)
{
    const char **inputs = kpar_arena_alloc(t->arena, (size_t)t->model->n_inputs * sizeof *inputs);
    const char **outputs = kpar_arena_alloc(t->arena, (size_t)t->model->n_outputs * sizeof *outputs);
    for (int i = 0; i < t->model->n_inputs; i++) inputs[i] = t->model->inputs[i].name;
    for (int i = 0; i < t->model->n_outputs; i++) outputs[i] = t->model->outputs[i].name;
    *dataset = NULL;
    kpar_status status = kpar_comm_agree(t->comm, kpar_dataset_open(path, inputs, t->model->n_inputs, outputs,
                                                                    t->model->n_outputs, names, dataset));
    if (status == KPAR_OK) return KPAR_OK;
    if (*dataset) kpar_dataset_close(*dataset);
    *dataset = NULL;
    return status;
}
