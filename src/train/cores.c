/* Cores of ranks, from their affinity masks. */
#include "train/cores.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* The lowest processor of those that share a core with this one: hyperthreads count once. */
static int first_of_core(int processor)
{
    char path[96];
    int first = processor;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", processor);
    FILE *file = fopen(path, "r");
    if (!file) return processor;
    if (fscanf(file, "%d", &first) != 1) first = processor;
    fclose(file);
    return first;
}

static void find_own(cpu_set_t *cores)
{
    cpu_set_t allowed;
    CPU_ZERO(cores);
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, &allowed)) CPU_SET((size_t)first_of_core(i), cores);
}

kpar_status kpar_cores_gather(kpar_comm *comm, kpar_cores *cores)
{
    const int ranks = kpar_comm_size(comm);
    cpu_set_t own;
    *cores = (kpar_cores){ranks, kpar_alloc((size_t)ranks * sizeof *cores->nodes),
                          kpar_alloc((size_t)ranks * sizeof *cores->masks)};
    for (int rank = 0; rank < ranks; rank++) cores->nodes[rank] = kpar_comm_node(comm, rank);
    find_own(&own);
    kpar_status status = kpar_comm_all_gather(comm, &own, cores->masks, sizeof own);
    if (status != KPAR_OK) kpar_cores_clear(cores);
    return status;
}

void kpar_cores_clear(kpar_cores *cores)
{
    kpar_free(cores->nodes);
    kpar_free(cores->masks);
    *cores = (kpar_cores){0};
}

static int users_of(const kpar_cores *cores, int node, size_t core)
{
    int users = 0;
    for (int rank = 0; rank < cores->ranks; rank++)
        users += cores->nodes[rank] == node && CPU_ISSET(core, &cores->masks[rank]);
    return users;
}

double kpar_cores_share(const kpar_cores *cores, int rank)
{
    double share = 0;
    for (size_t core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &cores->masks[rank])) share += 1.0 / users_of(cores, cores->nodes[rank], core);
    return share;
}

/* --- in words --- */

/* "rank 3", "cores 0-3,8": of the numbers below `n` for which `has` is true. */
static void print_numbers(kpar_text *text, const char *noun, bool (*has)(const void *, int), const void *set,
                          int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += has(set, i);
    if (*noun) kpar_text_printf(text, "%s%s ", noun, count == 1 ? "" : "s");
    const char *between = "";
    for (int i = 0; i < n; i++) {
        if (!has(set, i)) continue;
        const int first = i;
        while (i + 1 < n && has(set, i + 1)) i++;
        kpar_text_printf(text, i > first ? "%s%d-%d" : "%s%d", between, first, i);
        between = ",";
    }
}

static bool has_core(const void *set, int core) { return CPU_ISSET((size_t)core, (const cpu_set_t *)set); }

/* Ranks [first, end). */
typedef struct range {
    int first, end;
} range;
static bool in_range(const void *set, int rank)
{
    const range *r = set;
    return rank >= r->first && rank < r->end;
}

void kpar_cores_print(const kpar_cores *cores, kpar_text *text)
{
    enum { MOST = 4 };
    range same = {0, 0};
    for (int groups = 0; same.end < cores->ranks; groups++, same.first = same.end) {
        const cpu_set_t *mask = &cores->masks[same.first];
        while (same.end < cores->ranks && CPU_EQUAL(&cores->masks[same.end], mask)) same.end++;
        if (groups == MOST) {
            kpar_text_printf(text, ", ...");
            return;
        }
        if (groups) kpar_text_printf(text, ", ");
        print_numbers(text, groups ? "" : "core", has_core, mask, CPU_SETSIZE);
        if (groups == 0 && same.end == cores->ranks) return;
        kpar_text_printf(text, " (");
        print_numbers(text, "rank", in_range, &same, cores->ranks);
        kpar_text_printf(text, ")");
    }
}

/* Ranks of a rank's node that may run on one of its cores. */
typedef struct neighbours {
    const kpar_cores *cores;
    int rank;
} neighbours;
static bool is_neighbour(const void *set, int rank)
{
    const neighbours *of = set;
    cpu_set_t both;
    CPU_AND(&both, &of->cores->masks[rank], &of->cores->masks[of->rank]);
    return of->cores->nodes[rank] == of->cores->nodes[of->rank] && CPU_COUNT(&both) > 0;
}

bool kpar_cores_crowded(const kpar_cores *cores, kpar_text *text)
{
    int rank = 0;
    while (rank < cores->ranks && kpar_cores_share(cores, rank) > 1 - 1e-6) rank++;
    if (rank == cores->ranks) return false;
    print_numbers(text, "rank", is_neighbour, &(neighbours){cores, rank}, cores->ranks);
    kpar_text_printf(text, " share ");
    print_numbers(text, "core", has_core, &cores->masks[rank], CPU_SETSIZE);
    kpar_text_printf(text, " and take turns there: start fewer ranks on a machine, or let mpirun bind them "
                           "otherwise (--bind-to none)");
    return true;
}
