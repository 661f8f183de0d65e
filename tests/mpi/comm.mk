# Transport `mpi`.
dist_check_SCRIPTS += tests/mpi/test_comm.sh
EXTRA_DIST += tests/mpi/run.sh tests/mpi/assert.sh
if HAVE_MPI
check_PROGRAMS += tests/mpi/test_comm_mpi
tests_mpi_test_comm_mpi_SOURCES = tests/mpi/test_comm_mpi.c tests/unit/comm_cases.c tests/unit/comm_cases.h
tests_mpi_test_comm_mpi_LDADD = $(KPAR_LIBS)
TESTS += tests/mpi/test_comm.sh
tests/mpi/test_comm.log: tests/mpi/test_comm_mpi$(EXEEXT)
endif
