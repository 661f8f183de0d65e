/* CPU kernels of matmul: oneDNN, which adds a bias and accumulates by itself, and a relu after it; plain loops for
 * empty products and in builds without it. */
#include "device/cpu/cpu.h"
#include "device/cpu/matmul_loops.h"
#include "device/cpu/parallel.h"

/* Multiplications worth a second thread: those of the step of a recurrent layer are not. */
enum { MULTIPLICATIONS_A_THREAD = 1 << 21 };

typedef struct matmul_state {
    kpar_onednn_matmul_options options;
    kpar_onednn_matmul *onednn; /* NULL: plain loops */
    bool relu;
    int threads;
} matmul_state;

static bool is_input(const kpar_expression *e, int scalar, int index)
{
    return e->scalars[scalar].op == KPAR_SCALAR_INPUT && e->scalars[scalar].index == index;
}

/* Whether further input 1 of the epilogue is one value a column, for all rows. */
static bool is_column_vector(const kpar_kernel_spec *spec)
{
    const kpar_tensor_spec *bias = kpar_spec_input(spec, 2), *out = kpar_spec_output(spec, 0);
    return bias->dtype == KPAR_F32 && bias->rank >= 1 &&
           bias->dims[bias->rank - 1] == out->dims[out->rank - 1] &&
           kpar_tensor_count(bias) == out->dims[out->rank - 1];
}

bool kpar_cpu_bias_relu(const kpar_kernel_spec *spec, bool *bias, bool *relu)
{
    const kpar_expression *e = kpar_spec_epilogue(spec);
    *bias = *relu = false;
    if (!e) return true;
    if (e->n_outputs != 1 || e->n_inputs > 2) return false;
    int at = e->outputs[0];
    *relu = e->scalars[at].op == KPAR_SCALAR_RELU;
    if (*relu) at = e->scalars[at].a;
    if (is_input(e, at, 0)) return true;
    const int a = e->scalars[at].a, b = e->scalars[at].b;
    *bias = e->scalars[at].op == KPAR_SCALAR_ADD &&
            ((is_input(e, a, 0) && is_input(e, b, 1)) || (is_input(e, a, 1) && is_input(e, b, 0)));
    return *bias && is_column_vector(spec);
}

static bool fits_matmul(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
}

static bool finishes_matmul(const kpar_kernel_spec *spec)
{
    bool bias, relu;
    return kpar_spec_output(spec, 0)->dtype == KPAR_F32 && kpar_cpu_bias_relu(spec, &bias, &relu) &&
           !(relu && spec->attributes.accumulate);
}

/* Plain loops would be 0.2 us faster where there are fewer than 2,000 multiplications, but then a row's bits would
 * depend on how many rows it is computed with. */
static bool wants_loops(const kpar_cpu_device *d, const kpar_matmul_size *s)
{
    return !d->onednn || s->batch * s->m * s->n * s->k == 0;
}

static kpar_status prepare_matmul(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_matmul_size s = kpar_matmul_size_of(spec);
    matmul_state *state = kpar_alloc_zeroed(1, sizeof *state);
    bool bias = false, relu = false;
    const bool finishes = finishes_matmul(spec) && kpar_cpu_bias_relu(spec, &bias, &relu);
    state->options = (kpar_onednn_matmul_options){.batch = s.batch,
                                                  .m = s.m,
                                                  .n = s.n,
                                                  .k = s.k,
                                                  .transpose_a = spec->attributes.transpose_a,
                                                  .transpose_b = spec->attributes.transpose_b,
                                                  .bias = finishes && bias,
                                                  .accumulate = finishes && spec->attributes.accumulate};
    const int64_t useful = s.batch * s.m * s.n * s.k / MULTIPLICATIONS_A_THREAD + 1;
    state->threads = k->threads < useful ? k->threads : (int)useful;
    state->relu = finishes && relu;
    k->state = state;
    if (wants_loops(device, &s)) return KPAR_OK;
    kpar_parallel_enter(state->threads);
    kpar_status status = kpar_onednn_matmul_create(device->onednn, &state->options, &state->onednn);
    kpar_parallel_enter(k->threads);
    return status;
}

static void release_matmul(kpar_cpu_kernel *k)
{
    matmul_state *state = k->state;
    kpar_onednn_matmul_destroy(state->onednn);
    kpar_free(state);
}

static void relu_part(void *context, int worker, int64_t first, int64_t last)
{
    (void)worker;
    kpar_relu_loop((float *)context + first, last - first);
}

static kpar_status run_matmul(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const matmul_state *state = k->state;
    const kpar_onednn_matmul_options *o = &state->options;
    const void *bias = o->bias ? in[2] : NULL;
    kpar_status status = KPAR_OK;
    if (state->onednn) {
        kpar_parallel_enter(state->threads);
        status = kpar_onednn_matmul_run(state->onednn, in[0], in[1], bias, out[0]);
        kpar_parallel_enter(k->threads);
    } else
        kpar_matmul_loops(o, in[0], in[1], bias, out[0]);
    if (state->relu)
        kpar_parallel(state->onednn ? state->threads : 1, o->batch * o->m * o->n, relu_part, out[0]);
    return status;
}

const kpar_cpu_rule kpar_cpu_matmul = {.fits = fits_matmul,
                                       .finishes = finishes_matmul,
                                       .prepare = prepare_matmul,
                                       .release = release_matmul,
                                       .run = run_matmul};
