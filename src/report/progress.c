/* Progress for people: Keras's bar on a terminal, plain lines elsewhere. */
#include "report/report.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_COLUMNS = 80, BAR_WIDTH = 20 };
static const double redraw_seconds = 0.1;

typedef struct progress {
    kpar_consumer consumer;
    kpar_progress_options options;
    double drawn_at;    /* seconds of the epoch when the line was last drawn; negative: not yet */
    int64_t first_step; /* of the epoch, that an earlier run did: not in its seconds */
    bool open_line;     /* the cursor stands behind a drawn line */
} progress;

static bool has_bar(const progress *at) { return at->options.terminal && at->options.verbose == 1; }

/* 7 s, 1:05 or 1:00:05. */
static void add_duration(kpar_text *line, double seconds)
{
    int64_t whole = (int64_t)seconds;
    if (whole >= 3600)
        kpar_text_printf(line, "%" PRId64 ":%02d:%02d", whole / 3600, (int)(whole / 60 % 60),
                         (int)(whole % 60));
    else if (whole >= 60)
        kpar_text_printf(line, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
    else
        kpar_text_printf(line, "%ds", (int)whole);
}

static void add_step_time(kpar_text *line, double seconds)
{
    if (seconds >= 1)
        kpar_text_printf(line, " %.0fs/step", seconds);
    else if (seconds >= 1e-3)
        kpar_text_printf(line, " %.0fms/step", seconds * 1e3);
    else
        kpar_text_printf(line, " %.0fus/step", seconds * 1e6);
}

static void add_logs(kpar_text *line, const kpar_event *event)
{
    if (event->samples_per_second > 0) kpar_text_printf(line, " - %.0f samples/s", event->samples_per_second);
    for (size_t i = 0; i < event->n_logs; i++) {
        double value = event->logs[i].value;
        bool tiny = value != 0 && fabs(value) <= 1e-3;
        kpar_text_printf(line, tiny ? " - %s: %.4e" : " - %s: %.4f", event->logs[i].name, value);
    }
}

static void add_bar(kpar_text *line, int64_t step, int64_t steps)
{
    int done = steps > 0 ? (int)(step * BAR_WIDTH / steps) : BAR_WIDTH;
    for (int i = 0; i < BAR_WIDTH; i++) kpar_text_append(line, i < done ? "=" : i == done ? ">" : ".", 1);
}

static double seconds_per_step(const kpar_event *event, int64_t first_step)
{
    return event->step > first_step ? event->seconds / (double)(event->step - first_step) : 0;
}

/* " 12/120 [==>......] 9s 25ms/step - 5100 samples/s - loss: 1.2345": the time left while running, spent at
 * the end. */
static void make_bar(kpar_text *line, const kpar_event *event, int64_t first_step, bool finished)
{
    double step_seconds = seconds_per_step(event, first_step);
    kpar_text_printf(line, "%" PRId64 "/%" PRId64 " [", event->step, event->steps);
    add_bar(line, event->step, event->steps);
    kpar_text_printf(line, "] ");
    add_duration(line, finished ? event->seconds : step_seconds * (double)(event->steps - event->step));
    add_step_time(line, step_seconds);
    add_logs(line, event);
}

/* Draws over the line; it is cut to the terminal's width while it will be drawn over again. */
static void draw(progress *at, const kpar_event *event, bool finished)
{
    kpar_text line = {0};
    make_bar(&line, event, at->first_step, finished);
    int shown = finished ? (int)line.length : at->options.columns - 1;
    fprintf(at->options.stream, "\r%.*s\x1b[K%s", shown, kpar_text_get(&line), finished ? "\n" : "");
    fflush(at->options.stream);
    kpar_text_clear(&line);
    at->drawn_at = event->seconds;
    at->open_line = !finished;
}

static void end_open_line(progress *at)
{
    if (at->open_line) fputc('\n', at->options.stream);
    at->open_line = false;
}

static void print_line(progress *at, const char *line)
{
    end_open_line(at);
    fprintf(at->options.stream, "%s\n", line);
    fflush(at->options.stream);
}

/* "Epoch 1/3 - 120/120 - 3s 25ms/step - 5100 samples/s - loss: 1.2345" */
static void print_summary(progress *at, const kpar_event *event)
{
    kpar_text line = {0};
    const bool epoch = event->kind == KPAR_EVENT_EPOCH_END;
    if (epoch)
        kpar_text_printf(&line, "Epoch %" PRId64 "/%" PRId64, event->epoch + 1, event->epochs);
    else
        kpar_text_printf(&line, "Evaluation");
    kpar_text_printf(&line, " - %" PRId64 "/%" PRId64 " - ", event->step, event->steps);
    add_duration(&line, event->seconds);
    if (event->step > 0) add_step_time(&line, seconds_per_step(event, epoch ? at->first_step : 0));
    add_logs(&line, event);
    print_line(at, kpar_text_get(&line));
    kpar_text_clear(&line);
}

static void begin_epoch(progress *at, const kpar_event *event)
{
    at->first_step = event->step;
    if (!has_bar(at)) return;
    end_open_line(at);
    fprintf(at->options.stream, "Epoch %" PRId64 "/%" PRId64 "\n", event->epoch + 1, event->epochs);
    at->drawn_at = -1;
}

static kpar_status progress_event(kpar_consumer *consumer, const kpar_event *event)
{
    progress *at = (progress *)consumer;
    if (!at->options.verbose) return KPAR_OK;
    switch (event->kind) {
    case KPAR_EVENT_EPOCH_BEGIN:
        begin_epoch(at, event);
        break;
    case KPAR_EVENT_STEP:
        if (has_bar(at) && (at->drawn_at < 0 || event->seconds - at->drawn_at >= redraw_seconds))
            draw(at, event, false);
        break;
    case KPAR_EVENT_EPOCH_END:
        if (has_bar(at))
            draw(at, event, true);
        else
            print_summary(at, event);
        break;
    case KPAR_EVENT_EVALUATE_END:
        print_summary(at, event);
        break;
    case KPAR_EVENT_MESSAGE:
        print_line(at, event->text);
        break;
    default:
        break;
    }
    return KPAR_OK;
}

static kpar_status progress_end(kpar_consumer *consumer, const kpar_event *event)
{
    progress *at = (progress *)consumer;
    if (!at->options.verbose) return KPAR_OK;
    kpar_text line = {0};
    kpar_text_append(&line, "Finished", strlen("Finished"));
    if (event->step > 0)
        kpar_text_printf(&line, " %" PRId64 " step%s", event->step, event->step == 1 ? "" : "s");
    kpar_text_printf(&line, " in %.2f s: computing %.2f s, waiting %.2f s", event->seconds,
                     event->compute_seconds, event->wait_seconds);
    if (event->samples_per_second > 0) kpar_text_printf(&line, ", %.0f samples/s", event->samples_per_second);
    print_line(at, kpar_text_get(&line));
    kpar_text_clear(&line);
    return KPAR_OK;
}

static void progress_destroy(kpar_consumer *consumer)
{
    end_open_line((progress *)consumer);
    kpar_free(consumer);
}

kpar_progress_options kpar_progress_detect(FILE *stream, int verbose)
{
    struct winsize size = {0};
    const char *terminal = getenv("TERM");
    kpar_progress_options options = {.stream = stream, .verbose = verbose};
    options.terminal = isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
    if (options.terminal && !ioctl(fileno(stream), TIOCGWINSZ, &size)) options.columns = size.ws_col;
    return options;
}

kpar_consumer *kpar_progress_create(const kpar_progress_options *options)
{
    progress *made = kpar_alloc_zeroed(1, sizeof *made);
    made->consumer =
        (kpar_consumer){.event = progress_event, .end = progress_end, .destroy = progress_destroy};
    made->options = *options;
    made->drawn_at = -1;
    if (made->options.columns < 2) made->options.columns = DEFAULT_COLUMNS;
    return &made->consumer;
}
