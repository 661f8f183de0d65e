# kpar_bench.
bin_PROGRAMS += kpar_bench
kpar_bench_SOURCES += src/bench/main.c src/bench/bench.h src/bench/options.c src/bench/case.c src/bench/program.c \
	src/bench/sides.c src/bench/measure.c src/bench/report.c
