/* The options of kpar_bench, a row each. */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const opponents[] = {"none", "mpi", NULL};

#define FIELD(name) KPAR_FIELD(kpar_bench_settings, name)

static const kpar_option rows[] = {
    {"begin", FIELD(begin), .short_names = "b", .placeholder = "SIZE", .preset = "4K",
     .group = "What is measured", .doc = "Smallest size in bytes; K, M and G stand for 2^10, 2^20 and 2^30"},
    {"end", FIELD(end), .short_names = "e", .placeholder = "SIZE", .preset = "16M", .doc = "Largest size"},
    {"factor", FIELD(factor), .short_names = "f", .placeholder = "F", .preset = "2", .least = 1.001,
     .most = 1e6, .doc = "From one size to the next"},
    {"iterations", FIELD(iterations), .short_names = "n", .placeholder = "N", .preset = "20", .least = 1,
     .most = 1e9, .doc = "Operations that are timed, for each size"},
    {"warmup", FIELD(warmup), .short_names = "w", .placeholder = "N", .preset = "5", .least = 0, .most = 1e9,
     .doc = "Operations before, which are not"},
    {"against", FIELD(against), .choices = opponents, .preset = "none",
     .doc = "Another library, with which kpar takes turns: mpi is the one that kpar is linked with"},
    {"choice", FIELD(choice), .placeholder = "STRING", .preset = "", .preset_doc = "by size and place",
     .group = "How kpar does it",
     .doc = "Algorithms: COLLECTIVE:ALGORITHM or COLLECTIVE:FROM-TO:ALGORITHM, separated by commas; direct, "
            "exchange, ring, whole"},
    {"windows", FIELD(windows), .preset = "true", .negatable = true,
     .doc = "Ranks of a node reach each other's memory"},
    {"ranks-per-node", FIELD(ranks_per_node), .placeholder = "N", .least = 1, .most = 1 << 20,
     .preset_doc = "all of a machine", .doc = "Pretend that so many ranks make a node"},
    {"threads-per-rank", FIELD(threads_per_rank), .placeholder = "N", .preset = "1", .least = 1, .most = 4096,
     .doc = "Threads that add; with a progress thread one does"},
    {"progress-thread", FIELD(progress_thread), .choices = kpar_progress_wishes, .preset = "auto",
     .doc = "A thread of each rank that only communicates; auto: where a rank has 4 cores or more and one of "
            "them does not add"},
    {"json", FIELD(json), .placeholder = "FILE", .group = "Output", .doc = "Figures for programs"},
    {"help", FIELD(help), .short_names = "h", .doc = "Print this text and end"},
    {"help-man", FIELD(help_man), .doc = "Print the man page and end"},
    {"help-markdown", FIELD(help_markdown), .doc = "Print the options as tables in Markdown and end"},
    {"version", FIELD(version), .doc = "Print the version and end"},
};

static const kpar_exit_code exit_codes[] = {
    {0, "Done, every result right"},
    {1, "Failed, or a result was wrong"},
    {2, "Wrong usage"},
};

static const kpar_section sections[] = {
    {"COLUMNS", "size and count: bytes of the whole buffer, and elements that each rank has of the result "
                "(all-reduce) or that go from "
                "or to each rank (reduce-scatter, all-gather).\n\n"
                "time: microseconds of one operation on the last rank, a mean over the iterations; min and "
                "avg: on the first rank, and over "
                "all ranks.\n\n"
                "algbw: size / time. busbw: algbw times 2 (n - 1) / n for all-reduce, (n - 1) / n for the "
                "others: what the slowest link must carry "
                "whatever the algorithm, so that it may be compared with the hardware's rate. Both in GB/s, "
                "10^9 bytes.\n\n"
                "#wrong: elements that differ from what they should be, in a run before the timed ones.\n\n"
                "ratio: the other library's time / kpar's time; above 1 kpar is the faster."},
    {"EXAMPLES", "mpirun -np 4 kpar_bench all_reduce -b 4K -e 16M -f 4 --against mpi\n\n"
                 "mpirun -np 8 kpar_bench all_gather --choice all_gather:ring --no-windows --json ring.json"},
    {"SEE ALSO", "kpar_train(1), kparrun(1), mpirun(1)"},
};

const kpar_options kpar_bench_options = {
    .program = "kpar_bench",
    .synopsis = "all_reduce|reduce_scatter|all_gather [OPTION]...",
    .summary = "time collectives of kpar and of the MPI library",
    .description = "Times a collective of float32 over all ranks of an MPI job, for a range of sizes: as "
                   "kpar's training does it, and as the "
                   "MPI library does it, by turns in one run.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .exit_codes = exit_codes,
    .n_exit_codes = sizeof exit_codes / sizeof *exit_codes,
    .sections = sections,
    .n_sections = sizeof sections / sizeof *sections,
};

static kpar_status read_collective(const kpar_strings *operands, kpar_collective *collective)
{
    for (int i = 0; operands->count == 1 && i < KPAR_COLLECTIVE_COUNT; i++)
        if (strcmp(operands->items[0], kpar_collective_name((kpar_collective)i)) == 0) {
            *collective = (kpar_collective)i;
            return KPAR_OK;
        }
    if (operands->count != 1)
        return kpar_fail(KPAR_EUSAGE, "%zu operands, expected one: all_reduce, reduce_scatter or all_gather",
                         operands->count);
    return kpar_fail(KPAR_EUSAGE, "'%s': expected all_reduce, reduce_scatter or all_gather",
                     operands->items[0]);
}

/* "64K" and the like, at least 1. */
static kpar_status read_size(const char *option, const char *text, size_t *bytes)
{
    static const char suffixes[] = "KMG";
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    const char *suffix = *end ? strchr(suffixes, *end & ~0x20) : NULL;
    const int shift = suffix ? 10 * (int)(suffix - suffixes + 1) : 0;
    if (end == text || *text == '-' || value == 0 || value > SIZE_MAX >> 8 >> shift ||
        end[suffix != NULL] != '\0')
        return kpar_fail(KPAR_EUSAGE, "--%s %s: expected a size such as 4096, 64K or 16M", option, text);
    *bytes = (size_t)value << shift;
    return KPAR_OK;
}

kpar_status kpar_bench_settings_read(kpar_arena *arena, int argc, char **argv, kpar_bench_settings *settings)
{
    kpar_strings operands = {0};
    KPAR_TRY(kpar_options_preset(&kpar_bench_options, arena, settings));
    KPAR_TRY(kpar_options_parse(&kpar_bench_options, arena, argc, argv, settings, NULL, &operands));
    if (settings->help || settings->help_man || settings->help_markdown || settings->version) return KPAR_OK;
    KPAR_TRY(read_collective(&operands, &settings->collective));
    KPAR_TRY(read_size("begin", settings->begin, &settings->begin_bytes));
    KPAR_TRY(read_size("end", settings->end, &settings->end_bytes));
    if (settings->end_bytes < settings->begin_bytes)
        return kpar_fail(KPAR_EUSAGE, "--end %s is below --begin %s", settings->end, settings->begin);
    return KPAR_OK;
}
