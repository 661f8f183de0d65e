/* kpar_train --compare: what differs between the weights and the optimizer states of two files. */
#include "keras/file.h"
#include "keras/slices.h"
#include "keras/store.h"

#include "base/memory.h"
#include "base/number.h"

#include <math.h>
#include <stdlib.h>
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

/* NaN is above all. */
static bool is_above(double difference, double largest)
{
    return !isnan(largest) && !(difference <= largest);
}

static void find_largest(pair *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double a = p->a_values[i], b = p->b_values[i], difference = fabs(a - b);
        const bool same = a == b || (isnan(a) && isnan(b));
        if (!same && is_above(difference, p->largest)) p->largest = difference;
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

/* What was found of all arrays. */
typedef struct findings {
    size_t equal, different, alone; /* alone: in one of the files only */
    double largest;                 /* absolute difference; NaN where only one side is NaN */
    const char *largest_path;       /* NULL: no numbers differ */
} findings;

static bool same_shape(const pair *p)
{
    return p->a.rank == p->b.rank && memcmp(p->a.dims, p->b.dims, sizeof p->a.dims) == 0;
}

static kpar_status compare_opened(pair *p, const char *path, kpar_text *text, findings *f)
{
    char a[KPAR_SHAPE_TEXT], b[KPAR_SHAPE_TEXT];
    p->largest = 0.0;
    p->equal = p->a.kind == p->b.kind && p->a.element_bytes == p->b.element_bytes;
    if (!same_shape(p)) {
        f->different++;
        kpar_text_printf(text, "%-48s shape %s, %s\n", path, kpar_shape_text(a, p->a.rank, p->a.dims),
                         kpar_shape_text(b, p->b.rank, p->b.dims));
        return KPAR_OK;
    }
    KPAR_TRY(compare_pair(p));
    kpar_text_printf(text, "%-48s %s %.9g\n", path, p->equal ? "equal    " : "different", p->largest);
    if (p->equal)
        f->equal++;
    else
        f->different++;
    if (is_above(p->largest, f->largest)) {
        f->largest = p->largest;
        f->largest_path = path;
    }
    return KPAR_OK;
}

static kpar_status compare_dataset(pair *p, kpar_keras_file *a, kpar_keras_file *b, const char *path,
                                   kpar_text *text, findings *f)
{
    KPAR_TRY(kpar_stored_open(a->h5.id, a->path, path, &p->a));
    kpar_status status = kpar_stored_open(b->h5.id, b->path, path, &p->b);
    if (status == KPAR_OK) {
        status = compare_opened(p, path, text, f);
        kpar_stored_close(&p->b);
    }
    kpar_stored_close(&p->a);
    return status;
}

typedef struct paths {
    const char **items;
    size_t n, capacity;
} paths;

static int by_nature(const void *a, const void *b)
{
    return kpar_natural_order(*(const char *const *)a, *(const char *const *)b);
}

/* Of either file, each once, sorted. The paths are those of the lists, which are taken apart. */
static paths merge(kpar_text *in_a, kpar_text *in_b, kpar_keras_file *a)
{
    paths all = {0};
    char *cursor = in_a->bytes;
    for (char *line; (line = kpar_next_line(&cursor));) KPAR_PUSH(all.items, all.n, all.capacity) = line;
    cursor = in_b->bytes;
    for (char *line; (line = kpar_next_line(&cursor));)
        if (!kpar_store_has(a->h5.id, line)) KPAR_PUSH(all.items, all.n, all.capacity) = line;
    if (all.n) qsort(all.items, all.n, sizeof *all.items, by_nature);
    return all;
}

/* A line a path. */
static kpar_status compare_paths(kpar_keras_file *a, kpar_keras_file *b, const paths *all, kpar_text *text,
                                 findings *f)
{
    pair *p = kpar_alloc(sizeof *p);
    kpar_status status = KPAR_OK;
    for (size_t i = 0; i < all->n && status == KPAR_OK; i++) {
        const char *path = all->items[i];
        const bool in_a = kpar_store_has(a->h5.id, path), in_b = kpar_store_has(b->h5.id, path);
        if (in_a && in_b) {
            status = compare_dataset(p, a, b, path, text, f);
            continue;
        }
        kpar_text_printf(text, "%-48s only in %s\n", path, in_a ? a->path : b->path);
        f->alone++;
    }
    kpar_free(p);
    return status;
}

static void summarize(const findings *f, kpar_text *text)
{
    const size_t n = f->equal + f->different + f->alone;
    kpar_text_printf(text, "%zu array%s: ", n, n == 1 ? "" : "s");
    if (f->equal == n) {
        kpar_text_printf(text, "all bits are equal\n");
        return;
    }
    kpar_text_printf(text, "%zu equal, %zu different", f->equal, f->different);
    if (f->alone) kpar_text_printf(text, ", %zu in one file only", f->alone);
    if (f->largest_path)
        kpar_text_printf(text, "; the largest difference is %.9g in %s", f->largest, f->largest_path);
    kpar_text_printf(text, "\n");
}

static kpar_status compare_files(kpar_keras_file *a, kpar_keras_file *b, kpar_text *text, bool *equal)
{
    kpar_text in_a = {0}, in_b = {0};
    paths all = {0};
    findings f = {0};
    kpar_status status;
    KPAR_TRY(kpar_keras_verify(a));
    KPAR_TRY(kpar_keras_verify(b));
    KPAR_TRY(kpar_keras_open_weights(a));
    KPAR_TRY(kpar_keras_open_weights(b));
    KPAR_TRY_OR(status, done, kpar_store_list(a->h5.id, a->path, &in_a));
    KPAR_TRY_OR(status, done, kpar_store_list(b->h5.id, b->path, &in_b));
    all = merge(&in_a, &in_b, a);
    KPAR_TRY_OR(status, done, compare_paths(a, b, &all, text, &f));
    summarize(&f, text);
    *equal = f.different + f.alone == 0;
done:
    kpar_free(all.items);
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
