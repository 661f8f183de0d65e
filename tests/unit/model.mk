check_PROGRAMS += tests/unit/test_model
TESTS += tests/unit/test_model
tests_unit_test_model_SOURCES = tests/unit/test_model.c tests/unit/model_fixture.h tests/unit/graph_evaluate.h \
	tests/unit/keras_values.h
tests_unit_test_model_LDADD = $(KPAR_TEST_LIBS)
EXTRA_DIST += tests/unit/keras_values.py
