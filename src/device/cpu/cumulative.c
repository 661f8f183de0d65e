/* CPU kernel of cumulative: a row of neighbours after the other, in an order that no thread changes. */
#include "device/cpu/vector.h"

#include "device/cpu/cpu.h"
#include "device/cpu/parallel.h"

#include <string.h>

/* Elements worth a second thread. */
enum { ELEMENTS_A_THREAD = 32768 };

typedef struct running {
    const float *x;
    float *out;
    kpar_lines lines;
    bool product, exclusive, reverse;
} running;

/* to = from combined with x. */
KPAR_CLONES static void step(bool product, const float *from, const float *x, float *to, int64_t n)
{
    if (product)
        KPAR_INDEPENDENT for (int64_t i = 0; i < n; i++) to[i] = from[i] * x[i];
    else
        KPAR_INDEPENDENT for (int64_t i = 0; i < n; i++) to[i] = from[i] + x[i];
}

/* The row of the result at `at` from the one before it, at `before`. */
static void follow(const running *r, int64_t before, int64_t at)
{
    step(r->product, r->out + before, r->x + (r->exclusive ? before : at), r->out + at, r->lines.inner);
}

/* Items are the outer parts, whose lines run side by side. */
static void run_lines(void *context, int worker, int64_t first, int64_t last)
{
    const running *r = context;
    const kpar_lines l = r->lines;
    const int64_t stride = r->reverse ? -l.inner : l.inner;
    (void)worker;
    for (int64_t o = first; o < last && l.length > 0; o++) {
        int64_t at = (o * l.length + (r->reverse ? l.length - 1 : 0)) * l.inner;
        for (int64_t i = 0; i < l.inner; i++) r->out[at + i] = r->exclusive ? r->product : r->x[at + i];
        for (int64_t j = 1; j < l.length; j++, at += stride) follow(r, at, at + stride);
    }
}

static bool fits_cumulative(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
}

static kpar_status run_cumulative(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_tensor_spec *tensor = kpar_spec_input(k->base.spec, 0);
    const kpar_attributes *a = &k->base.spec->attributes;
    const int64_t useful = kpar_tensor_count(tensor) / ELEMENTS_A_THREAD + 1;
    running r = {.x = in[0],
                 .out = out[0],
                 .lines = kpar_lines_of(tensor, a->axis),
                 .product = a->reduction == KPAR_REDUCE_PRODUCT,
                 .exclusive = a->exclusive,
                 .reverse = a->reverse};
    kpar_parallel(k->threads < useful ? k->threads : (int)useful, r.lines.outer, run_lines, &r);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_cumulative = {.fits = fits_cumulative, .run = run_cumulative};
