/* Line by line: a report, a rank's, or mpirun's own. */
#include "launch/filter.h"

#include <string.h>
#include <unistd.h>

/* How lines begin that Open MPI and Hydra write by themselves, outside their banners. */
static const char *const launcher_lines[] = {
    "mpirun",
    "mpiexec",
    "[mpiexec@",
    "[proxy:",
    "prterun",
    "orterun",
    "Primary job  terminated",
    "=   BAD TERMINATION",
    "=   PID ",
    "=   KILLED BY",
    "=   EXIT CODE",
    "=   CLEANING UP",
    "=   YOU CAN IGNORE",
    "YOUR APPLICATION TERMINATED",
    "This typically refers to a problem with your",
    "Please see the FAQ page",
    "Press Ctrl-C again",
    "===================================================================================",
};

/* True when `line` begins as one of them, or, cut short, could still become one. */
static bool begins_like_launcher(const char *line, size_t length)
{
    for (size_t i = 0; i < sizeof launcher_lines / sizeof *launcher_lines; i++) {
        size_t known = strlen(launcher_lines[i]);
        if (!strncmp(line, launcher_lines[i], length < known ? length : known)) return true;
    }
    return false;
}

static bool is_rule(const char *line)
{
    size_t dashes = strspn(line, "-");
    return dashes >= 20 && line[dashes] == '\n';
}

/* "[node:1234] 3 more processes have sent help message ..." */
static bool is_help_count(const char *line)
{
    return line[0] == '[' && (strstr(line, " sent help message ") || strstr(line, "] Set MCA parameter "));
}

static bool is_launchers(kpar_launch_filter *filter, const char *line)
{
    if (filter->marked && filter->quiet) return true;
    if (filter->marked && is_rule(line)) {
        filter->in_banner = !filter->in_banner;
        return true;
    }
    if (filter->marked && (filter->in_banner || line[0] == '\n' || is_help_count(line))) return true;
    return begins_like_launcher(line, strlen(line));
}

static void pass_on(const kpar_launch_filter *filter, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(filter->output, bytes, length);
        if (written <= 0) return; /* nobody reads: the job goes on */
        bytes += written;
        length -= (size_t)written;
    }
}

static void finish_line(kpar_launch_filter *filter)
{
    kpar_text *line = &filter->line;
    const char *text = kpar_text_get(line);
    kpar_launch_report report;
    if (filter->open)
        pass_on(filter, text, line->length);
    else if (line->length > 1 && text[0] == KPAR_LAUNCH_MARK && text[1] == KPAR_LAUNCH_MARK) {
        if (line->bytes[line->length - 1] == '\n') line->bytes[line->length - 1] = '\0';
        if (kpar_launch_report_read(text + 2, &report)) filter->report(&report, filter->context);
    } else if (text[0] == KPAR_LAUNCH_MARK)
        pass_on(filter, text + 1, line->length - 1);
    else if (is_launchers(filter, text))
        kpar_text_append(&filter->held, text, line->length);
    else
        pass_on(filter, text, line->length);
    filter->open = false;
    line->length = 0;
}

/* Passes on the beginning of a line that can only be a rank's: a prompt, a progress bar. */
static void open_line(kpar_launch_filter *filter)
{
    kpar_text *line = &filter->line;
    const char *text = kpar_text_get(line);
    size_t skip = 0;
    if (!line->length) return;
    if (!filter->open) {
        bool ranks = filter->marked
                         ? text[0] == KPAR_LAUNCH_MARK && line->length > 1 && text[1] != KPAR_LAUNCH_MARK
                         : !begins_like_launcher(text, line->length);
        if (!ranks) return;
        skip = filter->marked;
    }
    pass_on(filter, text + skip, line->length - skip);
    filter->open = true;
    line->length = 0;
}

void kpar_launch_filter_feed(kpar_launch_filter *filter, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        kpar_text *line = &filter->line;
        bool mark = filter->marked && bytes[i] == KPAR_LAUNCH_MARK;
        bool second = line->length == 1 && line->bytes[0] == KPAR_LAUNCH_MARK;
        if (mark && !second && (line->length || filter->open)) finish_line(filter);
        kpar_text_append(line, &bytes[i], 1);
        if (bytes[i] == '\n') finish_line(filter);
    }
    open_line(filter);
}

void kpar_launch_filter_finish(kpar_launch_filter *filter)
{
    if (filter->line.length) finish_line(filter);
    kpar_text_clear(&filter->line);
}
