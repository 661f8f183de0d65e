/* A plan's predictions as an aligned table and as named values. */
#include "plan/report.h"

#include <inttypes.h>
#include <string.h>

enum { COLUMNS = 12 };

static const char *const headings[COLUMNS] = {"ranks",     "layers",  "parameters", "weights",
                                              "optimizer", "buffers", "memory",     "FLOP",
                                              "sent",      "compute", "step",       "bubble"};

typedef const char *cells[COLUMNS];

/* "12.3 MiB": three digits that count. */
static const char *bytes_text(kpar_arena *arena, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1024;
    return kpar_arena_printf(arena, "%.*f %s",
                             unit == 0 || bytes >= 100 ? 0
                             : bytes >= 10             ? 1
                                                       : 2,
                             bytes, units[unit]);
}

/* "12.3 G": by thousands. */
static const char *count_text(kpar_arena *arena, double count)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    int unit = 0;
    for (; count >= 999.5 && unit < 5; unit++) count /= 1000;
    return kpar_arena_printf(arena, "%.*f%s",
                             unit == 0 || count >= 100 ? 0
                             : count >= 10             ? 1
                                                       : 2,
                             count, units[unit]);
}

static const char *seconds_text(kpar_arena *arena, double seconds)
{
    if (seconds >= 1) return kpar_arena_printf(arena, "%.2f s", seconds);
    if (seconds >= 1e-3) return kpar_arena_printf(arena, "%.2f ms", seconds * 1e3);
    return kpar_arena_printf(arena, "%.1f us", seconds * 1e6);
}

static const char *ranks_text(kpar_arena *arena, int first, int last)
{
    return first == last ? kpar_arena_printf(arena, "%d", first)
                         : kpar_arena_printf(arena, "%d-%d", first, last);
}

static const char *layers_text(kpar_arena *arena, const kpar_plan_rank *row)
{
    if (row->layers < 2) return row->first_layer;
    return kpar_arena_printf(arena, "%s .. %s", row->first_layer, row->last_layer);
}

static void fill_cells(const kpar_plan_report *report, const kpar_plan_rank *row, cells out)
{
    kpar_arena *a = report->arena;
    const double bubble = report->step_seconds > 0 ? 1 - row->compute_seconds / report->step_seconds : 0;
    out[0] = ranks_text(a, row->first_rank, row->last_rank);
    out[1] = layers_text(a, row);
    out[2] = kpar_arena_printf(a, "%" PRId64, row->parameters);
    out[3] = bytes_text(a, (double)row->weight_bytes);
    out[4] = bytes_text(a, (double)row->optimizer_bytes);
    out[5] = bytes_text(a, (double)row->buffer_bytes);
    out[6] = bytes_text(a, (double)row->memory_bytes);
    out[7] = count_text(a, row->flops);
    out[8] = bytes_text(a, (double)row->sent_bytes);
    out[9] = seconds_text(a, row->compute_seconds);
    out[10] = seconds_text(a, row->end_seconds);
    out[11] = kpar_arena_printf(a, "%.0f %%", 100 * bubble);
}

/* The first two columns to the left, numbers to the right. */
static void print_line(kpar_text *text, const char *const *line, const int *widths)
{
    for (int i = 0; i < COLUMNS; i++)
        kpar_text_printf(text, i < 2 ? "%s%-*s" : "%s%*s", i ? "  " : "", widths[i], line[i]);
    kpar_text_printf(text, "\n");
}

static void print_totals(const kpar_plan_report *report, kpar_text *text)
{
    kpar_arena *a = report->arena;
    if (report->estimated)
        kpar_text_printf(text, "Figures are those of each stage's first rank; times are without overlap.\n");
    kpar_text_printf(text, "Predicted: a step (%s) in %s, %s samples/s; computing %.0f %% of the time.\n",
                     kpar_mode_name(report->mode), seconds_text(a, report->step_seconds),
                     count_text(a, report->samples_per_second), 100 * (1 - report->bubble));
}

static bool same_but_ranks(const char *const *a, const char *const *b)
{
    for (int c = 1; c < COLUMNS; c++)
        if (strcmp(a[c], b[c]) != 0) return false;
    return true;
}

/* A line for ranks in a row that look the same. */
static size_t make_lines(const kpar_plan_report *report, cells *lines)
{
    size_t n = 0;
    int first = 0;
    for (size_t i = 0; i < report->n_rows; i++) {
        const kpar_plan_rank *row = &report->rows[i];
        fill_cells(report, row, lines[n]);
        if (n > 0 && same_but_ranks(lines[n - 1], lines[n])) {
            lines[n - 1][0] = ranks_text(report->arena, first, row->last_rank);
            continue;
        }
        first = row->first_rank;
        n++;
    }
    return n;
}

void kpar_plan_report_print(const kpar_plan_report *report, kpar_text *text)
{
    int widths[COLUMNS];
    cells *lines = kpar_arena_alloc(report->arena, (report->n_rows + 1) * sizeof *lines);
    const size_t n = make_lines(report, lines);
    for (int c = 0; c < COLUMNS; c++) {
        widths[c] = (int)strlen(headings[c]);
        for (size_t i = 0; i < n; i++)
            if ((int)strlen(lines[i][c]) > widths[c]) widths[c] = (int)strlen(lines[i][c]);
    }
    print_line(text, headings, widths);
    for (size_t i = 0; i < n; i++) print_line(text, lines[i], widths);
    print_totals(report, text);
}

static double largest(double a, size_t b) { return a > (double)b ? a : (double)b; }

const kpar_plan_value *kpar_plan_report_values(const kpar_plan_report *report, size_t *n)
{
    double weights = 0, optimizer = 0, buffers = 0, memory = 0, flops = 0, sent = 0;
    for (size_t i = 0; i < report->n_rows; i++) {
        const kpar_plan_rank *row = &report->rows[i];
        const int ranks = row->last_rank - row->first_rank + 1;
        weights = largest(weights, row->weight_bytes);
        optimizer = largest(optimizer, row->optimizer_bytes);
        buffers = largest(buffers, row->buffer_bytes);
        memory = largest(memory, row->memory_bytes);
        flops += ranks * row->flops;
        sent += ranks * (double)row->sent_bytes;
    }
    const kpar_plan_value values[] = {
        {"step_seconds", report->step_seconds}, {"samples_per_second", report->samples_per_second},
        {"bubble_share", report->bubble},       {"flops_per_step", flops},
        {"sent_bytes_per_step", sent},          {"rank_weight_bytes", weights},
        {"rank_optimizer_bytes", optimizer},    {"rank_buffer_bytes", buffers},
        {"rank_memory_bytes", memory},
    };
    *n = sizeof values / sizeof values[0];
    return kpar_arena_copy(report->arena, values, sizeof values);
}
