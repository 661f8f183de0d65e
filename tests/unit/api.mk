# Unit tests of the subject api.
check_PROGRAMS += tests/unit/test_api
TESTS += tests/unit/test_api
tests_unit_test_api_SOURCES = tests/unit/test_api.c
tests_unit_test_api_CPPFLAGS = $(AM_CPPFLAGS) -DEXAMPLES='"$(abs_top_srcdir)/examples"'
tests_unit_test_api_LDADD = libkpar_api.la $(KPAR_TEST_LIBS)
