# Unit tests of what a plan predicts.
check_PROGRAMS += tests/unit/test_plan_report
TESTS += tests/unit/test_plan_report
tests_unit_test_plan_report_SOURCES = tests/unit/test_plan_report.c tests/unit/keras_fixture.h
tests_unit_test_plan_report_LDADD = $(KPAR_TEST_LIBS)
