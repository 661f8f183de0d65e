/* Beginning and end of a job, and who is who in it. */
#include "api/context.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

/* MPI counts elements in an int. */
enum { MOST_ELEMENTS = 1 << 30 };

const char *kpar_version(void) { return PACKAGE_VERSION; }

kpar_status kpar_context_create(kpar_comm *comm, kpar_context **context)
{
    const int size = kpar_comm_size(comm);
    int *ranks = kpar_alloc((size_t)size * sizeof *ranks);
    kpar_context *made = kpar_alloc_zeroed(1, sizeof *made);
    *made = (kpar_context){.comm = comm, .most_elements = MOST_ELEMENTS};
    for (int i = 0; i < size; i++) ranks[i] = i;
    kpar_status status = kpar_comm_group(comm, ranks, size, &made->everyone);
    kpar_free(ranks);
    if (status == KPAR_OK) {
        *context = made;
    } else {
        kpar_comm_destroy(comm);
        kpar_free(made);
    }
    return status;
}

kpar_status kpar_context_check(const kpar_context *context, const char *function)
{
    return context ? KPAR_OK
                   : kpar_fail(KPAR_EUSAGE, "%s: the context is NULL; expected one from kpar_init", function);
}

kpar_status kpar_init(kpar_context **context)
{
    const kpar_mpi_options options = {.windows = true};
    kpar_comm *comm;
    if (!context) return kpar_fail(KPAR_EUSAGE, "kpar_init: expected a place for the context, found NULL");
    *context = NULL;
    kpar_status status = kpar_comm_mpi_create(&options, &comm);
    if (status == KPAR_EUNSUPPORTED) status = kpar_comm_local_create(1, 0, &comm); /* built without MPI */
    return status == KPAR_OK ? kpar_context_create(comm, context) : status;
}

kpar_status kpar_finalize(kpar_context *context)
{
    if (!context) return KPAR_OK;
    if (context->handles || context->trainings)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_finalize: %d collectives are not waited for and %d trainings not freed; "
                         "kpar_wait for the ones and kpar_training_free the others first",
                         context->handles, context->trainings);
    kpar_comm_destroy(context->comm);
    kpar_free(context);
    return KPAR_OK;
}

void kpar_abort(kpar_context *context, kpar_status status)
{
    if (context && kpar_comm_size(context->comm) > 1)
        kpar_comm_abort(context->comm, status);
    else
        kpar_log_error(kpar_error_message());
    exit(status == KPAR_EUSAGE ? 2 : 1);
}

int kpar_rank(const kpar_context *context) { return context ? kpar_comm_rank(context->comm) : -1; }
int kpar_size(const kpar_context *context) { return context ? kpar_comm_size(context->comm) : -1; }
int kpar_local_rank(const kpar_context *context)
{
    return context ? kpar_comm_local_rank(context->comm) : -1;
}
int kpar_local_size(const kpar_context *context)
{
    return context ? kpar_comm_local_size(context->comm) : -1;
}
