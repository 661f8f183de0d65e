/* kpar_bench: for each size the two sides, checked and timed by turns. */
#include "bench/bench.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { DONE = 0, FAILED = 1, WRONG_USAGE = 2 };

static int print_text(const kpar_bench_settings *s)
{
    kpar_text text = {0};
    if (s->help)
        kpar_options_help(&text, &kpar_bench_options, 100);
    else if (s->help_man)
        kpar_options_man(&text, &kpar_bench_options, PACKAGE_VERSION);
    else if (s->help_markdown)
        kpar_options_markdown(&text, &kpar_bench_options);
    else
        kpar_text_printf(&text, "kpar_bench " PACKAGE_VERSION "\n");
    fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    return fflush(stdout) == 0 ? DONE : FAILED;
}

static bool all_share(const kpar_comm *comm)
{
    for (int rank = 1; rank < kpar_comm_size(comm); rank++)
        if (!kpar_comm_shares(comm, 0, rank)) return false;
    return true;
}

static kpar_status measure_sides(kpar_comm *comm, const kpar_bench_settings *settings,
                                 const kpar_bench_case *c, kpar_bench_side *const *sides, int n_sides,
                                 kpar_bench_report *report, size_t *wrong)
{
    kpar_bench_times times[2];
    KPAR_TRY(kpar_bench_measure(comm, settings, c, sides, n_sides, times));
    if (report) kpar_bench_report_row(report, c, times);
    for (int s = 0; s < n_sides; s++) *wrong += times[s].wrong;
    return KPAR_OK;
}

static kpar_status run_size(kpar_comm *comm, const kpar_bench_settings *settings, size_t bytes,
                            kpar_bench_report *report, size_t *wrong)
{
    kpar_bench_side *sides[2] = {NULL, NULL};
    kpar_bench_case c;
    kpar_arena *arena = kpar_arena_create();
    kpar_status status =
        kpar_comm_agree(comm, kpar_bench_case_make(arena, settings, bytes, kpar_comm_rank(comm),
                                                   kpar_comm_size(comm), all_share(comm), &c));
    if (status == KPAR_OK) status = kpar_bench_own_side(comm, settings, &c, &sides[0]);
    if (status == KPAR_OK && settings->against == KPAR_BENCH_MPI)
        status = kpar_bench_mpi_side(comm, &c, &sides[1]);
    if (status == KPAR_OK) status = measure_sides(comm, settings, &c, sides, sides[1] ? 2 : 1, report, wrong);
    for (int s = 0; s < 2; s++)
        if (sides[s]) sides[s]->destroy(sides[s]);
    kpar_arena_destroy(arena);
    return status;
}

static kpar_status run_sizes(kpar_comm *comm, const kpar_bench_settings *settings, kpar_bench_report *report)
{
    size_t wrong = 0;
    for (double bytes = (double)settings->begin_bytes; bytes <= (double)settings->end_bytes;
         bytes *= settings->factor)
        KPAR_TRY(run_size(comm, settings, (size_t)bytes, report, &wrong));
    return wrong == 0 ? KPAR_OK : kpar_fail(KPAR_EINTERNAL, "%zu elements of the results were wrong", wrong);
}

/* `status` is what came of the settings. All ranks return the same. */
static kpar_status run(kpar_comm *comm, const kpar_bench_settings *settings, kpar_status status)
{
    kpar_bench_report *report = NULL;
    KPAR_TRY(kpar_comm_agree(comm, status));
    const bool root = kpar_comm_rank(comm) == 0;
    KPAR_TRY(kpar_comm_agree(comm, root ? kpar_bench_report_create(settings, comm, &report) : KPAR_OK));
    status = run_sizes(comm, settings, report);
    kpar_status written = kpar_bench_report_finish(report, status == KPAR_OK);
    return status == KPAR_OK ? kpar_comm_agree(comm, written) : status;
}

static int run_together(const kpar_bench_settings *settings, kpar_status status)
{
    const kpar_mpi_options options = {.ranks_per_node = settings->ranks_per_node,
                                      .windows = settings->windows};
    kpar_comm *comm;
    char *message = kpar_strdup(kpar_error_message());
    kpar_status made = kpar_comm_mpi_create(&options, &comm);
    if (made == KPAR_OK && status != KPAR_OK) status = kpar_fail(status, "%s", message);
    kpar_free(message);
    if (made != KPAR_OK) {
        kpar_log_error(kpar_error_message());
        return FAILED;
    }
    status = run(comm, settings, status);
    if (status != KPAR_OK && kpar_comm_rank(comm) == 0) kpar_log_error(kpar_error_message());
    kpar_comm_destroy(comm);
    return status == KPAR_OK ? DONE : status == KPAR_EUSAGE ? WRONG_USAGE : FAILED;
}

int main(int argc, char **argv)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_bench_settings settings = {0};
    kpar_log_program("kpar_bench");
    kpar_status status = kpar_bench_settings_read(arena, argc, argv, &settings);
    const bool prints = settings.help || settings.help_man || settings.help_markdown || settings.version;
    const int code = status == KPAR_OK && prints ? print_text(&settings) : run_together(&settings, status);
    kpar_arena_destroy(arena);
    return code;
}
