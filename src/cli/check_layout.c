/* --check-layout: what step 1 on this layout has otherwise than on one rank. */
#include "cli/job.h"

#include <math.h>
#include <stdio.h>

/* Lines of the table; what is near its tolerance comes first. */
enum { MOST_LINES = 12 };

static void print_table(const kpar_layout_check *check)
{
    const size_t n = check->n < MOST_LINES ? check->n : MOST_LINES;
    printf("%-48s  %12s  %12s  %6s\n", "after step 1, against one rank", "differs by", "tolerance", "share");
    for (size_t i = 0; i < n; i++) {
        const kpar_difference *d = &check->differences[i];
        const double share = d->tolerance > 0    ? d->difference / d->tolerance
                             : d->difference > 0 ? INFINITY
                                                 : 0;
        printf("%-48s  %12.3g  %12.3g  %6.3g\n", d->name, d->difference, d->tolerance, share);
    }
    if (check->n > n) printf("%zu more, nearer to one rank than these\n", check->n - n);
    fflush(stdout);
}

static kpar_status judge(const kpar_job *job, const kpar_layout_check *check)
{
    if (job->settings->verbose > 0) print_table(check);
    if (check->n_off > 0)
        return kpar_fail(
            KPAR_ENUMERIC,
            "step 1 is not that of one rank: %zu of %zu values are beyond their tolerance, '%s' by %.3g "
            "(tolerance %.3g)",
            check->n_off, check->n, check->differences[0].name, check->differences[0].difference,
            check->differences[0].tolerance);
    return kpar_report_message(job->report,
                               "step 1 of %lld rows is that of one rank: %zu values within their tolerance",
                               (long long)check->rows, check->n);
}

kpar_status kpar_job_check_layout(kpar_job *job)
{
    const kpar_settings *s = job->settings;
    const kpar_fit_options fit = {.train = job->train,
                                  .shuffle = s->shuffle,
                                  .seed = (uint64_t)s->seed,
                                  .class_weights = s->class_weights,
                                  .n_class_weights = (int)s->class_weight.count};
    kpar_layout_check check;
    KPAR_TRY(kpar_trainer_check_data(job->trainer, &job->train));
    kpar_status status = kpar_trainer_check_layout(job->trainer, &fit, &check);
    if (status == KPAR_OK)
        status = kpar_comm_agree(job->comm, kpar_job_is_root(job) ? judge(job, &check) : KPAR_OK);
    kpar_free(check.differences);
    return status;
}
