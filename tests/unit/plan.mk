# Unit tests of the subject plan: the passes that know a mesh, and what is emitted.
PLAN_TESTS = tests/unit/test_parallel
check_PROGRAMS += $(PLAN_TESTS)
TESTS += $(PLAN_TESTS)
tests_unit_test_parallel_SOURCES = tests/unit/test_parallel.c tests/unit/plan_fixture.h
tests_unit_test_parallel_LDADD = $(KPAR_TEST_LIBS)
