/* Rank 0's table, with the columns of nccl-tests, and the same as JSON. Schema "kpar.bench/1": times in
 * seconds, bandwidths in bytes a second. */
#include "bench/bench.h"

#include "data/output.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kpar_bench_report {
    const kpar_bench_settings *settings;
    int n;
    json_t *root, *rows;
    kpar_new_file *file; /* NULL: none is asked for */
};

static const char *const side_names[] = {"kpar", "mpi"};

static int n_nodes(const kpar_comm *comm)
{
    int highest = 0;
    for (int rank = 0; rank < kpar_comm_size(comm); rank++)
        if (kpar_comm_node(comm, rank) > highest) highest = kpar_comm_node(comm, rank);
    return highest + 1;
}

static int n_sides(const kpar_bench_settings *settings)
{
    return settings->against == KPAR_BENCH_MPI ? 2 : 1;
}

/* What the columns mean, with the numbers of this run. */
static void print_meaning(const kpar_bench_report *r, const kpar_comm *comm)
{
    const kpar_bench_settings *s = r->settings;
    const bool reduces = s->collective == KPAR_COLLECTIVE_ALL_REDUCE;
    const int nodes = n_nodes(comm);
    printf("# %s over %d rank%s on %d node%s, transport %s%s; %d iterations after %d of warm-up\n",
           kpar_collective_name(s->collective), r->n, r->n > 1 ? "s" : "", nodes, nodes > 1 ? "s" : "",
           kpar_comm_transport(comm), nodes < r->n && s->windows ? " with windows" : "", s->iterations,
           s->warmup);
    printf("# time: of the last rank, a mean over the iterations; min: of the first rank; avg: over all "
           "ranks\n");
    printf("# algbw = size / time; busbw = algbw x %s(n - 1) / n = algbw x %s%d / %d = algbw x %.4g\n",
           reduces ? "2 " : "", reduces ? "2 x " : "", r->n - 1, r->n,
           kpar_bench_bus_factor(s->collective, r->n));
    if (n_sides(s) > 1) printf("# ratio = time of mpi / time of kpar\n");
}

static void print_columns(const kpar_bench_report *r)
{
    const bool two = n_sides(r->settings) > 1;
    printf("#\n#%50s  %s\n", "", two ? "kpar                                                  mpi" : "kpar");
    printf("#%11s %12s %7s %6s %9s", "size", "count", "type", "redop", "algorithm");
    for (int i = 0; i < n_sides(r->settings); i++)
        printf("  %9s %9s %9s %7s %7s %6s", "time", "min", "avg", "algbw", "busbw", "#wrong");
    printf("%s\n#%11s %12s %24s", two ? "  ratio" : "", "(B)", "(elements)", "");
    for (int i = 0; i < n_sides(r->settings); i++)
        printf("%s  %9s %9s %9s %7s %7s", i ? "       " : "", "(us)", "(us)", "(us)", "(GB/s)", "(GB/s)");
    printf("\n");
    fflush(stdout);
}

kpar_status kpar_bench_report_create(const kpar_bench_settings *settings, const kpar_comm *comm,
                                     kpar_bench_report **report)
{
    kpar_new_file *file = NULL;
    *report = NULL;
    if (settings->json) KPAR_TRY(kpar_new_file_create(settings->json, &file));
    kpar_bench_report *r = kpar_alloc_zeroed(1, sizeof *r);
    *r = (kpar_bench_report){.settings = settings,
                             .n = kpar_comm_size(comm),
                             .root = json_object(),
                             .rows = json_array(),
                             .file = file};
    json_object_set_new(r->root, "schema", json_string("kpar.bench/1"));
    json_object_set_new(r->root, "collective", json_string(kpar_collective_name(settings->collective)));
    json_object_set_new(r->root, "ranks", json_integer(r->n));
    json_object_set_new(r->root, "nodes", json_integer(n_nodes(comm)));
    json_object_set_new(r->root, "iterations", json_integer(settings->iterations));
    json_object_set(r->root, "rows", r->rows);
    *report = r;
    print_meaning(r, comm);
    print_columns(r);
    return KPAR_OK;
}

static json_t *side_to_json(const kpar_bench_case *c, const kpar_bench_times *t, double bytes)
{
    json_t *side = json_object();
    json_object_set_new(side, "time", json_real(t->most));
    json_object_set_new(side, "min", json_real(t->least));
    json_object_set_new(side, "avg", json_real(t->mean));
    json_object_set_new(side, "algbw", json_real(bytes / t->most));
    json_object_set_new(side, "busbw",
                        json_real(bytes / t->most * kpar_bench_bus_factor(c->collective, c->n)));
    json_object_set_new(side, "wrong", json_integer((json_int_t)t->wrong));
    return side;
}

void kpar_bench_report_row(kpar_bench_report *r, const kpar_bench_case *c, const kpar_bench_times *times)
{
    const bool gathers = c->collective == KPAR_COLLECTIVE_ALL_GATHER;
    const size_t bytes = c->total * sizeof(float),
                 count = c->collective == KPAR_COLLECTIVE_ALL_REDUCE ? c->total : c->counts[0];
    json_t *row = json_object();
    json_object_set_new(row, "size", json_integer((json_int_t)bytes));
    json_object_set_new(row, "count", json_integer((json_int_t)count));
    json_object_set_new(row, "type", json_string("float"));
    json_object_set_new(row, "redop", json_string(gathers ? "none" : "sum"));
    json_object_set_new(row, "algorithm", json_string(c->row->name));
    printf("%12zu %12zu %7s %6s %9s", bytes, count, "float", gathers ? "none" : "sum", c->row->name);
    for (int i = 0; i < n_sides(r->settings); i++) {
        const kpar_bench_times *t = &times[i];
        const double rate = (double)bytes / t->most * 1e-9;
        printf("  %9.2f %9.2f %9.2f %7.3f %7.3f %6zu", t->most * 1e6, t->least * 1e6, t->mean * 1e6, rate,
               rate * kpar_bench_bus_factor(c->collective, c->n), t->wrong);
        json_object_set_new(row, side_names[i], side_to_json(c, t, (double)bytes));
    }
    if (n_sides(r->settings) > 1) {
        printf("  %5.2f", times[1].most / times[0].most);
        json_object_set_new(row, "ratio", json_real(times[1].most / times[0].most));
    }
    printf("\n");
    fflush(stdout);
    json_array_append_new(r->rows, row);
}

static kpar_status write_json(kpar_bench_report *r)
{
    char *text = json_dumps(r->root, JSON_INDENT(2));
    kpar_new_file *file = r->file;
    r->file = NULL;
    kpar_status status = text ? kpar_new_file_write(file, text, strlen(text))
                              : kpar_fail(KPAR_ENOMEM, "%s: no memory", r->settings->json);
    if (status == KPAR_OK) status = kpar_new_file_write(file, "\n", 1);
    free(text);
    if (status == KPAR_OK) return kpar_new_file_commit(file);
    kpar_new_file_abandon(file);
    return status;
}

kpar_status kpar_bench_report_finish(kpar_bench_report *r, bool complete)
{
    if (!r) return KPAR_OK;
    kpar_status status = complete && r->file ? write_json(r) : KPAR_OK;
    kpar_new_file_abandon(r->file);
    json_decref(r->rows);
    json_decref(r->root);
    kpar_free(r);
    return status;
}
