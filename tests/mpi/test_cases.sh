#!/bin/sh
# The reference cases over MPI: one job for each number of ranks, which runs all layouts of so many ranks.
#
#     NP="2" FILTER=opt_sgd tests/mpi/test_cases.sh    only these
failures=0
for ranks in ${NP:-1 2 4 8}; do
    echo "== $ranks ranks"
    ./kparrun -np "$ranks" tests/cases/test_cases --mpi ${FILTER:+"$FILTER"} 2>&1 || failures=$((failures + 1))
done
[ $failures -eq 0 ]
