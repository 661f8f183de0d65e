/* oneDNN's convolutions: images as they lie, the kernel in the layout that the library likes, into and out of which it
 * is reordered. Direct algorithms only: Winograd's rounds worse. */
#include "device/cpu/onednn_internal.h"

#if KPAR_HAVE_ONEDNN

#include "base/memory.h"

enum { IMAGE, KERNEL, BIAS, RESULT, LIKED, N_TENSORS }; /* LIKED: the kernel as the library likes it */
enum { MOST = 4 };                                      /* arguments of a primitive, with scratch memory */

typedef struct step {
    dnnl_primitive_t primitive; /* NULL: nothing to do */
    dnnl_exec_arg_t arguments[MOST + 1];
    int n;
    dnnl_memory_t scratch;
    void *block;
} step;

struct kpar_onednn_conv {
    dnnl_stream_t stream;
    dnnl_memory_t memory[N_TENSORS];
    void *liked;
    step convolve, reorder;
    bool reorder_first;
};

/* What is known while one is made. */
typedef struct making {
    kpar_onednn *onednn;
    kpar_op_kind op;
    bool bias;
    kpar_onednn_descriptor d[N_TENSORS];
    dnnl_dims_t strides, dilations, before, after;
    dnnl_primitive_attr_t attributes;
    dnnl_primitive_desc_t made;
} making;

/* (batch, channels, dims...), with channels last in memory. */
static kpar_onednn_layout image_layout(const kpar_window_size *s, int64_t channels, const int64_t *dims)
{
    kpar_onednn_layout l = {.rank = s->dims + 2, .dims = {s->batch, channels}, .strides = {0, 1}};
    int64_t stride = channels;
    for (int i = 0; i < s->dims; i++) {
        const int from = KPAR_IMAGE_DIMS - 1 - i, to = s->dims + 1 - i;
        l.dims[to] = dims[from];
        l.strides[to] = stride;
        stride *= dims[from];
    }
    l.strides[0] = stride;
    return l;
}

/* (groups, out, in, dims...) or without groups, as (dims..., in, groups x out) lies in memory. */
static kpar_onednn_layout kernel_layout(const kpar_window_size *s)
{
    const int grouped = s->groups > 1;
    const int64_t in = s->in / s->groups, out = s->out / s->groups;
    kpar_onednn_layout l = {.rank = s->dims + 2 + grouped};
    if (grouped) {
        l.dims[0] = s->groups;
        l.strides[0] = out;
    }
    l.dims[grouped] = out;
    l.strides[grouped] = 1;
    l.dims[grouped + 1] = in;
    l.strides[grouped + 1] = s->out;
    int64_t stride = in * s->out;
    for (int i = 0; i < s->dims; i++) {
        const int from = KPAR_IMAGE_DIMS - 1 - i, to = l.rank - 1 - i;
        l.dims[to] = s->window[from];
        l.strides[to] = stride;
        stride *= s->window[from];
    }
    return l;
}

static kpar_status describe(making *m, const kpar_window_size *s)
{
    const kpar_onednn_layout image = image_layout(s, s->in, s->image), kernel = kernel_layout(s),
                             result = image_layout(s, s->out, s->result),
                             bias = {.rank = 1, .dims = {s->out}, .strides = {1}};
    DNNL_TRY(kpar_onednn_describe_memory(&m->d[IMAGE], &image));
    DNNL_TRY(kpar_onednn_describe_memory(&m->d[KERNEL], &kernel));
    DNNL_TRY(kpar_onednn_describe_memory(&m->d[BIAS], &bias));
    DNNL_TRY(kpar_onednn_describe_memory(&m->d[RESULT], &result));
    DNNL_TRY(kpar_onednn_describe_any(&m->d[LIKED], &kernel));
    for (int i = 0; i < s->dims; i++) {
        const int from = KPAR_IMAGE_DIMS - s->dims + i;
        m->strides[i] = s->stride[from];
        m->dilations[i] = s->dilation[from] - 1;
        m->before[i] = s->before[from];
        m->after[i] = s->after[from];
    }
    DNNL_TRY(dnnl_primitive_attr_create(&m->attributes));
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(m->attributes, dnnl_scratchpad_mode_user));
    return KPAR_OK;
}

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t make_forward(const making *m, dnnl_primitive_desc_t *made)
{
    return dnnl_convolution_forward_primitive_desc_create(
        made, m->onednn->engine, dnnl_forward_training, dnnl_convolution_direct, m->d[IMAGE], m->d[LIKED],
        m->bias ? m->d[BIAS] : NULL, m->d[RESULT], m->strides, m->dilations, m->before, m->after,
        m->attributes);
}

static dnnl_status_t make_descriptor(making *m)
{
    dnnl_primitive_desc_t hint;
    dnnl_status_t status;
    if (m->op == KPAR_OP_CONV) return make_forward(m, &m->made);
    status = make_forward(m, &hint);
    if (status != dnnl_success) return status;
    if (m->op == KPAR_OP_CONV_INPUT_GRADIENT)
        status = dnnl_convolution_backward_data_primitive_desc_create(
            &m->made, m->onednn->engine, dnnl_convolution_direct, m->d[IMAGE], m->d[LIKED], m->d[RESULT],
            m->strides, m->dilations, m->before, m->after, hint, m->attributes);
    else
        status = dnnl_convolution_backward_weights_primitive_desc_create(
            &m->made, m->onednn->engine, dnnl_convolution_direct, m->d[IMAGE], m->d[LIKED], NULL,
            m->d[RESULT], m->strides, m->dilations, m->before, m->after, hint, m->attributes);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

#else

static dnnl_status_t make_descriptor(making *m)
{
    dnnl_convolution_desc_t operation;
    dnnl_status_t status;
    if (m->op == KPAR_OP_CONV)
        status = dnnl_dilated_convolution_forward_desc_init(
            &operation, dnnl_forward_training, dnnl_convolution_direct, &m->d[IMAGE], &m->d[LIKED],
            m->bias ? &m->d[BIAS] : NULL, &m->d[RESULT], m->strides, m->dilations, m->before, m->after);
    else if (m->op == KPAR_OP_CONV_INPUT_GRADIENT)
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &operation, dnnl_convolution_direct, &m->d[IMAGE], &m->d[LIKED], &m->d[RESULT], m->strides,
            m->dilations, m->before, m->after);
    else
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &operation, dnnl_convolution_direct, &m->d[IMAGE], &m->d[LIKED], NULL, &m->d[RESULT], m->strides,
            m->dilations, m->before, m->after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(&m->made, &operation, m->attributes, m->onednn->engine, NULL);
}

#endif

static kpar_status add_scratch(step *s, dnnl_primitive_desc_t made, dnnl_engine_t engine)
{
    const_dnnl_memory_desc_t scratch = dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0);
    const size_t bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (bytes == 0) return KPAR_OK;
    KPAR_TRY(kpar_try_alloc(bytes, "a convolution's scratch memory", &s->block));
    DNNL_TRY(dnnl_memory_create(&s->scratch, scratch, engine, s->block));
    s->arguments[s->n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, s->scratch};
    return KPAR_OK;
}

static kpar_status complete(step *s, dnnl_primitive_desc_t made, dnnl_engine_t engine)
{
    DNNL_TRY(dnnl_primitive_create(&s->primitive, made));
    return add_scratch(s, made, engine);
}

/* Between the kernel as it lies and as the library likes it. */
static kpar_status make_reorder(kpar_onednn_conv *c, const making *m, const_dnnl_memory_desc_t liked)
{
    const dnnl_engine_t engine = m->onednn->engine;
    const_dnnl_memory_desc_t plain = kpar_onednn_view(&m->d[KERNEL]);
    dnnl_primitive_desc_t made;
    c->reorder_first = m->op != KPAR_OP_CONV_KERNEL_GRADIENT;
    KPAR_TRY(kpar_try_alloc(dnnl_memory_desc_get_size(liked) + 1, "a convolution's kernel", &c->liked));
    DNNL_TRY(dnnl_memory_create(&c->memory[LIKED], liked, engine, c->liked));
    DNNL_TRY(dnnl_reorder_primitive_desc_create(&made, c->reorder_first ? plain : liked, engine,
                                                c->reorder_first ? liked : plain, engine, m->attributes));
    c->reorder.arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_FROM, c->memory[c->reorder_first ? KERNEL : LIKED]};
    c->reorder.arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_TO, c->memory[c->reorder_first ? LIKED : KERNEL]};
    c->reorder.n = 2;
    kpar_status status = complete(&c->reorder, made, engine);
    dnnl_primitive_desc_destroy(made);
    return status;
}

static kpar_status make_steps(kpar_onednn_conv *c, making *m)
{
    static const struct {
        int kernel_query, image, kernel, result;
    } of[] = {
        {dnnl_query_weights_md, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        {dnnl_query_weights_md, DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        {dnnl_query_diff_weights_md, DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int way = (int)m->op - KPAR_OP_CONV;
    DNNL_TRY(make_descriptor(m));
    for (int i = IMAGE; i <= RESULT; i++)
        if (i != BIAS || m->bias)
            DNNL_TRY(dnnl_memory_create(&c->memory[i], kpar_onednn_view(&m->d[i]), m->onednn->engine,
                                        DNNL_MEMORY_NONE));
    const_dnnl_memory_desc_t liked =
        dnnl_primitive_desc_query_md(m->made, (dnnl_query_t)of[way].kernel_query, 0);
    if (!dnnl_memory_desc_equal(liked, kpar_onednn_view(&m->d[KERNEL]))) KPAR_TRY(make_reorder(c, m, liked));
    step *s = &c->convolve;
    s->arguments[s->n++] = (dnnl_exec_arg_t){of[way].image, c->memory[IMAGE]};
    s->arguments[s->n++] = (dnnl_exec_arg_t){of[way].kernel, c->memory[c->memory[LIKED] ? LIKED : KERNEL]};
    s->arguments[s->n++] = (dnnl_exec_arg_t){of[way].result, c->memory[RESULT]};
    if (m->bias) s->arguments[s->n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, c->memory[BIAS]};
    return complete(s, m->made, m->onednn->engine);
}

kpar_status kpar_onednn_conv_create(kpar_onednn *onednn, kpar_op_kind op, const kpar_window_size *size,
                                    bool bias, kpar_onednn_conv **conv)
{
    kpar_onednn_conv *c = kpar_alloc_zeroed(1, sizeof *c);
    making *m = kpar_alloc_zeroed(1, sizeof *m);
    m->onednn = onednn;
    m->op = op;
    m->bias = bias;
    c->stream = onednn->stream;
    kpar_status status = describe(m, size);
    if (status == KPAR_OK) status = make_steps(c, m);
    if (m->made) dnnl_primitive_desc_destroy(m->made);
    if (m->attributes) dnnl_primitive_attr_destroy(m->attributes);
    for (int i = 0; i < N_TENSORS; i++) kpar_onednn_drop(&m->d[i]);
    kpar_free(m);
    if (status == KPAR_OK)
        *conv = c;
    else
        kpar_onednn_conv_destroy(c);
    return status;
}

static void drop_step(step *s)
{
    if (s->primitive) dnnl_primitive_destroy(s->primitive);
    if (s->scratch) dnnl_memory_destroy(s->scratch);
    kpar_free_aligned(s->block);
}

void kpar_onednn_conv_destroy(kpar_onednn_conv *conv)
{
    if (!conv) return;
    drop_step(&conv->convolve);
    drop_step(&conv->reorder);
    for (int i = 0; i < N_TENSORS; i++)
        if (conv->memory[i]) dnnl_memory_destroy(conv->memory[i]);
    kpar_free_aligned(conv->liked);
    kpar_free(conv);
}

static kpar_status run_step(const kpar_onednn_conv *c, const step *s)
{
    if (s->primitive) DNNL_TRY(dnnl_primitive_execute(s->primitive, c->stream, s->n, s->arguments));
    return KPAR_OK;
}

kpar_status kpar_onednn_conv_run(kpar_onednn_conv *conv, void *image, void *kernel, const void *bias,
                                 void *result)
{
    void *const places[] = {image, kernel, (void *)(uintptr_t)bias, result};
    for (int i = IMAGE; i <= RESULT; i++)
        if (conv->memory[i]) DNNL_TRY(dnnl_memory_set_data_handle(conv->memory[i], places[i]));
    if (conv->reorder_first) KPAR_TRY(run_step(conv, &conv->reorder));
    KPAR_TRY(run_step(conv, &conv->convolve));
    if (!conv->reorder_first) KPAR_TRY(run_step(conv, &conv->reorder));
    DNNL_TRY(dnnl_stream_wait(conv->stream));
    return KPAR_OK;
}

#else

kpar_status kpar_onednn_conv_create(kpar_onednn *onednn, kpar_op_kind op, const kpar_window_size *size,
                                    bool bias, kpar_onednn_conv **conv)
{
    (void)onednn;
    (void)op;
    (void)size;
    (void)bias;
    (void)conv;
    return kpar_fail(KPAR_EUNSUPPORTED, "this build has no oneDNN");
}

void kpar_onednn_conv_destroy(kpar_onednn_conv *conv) { (void)conv; }

kpar_status kpar_onednn_conv_run(kpar_onednn_conv *conv, void *image, void *kernel, const void *bias,
                                 void *result)
{
    (void)conv;
    (void)image;
    (void)kernel;
    (void)bias;
    (void)result;
    return kpar_fail(KPAR_EUNSUPPORTED, "this build has no oneDNN");
}

#endif
