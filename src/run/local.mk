# Sources of src/run.
libkpar_core_la_SOURCES += src/run/executor.c src/run/executor.h src/run/executor_internal.h src/run/replay.c \
	src/run/lanes.c src/run/lanes.h src/run/progress_thread.c src/run/progress_thread.h src/run/stall.c \
	src/run/finite.c src/run/groups.c
