/* Datasets: named arrays with the same number of rows, read slice by slice. Knows (rank, size, columns),
 * never a mesh. */
#ifndef KPAR_DATA_DATASET_H
#define KPAR_DATA_DATASET_H

#include "tensor/array.h"

typedef struct kpar_dataset kpar_dataset;

/* Which arrays are the features, labels and sample weights: a name for each model input (x) or output (y,
 * sample_weight), NULL entries and NULL lists where the file's own names serve. */
typedef struct kpar_dataset_names {
    const char *const *x, *const *y, *const *sample_weight;
    int n_x, n_y;
} kpar_dataset_names;

/* Opens `path` (.npz, or a folder of .npy). Stored members and .npy files are memory-mapped, deflated
 * members are unpacked to memory after their declared size was checked against the archive. With one input
 * the feature array is "x" or "x/NAME", with several "x/NAME"; likewise "y", "sample_weight" (one
 * "sample_weight" serves all outputs); names given in `names` override and must be there. input_names and
 * output_names are the model's. Labels may be absent. At least one row is expected. Errors name file, array,
 * expected and found. */
kpar_status kpar_dataset_open(const char *path, const char *const *input_names, int n_inputs,
                              const char *const *output_names, int n_outputs, const kpar_dataset_names *names,
                              kpar_dataset **dataset) KPAR_MUST_USE;

/* `rows` rows of random features and labels of these per-row shapes: Philox by seed, features uniform in [0,
 * 1), integer labels uniform in [0, classes[i]), classes[i] 0: real labels. The arrays are named "x/0",
 * "y/0" and so on. For `--data random`. */
kpar_status kpar_dataset_random(uint64_t seed, int64_t rows, const kpar_array *inputs, int n_inputs,
                                const kpar_array *outputs, const int64_t *classes, int n_outputs,
                                kpar_dataset **dataset) KPAR_MUST_USE;
void kpar_dataset_close(kpar_dataset *dataset);

typedef enum kpar_dataset_kind { KPAR_DATASET_X, KPAR_DATASET_Y, KPAR_DATASET_WEIGHT } kpar_dataset_kind;

int64_t kpar_dataset_rows(const kpar_dataset *dataset);
const char *kpar_dataset_path(const kpar_dataset *dataset);
/* The array's name, type and whole shape (rows first), or NULL where there is none. */
const kpar_array *kpar_dataset_array(const kpar_dataset *dataset, kpar_dataset_kind kind, int index);
const char *kpar_dataset_name(const kpar_dataset *dataset, kpar_dataset_kind kind, int index);

/* Copies rows rows[0..n) (numbers within the dataset) of an array, of each row the part `slice` (dimension 0
 * of the slice is ignored), converted to `dtype`, into `values`, one after the other. */
kpar_status kpar_dataset_read(kpar_dataset *dataset, kpar_dataset_kind kind, int index, const int64_t *rows,
                              size_t n, const kpar_slice *slice, kpar_dtype dtype,
                              void *values) KPAR_MUST_USE;

/* Payload bytes copied out of the files by kpar_dataset_read so far, in the files' types. May be called
 * while another thread reads. */
size_t kpar_dataset_bytes_read(const kpar_dataset *dataset);

/* Checks that labels of output `index` are whole numbers in [0, classes), or `ignored` (NULL: none), for rows
 * [first, first + n): KPAR_EDATA names the row. */
kpar_status kpar_dataset_check_labels(kpar_dataset *dataset, int index, int64_t classes,
                                      const int64_t *ignored, int64_t first, int64_t n) KPAR_MUST_USE;

/* A hash of names, shapes, types and a sample of the contents: to tell whether a resume has the same data. */
uint64_t kpar_dataset_hash(kpar_dataset *dataset);

#endif
