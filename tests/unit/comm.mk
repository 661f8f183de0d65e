# Unit tests of the subject comm.
check_PROGRAMS += tests/unit/test_comm
TESTS += tests/unit/test_comm
tests_unit_test_comm_SOURCES = tests/unit/test_comm.c tests/unit/comm_cases.c tests/unit/comm_cases.h
tests_unit_test_comm_LDADD = $(KPAR_TEST_LIBS)
