/* CPU kernels that move elements: transpose, slice, pad, concat as copies of boxes; gather and scatter_add by
 * rows. */
#include "device/cpu/vector.h"

#include "device/cpu/cpu.h"

#include <string.h>

/* Copies of elements from one strided box to another; strides in elements. */
typedef struct box {
    int rank;
    int64_t dims[KPAR_MAX_RANK], to[KPAR_MAX_RANK], from[KPAR_MAX_RANK];
    int64_t to_start, from_start;
    size_t bytes;
} box;

static void strides_of(const kpar_tensor_spec *tensor, int64_t strides[KPAR_MAX_RANK])
{
    for (int d = 0; d < tensor->rank; d++) strides[d] = kpar_tensor_span(tensor, d + 1, tensor->rank);
}

/* Drops dimensions of one element and joins those that both sides walk evenly; a box without any gets one. */
static void box_join(box *b)
{
    int rank = 0;
    for (int d = 0; d < b->rank; d++) {
        if (b->dims[d] == 1) continue;
        if (rank > 0 && b->to[rank - 1] == b->to[d] * b->dims[d] &&
            b->from[rank - 1] == b->from[d] * b->dims[d]) {
            b->dims[rank - 1] *= b->dims[d];
            b->to[rank - 1] = b->to[d];
            b->from[rank - 1] = b->from[d];
            continue;
        }
        b->dims[rank] = b->dims[d];
        b->to[rank] = b->to[d];
        b->from[rank++] = b->from[d];
    }
    if (rank == 0) b->dims[rank] = b->to[rank] = b->from[rank] = 1, rank++;
    b->rank = rank;
}

static void swap(int64_t *a, int64_t *b)
{
    const int64_t kept = *a;
    *a = *b;
    *b = kept;
}

/* Puts the dimension that is contiguous in the source next to the last, so that the last two are a plane in which
 * both sides have one that is contiguous. */
static void box_order(box *b)
{
    for (int d = 0; d + 2 < b->rank; d++) {
        if (b->from[d] != 1) continue;
        swap(&b->dims[d], &b->dims[b->rank - 2]);
        swap(&b->to[d], &b->to[b->rank - 2]);
        swap(&b->from[d], &b->from[b->rank - 2]);
    }
}

/* A plane in tiles of TILE x TILE, so that lines of both sides stay in the first cache. */
enum { TILE = 8 };
#define COPY_PLANE(type)                                                                                     \
    static void copy_plane_##type(type *to, const type *from, int64_t rows, int64_t columns, int64_t to_row, \
                                  int64_t to_column, int64_t from_row, int64_t from_column)                  \
    {                                                                                                        \
        for (int64_t i0 = 0; i0 < rows; i0 += TILE)                                                          \
            for (int64_t j0 = 0; j0 < columns; j0 += TILE)                                                   \
                for (int64_t i = i0; i < rows && i < i0 + TILE; i++)                                         \
                    for (int64_t j = j0; j < columns && j < j0 + TILE; j++)                                  \
                        to[i * to_row + j * to_column] = from[i * from_row + j * from_column];               \
    }
COPY_PLANE(uint8_t)
COPY_PLANE(uint16_t)
COPY_PLANE(uint32_t)
COPY_PLANE(uint64_t)

/* The last two dimensions (or one). */
static void copy_plane(const box *b, char *to, const char *from)
{
    const int last = b->rank - 1;
    const bool plane = b->rank > 1;
    const int64_t rows = plane ? b->dims[last - 1] : 1, columns = b->dims[last];
    const int64_t to_row = plane ? b->to[last - 1] : 0, from_row = plane ? b->from[last - 1] : 0;
    if (b->to[last] == 1 && b->from[last] == 1) {
        for (int64_t i = 0; i < rows; i++)
            memcpy(to + (size_t)(i * to_row) * b->bytes, from + (size_t)(i * from_row) * b->bytes,
                   (size_t)columns * b->bytes);
        return;
    }
#define PLANE(type)                                                                                          \
    copy_plane_##type((void *)to, (const void *)from, rows, columns, to_row, b->to[last], from_row,          \
                      b->from[last])
    switch (b->bytes) {
    case 1:
        PLANE(uint8_t);
        break;
    case 2:
        PLANE(uint16_t);
        break;
    case 4:
        PLANE(uint32_t);
        break;
    default:
        PLANE(uint64_t);
        break;
    }
#undef PLANE
}

static void box_copy(const box *b, void *to, const void *from)
{
    int64_t at[KPAR_MAX_RANK] = {0}, to_offset = b->to_start, from_offset = b->from_start;
    const int outer = b->rank > 2 ? b->rank - 2 : 0;
    if (kpar_count(b->rank, b->dims) == 0) return;
    for (;;) {
        int d = outer - 1;
        copy_plane(b, (char *)to + (size_t)to_offset * b->bytes,
                   (const char *)from + (size_t)from_offset * b->bytes);
        for (; d >= 0 && ++at[d] == b->dims[d]; d--) {
            to_offset -= (at[d] - 1) * b->to[d];
            from_offset -= (at[d] - 1) * b->from[d];
            at[d] = 0;
        }
        if (d < 0) return;
        to_offset += b->to[d];
        from_offset += b->from[d];
    }
}

static bool same_type(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == kpar_cpu_result_type(spec);
}

static void release_state(kpar_cpu_kernel *k) { kpar_free(k->state); }

/* A box of the shape of `shape`, with the strides of both tensors. */
static box box_of(const kpar_tensor_spec *shape, const kpar_tensor_spec *to, const kpar_tensor_spec *from)
{
    box b = {.rank = shape->rank, .bytes = kpar_dtype_bytes(from->dtype)};
    memcpy(b.dims, shape->dims, sizeof b.dims);
    strides_of(to, b.to);
    strides_of(from, b.from);
    return b;
}

static int64_t offset_of(const kpar_tensor_spec *tensor, const int64_t *start)
{
    int64_t strides[KPAR_MAX_RANK], offset = 0;
    strides_of(tensor, strides);
    for (int d = 0; d < tensor->rank; d++) offset += start[d] * strides[d];
    return offset;
}

static void keep_box(kpar_cpu_kernel *k, const box *made)
{
    box *b = kpar_alloc(sizeof *b);
    *b = *made;
    box_join(b);
    box_order(b);
    k->state = b;
}

/* transpose and slice */
static kpar_status prepare_box(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_tensor_spec *in = kpar_spec_input(spec, 0), *out = kpar_spec_output(spec, 0);
    box b = box_of(out, out, in);
    (void)device;
    if (spec->op == KPAR_OP_SLICE) b.from_start = offset_of(in, spec->attributes.start);
    if (spec->op == KPAR_OP_TRANSPOSE) {
        int64_t strides[KPAR_MAX_RANK];
        strides_of(in, strides);
        for (int d = 0; d < out->rank; d++) b.from[d] = strides[spec->attributes.permutation[d]];
    }
    keep_box(k, &b);
    return KPAR_OK;
}

static kpar_status run_box(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    box_copy(k->state, out[0], in[0]);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_box = {
    .fits = same_type, .prepare = prepare_box, .release = release_state, .run = run_box};

static kpar_status prepare_pad(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_tensor_spec *in = kpar_spec_input(spec, 0), *out = kpar_spec_output(spec, 0);
    box b = box_of(in, out, in);
    (void)device;
    b.to_start = offset_of(out, spec->attributes.start);
    keep_box(k, &b);
    return KPAR_OK;
}

static kpar_status run_pad(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const box *b = k->state;
    memset(out[0], 0, (size_t)kpar_tensor_count(kpar_spec_output(k->base.spec, 0)) * b->bytes);
    box_copy(b, out[0], in[0]);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_pad = {
    .fits = same_type, .prepare = prepare_pad, .release = release_state, .run = run_pad};

static kpar_status run_concat(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const int axis = spec->attributes.axis;
    const kpar_lines whole = kpar_lines_of(kpar_spec_output(spec, 0), axis);
    const size_t bytes = kpar_dtype_bytes(kpar_spec_input(spec, 0)->dtype),
                 row = (size_t)(whole.length * whole.inner) * bytes;
    char *to = out[0];
    for (int i = 0; i < spec->n_inputs; i++) {
        const size_t part = (size_t)(kpar_spec_input(spec, i)->dims[axis] * whole.inner) * bytes;
        for (int64_t o = 0; o < whole.outer && part > 0; o++)
            memcpy(to + (size_t)o * row, (const char *)in[i] + (size_t)o * part, part);
        to += part;
    }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_concat = {.fits = same_type, .run = run_concat};

/* Index `i` of the list. */
static int64_t index_at(const kpar_tensor_spec *indices, const void *values, int64_t i)
{
    return indices->dtype == KPAR_I32 ? ((const int32_t *)values)[i] : ((const int64_t *)values)[i];
}

static kpar_status run_gather(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_tensor_spec *table = kpar_spec_input(spec, 0), *indices = kpar_spec_input(spec, 1);
    const kpar_lines l = kpar_lines_of(table, spec->attributes.axis);
    const size_t row = (size_t)l.inner * kpar_dtype_bytes(table->dtype);
    for (int64_t i = 0, n = kpar_tensor_count(indices), at; i < n; i++) {
        const int64_t first = i / (n / l.outer) * l.length; /* of the sample's table */
        char *to = (char *)out[0] + (size_t)i * row;
        KPAR_TRY(kpar_table_row(spec, l.length, index_at(indices, in[1], i), i, &at));
        if (at < 0)
            memset(to, 0, row);
        else if (row > 0)
            memcpy(to, (const char *)in[0] + (size_t)(first + at) * row, row);
    }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_gather = {.fits = same_type, .run = run_gather};

static bool fits_scatter_add(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && same_type(spec);
}

static bool without_epilogue(const kpar_kernel_spec *spec) { return !kpar_spec_epilogue(spec); }

KPAR_CLONES static void add_row(float *to, const float *from, int64_t n)
{
    KPAR_INDEPENDENT for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static kpar_status run_scatter_add(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_tensor_spec *indices = kpar_spec_input(spec, 1), *table = kpar_spec_output(spec, 0);
    const kpar_lines l = kpar_lines_of(table, spec->attributes.axis);
    float *to = out[0];
    if (!spec->attributes.accumulate || kpar_spec_epilogue(spec))
        memset(to, 0, (size_t)(l.outer * l.length * l.inner) * sizeof *to);
    for (int64_t i = 0, n = kpar_tensor_count(indices), at; i < n; i++) {
        const int64_t first = i / (n / l.outer) * l.length;
        KPAR_TRY(kpar_table_row(spec, l.length, index_at(indices, in[1], i), i, &at));
        if (at >= 0) add_row(to + (first + at) * l.inner, (const float *)in[0] + i * l.inner, l.inner);
    }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_scatter_add = {
    .fits = fits_scatter_add, .finishes = without_epilogue, .run = run_scatter_add};
