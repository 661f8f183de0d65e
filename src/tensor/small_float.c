/* Sixteen-bit floats of any split between exponent and fraction. */
#include "tensor/small_float.h"

#include <math.h>
#include <string.h>

/* Of the 15 bits below the sign the low `fraction_bits` are the fraction, the rest the exponent. */
typedef struct format {
    int fraction_bits, least_exponent; /* 2^least_exponent is the smallest normal number */
    uint16_t infinity;
} format;

static const format float16 = {10, -14, 0x7C00}, bfloat16 = {7, -126, 0x7F80};

/* 2^n, for n from -1022 to 1023. */
static double power_of_two(int n)
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* The exponent of a normal double; something small for a subnormal. */
static int exponent_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 52 & 0x7FF) - 1023;
}

/* The magnitude is `units` times 2^(exponent - fraction_bits). Adding units to the exponent field lets the
 * leading bit of a normal number, or a carry out of the fraction, count the exponent up by itself. */
static uint16_t narrow(const format *f, double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (isnan(value)) return (uint16_t)(sign | f->infinity | 1u << (f->fraction_bits - 1));
    if (isinf(value)) return sign | f->infinity;
    int exponent = exponent_of(value);
    if (exponent < f->least_exponent) exponent = f->least_exponent;
    double units = nearbyint(fabs(value) * power_of_two(f->fraction_bits - exponent));
    uint64_t bits = ((uint64_t)(exponent - f->least_exponent) << f->fraction_bits) + (uint64_t)units;
    return (uint16_t)(sign | (bits < f->infinity ? bits : f->infinity));
}

static double widen(const format *f, uint16_t bits)
{
    int magnitude = bits & 0x7FFF, field = magnitude >> f->fraction_bits;
    int fraction = magnitude & ((1 << f->fraction_bits) - 1);
    double sign = bits & 0x8000 ? -1 : 1;
    if (magnitude >= f->infinity) return fraction ? copysign(NAN, sign) : sign * (double)INFINITY;
    int units = field ? fraction + (1 << f->fraction_bits) : fraction;
    int exponent = f->least_exponent + (field ? field - 1 : 0);
    return sign * units * power_of_two(exponent - f->fraction_bits);
}

uint16_t kpar_float16_from_double(double value) { return narrow(&float16, value); }

uint16_t kpar_bfloat16_from_double(double value) { return narrow(&bfloat16, value); }

double kpar_double_from_float16(uint16_t bits) { return widen(&float16, bits); }

double kpar_double_from_bfloat16(uint16_t bits) { return widen(&bfloat16, bits); }
