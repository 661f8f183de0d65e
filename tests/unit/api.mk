# Unit tests of the subject api.
check_PROGRAMS += tests/unit/test_api tests/unit/test_api_training
TESTS += tests/unit/test_api tests/unit/test_api_training
tests_unit_test_api_SOURCES = tests/unit/test_api.c tests/unit/api_ranks.h
tests_unit_test_api_LDADD = libkpar_api.la $(KPAR_TEST_LIBS)
tests_unit_test_api_training_SOURCES = tests/unit/test_api_training.c tests/unit/api_ranks.h
tests_unit_test_api_training_CPPFLAGS = $(AM_CPPFLAGS) -DEXAMPLES='"$(abs_top_srcdir)/examples"'
tests_unit_test_api_training_LDADD = libkpar_api.la $(KPAR_TEST_LIBS)
