/* oneDNN behind a small interface: engine, stream and matmuls. The functions under #if are all that differs between its
 * versions. */
#include "device/cpu/onednn_internal.h"

#include <stddef.h>
#include <stdio.h>

#if KPAR_HAVE_ONEDNN

#include "base/memory.h"

enum { A, B, BIAS, OUT, SCRATCH, N_ARGUMENTS };

struct kpar_onednn_matmul {
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[N_ARGUMENTS]; /* NULL: not an argument of this one */
    void *scratch;
};

void kpar_onednn_describe(char *text, size_t capacity)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } names[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    };
    const dnnl_version_t *version = dnnl_version();
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    char other[32];
    snprintf(other, sizeof other, "instruction set %x", (unsigned)isa);
    const char *name = other;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].isa == isa) name = names[i].name;
    snprintf(text, capacity, "oneDNN %d.%d.%d (%s)", version->major, version->minor, version->patch, name);
}

/* How the operands lie: (batch, rows, columns) with strides, or without the batch where it is 1. */
typedef kpar_onednn_layout layout;

static layout layout_of(int64_t batch, int64_t rows, int64_t columns, bool transposed)
{
    const int64_t along_row = transposed ? rows : 1, along_column = transposed ? 1 : columns;
    if (batch == 1) return (layout){2, {rows, columns}, {along_column, along_row}};
    return (layout){3, {batch, rows, columns}, {rows * columns, along_column, along_row}};
}

static layout bias_layout(int64_t batch, int64_t n)
{
    return batch == 1 ? (layout){2, {1, n}, {n, 1}} : (layout){3, {1, 1, n}, {n, n, 1}};
}

typedef kpar_onednn_descriptor descriptor;

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t append_sum(dnnl_post_ops_t ops) { return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_f32); }
static dnnl_status_t make_matmul(dnnl_primitive_desc_t *made, const descriptor *d, bool bias,
                                 dnnl_primitive_attr_t attributes, dnnl_engine_t engine)
{
    return dnnl_matmul_primitive_desc_create(made, engine, d[A], d[B], bias ? d[BIAS] : NULL, d[OUT],
                                             attributes);
}

#else

static dnnl_status_t append_sum(dnnl_post_ops_t ops) { return dnnl_post_ops_append_sum(ops, 1); }
static dnnl_status_t make_matmul(dnnl_primitive_desc_t *made, const descriptor *d, bool bias,
                                 dnnl_primitive_attr_t attributes, dnnl_engine_t engine)
{
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, &d[A], &d[B], bias ? &d[BIAS] : NULL, &d[OUT]);
    return status == dnnl_success ? dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL)
                                  : status;
}

#endif

kpar_status kpar_onednn_create(kpar_onednn **onednn)
{
    kpar_onednn *o = kpar_alloc_zeroed(1, sizeof *o);
    dnnl_status_t status = dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        kpar_onednn_destroy(o);
        return kpar_onednn_failed("dnnl_engine_create", status);
    }
    *onednn = o;
    return KPAR_OK;
}

void kpar_onednn_destroy(kpar_onednn *onednn)
{
    if (!onednn) return;
    if (onednn->stream) dnnl_stream_destroy(onednn->stream);
    if (onednn->engine) dnnl_engine_destroy(onednn->engine);
    kpar_free(onednn);
}

static kpar_status make_attributes(const kpar_onednn_matmul_options *o, dnnl_primitive_attr_t *attributes)
{
    dnnl_post_ops_t ops = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(attributes));
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user));
    DNNL_TRY(dnnl_post_ops_create(&ops));
    dnnl_status_t status = o->accumulate ? append_sum(ops) : dnnl_success;
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, ops);
    dnnl_post_ops_destroy(ops);
    return status == dnnl_success ? KPAR_OK : kpar_onednn_failed("dnnl_primitive_attr_set_post_ops", status);
}

static kpar_status make_memories(kpar_onednn_matmul *m, const descriptor *d, bool bias,
                                 dnnl_primitive_desc_t made, dnnl_engine_t engine)
{
    for (int i = A; i <= OUT; i++)
        if (i != BIAS || bias)
            DNNL_TRY(dnnl_memory_create(&m->memory[i], kpar_onednn_view(&d[i]), engine, DNNL_MEMORY_NONE));
    const_dnnl_memory_desc_t scratch = dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0);
    const size_t bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (bytes == 0) return KPAR_OK;
    KPAR_TRY(kpar_try_alloc(bytes, "a matmul's scratch memory", &m->scratch));
    DNNL_TRY(dnnl_memory_create(&m->memory[SCRATCH], scratch, engine, DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_set_data_handle(m->memory[SCRATCH], m->scratch));
    return KPAR_OK;
}

static kpar_status make_primitive(kpar_onednn_matmul *m, const kpar_onednn_matmul_options *o,
                                  const descriptor *d, dnnl_primitive_attr_t attributes, dnnl_engine_t engine)
{
    dnnl_primitive_desc_t made;
    DNNL_TRY(make_matmul(&made, d, o->bias, attributes, engine));
    dnnl_status_t created = dnnl_primitive_create(&m->primitive, made);
    kpar_status status = created == dnnl_success ? make_memories(m, d, o->bias, made, engine)
                                                 : kpar_onednn_failed("dnnl_primitive_create", created);
    dnnl_primitive_desc_destroy(made);
    return status;
}

static kpar_status make_descriptors(const kpar_onednn_matmul_options *o, descriptor d[OUT + 1])
{
    const layout layouts[] = {[A] = layout_of(o->batch, o->m, o->k, o->transpose_a),
                              [B] = layout_of(o->batch, o->k, o->n, o->transpose_b),
                              [BIAS] = bias_layout(o->batch, o->n),
                              [OUT] = layout_of(o->batch, o->m, o->n, false)};
    for (int i = A; i <= OUT; i++) DNNL_TRY(kpar_onednn_describe_memory(&d[i], &layouts[i]));
    return KPAR_OK;
}

kpar_status kpar_onednn_matmul_create(kpar_onednn *onednn, const kpar_onednn_matmul_options *options,
                                      kpar_onednn_matmul **matmul)
{
    kpar_onednn_matmul *m = kpar_alloc_zeroed(1, sizeof *m);
    descriptor *descriptors = kpar_alloc_zeroed(OUT + 1, sizeof *descriptors);
    dnnl_primitive_attr_t attributes = NULL;
    kpar_status status = make_descriptors(options, descriptors);
    m->stream = onednn->stream;
    if (status == KPAR_OK) status = make_attributes(options, &attributes);
    if (status == KPAR_OK) status = make_primitive(m, options, descriptors, attributes, onednn->engine);
    for (int i = A; i <= OUT; i++) kpar_onednn_drop(&descriptors[i]);
    kpar_free(descriptors);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    if (status != KPAR_OK)
        kpar_onednn_matmul_destroy(m);
    else
        *matmul = m;
    return status;
}

void kpar_onednn_matmul_destroy(kpar_onednn_matmul *matmul)
{
    if (!matmul) return;
    for (int i = 0; i < N_ARGUMENTS; i++)
        if (matmul->memory[i]) dnnl_memory_destroy(matmul->memory[i]);
    if (matmul->primitive) dnnl_primitive_destroy(matmul->primitive);
    kpar_free_aligned(matmul->scratch);
    kpar_free(matmul);
}

kpar_status kpar_onednn_matmul_run(kpar_onednn_matmul *matmul, const void *a, const void *b, const void *bias,
                                   void *out)
{
    static const int names[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
                                DNNL_ARG_SCRATCHPAD};
    const void *const places[] = {a, b, bias, out};
    dnnl_exec_arg_t arguments[N_ARGUMENTS];
    int n = 0;
    for (int i = 0; i < N_ARGUMENTS; i++) {
        if (!matmul->memory[i]) continue;
        if (i != SCRATCH)
            DNNL_TRY(dnnl_memory_set_data_handle(matmul->memory[i], (void *)(uintptr_t)places[i]));
        arguments[n++] = (dnnl_exec_arg_t){names[i], matmul->memory[i]};
    }
    DNNL_TRY(dnnl_primitive_execute(matmul->primitive, matmul->stream, n, arguments));
    DNNL_TRY(dnnl_stream_wait(matmul->stream));
    return KPAR_OK;
}

#else

void kpar_onednn_describe(char *text, size_t capacity) { snprintf(text, capacity, "own loops"); }

kpar_status kpar_onednn_create(kpar_onednn **onednn)
{
    *onednn = NULL;
    return KPAR_OK;
}

void kpar_onednn_destroy(kpar_onednn *onednn) { (void)onednn; }

kpar_status kpar_onednn_matmul_create(kpar_onednn *onednn, const kpar_onednn_matmul_options *options,
                                      kpar_onednn_matmul **matmul)
{
    (void)onednn;
    (void)options;
    (void)matmul;
    return kpar_fail(KPAR_EUNSUPPORTED, "this build has no oneDNN");
}

void kpar_onednn_matmul_destroy(kpar_onednn_matmul *matmul) { (void)matmul; }

kpar_status kpar_onednn_matmul_run(kpar_onednn_matmul *matmul, const void *a, const void *b, const void *bias,
                                   void *out)
{
    (void)matmul;
    (void)a;
    (void)b;
    (void)bias;
    (void)out;
    return kpar_fail(KPAR_EUNSUPPORTED, "this build has no oneDNN");
}

#endif
