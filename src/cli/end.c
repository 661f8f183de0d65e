/* What a run came to: steps and rows by listening to events, times and bytes by asking all ranks. */
#include "cli/job.h"

#include "base/clock.h"

typedef struct totals_consumer {
    kpar_consumer consumer;
    kpar_totals *totals;
    kpar_totals epoch; /* of the epoch under way */
} totals_consumer;

static void add(kpar_totals *to, const kpar_totals *from)
{
    to->steps += from->steps;
    to->rows += from->rows;
    to->seconds += from->seconds;
}

static kpar_status totals_event(kpar_consumer *consumer, const kpar_event *event)
{
    totals_consumer *c = (totals_consumer *)consumer;
    if (event->kind == KPAR_EVENT_EPOCH_BEGIN) c->epoch = (kpar_totals){0};
    if (event->kind != KPAR_EVENT_STEP) return KPAR_OK;
    const kpar_totals now = {c->epoch.steps + 1, event->rows, event->seconds};
    add(c->totals, &(kpar_totals){1, now.rows - c->epoch.rows, now.seconds - c->epoch.seconds});
    c->epoch = now;
    return KPAR_OK;
}

static void totals_destroy(kpar_consumer *consumer) { kpar_free(consumer); }

kpar_consumer *kpar_totals_create(kpar_totals *totals)
{
    totals_consumer *c = kpar_alloc_zeroed(1, sizeof *c);
    c->consumer = (kpar_consumer){.event = totals_event, .destroy = totals_destroy};
    c->totals = totals;
    return &c->consumer;
}

static double bytes_read(const kpar_job *job)
{
    const size_t validation = job->validation_data ? kpar_dataset_bytes_read(job->validation_data) : 0;
    return (double)(kpar_dataset_bytes_read(job->data) + validation);
}

/* Of all ranks. */
static kpar_status largest_peak(const kpar_job *job, uint64_t *most)
{
    const uint64_t own = kpar_trainer_peak_bytes(job->trainer);
    const int ranks = kpar_comm_size(job->comm);
    uint64_t *all = kpar_alloc((size_t)ranks * sizeof *all);
    kpar_status status = kpar_comm_all_gather(job->comm, &own, all, sizeof own);
    *most = 0;
    for (int rank = 0; rank < ranks && status == KPAR_OK; rank++)
        if (all[rank] > *most) *most = all[rank];
    kpar_free(all);
    return status;
}

kpar_status kpar_job_tell_end(kpar_job *job)
{
    const kpar_executor_times times = kpar_trainer_times(job->trainer);
    const kpar_totals *totals = &job->totals;
    const int ranks = kpar_comm_size(job->comm);
    uint64_t peak;
    double sums[] = {times.compute_seconds, times.wait_seconds, (double)times.sent_bytes, bytes_read(job)};
    KPAR_TRY(kpar_comm_sum(job->comm, sums, sizeof sums / sizeof sums[0]));
    KPAR_TRY(largest_peak(job, &peak));
    if (!job->report) return KPAR_OK;
    const kpar_event event = {
        .kind = KPAR_EVENT_RUN_END,
        .step = totals->steps,
        .steps = totals->steps,
        .rows = totals->rows,
        .seconds = kpar_seconds() - job->began,
        .samples_per_second = totals->seconds > 0 ? (double)totals->rows / totals->seconds : 0,
        .compute_seconds = sums[0] / ranks,
        .wait_seconds = sums[1] / ranks,
        .bytes_sent = (uint64_t)sums[2],
        .bytes_read = (uint64_t)sums[3],
        .peak_rank_bytes = peak,
    };
    return kpar_report_event(job->report, &event);
}
