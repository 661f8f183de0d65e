/* Reports as lines, and the words for the one that matters. */
#include "launch/report.h"

#include <stdio.h>
#include <string.h>

void kpar_launch_report_write(const kpar_launch_report *report, kpar_text *text)
{
    kpar_text_printf(text, "%c%c%s %d %s", KPAR_LAUNCH_MARK, KPAR_LAUNCH_MARK,
                     report->ended ? "end" : "start", report->rank, report->host);
    if (report->ended)
        kpar_text_printf(text, " %d %d %ld %s", report->code, report->signal, report->peak_kib,
                         report->message);
    kpar_text_append(text, "\n", 1);
}

bool kpar_launch_report_read(const char *line, kpar_launch_report *report)
{
    *report = (kpar_launch_report){0};
    if (sscanf(line, "start %d %127s", &report->rank, report->host) == 2) return true;
    int words = 0;
    if (sscanf(line, "end %d %127s %d %d %ld%n", &report->rank, report->host, &report->code, &report->signal,
               &report->peak_kib, &words) != 5)
        return false;
    report->ended = true;
    if (line[words]) snprintf(report->message, sizeof report->message, "%s", line + words + 1);
    return true;
}

static bool failed(const kpar_launch_report *report)
{
    return report->ended && (report->code || report->signal);
}

const kpar_launch_report *kpar_launch_report_first_failure(const kpar_launch_report *reports, size_t count)
{
    const kpar_launch_report *first = NULL;
    for (size_t i = 0; i < count; i++) {
        const kpar_launch_report *report = &reports[i];
        if (!failed(report)) continue;
        if (!first) first = report;
        if (first->signal || *first->message) return first;
        if (*report->message) return report;
    }
    return first;
}

void kpar_launch_report_explain(const kpar_launch_report *report, const char *verb, kpar_text *text)
{
    kpar_text_printf(text, "rank %d on %s %s: ", report->rank, report->host, verb);
    if (!report->signal)
        kpar_text_printf(text, "exit code %d", report->code);
    else if (report->signal == 9)
        kpar_text_printf(text, "signal 9: killed, likely out of memory (it held %.1f MiB at most)",
                         (double)report->peak_kib / 1024);
    else
        kpar_text_printf(text, "signal %d: %s", report->signal, strsignal(report->signal));
    if (*report->message) kpar_text_printf(text, ": %s", report->message);
}

int kpar_launch_report_code(const kpar_launch_report *report)
{
    return report->signal ? 128 + report->signal : report->code;
}
