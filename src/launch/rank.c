/* The keeper of one rank: starts the program, passes its output on, delivers signals, reports how it ends. */
#include "base/memory.h"
#include "launch/launch.h"
#include "launch/report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct output_copy {
    int input;    /* from the program; -1 once it is closed */
    int terminal; /* towards mpirun */
    int file;     /* the copy; -1: none */
    bool marked, at_line_start;
    char last[1024], line[1024]; /* last line that says something, and the present one so far */
    size_t length;
} output_copy;

typedef struct rank_keeper {
    kpar_launch_report report;
    pid_t child;
    int signals;
    output_copy streams[2]; /* standard output (only when it is copied), standard error */
} rank_keeper;

/* The variables in which starters tell a process its rank and the number of ranks. */
static const struct {
    const char *rank, *size;
} starters[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"PMIX_RANK", "OMPI_COMM_WORLD_SIZE"},
};

static int find_rank(int *size)
{
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++) {
        const char *rank = getenv(starters[i].rank), *ranks = getenv(starters[i].size);
        if (!rank) continue;
        *size = ranks ? atoi(ranks) : 1;
        return atoi(rank);
    }
    *size = 1;
    return 0;
}

static void write_all(int file, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; /* nobody reads, or the disk is full: the program goes on */
        bytes += written;
        length -= (size_t)written;
    }
}

/* Waits until mpirun has read all, so that a report begins a read of its own and stays in one piece. */
static void settle(int file)
{
    int unread = 0;
    for (int turn = 0; turn < 200 && !ioctl(file, FIONREAD, &unread) && unread; turn++) usleep(5000);
}

static void send_report(const rank_keeper *keeper)
{
    kpar_text text = {0};
    kpar_launch_report_write(&keeper->report, &text);
    settle(STDERR_FILENO);
    write_all(STDERR_FILENO, kpar_text_get(&text), text.length);
    kpar_text_clear(&text);
}

/* DIR/rank.N, with zeros in front where there are more than ten ranks. */
static kpar_status open_copies(rank_keeper *keeper, const char *directory, int size)
{
    static const char *const names[] = {"stdout", "stderr"};
    char path[4096];
    int width = snprintf(NULL, 0, "%d", size - 1);
    if (mkdir(directory, 0777) && errno != EEXIST)
        return kpar_fail(KPAR_EIO, "%s: cannot make the folder: %s", directory, strerror(errno));
    snprintf(path, sizeof path, "%s/rank.%0*d", directory, width, keeper->report.rank);
    if (mkdir(path, 0777) && errno != EEXIST)
        return kpar_fail(KPAR_EIO, "%s: cannot make the folder: %s", path, strerror(errno));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/rank.%0*d/%s", directory, width, keeper->report.rank, names[i]);
        keeper->streams[i].file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (keeper->streams[i].file < 0) return kpar_fail(KPAR_EIO, "%s: %s", path, strerror(errno));
    }
    return KPAR_OK;
}

static _Noreturn void become(char **command, const int ends[2][2], const sigset_t *mask)
{
    setpgid(0, 0); /* signals reach it through the keeper only */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ends[0][1] >= 0) dup2(ends[0][1], STDOUT_FILENO);
    dup2(ends[1][1], STDERR_FILENO);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(command[0], command);
    dprintf(STDERR_FILENO, "kparrun: cannot run '%s': %s\n", command[0], strerror(errno));
    _exit(127);
}

static kpar_status start(rank_keeper *keeper, char **command, bool copy_output)
{
    int ends[2][2] = {{-1, -1}, {-1, -1}};
    sigset_t wanted, before;
    sigemptyset(&wanted);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&wanted, signals[i]);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    keeper->signals = signalfd(-1, &wanted, SFD_CLOEXEC);
    if (keeper->signals < 0 || pipe2(ends[1], O_CLOEXEC) || (copy_output && pipe2(ends[0], O_CLOEXEC)))
        return kpar_fail(KPAR_EIO, "cannot make a pipe: %s", strerror(errno));
    keeper->child = fork();
    if (keeper->child < 0) return kpar_fail(KPAR_EIO, "cannot start a process: %s", strerror(errno));
    if (keeper->child == 0) become(command, (const int(*)[2])ends, &before);
    for (int i = 0; i < 2; i++) {
        keeper->streams[i].input = ends[i][0];
        if (ends[i][1] >= 0) close(ends[i][1]);
    }
    return KPAR_OK;
}

static void remember(output_copy *stream, char c)
{
    if (c == '\n' || c == '\r') {
        stream->line[stream->length] = '\0';
        if (stream->length) memcpy(stream->last, stream->line, stream->length + 1);
        stream->length = 0;
    } else if (stream->length + 1 < sizeof stream->line)
        stream->line[stream->length++] = c;
}

/* Passes on what the program wrote, a mark in front of each line where lines are marked. */
static void pass_on(output_copy *stream)
{
    char bytes[2048], marked[2 * sizeof bytes];
    size_t length = 0;
    ssize_t n = read(stream->input, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
        close(stream->input);
        stream->input = -1;
        return;
    }
    if (stream->file >= 0) write_all(stream->file, bytes, (size_t)n);
    for (ssize_t i = 0; i < n; i++) {
        if (stream->marked && stream->at_line_start) marked[length++] = KPAR_LAUNCH_MARK;
        if (!stream->marked || bytes[i] != KPAR_LAUNCH_MARK) marked[length++] = bytes[i];
        stream->at_line_start = bytes[i] == '\n';
        remember(stream, bytes[i]);
    }
    write_all(stream->terminal, marked, length);
}

/* mpirun delivers the launcher's wish to stop as USR1, the one signal that all of them forward: the program gets
 * TERM. */
static void deliver(const rank_keeper *keeper, int signal)
{
    kill(-keeper->child, signal == SIGUSR1 ? SIGTERM : signal);
}

/* True once the program has ended; its end is then in the report. */
static bool reap(rank_keeper *keeper)
{
    int status;
    struct rusage usage;
    if (wait4(keeper->child, &status, WNOHANG, &usage) != keeper->child) return false;
    keeper->report.ended = true;
    keeper->report.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    keeper->report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    keeper->report.peak_kib = usage.ru_maxrss;
    return true;
}

/* One wait for output or a signal; after the program's end only for output that is there already. */
static bool turn(rank_keeper *keeper)
{
    struct signalfd_siginfo info;
    struct pollfd files[3] = {{.fd = keeper->signals, .events = POLLIN}};
    for (int i = 0; i < 2; i++)
        files[1 + i] = (struct pollfd){.fd = keeper->streams[i].input, .events = POLLIN};
    int ready = poll(files, 3, keeper->report.ended ? 0 : -1);
    if (ready < 0) return errno == EINTR;
    if (files[0].revents && read(keeper->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(keeper);
        else if (!keeper->report.ended)
            deliver(keeper, (int)info.ssi_signo);
    }
    for (int i = 0; i < 2; i++)
        if (files[1 + i].revents) pass_on(&keeper->streams[i]);
    return ready > 0 || !keeper->report.ended;
}

static void finish(rank_keeper *keeper)
{
    output_copy *errors = &keeper->streams[1];
    remember(errors, '\n');
    snprintf(keeper->report.message, sizeof keeper->report.message, "%s", errors->last);
    for (int i = 0; i < 2; i++) {
        if (keeper->streams[i].input >= 0) close(keeper->streams[i].input);
        if (keeper->streams[i].file >= 0) close(keeper->streams[i].file);
    }
    if (!errors->at_line_start) write_all(STDERR_FILENO, "\n", 1);
    send_report(keeper);
}

int kpar_launch_rank(const char *directory, char **command)
{
    int size;
    rank_keeper *keeper = kpar_alloc_zeroed(1, sizeof *keeper);
    keeper->streams[0] =
        (output_copy){.input = -1, .terminal = STDOUT_FILENO, .file = -1, .at_line_start = true};
    keeper->streams[1] = (output_copy){
        .input = -1, .terminal = STDERR_FILENO, .file = -1, .marked = true, .at_line_start = true};
    keeper->report.rank = find_rank(&size);
    gethostname(keeper->report.host, sizeof keeper->report.host - 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no rank outlives its mpirun */
    send_report(keeper);

    bool copy = strcmp(directory, "-") != 0;
    kpar_status status = copy ? open_copies(keeper, directory, size) : KPAR_OK;
    if (status == KPAR_OK) status = start(keeper, command, copy);
    if (status == KPAR_OK) {
        while (turn(keeper)) continue;
    } else {
        keeper->report.ended = true;
        keeper->report.code = 1;
        dprintf(STDERR_FILENO, "%ckparrun: %s\n", KPAR_LAUNCH_MARK, kpar_error_message());
        snprintf(keeper->streams[1].last, sizeof keeper->streams[1].last, "kparrun: %s",
                 kpar_error_message());
    }
    finish(keeper);
    int code = kpar_launch_report_code(&keeper->report);
    kpar_free(keeper);
    return code;
}
