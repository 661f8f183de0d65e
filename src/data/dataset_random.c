/* Random data: every element is a function of seed, array, row and its place in the row, so that all layouts
 * see the same and nothing is stored. */
#include "data/dataset_internal.h"

#include "base/memory.h"
#include "base/philox.h"

#include <stdio.h>
#include <string.h>

static kpar_status add_column(kpar_dataset *dataset, kpar_dataset_kind kind, int index, const kpar_array *row,
                              uint64_t seed, int64_t classes)
{
    char name[32];
    snprintf(name, sizeof name, "%c/%d", kind == KPAR_DATASET_X ? 'x' : 'y', index);
    if (row->rank >= KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "random data: array %s has more than %d dimensions", name,
                         KPAR_MAX_RANK);
    kpar_column *column = &dataset->columns[kind][index];
    *column =
        (kpar_column){.name = kpar_strdup(name), .key = kpar_philox_key(seed, name), .classes = classes};
    column->npy.array = (kpar_array){.dtype = row->dtype, .rank = row->rank + 1, .dims = {dataset->rows}};
    memcpy(column->npy.array.dims + 1, row->dims, sizeof row->dims[0] * (size_t)row->rank);
    return KPAR_OK;
}

kpar_status kpar_dataset_random(uint64_t seed, int64_t rows, const kpar_array *inputs, int n_inputs,
                                const kpar_array *outputs, const int64_t *classes, int n_outputs,
                                kpar_dataset **dataset)
{
    *dataset = NULL;
    if (rows < 1)
        return kpar_fail(KPAR_EUSAGE, "random data: expected at least one row, found %lld", (long long)rows);
    kpar_dataset *made = kpar_dataset_allocate("random", n_inputs, n_outputs);
    made->random = true;
    made->rows = rows;
    kpar_status status = KPAR_OK;
    for (int i = 0; i < n_inputs && status == KPAR_OK; i++)
        status = add_column(made, KPAR_DATASET_X, i, &inputs[i], seed, 0);
    for (int i = 0; i < n_outputs && status == KPAR_OK; i++)
        status = add_column(made, KPAR_DATASET_Y, i, &outputs[i], seed, classes[i]);
    if (status == KPAR_OK)
        *dataset = made;
    else
        kpar_dataset_close(made);
    return status;
}

/* The four words around an element's place, made once for neighbours. */
typedef struct stream {
    uint64_t key, row, block;
    bool made;
    uint32_t words[4];
} stream;

static double next_value(stream *at, uint64_t place, int64_t classes)
{
    if (!at->made || at->block != place / 4) {
        at->block = place / 4;
        at->made = true;
        kpar_philox(at->key, at->block, at->row, at->words);
    }
    uint32_t word = at->words[place % 4];
    if (classes > 0) return (double)(int64_t)((double)word * 0x1p-32 * (double)classes);
    return kpar_unit_from_word(word);
}

/* Place of the slice's element number `i` in the whole row. */
static uint64_t place_in_row(const kpar_array *array, const kpar_slice *slice, int64_t i)
{
    int64_t place = 0, stride = 1;
    for (int d = array->rank - 1; d >= 1; d--) {
        place += (slice->start[d] + i % slice->size[d]) * stride;
        i /= slice->size[d];
        stride *= array->dims[d];
    }
    return (uint64_t)place;
}

static bool is_whole(const kpar_array *array, const kpar_slice *slice)
{
    for (int d = 1; d < array->rank; d++)
        if (slice->start[d] != 0 || slice->size[d] != array->dims[d]) return false;
    return true;
}

void kpar_column_random_row(const kpar_column *column, int64_t row, const kpar_slice *slice, kpar_dtype dtype,
                            void *values)
{
    enum { CHUNK = 256 };
    double chunk[CHUNK];
    const kpar_array *array = &column->npy.array;
    const bool whole = is_whole(array, slice);
    stream at = {.key = column->key, .row = (uint64_t)row};
    int64_t count = 1;
    for (int d = 1; d < slice->rank; d++) count *= slice->size[d];
    for (int64_t first = 0; first < count; first += CHUNK) {
        const int64_t n = count - first < CHUNK ? count - first : CHUNK;
        for (int64_t i = 0; i < n; i++)
            chunk[i] = next_value(&at, whole ? (uint64_t)(first + i) : place_in_row(array, slice, first + i),
                                  column->classes);
        kpar_convert((char *)values + (size_t)first * kpar_dtype_bytes(dtype), dtype, chunk, KPAR_F64,
                     (size_t)n);
    }
}
