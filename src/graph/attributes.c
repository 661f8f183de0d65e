/* The table of attributes and what is done to every row of it. */
#include "graph/attributes.h"

#include "base/hash.h"
#include "base/number.h"

#include <limits.h>
#include <string.h>

static const kpar_attribute_row rows[] = {
#define ROW(type, member, kind, count)                                                                       \
    {#member, offsetof(kpar_attributes, member), KPAR_FIELD_##kind,                                          \
     (int)(sizeof((kpar_attributes){0}.member) / sizeof(type))},
    KPAR_ATTRIBUTE_LIST(ROW)
#undef ROW
};
enum { N_ROWS = (int)(sizeof rows / sizeof rows[0]) };

_Static_assert(sizeof(kpar_reduction) == sizeof(int) && sizeof(kpar_dtype) == sizeof(int) &&
                   sizeof(kpar_axis) == sizeof(int),
               "enums are read and written as int");

static const size_t field_bytes[] = {
    [KPAR_FIELD_BOOL] = sizeof(bool),        [KPAR_FIELD_INT] = sizeof(int),
    [KPAR_FIELD_INT64] = sizeof(int64_t),    [KPAR_FIELD_UINT64] = sizeof(uint64_t),
    [KPAR_FIELD_DOUBLE] = sizeof(double),    [KPAR_FIELD_DTYPE] = sizeof(kpar_dtype),
    [KPAR_FIELD_SHAPE] = sizeof(kpar_shape),
};

const kpar_attribute_row *kpar_attribute_rows(int *n)
{
    *n = N_ROWS;
    return rows;
}

static const void *member(const kpar_attributes *attributes, const kpar_attribute_row *row, int i)
{
    return (const char *)attributes + row->offset + (size_t)i * field_bytes[row->kind];
}

static bool row_equal(const kpar_attribute_row *row, const kpar_attributes *a, const kpar_attributes *b)
{
    if (row->kind == KPAR_FIELD_SHAPE) return kpar_shape_equal(member(a, row, 0), member(b, row, 0));
    return memcmp(member(a, row, 0), member(b, row, 0), (size_t)row->count * field_bytes[row->kind]) == 0;
}

static bool expression_equal(const kpar_expression *a, const kpar_expression *b)
{
    if (!a || !b) return a == b;
    return a == b || kpar_expression_equal(a, b);
}

bool kpar_attributes_equal(const kpar_attributes *a, const kpar_attributes *b)
{
    for (int i = 0; i < N_ROWS; i++)
        if (!row_equal(&rows[i], a, b)) return false;
    return expression_equal(a->expression, b->expression);
}

static uint64_t hash_shape(uint64_t hash, const kpar_shape *shape)
{
    hash = kpar_hash(hash, &shape->rank, sizeof shape->rank);
    for (int i = 0; i < shape->rank; i++) {
        hash = kpar_hash(hash, &shape->dims[i].size, sizeof shape->dims[i].size);
        hash = kpar_hash(hash, &shape->dims[i].batch, sizeof shape->dims[i].batch);
    }
    return hash;
}

static uint64_t hash_expression(uint64_t hash, const kpar_expression *e)
{
    if (!e) return hash;
    for (int i = 0; i < e->n_scalars; i++) {
        const kpar_scalar *s = &e->scalars[i];
        const int numbers[] = {(int)s->op, s->a, s->b, s->c, s->index};
        hash = kpar_hash(hash, numbers, sizeof numbers);
        hash = kpar_hash(hash, &s->value, sizeof s->value);
    }
    return kpar_hash(hash, e->outputs, (size_t)e->n_outputs * sizeof *e->outputs);
}

uint64_t kpar_attributes_hash(uint64_t hash, const kpar_attributes *attributes)
{
    for (int i = 0; i < N_ROWS; i++) {
        const void *at = member(attributes, &rows[i], 0);
        if (rows[i].kind == KPAR_FIELD_SHAPE)
            hash = hash_shape(hash, at);
        else
            hash = kpar_hash(hash, at, (size_t)rows[i].count * field_bytes[rows[i].kind]);
    }
    return hash_expression(hash, attributes->expression);
}

static bool is_zero(const void *at, size_t bytes)
{
    const unsigned char *byte = at;
    for (size_t i = 0; i < bytes; i++)
        if (byte[i]) return false;
    return true;
}

static void print_shape(kpar_text *text, const kpar_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        kpar_text_printf(text, "%s%lld%s", i ? "," : "", (long long)shape->dims[i].size,
                         shape->dims[i].batch ? "b" : "");
}

static void print_field(kpar_text *text, kpar_field_kind kind, const void *at)
{
    switch (kind) {
    case KPAR_FIELD_BOOL:
        kpar_text_printf(text, "%d", *(const bool *)at);
        break;
    case KPAR_FIELD_INT:
        kpar_text_printf(text, "%d", *(const int *)at);
        break;
    case KPAR_FIELD_INT64:
        kpar_text_printf(text, "%lld", (long long)*(const int64_t *)at);
        break;
    case KPAR_FIELD_UINT64:
        kpar_text_printf(text, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case KPAR_FIELD_DOUBLE:
        kpar_text_number(text, *(const double *)at);
        break;
    case KPAR_FIELD_DTYPE:
        kpar_text_printf(text, "%s", kpar_dtype_name(*(const kpar_dtype *)at));
        break;
    case KPAR_FIELD_SHAPE:
        print_shape(text, at);
        break;
    }
}

/* How many of the row's members there are up to the last one that is not zero. */
static int used(const kpar_attribute_row *row, const kpar_attributes *attributes)
{
    if (row->kind == KPAR_FIELD_SHAPE) return ((const kpar_shape *)member(attributes, row, 0))->rank > 0;
    int n = row->count;
    while (n > 0 && is_zero(member(attributes, row, n - 1), field_bytes[row->kind])) n--;
    return n;
}

void kpar_attributes_print(kpar_text *text, const kpar_attributes *attributes)
{
    for (int r = 0; r < N_ROWS; r++) {
        int n = used(&rows[r], attributes);
        if (n > 0) kpar_text_printf(text, " %s=", rows[r].name);
        for (int i = 0; i < n; i++) {
            if (i > 0) kpar_text_printf(text, ",");
            print_field(text, rows[r].kind, member(attributes, &rows[r], i));
        }
    }
}

static bool parse_integer(const char *value, long long low, long long high, long long *number)
{
    return kpar_parse_whole_integer(value, number) && *number >= low && *number <= high;
}

static bool parse_unsigned(const char *value, uint64_t *number)
{
    *number = 0;
    if (!*value) return false;
    for (; *value; value++) {
        if (*value < '0' || *value > '9') return false;
        if (__builtin_mul_overflow(*number, 10U, number)) return false;
        if (__builtin_add_overflow(*number, (unsigned)(*value - '0'), number)) return false;
    }
    return true;
}

static bool parse_dim(char *value, kpar_shape *shape)
{
    long long size;
    if (shape->rank == KPAR_MAX_RANK) return false;
    size_t length = strlen(value);
    bool batch = length > 0 && value[length - 1] == 'b';
    if (batch) value[length - 1] = '\0';
    if (!parse_integer(value, 0, INT64_MAX, &size)) return false;
    shape->dims[shape->rank++] = (kpar_dim){.size = size, .batch = batch};
    return true;
}

static bool parse_field(kpar_field_kind kind, char *value, void *at)
{
    long long number;
    switch (kind) {
    case KPAR_FIELD_BOOL:
        if (!parse_integer(value, 0, 1, &number)) return false;
        *(bool *)at = number != 0;
        return true;
    case KPAR_FIELD_INT:
        if (!parse_integer(value, INT_MIN, INT_MAX, &number)) return false;
        *(int *)at = (int)number;
        return true;
    case KPAR_FIELD_INT64:
        if (!parse_integer(value, INT64_MIN, INT64_MAX, &number)) return false;
        *(int64_t *)at = number;
        return true;
    case KPAR_FIELD_UINT64:
        return parse_unsigned(value, at);
    case KPAR_FIELD_DOUBLE:
        return kpar_parse_whole_number(value, at);
    case KPAR_FIELD_DTYPE:
        return kpar_dtype_parse(value, at);
    case KPAR_FIELD_SHAPE:
        return parse_dim(value, at);
    }
    return false;
}

bool kpar_attribute_parse(const kpar_attribute_row *row, const char *value, kpar_attributes *attributes)
{
    enum { NUMBER_TEXT = 64 };
    int limit = row->kind == KPAR_FIELD_SHAPE ? KPAR_MAX_RANK : row->count;
    for (int i = 0;; i++) {
        char part[NUMBER_TEXT];
        size_t length = strcspn(value, ",");
        if (i == limit || length >= sizeof part) return false;
        memcpy(part, value, length);
        part[length] = '\0';
        size_t step = row->kind == KPAR_FIELD_SHAPE ? 0 : (size_t)i * field_bytes[row->kind];
        if (!parse_field(row->kind, part, (char *)attributes + row->offset + step)) return false;
        if (!value[length]) return true;
        value += length + 1;
    }
}
