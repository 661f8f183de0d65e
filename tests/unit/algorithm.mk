# Unit tests of the subject algorithm.
check_PROGRAMS += tests/unit/test_algorithm
TESTS += tests/unit/test_algorithm
tests_unit_test_algorithm_SOURCES = tests/unit/test_algorithm.c
tests_unit_test_algorithm_LDADD = $(KPAR_TEST_LIBS)
