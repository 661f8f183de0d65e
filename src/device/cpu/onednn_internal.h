/* What the files that know oneDNN share. Version 3 made descriptors opaque and dropped operation descriptors. */
#ifndef KPAR_DEVICE_CPU_ONEDNN_INTERNAL_H
#define KPAR_DEVICE_CPU_ONEDNN_INTERNAL_H

#include "device/cpu/onednn.h"

#if KPAR_HAVE_ONEDNN

#include <dnnl.h>

struct kpar_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

#define DNNL_TRY(call)                                                                                       \
    do {                                                                                                     \
        dnnl_status_t dnnl_try_status_ = (call);                                                             \
        if (dnnl_try_status_ != dnnl_success) return kpar_onednn_failed(#call, dnnl_try_status_);            \
    } while (0)

static inline kpar_status kpar_onednn_failed(const char *call, dnnl_status_t status)
{
    if (status == dnnl_out_of_memory) return kpar_fail(KPAR_ENOMEM, "oneDNN: %s: out of memory", call);
    return kpar_fail(KPAR_EINTERNAL, "oneDNN: %s: status %d", call, (int)status);
}

/* How a tensor lies in memory. */
typedef struct kpar_onednn_layout {
    int rank;
    dnnl_dims_t dims, strides;
} kpar_onednn_layout;

typedef dnnl_memory_desc_t kpar_onednn_descriptor;

#if DNNL_VERSION_MAJOR >= 3

static inline dnnl_status_t kpar_onednn_describe_memory(kpar_onednn_descriptor *d,
                                                        const kpar_onednn_layout *l)
{
    return dnnl_memory_desc_create_with_strides(d, l->rank, l->dims, dnnl_f32, l->strides);
}
/* The same tensor in the layout that the library likes. */
static inline dnnl_status_t kpar_onednn_describe_any(kpar_onednn_descriptor *d, const kpar_onednn_layout *l)
{
    return dnnl_memory_desc_create_with_tag(d, l->rank, l->dims, dnnl_f32, dnnl_format_tag_any);
}
static inline void kpar_onednn_drop(kpar_onednn_descriptor *d)
{
    if (*d) dnnl_memory_desc_destroy(*d);
}
static inline const_dnnl_memory_desc_t kpar_onednn_view(const kpar_onednn_descriptor *d) { return *d; }

#else

typedef const dnnl_memory_desc_t *const_dnnl_memory_desc_t;
static inline dnnl_status_t kpar_onednn_describe_memory(kpar_onednn_descriptor *d,
                                                        const kpar_onednn_layout *l)
{
    return dnnl_memory_desc_init_by_strides(d, l->rank, l->dims, dnnl_f32, l->strides);
}
/* The same tensor in the layout that the library likes. */
static inline dnnl_status_t kpar_onednn_describe_any(kpar_onednn_descriptor *d, const kpar_onednn_layout *l)
{
    return dnnl_memory_desc_init_by_tag(d, l->rank, l->dims, dnnl_f32, dnnl_format_tag_any);
}
static inline void kpar_onednn_drop(kpar_onednn_descriptor *d) { (void)d; }
static inline const_dnnl_memory_desc_t kpar_onednn_view(const kpar_onednn_descriptor *d) { return d; }

#endif
#endif
#endif
