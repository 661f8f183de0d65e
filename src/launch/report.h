/* What a rank's keeper tells the launcher, in lines on the rank's standard error.
 *
 * A line of the rank itself is sent with one mark in front, a report with two. What comes without a mark is from
 * mpirun. The mark is a control character that text does not contain. */
#ifndef KPAR_LAUNCH_REPORT_H
#define KPAR_LAUNCH_REPORT_H

#include "base/text.h"

#include <stdbool.h>

#define KPAR_LAUNCH_MARK '\036'

typedef struct kpar_launch_report {
    bool ended; /* else: started */
    int rank;
    char host[128];
    int code, signal;   /* of a rank that ended: exit code, or the signal that killed it (0: none) */
    long peak_kib;      /* most memory it held */
    char message[1024]; /* last thing it said on standard error; may be empty */
} kpar_launch_report;

void kpar_launch_report_write(const kpar_launch_report *report, kpar_text *text);

/* Reads a line without its marks and newline; false when it is not a report. */
bool kpar_launch_report_read(const char *line, kpar_launch_report *report);

/* The failed one of `reports` (in the order of their arrival) that explains the others: the first, unless it ended
 * by itself without a word and a later one has words. NULL when none failed. */
const kpar_launch_report *kpar_launch_report_first_failure(const kpar_launch_report *reports, size_t count);

/* "rank 1 on node7 failed first: signal 9: killed, likely out of memory"; `verb` is "failed first". */
void kpar_launch_report_explain(const kpar_launch_report *report, const char *verb, kpar_text *text);

/* The exit code a shell would show: the code, or 128 + signal. */
int kpar_launch_report_code(const kpar_launch_report *report);

#endif
