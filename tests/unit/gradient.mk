# Unit tests of the subject gradient.
check_PROGRAMS += tests/unit/test_gradient
TESTS += tests/unit/test_gradient
tests_unit_test_gradient_SOURCES = tests/unit/test_gradient.c tests/unit/graph_fixture.h tests/unit/graph_evaluate.h
tests_unit_test_gradient_LDADD = $(KPAR_TEST_LIBS)
