/* Files for tests of src/keras: the reference cases, a folder of our own, and the catalog of the cases'
 * model. */
#ifndef KPAR_TESTS_KERAS_FIXTURE_H
#define KPAR_TESTS_KERAS_FIXTURE_H

#include "keras/keras.h"
#include "unit.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tests/cases/data/NAME/model.keras */
static inline const char *case_model(const char *name)
{
    static _Thread_local char path[PATH_BYTES];
    const char *source = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/cases/data/%s/model.keras", source ? source : ".", name);
    return path;
}

/* Names in the folder, hidden ones too, besides . and .. */
static inline int files_in_folder(void)
{
    int n = 0;
    DIR *open = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(open);
    return n;
}

/* The bytes of a file; free() them. */
static inline char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    ck_assert_uint_eq(fread(bytes, 1, *length, file), *length);
    bytes[*length] = '\0';
    fclose(file);
    return bytes;
}

static inline void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static inline int add(kpar_catalog *catalog, const char *path, kpar_variable_kind kind, int rank,
                      int64_t rows, int64_t columns)
{
    kpar_variable v = {.path = path,
                       .layer = "dense",
                       .name = "kernel",
                       .kind = kind,
                       .rank = rank,
                       .dims = {rows, columns},
                       .of = -1};
    if (rank < 2) v.dims[1] = 0;
    v.dtype = kind == KPAR_VARIABLE_ITERATION ? KPAR_I64 : KPAR_F32;
    return kpar_catalog_add(catalog, &v);
}

/* Weights of the cases' model: 12-16-16-5. */
static inline kpar_catalog *mlp_catalog_without_last_bias(void)
{
    kpar_catalog *catalog = kpar_catalog_create();
    kpar_catalog_add_group(catalog, "", "sequential");
    kpar_catalog_add_group(catalog, "layers/dense", "dense");
    kpar_catalog_add_group(catalog, "layers/dense_1", "dense_1");
    kpar_catalog_add_group(catalog, "layers/dense_2", "dense_2");
    add(catalog, "layers/dense/vars/0", KPAR_VARIABLE_WEIGHT, 2, 12, 16);
    add(catalog, "layers/dense/vars/1", KPAR_VARIABLE_WEIGHT, 1, 16, 0);
    add(catalog, "layers/dense_1/vars/0", KPAR_VARIABLE_WEIGHT, 2, 16, 16);
    add(catalog, "layers/dense_1/vars/1", KPAR_VARIABLE_WEIGHT, 1, 16, 0);
    add(catalog, "layers/dense_2/vars/0", KPAR_VARIABLE_WEIGHT, 2, 16, 5);
    return catalog;
}

static inline kpar_catalog *mlp_catalog(void)
{
    kpar_catalog *catalog = mlp_catalog_without_last_bias();
    add(catalog, "layers/dense_2/vars/1", KPAR_VARIABLE_WEIGHT, 1, 5, 0);
    return catalog;
}

/* And Adam's state, with a schedule: iteration, then momentum and velocity of each weight. */
static inline kpar_catalog *adam_catalog(void)
{
    kpar_catalog *catalog = mlp_catalog();
    char path[64];
    kpar_catalog_add_group(catalog, "optimizer", "adam");
    add(catalog, "optimizer/vars/0", KPAR_VARIABLE_ITERATION, 0, 0, 0);
    for (int i = 0; i < 12; i++) {
        const kpar_variable weight = catalog->variables[i / 2];
        snprintf(path, sizeof path, "optimizer/vars/%d", i + 1);
        add(catalog, path, KPAR_VARIABLE_SLOT, weight.rank, weight.dims[0], weight.dims[1]);
    }
    return catalog;
}

/* Another open file's values, for saving. */
typedef struct copying {
    kpar_keras_file *file;
    const kpar_catalog *catalog;
} copying;

static inline kpar_status copy_slice(void *context, int variable, const kpar_slice *slice, void *values)
{
    const copying *from = context;
    return kpar_keras_read(from->file, &from->catalog->variables[variable], slice, values);
}

#endif
