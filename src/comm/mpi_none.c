/* A build without MPI has no processes that talk to each other. */
#include "comm/comm.h"

kpar_status kpar_comm_mpi_create(const kpar_mpi_options *options, kpar_comm **comm)
{
    (void)options;
    *comm = NULL;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "this build has no MPI: configure kpar with it to run several processes");
}
