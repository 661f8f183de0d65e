# Tests that start ranks with an mpirun.
dist_check_SCRIPTS += tests/mpi/test_kparrun.sh tests/mpi/test_cases.sh
TESTS += tests/mpi/test_kparrun.sh tests/mpi/test_cases.sh
tests/mpi/test_kparrun.log: kparrun$(EXEEXT)
tests/mpi/test_cases.log: kparrun$(EXEEXT) tests/cases/test_cases$(EXEEXT)
include tests/mpi/comm.mk
include tests/mpi/bench.mk
include tests/mpi/train_cli.mk
include tests/mpi/memory.mk
