/* Options of kparrun, a row each. */
#include "launch/options.h"

#include <math.h>

#define FIELD(name) KPAR_FIELD(kpar_launch_options, name)

static const kpar_option rows[] = {
    {"np", FIELD(ranks), .short_names = "np n", .placeholder = "N", .preset_doc = "", .least = 1, .most = 1e6,
     .group = "Where", .doc = "Number of ranks, over all hosts",
     .sought_as =
         "nproc nprocs ntasks ranks nproc-per-node nprocs-per-node ntasks-per-node ppn npernode c N"},
    {"hosts", FIELD(hosts), .short_names = "H", .placeholder = "HOST:SLOTS,...",
     .doc = "Hosts and how many ranks each takes; without them this machine, or what a batch system gave",
     .sought_as = "host nodes nnodes nodelist"},
    {"hostfile", FIELD(hostfile), .placeholder = "FILE",
     .doc = "The same as a file: a line is 'name slots=N' or 'name:N'", .sought_as = "f machinefile"},
    {"oversubscribe", FIELD(oversubscribe), .doc = "Allow more ranks than slots"},
    {"bind-to", FIELD(bind_to), .placeholder = "WHAT", .preset = "none",
     .doc = "What a rank is bound to: none, core, socket or numa"},
    {"output-filename", FIELD(output_directory), .placeholder = "DIR", .group = "Output and time",
     .doc = "Write the output of each rank to DIR/rank.N/stdout and stderr, too"},
    {"start-timeout", FIELD(start_timeout), .placeholder = "SECONDS", .preset = "60", .most = INFINITY,
     .doc = "Give up when not all ranks have started by then"},
    {"stop-timeout", FIELD(stop_timeout), .placeholder = "SECONDS", .preset = "5", .most = INFINITY,
     .doc =
         "Time that ranks have to end after a signal, or after one of them failed, before they are killed"},
    {"mpirun", FIELD(mpirun), .placeholder = "PROGRAM", .preset = KPAR_MPIRUN,
     .preset_doc = "that of the build", .group = "This program",
     .doc = "The mpirun of Open MPI or MPICH to start the job with"},
    {"dry-run", FIELD(dry_run), .doc = "Print the command that would be run, and end"},
    {"help", FIELD(help), .short_names = "h", .doc = "Print this text and end"},
    {"help-man", FIELD(help_man), .doc = "Print the man page and end"},
    {"help-markdown", FIELD(help_markdown), .doc = "Print the options as tables in Markdown and end"},
    {"version", FIELD(version), .doc = "Print the version and end"},
};

static const kpar_exit_code exit_codes[] = {
    {0, "All ranks ended with 0"},
    {2, "Wrong usage"},
    {75, "Stopped by a signal after a checkpoint, as kpar_train ends; start again with --resume"},
    {127, "The command is not there"},
    {128, "Plus N: a rank was killed by signal N"},
};

static const kpar_section sections[] = {
    {"OTHER EXIT CODES",
     "The code of the job is that of the rank that failed first. The last line on standard error "
     "names this rank, its host and the last thing that it said."},
    {"EXAMPLES", "kparrun -np 4 kpar_train model.keras --data train.npz --output trained.keras\n\n"
                 "kparrun -np 8 -H node1:4,node2:4 kpar_train model.keras --data train.npz"},
    {"SEE ALSO", "kpar_train(1), kpar_bench(1), mpirun(1)"},
};

const kpar_options kpar_launch_option_table = {
    .program = "kparrun",
    .synopsis = "-np N [OPTION]... COMMAND [ARGUMENT]...",
    .summary = "run a program on many ranks",
    .description =
        "Runs COMMAND on N ranks through the mpirun of Open MPI or MPICH, and ends with the exit code of the "
        "job.\n\nA signal (INT, TERM, HUP) reaches all ranks as TERM; a second one, or the end of their "
        "time, "
        "kills them. USR1 and USR2 reach them as TERM without a limit of time.\n\nRoot may start jobs, too: "
        "Open MPI is told to allow it.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof *rows,
    .exit_codes = exit_codes,
    .n_exit_codes = sizeof exit_codes / sizeof *exit_codes,
    .sections = sections,
    .n_sections = sizeof sections / sizeof *sections,
    .stop_at_operand = true,
};

kpar_status kpar_launch_options_read(int argc, char **argv, kpar_arena *arena, kpar_launch_options *options)
{
    KPAR_TRY(kpar_options_preset(&kpar_launch_option_table, arena, options));
    KPAR_TRY(
        kpar_options_parse(&kpar_launch_option_table, arena, argc, argv, options, NULL, &options->command));
    if (options->help || options->help_man || options->help_markdown || options->version) return KPAR_OK;
    if (!options->ranks) return kpar_fail(KPAR_EUSAGE, "-np is missing: how many ranks?");
    if (!options->command.count)
        return kpar_fail(KPAR_EUSAGE, "the command is missing: what shall each rank run?");
    if (options->hosts && options->hostfile)
        return kpar_fail(KPAR_EUSAGE, "give --hosts or --hostfile, not both");
    return KPAR_OK;
}
