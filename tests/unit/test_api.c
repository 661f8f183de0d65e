/* The C API's context and collectives, on ranks that are threads of this process, and what wrong arguments get. */
#include "api/versioned.h"
#include "api_ranks.h"
#include "unit.h"

#include <limits.h>
#include <math.h>

static void run_all_sizes(rank_function run)
{
    for (int n = 1; n <= MOST_RANKS; n++) run_ranks(n, run);
}

/* --- the context --- */

static void ranks_are_numbered(kpar_context *context, char *failure)
{
    EXPECT(kpar_rank(context) >= 0 && kpar_rank(context) < kpar_size(context));
    EXPECT(kpar_local_rank(context) == kpar_rank(context) && kpar_local_size(context) == kpar_size(context));
    EXPECT(kpar_barrier(context) == KPAR_OK);
}

START_TEST(ranks_know_their_number_and_their_node) { run_all_sizes(ranks_are_numbered); }
END_TEST

START_TEST(a_null_context_is_no_crash)
{
    kpar_handle *handle;
    int number = 0;
    ck_assert_int_eq(kpar_rank(NULL), -1);
    ck_assert_int_eq(kpar_size(NULL), -1);
    ck_assert_int_eq(kpar_local_rank(NULL), -1);
    ck_assert_int_eq(kpar_local_size(NULL), -1);
    ck_assert_int_eq(kpar_finalize(NULL), KPAR_OK);
    ck_assert_int_eq(kpar_init(NULL), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_barrier(NULL), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_broadcast(NULL, &number, 1, KPAR_INT32, 0), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_gather(NULL, &number, &number, 1, KPAR_INT32), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_reduce(NULL, &number, 1, KPAR_INT32, KPAR_SUM), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_reduce_async(NULL, &number, 1, KPAR_INT32, KPAR_SUM, &handle), KPAR_EUSAGE);
    ck_assert_ptr_null(handle);
    ck_assert_str_eq(kpar_error_message(),
                     "kpar_all_reduce: the context is NULL; expected one from kpar_init");
}
END_TEST

static void finalizing_waits_for_handles(kpar_context *context, char *failure)
{
    int number = 1;
    kpar_handle *handle;
    EXPECT(kpar_all_reduce_async(context, &number, 1, KPAR_INT32, KPAR_SUM, &handle) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "1 collectives are not waited for", kpar_finalize(context));
    EXPECT(kpar_wait(&handle) == KPAR_OK && !handle && number == kpar_size(context));
}

START_TEST(finalizing_with_a_handle_under_way_is_refused) { run_ranks(2, finalizing_waits_for_handles); }
END_TEST

/* --- collectives --- */

/* Element i of rank r, small enough for every type. */
static double element(int rank, size_t i) { return (double)(rank + 1 + (int)(i % 5)); }

static double reduced(kpar_operation operation, int size, size_t i)
{
    const double sum = size * (size + 1) / 2.0 + size * (double)(i % 5);
    switch (operation) {
    case KPAR_SUM:
        return sum;
    case KPAR_AVERAGE:
        return sum / size;
    case KPAR_MINIMUM:
        return element(0, i);
    default:
        return element(size - 1, i);
    }
}

static const kpar_dtype dtypes[] = {KPAR_F32, KPAR_F64, KPAR_F16, KPAR_BF16, KPAR_I8,  KPAR_I16,
                                    KPAR_I32, KPAR_I64, KPAR_U8,  KPAR_U16,  KPAR_U32, KPAR_U64};
enum { TYPES = sizeof dtypes / sizeof dtypes[0], MOST = 23 };

static bool is_integer(kpar_data_type type) { return type >= KPAR_INT8; }

static void fill(void *buffer, kpar_data_type type, size_t count, int rank)
{
    double values[MOST];
    for (size_t i = 0; i < count; i++) values[i] = element(rank, i);
    kpar_convert(buffer, dtypes[type], values, KPAR_F64, count);
}

static bool is_reduced(const void *buffer, kpar_data_type type, size_t count, int size,
                       kpar_operation operation)
{
    double values[MOST], expected[MOST];
    unsigned char bytes[MOST * 8];
    for (size_t i = 0; i < count; i++) values[i] = reduced(operation, size, i);
    kpar_convert(bytes, dtypes[type], values, KPAR_F64,
                 count); /* an average of 3 has a rounding of its own */
    kpar_convert(expected, KPAR_F64, bytes, dtypes[type], count);
    kpar_convert(values, KPAR_F64, buffer, dtypes[type], count);
    for (size_t i = 0; i < count; i++)
        if (fabs(values[i] - expected[i]) > 1e-2 * (operation == KPAR_AVERAGE)) return false;
    return true;
}

static void all_types_reduce(kpar_context *context, char *failure)
{
    _Alignas(16) unsigned char buffer[MOST * 8];
    for (int type = 0; type < TYPES; type++)
        for (int operation = KPAR_SUM; operation <= KPAR_MAXIMUM; operation++) {
            if (operation == KPAR_AVERAGE && is_integer((kpar_data_type)type)) continue;
            fill(buffer, (kpar_data_type)type, MOST, kpar_rank(context));
            EXPECT(kpar_all_reduce(context, buffer, MOST, (kpar_data_type)type, (kpar_operation)operation) ==
                   KPAR_OK);
            EXPECT(is_reduced(buffer, (kpar_data_type)type, MOST, kpar_size(context),
                              (kpar_operation)operation));
        }
}

START_TEST(every_type_is_summed_averaged_and_compared) { run_all_sizes(all_types_reduce); }
END_TEST

static void pieces_reduce(kpar_context *context, char *failure)
{
    _Alignas(16) unsigned char buffer[MOST * 8];
    for (size_t most = 1; most <= MOST + 1; most++) {
        context->most_elements = most;
        fill(buffer, KPAR_BFLOAT16, MOST, kpar_rank(context));
        EXPECT(kpar_all_reduce(context, buffer, MOST, KPAR_BFLOAT16, KPAR_SUM) == KPAR_OK);
        EXPECT(is_reduced(buffer, KPAR_BFLOAT16, MOST, kpar_size(context), KPAR_SUM));
    }
}

START_TEST(long_buffers_go_in_pieces) { run_all_sizes(pieces_reduce); }
END_TEST

static void handles_in_any_order(kpar_context *context, char *failure)
{
    enum { N = 8 };
    int numbers[N];
    kpar_handle *handles[N];
    for (int i = 0; i < N; i++) {
        numbers[i] = kpar_rank(context) + i;
        EXPECT(kpar_all_reduce_async(context, &numbers[i], 1, KPAR_INT32, KPAR_MAXIMUM, &handles[i]) ==
               KPAR_OK);
    }
    const bool backwards = kpar_rank(context) % 2;
    for (int i = 0; i < N; i++) {
        const int k = backwards ? N - 1 - i : i;
        bool done = false;
        while (!done) EXPECT(kpar_test(&handles[k], &done) == KPAR_OK);
        EXPECT(!handles[k] && numbers[k] == kpar_size(context) - 1 + k);
    }
    bool done = false;
    EXPECT(kpar_test(&handles[0], &done) == KPAR_OK && done && kpar_wait(&handles[0]) == KPAR_OK);
}

START_TEST(collectives_are_started_in_order_and_waited_for_in_any) { run_all_sizes(handles_in_any_order); }
END_TEST

static bool is_gathered(const int16_t *all, size_t count, int size)
{
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < count; i++)
            if (all[(size_t)r * count + i] != (int16_t)element(r, i)) return false;
    return true;
}

static void gathering(kpar_context *context, char *failure)
{
    int16_t own[MOST], all[MOST * MOST_RANKS];
    const int rank = kpar_rank(context), size = kpar_size(context);
    fill(own, KPAR_INT16, MOST, rank);
    EXPECT(kpar_all_gather(context, own, all, MOST, KPAR_INT16) == KPAR_OK && is_gathered(all, MOST, size));
    memset(all, 0, sizeof all);
    fill(all + rank * MOST, KPAR_INT16, MOST, rank);
    EXPECT(kpar_all_gather(context, all + rank * MOST, all, MOST, KPAR_INT16) == KPAR_OK &&
           is_gathered(all, MOST, size));
}

START_TEST(every_rank_gathers_the_parts_of_all) { run_all_sizes(gathering); }
END_TEST

static void broadcasting(kpar_context *context, char *failure)
{
    for (int root = 0; root < kpar_size(context); root++) {
        double values[3] = {0};
        if (kpar_rank(context) == root) fill(values, KPAR_FLOAT64, 3, root);
        EXPECT(kpar_broadcast(context, values, 3, KPAR_FLOAT64, root) == KPAR_OK);
        for (size_t i = 0; i < 3; i++) EXPECT(values[i] == element(root, i));
    }
}

START_TEST(every_rank_can_be_the_root_of_a_broadcast) { run_all_sizes(broadcasting); }
END_TEST

static void nothing_at_all(kpar_context *context, char *failure)
{
    EXPECT(kpar_all_reduce(context, NULL, 0, KPAR_FLOAT16, KPAR_AVERAGE) == KPAR_OK);
    EXPECT(kpar_all_gather(context, NULL, NULL, 0, KPAR_INT8) == KPAR_OK);
    EXPECT(kpar_broadcast(context, NULL, 0, KPAR_INT8, 0) == KPAR_OK);
}

START_TEST(a_count_of_zero_is_fine) { run_all_sizes(nothing_at_all); }
END_TEST

static void wrong_collectives(kpar_context *context, char *failure)
{
    int number = 7, all[MOST_RANKS];
    kpar_handle *handle = NULL;
    const size_t huge = SIZE_MAX / 2;
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_reduce(context, NULL, 1, KPAR_INT32, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "type 12 is none",
                 kpar_all_reduce(context, &number, 1, (kpar_data_type)12, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "type -1 is none",
                 kpar_all_reduce(context, &number, 1, (kpar_data_type)-1, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "operation 4 is none",
                 kpar_all_reduce(context, &number, 1, KPAR_INT32, (kpar_operation)4));
    EXPECT_ERROR(KPAR_EUNSUPPORTED, "average of int32",
                 kpar_all_reduce(context, &number, 1, KPAR_INT32, KPAR_AVERAGE));
    EXPECT_ERROR(KPAR_EUSAGE, "more than there is memory",
                 kpar_all_reduce(context, &number, huge, KPAR_INT32, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "place for the handle",
                 kpar_all_reduce_async(context, &number, 1, KPAR_INT32, KPAR_SUM, NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_gather(context, &number, NULL, 1, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_gather(context, NULL, all, 1, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "place for the handle",
                 kpar_all_gather_async(context, &number, all, 1, KPAR_INT32, NULL));
    EXPECT_ERROR(KPAR_EUNSUPPORTED, "can be gathered at once",
                 kpar_all_gather(context, &number, all, INT_MAX, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "root 2", kpar_broadcast(context, &number, 1, KPAR_INT32, 2));
    EXPECT_ERROR(KPAR_EUSAGE, "root -1", kpar_broadcast(context, &number, 1, KPAR_INT32, -1));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_broadcast(context, NULL, 1, KPAR_INT32, 0));
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_wait", kpar_wait(NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_test", kpar_test(&handle, NULL));
    EXPECT(number == 7 && kpar_wait(&handle) == KPAR_OK);
}

START_TEST(wrong_arguments_of_collectives_are_told_before_anything_is_sent)
{
    run_ranks(2, wrong_collectives);
}
END_TEST

/* --- structs that grow --- */

typedef struct grown {
    size_t struct_bytes;
    int first, second;
} grown;
static const grown grown_defaults = {.first = 1, .second = 2};
static const kpar_versioned grown_kind = {"grown", &grown_defaults, sizeof grown_defaults};

START_TEST(a_struct_of_an_older_header_leaves_the_rest_at_its_default)
{
    grown given = {0}, own;
    memset(&given, 0xff, sizeof given);
    kpar_versioned_init(&grown_kind, &given, offsetof(grown, second));
    ck_assert_int_eq(given.second, -1); /* not the library's to touch */
    given.first = 5;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_OK);
    ck_assert_int_eq(own.first, 5);
    ck_assert_int_eq(own.second, 2);
}
END_TEST

START_TEST(a_struct_of_a_newer_header_is_taken_unless_it_sets_what_is_new)
{
    struct {
        grown known;
        int third;
    } given;
    grown own;
    kpar_versioned_init(&grown_kind, &given, sizeof given);
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_OK);
    ck_assert_int_eq(own.second, 2);
    given.third = 1;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
}
END_TEST

START_TEST(a_struct_that_was_not_initialized_is_told)
{
    grown given = {0}, own;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
    ck_assert_str_eq(kpar_error_message(), "grown: struct_bytes is 0; call grown_init on it first");
    given.struct_bytes = SIZE_MAX;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api");
    TCase *tests = tcase_create("api");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, ranks_know_their_number_and_their_node);
    tcase_add_test(tests, a_null_context_is_no_crash);
    tcase_add_test(tests, finalizing_with_a_handle_under_way_is_refused);
    tcase_add_test(tests, every_type_is_summed_averaged_and_compared);
    tcase_add_test(tests, long_buffers_go_in_pieces);
    tcase_add_test(tests, collectives_are_started_in_order_and_waited_for_in_any);
    tcase_add_test(tests, every_rank_gathers_the_parts_of_all);
    tcase_add_test(tests, every_rank_can_be_the_root_of_a_broadcast);
    tcase_add_test(tests, a_count_of_zero_is_fine);
    tcase_add_test(tests, wrong_arguments_of_collectives_are_told_before_anything_is_sent);
    tcase_add_test(tests, a_struct_of_an_older_header_leaves_the_rest_at_its_default);
    tcase_add_test(tests, a_struct_of_a_newer_header_is_taken_unless_it_sets_what_is_new);
    tcase_add_test(tests, a_struct_that_was_not_initialized_is_told);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
