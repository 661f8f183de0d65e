/* mpirun as a child: its output filtered, signals passed on, limits of time kept, its end explained. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "launch/filter.h"
#include "launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds between asking mpirun to end and killing it. */
#define KILL_AFTER 1.5

/* Of a rank that a signal stopped after a checkpoint: no failure. */
enum { STOPPED = 75 };

typedef struct running_job {
    const kpar_launch_options *options;
    pid_t child;
    int status; /* of mpirun, once `ended` */
    bool ended;
    int signals, inputs[2];        /* from mpirun: standard output, standard error; -1: closed */
    kpar_launch_filter filters[2]; /* of these */
    kpar_launch_report *reports;   /* of ranks that ended, as they came */
    size_t n_reports, capacity;
    int started;
    int stop_signal;                   /* that the user sent; 0: none */
    bool late, terminated;             /* not all ranks started in time; mpirun was told to end */
    double start_by, stop_by, kill_at; /* INFINITY: no such limit now */
} running_job;

static void take_report(const kpar_launch_report *report, void *context)
{
    running_job *job = context;
    job->filters[1].quiet = false;
    if (!report->ended) {
        if (++job->started == job->options->ranks) job->start_by = INFINITY;
        return;
    }
    KPAR_PUSH(job->reports, job->n_reports, job->capacity) = *report;
    bool failed = report->code || report->signal;
    if (failed && isinf(job->stop_by)) job->stop_by = kpar_seconds() + job->options->stop_timeout;
}

static void terminate(running_job *job)
{
    if (job->terminated) return;
    job->terminated = true;
    job->start_by = job->stop_by = INFINITY;
    job->kill_at = kpar_seconds() + KILL_AFTER;
    kill(job->child, SIGTERM);
}

/* The first wish to stop is the ranks' to fulfil, in stop_timeout seconds; the second is not. USR1 and USR2 are
 * warnings of a scheduler and set no limit. */
static void take_signal(running_job *job, int signal)
{
    if (signal == SIGUSR1 || signal == SIGUSR2) {
        kill(job->child, SIGUSR1);
    } else if (job->stop_signal || !job->started) {
        job->stop_signal = signal;
        terminate(job);
    } else {
        job->stop_signal = signal;
        job->stop_by = kpar_seconds() + job->options->stop_timeout;
        kpar_log("%s: the ranks are told to stop and have %g s; once more kills them", strsignal(signal),
                 job->options->stop_timeout);
        kill(job->child, SIGUSR1);
    }
}

static _Noreturn void become(char **arguments, const int ends[2][2], const sigset_t *mask)
{
    setpgid(0, 0); /* a terminal's Ctrl-C is for the launcher alone */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (isatty(STDIN_FILENO)) {
        int nothing = open("/dev/null", O_RDONLY);
        dup2(nothing, STDIN_FILENO);
    }
    dup2(ends[0][1], STDOUT_FILENO);
    dup2(ends[1][1], STDERR_FILENO);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(arguments[0], arguments);
    dprintf(STDERR_FILENO, "cannot run '%s': %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static kpar_status start(running_job *job, char **arguments)
{
    int ends[2][2];
    sigset_t wanted, before;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
    sigemptyset(&wanted);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&wanted, signals[i]);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    job->signals = signalfd(-1, &wanted, SFD_CLOEXEC);
    if (job->signals < 0 || pipe2(ends[0], O_CLOEXEC) || pipe2(ends[1], O_CLOEXEC))
        return kpar_fail(KPAR_EIO, "cannot make a pipe: %s", strerror(errno));
    job->child = fork();
    if (job->child < 0) return kpar_fail(KPAR_EIO, "cannot start a process: %s", strerror(errno));
    if (job->child == 0) become(arguments, (const int(*)[2])ends, &before);
    for (int i = 0; i < 2; i++) {
        close(ends[i][1]);
        job->inputs[i] = ends[i][0];
    }
    return KPAR_OK;
}

static void read_input(running_job *job, int which)
{
    char bytes[8192];
    ssize_t n = read(job->inputs[which], bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) return;
    if (n > 0) {
        kpar_launch_filter_feed(&job->filters[which], bytes, (size_t)n);
        return;
    }
    close(job->inputs[which]);
    job->inputs[which] = -1;
}

static void read_signal(running_job *job)
{
    struct signalfd_siginfo info;
    if (read(job->signals, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo != SIGCHLD)
        take_signal(job, (int)info.ssi_signo);
    else if (waitpid(job->child, &job->status, WNOHANG) == job->child)
        job->ended = true;
}

static void keep_limits(running_job *job)
{
    double now = kpar_seconds();
    if (now >= job->start_by) job->late = true;
    if (now >= job->start_by || now >= job->stop_by) terminate(job);
    if (now >= job->kill_at) {
        kill(-job->child, SIGKILL);
        job->kill_at = INFINITY;
    }
}

static int milliseconds_to_next_limit(const running_job *job)
{
    double next = fmin(job->start_by, fmin(job->stop_by, job->kill_at)) - kpar_seconds();
    if (job->ended) return 100; /* for what is still in the pipes */
    return isinf(next) ? -1 : next > 0 ? (int)fmin(next * 1000, 1e6) + 1 : 0;
}

/* One wait for output, a signal or a limit of time; false when the job is over. */
static bool turn(running_job *job)
{
    struct pollfd files[3] = {{.fd = job->signals, .events = POLLIN}};
    for (int i = 0; i < 2; i++) files[1 + i] = (struct pollfd){.fd = job->inputs[i], .events = POLLIN};
    int ready = poll(files, 3, milliseconds_to_next_limit(job));
    if (ready < 0) return errno == EINTR;
    for (int i = 0; i < 2; i++)
        if (files[1 + i].revents) read_input(job, i);
    if (files[0].revents) read_signal(job);
    keep_limits(job);
    return !job->ended || (ready > 0 && (job->inputs[0] >= 0 || job->inputs[1] >= 0));
}

/* The first paragraph of what mpirun said, as one line. */
static void first_paragraph(const char *held, kpar_text *text)
{
    while (*held && text->length < 400) {
        size_t length = strcspn(held, "\n"), said = length > strspn(held, " \t-=") ? length : 0;
        if (!said && text->length) return;
        kpar_text_printf(text, "%s%.*s", said && text->length ? " " : "", (int)said, held);
        held += length + (held[length] == '\n');
    }
}

static void explain_without_ranks(const running_job *job, int code)
{
    kpar_text text = {0};
    first_paragraph(kpar_text_get(&job->filters[1].held), &text);
    kpar_log("%s: mpirun ended with exit code %d%s%s",
             job->started ? "no rank says why" : "no rank was started", code, text.length ? ": " : "",
             kpar_text_get(&text));
    kpar_text_clear(&text);
}

/* The last line of the job, and its exit code. */
static int explain(const running_job *job)
{
    const kpar_launch_report *first = kpar_launch_report_first_failure(job->reports, job->n_reports);
    int code = WIFEXITED(job->status) ? WEXITSTATUS(job->status) : 128 + WTERMSIG(job->status);
    if (job->late) {
        kpar_log("%d of %d ranks started within %g s; see that every host answers to ssh and has kparrun, or "
                 "raise --start-timeout",
                 job->started, job->options->ranks, job->options->start_timeout);
        return code ? code : 1;
    }
    if (first) {
        kpar_text text = {0};
        const bool stopped = job->stop_signal || kpar_launch_report_code(first) == STOPPED;
        kpar_launch_report_explain(first, stopped ? "was stopped" : "failed first", &text);
        kpar_log("%s", kpar_text_get(&text));
        kpar_text_clear(&text);
        return kpar_launch_report_code(first);
    }
    if (job->stop_signal) {
        kpar_log("stopped by signal %d: %s", job->stop_signal, strsignal(job->stop_signal));
        return code || job->n_reports < (size_t)job->options->ranks ? 128 + job->stop_signal : 0;
    }
    if (code) explain_without_ranks(job, code);
    return code;
}

static void clear(running_job *job)
{
    for (int i = 0; i < 2; i++) {
        if (job->inputs[i] >= 0) close(job->inputs[i]);
        kpar_text_clear(&job->filters[i].held);
    }
    close(job->signals);
    kpar_free(job->reports);
}

int kpar_launch_job(const kpar_launch_options *options, const kpar_launch_arguments *arguments)
{
    double now = kpar_seconds();
    running_job job = {.options = options,
                       .inputs = {-1, -1},
                       .start_by = now + options->start_timeout,
                       .stop_by = INFINITY,
                       .kill_at = INFINITY};
    job.filters[0] = (kpar_launch_filter){.output = STDOUT_FILENO};
    job.filters[1] = (kpar_launch_filter){
        .output = STDERR_FILENO, .marked = true, .quiet = true, .report = take_report, .context = &job};
    if (start(&job, arguments->items) != KPAR_OK) {
        kpar_log_error(kpar_error_message());
        return 1;
    }
    while (turn(&job)) continue;
    for (int i = 0; i < 2; i++) kpar_launch_filter_finish(&job.filters[i]);
    int code = explain(&job);
    clear(&job);
    return code;
}
