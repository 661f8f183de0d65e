/* What the devices share: questions about a kernel's specification, its check, and its modelled cost. */
#ifndef KPAR_DEVICE_SPEC_H
#define KPAR_DEVICE_SPEC_H

#include "device/device.h"

static inline const kpar_tensor_spec *kpar_spec_input(const kpar_kernel_spec *spec, int i)
{
    return &spec->tensors[i];
}
static inline const kpar_tensor_spec *kpar_spec_output(const kpar_kernel_spec *spec, int i)
{
    return &spec->tensors[spec->n_inputs + i];
}

/* Elements and bytes of a tensor. */
int64_t kpar_tensor_count(const kpar_tensor_spec *tensor);
size_t kpar_tensor_bytes(const kpar_tensor_spec *tensor);

/* Product of dims[from..to). */
int64_t kpar_tensor_span(const kpar_tensor_spec *tensor, int from, int to);

/* Inputs of the op itself; those after them are the epilogue's. */
int kpar_spec_anchor_inputs(const kpar_kernel_spec *spec);

/* The expression applied to an anchor's result, or NULL. A map or map_reduce has none: its expression is the
 * op. */
const kpar_expression *kpar_spec_epilogue(const kpar_kernel_spec *spec);

/* What a reduce or map_reduce reduces: its input, or what its inputs broadcast to, of its output's type. */
kpar_tensor_spec kpar_spec_reduced(const kpar_kernel_spec *spec);

/* Strides, in elements, with which `input` is read at the coordinates of `output`: 0 where it is repeated. */
void kpar_broadcast_strides(const kpar_tensor_spec *input, const kpar_tensor_spec *output,
                            int64_t strides[KPAR_MAX_RANK]);

/* A matmul on fixed shapes: `batch` products (m, k) x (k, n). */
typedef struct kpar_matmul_size {
    int64_t batch, m, n, k;
} kpar_matmul_size;
kpar_matmul_size kpar_matmul_size_of(const kpar_kernel_spec *spec);

/* Windows over images on fixed shapes: `batch` images of `in` channels, and results of `out` channels. Three
 * dimensions, of which the first ones are 1 where the images have fewer; `dims` are there. */
enum { KPAR_IMAGE_DIMS = 3 };
typedef struct kpar_window_size {
    int64_t batch, in, out, groups;
    int dims;
    int64_t image[KPAR_IMAGE_DIMS], window[KPAR_IMAGE_DIMS], result[KPAR_IMAGE_DIMS];
    int64_t before[KPAR_IMAGE_DIMS], after[KPAR_IMAGE_DIMS], stride[KPAR_IMAGE_DIMS],
        dilation[KPAR_IMAGE_DIMS];
} kpar_window_size;

/* Of conv, pool and their gradients. */
kpar_window_size kpar_window_size_of(const kpar_kernel_spec *spec);

/* The tensors that hold images, kernel (NULL: none, it is pooled) and results. */
typedef struct kpar_window_tensors {
    const kpar_tensor_spec *image, *kernel, *result;
} kpar_window_tensors;
kpar_window_tensors kpar_window_tensors_of(const kpar_kernel_spec *spec);

/* Product of the three. */
static inline int64_t kpar_window_count(const int64_t dims[KPAR_IMAGE_DIMS])
{
    return dims[0] * dims[1] * dims[2];
}

/* Where cell `cell` of the window of result `position` lies in the image (all row-major), or -1 on padding. */
int64_t kpar_window_pixel(const kpar_window_size *size, int64_t position, int64_t cell);

/* A tensor as rows along one of its dimensions: `outer` x `length` x `inner`. */
typedef struct kpar_lines {
    int64_t outer, length, inner;
} kpar_lines;
kpar_lines kpar_lines_of(const kpar_tensor_spec *tensor, int dim);

/* gather, scatter_add: the row of this rank's part of the table, of `rows` rows, that `index` at `position` of the
 * indices means; -1: another rank has it. KPAR_EDATA: the table has no such row. */
kpar_status kpar_table_row(const kpar_kernel_spec *spec, int64_t rows, int64_t index, int64_t position,
                           int64_t *row) KPAR_MUST_USE;

/* What of the Philox stream an element of a random tensor is: row r, element i of it -> index. */
int64_t kpar_random_index(const kpar_kernel_spec *spec, int64_t position, int64_t i);

/* The elements first .. first + run - 1 of a row that have consecutive indices, from element `first` on. */
int64_t kpar_random_run(const kpar_kernel_spec *spec, int64_t first);

/* Whether types, shapes and attributes fit each other; KPAR_EINTERNAL says what does not. A kernel that was
 * checked touches no memory outside its places. */
kpar_status kpar_spec_check(const kpar_kernel_spec *spec) KPAR_MUST_USE;

/* Modelled seconds on one core of a current server: the larger of arithmetic and memory traffic. */
double kpar_spec_seconds(const kpar_kernel_spec *spec);

#endif
