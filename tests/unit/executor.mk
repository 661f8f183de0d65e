# Unit tests of the subject executor.
check_PROGRAMS += tests/unit/test_executor
TESTS += tests/unit/test_executor
tests_unit_test_executor_SOURCES = tests/unit/test_executor.c
tests_unit_test_executor_LDADD = $(KPAR_TEST_LIBS)
