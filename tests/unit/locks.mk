# Unit tests of files where locks do not work.
check_PROGRAMS += tests/unit/test_locks
TESTS += tests/unit/test_locks
tests_unit_test_locks_SOURCES = tests/unit/test_locks.c tests/unit/keras_fixture.h
tests_unit_test_locks_LDADD = $(KPAR_TEST_LIBS)
