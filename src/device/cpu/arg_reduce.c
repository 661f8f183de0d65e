/* CPU kernel of arg_reduce: plain loops. */
#include "device/cpu/cpu.h"

static bool fits_arg_reduce(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_I32;
}

static kpar_status run_arg_reduce(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_lines l = kpar_lines_of(kpar_spec_input(k->base.spec, 0), k->base.spec->attributes.axis);
    int32_t *to = out[0];
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const float *x = (const float *)in[0] + o * l.length * l.inner + i;
            int64_t best = 0;
            for (int64_t j = 1; j < l.length; j++)
                if (x[j * l.inner] > x[best * l.inner]) best = j;
            to[o * l.inner + i] = (int32_t)best;
        }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_arg_reduce = {.fits = fits_arg_reduce, .run = run_arg_reduce};
