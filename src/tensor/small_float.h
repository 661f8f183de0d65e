/* Sixteen-bit floating point numbers, as bits in a uint16_t. */
#ifndef KPAR_TENSOR_SMALL_FLOAT_H
#define KPAR_TENSOR_SMALL_FLOAT_H

#include <stdint.h>

/* The double nearest-even rounded to float16 (IEEE 754 binary16) or bfloat16, in one rounding. Too large
 * becomes infinity, NaN a quiet NaN of the same sign. */
uint16_t kpar_float16_from_double(double value);
uint16_t kpar_bfloat16_from_double(double value);

/* Exact. */
double kpar_double_from_float16(uint16_t bits);
double kpar_double_from_bfloat16(uint16_t bits);

#endif
