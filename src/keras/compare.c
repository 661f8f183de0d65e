/* kpar_train --compare: what differs between the weights and the optimizer states of two files. */
#include "keras/file.h"
#include "keras/slices.h"
#include "keras/store.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { SLICE_ELEMENTS = 1 << 18 };

/* Both sides of a dataset, a slice of each as doubles. Widening keeps a float's sign and NaN, so that equal
 * bits here are equal bits there; 64-bit integers are compared before they become doubles. */
typedef struct pair {
    kpar_stored a, b;
    double a_values[SLICE_ELEMENTS], b_values[SLICE_ELEMENTS];
    double largest; /* absolute difference; NaN where only one side is NaN */
    bool equal;
} pair;

static void find_largest(pair *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(p->a_values[i] - p->b_values[i]);
        bool both_bad = isnan(p->a_values[i]) && isnan(p->b_values[i]);
        if (!both_bad && !(difference <= p->largest)) p->largest = difference;
    }
}

static hid_t common_type(const pair *p)
{
    bool whole = p->a.kind == H5T_INTEGER && p->b.kind == H5T_INTEGER;
    return whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
}

static void widen(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t whole;
        memcpy(&whole, &values[i], sizeof whole);
        values[i] = (double)whole;
    }
}

static kpar_status compare_slice(pair *p, const kpar_slice *slice)
{
    size_t count = (size_t)kpar_count(slice->rank, slice->size);
    hid_t type = common_type(p);
    KPAR_TRY(kpar_stored_read(&p->a, slice, type, p->a_values));
    KPAR_TRY(kpar_stored_read(&p->b, slice, type, p->b_values));
    if (memcmp(p->a_values, p->b_values, count * sizeof *p->a_values) == 0) return KPAR_OK;
    p->equal = false;
    if (type == H5T_NATIVE_INT64) {
        widen(p->a_values, count);
        widen(p->b_values, count);
    }
    find_largest(p, count);
    return KPAR_OK;
}

static kpar_status compare_pair(pair *p)
{
    kpar_slice slice = {0};
    bool started = false;
    while (kpar_slice_next(p->a.rank, p->a.dims, sizeof(double), SLICE_ELEMENTS * sizeof(double), &slice,
                           &started))
        KPAR_TRY(compare_slice(p, &slice));
    return KPAR_OK;
}

static kpar_status compare_opened(pair *p, const char *path, kpar_text *text)
{
    char a[KPAR_SHAPE_TEXT], b[KPAR_SHAPE_TEXT];
    p->largest = 0.0;
    p->equal = p->a.kind == p->b.kind && p->a.element_bytes == p->b.element_bytes;
    if (p->a.rank != p->b.rank || memcmp(p->a.dims, p->b.dims, sizeof p->a.dims) != 0) {
        p->equal = false;
        kpar_text_printf(text, "%-48s shape %s, %s\n", path, kpar_shape_text(a, p->a.rank, p->a.dims),
                         kpar_shape_text(b, p->b.rank, p->b.dims));
        return KPAR_OK;
    }
    KPAR_TRY(compare_pair(p));
    kpar_text_printf(text, "%-48s %s %.9g\n", path, p->equal ? "equal    " : "different", p->largest);
    return KPAR_OK;
}

static kpar_status compare_dataset(pair *p, kpar_keras_file *a, kpar_keras_file *b, const char *path,
                                   kpar_text *text)
{
    KPAR_TRY(kpar_stored_open(a->h5.id, a->path, path, &p->a));
    kpar_status status = kpar_stored_open(b->h5.id, b->path, path, &p->b);
    if (status == KPAR_OK) {
        status = compare_opened(p, path, text);
        kpar_stored_close(&p->b);
    }
    kpar_stored_close(&p->a);
    return status;
}

/* Lines for what `b` has too, or lacks. */
static kpar_status compare_listed(kpar_keras_file *a, kpar_keras_file *b, kpar_text *paths, kpar_text *text,
                                  bool *equal)
{
    pair *p = kpar_alloc(sizeof *p);
    kpar_status status = KPAR_OK;
    char *cursor = paths->bytes;
    for (char *line; status == KPAR_OK && (line = kpar_next_line(&cursor));) {
        p->equal = false;
        if (kpar_store_has(b->h5.id, line))
            status = compare_dataset(p, a, b, line, text);
        else
            kpar_text_printf(text, "%-48s only in %s\n", line, a->path);
        *equal = *equal && p->equal;
    }
    kpar_free(p);
    return status;
}

static void list_missing(kpar_keras_file *a, kpar_keras_file *b, kpar_text *paths, kpar_text *text,
                         bool *equal)
{
    char *cursor = paths->bytes;
    for (char *line; (line = kpar_next_line(&cursor));) {
        if (kpar_store_has(a->h5.id, line)) continue;
        kpar_text_printf(text, "%-48s only in %s\n", line, b->path);
        *equal = false;
    }
}

static kpar_status compare_files(kpar_keras_file *a, kpar_keras_file *b, kpar_text *text, bool *equal)
{
    kpar_text in_a = {0}, in_b = {0};
    kpar_status status;
    *equal = true;
    KPAR_TRY(kpar_keras_verify(a));
    KPAR_TRY(kpar_keras_verify(b));
    KPAR_TRY(kpar_keras_open_weights(a));
    KPAR_TRY(kpar_keras_open_weights(b));
    KPAR_TRY_OR(status, done, kpar_store_list(a->h5.id, a->path, &in_a));
    KPAR_TRY_OR(status, done, kpar_store_list(b->h5.id, b->path, &in_b));
    KPAR_TRY_OR(status, done, compare_listed(a, b, &in_a, text, equal));
    list_missing(a, b, &in_b, text, equal);
done:
    kpar_text_clear(&in_a);
    kpar_text_clear(&in_b);
    return status;
}

kpar_status kpar_keras_compare(const char *path_a, const char *path_b, kpar_text *text, bool *equal)
{
    kpar_keras_file *a, *b;
    KPAR_TRY(kpar_keras_open(path_a, &a));
    kpar_status status = kpar_keras_open(path_b, &b);
    if (status == KPAR_OK) {
        status = compare_files(a, b, text, equal);
        kpar_keras_close(b);
    }
    kpar_keras_close(a);
    return status;
}
