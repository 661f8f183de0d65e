/* kpar_train: reads the settings, joins the other ranks, does what is asked, and ends with one line at most. */
#include "cli/job.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, FAILED = 1, WRONG_USAGE = 2, STOPPED = 75 };

static int exit_code(const kpar_settings *s, kpar_status status)
{
    switch (status) {
    case KPAR_OK:
        return DONE;
    case KPAR_EUSAGE:
        return WRONG_USAGE;
    case KPAR_ESTOPPED:
        return s->checkpoint ? STOPPED : FAILED;
    default:
        return FAILED;
    }
}

/* --- what a launcher says before MPI does --- */

typedef struct launcher {
    int rank, ranks;
    int node_ranks; /* of this node; 1: not known */
} launcher;

/* The first of these variables that has a value; `none` without one. */
static int from_environment(const char *const *names, int none)
{
    for (; *names; names++)
        if (getenv(*names) && *getenv(*names)) return atoi(getenv(*names));
    return none;
}

/* To be asked before MPI starts: it sets some of these itself. SLURM_NTASKS is not asked: a batch script has it, too,
 * where nobody but the script runs. */
static launcher find_launcher(void)
{
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID",
                                        NULL};
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", NULL};
    static const char *const node_sizes[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
                                             "SLURM_NTASKS_PER_NODE", NULL};
    return (launcher){from_environment(ranks, 0), from_environment(sizes, 1),
                      from_environment(node_sizes, 1)};
}

/* Ranks that do not know of each other would all train, and write over each other. */
static kpar_status check_launcher(const kpar_comm *comm, const launcher *by)
{
    if (kpar_comm_size(comm) > 1 || by->ranks == 1) return KPAR_OK;
    return kpar_fail(
        KPAR_EUSAGE,
        "%d ranks were started, but MPI knows of one; under Slurm use srun --mpi=pmix, or kparrun -np %d",
        by->ranks, by->ranks);
}

/* --- what needs no other rank --- */

static int print_text(const kpar_settings *s)
{
    kpar_text text = {0};
    if (s->help)
        kpar_options_help(&text, &kpar_train_options, getenv("COLUMNS") ? atoi(getenv("COLUMNS")) : 100);
    else if (s->help_man)
        kpar_options_man(&text, &kpar_train_options, PACKAGE_VERSION);
    else if (s->help_markdown)
        kpar_options_markdown(&text, &kpar_train_options);
    else
        kpar_text_printf(&text, "kpar_train " PACKAGE_VERSION "\n");
    fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    return fflush(stdout) == 0 ? DONE : FAILED;
}

static int say_failure(const kpar_settings *s, const launcher *by, kpar_status status)
{
    if (status != KPAR_OK && by->rank == 0) kpar_log_error(kpar_error_message());
    return exit_code(s, status);
}

static int compare(const kpar_settings *s, const launcher *by)
{
    kpar_text text = {0};
    bool equal = false;
    kpar_status status = kpar_keras_compare(s->compare_a, s->compare_b, &text, &equal);
    if (status == KPAR_OK && s->verbose > 0) fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    if (status != KPAR_OK) return say_failure(s, by, status);
    return equal ? DONE : FAILED;
}

static bool is_alone(const kpar_settings *s) { return s->compare || (s->plan && s->ranks); }

static int run_alone(const kpar_settings *s, const launcher *by)
{
    const kpar_threads threads = {.compute = s->threads_per_rank ? s->threads_per_rank : 1,
                                  .progress = s->progress_thread == KPAR_PROGRESS_ON && s->ranks > 1};
    if (by->rank > 0) return DONE;
    return s->compare ? compare(s, by) : say_failure(s, by, kpar_plan_print(s, s->ranks, &threads));
}

/* --- with the others --- */

static kpar_status plan(kpar_comm *comm, const kpar_settings *s)
{
    kpar_threads threads;
    KPAR_TRY(kpar_job_choose_threads(comm, s, &threads));
    return kpar_comm_agree(
        comm, kpar_comm_rank(comm) == 0 ? kpar_plan_print(s, kpar_comm_size(comm), &threads) : KPAR_OK);
}

/* `status` is what came of the settings: also an error ends all ranks together. */
static kpar_status run(kpar_comm *comm, const kpar_settings *s, const launcher *by, kpar_status status)
{
    KPAR_TRY(kpar_comm_agree(comm, status));
    KPAR_TRY(check_launcher(comm, by));
    return s->plan ? plan(comm, s) : kpar_job_run(comm, s);
}

/* Between steps ranks may be at long work of their own, as when one reads a whole file. */
enum { STALLS_OF_PATIENCE = 10 };

static int run_together(const kpar_settings *s, const launcher *by, kpar_status status)
{
    const kpar_mpi_options options = {.ranks_per_node = s->ranks_per_node,
                                      .windows = s->transport != KPAR_TRANSPORT_MPI};
    kpar_comm *comm;
    if (status != KPAR_OK && by->ranks == 1) return say_failure(s, by, status);
    char *message = kpar_strdup(kpar_error_message());
    kpar_status made = kpar_comm_mpi_create(&options, &comm);
    if (made == KPAR_OK && status != KPAR_OK) status = kpar_fail(status, "%s", message);
    kpar_free(message);
    if (made != KPAR_OK) return say_failure(s, by, made);
    kpar_comm_set_patience(comm, STALLS_OF_PATIENCE * s->stall_timeout);
    status = run(comm, s, by, status);
    const int code = kpar_comm_rank(comm) == 0 ? say_failure(s, by, status) : exit_code(s, status);
    kpar_comm_destroy(comm);
    return code;
}

int main(int argc, char **argv)
{
    kpar_arena *arena = kpar_arena_create();
    const launcher by = find_launcher();
    kpar_settings settings;
    kpar_log_program("kpar_train");
    kpar_status status = kpar_settings_read(arena, argc, argv, &settings);
    int code;
    if (status == KPAR_OK &&
        (settings.help || settings.help_man || settings.help_markdown || settings.version))
        code = print_text(&settings);
    else if (status == KPAR_OK && is_alone(&settings))
        code = run_alone(&settings, &by);
    else {
        if (status == KPAR_OK) kpar_job_share_processors(&settings, by.node_ranks, argv);
        code = run_together(&settings, &by, status);
    }
    kpar_arena_destroy(arena);
    return code;
}
