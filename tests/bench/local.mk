# Tests in tests/bench: programs that print, and assert nothing.
noinst_PROGRAMS += tests/bench/bench_device
tests_bench_bench_device_SOURCES = tests/bench/bench_device.c
tests_bench_bench_device_LDADD = $(KPAR_LIBS)
