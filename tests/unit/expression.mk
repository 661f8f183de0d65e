check_PROGRAMS += tests/unit/test_expression
TESTS += tests/unit/test_expression
tests_unit_test_expression_SOURCES = tests/unit/test_expression.c
tests_unit_test_expression_LDADD = $(KPAR_TEST_LIBS)
