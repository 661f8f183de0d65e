/* The log values of an epoch: sums over its steps. */
#include "base/number.h"
#include "train/trainer_internal.h"

#include <string.h>

/* Whether the entry's log is a formula of sums over the epoch. */
static bool is_of_epoch(const kpar_report_entry *entry)
{
    return entry->formula && entry->weight != KPAR_WEIGH_BATCHES;
}

/* Such an entry has a sum for each input of its formula, others have one of values and one of their weights. */
static int sums_of(const kpar_report_entry *entry)
{
    return is_of_epoch(entry) ? entry->formula->n_inputs : 2;
}

/* How many entries share these sums: the results of the formula. */
static int results_of(const kpar_report_entry *entry)
{
    return entry->formula ? entry->formula->n_outputs : 1;
}

/* To the next entry with sums of its own. */
static void advance(const kpar_tally *tally, int *entry, double **sums)
{
    const kpar_report_entry *here = &tally->entries[*entry];
    *sums += sums_of(here);
    *entry += results_of(here);
}

kpar_tally kpar_tally_begin(kpar_trainer *trainer, kpar_mode mode)
{
    kpar_tally tally = {0};
    tally.entries = kpar_plan_reports(trainer->plan, mode, &tally.n_entries, &tally.n_values);
    for (int i = 0; i < tally.n_entries; i += results_of(&tally.entries[i]))
        tally.n_sums += sums_of(&tally.entries[i]);
    tally.sums = kpar_alloc_zeroed((size_t)tally.n_sums + 1, sizeof *tally.sums);
    return tally;
}

void kpar_tally_reset(kpar_tally *tally)
{
    if (tally->n_sums) memset(tally->sums, 0, (size_t)tally->n_sums * sizeof *tally->sums);
}

/* What a step's value of an entry weighs. */
static double step_weight(const kpar_report_entry *entry, const double *values, int64_t rows)
{
    if (entry->weight == KPAR_WEIGH_ROWS) return (double)rows;
    return entry->weight == KPAR_WEIGH_BATCHES ? 1 : values[entry->weight];
}

/* One result, if it is a formula. */
static double step_value(const kpar_report_entry *entry, const double *values)
{
    double value = values[entry->value];
    if (entry->formula) kpar_expression_evaluate(entry->formula, values + entry->value, &value);
    return value;
}

void kpar_tally_add(kpar_tally *tally, const double *values, int64_t rows)
{
    double *sums = tally->sums;
    for (int i = 0; i < tally->n_entries; advance(tally, &i, &sums)) {
        const kpar_report_entry *entry = &tally->entries[i];
        if (is_of_epoch(entry)) {
            for (int k = 0; k < entry->formula->n_inputs; k++) sums[k] += values[entry->value + k];
            continue;
        }
        const double weight = step_weight(entry, values, rows);
        sums[0] += step_value(entry, values) * (entry->weight < 0 ? weight : 1);
        sums[1] += weight;
    }
}

void kpar_tally_values(const kpar_tally *tally, double *values)
{
    double *sums = tally->sums;
    for (int i = 0; i < tally->n_entries; advance(tally, &i, &sums)) {
        const kpar_report_entry *entry = &tally->entries[i];
        if (is_of_epoch(entry))
            kpar_expression_evaluate(entry->formula, sums, &values[i]);
        else
            values[i] = sums[1] != 0 ? sums[0] / sums[1] : 0;
    }
}

/* A line of sums and then the name, an entry with sums. */
void kpar_tally_write(const kpar_tally *tally, kpar_text *text)
{
    double *sums = tally->sums;
    for (int i = 0; i < tally->n_entries; advance(tally, &i, &sums)) {
        for (int k = 0; k < sums_of(&tally->entries[i]); k++) {
            kpar_text_number(text, sums[k]);
            kpar_text_printf(text, " ");
        }
        kpar_text_printf(text, "%s\n", tally->entries[i].name);
    }
}

/* The sums that a line holds if it is the entry's. */
static bool parse_line(const char *line, size_t length, const kpar_report_entry *entry, double *sums)
{
    const char *at = line;
    const int n = sums_of(entry);
    double *found = kpar_alloc((size_t)n * sizeof *found);
    bool right = true;
    for (int k = 0; k < n && right; k++) right = kpar_parse_number(at, &at, &found[k]) && *at++ == ' ';
    const size_t rest = length - (size_t)(at - line);
    right = right && strlen(entry->name) == rest && memcmp(at, entry->name, rest) == 0;
    if (right) memcpy(sums, found, (size_t)n * sizeof *found);
    kpar_free(found);
    return right;
}

void kpar_tally_read(kpar_tally *tally, const char *text)
{
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        double *sums = tally->sums;
        for (int i = 0; i < tally->n_entries; advance(tally, &i, &sums))
            if (parse_line(text, length, &tally->entries[i], sums)) break;
    }
}

void kpar_tally_end(kpar_tally *tally) { kpar_free(tally->sums); }
