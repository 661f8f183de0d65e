/* A matmul in plain vector loops: for builds without oneDNN, and for shapes with zeros. */
#ifndef KPAR_DEVICE_CPU_MATMUL_LOOPS_H
#define KPAR_DEVICE_CPU_MATMUL_LOOPS_H

#include "device/cpu/onednn.h"

/* As kpar_onednn_matmul_run; zeros in the shape are fine. */
void kpar_matmul_loops(const kpar_onednn_matmul_options *options, const float *a, const float *b,
                       const float *bias, float *out);

/* x = max(x, 0), where NaN stays. */
void kpar_relu_loop(float *x, int64_t n);

#endif
