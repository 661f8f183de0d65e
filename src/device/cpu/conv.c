/* CPU kernels of conv and its gradients: oneDNN, which adds a bias by itself, and a relu after it; own loops for
 * empty images, for groups that oneDNN has no fast code for, and in builds without it. */
#include "device/cpu/conv_loops.h"
#include "device/cpu/cpu.h"
#include "device/cpu/matmul_loops.h"
#include "device/cpu/parallel.h"

typedef struct conv_state {
    kpar_onednn_conv *onednn; /* NULL: loops */
    kpar_conv_loops *loops;
    int64_t rows, channels; /* of the result */
    bool bias, relu;
} conv_state;

static bool fits_conv(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
}

static bool finishes_conv(const kpar_kernel_spec *spec)
{
    bool bias, relu;
    return spec->op == KPAR_OP_CONV && kpar_spec_output(spec, 0)->dtype == KPAR_F32 &&
           kpar_cpu_bias_relu(spec, &bias, &relu) && !spec->attributes.accumulate;
}

/* oneDNN falls back to one matrix product a group where a channel has several results of its own. */
static bool wants_loops(const kpar_cpu_device *d, const kpar_window_size *s)
{
    const bool empty = s->batch == 0 || s->in == 0 || s->out == 0 || kpar_window_count(s->image) == 0;
    return !d->onednn || empty || (s->groups > 1 && s->groups == s->in && s->out > s->in);
}

/* oneDNN shares a kernel's gradient out among threads and adds up, so that bits depend on their number: one only. */
static int threads_of(const kpar_cpu_kernel *k)
{
    return k->base.spec->op == KPAR_OP_CONV_KERNEL_GRADIENT ? 1 : k->threads;
}

static kpar_status prepare_conv(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_op_kind op = (kpar_op_kind)spec->op;
    const kpar_window_size size = kpar_window_size_of(spec);
    conv_state *state = kpar_alloc_zeroed(1, sizeof *state);
    bool bias = false, relu = false;
    k->state = state;
    if (finishes_conv(spec) && kpar_cpu_bias_relu(spec, &bias, &relu)) {
        state->bias = bias;
        state->relu = relu;
    }
    state->rows = size.batch * kpar_window_count(size.result);
    state->channels = size.out;
    if (wants_loops(device, &size)) return kpar_conv_loops_create(op, &size, k->threads, &state->loops);
    kpar_parallel_enter(threads_of(k));
    kpar_status status = kpar_onednn_conv_create(device->onednn, op, &size, bias, &state->onednn);
    kpar_parallel_enter(k->threads);
    return status;
}

static void release_conv(kpar_cpu_kernel *k)
{
    conv_state *state = k->state;
    kpar_onednn_conv_destroy(state->onednn);
    kpar_conv_loops_destroy(state->loops);
    kpar_free(state);
}

/* What a part of a finished result needs. */
typedef struct finishing {
    const conv_state *state;
    const float *bias; /* NULL: none, or added */
    float *out;
} finishing;

static void finish_part(void *context, int worker, int64_t first, int64_t last)
{
    const finishing *f = context;
    const int64_t n = f->state->channels;
    (void)worker;
    for (int64_t row = first; f->bias && row < last; row++)
        for (int64_t c = 0; c < n; c++) f->out[row * n + c] += f->bias[c];
    if (f->state->relu) kpar_relu_loop(f->out + first * n, (last - first) * n);
}

static kpar_status convolve(const kpar_cpu_kernel *k, void *const tensors[3], const void *bias)
{
    const conv_state *state = k->state;
    if (state->loops) {
        kpar_conv_loops_run(state->loops, tensors[0], tensors[1], tensors[2]);
        return KPAR_OK;
    }
    kpar_parallel_enter(threads_of(k));
    kpar_status status = kpar_onednn_conv_run(state->onednn, tensors[0], tensors[1], bias, tensors[2]);
    kpar_parallel_enter(k->threads);
    return status;
}

static kpar_status run_conv(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const conv_state *state = k->state;
    const int op = k->base.spec->op;
    void *const forward[] = {in[0], in[1], out[0]}, *const input[] = {out[0], in[1], in[0]},
                *const kernel[] = {in[0], out[0], in[1]};
    const void *bias = state->bias ? in[2] : NULL;
    KPAR_TRY(convolve(k,
                      op == KPAR_OP_CONV                  ? forward
                      : op == KPAR_OP_CONV_INPUT_GRADIENT ? input
                                                          : kernel,
                      bias));
    finishing f = {state, state->loops ? bias : NULL, out[0]};
    if (f.bias || state->relu) kpar_parallel(k->threads, state->rows, finish_part, &f);
    return KPAR_OK;
}

/* The kernel as the library likes it. */
static size_t conv_workspace(const kpar_kernel_spec *spec)
{
    return kpar_tensor_bytes(kpar_window_tensors_of(spec).kernel);
}

const kpar_cpu_rule kpar_cpu_conv = {.fits = fits_conv,
                                     .finishes = finishes_conv,
                                     .workspace = conv_workspace,
                                     .prepare = prepare_conv,
                                     .release = release_conv,
                                     .run = run_conv};
