/* Opening a dataset: which array of which file is which input, output and weight. */
#include "data/dataset_internal.h"

#include "base/memory.h"
#include "base/text.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[KPAR_DATASET_KINDS] = {"x", "y", "sample_weight"};
static const char *const kind_options[KPAR_DATASET_KINDS] = {"--x", "--y", "--sample-weight"};

kpar_dataset *kpar_dataset_allocate(const char *path, int n_x, int n_y)
{
    kpar_dataset *dataset = kpar_alloc_zeroed(1, sizeof *dataset);
    dataset->path = kpar_strdup(path);
    for (int kind = 0; kind < KPAR_DATASET_KINDS; kind++) {
        dataset->n[kind] = kind == KPAR_DATASET_X ? n_x : n_y;
        dataset->columns[kind] = kpar_alloc_zeroed((size_t)dataset->n[kind], sizeof(kpar_column));
    }
    return dataset;
}

/* Reads the array `name` of an archive. */
static kpar_status open_member(kpar_dataset *dataset, const char *label, int member, kpar_npy *npy)
{
    unsigned char *head = kpar_alloc(KPAR_NPY_LONGEST_HEADER);
    size_t head_bytes = 0;
    kpar_status status = kpar_npz_peek(dataset->archive, member, head, KPAR_NPY_LONGEST_HEADER, &head_bytes);
    if (status == KPAR_OK)
        status = kpar_npy_parse(label, head, head_bytes, kpar_npz_size(dataset->archive, member), npy);
    kpar_free(head);
    if (status != KPAR_OK) return status;
    const unsigned char *bytes = NULL;
    KPAR_TRY(kpar_npz_bytes(dataset->archive, member, &bytes));
    npy->elements = bytes + npy->header_bytes;
    return KPAR_OK;
}

static kpar_status open_file(kpar_dataset *dataset, const char *label, const char *path, kpar_npy *npy)
{
    kpar_map map;
    KPAR_TRY(kpar_map_open(path, &map));
    KPAR_PUSH(dataset->maps, dataset->n_maps, dataset->maps_capacity) = map;
    KPAR_TRY(kpar_npy_parse(label, map.bytes, map.length, map.length, npy));
    npy->elements = map.bytes + npy->header_bytes;
    return KPAR_OK;
}

/* Opens the array `name` if the file or folder has it. */
static kpar_status open_array(kpar_dataset *dataset, const char *name, kpar_column *column)
{
    kpar_text file = {0}, label = {0};
    kpar_text_printf(&label, "%s: array '%s'", dataset->path, name);
    kpar_status status = KPAR_OK;
    bool found = false;
    if (dataset->archive) {
        kpar_text_printf(&file, "%s.npy", name);
        int member = kpar_npz_find(dataset->archive, kpar_text_get(&file));
        found = member >= 0;
        if (found) status = open_member(dataset, kpar_text_get(&label), member, &column->npy);
    } else {
        kpar_text_printf(&file, "%s/%s.npy", dataset->path, name);
        found = !access(kpar_text_get(&file), F_OK);
        if (found) status = open_file(dataset, kpar_text_get(&label), kpar_text_get(&file), &column->npy);
    }
    if (found) column->name = kpar_strdup(name);
    kpar_text_clear(&file);
    kpar_text_clear(&label);
    return status;
}

/* Without the ending ".npy", if it has that ending. */
static void add_array_name(kpar_text *list, const char *file)
{
    size_t length = strlen(file);
    if (length < 5 || strcmp(file + length - 4, ".npy") != 0) return;
    kpar_text_printf(list, "%s%.*s", list->length ? ", " : "", (int)(length - 4), file);
}

static void list_arrays(const kpar_dataset *dataset, kpar_text *list)
{
    enum { LONGEST_LIST = 400 };
    for (int i = 0; dataset->archive && i < kpar_npz_count(dataset->archive) && list->length < LONGEST_LIST;
         i++)
        add_array_name(list, kpar_npz_name(dataset->archive, i));
    DIR *folder = dataset->archive ? NULL : opendir(dataset->path);
    for (struct dirent *entry; folder && (entry = readdir(folder)) && list->length < LONGEST_LIST;)
        add_array_name(list, entry->d_name);
    if (folder) closedir(folder);
}

static kpar_status missing_array(const kpar_dataset *dataset, kpar_dataset_kind kind, const char *name)
{
    kpar_text list = {0};
    list_arrays(dataset, &list);
    kpar_status status =
        kpar_fail(KPAR_EDATA, "%s: has no array '%s', it has: %s; name the array with %s", dataset->path,
                  name, list.length ? kpar_text_get(&list) : "none", kind_options[kind]);
    kpar_text_clear(&list);
    return status;
}

/* One array for one input or output: the given name, else "KIND" where that is enough, else "KIND/NAME". */
static kpar_status open_column(kpar_dataset *dataset, kpar_dataset_kind kind, int index, const char *given,
                               const char *model_name)
{
    kpar_column *column = &dataset->columns[kind][index];
    if (given) {
        KPAR_TRY(open_array(dataset, given, column));
        return column->name ? KPAR_OK : missing_array(dataset, kind, given);
    }
    bool single = dataset->n[kind] == 1;
    kpar_text name = {0};
    kpar_text_printf(&name, "%s/%s", kind_names[kind], model_name);
    kpar_status status = KPAR_OK;
    if (single) status = open_array(dataset, kind_names[kind], column);
    if (status == KPAR_OK && !column->name) status = open_array(dataset, kpar_text_get(&name), column);
    if (status == KPAR_OK && !column->name && kind == KPAR_DATASET_WEIGHT)
        status = open_array(dataset, kind_names[kind], column);
    if (status == KPAR_OK && !column->name && kind == KPAR_DATASET_X)
        status = missing_array(dataset, kind, single ? kind_names[kind] : kpar_text_get(&name));
    kpar_text_clear(&name);
    return status;
}

/* All arrays have the same number of rows, at least one. */
static kpar_status check_rows(kpar_dataset *dataset)
{
    const kpar_column *first = &dataset->columns[KPAR_DATASET_X][0];
    for (int kind = 0; kind < KPAR_DATASET_KINDS; kind++)
        for (int i = 0; i < dataset->n[kind]; i++) {
            const kpar_column *column = &dataset->columns[kind][i];
            if (!column->name) continue;
            if (!column->npy.array.rank)
                return kpar_fail(KPAR_EDATA, "%s: array '%s' is a scalar, expected rows", dataset->path,
                                 column->name);
            int64_t rows = column->npy.array.dims[0], expected = first->npy.array.dims[0];
            if (!rows)
                return kpar_fail(KPAR_EDATA, "%s: array '%s' has no rows, expected at least one",
                                 dataset->path, column->name);
            if (rows != expected)
                return kpar_fail(
                    KPAR_EDATA, "%s: array '%s' has %" PRId64 " rows, expected %" PRId64 " as array '%s' has",
                    dataset->path, column->name, rows, expected, first->name);
            dataset->rows = rows;
        }
    return KPAR_OK;
}

static kpar_status open_columns(kpar_dataset *dataset, const char *const *input_names,
                                const char *const *output_names, const kpar_dataset_names *names)
{
    const char *const *given[KPAR_DATASET_KINDS] = {names ? names->x : NULL, names ? names->y : NULL,
                                                    names ? names->sample_weight : NULL};
    for (int kind = 0; kind < KPAR_DATASET_KINDS; kind++) {
        const char *const *model_names = kind == KPAR_DATASET_X ? input_names : output_names;
        int n_given = !names ? 0 : kind == KPAR_DATASET_X ? names->n_x : names->n_y;
        if (n_given > dataset->n[kind])
            return kpar_fail(KPAR_EUSAGE, "%s names %d arrays, the model has %d", kind_options[kind], n_given,
                             dataset->n[kind]);
        for (int i = 0; i < dataset->n[kind]; i++)
            KPAR_TRY(open_column(dataset, (kpar_dataset_kind)kind, i,
                                 given[kind] && i < n_given ? given[kind][i] : NULL, model_names[i]));
    }
    return check_rows(dataset);
}

kpar_status kpar_dataset_open(const char *path, const char *const *input_names, int n_inputs,
                              const char *const *output_names, int n_outputs, const kpar_dataset_names *names,
                              kpar_dataset **dataset)
{
    *dataset = NULL;
    struct stat facts;
    kpar_dataset *opened = kpar_dataset_allocate(path, n_inputs, n_outputs);
    bool folder = !stat(path, &facts) && S_ISDIR(facts.st_mode);
    kpar_status status = folder ? KPAR_OK : kpar_npz_open(path, &opened->archive);
    if (status == KPAR_OK) status = open_columns(opened, input_names, output_names, names);
    if (status == KPAR_OK)
        *dataset = opened;
    else
        kpar_dataset_close(opened);
    return status;
}

void kpar_dataset_close(kpar_dataset *dataset)
{
    if (!dataset) return;
    for (int kind = 0; kind < KPAR_DATASET_KINDS; kind++) {
        for (int i = 0; i < dataset->n[kind]; i++) kpar_free(dataset->columns[kind][i].name);
        kpar_free(dataset->columns[kind]);
    }
    for (size_t i = 0; i < dataset->n_maps; i++) kpar_map_close(&dataset->maps[i]);
    kpar_free(dataset->maps);
    kpar_npz_close(dataset->archive);
    kpar_free(dataset->path);
    kpar_free(dataset);
}

const kpar_column *kpar_dataset_column(const kpar_dataset *dataset, kpar_dataset_kind kind, int index)
{
    if (index < 0 || index >= dataset->n[kind]) return NULL;
    const kpar_column *column = &dataset->columns[kind][index];
    return column->name ? column : NULL;
}

int64_t kpar_dataset_rows(const kpar_dataset *dataset) { return dataset->rows; }

const char *kpar_dataset_path(const kpar_dataset *dataset) { return dataset->path; }

const kpar_array *kpar_dataset_array(const kpar_dataset *dataset, kpar_dataset_kind kind, int index)
{
    const kpar_column *column = kpar_dataset_column(dataset, kind, index);
    return column ? &column->npy.array : NULL;
}

const char *kpar_dataset_name(const kpar_dataset *dataset, kpar_dataset_kind kind, int index)
{
    const kpar_column *column = kpar_dataset_column(dataset, kind, index);
    return column ? column->name : NULL;
}

size_t kpar_dataset_bytes_read(const kpar_dataset *dataset) { return atomic_load(&dataset->bytes_read); }
