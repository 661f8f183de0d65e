# Sources of src/run.
libkpar_core_la_SOURCES += src/run/executor.c src/run/executor.h src/run/executor_internal.h src/run/replay.c \
	src/run/stall.c src/run/finite.c src/run/groups.c
