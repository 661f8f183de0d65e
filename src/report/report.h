/* Consumers of events: progress on the terminal, CSV log, JSON run file; further ones are added by filling
 * in a kpar_consumer. One rank has a report, and its values are global. */
#ifndef KPAR_REPORT_REPORT_H
#define KPAR_REPORT_REPORT_H

#include "base/status.h"
#include "report/event.h"

#include <stdbool.h>
#include <stdio.h>

/* Embedded as the first member of a consumer's own struct. */
typedef struct kpar_consumer kpar_consumer;
struct kpar_consumer {
    kpar_status (*begin)(kpar_consumer *consumer, const kpar_event *event); /* (optional) RUN_BEGIN */
    kpar_status (*event)(kpar_consumer *consumer, const kpar_event *event); /* all other kinds but RUN_END */
    kpar_status (*end)(kpar_consumer *consumer,
                       const kpar_event *event); /* (optional) RUN_END: files are put in place */
    void (*destroy)(kpar_consumer *consumer);    /* frees; without `end` before, the run failed */
};

typedef struct kpar_report kpar_report;

kpar_report *kpar_report_create(void);
void kpar_report_destroy(kpar_report *report);

/* Takes the consumer. */
void kpar_report_add(kpar_report *report, kpar_consumer *consumer);

/* Tells all consumers; the first failure is returned after all were told. */
kpar_status kpar_report_event(kpar_report *report, const kpar_event *event) KPAR_MUST_USE;

/* A line to all consumers, as MESSAGE. */
kpar_status kpar_report_message(kpar_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3))) KPAR_MUST_USE;

typedef struct kpar_progress_options {
    FILE *stream;  /* borrowed */
    bool terminal; /* one line redrawn at most ten times a second; else a line an epoch */
    int columns;   /* the terminal's width; 0: 80 */
    int verbose;   /* as Keras: 0 nothing, 1 a bar on a terminal, 2 a line an epoch */
} kpar_progress_options;

/* What suits `stream`: whether it is a terminal, and how wide. */
kpar_progress_options kpar_progress_detect(FILE *stream, int verbose);
kpar_consumer *kpar_progress_create(const kpar_progress_options *options);

/* Columns as Keras's CSVLogger: epoch, then the logs sorted by name; a row an epoch, on disk at once. With
 * first_epoch > 0 (a resumed run) the rows of earlier epochs are kept. KPAR_EIO when `path` cannot be
 * written, KPAR_EDATA when kept rows have other columns. */
kpar_status kpar_csv_create(const char *path, int64_t first_epoch, kpar_consumer **consumer) KPAR_MUST_USE;

/* The run as JSON of schema "kpar.run/1" (docs of the members: run_file.c), put in place at RUN_END.
 * KPAR_EIO at once when no file can be made at `path`. */
kpar_status kpar_run_file_create(const char *path, kpar_consumer **consumer) KPAR_MUST_USE;

#endif
