/* Images of another size, by the arguments of Resizing and of the operation Resize. */
#ifndef KPAR_MODEL_RESIZE_H
#define KPAR_MODEL_RESIZE_H

#include "model/lower_internal.h"

/* The dimension's points by an interpolation: nearest, bilinear, bicubic, lanczos3, lanczos5. KPAR_EUNSUPPORTED names others. */
kpar_status kpar_lower_interpolate(kpar_lowering *lowering, int dim, int64_t size, const char *method,
                                   bool antialias, kpar_value_id x, kpar_value_id *out) KPAR_MUST_USE;
/* The middle of images whose sides have the ratio of `size`. */
kpar_status kpar_lower_crop_to_ratio(kpar_lowering *lowering, const int64_t *size, kpar_value_id x,
                                     kpar_value_id *out) KPAR_MUST_USE;
/* Images (batch, height, width, channels) of `size`, cropped or padded before where the arguments say so. */
kpar_status kpar_lower_resize(kpar_lowering *lowering, const int64_t *size, kpar_value_id x,
                              kpar_value_id *out) KPAR_MUST_USE;

#endif
