/* Reading rows of a dataset, checking labels, hashing. */
#include "data/dataset_internal.h"

#include "base/hash.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void kpar_column_read_row(const kpar_dataset *dataset, const kpar_column *column, int64_t row,
                          const kpar_slice *slice, kpar_dtype dtype, void *values)
{
    if (dataset->random)
        kpar_column_random_row(column, row, slice, dtype, values);
    else
        kpar_npy_read_row(&column->npy, row, slice, dtype, values);
}

static kpar_slice whole_row(const kpar_array *array)
{
    kpar_slice slice = {.rank = array->rank};
    for (int d = 1; d < array->rank; d++) slice.size[d] = array->dims[d];
    return slice;
}

/* Elements of one row's part. */
static size_t slice_row_count(const kpar_slice *slice)
{
    size_t count = 1;
    for (int d = 1; d < slice->rank; d++) count *= (size_t)slice->size[d];
    return count;
}

static kpar_status check_slice(const kpar_dataset *dataset, const kpar_column *column,
                               const kpar_slice *slice)
{
    const kpar_array *array = &column->npy.array;
    bool fits = slice->rank == array->rank;
    for (int d = 1; fits && d < array->rank; d++)
        fits =
            slice->start[d] >= 0 && slice->size[d] >= 0 && slice->start[d] <= array->dims[d] - slice->size[d];
    if (fits) return KPAR_OK;
    char shape[KPAR_SHAPE_TEXT], size[KPAR_SHAPE_TEXT];
    return kpar_fail(KPAR_EDATA,
                     "%s: array '%s' has shape %s, expected one with a part of shape %s (rows aside)",
                     dataset->path, column->name, kpar_shape_text(shape, array->rank, array->dims),
                     kpar_shape_text(size, slice->rank, slice->size));
}

kpar_status kpar_dataset_read(kpar_dataset *dataset, kpar_dataset_kind kind, int index, const int64_t *rows,
                              size_t n, const kpar_slice *slice, kpar_dtype dtype, void *values)
{
    const kpar_column *column = kpar_dataset_column(dataset, kind, index);
    if (!column)
        return kpar_fail(KPAR_EDATA, "%s: has no array of kind %d and number %d", dataset->path, (int)kind,
                         index);
    KPAR_TRY(check_slice(dataset, column, slice));
    size_t count = slice_row_count(slice);
    for (size_t i = 0; i < n; i++) {
        if (rows[i] < 0 || rows[i] >= dataset->rows)
            return kpar_fail(KPAR_EDATA, "%s: row %" PRId64 " is asked for, there are %" PRId64,
                             dataset->path, rows[i], dataset->rows);
        kpar_column_read_row(dataset, column, rows[i], slice, dtype,
                             (char *)values + i * count * kpar_dtype_bytes(dtype));
    }
    if (!dataset->random)
        atomic_fetch_add(&dataset->bytes_read, n * count * kpar_dtype_bytes(column->npy.array.dtype));
    return KPAR_OK;
}

static bool is_real(kpar_dtype dtype) { return dtype == KPAR_F32 || dtype == KPAR_F64 || dtype == KPAR_F16; }

static kpar_status wrong_label(const kpar_dataset *dataset, const kpar_column *column, int64_t row,
                               double label, int64_t classes, const int64_t *ignored)
{
    char other[48] = "";
    if (ignored) snprintf(other, sizeof other, ", or %" PRId64 ", which is ignored", *ignored);
    return kpar_fail(KPAR_EDATA,
                     "%s: array '%s': row %" PRId64
                     " has label %.15g, expected a whole number from 0 to %" PRId64 "%s",
                     dataset->path, column->name, row, label, classes - 1, other);
}

kpar_status kpar_dataset_check_labels(kpar_dataset *dataset, int index, int64_t classes,
                                      const int64_t *ignored, int64_t first, int64_t n)
{
    const kpar_column *column = kpar_dataset_column(dataset, KPAR_DATASET_Y, index);
    if (!column) return kpar_fail(KPAR_EDATA, "%s: has no labels for output %d", dataset->path, index);
    kpar_slice slice = whole_row(&column->npy.array);
    size_t count = slice_row_count(&slice);
    bool real = is_real(column->npy.array.dtype);
    void *values = NULL;
    KPAR_TRY(kpar_try_alloc(count * sizeof(double), column->name, &values));
    kpar_status status = KPAR_OK;
    for (int64_t row = first; row < first + n && status == KPAR_OK; row++) {
        kpar_column_read_row(dataset, column, row, &slice, KPAR_F64, values);
        for (size_t i = 0; i < count && status == KPAR_OK; i++) {
            double label = ((double *)values)[i];
            bool good = label >= 0 && label < (double)classes && (!real || label == floor(label));
            if (!good && !(ignored && label == (double)*ignored))
                status = wrong_label(dataset, column, row, label, classes, ignored);
        }
    }
    kpar_free_aligned(values);
    return status;
}

/* At most so much of a row as fits the buffer, along its last dimension and the first index of the others. */
static uint64_t hash_row(const kpar_dataset *dataset, const kpar_column *column, int64_t row, uint64_t hash)
{
    enum { CAPACITY = 1024 };
    double values[CAPACITY];
    const kpar_array *array = &column->npy.array;
    kpar_slice slice = whole_row(array);
    int64_t count = 1;
    for (int d = array->rank - 1; d >= 1; d--) {
        if (slice.size[d] > CAPACITY / count) slice.size[d] = CAPACITY / count;
        count *= slice.size[d];
    }
    kpar_column_read_row(dataset, column, row, &slice, array->dtype, values);
    return kpar_hash(hash, values, (size_t)count * kpar_dtype_bytes(array->dtype));
}

static uint64_t hash_column(const kpar_dataset *dataset, const kpar_column *column, uint64_t hash)
{
    enum { SAMPLES = 64 };
    const kpar_array *array = &column->npy.array;
    hash = kpar_hash(hash, column->name, strlen(column->name) + 1);
    hash = kpar_hash(hash, kpar_dtype_name(array->dtype), strlen(kpar_dtype_name(array->dtype)));
    hash = kpar_hash(hash, array->dims, sizeof array->dims[0] * (size_t)array->rank);
    int64_t samples = dataset->rows < SAMPLES ? dataset->rows : SAMPLES;
    for (int64_t i = 0; i < samples; i++) {
        int64_t row =
            samples == dataset->rows ? i : (int64_t)((double)i / (SAMPLES - 1) * (double)(dataset->rows - 1));
        hash = hash_row(dataset, column, row, hash);
    }
    return hash;
}

uint64_t kpar_dataset_hash(kpar_dataset *dataset)
{
    uint64_t hash = KPAR_HASH_START;
    for (int kind = 0; kind < KPAR_DATASET_KINDS; kind++)
        for (int i = 0; i < dataset->n[kind]; i++) {
            hash = kpar_hash(hash, &kind, sizeof kind);
            const kpar_column *column = kpar_dataset_column(dataset, (kpar_dataset_kind)kind, i);
            if (column) hash = hash_column(dataset, column, hash);
        }
    return hash;
}
