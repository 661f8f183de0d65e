/* Telling every consumer of an event. */
#include "report/report.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>

struct kpar_report {
    kpar_consumer **consumers;
    size_t n, capacity;
};

kpar_report *kpar_report_create(void) { return kpar_alloc_zeroed(1, sizeof(kpar_report)); }

void kpar_report_destroy(kpar_report *report)
{
    if (!report) return;
    for (size_t i = 0; i < report->n; i++) report->consumers[i]->destroy(report->consumers[i]);
    kpar_free(report->consumers);
    kpar_free(report);
}

void kpar_report_add(kpar_report *report, kpar_consumer *consumer)
{
    KPAR_PUSH(report->consumers, report->n, report->capacity) = consumer;
}

static kpar_status tell(kpar_consumer *consumer, const kpar_event *event)
{
    if (event->kind == KPAR_EVENT_RUN_BEGIN)
        return consumer->begin ? consumer->begin(consumer, event) : KPAR_OK;
    if (event->kind == KPAR_EVENT_RUN_END) return consumer->end ? consumer->end(consumer, event) : KPAR_OK;
    return consumer->event(consumer, event);
}

kpar_status kpar_report_event(kpar_report *report, const kpar_event *event)
{
    kpar_status first = KPAR_OK;
    char *message = NULL;
    for (size_t i = 0; i < report->n; i++) {
        kpar_status status = tell(report->consumers[i], event);
        if (status == KPAR_OK || first != KPAR_OK) continue;
        first = status;
        message = kpar_strdup(kpar_error_message());
    }
    if (message) first = kpar_fail(first, "%s", message);
    kpar_free(message);
    return first;
}

kpar_status kpar_report_message(kpar_report *report, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) < 0) line = NULL;
    va_end(arguments);
    kpar_status status =
        kpar_report_event(report, &(kpar_event){.kind = KPAR_EVENT_MESSAGE, .text = line ? line : format});
    free(line);
    return status;
}
