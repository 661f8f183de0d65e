/* Model files: reading and writing weights, and files that are damaged or lie. */
#include "keras_fixture.h"

#include "keras/io.h"
#include "unit.h"

#include <hdf5.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zip.h>

static kpar_keras_file *file;
static kpar_catalog *catalog;
static size_t blocks_before;

/* Under the address sanitizer: HDF5 asks for as much as a damaged file says, and loses memory when it gives
 * up on one. What kpar itself loses is counted below. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1:detect_leaks=0"; }

static void set_up(void)
{
    make_folder();
    blocks_before = kpar_alloc_live();
    file = NULL;
    catalog = adam_catalog();
}

static void tear_down(void)
{
    kpar_keras_close(file);
    kpar_catalog_destroy(catalog);
    remove_folder();
    ck_assert_uint_eq(kpar_alloc_live(), blocks_before);
}

#define ck_ok(call) ck_assert_msg((call) == KPAR_OK, "%s", kpar_error_message())

static void fails(kpar_status found, kpar_status expected, const char *word)
{
    ck_assert_str_eq(kpar_status_name(found), kpar_status_name(expected));
    ck_assert_msg(strstr(kpar_error_message(), word) != NULL, "'%s' in: %s", word, kpar_error_message());
}

/* Opens a file anew. */
static void open_file(const char *path)
{
    kpar_keras_close(file);
    ck_ok(kpar_keras_open(path, &file));
}

static void save_copy(const char *path, bool with_optimizer)
{
    size_t length;
    const char *config = kpar_keras_config(file, &length);
    ck_ok(kpar_keras_save(path, config, length, catalog, with_optimizer, copy_slice,
                          &(copying){file, catalog}));
}

/* A zip with the entries, in this order, deflated or stored. */
static void make_zip(const char *path, const char *const *names, char *const *bytes, const size_t *lengths,
                     int n, bool deflate)
{
    int error;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    for (int i = 0; i < n; i++) {
        zip_int64_t at = zip_file_add(zip, names[i], zip_source_buffer(zip, bytes[i], lengths[i], 0), 0);
        zip_set_file_compression(zip, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    }
    ck_assert_int_eq(zip_close(zip), 0);
}

/* An entry of an archive; free() it. */
static char *entry_of(const char *path, const char *name, size_t *length)
{
    int error;
    zip_t *zip = zip_open(path, ZIP_RDONLY, &error);
    zip_stat_t stat;
    ck_assert_int_eq(zip_stat(zip, name, 0, &stat), 0);
    char *bytes = malloc(stat.size);
    zip_file_t *entry = zip_fopen(zip, name, 0);
    ck_assert_int_eq(zip_fread(entry, bytes, stat.size), (zip_int64_t)stat.size);
    zip_fclose(entry);
    zip_discard(zip);
    *length = stat.size;
    return bytes;
}

/* opt_resume with its entries in another order. */
static void rezip(const char *path, bool deflate)
{
    static const char *const names[] = {"model.weights.h5", "config.json", "metadata.json"};
    char *bytes[3];
    size_t lengths[3];
    for (int i = 0; i < 3; i++) bytes[i] = entry_of(case_model("opt_resume"), names[i], &lengths[i]);
    make_zip(path, names, bytes, lengths, 3, deflate);
    for (int i = 0; i < 3; i++) free(bytes[i]);
}

static bool same_weights(const char *a, const char *b)
{
    kpar_text text = {0};
    bool equal = false;
    ck_ok(kpar_keras_compare(a, b, &text, &equal));
    kpar_text_clear(&text);
    return equal;
}

START_TEST(optimizer_state_is_found_where_it_fits)
{
    bool has_optimizer;
    open_file(case_model("opt_resume"));
    ck_assert(kpar_keras_has_weights(file));
    ck_ok(kpar_keras_verify(file));
    ck_ok(kpar_keras_check_weights(file, catalog, &has_optimizer));
    ck_assert(has_optimizer);
    int64_t iteration;
    kpar_slice all = {0};
    ck_ok(kpar_keras_read(file, &catalog->variables[6], &all, &iteration));
    ck_assert_int_eq(iteration, 3);
    open_file(case_model("opt_adam"));
    ck_ok(kpar_keras_check_weights(file, catalog, &has_optimizer));
    ck_assert(!has_optimizer);
}
END_TEST

START_TEST(state_of_another_optimizer_is_not_used)
{
    bool has_optimizer;
    kpar_catalog *plain = mlp_catalog();
    add(plain, "optimizer/vars/0", KPAR_VARIABLE_ITERATION, 0, 0, 0);
    open_file(case_model("opt_resume"));
    ck_ok(kpar_keras_check_weights(file, plain, &has_optimizer));
    ck_assert(!has_optimizer);
    kpar_catalog_destroy(plain);
}
END_TEST

START_TEST(the_reference_models_are_described)
{
    static const char *const names[] = {"opt_sgd",    "opt_sgd_momentum", "opt_adam",
                                        "opt_resume", "lr_exponential",   "fit_split"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length;
        kpar_model *model;
        open_file(case_model(names[i]));
        const char *config = kpar_keras_config(file, &length);
        ck_ok(kpar_keras_describe(names[i], config, length, &model));
        ck_assert_int_eq(model->n_calls, model->n_layers);
        ck_assert_str_eq(model->layers[1].group, "layers/dense");
        ck_assert_str_eq(json_string_value(model->losses[0]), "sparse_categorical_crossentropy");
        ck_assert_ptr_nonnull(model->optimizer);
        kpar_model_destroy(model);
    }
}
END_TEST

START_TEST(a_slice_is_that_part_of_the_whole)
{
    float whole[12][16], part[3][5];
    const kpar_variable *kernel = &catalog->variables[0];
    kpar_slice all = kpar_variable_whole(kernel), some = {2, {4, 7}, {3, 5}};
    open_file(case_model("opt_resume"));
    ck_ok(kpar_keras_read(file, kernel, &all, whole));
    ck_ok(kpar_keras_read(file, kernel, &some, part));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5; j++) ck_assert_float_eq(part[i][j], whole[4 + i][7 + j]);
    ck_assert_float_eq_tol(whole[0][0], 0.0f, 1.0f);
    ck_assert_uint_eq(kpar_keras_bytes_read(file), (12 * 16 + 3 * 5) * sizeof(float));
}
END_TEST

START_TEST(entries_may_stand_in_any_order_and_be_deflated)
{
    rezip(path_of("stored.keras"), false);
    rezip(path_of("deflated.keras"), true);
    ck_assert(same_weights(case_model("opt_resume"), path_of("stored.keras")));
    ck_assert(same_weights(case_model("opt_resume"), path_of("deflated.keras")));
}
END_TEST

START_TEST(what_is_saved_reads_back_the_same)
{
    bool has_optimizer;
    open_file(case_model("opt_resume"));
    save_copy(path_of("copy.keras"), true);
    ck_assert(same_weights(case_model("opt_resume"), path_of("copy.keras")));
    ck_assert_int_eq(files_in_folder(), 1);
    open_file(path_of("copy.keras"));
    ck_ok(kpar_keras_check_weights(file, catalog, &has_optimizer));
    ck_assert(has_optimizer);
    save_copy(path_of("bare.keras"), false);
    open_file(path_of("bare.keras"));
    ck_ok(kpar_keras_check_weights(file, catalog, &has_optimizer));
    ck_assert(!has_optimizer);
}
END_TEST

START_TEST(a_fixed_date_gives_the_same_bytes)
{
    size_t a_length, b_length;
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    open_file(case_model("opt_resume"));
    save_copy(path_of("a.keras"), true);
    save_copy(path_of("b.keras"), true);
    char *a = read_file(path_of("a.keras"), &a_length), *b = read_file(path_of("b.keras"), &b_length);
    ck_assert_uint_eq(a_length, b_length);
    ck_assert_mem_eq(a, b, a_length);
    free(a);
    free(b);
    char *metadata = entry_of(path_of("a.keras"), "metadata.json", &a_length);
    ck_assert_mem_eq(metadata, "{\"keras_version\": \"3.15.1\", \"date_saved\": \"2023-11-14@22:13:20\"}",
                     a_length);
    free(metadata);
    unsetenv("SOURCE_DATE_EPOCH");
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file)
{
    static const char old[] = "what was there before";
    size_t config_length, length;
    int n = 0;
    open_file(case_model("opt_resume"));
    const char *config = kpar_keras_config(file, &config_length), *path = path_of("model.keras");
    for (kpar_status status = KPAR_EIO; status != KPAR_OK;) {
        write_file(path, old, sizeof old);
        kpar_keras_fault_after(++n);
        status = kpar_keras_save(path, config, config_length, catalog, true, copy_slice,
                                 &(copying){file, catalog});
        kpar_keras_fault_after(0);
        if (status == KPAR_OK) break;
        fails(status, KPAR_EIO, "No space left");
        char *now = read_file(path, &length);
        ck_assert_uint_eq(length, sizeof old);
        ck_assert_mem_eq(now, old, length);
        free(now);
        ck_assert_int_eq(files_in_folder(), 1);
    }
    ck_assert_int_gt(n, 10);
    ck_assert(same_weights(case_model("opt_resume"), path));
}
END_TEST

static kpar_status refuse_slot(void *context, int variable, const kpar_slice *slice, void *values)
{
    memset(values, 0, (size_t)kpar_count(slice->rank, slice->size) * sizeof(float));
    return variable < *(const int *)context ? KPAR_OK : kpar_fail(KPAR_ECOMM, "rank 3 is gone");
}

START_TEST(a_failed_fetch_leaves_the_old_file)
{
    int left = 4;
    write_file(path_of("model.keras"), "old", 3);
    kpar_status status = kpar_keras_save(path_of("model.keras"), "{}", 2, catalog, true, refuse_slot, &left);
    fails(status, KPAR_ECOMM, "rank 3 is gone");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

typedef struct slices_seen {
    int64_t next, largest;
} slices_seen;

static kpar_status count_slices(void *context, int variable, const kpar_slice *slice, void *values)
{
    slices_seen *seen = context;
    (void)variable;
    int64_t count = kpar_count(slice->rank, slice->size);
    ck_assert_int_eq(slice->start[0] * 1500000 + slice->start[1], seen->next);
    for (int64_t i = 0; i < count; i++) ((float *)values)[i] = (float)(seen->next + i);
    seen->next += count;
    if (count > seen->largest) seen->largest = count;
    return KPAR_OK;
}

START_TEST(large_variables_are_asked_for_in_slices)
{
    kpar_catalog *large = kpar_catalog_create();
    slices_seen seen = {0, 0};
    float value;
    int index = add(large, "layers/dense/vars/0", KPAR_VARIABLE_WEIGHT, 2, 3, 1500000);
    ck_ok(kpar_keras_save(path_of("large.keras"), "{}", 2, large, true, count_slices, &seen));
    ck_assert_int_eq(seen.next, 4500000);
    ck_assert_int_le(seen.largest * (int64_t)sizeof(float), KPAR_SAVE_SLICE_BYTES);
    ck_ok(kpar_keras_open(path_of("large.keras"), &file));
    kpar_slice one = {2, {2, 1499999}, {1, 1}};
    ck_ok(kpar_keras_read(file, &large->variables[index], &one, &value));
    ck_assert_float_eq(value, 4499999.0f);
    kpar_catalog_destroy(large);
}
END_TEST

START_TEST(whether_a_file_can_be_saved_is_known_before)
{
    ck_ok(kpar_keras_can_save(path_of("new.keras")));
    fails(kpar_keras_can_save(path_of("missing/new.keras")), KPAR_EIO, "missing");
    fails(kpar_keras_can_save(path_of("new.h5")), KPAR_EUSAGE, ".keras");
    ck_assert_int_eq(mkdir(path_of("folder.keras"), 0700), 0);
    fails(kpar_keras_can_save(path_of("folder.keras")), KPAR_EIO, "regular");
    rmdir(path_of("folder.keras"));
    ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

START_TEST(comparing_says_where_and_how_much)
{
    kpar_text text = {0};
    bool equal;
    ck_assert(same_weights(case_model("opt_adam"), case_model("opt_adam")));
    open_file(case_model("opt_resume"));
    save_copy(path_of("bare.keras"), false);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s", case_model("opt_resume"));
    ck_ok(kpar_keras_compare(path, path_of("bare.keras"), &text, &equal));
    ck_assert(!equal);
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "only in"));
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "equal, 0 different, "));
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "in one file only\n"));
    const char *second = strstr(kpar_text_get(&text), "optimizer/vars/2 "),
               *tenth = strstr(kpar_text_get(&text), "optimizer/vars/10 ");
    ck_assert(second && tenth && second < tenth);
    kpar_text_clear(&text);
    ck_ok(kpar_keras_compare(path, case_model("opt_sgd"), &text, &equal));
    ck_assert(!equal);
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "different"));
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "; the largest difference is "));
    kpar_text_clear(&text);
    ck_ok(kpar_keras_compare(path, path, &text, &equal));
    ck_assert(equal);
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), " arrays: all bits are equal\n"));
    kpar_text_clear(&text);
}
END_TEST

START_TEST(a_model_in_json_has_no_weights)
{
    size_t length;
    bool has_optimizer;
    write_file(path_of("model.json"), " {\"module\": \"keras.Sequential\"}", 31);
    open_file(path_of("model.json"));
    ck_assert(!kpar_keras_has_weights(file));
    ck_assert_ptr_nonnull(strstr(kpar_keras_config(file, &length), "Sequential"));
    ck_assert_uint_eq(length, 31);
    ck_ok(kpar_keras_verify(file));
    fails(kpar_keras_check_weights(file, catalog, &has_optimizer), KPAR_EUSAGE, "JSON");
}
END_TEST

START_TEST(other_files_are_refused_by_kind)
{
    write_file(path_of("a.h5"), "\x89HDF\r\n\x1a\n        ", 16);
    fails(kpar_keras_open(path_of("a.h5"), &file), KPAR_EFORMAT, "HDF5");
    write_file(path_of("a.txt"), "hello", 5);
    fails(kpar_keras_open(path_of("a.txt"), &file), KPAR_EFORMAT, "neither");
    write_file(path_of("empty"), "", 0);
    fails(kpar_keras_open(path_of("empty"), &file), KPAR_EFORMAT, "neither");
    fails(kpar_keras_open(path_of("absent"), &file), KPAR_EIO, "No such file");
    fails(kpar_keras_open(folder, &file), KPAR_EIO, "regular");
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(weights_of_another_model_are_named)
{
    bool has_optimizer;
    open_file(case_model("opt_resume"));
    kpar_catalog *other = mlp_catalog();
    other->variables[2].dims[0] = 17;
    fails(kpar_keras_check_weights(file, other, &has_optimizer), KPAR_EFORMAT, "layers/dense_1/vars/0");
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "expected shape (17, 16), found (16, 16)"));
    kpar_catalog_destroy(other);
    other = mlp_catalog();
    add(other, "layers/dense_3/vars/0", KPAR_VARIABLE_WEIGHT, 1, 5, 0);
    fails(kpar_keras_check_weights(file, other, &has_optimizer), KPAR_EFORMAT,
          "layers/dense_3/vars/0 is missing");
    kpar_catalog_destroy(other);
    other = mlp_catalog_without_last_bias();
    fails(kpar_keras_check_weights(file, other, &has_optimizer), KPAR_EFORMAT,
          "layers/dense_2/vars/1 belongs to no variable");
    kpar_catalog_destroy(other);
}
END_TEST

/* Opens, checks and reads all of a file; KPAR_OK only if everything went well. Values go to `values`. */
static kpar_status read_everything(const char *path, float *values)
{
    kpar_keras_file *opened;
    bool has_optimizer;
    KPAR_TRY(kpar_keras_open(path, &opened));
    kpar_status status = kpar_keras_check_weights(opened, catalog, &has_optimizer);
    for (int i = 0; status == KPAR_OK && i < 6; i++) {
        kpar_slice all = kpar_variable_whole(&catalog->variables[i]);
        status = kpar_keras_read(opened, &catalog->variables[i], &all, values);
        values += kpar_count(all.rank, all.size);
    }
    if (status == KPAR_OK) status = kpar_keras_verify(opened);
    kpar_keras_close(opened);
    return status;
}

enum { VALUES = 12 * 16 + 16 + 16 * 16 + 16 + 16 * 5 + 5 };

START_TEST(a_file_cut_anywhere_is_an_error)
{
    size_t length;
    float values[VALUES];
    char *bytes = read_file(case_model("opt_resume"), &length);
    for (size_t cut = 0; cut < length; cut += 211) {
        write_file(path_of("cut.keras"), bytes, cut);
        ck_assert_int_ne(read_everything(path_of("cut.keras"), values), KPAR_OK);
    }
    free(bytes);
}
END_TEST

/* How far apart the flipped bytes are; every byte takes a minute. */
#ifndef FLIP_STRIDE
#define FLIP_STRIDE 41
#endif

START_TEST(a_flipped_bit_never_changes_weights_unseen)
{
    size_t length;
    float expected[VALUES], values[VALUES];
    char *bytes = read_file(case_model("opt_resume"), &length);
    ck_ok(read_everything(case_model("opt_resume"), expected));
    for (size_t i = 0; i < length; i += FLIP_STRIDE) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        write_file(path_of("flipped.keras"), bytes, length);
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        if (read_everything(path_of("flipped.keras"), values) == KPAR_OK)
            ck_assert_mem_eq(values, expected, sizeof values);
    }
    free(bytes);
}
END_TEST

/* Writes a little-endian size over the central directory's and the local header's of the first entry. */
static void declare_size(char *bytes, size_t length, uint32_t size)
{
    for (size_t i = 0; i + 46 < length; i++) {
        bool central = memcmp(bytes + i, "PK\1\2", 4) == 0, local = memcmp(bytes + i, "PK\3\4", 4) == 0;
        if (central || local) memcpy(bytes + i + (central ? 24 : 22), &size, sizeof size);
    }
}

START_TEST(archives_that_declare_gigabytes_are_refused_before_unpacking)
{
    static const char *const names[] = {"config.json"};
    char text[] = "{\"class_name\": \"Sequential\", \"config\": {\"class_name\": \"Sequential\"}}",
         *const entries[] = {text};
    const size_t lengths[] = {sizeof text - 1};
    for (int deflate = 0; deflate < 2; deflate++) {
        size_t length;
        make_zip(path_of("bomb.keras"), names, entries, lengths, 1, deflate);
        char *bytes = read_file(path_of("bomb.keras"), &length);
        declare_size(bytes, length, UINT32_C(4000000000));
        write_file(path_of("bomb.keras"), bytes, length);
        fails(kpar_keras_open(path_of("bomb.keras"), &file), KPAR_EFORMAT,
              "config.json declares 4000000000 bytes");
        free(bytes);
    }
}
END_TEST

/* An archive around an HDF5 file that `fill` makes at layers/dense. */
static void make_weights(const char *path, void (*fill)(hid_t group))
{
    static const char *const names[] = {"config.json", "model.weights.h5"};
    char *bytes[2] = {strdup("{}")};
    size_t lengths[2] = {2};
    hid_t h5 = H5Fcreate(path_of("weights.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t layers = H5Gcreate2(h5, "layers", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t dense = H5Gcreate2(layers, "dense", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t vars = H5Gcreate2(dense, "vars", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    fill(vars);
    H5Gclose(vars);
    H5Gclose(dense);
    H5Gclose(layers);
    H5Fclose(h5);
    bytes[1] = read_file(path_of("weights.h5"), &lengths[1]);
    make_zip(path, names, bytes, lengths, 2, false);
    free(bytes[0]);
    free(bytes[1]);
}

static void huge_dataset(hid_t group)
{
    const hsize_t dims[] = {1 << 20, 1 << 20}, chunk[] = {16, 16};
    hid_t space = H5Screate_simple(2, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2, chunk);
    H5Dclose(H5Dcreate2(group, "0", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
}

static void external_dataset(hid_t group)
{
    const hsize_t dims[] = {4};
    hid_t space = H5Screate_simple(1, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/passwd", 0, 16);
    H5Dclose(H5Dcreate2(group, "0", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
}

static void outward_link(hid_t group)
{
    H5Lcreate_external("/tmp/other.h5", "/x", group, "0", H5P_DEFAULT, H5P_DEFAULT);
}

static void text_dataset(hid_t group)
{
    const hsize_t dims[] = {4};
    hid_t space = H5Screate_simple(1, dims, NULL);
    H5Dclose(H5Dcreate2(group, "0", H5T_C_S1, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}

START_TEST(weights_that_lie_or_lead_elsewhere_are_refused)
{
    static const struct {
        void (*fill)(hid_t);
        kpar_status status;
        const char *word;
    } cases[] = {
        {huge_dataset, KPAR_EFORMAT, "declares 4398046511104 bytes"},
        {external_dataset, KPAR_EFORMAT, "other files"},
        {outward_link, KPAR_EFORMAT, "link to elsewhere"},
        {text_dataset, KPAR_EUNSUPPORTED, "numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool has_optimizer;
        make_weights(path_of("lie.keras"), cases[i].fill);
        open_file(path_of("lie.keras"));
        fails(kpar_keras_check_weights(file, catalog, &has_optimizer), cases[i].status, cases[i].word);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keras_files");
    TCase *tests = tcase_create("files");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, optimizer_state_is_found_where_it_fits);
    tcase_add_test(tests, state_of_another_optimizer_is_not_used);
    tcase_add_test(tests, the_reference_models_are_described);
    tcase_add_test(tests, a_slice_is_that_part_of_the_whole);
    tcase_add_test(tests, entries_may_stand_in_any_order_and_be_deflated);
    tcase_add_test(tests, what_is_saved_reads_back_the_same);
    tcase_add_test(tests, a_fixed_date_gives_the_same_bytes);
    tcase_add_test(tests, a_failed_write_leaves_the_old_file);
    tcase_add_test(tests, a_failed_fetch_leaves_the_old_file);
    tcase_add_test(tests, large_variables_are_asked_for_in_slices);
    tcase_add_test(tests, whether_a_file_can_be_saved_is_known_before);
    tcase_add_test(tests, comparing_says_where_and_how_much);
    tcase_add_test(tests, a_model_in_json_has_no_weights);
    tcase_add_test(tests, other_files_are_refused_by_kind);
    tcase_add_test(tests, weights_of_another_model_are_named);
    tcase_add_test(tests, a_file_cut_anywhere_is_an_error);
    tcase_add_test(tests, a_flipped_bit_never_changes_weights_unseen);
    tcase_add_test(tests, archives_that_declare_gigabytes_are_refused_before_unpacking);
    tcase_add_test(tests, weights_that_lie_or_lead_elsewhere_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
