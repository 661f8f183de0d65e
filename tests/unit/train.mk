# Unit tests of the subject train.
check_PROGRAMS += tests/unit/test_defaults
TESTS += tests/unit/test_defaults
tests_unit_test_defaults_SOURCES = tests/unit/test_defaults.c
tests_unit_test_defaults_LDADD = $(KPAR_TEST_LIBS)
