# A model larger than one rank's memory.
dist_check_SCRIPTS += tests/mpi/test_memory.sh
TESTS += tests/mpi/test_memory.sh
SLOW_TESTS += tests/mpi/test_memory.sh
tests/mpi/test_memory.log: kpar_train$(EXEEXT)
