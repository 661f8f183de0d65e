# Examples, built and run by the tests.
check_PROGRAMS += examples/allreduce examples/train_digits
examples_allreduce_SOURCES = examples/allreduce.c
examples_allreduce_LDADD = libkpar.la
examples_train_digits_SOURCES = examples/train_digits.c
examples_train_digits_LDADD = libkpar.la

dist_check_SCRIPTS += tests/mpi/test_examples.sh
TESTS += tests/mpi/test_examples.sh
tests/mpi/test_examples.log: examples/allreduce$(EXEEXT) examples/train_digits$(EXEEXT)

EXTRA_DIST += examples/digits/README.md examples/digits/check.sh examples/digits/digits.npz examples/digits/make_model.py \
    examples/digits/model.keras examples/digits/run.sh
