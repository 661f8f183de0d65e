# Unit tests of the subject base.
check_PROGRAMS += tests/unit/test_base tests/unit/test_options
TESTS += tests/unit/test_base tests/unit/test_options
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_LDADD = libkpar_base.la $(CHECK_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test_options.c
tests_unit_test_options_LDADD = libkpar_base.la $(CHECK_LIBS)
