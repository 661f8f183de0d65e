/* What every transport must do, as cases that each rank runs with its communicator. The threads of
 * test_comm and the processes of test_comm_mpi run the same table. */
#ifndef KPAR_TESTS_COMM_CASES_H
#define KPAR_TESTS_COMM_CASES_H

#include "comm/comm.h"

typedef struct comm_case {
    const char *name; /* a sentence */
    /* NULL, or what went wrong on this rank (valid until its next case). A rank that fails ends the job,
     * so that no other waits for it. */
    const char *(*run)(kpar_comm *comm);
} comm_case;

const comm_case *comm_cases(int *n);

#endif
