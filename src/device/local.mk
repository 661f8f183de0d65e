# Sources of src/device. The vector loops need math functions that set no errno and selects that may be computed
# on both sides.
AM_CFLAGS += -fno-math-errno -fno-trapping-math
libkpar_core_la_SOURCES += src/device/device.h src/device/device.c src/device/spec.h src/device/spec.c \
	src/device/check.c \
	src/device/null/null.c \
	src/device/reference/reference.c src/device/reference/rules.h src/device/reference/rules_arithmetic.c \
	src/device/reference/rules_move.c src/device/reference/rules_window.c src/device/reference/rules_rows.c \
	src/device/cpu/cpu.h src/device/cpu/cpu.c src/device/cpu/elementwise.c src/device/cpu/evaluator.h \
	src/device/cpu/evaluator.c src/device/cpu/operands.h src/device/cpu/operands.c \
	src/device/cpu/lane_program.h src/device/cpu/lane_program.c src/device/cpu/lanes.h \
	src/device/cpu/lanes_loops.h src/device/cpu/lanes_f32.c src/device/cpu/lanes_f64.c src/device/cpu/matmul.c \
	src/device/cpu/matmul_loops.h src/device/cpu/matmul_loops.c src/device/cpu/move.c src/device/cpu/onednn.h \
	src/device/cpu/onednn.c src/device/cpu/onednn_internal.h src/device/cpu/onednn_conv.c \
	src/device/cpu/conv.c src/device/cpu/conv_loops.h src/device/cpu/conv_loops.c src/device/cpu/pool.c \
	src/device/cpu/windows.h src/device/cpu/windows.c src/device/cpu/parallel.h src/device/cpu/parallel.c \
	src/device/cpu/random.c \
	src/device/cpu/reduce_loops.h src/device/cpu/reduce_loops.c \
	src/device/cpu/reduce_plan.h src/device/cpu/reduce_plan.c src/device/cpu/reduce.c src/device/cpu/arg_reduce.c \
	src/device/cpu/cumulative.c src/device/cpu/rows.c src/device/cpu/vector.h src/device/cpu/vector_math.h
