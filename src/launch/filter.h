/* Tells apart what ranks write, what their keepers report and what mpirun says, in one stream from mpirun. */
#ifndef KPAR_LAUNCH_FILTER_H
#define KPAR_LAUNCH_FILTER_H

#include "base/text.h"
#include "launch/report.h"

#include <stdbool.h>

typedef struct kpar_launch_filter {
    int output;     /* where the ranks' own lines go */
    bool marked;    /* lines of ranks carry marks (standard error); else all that is not mpirun's is theirs */
    bool quiet;     /* nothing is a rank's before this is false: no rank has started */
    bool in_banner; /* between mpirun's lines of dashes */
    bool open;      /* the beginning of this line has been passed on */
    kpar_text line; /* what has come of the present line */
    kpar_text held; /* what mpirun said */

    void (*report)(const kpar_launch_report *report, void *context);
    void *context;
} kpar_launch_filter;

void kpar_launch_filter_feed(kpar_launch_filter *filter, const char *bytes, size_t length);

/* Passes on an unfinished last line and frees the filter's text but `held`. */
void kpar_launch_filter_finish(kpar_launch_filter *filter);

#endif
