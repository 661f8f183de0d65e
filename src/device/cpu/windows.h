/* Windows over images for loops: the pixel that each cell of each window lies on, found once. */
#ifndef KPAR_DEVICE_CPU_WINDOWS_H
#define KPAR_DEVICE_CPU_WINDOWS_H

#include "device/spec.h"

typedef struct kpar_windows {
    kpar_window_size size;
    int64_t positions, cells, pixels; /* of one image */
    int32_t *table;                   /* positions x cells: the pixel, -1 on padding */
} kpar_windows;

kpar_status kpar_windows_create(const kpar_window_size *size, kpar_windows **windows) KPAR_MUST_USE;
void kpar_windows_destroy(kpar_windows *windows);

#endif
