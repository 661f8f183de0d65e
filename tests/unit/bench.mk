# Unit tests of the subject bench.
check_PROGRAMS += tests/unit/test_bench
TESTS += tests/unit/test_bench
tests_unit_test_bench_SOURCES = tests/unit/test_bench.c src/bench/program.c src/bench/case.c src/bench/bench.h
tests_unit_test_bench_LDADD = $(KPAR_TEST_LIBS)
