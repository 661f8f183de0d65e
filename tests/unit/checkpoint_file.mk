# Unit tests of the subject checkpoint_file.
check_PROGRAMS += tests/unit/test_checkpoint_file
TESTS += tests/unit/test_checkpoint_file
tests_unit_test_checkpoint_file_SOURCES = tests/unit/test_checkpoint_file.c
tests_unit_test_checkpoint_file_LDADD = $(KPAR_TEST_LIBS)
