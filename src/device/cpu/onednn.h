/* The only files that know oneDNN, onednn*.c, behind this one: matmuls and convolutions prepared once for fixed shapes,
 * under version 2 and 3 of its C API.
 * Without oneDNN every create fails and the CPU device uses its own loops. */
#ifndef KPAR_DEVICE_CPU_ONEDNN_H
#define KPAR_DEVICE_CPU_ONEDNN_H

#include "device/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version and instruction set in words: "oneDNN 2.6.0 (avx2)". The bits of a matmul depend on both. */
void kpar_onednn_describe(char *text, size_t capacity);

/* Engine and stream; one a device. */
typedef struct kpar_onednn kpar_onednn;
kpar_status kpar_onednn_create(kpar_onednn **onednn) KPAR_MUST_USE;
void kpar_onednn_destroy(kpar_onednn *onednn);

/* out (batch, m, n) = a (batch, m, k) x b (batch, k, n) in float32, row-major; a transposed operand lies in memory
 * with its last two dimensions exchanged. Then + bias (n), then + what out held. (Its relu turns NaN into 0, which
 * would hide a failure: it is not used.) */
typedef struct kpar_onednn_matmul_options {
    int64_t batch, m, n, k;
    bool transpose_a, transpose_b, bias, accumulate;
} kpar_onednn_matmul_options;

typedef struct kpar_onednn_matmul kpar_onednn_matmul;

/* Shapes have no zeros. Scratch memory is allocated here. */
kpar_status kpar_onednn_matmul_create(kpar_onednn *onednn, const kpar_onednn_matmul_options *options,
                                      kpar_onednn_matmul **matmul) KPAR_MUST_USE;
void kpar_onednn_matmul_destroy(kpar_onednn_matmul *matmul);

/* `bias` is NULL without one. */
kpar_status kpar_onednn_matmul_run(kpar_onednn_matmul *matmul, const void *a, const void *b, const void *bias,
                                   void *out) KPAR_MUST_USE;

/* A convolution of float32 images, or one of its gradients, by `op`. Sizes have no zeros. The number of threads is the
 * same now and in every run. */
typedef struct kpar_onednn_conv kpar_onednn_conv;
kpar_status kpar_onednn_conv_create(kpar_onednn *onednn, kpar_op_kind op, const kpar_window_size *size,
                                    bool bias, kpar_onednn_conv **conv) KPAR_MUST_USE;
void kpar_onednn_conv_destroy(kpar_onednn_conv *conv);

/* One of image, kernel and result is written. `bias` is NULL without one. */
kpar_status kpar_onednn_conv_run(kpar_onednn_conv *conv, void *image, void *kernel, const void *bias,
                                 void *result) KPAR_MUST_USE;

#endif
