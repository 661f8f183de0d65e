/* The log of epochs as CSV, as Keras's CSVLogger writes it. */
#include "report/report.h"

#include "base/memory.h"
#include "base/number.h"
#include "base/text.h"
#include "data/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct csv {
    kpar_consumer consumer;
    char *path;
    FILE *file;
    char *header; /* the first line without its end; NULL until known */
} csv;

static kpar_status failed(const char *path, const char *what)
{
    return kpar_fail(KPAR_EIO, "%s: %s: %s", path, what, strerror(errno));
}

/* Elements of a vector, "f1_score[10]", stay in their order. */
static int by_name(const void *a, const void *b)
{
    const char *x = ((const kpar_named_value *)a)->name, *y = ((const kpar_named_value *)b)->name;
    const size_t length = strcspn(x, "[");
    const long i = x[length] ? strtol(x + length + 1, NULL, 10) : 0;
    if (!x[length] || strncmp(x, y, length + 1) != 0) return strcmp(x, y);
    const long k = strtol(y + length + 1, NULL, 10);
    return (i > k) - (i < k);
}

/* A field, quoted where it has to be (RFC 4180). */
static void add_field(kpar_text *line, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        kpar_text_printf(line, "%s", field);
        return;
    }
    kpar_text_append(line, "\"", 1);
    for (; *field; field++) kpar_text_append(line, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    kpar_text_append(line, "\"", 1);
}

static void make_header(const kpar_named_value *logs, size_t n, kpar_text *line)
{
    kpar_text_printf(line, "epoch");
    for (size_t i = 0; i < n; i++) {
        kpar_text_append(line, ",", 1);
        add_field(line, logs[i].name);
    }
}

static void make_row(int64_t epoch, const kpar_named_value *logs, size_t n, kpar_text *line)
{
    kpar_text_printf(line, "%" PRId64, epoch);
    for (size_t i = 0; i < n; i++) {
        kpar_text_append(line, ",", 1);
        kpar_text_number(line, logs[i].value);
    }
}

static kpar_status write_line(csv *log, const kpar_text *line)
{
    if (fprintf(log->file, "%s\n", kpar_text_get(line)) < 0 || fflush(log->file))
        return failed(log->path, "cannot be written");
    return KPAR_OK;
}

/* Writes the header before the first row; later rows must have the same columns. */
static kpar_status match_header(csv *log, const kpar_text *header)
{
    if (!log->header) {
        log->header = kpar_strdup(kpar_text_get(header));
        return write_line(log, header);
    }
    if (!strcmp(log->header, kpar_text_get(header))) return KPAR_OK;
    return kpar_fail(KPAR_EDATA, "%s: has the columns %s, this run logs %s; log to another file", log->path,
                     log->header, kpar_text_get(header));
}

static kpar_status csv_event(kpar_consumer *consumer, const kpar_event *event)
{
    csv *log = (csv *)consumer;
    if (event->kind != KPAR_EVENT_EPOCH_END) return KPAR_OK;
    kpar_text header = {0}, row = {0};
    kpar_named_value *logs = kpar_alloc(event->n_logs * sizeof *logs);
    if (event->n_logs) memcpy(logs, event->logs, event->n_logs * sizeof *logs);
    qsort(logs, event->n_logs, sizeof *logs, by_name);
    make_header(logs, event->n_logs, &header);
    make_row(event->epoch, logs, event->n_logs, &row);
    kpar_status status = match_header(log, &header);
    if (status == KPAR_OK) status = write_line(log, &row);
    kpar_free(logs);
    kpar_text_clear(&header);
    kpar_text_clear(&row);
    return status;
}

static void csv_destroy(kpar_consumer *consumer)
{
    csv *log = (csv *)consumer;
    if (log->file) fclose(log->file);
    kpar_free(log->header);
    kpar_free(log->path);
    kpar_free(log);
}

/* Whole lines of the old file: its header, and the rows of epochs before `first_epoch`. */
static void read_kept(FILE *old, int64_t first_epoch, csv *log, kpar_text *kept)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, old)) > 0 && line[length - 1] == '\n') {
        if (!log->header) {
            log->header = kpar_strdup(line);
            log->header[length - 1] = '\0';
        } else if (line[0] < '0' || line[0] > '9' || strtoll(line, NULL, 10) >= first_epoch) {
            continue;
        }
        kpar_text_append(kept, line, (size_t)length);
    }
    free(line);
}

static kpar_status keep_rows(csv *log, int64_t first_epoch)
{
    kpar_text kept = {0};
    FILE *old = first_epoch > 0 ? fopen(log->path, "r") : NULL;
    if (!old)
        return first_epoch > 0 && errno != ENOENT ? failed(log->path, "cannot be read")
                                                  : kpar_new_file_put(log->path, "", 0);
    read_kept(old, first_epoch, log, &kept);
    fclose(old);
    kpar_status status = kpar_new_file_put(log->path, kpar_text_get(&kept), kept.length);
    kpar_text_clear(&kept);
    return status;
}

static kpar_status open_log(csv *log, int64_t first_epoch)
{
    KPAR_TRY(keep_rows(log, first_epoch));
    log->file = fopen(log->path, "a");
    return log->file ? KPAR_OK : failed(log->path, "cannot be opened");
}

kpar_status kpar_csv_create(const char *path, int64_t first_epoch, kpar_consumer **consumer)
{
    csv *log = kpar_alloc_zeroed(1, sizeof *log);
    log->consumer = (kpar_consumer){.event = csv_event, .destroy = csv_destroy};
    log->path = kpar_strdup(path);
    kpar_status status = open_log(log, first_epoch);
    *consumer = status == KPAR_OK ? &log->consumer : NULL;
    if (status != KPAR_OK) csv_destroy(&log->consumer);
    return status;
}
