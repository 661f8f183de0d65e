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
    case KPAR_OK: return DONE;
    case KPAR_EUSAGE: return WRONG_USAGE;
    case KPAR_ESTOPPED: return s->checkpoint ? STOPPED : FAILED;
    default: return FAILED;
    }
}

/* --- what a launcher says before MPI does --- */

/* The first of these variables that is a number; `none` without one. */
static int from_environment(const char *const *names, int none)
{
    for (; *names; names++)
        if (getenv(*names) && *getenv(*names)) return atoi(getenv(*names));
    return none;
}

static int expected_ranks(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", NULL};
    return from_environment(names, 1);
}

static int expected_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID", NULL};
    return from_environment(names, 0);
}

/* Ranks that do not know of each other would all train, and write over each other. */
static kpar_status check_launcher(const kpar_comm *comm)
{
    if (kpar_comm_size(comm) > 1 || expected_ranks() == 1) return KPAR_OK;
    return kpar_fail(KPAR_EUSAGE, "%d ranks were started, but MPI knows of one; under Slurm use srun --mpi=pmix, or kparrun -np %d",
                     expected_ranks(), expected_ranks());
}

/* --- what needs no other rank --- */

static int print_text(const kpar_settings *s)
{
    kpar_text text = {0};
    if (s->help) kpar_options_help(&text, &kpar_train_options, getenv("COLUMNS") ? atoi(getenv("COLUMNS")) : 100);
    else if (s->help_man) kpar_options_man(&text, &kpar_train_options, PACKAGE_VERSION);
    else if (s->help_markdown) kpar_options_markdown(&text, &kpar_train_options);
    else kpar_text_printf(&text, "kpar_train " PACKAGE_VERSION "\n");
    fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    return fflush(stdout) == 0 ? DONE : FAILED;
}

static int say_failure(const kpar_settings *s, kpar_status status)
{
    if (status != KPAR_OK && expected_rank() == 0) kpar_log_error(kpar_error_message());
    return exit_code(s, status);
}

static int compare(const kpar_settings *s)
{
    kpar_text text = {0};
    bool equal = false;
    kpar_status status = kpar_keras_compare(s->compare_a, s->compare_b, &text, &equal);
    if (status == KPAR_OK && s->verbose > 0) fputs(kpar_text_get(&text), stdout);
    kpar_text_clear(&text);
    if (status != KPAR_OK) return say_failure(s, status);
    return equal ? DONE : FAILED;
}

static bool is_alone(const kpar_settings *s) { return s->compare || (s->plan && s->ranks); }

static int run_alone(const kpar_settings *s)
{
    if (expected_rank() > 0) return DONE;
    return s->compare ? compare(s) : say_failure(s, kpar_plan_print(s, s->ranks, 1));
}

/* --- with the others --- */

static kpar_status plan(kpar_comm *comm, const kpar_settings *s)
{
    int threads;
    KPAR_TRY(kpar_job_choose_threads(comm, s, &threads));
    return kpar_comm_agree(comm, kpar_comm_rank(comm) == 0 ? kpar_plan_print(s, kpar_comm_size(comm), threads) : KPAR_OK);
}

/* `status` is what came of the settings: also an error ends all ranks together. */
static kpar_status run(kpar_comm *comm, const kpar_settings *s, kpar_status status)
{
    KPAR_TRY(kpar_comm_agree(comm, status));
    KPAR_TRY(check_launcher(comm));
    return s->plan ? plan(comm, s) : kpar_job_run(comm, s);
}

static int run_together(const kpar_settings *s, kpar_status status)
{
    const kpar_mpi_options options = {.ranks_per_node = s->ranks_per_node, .windows = s->transport != KPAR_TRANSPORT_MPI};
    kpar_comm *comm;
    if (status != KPAR_OK && expected_ranks() == 1) return say_failure(s, status);
    char *message = kpar_strdup(kpar_error_message());
    kpar_status made = kpar_comm_mpi_create(&options, &comm);
    if (made == KPAR_OK && status != KPAR_OK) status = kpar_fail(status, "%s", message);
    kpar_free(message);
    if (made != KPAR_OK) return say_failure(s, made);
    status = run(comm, s, status);
    if (status != KPAR_OK && kpar_comm_rank(comm) == 0 && expected_rank() <= 0) kpar_log_error(kpar_error_message());
    const int code = exit_code(s, status);
    kpar_comm_destroy(comm);
    return code;
}

int main(int argc, char **argv)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_settings settings;
    kpar_log_program("kpar_train");
    kpar_status status = kpar_settings_read(arena, argc, argv, &settings);
    int code;
    if (status == KPAR_OK && (settings.help || settings.help_man || settings.help_markdown || settings.version)) code = print_text(&settings);
    else if (status == KPAR_OK && is_alone(&settings)) code = run_alone(&settings);
    else code = run_together(&settings, status);
    kpar_arena_destroy(arena);
    return code;
}
