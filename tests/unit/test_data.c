/* Datasets: every type and layout of .npy and .npz read right, everything damaged refused by name; the order
 * of samples; files that appear whole or not at all. */
#include "base/memory.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/npy.h"
#include "data/order.h"
#include "data/output.h"
#include "unit.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

static void write_file(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* A .npy file in memory, with `padding` spaces in its header: odd paddings leave the elements unaligned. */
static void make_npy(kpar_text *npy, int version, const char *dictionary, int padding, const void *elements,
                     size_t bytes)
{
    size_t length = strlen(dictionary) + (size_t)padding + 1;
    const unsigned char prefix[12] = {0x93,
                                      'N',
                                      'U',
                                      'M',
                                      'P',
                                      'Y',
                                      (unsigned char)version,
                                      0,
                                      (unsigned char)length,
                                      (unsigned char)(length >> 8)};
    kpar_text_append(npy, (const char *)prefix, version == 1 ? 10 : 12);
    kpar_text_printf(npy, "%s%*s\n", dictionary, padding, "");
    kpar_text_append(npy, elements, bytes);
}

static void make_array(kpar_text *npy, const char *descr, bool fortran, const char *shape,
                       const void *elements, size_t bytes)
{
    kpar_text dictionary = {0};
    kpar_text_printf(&dictionary, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                     fortran ? "True" : "False", shape);
    make_npy(npy, 1, kpar_text_get(&dictionary), 3, elements, bytes);
    kpar_text_clear(&dictionary);
}

typedef struct member {
    const char *name;
    kpar_text npy;
} member;

static void write_npz(const char *path, const member *members, int n, bool deflated)
{
    int error = 0;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    ck_assert_ptr_nonnull(zip);
    for (int i = 0; i < n; i++) {
        zip_source_t *source = zip_source_buffer(zip, members[i].npy.bytes, members[i].npy.length, 0);
        zip_int64_t index = zip_file_add(zip, members[i].name, source, ZIP_FL_OVERWRITE);
        ck_assert_int_ge(index, 0);
        ck_assert_int_eq(
            zip_set_file_compression(zip, (zip_uint64_t)index, deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0),
            0);
    }
    ck_assert_int_eq(zip_close(zip), 0);
}

static void clear_members(member *members, int n)
{
    for (int i = 0; i < n; i++) kpar_text_clear(&members[i].npy);
}

static const char *const one_name[] = {"input"};

static kpar_status open_one(const char *path, kpar_dataset **dataset)
{
    return kpar_dataset_open(path, one_name, 1, one_name, 1, NULL, dataset);
}

static kpar_slice whole(const kpar_array *array)
{
    kpar_slice slice = {.rank = array->rank};
    for (int d = 0; d < array->rank; d++) slice.size[d] = array->dims[d];
    return slice;
}

/* The elements 0 .. 23 as each type, shape (4, 3, 2). */
enum { COUNT = 24 };
#define FILL(type, target)                                                                                   \
    for (int i = 0; i < COUNT; i++) ((type *)(target))[i] = (type)i

static void fill_f16(void *target)
{
    static const uint16_t small[] = {0,      0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700,
                                     0x4800, 0x4880, 0x4900, 0x4980, 0x4a00, 0x4a80, 0x4b00, 0x4b80,
                                     0x4c00, 0x4c40, 0x4c80, 0x4cc0, 0x4d00, 0x4d40, 0x4d80, 0x4dc0};
    memcpy(target, small, sizeof small);
}
static void fill_f32(void *target) { FILL(float, target); }
static void fill_f64(void *target) { FILL(double, target); }
static void fill_8(void *target) { FILL(uint8_t, target); }
static void fill_16(void *target) { FILL(uint16_t, target); }
static void fill_32(void *target) { FILL(uint32_t, target); }
static void fill_64(void *target) { FILL(uint64_t, target); }

static const struct {
    const char *name;
    size_t bytes;
    kpar_dtype dtype;
    void (*fill)(void *target);
} types[] = {
    {"f2", 2, KPAR_F16, fill_f16}, {"f4", 4, KPAR_F32, fill_f32}, {"f8", 8, KPAR_F64, fill_f64},
    {"i1", 1, KPAR_I8, fill_8},    {"i2", 2, KPAR_I16, fill_16},  {"i4", 4, KPAR_I32, fill_32},
    {"i8", 8, KPAR_I64, fill_64},  {"u1", 1, KPAR_U8, fill_8},    {"u2", 2, KPAR_U16, fill_16},
    {"u4", 4, KPAR_U32, fill_32},  {"u8", 8, KPAR_U64, fill_64},  {"b1", 1, KPAR_BOOL, fill_8},
};
enum { TYPES = sizeof types / sizeof types[0] };

static void reverse_bytes(unsigned char *elements, size_t bytes)
{
    for (int i = 0; i < COUNT; i++)
        for (size_t low = 0; low < bytes / 2; low++) {
            unsigned char *element = elements + (size_t)i * bytes, kept = element[low];
            element[low] = element[bytes - 1 - low];
            element[bytes - 1 - low] = kept;
        }
}

/* The number stored at (i, j, k) of shape (4, 3, 2) when the elements are 0 .. 23 in file order. */
static int stored_at(bool fortran, int i, int j, int k)
{
    return fortran ? i + 4 * (j + 3 * k) : k + 2 * (j + 3 * i);
}

static void expect_part(kpar_dataset *dataset, kpar_dtype dtype, bool fortran)
{
    const int64_t rows[] = {3, 0, 2};
    const kpar_slice part = {.rank = 3, .start = {0, 1, 1}, .size = {0, 2, 1}};
    double values[3 * 2];
    ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, rows, 3, &part, KPAR_F64, values),
                     KPAR_OK);
    for (int r = 0; r < 3; r++)
        for (int j = 0; j < 2; j++) {
            double expected = stored_at(fortran, (int)rows[r], j + 1, 1);
            if (dtype == KPAR_BOOL) expected = expected != 0;
            ck_assert_msg(values[2 * r + j] == expected, "%s: found %g, expected %g", kpar_dtype_name(dtype),
                          values[2 * r + j], expected);
        }
}

START_TEST(every_type_order_and_layout_reads_the_same_numbers)
{
    for (int variant = 0; variant < TYPES * 8; variant++) {
        int type = variant / 8;
        bool big = variant & 1, fortran = variant & 2, deflated = variant & 4;
        unsigned char elements[COUNT * 8];
        types[type].fill(elements);
        if (big) reverse_bytes(elements, types[type].bytes);
        char descr[8];
        snprintf(descr, sizeof descr, "%c%s",
                 big                      ? '>'
                 : types[type].bytes == 1 ? '|'
                                          : '<',
                 types[type].name);
        member members[1] = {{"x.npy", {0}}};
        make_array(&members[0].npy, descr, fortran, "(4, 3, 2)", elements, COUNT * types[type].bytes);
        write_npz(path_of("a.npz"), members, 1, deflated);
        kpar_dataset *dataset = NULL;
        ck_assert_msg(open_one(path_of("a.npz"), &dataset) == KPAR_OK, "%s", kpar_error_message());
        ck_assert_int_eq(kpar_dataset_array(dataset, KPAR_DATASET_X, 0)->dtype, types[type].dtype);
        expect_part(dataset, types[type].dtype, fortran);
        ck_assert_uint_eq(kpar_dataset_bytes_read(dataset), 6 * types[type].bytes);
        kpar_dataset_close(dataset);
        clear_members(members, 1);
    }
}
END_TEST

START_TEST(a_whole_row_of_its_own_type_is_copied_as_it_is)
{
    float elements[COUNT], row[6];
    fill_f32(elements);
    member members[1] = {{"x.npy", {0}}};
    make_array(&members[0].npy, "<f4", false, "(4, 3, 2)", elements, sizeof elements);
    write_npz(path_of("a.npz"), members, 1, false);
    kpar_dataset *dataset = NULL;
    ck_assert_int_eq(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    kpar_slice all = whole(kpar_dataset_array(dataset, KPAR_DATASET_X, 0));
    ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){2}, 1, &all, KPAR_F32, row),
                     KPAR_OK);
    ck_assert_int_eq(memcmp(row, elements + 12, sizeof row), 0);
    kpar_dataset_close(dataset);
    clear_members(members, 1);
}
END_TEST

START_TEST(header_versions_2_and_3_and_python_2_shapes_are_read)
{
    float elements[COUNT];
    fill_f32(elements);
    for (int version = 2; version <= 3; version++) {
        kpar_text npy = {0};
        make_npy(&npy, version, "{ \"shape\" : ( 4L , 6L ) , 'fortran_order':False,'descr':'<f4'}", 0,
                 elements, sizeof elements);
        kpar_npy parsed;
        const unsigned char *bytes = (const unsigned char *)npy.bytes;
        ck_assert_msg(kpar_npy_parse("a.npy", bytes, npy.length, npy.length, &parsed) == KPAR_OK, "%s",
                      kpar_error_message());
        ck_assert_int_eq(parsed.array.rank, 2);
        ck_assert_int_eq(parsed.array.dims[1], 6);
        kpar_text_clear(&npy);
    }
}
END_TEST

static const struct {
    const char *dictionary;
    kpar_status status;
    const char *words;
} bad_headers[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 6), }", KPAR_EFORMAT, "promises shape (5, 6)"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 6), }", KPAR_EFORMAT, "promises shape (3, 6)"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", KPAR_EFORMAT,
     "promises shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", KPAR_EFORMAT,
     "a dimension that fits"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 6), }", KPAR_EFORMAT, "a dimension"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,4,6), }", KPAR_EUNSUPPORTED,
     "dimensions"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (4, 6), }", KPAR_EFORMAT, "True or False"},
    {"{'descr': '<f4', 'shape': (4, 6), }", KPAR_EFORMAT, "the entries"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4, 6), }", KPAR_EFORMAT,
     "unexpected entry 'descr'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 6), 'more': 1}", KPAR_EFORMAT,
     "unexpected entry 'more'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 6), } x", KPAR_EFORMAT, "nothing after"},
    {"{'descr': <f4, 'fortran_order': False, 'shape': (4, 6), }", KPAR_EFORMAT, "a string"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (4, 6), }", KPAR_EUNSUPPORTED, "'|O'"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (4, 6), }", KPAR_EUNSUPPORTED, "'<c8'"},
    {"{'descr': '<U7', 'fortran_order': False, 'shape': (4, 6), }", KPAR_EUNSUPPORTED, "'<U7'"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 6), }", KPAR_EUNSUPPORTED, "structured"},
    {"", KPAR_EFORMAT, "'{'"},
};

START_TEST(a_bad_header_is_refused_with_what_was_expected)
{
    float elements[COUNT];
    fill_f32(elements);
    kpar_text npy = {0};
    make_npy(&npy, 1, bad_headers[_i].dictionary, 1, elements, sizeof elements);
    kpar_npy parsed;
    kpar_status status =
        kpar_npy_parse("a.npy", (const unsigned char *)npy.bytes, npy.length, npy.length, &parsed);
    expect_failure(status, bad_headers[_i].status, bad_headers[_i].words);
    kpar_text_clear(&npy);
}
END_TEST

START_TEST(an_array_cut_anywhere_is_refused)
{
    float elements[COUNT];
    fill_f32(elements);
    kpar_text npy = {0};
    make_array(&npy, "<f4", false, "(4, 6)", elements, sizeof elements);
    for (size_t length = 0; length < npy.length; length++) {
        unsigned char *exact =
            malloc(length + 1); /* of this length, so that reading behind it is found by sanitizers */
        memcpy(exact, npy.bytes, length);
        kpar_npy parsed;
        ck_assert_int_eq(kpar_npy_parse("a.npy", exact, length, length, &parsed), KPAR_EFORMAT);
        free(exact);
    }
    kpar_text_clear(&npy);
}
END_TEST

START_TEST(a_folder_of_npy_files_is_a_dataset)
{
    ck_assert_int_eq(mkdir(path_of("set"), 0777), 0);
    float elements[COUNT];
    int64_t labels[4] = {0, 1, 2, 1};
    fill_f32(elements);
    kpar_text x = {0}, y = {0};
    make_array(&x, ">f4", false, "(4, 6)", elements, sizeof elements);
    make_array(&y, "<i8", false, "(4,)", labels, sizeof labels);
    write_file(path_of("set/x.npy"), x.bytes, x.length);
    write_file(path_of("set/kinds.npy"), y.bytes, y.length);
    kpar_dataset *dataset = NULL;
    const char *const labels_name[] = {"kinds"};
    const kpar_dataset_names names = {.y = labels_name, .n_y = 1};
    ck_assert_int_eq(kpar_dataset_open(path_of("set"), one_name, 1, one_name, 1, &names, &dataset), KPAR_OK);
    ck_assert_int_eq(kpar_dataset_rows(dataset), 4);
    ck_assert_str_eq(kpar_dataset_name(dataset, KPAR_DATASET_Y, 0), "kinds");
    ck_assert_ptr_null(kpar_dataset_array(dataset, KPAR_DATASET_WEIGHT, 0));
    int32_t label = -1;
    const kpar_slice scalar = {.rank = 1};
    ck_assert_int_eq(
        kpar_dataset_read(dataset, KPAR_DATASET_Y, 0, &(int64_t){2}, 1, &scalar, KPAR_I32, &label), KPAR_OK);
    ck_assert_int_eq(label, 2);
    kpar_dataset_close(dataset);
    kpar_text_clear(&x);
    kpar_text_clear(&y);
}
END_TEST

START_TEST(several_inputs_and_outputs_go_by_name)
{
    float elements[COUNT];
    fill_f32(elements);
    member members[] = {{"x/b.npy", {0}}, {"x/a.npy", {0}}, {"y/q.npy", {0}}, {"sample_weight.npy", {0}}};
    make_array(&members[0].npy, "<f4", false, "(4, 6)", elements, 96);
    make_array(&members[1].npy, "<f4", false, "(4, 2)", elements, 32);
    make_array(&members[2].npy, "<f4", false, "(4, 3)", elements, 48);
    make_array(&members[3].npy, "<f4", false, "(4,)", elements, 16);
    write_npz(path_of("a.npz"), members, 4, false);
    kpar_dataset *dataset = NULL;
    const char *const inputs[] = {"a", "b"}, *const outputs[] = {"p", "q"};
    ck_assert_msg(kpar_dataset_open(path_of("a.npz"), inputs, 2, outputs, 2, NULL, &dataset) == KPAR_OK, "%s",
                  kpar_error_message());
    ck_assert_int_eq(kpar_dataset_array(dataset, KPAR_DATASET_X, 0)->dims[1], 2);
    ck_assert_int_eq(kpar_dataset_array(dataset, KPAR_DATASET_X, 1)->dims[1], 6);
    ck_assert_ptr_null(kpar_dataset_array(dataset, KPAR_DATASET_Y, 0));
    ck_assert_str_eq(kpar_dataset_name(dataset, KPAR_DATASET_Y, 1), "y/q");
    ck_assert_str_eq(kpar_dataset_name(dataset, KPAR_DATASET_WEIGHT, 0), "sample_weight");
    ck_assert_str_eq(kpar_dataset_name(dataset, KPAR_DATASET_WEIGHT, 1), "sample_weight");
    kpar_dataset_close(dataset);
    clear_members(members, 4);
}
END_TEST

/* An npz with x of shape (4, 6) and y of the given shape. */
static void write_pair(const char *path, const char *y_shape, size_t y_rows, bool deflated)
{
    float elements[COUNT];
    int32_t labels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    fill_f32(elements);
    member members[2] = {{"x.npy", {0}}, {"y.npy", {0}}};
    make_array(&members[0].npy, "<f4", false, "(4, 6)", elements, sizeof elements);
    make_array(&members[1].npy, "<i4", false, y_shape, labels, y_rows * 4);
    write_npz(path, members, 2, deflated);
    clear_members(members, 2);
}

START_TEST(different_numbers_of_rows_none_and_missing_arrays_are_named)
{
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(3,)", 3, false);
    expect_failure(open_one(path_of("a.npz"), &dataset), KPAR_EDATA, "'y' has 3 rows, expected 4");
    write_pair(path_of("a.npz"), "(0,)", 0, false);
    expect_failure(open_one(path_of("a.npz"), &dataset), KPAR_EDATA, "'y' has no rows");
    write_pair(path_of("a.npz"), "()", 1, false);
    expect_failure(open_one(path_of("a.npz"), &dataset), KPAR_EDATA, "'y' is a scalar");
    write_pair(path_of("a.npz"), "(4,)", 4, false);
    const char *const other[] = {"features"};
    const kpar_dataset_names names = {.x = other, .n_x = 1};
    kpar_status status = kpar_dataset_open(path_of("a.npz"), one_name, 1, one_name, 1, &names, &dataset);
    expect_failure(status, KPAR_EDATA, "no array 'features', it has: x, y; name the array with --x");
    expect_failure(open_one(path_of("none.npz"), &dataset), KPAR_EIO, "none.npz: No such file");
    ck_assert_ptr_null(dataset);
}
END_TEST

START_TEST(labels_out_of_range_name_their_row)
{
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, false);
    ck_assert_int_eq(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    ck_assert_int_eq(kpar_dataset_check_labels(dataset, 0, 4, NULL, 0, 4), KPAR_OK);
    ck_assert_int_eq(kpar_dataset_check_labels(dataset, 0, 3, NULL, 0, 3), KPAR_OK);
    expect_failure(kpar_dataset_check_labels(dataset, 0, 3, NULL, 0, 4), KPAR_EDATA,
                   "row 3 has label 3, expected a whole number from 0 to 2");
    ck_assert_uint_eq(kpar_dataset_bytes_read(dataset), 0);
    kpar_dataset_close(dataset);
}
END_TEST

START_TEST(labels_that_are_no_whole_numbers_are_refused)
{
    const double labels[4] = {0, 1, NAN, 1};
    const float elements[4] = {0, 1.5f, 2, -1};
    member members[3] = {{"x.npy", {0}}, {"y.npy", {0}}, {"z.npy", {0}}};
    make_array(&members[0].npy, "<f4", false, "(4, 1)", elements, sizeof elements);
    make_array(&members[1].npy, "<f8", false, "(4, 1)", labels, sizeof labels);
    make_array(&members[2].npy, "<f4", false, "(4, 1)", elements, sizeof elements);
    write_npz(path_of("a.npz"), members, 3, true);
    kpar_dataset *dataset = NULL;
    ck_assert_int_eq(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    expect_failure(kpar_dataset_check_labels(dataset, 0, 2, NULL, 0, 4), KPAR_EDATA, "row 2 has label");
    kpar_dataset_close(dataset);
    const char *const z[] = {"z"};
    ck_assert_int_eq(kpar_dataset_open(path_of("a.npz"), one_name, 1, one_name, 1,
                                       &(kpar_dataset_names){.y = z, .n_y = 1}, &dataset),
                     KPAR_OK);
    expect_failure(kpar_dataset_check_labels(dataset, 0, 3, NULL, 0, 4), KPAR_EDATA, "row 1 has label 1.5");
    expect_failure(kpar_dataset_check_labels(dataset, 0, 3, NULL, 2, 2), KPAR_EDATA, "row 3 has label -1");
    ck_assert_int_eq(kpar_dataset_check_labels(dataset, 0, 3, &(int64_t){-1}, 2, 2), KPAR_OK);
    expect_failure(kpar_dataset_check_labels(dataset, 0, 2, &(int64_t){-1}, 2, 2), KPAR_EDATA,
                   "row 2 has label 2, expected a whole number from 0 to 1, or -1, which is ignored");
    kpar_dataset_close(dataset);
    clear_members(members, 3);
}
END_TEST

START_TEST(parts_outside_the_array_and_rows_outside_the_data_are_refused)
{
    kpar_dataset *dataset = NULL;
    float values[24];
    write_pair(path_of("a.npz"), "(4,)", 4, false);
    ck_assert_int_eq(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    kpar_slice part = {.rank = 2, .start = {0, 3}, .size = {0, 4}};
    expect_failure(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){0}, 1, &part, KPAR_F32, values),
                   KPAR_EDATA, "shape (4, 6)");
    part.start[1] = 0;
    expect_failure(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){4}, 1, &part, KPAR_F32, values),
                   KPAR_EDATA, "row 4");
    expect_failure(
        kpar_dataset_read(dataset, KPAR_DATASET_WEIGHT, 0, &(int64_t){0}, 1, &part, KPAR_F32, values),
        KPAR_EDATA, "no array");
    kpar_dataset_close(dataset);
}
END_TEST

static size_t read_file(const char *path, unsigned char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t length = fread(bytes, 1, capacity, file);
    fclose(file);
    return length;
}

START_TEST(an_archive_cut_anywhere_is_refused)
{
    unsigned char bytes[4096];
    for (int deflated = 0; deflated < 2; deflated++) {
        write_pair(path_of("a.npz"), "(4,)", 4, deflated);
        size_t length = read_file(path_of("a.npz"), bytes, sizeof bytes);
        for (size_t cut = 0; cut < length; cut++) {
            kpar_dataset *dataset = NULL;
            write_file(path_of("cut.npz"), bytes, cut);
            ck_assert_msg(open_one(path_of("cut.npz"), &dataset) == KPAR_EFORMAT, "cut at %zu of %zu", cut,
                          length);
        }
    }
}
END_TEST

START_TEST(no_flipped_byte_of_an_archive_does_harm)
{
    unsigned char bytes[4096];
    for (int deflated = 0; deflated < 2; deflated++) {
        write_pair(path_of("a.npz"), "(4,)", 4, deflated);
        size_t length = read_file(path_of("a.npz"), bytes, sizeof bytes);
        for (size_t at = 0; at < length; at++) {
            kpar_dataset *dataset = NULL;
            bytes[at] ^= 0xff;
            write_file(path_of("flip.npz"), bytes, length);
            bytes[at] ^= 0xff;
            if (open_one(path_of("flip.npz"), &dataset) == KPAR_OK) (void)kpar_dataset_hash(dataset);
            kpar_dataset_close(dataset);
        }
    }
}
END_TEST

/* Offset of the entry number `entry` of the directory of an archive without a comment. */
static size_t entry_offset(const unsigned char *bytes, size_t length, int entry)
{
    uint32_t at;
    memcpy(&at, bytes + length - 22 + 16, 4);
    for (; entry > 0; entry--) at += 46u + bytes[at + 28] + bytes[at + 30] + bytes[at + 32];
    return at;
}

START_TEST(an_archive_that_declares_more_than_it_can_hold_is_refused)
{
    unsigned char bytes[4096];
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, true);
    size_t length = read_file(path_of("a.npz"), bytes, sizeof bytes), entry = entry_offset(bytes, length, 0);
    const uint32_t huge = 0xfffffff0, packed = 1000;
    memcpy(bytes + entry + 24, &huge, 4);
    write_file(path_of("bomb.npz"), bytes, length);
    expect_failure(open_one(path_of("bomb.npz"), &dataset), KPAR_EFORMAT,
                   "member 'x.npy' declares 4294967280 bytes, more than");
    memcpy(bytes + entry + 20, &packed, 4);
    write_file(path_of("bomb.npz"), bytes, length);
    ck_assert_int_eq(open_one(path_of("bomb.npz"), &dataset), KPAR_EFORMAT);
}
END_TEST

START_TEST(members_that_overlap_are_refused)
{
    unsigned char bytes[4096];
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, false);
    size_t length = read_file(path_of("a.npz"), bytes, sizeof bytes);
    size_t first = entry_offset(bytes, length, 0), second = entry_offset(bytes, length, 1);
    memcpy(bytes + second + 20, bytes + first + 20, 8); /* sizes */
    memcpy(bytes + second + 42, bytes + first + 42, 4); /* place */
    write_file(path_of("bomb.npz"), bytes, length);
    expect_failure(open_one(path_of("bomb.npz"), &dataset), KPAR_EFORMAT, "overlap");
}
END_TEST

START_TEST(a_deflated_array_whose_bytes_changed_fails_its_checksum)
{
    unsigned char bytes[4096];
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, true);
    size_t length = read_file(path_of("a.npz"), bytes, sizeof bytes), entry = entry_offset(bytes, length, 0);
    bytes[entry + 16] ^= 1; /* the declared checksum */
    write_file(path_of("a.npz"), bytes, length);
    expect_failure(open_one(path_of("a.npz"), &dataset), KPAR_EFORMAT, "member 'x.npy'");
}
END_TEST

/* A stored zip64 archive as numpy.savez writes very large ones: sizes and place only in the zip64 fields. */
static void write_zip64(const char *path, const kpar_text *npy)
{
    kpar_text zip = {0};
    const uint64_t size = npy->length, zero = 0;
    const uint32_t none = UINT32_MAX;
    const uint16_t extra[2] = {1, 24};
    kpar_text_append(&zip, "PK\3\4\55\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377\5\0\0\0x.npy",
                     35);
    kpar_text_append(&zip, npy->bytes, npy->length);
    const uint64_t directory = zip.length;
    kpar_text_append(&zip, "PK\1\2\55\0\55\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    kpar_text_append(&zip, (const char *)&none, 4);
    kpar_text_append(&zip, (const char *)&none, 4);
    kpar_text_append(&zip, "\5\0\34\0\0\0\0\0\0\0\0\0\0\0", 14);
    kpar_text_append(&zip, (const char *)&none, 4);
    kpar_text_append(&zip, "x.npy", 5);
    kpar_text_append(&zip, (const char *)extra, 4);
    kpar_text_append(&zip, (const char *)&size, 8);
    kpar_text_append(&zip, (const char *)&size, 8);
    kpar_text_append(&zip, (const char *)&zero, 8);
    const uint64_t end = zip.length, one = 1, bytes = end - directory;
    kpar_text_append(&zip, "PK\6\6\54\0\0\0\0\0\0\0\55\0\55\0\0\0\0\0\0\0\0\0", 24);
    const uint64_t record[] = {one, one, bytes, directory};
    kpar_text_append(&zip, (const char *)record, sizeof record);
    kpar_text_append(&zip, "PK\6\7\0\0\0\0", 8);
    kpar_text_append(&zip, (const char *)&end, 8);
    kpar_text_append(&zip, "\1\0\0\0PK\5\6\0\0\0\0\377\377\377\377\377\377\377\377\377\377\377\377\0\0", 26);
    write_file(path, zip.bytes, zip.length);
    kpar_text_clear(&zip);
}

START_TEST(zip64_archives_are_read)
{
    float elements[COUNT];
    fill_f32(elements);
    kpar_text npy = {0};
    make_array(&npy, "<f4", false, "(4, 3, 2)", elements, sizeof elements);
    write_zip64(path_of("big.npz"), &npy);
    kpar_dataset *dataset = NULL;
    ck_assert_msg(open_one(path_of("big.npz"), &dataset) == KPAR_OK, "%s", kpar_error_message());
    expect_part(dataset, KPAR_F32, false);
    kpar_dataset_close(dataset);
    kpar_text_clear(&npy);
}
END_TEST

START_TEST(the_hash_tells_other_contents_from_the_same)
{
    kpar_dataset *first = NULL, *second = NULL, *other = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, false);
    write_pair(path_of("b.npz"), "(4,)", 4, true);
    write_pair(path_of("c.npz"), "(4, 1)", 4, false);
    ck_assert_int_eq(open_one(path_of("a.npz"), &first), KPAR_OK);
    ck_assert_int_eq(open_one(path_of("b.npz"), &second), KPAR_OK);
    ck_assert_int_eq(open_one(path_of("c.npz"), &other), KPAR_OK);
    ck_assert_uint_eq(kpar_dataset_hash(first), kpar_dataset_hash(second));
    ck_assert_uint_ne(kpar_dataset_hash(first), kpar_dataset_hash(other));
    kpar_dataset_close(first);
    kpar_dataset_close(second);
    kpar_dataset_close(other);
}
END_TEST

static kpar_dataset *random_dataset(uint64_t seed)
{
    const kpar_array input = {.dtype = KPAR_F32, .rank = 2, .dims = {5, 7}};
    const kpar_array output = {.dtype = KPAR_I32, .rank = 0};
    kpar_dataset *dataset = NULL;
    ck_assert_int_eq(kpar_dataset_random(seed, 1000, &input, 1, &output, &(int64_t){10}, 1, &dataset),
                     KPAR_OK);
    return dataset;
}

START_TEST(random_features_are_the_same_in_parts_and_in_whole)
{
    kpar_dataset *dataset = random_dataset(3), *other = random_dataset(4);
    const kpar_array *array = kpar_dataset_array(dataset, KPAR_DATASET_X, 0);
    ck_assert_int_eq(array->rank, 3);
    ck_assert_int_eq(array->dims[0], 1000);
    kpar_slice all = whole(array), part = {.rank = 3, .start = {0, 2, 3}, .size = {0, 2, 3}};
    float row[35], piece[6], differs[35];
    ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){17}, 1, &all, KPAR_F32, row),
                     KPAR_OK);
    ck_assert_int_eq(kpar_dataset_read(other, KPAR_DATASET_X, 0, &(int64_t){17}, 1, &all, KPAR_F32, differs),
                     KPAR_OK);
    ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){17}, 1, &part, KPAR_F32, piece),
                     KPAR_OK);
    for (int i = 0; i < 35; i++) ck_assert(row[i] >= 0 && row[i] < 1);
    for (int i = 0; i < 6; i++) ck_assert(piece[i] == row[(2 + i / 3) * 7 + 3 + i % 3]);
    ck_assert_int_ne(memcmp(row, differs, sizeof row), 0);
    kpar_dataset_close(dataset);
    kpar_dataset_close(other);
}
END_TEST

START_TEST(random_labels_are_classes_and_all_of_them_occur)
{
    kpar_dataset *dataset = random_dataset(3);
    ck_assert_int_eq(kpar_dataset_check_labels(dataset, 0, 10, NULL, 0, 1000), KPAR_OK);
    int seen[10] = {0};
    const kpar_slice scalar = {.rank = 1};
    for (int64_t row = 0; row < 1000; row++) {
        int32_t label = -1;
        ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_Y, 0, &row, 1, &scalar, KPAR_I32, &label),
                         KPAR_OK);
        seen[label]++;
    }
    for (int i = 0; i < 10; i++) ck_assert_int_gt(seen[i], 50);
    kpar_dataset_close(dataset);
}
END_TEST

START_TEST(the_order_is_a_permutation_for_every_number_of_rows)
{
    static const int64_t sizes[] = {1,  2,  3,  4,   5,   7,   8,    15,   16,   17,
                                    63, 64, 65, 100, 255, 257, 1000, 4096, 4097, 60000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        bool *seen = calloc((size_t)sizes[s], sizeof *seen);
        for (int64_t i = 0; i < sizes[s]; i++) {
            int64_t row = kpar_order_row(true, 7, 2, sizes[s], i);
            ck_assert(row >= 0 && row < sizes[s]);
            ck_assert(!seen[row]);
            seen[row] = true;
        }
        free(seen);
    }
}
END_TEST

/* Positions where two orders of `rows` rows agree. */
static int64_t agreeing(uint64_t seed_a, int64_t epoch_a, uint64_t seed_b, int64_t epoch_b, int64_t rows)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++)
        count +=
            kpar_order_row(true, seed_a, epoch_a, rows, i) == kpar_order_row(true, seed_b, epoch_b, rows, i);
    return count;
}

START_TEST(the_order_differs_by_epoch_and_seed_and_repeats_otherwise)
{
    ck_assert_int_eq(agreeing(1, 0, 1, 0, 1000), 1000);
    ck_assert_int_lt(agreeing(1, 0, 1, 1, 1000), 20);
    ck_assert_int_lt(agreeing(1, 5, 1, 6, 1000), 20);
    ck_assert_int_lt(agreeing(1, 0, 2, 0, 1000), 20);
    for (int64_t i = 0; i < 10; i++) ck_assert_int_eq(kpar_order_row(false, 1, 0, 10, i), i);
}
END_TEST

START_TEST(every_row_is_as_likely_at_the_first_place)
{
    enum { ROWS = 6, EPOCHS = 6000 };
    int count[ROWS] = {0};
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) count[kpar_order_row(true, 11, epoch, ROWS, 0)]++;
    for (int i = 0; i < ROWS; i++)
        ck_assert_msg(abs(count[i] - EPOCHS / ROWS) < 200, "row %d: %d times", i, count[i]);
}
END_TEST

START_TEST(what_npy_write_writes_is_read_back)
{
    float values[6] = {0, 1, 2, 3, 4, 5}, row[3];
    ck_assert_int_eq(mkdir(path_of("out"), 0777), 0);
    const kpar_array array = {.dtype = KPAR_F32, .rank = 2, .dims = {2, 3}, .data = values};
    const kpar_array brain = {.dtype = KPAR_BF16, .rank = 1, .dims = {2}, .data = values};
    ck_assert_int_eq(kpar_npy_write(path_of("out/x.npy"), &array), KPAR_OK);
    unsigned char bytes[256];
    ck_assert_uint_eq(read_file(path_of("out/x.npy"), bytes, sizeof bytes), 128 + sizeof values);
    kpar_dataset *dataset = NULL;
    ck_assert_msg(open_one(path_of("out"), &dataset) == KPAR_OK, "%s", kpar_error_message());
    const kpar_slice part = {.rank = 2, .size = {0, 3}};
    ck_assert_int_eq(kpar_dataset_read(dataset, KPAR_DATASET_X, 0, &(int64_t){1}, 1, &part, KPAR_F32, row),
                     KPAR_OK);
    ck_assert_int_eq(memcmp(row, values + 3, sizeof row), 0);
    kpar_dataset_close(dataset);
    expect_failure(kpar_npy_write(path_of("out/b.npy"), &brain), KPAR_EUNSUPPORTED, "bfloat16");
    expect_failure(kpar_npy_write(path_of("none/b.npy"), &array), KPAR_EIO, "none/b.npy");
}
END_TEST

START_TEST(a_write_that_fails_at_any_call_leaves_the_old_file)
{
    float values[4] = {1, 2, 3, 4};
    const kpar_array array = {.dtype = KPAR_F32, .rank = 1, .dims = {4}, .data = values};
    ck_assert_int_eq(kpar_new_file_put(path_of("keep.npy"), "old", 3), KPAR_OK);
    kpar_new_file_fail_at(0);
    ck_assert_int_eq(kpar_npy_write(path_of("new.npy"), &array), KPAR_OK);
    int calls = kpar_new_file_fail_at(0);
    ck_assert_int_gt(calls, 4);
    for (int call = 1; call <= calls; call++) {
        unsigned char bytes[16];
        kpar_new_file_fail_at(call);
        expect_failure(kpar_npy_write(path_of("keep.npy"), &array), KPAR_EIO, "No space left");
        kpar_new_file_fail_at(0);
        ck_assert_uint_eq(read_file(path_of("keep.npy"), bytes, sizeof bytes), 3);
        char list[128];
        snprintf(list, sizeof list, "test $(ls -A '%s' | wc -l) = 2", folder);
        ck_assert_msg(system(list) == 0, "a temporary file stays after call %d", call);
    }
}
END_TEST

START_TEST(links_are_followed_and_only_files_are_replaced)
{
    unsigned char bytes[16];
    struct stat facts;
    ck_assert_int_eq(mkfifo(path_of("pipe"), 0600), 0);
    expect_failure(kpar_new_file_put(path_of("pipe"), "new", 3), KPAR_EIO, "no regular file");
    expect_failure(kpar_new_file_put(folder, "new", 3), KPAR_EIO, "no regular file");
    ck_assert_int_eq(kpar_new_file_put(path_of("file"), "old", 3), KPAR_OK);
    ck_assert_int_eq(symlink("file", path_of("link")), 0);
    ck_assert_int_eq(kpar_new_file_put(path_of("link"), "newer", 5), KPAR_OK);
    ck_assert_uint_eq(read_file(path_of("file"), bytes, sizeof bytes), 5);
    ck_assert(!lstat(path_of("link"), &facts) && S_ISLNK(facts.st_mode));
}
END_TEST

START_TEST(nothing_is_leaked)
{
    size_t before = kpar_alloc_live();
    kpar_dataset *dataset = NULL;
    write_pair(path_of("a.npz"), "(4,)", 4, true);
    ck_assert_int_eq(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    kpar_dataset_close(dataset);
    write_pair(path_of("a.npz"), "(3,)", 3, true);
    ck_assert_int_ne(open_one(path_of("a.npz"), &dataset), KPAR_OK);
    ck_assert_uint_eq(kpar_alloc_live(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("data");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, every_type_order_and_layout_reads_the_same_numbers);
    tcase_add_test(files, a_whole_row_of_its_own_type_is_copied_as_it_is);
    tcase_add_test(files, header_versions_2_and_3_and_python_2_shapes_are_read);
    tcase_add_loop_test(files, a_bad_header_is_refused_with_what_was_expected, 0,
                        (int)(sizeof bad_headers / sizeof bad_headers[0]));
    tcase_add_test(files, an_array_cut_anywhere_is_refused);
    tcase_add_test(files, a_folder_of_npy_files_is_a_dataset);
    tcase_add_test(files, several_inputs_and_outputs_go_by_name);
    tcase_add_test(files, different_numbers_of_rows_none_and_missing_arrays_are_named);
    tcase_add_test(files, labels_out_of_range_name_their_row);
    tcase_add_test(files, labels_that_are_no_whole_numbers_are_refused);
    tcase_add_test(files, parts_outside_the_array_and_rows_outside_the_data_are_refused);
    tcase_add_test(files, an_archive_cut_anywhere_is_refused);
    tcase_add_test(files, no_flipped_byte_of_an_archive_does_harm);
    tcase_add_test(files, an_archive_that_declares_more_than_it_can_hold_is_refused);
    tcase_add_test(files, members_that_overlap_are_refused);
    tcase_add_test(files, a_deflated_array_whose_bytes_changed_fails_its_checksum);
    tcase_add_test(files, zip64_archives_are_read);
    tcase_add_test(files, the_hash_tells_other_contents_from_the_same);
    tcase_add_test(files, what_npy_write_writes_is_read_back);
    tcase_add_test(files, a_write_that_fails_at_any_call_leaves_the_old_file);
    tcase_add_test(files, links_are_followed_and_only_files_are_replaced);
    tcase_add_test(files, nothing_is_leaked);
    suite_add_tcase(suite, files);
    TCase *order = tcase_create("order");
    tcase_set_timeout(order, 60);
    tcase_add_test(order, random_features_are_the_same_in_parts_and_in_whole);
    tcase_add_test(order, random_labels_are_classes_and_all_of_them_occur);
    tcase_add_test(order, the_order_is_a_permutation_for_every_number_of_rows);
    tcase_add_test(order, the_order_differs_by_epoch_and_seed_and_repeats_otherwise);
    tcase_add_test(order, every_row_is_as_likely_at_the_first_place);
    suite_add_tcase(suite, order);
    return run_suite(suite);
}
