/* kparrun: starts a job through the machine's mpirun and says in one line how it ended.
 *
 *   options ─► hosts, machine ─► arguments of mpirun ─► job: mpirun as a child, its output filtered
 *                                                        └─ on each rank: kparrun again, as the rank's keeper
 *
 * Each rank is started as `kparrun --rank DIR COMMAND`: the keeper starts COMMAND, passes its output on, delivers
 * signals and reports when it starts and how it ends. Reports travel on the rank's standard error, which every
 * mpirun brings to the launcher from every host (report.h). No MPI is linked here. */
#ifndef KPAR_LAUNCH_LAUNCH_H
#define KPAR_LAUNCH_LAUNCH_H

#include "base/options.h"
#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>

typedef struct kpar_launch_options {
    int ranks;
    const char *hosts, *hostfile, *output_directory, *bind_to, *mpirun;
    double start_timeout, stop_timeout; /* seconds */
    bool dry_run, oversubscribe, help, help_man, help_markdown, version;
    kpar_strings command; /* the program of a rank and its arguments */
} kpar_launch_options;

/* ---- hosts.c ---- */

typedef struct kpar_launch_host {
    char *name;
    long long slots;
} kpar_launch_host;

typedef struct kpar_launch_hosts {
    kpar_launch_host *items;
    size_t count, capacity;
} kpar_launch_hosts;

/* Appends the hosts of "a:2,b:4" (one slot where no number is given). */
kpar_status kpar_launch_hosts_parse(const char *list, kpar_launch_hosts *hosts) KPAR_MUST_USE;

/* Appends the hosts of a file: a line is `name`, `name slots=4` or `name:4`; # begins a comment. */
kpar_status kpar_launch_hosts_read(const char *path, kpar_launch_hosts *hosts) KPAR_MUST_USE;

long long kpar_launch_hosts_slots(const kpar_launch_hosts *hosts);

/* KPAR_EUSAGE when `ranks` are more than the slots, with hosts x slots and the option that helps. */
kpar_status kpar_launch_hosts_suffice(const kpar_launch_hosts *hosts, long long ranks) KPAR_MUST_USE;

void kpar_launch_hosts_clear(kpar_launch_hosts *hosts);

/* ---- machine.c ---- */

typedef enum kpar_launch_flavor { KPAR_LAUNCH_OPENMPI, KPAR_LAUNCH_MPICH } kpar_launch_flavor;

/* What the launcher must know of this machine. */
typedef struct kpar_launch_machine {
    kpar_launch_flavor flavor;
    int major;        /* of the MPI's version */
    char version[64]; /* "Open MPI 4.1.4" */
    int cores;        /* that this process may use */
    bool root;
    bool cross_memory;   /* a process may read another's memory (Open MPI's CMA) */
    size_t shared_bytes; /* free in /dev/shm */
} kpar_launch_machine;

kpar_status kpar_launch_machine_find(const char *mpirun, kpar_launch_machine *machine) KPAR_MUST_USE;

/* ---- arguments.c ---- */

/* The arguments of mpirun, NULL at the end; the strings are owned. */
typedef struct kpar_launch_arguments {
    char **items;
    size_t count, capacity;
    kpar_text note; /* what was done for this machine, for one line; may be empty */
} kpar_launch_arguments;

/* `keeper` is the path of kparrun itself. */
void kpar_launch_arguments_make(const kpar_launch_options *options, const kpar_launch_hosts *hosts,
                                const kpar_launch_machine *machine, const char *keeper,
                                kpar_launch_arguments *arguments);

/* The arguments as a line for a shell. */
void kpar_launch_arguments_text(const kpar_launch_arguments *arguments, kpar_text *text);

void kpar_launch_arguments_clear(kpar_launch_arguments *arguments);

/* ---- job.c, rank.c ---- */

/* Runs the job to its end. Returns the exit code: that of the rank that failed first, 128 + signal where it was
 * killed, mpirun's own where no rank came into being. */
int kpar_launch_job(const kpar_launch_options *options, const kpar_launch_arguments *arguments);

/* Keeps one rank: starts `command` and returns its exit code, or 128 + signal. `directory` is where the rank's
 * output goes too, or "-". */
int kpar_launch_rank(const char *directory, char **command);

#endif
