# Sources of src/program: steps and trees.
libkpar_core_la_SOURCES += src/program/steps.c src/program/steps.h src/program/prove.c \
	src/program/prove_replay.c src/program/prove_internal.h src/program/tree.c src/program/tree.h
