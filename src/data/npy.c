/* Reading the header of a .npy file: magic, version, length, then {'descr': '<f4', 'fortran_order': False,
 * 'shape': (3, 4), }. Only this much of Python's literals is understood. */
#include "data/npy.h"

#include "base/memory.h"

#include <string.h>

static const char *const type_names[KPAR_DTYPE_COUNT] = {
    [KPAR_F32] = "f4", [KPAR_F64] = "f8", [KPAR_F16] = "f2", [KPAR_I8] = "i1",
    [KPAR_I16] = "i2", [KPAR_I32] = "i4", [KPAR_I64] = "i8", [KPAR_U8] = "u1",
    [KPAR_U16] = "u2", [KPAR_U32] = "u4", [KPAR_U64] = "u8", [KPAR_BOOL] = "b1",
};

const char *kpar_npy_type_name(kpar_dtype dtype) { return type_names[dtype]; }

/* The text of the header that is left to read. */
typedef struct cursor {
    const char *label, *next, *end;
} cursor;

enum { KEY_CAPACITY = 64, SEEN_TYPE = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4, SEEN_ALL = 7 };

static kpar_status damaged(const cursor *at, const char *expected)
{
    int left = at->end - at->next > 24 ? 24 : (int)(at->end - at->next);
    return kpar_fail(KPAR_EFORMAT, "%s: damaged .npy header: expected %s, found '%.*s'", at->label, expected,
                     left, at->next);
}

static void skip_space(cursor *at)
{
    while (at->next < at->end && strchr(" \t\r\n", *at->next) && *at->next) at->next++;
}

/* Skips space and takes `wanted` if it is next. */
static bool take(cursor *at, char wanted)
{
    skip_space(at);
    if (at->next == at->end || *at->next != wanted) return false;
    at->next++;
    return true;
}

static bool take_word(cursor *at, const char *word)
{
    size_t length = strlen(word);
    skip_space(at);
    if ((size_t)(at->end - at->next) < length || memcmp(at->next, word, length) != 0) return false;
    at->next += length;
    return true;
}

static kpar_status take_string(cursor *at, char text[KEY_CAPACITY])
{
    skip_space(at);
    char quote = at->next < at->end ? *at->next : '\0';
    if (quote != '\'' && quote != '"') return damaged(at, "a string");
    const char *start = at->next + 1;
    const char *close = memchr(start, quote, (size_t)(at->end - start));
    if (!close || close - start >= KEY_CAPACITY) return damaged(at, "a short string");
    memcpy(text, start, (size_t)(close - start));
    text[close - start] = '\0';
    at->next = close + 1;
    return KPAR_OK;
}

static kpar_status take_dimension(cursor *at, int64_t *dimension)
{
    skip_space(at);
    const char *start = at->next;
    *dimension = 0;
    for (; at->next < at->end && *at->next >= '0' && *at->next <= '9'; at->next++)
        if (__builtin_mul_overflow(*dimension, 10, dimension) ||
            __builtin_add_overflow(*dimension, *at->next - '0', dimension))
            return damaged(at, "a dimension that fits 64 bits");
    if (at->next == start) return damaged(at, "a dimension");
    (void)(at->next < at->end && *at->next == 'L' && at->next++); /* Python 2's long */
    return KPAR_OK;
}

static kpar_status take_shape(cursor *at, kpar_npy *npy)
{
    if (!take(at, '(')) return damaged(at, "a shape in parentheses");
    npy->array.rank = 0;
    while (!take(at, ')')) {
        if (npy->array.rank == KPAR_MAX_RANK)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: has more than %d dimensions", at->label, KPAR_MAX_RANK);
        KPAR_TRY(take_dimension(at, &npy->array.dims[npy->array.rank++]));
        if (take(at, ',')) continue;
        if (!take(at, ')')) return damaged(at, "',' or ')'");
        break;
    }
    return KPAR_OK;
}

static kpar_status take_order(cursor *at, kpar_npy *npy)
{
    npy->fortran = take_word(at, "True");
    if (!npy->fortran && !take_word(at, "False")) return damaged(at, "True or False for fortran_order");
    return KPAR_OK;
}

static kpar_status unsupported_type(const cursor *at, const char *type)
{
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: has NumPy type '%s', supported are bool, int8 to int64, uint8 to uint64 and float16 to float64",
        at->label, type);
}

static kpar_status take_type(cursor *at, kpar_npy *npy)
{
    char text[KEY_CAPACITY];
    if (take(at, '[')) return unsupported_type(at, "structured");
    KPAR_TRY(take_string(at, text));
    bool little_machine = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    npy->swapped = text[0] == (little_machine ? '>' : '<');
    const char *name = text + (text[0] && strchr("<>=|", text[0]) ? 1 : 0);
    for (int dtype = 0; dtype < KPAR_DTYPE_COUNT; dtype++) {
        if (!type_names[dtype] || strcmp(type_names[dtype], name) != 0) continue;
        npy->array.dtype = (kpar_dtype)dtype;
        return KPAR_OK;
    }
    return unsupported_type(at, text);
}

static const struct {
    const char *key;
    int seen;
    kpar_status (*take)(cursor *at, kpar_npy *npy);
} entries[] = {
    {"descr", SEEN_TYPE, take_type},
    {"fortran_order", SEEN_ORDER, take_order},
    {"shape", SEEN_SHAPE, take_shape},
};

static kpar_status take_entry(cursor *at, kpar_npy *npy, int *seen)
{
    char key[KEY_CAPACITY];
    KPAR_TRY(take_string(at, key));
    if (!take(at, ':')) return damaged(at, "':'");
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (strcmp(entries[i].key, key) != 0 || *seen & entries[i].seen) continue;
        *seen |= entries[i].seen;
        return entries[i].take(at, npy);
    }
    return kpar_fail(KPAR_EFORMAT, "%s: damaged .npy header: unexpected entry '%s'", at->label, key);
}

static kpar_status take_dictionary(cursor *at, kpar_npy *npy)
{
    int seen = 0;
    if (!take(at, '{')) return damaged(at, "'{'");
    while (!take(at, '}')) {
        KPAR_TRY(take_entry(at, npy, &seen));
        if (take(at, ',')) continue;
        if (!take(at, '}')) return damaged(at, "',' or '}'");
        break;
    }
    if (seen != SEEN_ALL) return damaged(at, "the entries descr, fortran_order and shape");
    skip_space(at);
    return at->next == at->end ? KPAR_OK : damaged(at, "nothing after '}'");
}

/* Finds the text of the header from magic, version and length. */
static kpar_status find_text(const unsigned char *head, size_t head_bytes, cursor *at, kpar_npy *npy)
{
    if (head_bytes < 10 || memcmp(head, "\x93NUMPY", 6) != 0)
        return kpar_fail(KPAR_EFORMAT, "%s: is no .npy array: it does not begin with \\x93NUMPY", at->label);
    int version = head[6];
    if (version < 1 || version > 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: .npy version %d, supported are 1 to 3", at->label, version);
    size_t prefix = version == 1 ? 10 : 12, length = head[8] | (size_t)head[9] << 8;
    if (version > 1) {
        if (head_bytes < prefix)
            return kpar_fail(KPAR_EFORMAT, "%s: truncated within its .npy header", at->label);
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (length > head_bytes - prefix)
        return kpar_fail(KPAR_EFORMAT, "%s: its .npy header declares %zu bytes, %zu are there or allowed",
                         at->label, length, head_bytes - prefix);
    npy->header_bytes = prefix + length;
    at->next = (const char *)head + prefix;
    at->end = at->next + length;
    return KPAR_OK;
}

/* Bytes that the shape needs; false where they overflow. */
static bool needed_bytes(const kpar_array *array, size_t *bytes)
{
    *bytes = kpar_dtype_bytes(array->dtype);
    bool empty = false, fits = true;
    for (int d = 0; d < array->rank; d++) {
        empty |= array->dims[d] == 0;
        fits = fits && kpar_multiply(*bytes, (size_t)array->dims[d], bytes);
    }
    if (empty) *bytes = 0;
    return (fits || empty) && *bytes <= INT64_MAX;
}

kpar_status kpar_npy_parse(const char *label, const unsigned char *head, size_t head_bytes, size_t file_bytes,
                           kpar_npy *npy)
{
    *npy = (kpar_npy){0};
    cursor at = {.label = label};
    KPAR_TRY(find_text(head, head_bytes, &at, npy));
    KPAR_TRY(take_dictionary(&at, npy));
    size_t needed = 0, held = file_bytes - npy->header_bytes;
    if (needed_bytes(&npy->array, &needed) && needed == held) return KPAR_OK;
    char shape[KPAR_SHAPE_TEXT];
    return kpar_fail(KPAR_EFORMAT,
                     "%s: its header promises shape %s of %s, which is not the %zu bytes that follow: "
                     "truncated or damaged",
                     label, kpar_shape_text(shape, npy->array.rank, npy->array.dims),
                     kpar_dtype_name(npy->array.dtype), held);
}
