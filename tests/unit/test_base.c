/* Status, memory, text, numbers, hashing, random numbers. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/number.h"
#include "base/philox.h"
#include "base/room.h"
#include "base/text.h"
#include "unit.h"

#include <check.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(every_status_has_a_name_and_a_text)
{
    for (int i = 0; i <= KPAR_EINTERNAL; i++) {
        ck_assert_str_ne(kpar_status_name((kpar_status)i), "unknown");
        ck_assert_str_ne(kpar_status_text((kpar_status)i), "unknown status");
    }
    ck_assert_str_eq(kpar_status_name(KPAR_EFORMAT), "EFORMAT");
    ck_assert_str_eq(kpar_status_name((kpar_status)99), "unknown");
}
END_TEST

START_TEST(a_failure_keeps_its_message_and_takes_prefixes)
{
    ck_assert_int_eq(kpar_fail(KPAR_EIO, "%s: expected %d bytes", "a.npz", 7), KPAR_EIO);
    ck_assert_str_eq(kpar_error_message(), "a.npz: expected 7 bytes");
    ck_assert_int_eq(kpar_fail_in(KPAR_EDATA, "rank %d", 3), KPAR_EDATA);
    ck_assert_str_eq(kpar_error_message(), "rank 3: a.npz: expected 7 bytes");
    ck_assert_int_eq(kpar_fail(KPAR_EIO, "again: %s", kpar_error_message()), KPAR_EIO);
    ck_assert_str_eq(kpar_error_message(), "again: rank 3: a.npz: expected 7 bytes");
}
END_TEST

START_TEST(a_message_is_one_printable_line)
{
    ck_assert_int_eq(kpar_fail(KPAR_EFORMAT, "found '%s'", "a\nb\033[1m\177\303\251"), KPAR_EFORMAT);
    ck_assert_int_eq(kpar_fail_in(KPAR_EFORMAT, "layer '%s'", "x\ty"), KPAR_EFORMAT);
    ck_assert_str_eq(kpar_error_message(), "layer 'x?y': found 'a?b?[1m?\303\251'");
}
END_TEST

START_TEST(overlong_messages_are_cut_at_their_end)
{
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(kpar_fail(KPAR_EIO, "%s", longer), KPAR_EIO);
    ck_assert_int_eq(kpar_fail_in(KPAR_EIO, "%s", "prefix"), KPAR_EIO);
    ck_assert_int_eq(strncmp(kpar_error_message(), "prefix: xxxx", 12), 0);
    ck_assert_int_eq(kpar_fail_in(KPAR_EIO, "%s", longer), KPAR_EIO);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "x: prefix: xxxx"));
}
END_TEST

static kpar_status fail_third(int *calls) { return ++*calls == 3 ? kpar_fail(KPAR_EDATA, "third") : KPAR_OK; }

static kpar_status try_five(int *calls)
{
    for (int i = 0; i < 5; i++) KPAR_TRY(fail_third(calls));
    return KPAR_OK;
}

START_TEST(try_returns_at_the_first_failure)
{
    int calls = 0;
    ck_assert_int_eq(try_five(&calls), KPAR_EDATA);
    ck_assert_int_eq(calls, 3);
}
END_TEST

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i]) return false;
    return true;
}

START_TEST(blocks_are_counted)
{
    size_t live = kpar_alloc_live(), total = kpar_alloc_total();
    void *aligned;
    char *text = kpar_strdup("text"), *more = kpar_realloc(NULL, 10);
    ck_assert_int_eq(kpar_try_alloc(100, "a test", &aligned), KPAR_OK);
    ck_assert_uint_eq((uintptr_t)aligned % 64, 0);
    ck_assert(all_zero(aligned, 100));
    ck_assert_uint_eq(kpar_alloc_live(), live + 3);
    more = kpar_realloc(more, 20);
    ck_assert_uint_eq(kpar_alloc_live(), live + 3);
    ck_assert_uint_eq(kpar_alloc_total(), total + 4);
    kpar_free(text);
    kpar_free(more);
    kpar_free(NULL);
    kpar_free_aligned(aligned);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}
END_TEST

START_TEST(memory_that_cannot_be_had_is_an_error_with_its_purpose)
{
    void *block = &block;
    ck_assert_int_eq(kpar_try_alloc(SIZE_MAX, "the arena", &block), KPAR_ENOMEM);
    ck_assert_ptr_null(block);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "the arena"));
    size_t product;
    ck_assert(kpar_multiply(1 << 20, 1 << 20, &product) && product == (size_t)1 << 40);
    ck_assert(!kpar_multiply(SIZE_MAX, 2, &product));
}
END_TEST

START_TEST(growing_arrays_keep_their_elements)
{
    int *items = NULL;
    size_t count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++) KPAR_PUSH(items, count, capacity) = i * i;
    ck_assert_uint_eq(count, 1000);
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(items[i], i * i);
    kpar_free(items);
}
END_TEST

START_TEST(an_arena_gives_zeroed_aligned_blocks_and_frees_them_at_once)
{
    size_t live = kpar_alloc_live();
    kpar_arena *arena = kpar_arena_create();
    for (size_t bytes = 0; bytes < 200000; bytes = bytes * 2 + 1) {
        unsigned char *block = kpar_arena_alloc(arena, bytes);
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        ck_assert(all_zero(block, bytes));
        memset(block, 0xFF, bytes);
    }
    ck_assert_str_eq(kpar_arena_printf(arena, "%s-%d", "layer", 12), "layer-12");
    ck_assert_str_eq(kpar_arena_strdup(arena, ""), "");
    kpar_arena_destroy(arena);
    kpar_arena_destroy(NULL);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}
END_TEST

START_TEST(text_grows_and_is_usable_after_it_was_cleared)
{
    kpar_text text = {0};
    ck_assert_str_eq(kpar_text_get(&text), "");
    for (int i = 0; i < 1000; i++) kpar_text_printf(&text, "%d,", i % 10);
    ck_assert_uint_eq(text.length, 2000);
    kpar_text_append(&text, "end\0hidden", 3);
    ck_assert_str_eq(kpar_text_get(&text) + 1996, "8,9,end");
    kpar_text_clear(&text);
    kpar_text_printf(&text, "%s", "again");
    ck_assert_str_eq(kpar_text_get(&text), "again");
    kpar_text_clear(&text);
}
END_TEST

static void check_number(double value, const char *expected)
{
    kpar_text text = {0};
    kpar_text_number(&text, value);
    if (expected) ck_assert_str_eq(kpar_text_get(&text), expected);
    double back = 42;
    ck_assert(kpar_parse_whole_number(kpar_text_get(&text), &back));
    ck_assert_msg(isnan(value) ? isnan(back) : back == value, "%s reads back as %.17g", kpar_text_get(&text),
                  back);
    kpar_text_clear(&text);
}

START_TEST(numbers_are_short_and_read_back_to_the_bit)
{
    check_number(0.1, "0.1");
    check_number(100, "100");
    check_number(-0.0, "-0");
    check_number(1e-7, "1e-07");
    check_number(INFINITY, "inf");
    check_number(-INFINITY, "-inf");
    check_number(-(double)NAN, "nan");
    check_number(1.0 / 3, NULL);
    check_number(0.1 + 0.2, NULL);
    check_number(DBL_MAX, NULL);
    check_number(5e-324, NULL);
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
    static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    char *before = kpar_strdup(setlocale(LC_ALL, NULL));
    for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++)
        if (setlocale(LC_ALL, with_comma[i])) break;
    check_number(0.5, "0.5"); /* whichever of them the machine has */
    setlocale(LC_ALL, before);
    kpar_free(before);
}
END_TEST

START_TEST(what_is_not_quite_a_number_is_refused)
{
    static const char *const bad[] = {"", " 1", "1 ", "x", "1,5", "1.5.2", "--1", "."};
    double number;
    long long integer;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!kpar_parse_whole_number(bad[i], &number), "'%s' is taken for a number", bad[i]);
        ck_assert_msg(!kpar_parse_whole_integer(bad[i], &integer), "'%s' is taken for an integer", bad[i]);
    }
    ck_assert(!kpar_parse_whole_integer("1.0", &integer));
    ck_assert(!kpar_parse_whole_integer("9223372036854775808", &integer));
    ck_assert(kpar_parse_whole_integer("-9223372036854775808", &integer) && integer == INT64_MIN);
    const char *end = "untouched";
    ck_assert(!kpar_parse_number("%3", &end, &number));
    ck_assert_str_eq(end, "untouched");
    ck_assert(kpar_parse_number("1e-3; rest", &end, &number) && number == 1e-3);
    ck_assert_str_eq(end, "; rest");
}
END_TEST

START_TEST(names_are_numbered_and_found)
{
    kpar_names names = {0};
    char texts[1000][8];
    ck_assert_int_eq(kpar_names_find(&names, "0"), -1);
    for (int i = 0; i < 1000; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", i);
        ck_assert_int_eq(kpar_names_add(&names, texts[i]), i);
    }
    for (int i = 0; i < 1000; i++) {
        char again[8];
        snprintf(again, sizeof again, "%d", i);
        ck_assert_int_eq(kpar_names_find(&names, again), i);
        ck_assert_int_eq(kpar_names_add(&names, again), i);
    }
    ck_assert_int_eq(kpar_names_find(&names, "1000"), -1);
    ck_assert_uint_eq(names.n, 1000);
    ck_assert_ptr_eq(names.texts[7], texts[7]);
    kpar_names_clear(&names);
    ck_assert_int_eq(kpar_names_find(&names, "7"), -1);
}
END_TEST

static int sign(int x) { return (x > 0) - (x < 0); }

START_TEST(digits_are_ordered_as_numbers)
{
    static const char *const ordered[] = {
        "",        "dense/vars/2", "dense/vars/10", "dense_02",
        "dense_2", "dense_10",     "dense_10_1",    "dense_99999999999999999999999",
        "dense_a"};
    const size_t n = sizeof ordered / sizeof *ordered;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const int expected = (i > j) - (i < j), found = sign(kpar_natural_order(ordered[i], ordered[j]));
            ck_assert_msg(expected == found, "'%s', '%s': %d", ordered[i], ordered[j], found);
        }
}
END_TEST

START_TEST(philox_gives_the_known_answers_of_random123)
{
    static const struct {
        uint64_t key, low, high;
        uint32_t words[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {UINT64_C(0x299f31d0a4093822),
         UINT64_C(0x85a308d3243f6a88),
         UINT64_C(0x0370734413198a2e),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t words[4];
        kpar_philox(known[i].key, known[i].low, known[i].high, words);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(words[w], known[i].words[w]);
    }
}
END_TEST

START_TEST(a_stream_of_words_is_philox_by_fours)
{
    for (uint64_t index = 0; index < 40; index++) {
        uint32_t words[4];
        kpar_philox(11, index / 4, 22, words);
        ck_assert_uint_eq(kpar_philox_word(11, 22, index), words[index % 4]);
    }
}
END_TEST

START_TEST(words_become_units_below_one)
{
    ck_assert_double_eq(kpar_unit_from_word(0), 0);
    ck_assert_double_eq(kpar_unit_from_word(UINT32_MAX), 1 - 0x1p-24);
    ck_assert_double_eq(kpar_unit_from_word(UINT32_C(1) << 31), 0.5);
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) sum += kpar_unit_from_word(kpar_philox_word(5, 0, i));
    ck_assert_double_eq_tol(sum / 10000, 0.5, 0.02);
}
END_TEST

START_TEST(keys_tell_seeds_and_names_apart)
{
    ck_assert_uint_ne(kpar_philox_key(1, "dense"), kpar_philox_key(1, "dense_1"));
    ck_assert_uint_ne(kpar_philox_key(1, "dense"), kpar_philox_key(2, "dense"));
    ck_assert_uint_eq(kpar_philox_key(1, "dense"), kpar_philox_key(1, "dense"));
}
END_TEST

START_TEST(the_hash_is_fnv_1a_and_can_be_continued)
{
    ck_assert_uint_eq(kpar_hash(KPAR_HASH_START, "foobar", 6), UINT64_C(0x85944171f73967e8));
    ck_assert_uint_eq(kpar_hash(kpar_hash(KPAR_HASH_START, "foo", 3), "bar", 3),
                      UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(the_clock_does_not_go_back)
{
    double before = kpar_seconds();
    ck_assert_double_ge(kpar_seconds(), before);
}
END_TEST

static void put(const char *name, const char *text)
{
    char command[PATH_BYTES * 2];
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path_of(name));
    ck_assert_int_eq(system(command), 0);
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static size_t room_of(const char *groups)
{
    put("groups", groups);
    return kpar_room_groups(path_of("groups"), path_of("sys")).bytes;
}

/* A group's own limit and those around it; what only caches files is free. */
START_TEST(the_room_of_a_control_group_is_what_all_around_it_leave)
{
    make_folder();
    put("sys/job/memory.max", "1000000\n");
    put("sys/job/memory.current", "300000\n");
    put("sys/job/memory.stat", "anon 150000\nactive_file 50000\ninactive_file 100000\n");
    put("sys/job/step/memory.max", "max\n");
    put("sys/job/step/memory.current", "200000\n");
    put("sys/job/tight/memory.max", "250000\n");
    put("sys/job/tight/memory.current", "200000\n");
    put("sys/job/full/memory.max", "100\n");
    put("sys/job/full/memory.current", "200\n");
    put("sys/memory/box/memory.limit_in_bytes", "700000\n");
    put("sys/memory/box/memory.usage_in_bytes", "600000\n");
    put("sys/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 200000\n");
    ck_assert_uint_eq(room_of("0::/job\n"), 800000);
    ck_assert_uint_eq(room_of("0::/job/step\n"), 800000);
    ck_assert_uint_eq(room_of("0::/job/tight\n"), 50000);
    ck_assert_uint_eq(room_of("0::/job/full\n"), 0);
    ck_assert_uint_eq(room_of("10:cpu:/job/full\n4:memory:/box/unknown\n0::/\n"), 300000);
    ck_assert_uint_eq(room_of("4:memory:/\n0::/\n"), SIZE_MAX);
    put("sys/memory/memory.limit_in_bytes",
        "1234\n"); /* of a container, which knows itself as another group */
    ck_assert_uint_eq(room_of("4:memory:/outside/of/it\n"), 1234);
    ck_assert_str_eq(kpar_room_groups(path_of("groups"), path_of("sys")).limit,
                     "the limit of its control group");
    remove_folder();
}
END_TEST

START_TEST(the_room_of_a_process_is_what_its_limits_leave)
{
    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &before), 0);
    limit = (struct rlimit){.rlim_cur = (rlim_t)1 << 47, .rlim_max = before.rlim_max};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) return; /* a lower one is set already */
    const kpar_room room = kpar_room_process();
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &before), 0);
    ck_assert_uint_lt(room.bytes, (size_t)1 << 47);
    ck_assert_uint_gt(room.bytes, (size_t)1 << 46);
    ck_assert_ptr_nonnull(strstr(room.limit, "ulimit -d"));
}
END_TEST

START_TEST(the_peak_grows_with_memory_that_is_touched)
{
    enum { BYTES = 64 << 20 };
    const size_t before = kpar_room_peak();
    void *block;
    ck_assert_int_eq(kpar_try_alloc(BYTES, "a test", &block), KPAR_OK);
    kpar_free_aligned(block);
    ck_assert_uint_ge(kpar_room_peak(), before + BYTES / 2);
    ck_assert_uint_lt(kpar_room_peak(), before + 2 * (size_t)BYTES);
    ck_assert_uint_gt(kpar_room_machine().bytes, BYTES);
}
END_TEST

/* What `say` writes to standard error. */
static size_t captured(void (*say)(void), char *bytes, size_t capacity)
{
    int ends[2], saved = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    say();
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t length = read(ends[0], bytes, capacity - 1);
    close(ends[0]);
    close(saved);
    ck_assert(length >= 0);
    bytes[length] = '\0';
    return (size_t)length;
}

static void say_hello(void)
{
    kpar_log_program("kpar_test");
    kpar_log("hello %d", 7);
    kpar_log_error("no 100% sure");
    kpar_log_program("kpar");
}

static void say_much(void)
{
    char longer[6000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    kpar_log("%s", longer);
}

START_TEST(log_lines_begin_with_the_program_and_end_once)
{
    char bytes[8192];
    captured(say_hello, bytes, sizeof bytes);
    ck_assert_str_eq(bytes, "kpar_test: hello 7\nkpar_test: no 100% sure\n");
    size_t length = captured(say_much, bytes, sizeof bytes);
    ck_assert_uint_lt(length, 6000);
    ck_assert_int_eq(bytes[length - 1], '\n');
    ck_assert_int_eq(bytes[length - 2], 'x');
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_status_has_a_name_and_a_text,
        a_failure_keeps_its_message_and_takes_prefixes,
        a_message_is_one_printable_line,
        overlong_messages_are_cut_at_their_end,
        try_returns_at_the_first_failure,
        blocks_are_counted,
        memory_that_cannot_be_had_is_an_error_with_its_purpose,
        growing_arrays_keep_their_elements,
        an_arena_gives_zeroed_aligned_blocks_and_frees_them_at_once,
        text_grows_and_is_usable_after_it_was_cleared,
        numbers_are_short_and_read_back_to_the_bit,
        numbers_do_not_depend_on_the_locale,
        what_is_not_quite_a_number_is_refused,
        names_are_numbered_and_found,
        digits_are_ordered_as_numbers,
        philox_gives_the_known_answers_of_random123,
        a_stream_of_words_is_philox_by_fours,
        words_become_units_below_one,
        keys_tell_seeds_and_names_apart,
        the_hash_is_fnv_1a_and_can_be_continued,
        the_clock_does_not_go_back,
        the_room_of_a_control_group_is_what_all_around_it_leave,
        the_room_of_a_process_is_what_its_limits_leave,
        the_peak_grows_with_memory_that_is_touched,
        log_lines_begin_with_the_program_and_end_once,
    };
    Suite *suite = suite_create("base");
    TCase *all = tcase_create("base");
    tcase_set_timeout(all, 0); /* none: a loaded machine is no failure */
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
