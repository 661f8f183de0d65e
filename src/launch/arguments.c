/* From the options and the machine to the arguments of mpirun. */
#include "base/memory.h"
#include "launch/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(kpar_launch_arguments *arguments, const char *text)
{
    KPAR_PUSH(arguments->items, arguments->count, arguments->capacity) = text ? kpar_strdup(text) : NULL;
}

static void add_pair(kpar_launch_arguments *arguments, const char *option, const char *value)
{
    add(arguments, option);
    add(arguments, value);
}

static void add_mca(kpar_launch_arguments *arguments, const char *name, const char *value)
{
    add(arguments, "--mca");
    add_pair(arguments, name, value);
}

static void note(kpar_launch_arguments *arguments, const char *what)
{
    kpar_text_printf(&arguments->note, "%s%s", arguments->note.length ? "; " : "", what);
}

static void add_hosts(kpar_launch_arguments *arguments, const char *option, const kpar_launch_hosts *hosts)
{
    kpar_text list = {0};
    for (size_t i = 0; i < hosts->count; i++)
        kpar_text_printf(&list, "%s%s:%lld", i ? "," : "", hosts->items[i].name, hosts->items[i].slots);
    if (hosts->count) add_pair(arguments, option, kpar_text_get(&list));
    kpar_text_clear(&list);
}

/* Where the scheduler gave slots, they are mpirun's to count. */
static bool inside_allocation(void)
{
    return getenv("SLURM_JOB_ID") || getenv("PBS_NODEFILE") || getenv("LSB_JOBID");
}

/* More ranks than cores: on this machine alone that is allowed without asking. */
static bool shares_cores(const kpar_launch_options *options, const kpar_launch_hosts *hosts,
                         const kpar_launch_machine *machine)
{
    if (options->oversubscribe) return true;
    return !hosts->count && !inside_allocation() && options->ranks > machine->cores;
}

static void add_openmpi_sharing(kpar_launch_arguments *arguments, const kpar_launch_machine *machine)
{
    if (machine->major >= 5)
        add_pair(arguments, "--map-by", ":OVERSUBSCRIBE");
    else
        add(arguments, "--oversubscribe");
    add_mca(arguments, "mpi_yield_when_idle", "1");
}

static long long most_ranks_of_a_host(const kpar_launch_options *options, const kpar_launch_hosts *hosts)
{
    long long most = 0;
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i].slots > most) most = hosts->items[i].slots;
    return hosts->count && most < options->ranks ? most : options->ranks;
}

/* Open MPI writes to files in /dev/shm that it has reserved no room for: where they do not fit, a rank is killed by a bus
 * error. */
static void keep_out_of_shared_memory(long long ranks, const kpar_launch_machine *machine,
                                      kpar_launch_arguments *arguments)
{
    const bool recent = machine->major >= 5;
    const size_t rank_bytes = (size_t)(recent ? 32 : 8) << 20;
    const char *folder = getenv("TMPDIR");
    char words[160];
    if (ranks < 2 || machine->shared_bytes / rank_bytes >= (size_t)ranks) return;
    add_mca(arguments, recent ? "btl_sm_backing_directory" : "btl_vader_backing_directory",
            folder && *folder ? folder : "/tmp");
    snprintf(words, sizeof words, "/dev/shm has %zu MiB left, so Open MPI's shared files are in %.80s",
             machine->shared_bytes >> 20, folder && *folder ? folder : "/tmp");
    note(arguments, words);
}

static void add_openmpi(const kpar_launch_options *options, const kpar_launch_hosts *hosts,
                        const kpar_launch_machine *machine, bool sharing, kpar_launch_arguments *arguments)
{
    char ssh[128];
    if (machine->root) add(arguments, "--allow-run-as-root");
    add_hosts(arguments, "--host", hosts);
    if (sharing) add_openmpi_sharing(arguments, machine);
    add_pair(arguments, "--bind-to", options->bind_to);
    if (!machine->cross_memory) {
        if (machine->major >= 5)
            add_mca(arguments, "smsc", "^cma");
        else
            add_mca(arguments, "btl_vader_single_copy_mechanism", "none");
        note(arguments, "reading another process's memory is not permitted here, so Open MPI's CMA is off");
    }
    keep_out_of_shared_memory(most_ranks_of_a_host(options, hosts), machine, arguments);
    if (hosts->count && machine->major < 5) {
        snprintf(ssh, sizeof ssh, "-o BatchMode=yes -o ConnectTimeout=%.0f", options->start_timeout);
        add_mca(arguments, "plm_rsh_args", ssh);
    }
}

static void add_mpich(const kpar_launch_options *options, const kpar_launch_hosts *hosts,
                      kpar_launch_arguments *arguments)
{
    add_hosts(arguments, "-hosts", hosts);
    add_pair(arguments, "-bind-to", options->bind_to);
}

void kpar_launch_arguments_make(const kpar_launch_options *options, const kpar_launch_hosts *hosts,
                                const kpar_launch_machine *machine, const char *keeper,
                                kpar_launch_arguments *arguments)
{
    char number[32];
    bool sharing = shares_cores(options, hosts, machine);
    snprintf(number, sizeof number, "%d", options->ranks);
    add(arguments, options->mpirun);
    add_pair(arguments, "-np", number);
    if (machine->flavor == KPAR_LAUNCH_OPENMPI)
        add_openmpi(options, hosts, machine, sharing, arguments);
    else
        add_mpich(options, hosts, arguments);
    if (sharing && options->ranks > machine->cores) {
        char words[80];
        snprintf(words, sizeof words, "%d ranks share %d core%s", options->ranks, machine->cores,
                 machine->cores == 1 ? "" : "s");
        note(arguments, words);
    }
    add(arguments, keeper);
    add_pair(arguments, "--rank", options->output_directory ? options->output_directory : "-");
    for (size_t i = 0; i < options->command.count; i++) add(arguments, options->command.items[i]);
    add(arguments, NULL);
}

/* A word needs quotes unless it is made of these alone. */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%^";

void kpar_launch_arguments_text(const kpar_launch_arguments *arguments, kpar_text *text)
{
    for (size_t i = 0; arguments->items[i]; i++) {
        const char *word = arguments->items[i];
        if (i) kpar_text_printf(text, " ");
        if (*word && !word[strspn(word, plain)]) {
            kpar_text_printf(text, "%s", word);
            continue;
        }
        kpar_text_printf(text, "'");
        for (const char *c = word; *c; c++) kpar_text_printf(text, *c == '\'' ? "'\\''" : "%c", *c);
        kpar_text_printf(text, "'");
    }
}

void kpar_launch_arguments_clear(kpar_launch_arguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) kpar_free(arguments->items[i]);
    kpar_free(arguments->items);
    kpar_text_clear(&arguments->note);
    *arguments = (kpar_launch_arguments){0};
}
