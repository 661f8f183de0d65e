/* Convolutions in plain vector loops: for builds without oneDNN, and where it is slow. */
#ifndef KPAR_DEVICE_CPU_CONV_LOOPS_H
#define KPAR_DEVICE_CPU_CONV_LOOPS_H

#include "device/cpu/windows.h"

typedef struct kpar_conv_loops kpar_conv_loops;

/* `op` is conv or one of its gradients. Memory for `threads` workers is allocated here. */
kpar_status kpar_conv_loops_create(kpar_op_kind op, const kpar_window_size *size, int threads,
                                   kpar_conv_loops **loops) KPAR_MUST_USE;
void kpar_conv_loops_destroy(kpar_conv_loops *loops);

/* One of the three is written, by the op. The bits do not depend on the number of threads. */
void kpar_conv_loops_run(const kpar_conv_loops *loops, float *image, float *kernel, float *result);

#endif
