# Unit tests of the subject plan: the passes that know a mesh, what is emitted, and its golden files.
PLAN_TESTS = tests/unit/test_parallel tests/unit/test_place tests/unit/test_place_update tests/unit/test_cut \
	tests/unit/test_plan tests/unit/test_golden
check_PROGRAMS += $(PLAN_TESTS)
TESTS += $(PLAN_TESTS)
tests_unit_test_parallel_SOURCES = tests/unit/test_parallel.c tests/unit/plan_fixture.h
tests_unit_test_parallel_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_place_SOURCES = tests/unit/test_place.c tests/unit/plan_fixture.h
tests_unit_test_place_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_place_update_SOURCES = tests/unit/test_place_update.c tests/unit/plan_fixture.h
tests_unit_test_place_update_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_cut_SOURCES = tests/unit/test_cut.c tests/unit/plan_fixture.h
tests_unit_test_cut_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_plan_SOURCES = tests/unit/test_plan.c tests/unit/plan_fixture.h
tests_unit_test_plan_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_golden_SOURCES = tests/unit/test_golden.c tests/unit/plan_fixture.h
tests_unit_test_golden_LDADD = $(KPAR_TEST_LIBS)
EXTRA_DIST += tests/golden tests/bench/models
