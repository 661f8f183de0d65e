/* What opening (dataset.c), reading (dataset_read.c) and random data (dataset_random.c) share. */
#ifndef KPAR_DATA_DATASET_INTERNAL_H
#define KPAR_DATA_DATASET_INTERNAL_H

#include "data/dataset.h"
#include "data/map.h"
#include "data/npy.h"
#include "data/npz.h"

#include <stdatomic.h>

enum { KPAR_DATASET_KINDS = 3 };

/* One array: elements in a file, or numbers made from a key. */
typedef struct kpar_column {
    char *name; /* NULL: there is none */
    kpar_npy npy;
    uint64_t key;    /* random datasets: Philox key */
    int64_t classes; /* random datasets: labels are in [0, classes); 0: reals in [0, 1) */
} kpar_column;

struct kpar_dataset {
    char *path;
    bool random;
    kpar_npz *archive; /* .npz */
    kpar_map *maps;    /* a folder's files */
    size_t n_maps, maps_capacity;
    kpar_column *columns[KPAR_DATASET_KINDS];
    int n[KPAR_DATASET_KINDS];
    int64_t rows;
    atomic_size_t bytes_read;
};

/* A dataset without arrays yet; n_y columns for weights too. */
kpar_dataset *kpar_dataset_allocate(const char *path, int n_x, int n_y);

/* The column, or NULL where there is none. */
const kpar_column *kpar_dataset_column(const kpar_dataset *dataset, kpar_dataset_kind kind, int index);

/* Copies part of a row of a column, wherever it comes from. */
void kpar_column_read_row(const kpar_dataset *dataset, const kpar_column *column, int64_t row,
                          const kpar_slice *slice, kpar_dtype dtype, void *values);
void kpar_column_random_row(const kpar_column *column, int64_t row, const kpar_slice *slice, kpar_dtype dtype,
                            void *values);

#endif
