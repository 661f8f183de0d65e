# Unit tests of saving from several ranks.
check_PROGRAMS += tests/unit/test_save
TESTS += tests/unit/test_save
tests_unit_test_save_SOURCES = tests/unit/test_save.c tests/unit/keras_fixture.h
tests_unit_test_save_LDADD = $(KPAR_TEST_LIBS)
