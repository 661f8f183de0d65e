# Sources of src/program, but for steps and trees.
libkpar_core_la_SOURCES += src/program/program.c src/program/program.h src/program/segments.c \
	src/program/segments.h src/program/order.c \
	src/program/check.c src/program/match.c src/program/match.h src/program/replay.c src/program/replay.h \
	src/program/replay_explain.c src/program/replay_internal.h src/program/clocks.c src/program/clocks.h \
	src/program/races.c src/program/races.h src/program/check_all.c src/program/simulate.c \
	src/program/text_dump.c src/program/text_lines.c src/program/text_lines.h \
	src/program/text_read.c
