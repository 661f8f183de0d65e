/* The log values of an epoch: sums over its steps. */
#include "base/number.h"
#include "train/trainer_internal.h"

#include <string.h>

kpar_tally kpar_tally_begin(kpar_trainer *trainer, kpar_mode mode)
{
    kpar_tally tally = {0};
    tally.entries = kpar_plan_reports(trainer->plan, mode, &tally.n_entries, &tally.n_values);
    tally.sums = kpar_alloc_zeroed((size_t)tally.n_entries + 1, sizeof *tally.sums);
    return tally;
}

void kpar_tally_reset(kpar_tally *tally)
{
    if (tally->n_entries) memset(tally->sums, 0, (size_t)tally->n_entries * sizeof *tally->sums);
}

/* What a step's value of an entry weighs. */
static double step_weight(const kpar_report_entry *entry, const double *values, int64_t rows)
{
    if (entry->weight == KPAR_WEIGH_ROWS) return (double)rows;
    return entry->weight == KPAR_WEIGH_BATCHES ? 1 : values[entry->weight];
}

void kpar_tally_add(kpar_tally *tally, const double *values, int64_t rows)
{
    for (int i = 0; i < tally->n_entries; i++) {
        const kpar_report_entry *entry = &tally->entries[i];
        kpar_tally_sum *sum = &tally->sums[i];
        const double weight = step_weight(entry, values, rows);
        sum->value += values[entry->value] * (entry->weight < 0 ? weight : 1);
        sum->weight += weight;
    }
}

double kpar_tally_value(const kpar_tally *tally, int entry)
{
    const kpar_tally_sum *sum = &tally->sums[entry];
    return sum->weight != 0 ? sum->value / sum->weight : 0;
}

/* A line "value weight name" an entry. */
void kpar_tally_write(const kpar_tally *tally, kpar_text *text)
{
    for (int i = 0; i < tally->n_entries; i++) {
        kpar_text_number(text, tally->sums[i].value);
        kpar_text_printf(text, " ");
        kpar_text_number(text, tally->sums[i].weight);
        kpar_text_printf(text, " %s\n", tally->entries[i].name);
    }
}

/* The sums that a line holds if it is the entry's. */
static bool parse_line(const char *line, size_t length, const char *name, kpar_tally_sum *sum)
{
    kpar_tally_sum found;
    const char *at = line;
    if (!kpar_parse_number(at, &at, &found.value) || *at++ != ' ') return false;
    if (!kpar_parse_number(at, &at, &found.weight) || *at++ != ' ') return false;
    const size_t rest = length - (size_t)(at - line);
    if (strlen(name) != rest || memcmp(at, name, rest) != 0) return false;
    *sum = found;
    return true;
}

void kpar_tally_read(kpar_tally *tally, const char *text)
{
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        for (int i = 0; i < tally->n_entries; i++)
            if (parse_line(text, length, tally->entries[i].name, &tally->sums[i])) break;
    }
}

void kpar_tally_end(kpar_tally *tally) { kpar_free(tally->sums); }
