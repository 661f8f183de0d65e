# Lowering: whole models, the formulas of the tables, layers, and what is refused.
model_tests = tests/unit/test_model tests/unit/test_model_formulas tests/unit/test_model_layers \
	tests/unit/test_model_refused
check_PROGRAMS += $(model_tests)
TESTS += $(model_tests)
model_fixture = tests/unit/model_fixture.h tests/unit/graph_evaluate.h
tests_unit_test_model_SOURCES = tests/unit/test_model.c $(model_fixture)
tests_unit_test_model_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_model_formulas_SOURCES = tests/unit/test_model_formulas.c $(model_fixture) tests/unit/keras_values.h
tests_unit_test_model_formulas_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_model_layers_SOURCES = tests/unit/test_model_layers.c $(model_fixture)
tests_unit_test_model_layers_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_model_refused_SOURCES = tests/unit/test_model_refused.c $(model_fixture)
tests_unit_test_model_refused_LDADD = $(KPAR_TEST_LIBS)
EXTRA_DIST += tests/unit/keras_values.py
