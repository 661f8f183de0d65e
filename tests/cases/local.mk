# The reference cases on all meshes: ranks as threads here, under mpirun in tests/mpi/test_cases.sh.
check_PROGRAMS += tests/cases/test_cases
TESTS += tests/cases/test_cases
SLOW_TESTS += tests/cases/test_cases tests/mpi/test_cases.sh
tests_cases_test_cases_SOURCES = tests/cases/test_cases.c tests/cases/case_runner.c tests/cases/case_runner.h
tests_cases_test_cases_LDADD = $(KPAR_LIBS)
EXTRA_DIST += tests/cases/make_cases.py tests/cases/table.awk tests/cases/fuzz.py tests/cases/fuzz_models.py \
	tests/cases/fuzz_metrics.py

update-cases: tests/cases/test_cases$(EXEEXT)
	page=$(srcdir)/docs/equal_to_keras.md && sed '/^| case/,$$d' $$page >page.new && \
	    srcdir=$(srcdir) ./tests/cases/test_cases | awk -f $(srcdir)/tests/cases/table.awk >>page.new && mv page.new $$page
.PHONY: update-cases

# What must not depend on the layout: bits with a fixed number of leaves, and the numbers of dropout.
if HAVE_CHECK
check_PROGRAMS += tests/cases/test_reproducible
TESTS += tests/cases/test_reproducible
SLOW_TESTS += tests/cases/test_reproducible
tests_cases_test_reproducible_SOURCES = tests/cases/test_reproducible.c tests/cases/fit_runner.c \
    tests/cases/fit_runner.h tests/cases/case_runner.c tests/cases/case_runner.h
tests_cases_test_reproducible_LDADD = $(KPAR_TEST_LIBS)

# What each rank reads and allocates.
check_PROGRAMS += tests/cases/test_counted
TESTS += tests/cases/test_counted
tests_cases_test_counted_SOURCES = tests/cases/test_counted.c
tests_cases_test_counted_LDADD = $(KPAR_TEST_LIBS)
endif

# What Keras does with the trained files.
dist_check_SCRIPTS += tests/cases/train_on.sh
TESTS += tests/cases/train_on.sh
SLOW_TESTS += tests/cases/train_on.sh
tests/cases/train_on.log: kpar_train$(EXEEXT)
EXTRA_DIST += tests/cases/train_on.py
