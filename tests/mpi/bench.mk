# kpar_bench.
dist_check_SCRIPTS += tests/mpi/test_bench.sh
TESTS += tests/mpi/test_bench.sh
tests/mpi/test_bench.log: kpar_bench$(EXEEXT)
