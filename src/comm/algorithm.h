/* Collective algorithms, a file each, and the table that chooses. */
#ifndef KPAR_COMM_ALGORITHM_H
#define KPAR_COMM_ALGORITHM_H

#include "program/steps.h"

typedef struct kpar_algorithm_row {
    const char *name, *doc;
    kpar_algorithm generate; /* NULL: `whole`, the transport's own collective */
    bool needs_window;       /* every member must reach every other's memory */
    bool trees;              /* can sum along the reproducible tree */
} kpar_algorithm_row;

/* direct: windowed, one-sided; exchange: the same by messages; ring; whole. NULL if there is no such row. */
const kpar_algorithm_row *kpar_algorithm_find(const char *name);
const kpar_algorithm_row *kpar_algorithm_rows(int *n);

/* What is known where a collective is emitted. */
typedef struct kpar_choice_facts {
    kpar_collective collective;
    int n;
    size_t bytes;
    bool shared; /* all members share windows */
    bool tree;   /* reproducible */
} kpar_choice_facts;

/* The choice string: "collective:algorithm" or "collective:bytes-bytes:algorithm", separated by commas,
 * the first match wins, before the built-in table; e.g. "all_reduce:0-64K:direct,all_gather:ring". "" is
 * the table alone. KPAR_EUSAGE names the part that does not parse or an algorithm that cannot serve. */
kpar_status kpar_algorithm_choose(const char *choice, const kpar_choice_facts *facts,
                                  const kpar_algorithm_row **row) KPAR_MUST_USE;

/* Modelled seconds to move `bytes` between two ranks. */
double kpar_link_seconds(bool same_node, size_t bytes);

#endif
