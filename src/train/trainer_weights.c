/* Weights of what a batch's rows have: of samples, as the data say, and of classes. */
#include "train/trainer_internal.h"

/* Of one row. */
static int64_t values_each(const kpar_shape *shape)
{
    int64_t n = 1;
    for (int i = 1; i < shape->rank; i++) n *= shape->dims[i].size;
    return n;
}

static double class_weight(const kpar_batch *b, int64_t number)
{
    for (int i = 0; i < b->n_class_weights; i++)
        if (b->class_weights[i].class_number == number) return b->class_weights[i].weight;
    return 1;
}

/* The class of a row: its label, or the largest of a one-hot row. */
static int64_t row_class(const float *row, int64_t width)
{
    if (width == 1) return (int64_t)row[0];
    int64_t best = 0;
    for (int64_t i = 1; i < width; i++)
        if (row[i] > row[best]) best = i;
    return best;
}

static kpar_status multiply_class_weights(kpar_trainer *t, const kpar_batch *b, int output, int64_t count,
                                          float *weights)
{
    const kpar_array *y = kpar_dataset_array(b->data->dataset, KPAR_DATASET_Y, output);
    if (!b->n_class_weights || !y) return KPAR_OK;
    const int64_t width = kpar_count(y->rank - 1, y->dims + 1);
    kpar_slice whole = {.rank = y->rank};
    for (int i = 0; i < y->rank; i++) whole.size[i] = y->dims[i];
    float *labels = kpar_alloc((size_t)(width * count + 1) * sizeof *labels);
    kpar_status status = kpar_dataset_read(b->data->dataset, KPAR_DATASET_Y, output, t->row_numbers,
                                           (size_t)count, &whole, KPAR_F32, labels);
    for (int64_t i = 0; i < count && status == KPAR_OK; i++)
        weights[i] *= (float)class_weight(b, row_class(labels + i * width, width));
    kpar_free(labels);
    return status;
}

/* Reads the weights of `count` rows, each for as many of a row's `each` values as it has to serve. */
static kpar_status read_weights(kpar_trainer *t, const kpar_batch *b, int output, int64_t count, int64_t each,
                                float *weights)
{
    const kpar_array *given = kpar_dataset_array(b->data->dataset, KPAR_DATASET_WEIGHT, output);
    if (!given) return KPAR_OK;
    const int64_t given_each = kpar_count(given->rank - 1, given->dims + 1), times = each / given_each;
    kpar_slice whole = {.rank = given->rank};
    for (int i = 0; i < given->rank; i++) whole.size[i] = given->dims[i];
    KPAR_TRY(kpar_dataset_read(b->data->dataset, KPAR_DATASET_WEIGHT, output, t->row_numbers, (size_t)count,
                               &whole, KPAR_F32, weights));
    for (int64_t i = count * each - 1; times > 1 && i >= 0; i--) weights[i] = weights[i / times];
    return KPAR_OK;
}

static void store_real(kpar_dtype dtype, const float *values, int64_t n, void *memory)
{
    kpar_convert(memory, dtype, values, KPAR_F32, (size_t)n);
}

kpar_status kpar_trainer_fill_weights(kpar_trainer *t, const kpar_batch *b, const kpar_slot *slot,
                                      int64_t count, int64_t capacity, void *memory)
{
    const int64_t each = kpar_count(slot->tensor.rank - 1, slot->tensor.dims + 1);
    float *weights = kpar_alloc_zeroed((size_t)(capacity * each) + 1, sizeof *weights);
    kpar_status status = KPAR_OK;
    for (int64_t i = 0; i < count * each; i++) weights[i] = 1;
    if (slot->kind == KPAR_SLOT_SAMPLE_WEIGHT) {
        status = read_weights(t, b, slot->index, count, each, weights);
        if (status == KPAR_OK) status = multiply_class_weights(t, b, slot->index, count, weights);
    }
    if (status == KPAR_OK) store_real(slot->tensor.dtype, weights, capacity * each, memory);
    kpar_free(weights);
    return status;
}

/* --- checking data against the model --- */

kpar_status kpar_trainer_check_weighted(const kpar_trainer *t, kpar_mode mode, const kpar_batch *b)
{
    for (int i = 0; mode != KPAR_MODE_PREDICT && i < t->model->n_outputs; i++) {
        const kpar_weight_range *range = &kpar_plan_weight_ranges(t->plan, mode)[i];
        char shape[KPAR_SHAPE_TEXT];
        if (range->unweighted &&
            (b->n_class_weights || kpar_dataset_array(b->data->dataset, KPAR_DATASET_WEIGHT, i)))
            return kpar_fail(
                KPAR_EDATA,
                "%s: its one value for the whole batch would become one for each weight of samples "
                "or classes; leave these out, or take another reduction",
                range->unweighted);
        if (b->n_class_weights && values_each(&range->shape) > 1)
            return kpar_fail(
                KPAR_EDATA,
                "%s: output '%s' has a class for each of its values %s, and weights of classes are "
                "for outputs with one a row; give sample weights",
                t->path, t->model->outputs[i].name, kpar_shape_format(shape, &range->shape));
    }
    return KPAR_OK;
}

/* Whether the array has the first dimensions of the shape, ones at its end aside. */
static bool begins(const kpar_array *array, const kpar_shape *shape)
{
    for (int i = 1; i < array->rank; i++)
        if (array->dims[i] != (i < shape->rank ? shape->dims[i].size : 1))
            return kpar_count(array->rank - i, array->dims + i) == 1;
    return true;
}

/* What weights of so many rows may be: of each row, of each value of the loss; and whose fault it is where one will not do. */
typedef struct choice {
    bool rows, values;
    const char *owner, *reason;
} choice;

static choice choose(const kpar_weight_range *range)
{
    const bool several = values_each(&range->shape) > 1;
    choice c = {.rows = true, .values = several};
    if (several && range->divides_by_weights)
        c = (choice){false, true, range->divides_by_weights,
                     "divides by the sum of weights as they are given"};
    if (several && range->weighs_rows)
        c = (choice){c.rows, false, range->weighs_rows, "has other values than the loss"};
    return c;
}

static kpar_status unexpected(const kpar_rows *rows, int output, const kpar_weight_range *range, choice c)
{
    const kpar_array *array = kpar_dataset_array(rows->dataset, KPAR_DATASET_WEIGHT, output);
    char found[KPAR_SHAPE_TEXT], text[KPAR_SHAPE_TEXT];
    int64_t dims[KPAR_MAX_RANK] = {array->dims[0]};
    for (int i = 1; i < range->shape.rank; i++) dims[i] = range->shape.dims[i].size;
    kpar_text expected = {0};
    if (c.rows) kpar_text_printf(&expected, "%s: a weight for each row", kpar_shape_text(text, 1, dims));
    if (c.values)
        kpar_text_printf(&expected, "%s%s: a weight for each value of the loss", c.rows ? ", or " : "",
                         kpar_shape_text(text, range->shape.rank, dims));
    if (!expected.length) kpar_text_printf(&expected, "none");
    if (c.owner) kpar_text_printf(&expected, "; %s %s", c.owner, c.reason);
    kpar_status status =
        kpar_fail(KPAR_EDATA, "%s: array '%s' has shape %s, expected %s", kpar_dataset_path(rows->dataset),
                  kpar_dataset_name(rows->dataset, KPAR_DATASET_WEIGHT, output),
                  kpar_shape_text(found, array->rank, array->dims), kpar_text_get(&expected));
    kpar_text_clear(&expected);
    return status;
}

/* A weight for each row, for each value of the loss, or for each place in the first dimensions of these. */
static kpar_status check_shape(const kpar_rows *rows, int output, const kpar_weight_range *range)
{
    const kpar_array *array = kpar_dataset_array(rows->dataset, KPAR_DATASET_WEIGHT, output);
    if (!array || range->shape.rank == 0) return KPAR_OK;
    const int64_t each = kpar_count(array->rank - 1, array->dims + 1);
    const choice c = choose(range);
    const bool will_do = (each == 1 || c.values) && (each == values_each(&range->shape) || c.rows);
    return begins(array, &range->shape) && will_do ? KPAR_OK : unexpected(rows, output, range, c);
}

kpar_status kpar_trainer_check_weights(kpar_trainer *t, const kpar_rows *rows, kpar_mode mode)
{
    for (int i = 0; i < t->model->n_outputs; i++)
        KPAR_TRY(check_shape(rows, i, &kpar_plan_weight_ranges(t->plan, mode)[i]));
    return KPAR_OK;
}
