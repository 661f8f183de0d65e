libkpar_core_la_SOURCES += src/plan/plan.h src/plan/compile.c src/plan/emit.c src/plan/emit.h src/plan/emit_internal.h \
	src/plan/emit_walk.c src/plan/emit_needed.c src/plan/emit_slots.c src/plan/emit_storage.c src/plan/emit_memory.c \
	src/plan/emit_kernel.c src/plan/emit_accumulate.c src/plan/emit_collective.c src/plan/emit_common.c \
	src/plan/emit_pending.c \
	src/plan/memory.c src/plan/memory.h src/plan/report.c src/plan/report.h src/plan/print.c
