# Tests in tests/bench: programs that print, and assert nothing. `make bench` runs them; docs/performance.md explains the table.
noinst_PROGRAMS += tests/bench/bench_device
tests_bench_bench_device_SOURCES = tests/bench/bench_device.c
tests_bench_bench_device_LDADD = $(KPAR_LIBS)

EXTRA_DIST += tests/bench/bench_training.sh tests/bench/bench_plan.sh tests/bench/bench_bubble.sh \
	tests/bench/torch_training.py tests/bench/torch_pipeline.py \
	tests/bench/torch_model.py tests/bench/keras_training.py

# TORCH_PYTHON, KERAS_PYTHON: Pythons that have torch, and keras with tensorflow, to compare with; PYTHON unless given.
bench: tests/bench/bench_device$(EXEEXT) kpar_train$(EXEEXT)
	OMP_NUM_THREADS=1 tests/bench/bench_device$(EXEEXT)
	KPAR_TRAIN=./kpar_train$(EXEEXT) PYTHON='$(PYTHON)' TORCH_PYTHON='$(TORCH_PYTHON)' \
	    KERAS_PYTHON='$(KERAS_PYTHON)' MPIRUN='$(MPIRUN)' $(SHELL) $(srcdir)/tests/bench/bench_training.sh
.PHONY: bench
