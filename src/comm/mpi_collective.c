/* Whole collectives of the transport `mpi`: MPI's own, non-blocking, on a communicator for each group. */
#include "comm/mpi_internal.h"

#include "base/memory.h"

#include <limits.h>

/* --- groups --- */

static kpar_status make_communicator(const mpi_comm *mpi, const int *ranks, int n, int number, MPI_Comm *made)
{
    MPI_Group world, members;
    KPAR_TRY(kpar_mpi_check(MPI_Comm_group(mpi->world, &world), "MPI_Comm_group"));
    int code = MPI_Group_incl(world, n, ranks, &members);
    MPI_Group_free(&world);
    KPAR_TRY(kpar_mpi_check(code, "MPI_Group_incl"));
    code = MPI_Comm_create_group(mpi->world, members, number, made);
    MPI_Group_free(&members);
    KPAR_TRY(kpar_mpi_check(code, "MPI_Comm_create_group"));
    MPI_Comm_set_errhandler(*made, MPI_ERRORS_RETURN);
    return KPAR_OK;
}

kpar_status kpar_mpi_group(kpar_comm *comm, const int *ranks, int n, int number)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    mpi_group group = {.comm = MPI_COMM_NULL, .n = n};
    while (group.me < n && ranks[group.me] != comm->rank) group.me++;
    if (group.me < n) KPAR_TRY(make_communicator(mpi, ranks, n, number, &group.comm));
    KPAR_PUSH(mpi->groups, mpi->groups_count, mpi->groups_capacity) = group;
    return KPAR_OK;
}

static void free_group(mpi_group *group)
{
    for (size_t i = 0; i < group->parts_count; i++) {
        kpar_free(group->parts[i].counts);
        kpar_free(group->parts[i].displacements);
    }
    kpar_free(group->parts);
    if (group->comm != MPI_COMM_NULL) MPI_Comm_free(&group->comm);
}

void kpar_mpi_free_groups(mpi_comm *mpi)
{
    for (size_t g = 0; g < mpi->groups_count; g++) free_group(&mpi->groups[g]);
    kpar_free(mpi->groups);
}

static bool are_counts(const mpi_parts *parts, int n, const size_t *counts)
{
    for (int m = 0; m < n; m++)
        if ((size_t)parts->counts[m] != counts[m]) return false;
    return true;
}

/* Made when first met, found in every replay after. The sum of the counts fits an int. */
static const mpi_parts *parts_of(mpi_group *group, const size_t *counts)
{
    for (size_t i = 0; i < group->parts_count; i++)
        if (are_counts(&group->parts[i], group->n, counts)) return &group->parts[i];
    mpi_parts *parts = &KPAR_PUSH(group->parts, group->parts_count, group->parts_capacity);
    parts->counts = kpar_alloc((size_t)group->n * sizeof(int));
    parts->displacements = kpar_alloc((size_t)group->n * sizeof(int));
    for (int m = 0, before = 0; m < group->n; before += parts->counts[m++]) {
        parts->counts[m] = (int)counts[m];
        parts->displacements[m] = before;
    }
    return parts;
}

/* --- types and operations --- */

/* MPI's type, and whether it can add it up. */
static bool mpi_type(kpar_dtype dtype, MPI_Datatype *type)
{
    switch (dtype) {
    case KPAR_F32:
        *type = MPI_FLOAT;
        return true;
    case KPAR_F64:
        *type = MPI_DOUBLE;
        return true;
    case KPAR_I8:
        *type = MPI_INT8_T;
        return true;
    case KPAR_I16:
        *type = MPI_INT16_T;
        return true;
    case KPAR_I32:
        *type = MPI_INT32_T;
        return true;
    case KPAR_I64:
        *type = MPI_INT64_T;
        return true;
    case KPAR_U8:
        *type = MPI_UINT8_T;
        return true;
    case KPAR_U16:
        *type = MPI_UINT16_T;
        return true;
    case KPAR_U32:
        *type = MPI_UINT32_T;
        return true;
    case KPAR_U64:
        *type = MPI_UINT64_T;
        return true;
    case KPAR_F16:
    case KPAR_BF16:
        *type = MPI_UINT16_T;
        return false;
    case KPAR_BOOL:
    case KPAR_DTYPE_COUNT:
        break;
    }
    *type = MPI_UINT8_T;
    return false;
}

static MPI_Op mpi_operation(kpar_reduction reduction)
{
    switch (reduction) {
    case KPAR_REDUCE_SUM:
        return MPI_SUM;
    case KPAR_REDUCE_MAX:
        return MPI_MAX;
    case KPAR_REDUCE_MIN:
        return MPI_MIN;
    case KPAR_REDUCE_PRODUCT:
        return MPI_PROD;
    case KPAR_REDUCTION_COUNT:
        break;
    }
    return MPI_OP_NULL;
}

/* --- starting --- */

static int all_reduce(mpi_group *group, const kpar_whole *whole, MPI_Datatype type, MPI_Request *started)
{
    const void *input = whole->input == whole->output ? MPI_IN_PLACE : whole->input;
    return MPI_Iallreduce(input, whole->output, (int)whole->total, type, mpi_operation(whole->reduction),
                          group->comm, started);
}

static int reduce_scatter(mpi_group *group, const kpar_whole *whole, MPI_Datatype type, MPI_Request *started)
{
    const mpi_parts *parts = parts_of(group, whole->counts);
    return MPI_Ireduce_scatter(whole->input, whole->output, parts->counts, type,
                               mpi_operation(whole->reduction), group->comm, started);
}

static int all_gather(mpi_group *group, const kpar_whole *whole, MPI_Datatype type, MPI_Request *started)
{
    const mpi_parts *parts = parts_of(group, whole->counts);
    const size_t ahead = (size_t)parts->displacements[group->me] * kpar_dtype_bytes(whole->dtype);
    const bool in_place = whole->input == (unsigned char *)whole->output + ahead;
    return MPI_Iallgatherv(in_place ? MPI_IN_PLACE : whole->input, parts->counts[group->me], type,
                           whole->output, parts->counts, parts->displacements, type, group->comm, started);
}

static kpar_status servable(const kpar_whole *whole, bool adds)
{
    const char *name = kpar_collective_name(whole->collective);
    if (!adds && whole->collective != KPAR_COLLECTIVE_ALL_GATHER)
        return kpar_fail(KPAR_EUNSUPPORTED, "MPI's %s cannot add up %s: choose another algorithm", name,
                         kpar_dtype_name(whole->dtype));
    if (whole->total > INT_MAX)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "MPI's %s moves at most %d elements, not %zu: choose another algorithm", name,
                         INT_MAX, whole->total);
    return KPAR_OK;
}

kpar_status kpar_mpi_start_collective(kpar_comm *comm, int group, const kpar_whole *whole,
                                      kpar_request *request)
{
    static int (*const starts[KPAR_COLLECTIVE_COUNT])(mpi_group *, const kpar_whole *, MPI_Datatype,
                                                      MPI_Request *) = {
        [KPAR_COLLECTIVE_ALL_REDUCE] = all_reduce,
        [KPAR_COLLECTIVE_REDUCE_SCATTER] = reduce_scatter,
        [KPAR_COLLECTIVE_ALL_GATHER] = all_gather,
    };
    mpi_request *own = kpar_mpi_fresh(request);
    MPI_Datatype type;
    KPAR_TRY(servable(whole, mpi_type(whole->dtype, &type)));
    const int code =
        starts[whole->collective](&((mpi_comm *)comm)->groups[group], whole, type, &own->parts[0]);
    return kpar_mpi_check(code, kpar_collective_name(whole->collective));
}
