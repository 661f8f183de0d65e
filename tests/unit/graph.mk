# Unit tests of the subject graph.
check_PROGRAMS += tests/unit/test_graph
TESTS += tests/unit/test_graph
tests_unit_test_graph_SOURCES = tests/unit/test_graph.c tests/unit/graph_fixture.h tests/unit/graph_evaluate.h
tests_unit_test_graph_LDADD = $(KPAR_TEST_LIBS)
