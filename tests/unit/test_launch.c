/* kparrun without starting anything: options, hosts, mpirun's arguments, reports and the filter of its output. */
#include "launch/filter.h"
#include "launch/options.h"
#include "unit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---- */

static kpar_arena *arena;

static void create_arena(void) { arena = kpar_arena_create(); }
static void destroy_arena(void) { kpar_arena_destroy(arena); }

static kpar_status read_options(char **words, kpar_launch_options *options)
{
    int count = 0;
    while (words[count]) count++;
    return kpar_launch_options_read(count, words, arena, options);
}

START_TEST(options_end_at_the_command)
{
    char *words[] = {"kparrun", "-np", "4", "--start-timeout=2.5", "--dry-run", "prog", "-np", "9", NULL};
    kpar_launch_options options;
    ck_assert_int_eq(read_options(words, &options), KPAR_OK);
    ck_assert_int_eq(options.ranks, 4);
    ck_assert_double_eq(options.start_timeout, 2.5);
    ck_assert(options.dry_run);
    ck_assert_str_eq(options.command.items[0], "prog");
    ck_assert_str_eq(options.command.items[2], "9");
}
END_TEST

static const struct {
    const char *words[5], *message;
} wrong[] = {
    {{"-np", "0", "prog"}, "--np: expected 1 to"},
    {{"-np", "2x", "prog"}, "--np: expected an integer, found '2x'"},
    {{"-np"}, "--np needs a value"},
    {{"prog"}, "-np is missing"},
    {{"-np", "2"}, "the command is missing"},
    {{"--fast", "prog"}, "unknown option '--fast'"},
    {{"--dry-run=1", "prog"}, "--dry-run takes no value"},
    {{"--stop-timeout", "soon", "prog"}, "expected a number"},
    {{"-np", "1", "--hosts=a", "--hostfile=b", "prog"}, "not both"},
};

START_TEST(wrong_options_are_named)
{
    char *words[8] = {"kparrun"};
    for (int i = 0; i < 5; i++) words[1 + i] = (char *)(size_t)wrong[_i].words[i];
    kpar_launch_options options;
    ck_assert_int_eq(read_options(words, &options), KPAR_EUSAGE);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), wrong[_i].message));
}
END_TEST

/* ---- hosts ---- */

START_TEST(a_host_without_a_number_has_one_slot)
{
    kpar_launch_hosts hosts = {0};
    ck_assert_int_eq(kpar_launch_hosts_parse("a:2,b,c:10", &hosts), KPAR_OK);
    ck_assert_uint_eq(hosts.count, 3);
    ck_assert_int_eq(kpar_launch_hosts_slots(&hosts), 13);
    ck_assert_str_eq(hosts.items[2].name, "c");
    kpar_launch_hosts_clear(&hosts);
}
END_TEST

START_TEST(host_files_are_read_in_both_manners)
{
    char path[] = "/tmp/kpar_hosts_XXXXXX";
    static const char text[] = "# two\n\nnode1 slots=4 max_slots=8\n  node2:3 # last\nnode3";
    int file = mkstemp(path);
    ck_assert_int_eq(write(file, text, sizeof text - 1), sizeof text - 1);
    close(file);
    kpar_launch_hosts hosts = {0};
    ck_assert_int_eq(kpar_launch_hosts_read(path, &hosts), KPAR_OK);
    unlink(path);
    ck_assert_uint_eq(hosts.count, 3);
    ck_assert_int_eq(hosts.items[0].slots, 4);
    ck_assert_int_eq(hosts.items[1].slots, 3);
    ck_assert_int_eq(hosts.items[2].slots, 1);
    kpar_launch_hosts_clear(&hosts);
}
END_TEST

START_TEST(bad_hosts_are_refused)
{
    static const char *const lists[] = {"", "a,,b", "a:0", "a:x", ":2"};
    kpar_launch_hosts hosts = {0};
    ck_assert_int_eq(kpar_launch_hosts_parse(lists[_i], &hosts), KPAR_EUSAGE);
    kpar_launch_hosts_clear(&hosts);
}
END_TEST

START_TEST(too_few_slots_are_told_with_the_option_that_helps)
{
    kpar_launch_hosts hosts = {0};
    ck_assert_int_eq(kpar_launch_hosts_parse("a:2,b:1", &hosts), KPAR_OK);
    ck_assert_int_eq(kpar_launch_hosts_suffice(&hosts, 3), KPAR_OK);
    ck_assert_int_eq(kpar_launch_hosts_suffice(&hosts, 5), KPAR_EUSAGE);
    ck_assert_str_eq(kpar_error_message(),
                     "5 ranks, but the hosts have 3 slots (a x 2, b x 1); raise the slots, "
                     "e.g. -H a:4, or give --oversubscribe");
    kpar_launch_hosts_clear(&hosts);
}
END_TEST

/* ---- arguments ---- */

#define PLENTY ((size_t)1 << 40)

static const struct {
    kpar_launch_machine machine;
    const char *hosts, *line;
} commands[] = {
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 4, .cores = 8, .cross_memory = true, .shared_bytes = PLENTY},
     NULL,
     "mpirun -np 4 --bind-to none /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 4, .cores = 2, .root = true, .shared_bytes = PLENTY},
     NULL,
     "mpirun -np 4 --allow-run-as-root --oversubscribe --mca mpi_yield_when_idle 1 --bind-to none --mca "
     "btl_vader_single_copy_mechanism none /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 5, .cores = 2, .shared_bytes = PLENTY},
     NULL,
     "mpirun -np 4 --map-by :OVERSUBSCRIBE --mca mpi_yield_when_idle 1 --bind-to none --mca smsc ^cma /k "
     "--rank - prog "
     "'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 5, .cores = 2, .cross_memory = true, .shared_bytes = PLENTY},
     "x:3,y:1",
     "mpirun -np 4 --host x:3,y:1 --bind-to none /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_MPICH, .major = 4, .cores = 2, .root = true, .shared_bytes = PLENTY},
     "x:3,y:1",
     "mpirun -np 4 -hosts x:3,y:1 -bind-to none /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 4, .cores = 8, .cross_memory = true, .shared_bytes = 31 << 20},
     NULL,
     "mpirun -np 4 --bind-to none --mca btl_vader_backing_directory /tmp /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 5, .cores = 8, .cross_memory = true, .shared_bytes = 64 << 20},
     "x:3,y:1",
     "mpirun -np 4 --host x:3,y:1 --bind-to none --mca btl_sm_backing_directory /tmp /k --rank - prog 'a b'"},
    {{.flavor = KPAR_LAUNCH_OPENMPI, .major = 5, .cores = 8, .cross_memory = true},
     "x:1,y:1,z:1,w:1",
     "mpirun -np 4 --host x:1,y:1,z:1,w:1 --bind-to none /k --rank - prog 'a b'"},
};

START_TEST(each_mpirun_gets_its_own_arguments)
{
    char *words[] = {"kparrun", "-np", "4", "prog", "a b", NULL};
    kpar_launch_options options;
    kpar_launch_hosts hosts = {0};
    kpar_launch_arguments arguments = {0};
    kpar_text text = {0};
    unsetenv("SLURM_JOB_ID");
    unsetenv("TMPDIR");
    ck_assert_int_eq(read_options(words, &options), KPAR_OK);
    if (commands[_i].hosts) ck_assert_int_eq(kpar_launch_hosts_parse(commands[_i].hosts, &hosts), KPAR_OK);
    kpar_launch_arguments_make(&options, &hosts, &commands[_i].machine, "/k", &arguments);
    kpar_launch_arguments_text(&arguments, &text);
    ck_assert_str_eq(kpar_text_get(&text), commands[_i].line);
    kpar_text_clear(&text);
    kpar_launch_arguments_clear(&arguments);
    kpar_launch_hosts_clear(&hosts);
}
END_TEST

/* ---- reports ---- */

START_TEST(a_report_reads_back_as_it_was_written)
{
    kpar_launch_report out = {
        .ended = true, .rank = 3, .host = "n1", .code = 1, .peak_kib = 77, .message = "a: b c"};
    kpar_launch_report in;
    kpar_text text = {0};
    kpar_launch_report_write(&out, &text);
    text.bytes[text.length - 1] = '\0';
    ck_assert(kpar_launch_report_read(text.bytes + 2, &in));
    ck_assert(in.ended);
    ck_assert_int_eq(in.rank, 3);
    ck_assert_int_eq(in.code, 1);
    ck_assert_int_eq(in.peak_kib, 77);
    ck_assert_str_eq(in.host, "n1");
    ck_assert_str_eq(in.message, "a: b c");
    ck_assert(!kpar_launch_report_read("finished 3 n1", &in));
    kpar_text_clear(&text);
}
END_TEST

START_TEST(the_failure_with_words_explains_a_silent_one)
{
    kpar_launch_report reports[] = {
        {.ended = true, .rank = 4},
        {.ended = true, .rank = 0, .code = 1},
        {.ended = true, .rank = 2, .code = 1, .message = "kpar_train: why"},
    };
    ck_assert_int_eq(kpar_launch_report_first_failure(reports, 3)->rank, 2);
    ck_assert_int_eq(kpar_launch_report_first_failure(reports, 2)->rank, 0);
    ck_assert_ptr_null(kpar_launch_report_first_failure(reports, 1));
    reports[1].signal = 11;
    ck_assert_int_eq(kpar_launch_report_first_failure(reports, 3)->rank, 0);
    ck_assert_int_eq(kpar_launch_report_code(&reports[1]), 139);
}
END_TEST

/* ---- filter ---- */

static void count_report(const kpar_launch_report *report, void *context)
{
    *(int *)context += report->ended ? 100 : 1;
}

/* Feeds `stream` in two pieces cut at `cut`; what came through is in `through`. Returns the reports' sum. */
static int filter_in_two(const char *stream, size_t cut, char *through, size_t bytes, kpar_text *held)
{
    int ends[2], sum = 0;
    ck_assert_int_eq(pipe(ends), 0);
    kpar_launch_filter filter = {.output = ends[1], .marked = true, .report = count_report, .context = &sum};
    kpar_launch_filter_feed(&filter, stream, cut);
    kpar_launch_filter_feed(&filter, stream + cut, strlen(stream) - cut);
    kpar_launch_filter_finish(&filter);
    close(ends[1]);
    ssize_t n = read(ends[0], through, bytes - 1);
    through[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    *held = filter.held;
    return sum;
}

START_TEST(the_filter_tells_ranks_reports_and_mpirun_apart_wherever_the_stream_is_cut)
{
    static const char stream[] = "\036\036start 0 n1\n\036line one\n\036----------------------\n"
                                 "----------------------\nPrimary job  terminated\nwords of mpirun\n"
                                 "----------------------\n\036progress\036\036end 0 n1 1 0 5 why\n"
                                 "rest of a line\nmpirun.openmpi: Forwarding signal 12 to job\n\036last";
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        char through[512];
        kpar_text held;
        ck_assert_int_eq(filter_in_two(stream, cut, through, sizeof through, &held), 101);
        ck_assert_str_eq(through, "line one\n----------------------\nprogressrest of a line\nlast");
        ck_assert_ptr_nonnull(strstr(kpar_text_get(&held), "words of mpirun"));
        ck_assert_ptr_nonnull(strstr(kpar_text_get(&held), "Forwarding"));
        kpar_text_clear(&held);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch");
    TCase *group = tcase_create("launch");
    tcase_add_checked_fixture(group, create_arena, destroy_arena);
    tcase_add_test(group, options_end_at_the_command);
    tcase_add_loop_test(group, wrong_options_are_named, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(group, a_host_without_a_number_has_one_slot);
    tcase_add_test(group, host_files_are_read_in_both_manners);
    tcase_add_loop_test(group, bad_hosts_are_refused, 0, 5);
    tcase_add_test(group, too_few_slots_are_told_with_the_option_that_helps);
    tcase_add_loop_test(group, each_mpirun_gets_its_own_arguments, 0, sizeof commands / sizeof *commands);
    tcase_add_test(group, a_report_reads_back_as_it_was_written);
    tcase_add_test(group, the_failure_with_words_explains_a_silent_one);
    tcase_add_test(group, the_filter_tells_ranks_reports_and_mpirun_apart_wherever_the_stream_is_cut);
    suite_add_tcase(suite, group);
    return run_suite(suite);
}
