/* Elementary functions in float without branches, so that loops over them become vector code. Errors are within
 * 3 units in the last place, of the cases in the tests. Polynomials are weighted minimax fits made for kpar.
 * Results below the smallest normal number may be flushed to zero. */
#ifndef KPAR_DEVICE_CPU_VECTOR_MATH_H
#define KPAR_DEVICE_CPU_VECTOR_MATH_H

#include "device/cpu/vector.h"

#include <math.h>

/* The bits of a number, and the number of bits: by unions, which compilers vectorize. */
typedef union kpar_word32 {
    float real;
    uint32_t bits;
} kpar_word32;
typedef union kpar_word64 {
    double real;
    uint64_t bits;
} kpar_word64;

static inline uint32_t kpar_bits_f32(float x) { return (kpar_word32){.real = x}.bits; }
static inline float kpar_f32_bits(uint32_t bits) { return (kpar_word32){.bits = bits}.real; }
static inline uint64_t kpar_bits_f64(double x) { return (kpar_word64){.real = x}.bits; }
static inline double kpar_f64_bits(uint64_t bits) { return (kpar_word64){.bits = bits}.real; }

/* |x| with the sign of `sign`. */
static inline float kpar_copysign_f32(float x, float sign)
{
    return kpar_f32_bits((kpar_bits_f32(x) & 0x7fffffffu) | (kpar_bits_f32(sign) & 0x80000000u));
}

static inline float kpar_absolute_f32(float x) { return kpar_f32_bits(kpar_bits_f32(x) & 0x7fffffffu); }

/* ln 2 in two parts; multiples of the first up to 2^11 are exact. */
#define KPAR_LN2_HIGH 0.693359375f
#define KPAR_LN2_LOW -2.12194440e-4f

/* exp(x) = 2^k exp(r), |r| <= ln(2)/2; k by adding and subtracting 1.5 * 2^23. */
static inline float kpar_exp_f32(float x)
{
    const float magic = 12582912.0f;
    float c = x > 89.0f ? 89.0f : x;
    c = c < -104.0f ? -104.0f : c;
    float shifted = c * 1.44269504f + magic, k = shifted - magic;
    float r = (c - k * KPAR_LN2_HIGH) - k * KPAR_LN2_LOW;
    float p = 1.395171974e-03f;
    p = p * r + 8.369598538e-03f;
    p = p * r + 4.166618735e-02f;
    p = p * r + 1.666651219e-01f;
    p = p * r + 5.000000000e-01f;
    p = (p * r * r + r) + 1.0f;
    uint32_t power = kpar_bits_f32(shifted) - kpar_bits_f32(magic), half = (uint32_t)((int32_t)power >> 1);
    return p * kpar_f32_bits((half + 127) << 23) * kpar_f32_bits((power - half + 127) << 23);
}

/* log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)). */
static inline float kpar_log_f32(float x)
{
    float scaled = x < 0x1p-126f ? x * 0x1p23f : x;
    uint32_t bits = kpar_bits_f32(scaled) - 0x3f3504f3u;
    float e = (float)((int32_t)bits >> 23) - (x < 0x1p-126f ? 23.0f : 0.0f);
    float f = kpar_f32_bits((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float p = -7.634492964e-02f;
    p = p * f + 1.276157498e-01f;
    p = p * f - 1.316018254e-01f;
    p = p * f + 1.420175880e-01f;
    p = p * f - 1.662335694e-01f;
    p = p * f + 2.000122666e-01f;
    p = p * f - 2.500081956e-01f;
    p = p * f + 3.333333135e-01f;
    float y = (p * f * f * f + e * KPAR_LN2_LOW) - 0.5f * f * f;
    y = (f + y) + e * KPAR_LN2_HIGH;
    float special = x == 0.0f ? -INFINITY : NAN;
    y = x < INFINITY ? y : x;
    return x > 0.0f ? y : special;
}

/* The rounding error of 1 + x, corrected to first order. */
static inline float kpar_log1p_f32(float x)
{
    float u = 1.0f + x, correction = (x - (u - 1.0f)) / u;
    return kpar_log_f32(u) + (((u > 0.0f) & (u < INFINITY)) ? correction : 0.0f);
}

static inline float kpar_sigmoid_f32(float x) { return 1.0f / (1.0f + kpar_exp_f32(-x)); }

/* An odd polynomial near 0, else 1 - 2 / (exp(2x) + 1). */
static inline float kpar_tanh_f32(float x)
{
    float t = kpar_absolute_f32(x), s = x * x;
    float p = -5.704986397e-03f;
    p = p * s + 2.063908614e-02f;
    p = p * s - 5.373971537e-02f;
    p = p * s + 1.333144158e-01f;
    p = p * s - 3.333328068e-01f;
    float small = t + t * s * p, large = 1.0f - 2.0f / (kpar_exp_f32(2.0f * t) + 1.0f);
    return kpar_copysign_f32(t < 0.625f ? small : large, x);
}

/* An odd polynomial up to 1, else 1 - exp(a polynomial). */
static inline float kpar_erf_f32(float x)
{
    float t = kpar_absolute_f32(x), s = x * x, c = t > 4.0f ? 4.0f : t;
    float p = 7.853860734e-05f;
    p = p * s - 8.010193706e-04f;
    p = p * s + 5.188327748e-03f;
    p = p * s - 2.685381286e-02f;
    p = p * s + 1.128358543e-01f;
    p = p * s - 3.761262596e-01f;
    p = p * s + 1.128379107e+00f;
    float q = -2.169758955e-05f;
    q = q * c + 4.414723371e-04f;
    q = q * c - 4.205282778e-03f;
    q = q * c + 2.521033399e-02f;
    q = q * c - 1.084220931e-01f;
    q = q * c - 6.332163811e-01f;
    q = q * c - 1.129580259e+00f;
    q = q * c + 1.884666126e-04f;
    return kpar_copysign_f32(t < 1.0f ? t * p : 1.0f - kpar_exp_f32(q), x);
}

/* sin(x + quarters * pi / 2), in double: the series of sine and cosine up to pi / 4, which of them by the quarter.
 * Multiples of the first two parts of pi / 2 (Cody and Waite) are exact up to 2^26, so that x may be up to 1e8. */
static inline float kpar_sine_quarters(float x, uint64_t quarters)
{
    const double magic = 6755399441055744.0, high = 1.57079625129699707031e+00,
                 middle = 7.54978941586159635336e-08, low = 5.39030285815811905290e-15;
    double shifted = (double)x * 6.36619772367581343e-01 + magic, k = shifted - magic;
    double r = (((double)x - k * high) - k * middle) - k * low, u = r * r;
    double s = -2.50521083854417188e-08, c = 2.08767569878680990e-09;
    s = s * u + 2.75573192239858907e-06;
    s = s * u - 1.98412698412698413e-04;
    s = s * u + 8.33333333333333333e-03;
    s = s * u - 1.66666666666666667e-01;
    s = s * u * r + r;
    c = c * u - 2.75573192239858907e-07;
    c = c * u + 2.48015873015873016e-05;
    c = c * u - 1.38888888888888889e-03;
    c = c * u + 4.16666666666666667e-02;
    c = c * u - 5.00000000000000000e-01;
    c = c * u + 1.0;
    uint64_t quarter = kpar_bits_f64(shifted) - kpar_bits_f64(magic) + quarters;
    float result = (float)((quarter & 1) ? c : s);
    return (quarter & 2) ? -result : result;
}

static inline float kpar_sin_f32(float x) { return kpar_sine_quarters(x, 0); }
static inline float kpar_cos_f32(float x) { return kpar_sine_quarters(x, 1); }

/* In double: atan(1 / t) = pi / 2 - atan(t) and atan(t) = pi / 4 + atan((t - 1) / (t + 1)) leave arguments up to tan(pi / 8) to
 * the series. */
static inline float kpar_atan_f32(float x)
{
    const double size = (double)kpar_absolute_f32(x), t = size > 1.0 ? 1.0 / size : size;
    const double r = t > 0.41421356237309503 ? (t - 1.0) / (t + 1.0) : t, u = r * r;
    double p = -1.0 / 19;
    p = p * u + 1.0 / 17;
    p = p * u - 1.0 / 15;
    p = p * u + 1.0 / 13;
    p = p * u - 1.0 / 11;
    p = p * u + 1.0 / 9;
    p = p * u - 1.0 / 7;
    p = p * u + 1.0 / 5;
    p = p * u - 1.0 / 3;
    p = p * u * r + r;
    const double angle = t > 0.41421356237309503 ? p + 0.78539816339744831 : p;
    return kpar_copysign_f32((float)(size > 1.0 ? 1.57079632679489662 - angle : angle), x);
}

/* log2 of a positive number in double: exponent plus 2 atanh((m - 1) / (m + 1)) / ln 2. */
static inline double kpar_log2_of_f32(float x)
{
    uint64_t bits = kpar_bits_f64((double)x) - UINT64_C(0x3fe6a09e667f3bcd);
    double e = (double)(int32_t)((int64_t)bits >> 52);
    double m = kpar_f64_bits((bits & UINT64_C(0x000fffffffffffff)) + UINT64_C(0x3fe6a09e667f3bcd));
    double s = (m - 1.0) / (m + 1.0), u = s * s;
    double p = 2.82943897668940958e-01;
    p = p * u + 3.19902808652800741e-01;
    p = p * u + 4.12209318184152074e-01;
    p = p * u + 5.77077941764524982e-01;
    p = p * u + 9.61796694115201745e-01;
    p = p * u + 2.88539008177784906e+00;
    return e + s * p;
}

/* 2^z for z in double, beyond the range of float at both ends. */
static inline double kpar_exp2_wide(double z)
{
    const double magic = 6755399441055744.0;
    z = z > 160.0 ? 160.0 : z;
    z = z < -160.0 ? -160.0 : z;
    double shifted = z + magic, r = z - (shifted - magic);
    double p = 1.52017183090855748e-05;
    p = p * r + 1.54695531765991913e-04;
    p = p * r + 1.33339254830144036e-03;
    p = p * r + 9.61802644199404901e-03;
    p = p * r + 5.55041034727478885e-02;
    p = p * r + 2.40226512041582518e-01;
    p = p * r + 6.93147180731153112e-01;
    p = p * r + 9.99999999961072805e-01;
    return p * kpar_f64_bits((kpar_bits_f64(shifted) - kpar_bits_f64(magic) + 1023) << 52);
}

/* 2^(y log2 |x|), in double; then the signs and exceptions that C's pow has. */
static inline float kpar_pow_f32(float x, float y)
{
    float t = kpar_absolute_f32(x);
    double logarithm = kpar_log2_of_f32(t);
    logarithm = t < INFINITY ? logarithm : (double)t;
    logarithm = t == 0.0f ? -INFINITY : logarithm;
    float magnitude = (float)kpar_exp2_wide((double)y * logarithm);
    magnitude = ((t == 1.0f) & (y == y)) ? 1.0f : magnitude;
    int whole = floorf(y) == y, odd = whole & (floorf(y * 0.5f) * 2.0f != y);
    float signed_magnitude = odd ? kpar_copysign_f32(magnitude, x) : magnitude;
    float result = ((x < 0.0f) & (x > -INFINITY) & !whole) ? NAN : signed_magnitude;
    return ((y == 0.0f) | (x == 1.0f)) ? 1.0f : result;
}

#endif
