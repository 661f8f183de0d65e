# Unit tests of steps whose loss is not finite.
check_PROGRAMS += tests/unit/test_guard
TESTS += tests/unit/test_guard
tests_unit_test_guard_SOURCES = tests/unit/test_guard.c tests/unit/keras_fixture.h
tests_unit_test_guard_LDADD = $(KPAR_TEST_LIBS)
