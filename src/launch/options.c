/* Options of kparrun, a row each. */
#include "launch/options.h"

#include "base/number.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef enum kind { TEXT, COUNT, SECONDS, FLAG, ACTION } kind;

typedef struct option_row {
    const char *name, *other; /* "-np", or NULL */
    const char *value;        /* how the value is called; NULL: none */
    kind kind;
    size_t offset; /* of the field; of an ACTION: which */
    const char *doc;
} option_row;

#define FIELD(name) offsetof(kpar_launch_options, name)

static const option_row rows[] = {
    {"-np", "--np", "N", COUNT, FIELD(ranks), "number of ranks"},
    {"-H", "--hosts", "HOST:SLOTS,...", TEXT, FIELD(hosts),
     "hosts and how many ranks each takes; without it this machine, or what the batch system gave"},
    {"--hostfile", NULL, "FILE", TEXT, FIELD(hostfile),
     "the same as a file: a line is `name slots=N` or `name:N`"},
    {"--output-filename", NULL, "DIR", TEXT, FIELD(output_directory),
     "write the output of each rank to DIR/rank.N/stdout and stderr too"},
    {"--bind-to", NULL, "WHAT", TEXT, FIELD(bind_to),
     "none (default), core, socket or numa: what a rank is bound to"},
    {"--oversubscribe", NULL, NULL, FLAG, FIELD(oversubscribe), "allow more ranks than slots"},
    {"--start-timeout", NULL, "SECONDS", SECONDS, FIELD(start_timeout),
     "give up when not all ranks have started by then (default 60)"},
    {"--stop-timeout", NULL, "SECONDS", SECONDS, FIELD(stop_timeout),
     "time the ranks have to end after a signal, or after one of them failed, before they are killed "
     "(default 5)"},
    {"--mpirun", NULL, "PROGRAM", TEXT, FIELD(mpirun),
     "the mpirun to start the job with (default " KPAR_MPIRUN ")"},
    {"--dry-run", NULL, NULL, FLAG, FIELD(dry_run), "print the command that would be run, and end"},
    {"--help", "-h", NULL, ACTION, KPAR_LAUNCH_HELP, "print this help"},
    {"--help-man", NULL, NULL, ACTION, KPAR_LAUNCH_MAN, "print this help as a man page"},
    {"--version", NULL, NULL, ACTION, KPAR_LAUNCH_VERSION, "print the version"},
};

#define N_ROWS (sizeof rows / sizeof *rows)

static const option_row *find(const char *name, size_t length)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strlen(rows[i].name) == length && !strncmp(name, rows[i].name, length)) return &rows[i];
        if (rows[i].other && strlen(rows[i].other) == length && !strncmp(name, rows[i].other, length))
            return &rows[i];
    }
    return NULL;
}

static kpar_status store(const option_row *row, const char *value, kpar_launch_options *options)
{
    char *field = (char *)options + row->offset;
    bool good = true;
    switch (row->kind) {
    case TEXT:
        *(const char **)(void *)field = value;
        break;
    case FLAG:
        *(bool *)field = true;
        break;
    case COUNT:
        good = kpar_parse_whole_integer(value, (void *)field) && *(long long *)(void *)field >= 1;
        break;
    case SECONDS:
        good = kpar_parse_whole_number(value, (void *)field) && *(double *)(void *)field >= 0;
        break;
    case ACTION:
        break;
    }
    if (good) return KPAR_OK;
    return kpar_fail(KPAR_EUSAGE, "%s is '%s', expected %s", row->name, value,
                     row->kind == COUNT ? "a number from 1 on" : "seconds");
}

/* Reads the option at *at and moves *at behind it. */
static kpar_status read_option(char ***at, kpar_launch_options *options, kpar_launch_action *action)
{
    const char *word = *(*at)++, *equals = strncmp(word, "--", 2) ? NULL : strchr(word, '=');
    const option_row *row = find(word, equals ? (size_t)(equals - word) : strlen(word));
    if (!row) return kpar_fail(KPAR_EUSAGE, "unknown option '%s'; kparrun --help lists the options", word);
    if (row->kind == ACTION) *action = (kpar_launch_action)row->offset;
    if (!row->value) {
        if (equals) return kpar_fail(KPAR_EUSAGE, "%s takes no value", row->name);
        return store(row, NULL, options);
    }
    const char *value = equals ? equals + 1 : **at;
    if (!value) return kpar_fail(KPAR_EUSAGE, "%s needs a value: %s", row->name, row->value);
    if (!equals) ++*at;
    return store(row, value, options);
}

kpar_status kpar_launch_options_read(char **arguments, kpar_launch_options *options,
                                     kpar_launch_action *action)
{
    *options = (kpar_launch_options){
        .bind_to = "none", .mpirun = KPAR_MPIRUN, .start_timeout = 60, .stop_timeout = 5};
    *action = KPAR_LAUNCH_RUN;
    char **at = arguments + 1;
    while (*at && **at == '-' && strcmp(*at, "--")) KPAR_TRY(read_option(&at, options, action));
    if (*at && !strcmp(*at, "--")) at++;
    options->command = at;
    if (*action != KPAR_LAUNCH_RUN) return KPAR_OK;
    if (options->ranks < 1) return kpar_fail(KPAR_EUSAGE, "-np is missing: how many ranks?");
    if (!*at) return kpar_fail(KPAR_EUSAGE, "the command is missing: what shall each rank run?");
    if (options->hosts && options->hostfile) return kpar_fail(KPAR_EUSAGE, "give -H or --hostfile, not both");
    return KPAR_OK;
}

void kpar_launch_options_help(void)
{
    printf("Usage: kparrun -np N [OPTION...] COMMAND [ARGUMENT...]\n"
           "Runs COMMAND on N ranks through Open MPI or MPICH, and ends with the exit code of the job.\n\n");
    for (size_t i = 0; i < N_ROWS; i++) {
        char head[64];
        snprintf(head, sizeof head, "%s%s%s%s%s", rows[i].name, rows[i].other ? ", " : "",
                 rows[i].other ? rows[i].other : "", rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        printf("  %-30s %s\n", head, rows[i].doc);
    }
}

/* A dash in roff is a hyphen unless it is escaped. */
static void print_escaped(const char *text)
{
    for (; *text; text++) printf(*text == '-' ? "\\-" : "%c", *text);
}

void kpar_launch_options_man(void)
{
    printf(".TH KPARRUN 1\n.SH NAME\nkparrun \\- run a program on many ranks\n"
           ".SH SYNOPSIS\n.B kparrun\n\\-np \\fIN\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR "
           "[\\fIARGUMENT\\fR...]\n"
           ".SH DESCRIPTION\nRuns \\fICOMMAND\\fR on \\fIN\\fR ranks through the mpirun of Open MPI or "
           "MPICH. The last "
           "line names the rank that failed first and what it said.\n.SH OPTIONS\n");
    for (size_t i = 0; i < N_ROWS; i++) {
        printf(".TP\n.B ");
        print_escaped(rows[i].name);
        if (rows[i].other) printf(", "), print_escaped(rows[i].other);
        if (rows[i].value) printf(" \\fI%s\\fR", rows[i].value);
        printf("\n");
        print_escaped(rows[i].doc);
        printf("\n");
    }
    printf(".SH EXIT STATUS\nThat of the rank that failed first, 128 + N when signal N killed it; 2 for "
           "wrong usage.\n"
           ".SH SEE ALSO\n.BR kpar_train (1), .BR kpar_bench (1)\n");
}
