/* The table of algorithms, the choice between them, and the link model. */
#include "comm/algorithm.h"

#include "comm/algorithms.h"

#include <stdlib.h>
#include <string.h>

static const kpar_algorithm_row rows[] = {
    {"direct", "through shared windows: each part is summed by its owner where the peers have it",
     kpar_direct, true, true},
    {"exchange", "by messages: each part goes to its owner, who sums and sends back", kpar_exchange, false,
     true},
    {"ring", "around a ring, each link carrying 2 (n - 1) / n of the data", kpar_ring, false, false},
    {"whole", "the message library's own collective", NULL, false, false},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const kpar_algorithm_row *kpar_algorithm_rows(int *n)
{
    *n = ROWS;
    return rows;
}

const kpar_algorithm_row *kpar_algorithm_find(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

static const char *const collective_names[KPAR_COLLECTIVE_COUNT] = {"all_reduce", "reduce_scatter",
                                                                    "all_gather"};

static bool serves(const kpar_algorithm_row *row, const kpar_choice_facts *facts)
{
    return (!row->needs_window || facts->shared) && (!facts->tree || row->trees);
}

/* The built-in table: windows where there are any; else small ones by direct exchange, large ones as the
 * library does. */
static const kpar_algorithm_row *built_in(const kpar_choice_facts *facts)
{
    enum { SMALL_BYTES = 1 << 14 };
    if (facts->shared) return kpar_algorithm_find("direct");
    if (facts->tree || facts->bytes <= SMALL_BYTES) return kpar_algorithm_find("exchange");
    return kpar_algorithm_find("whole");
}

/* "64K" -> bytes; false if it is no size. */
static bool parse_bytes(const char *text, const char *end, size_t *bytes)
{
    char *stop;
    unsigned long long value = strtoull(text, &stop, 10);
    if (stop == text) return false;
    if (stop < end && (*stop == 'K' || *stop == 'k'))
        value <<= 10, stop++;
    else if (stop < end && (*stop == 'M' || *stop == 'm'))
        value <<= 20, stop++;
    else if (stop < end && (*stop == 'G' || *stop == 'g'))
        value <<= 30, stop++;
    *bytes = (size_t)value;
    return stop == end;
}

typedef struct rule {
    int collective;
    size_t from, to;
    const kpar_algorithm_row *row;
} rule;

/* "collective:algorithm" or "collective:from-to:algorithm" in [text, end). */
static bool parse_rule(const char *text, const char *end, rule *r)
{
    const char *colon = memchr(text, ':', (size_t)(end - text)), *name = colon ? colon + 1 : NULL;
    *r = (rule){-1, 0, SIZE_MAX, NULL};
    if (!colon) return false;
    for (int i = 0; i < KPAR_COLLECTIVE_COUNT; i++)
        if (strlen(collective_names[i]) == (size_t)(colon - text) &&
            strncmp(text, collective_names[i], (size_t)(colon - text)) == 0)
            r->collective = i;
    const char *second = memchr(name, ':', (size_t)(end - name));
    if (second) {
        const char *dash = memchr(name, '-', (size_t)(second - name));
        if (!dash || !parse_bytes(name, dash, &r->from) ||
            (dash + 1 < second && !parse_bytes(dash + 1, second, &r->to)))
            return false;
        name = second + 1;
    }
    for (int i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == (size_t)(end - name) &&
            strncmp(name, rows[i].name, (size_t)(end - name)) == 0)
            r->row = &rows[i];
    return r->collective >= 0 && r->row;
}

kpar_status kpar_algorithm_choose(const char *choice, const kpar_choice_facts *facts,
                                  const kpar_algorithm_row **row)
{
    *row = NULL;
    for (const char *at = choice, *end; *at; at = *end ? end + 1 : end) {
        rule r;
        end = at + strcspn(at, ",");
        if (!parse_rule(at, end, &r))
            return kpar_fail(KPAR_EUSAGE,
                             "--choice: '%.*s': expected COLLECTIVE:ALGORITHM or "
                             "COLLECTIVE:FROM-TO:ALGORITHM with all_reduce, reduce_scatter or all_gather "
                             "and direct, exchange, ring or whole",
                             (int)(end - at), at);
        if (*row || r.collective != (int)facts->collective || facts->bytes < r.from || facts->bytes > r.to)
            continue;
        if (!serves(r.row, facts))
            return kpar_fail(KPAR_EUSAGE, "--choice: '%.*s' cannot serve: %s", (int)(end - at), at,
                             facts->tree && !r.row->trees ? "it has no reproducible sums"
                                                          : "the ranks share no memory");
        *row = r.row;
    }
    if (!*row) *row = built_in(facts);
    return KPAR_OK;
}

/* Measured on two cores of one machine: 1 us to start, 8 GB/s through memory; 10 us and 1.2 GB/s stand for
 * a 10 Gbit/s network. */
double kpar_link_seconds(bool same_node, size_t bytes)
{
    return same_node ? 1e-6 + (double)bytes / 8e9 : 1e-5 + (double)bytes / 1.2e9;
}
