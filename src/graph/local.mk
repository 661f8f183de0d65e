libkpar_core_la_SOURCES += src/graph/graph.c src/graph/graph.h src/graph/attributes.c src/graph/attributes.h \
	src/graph/op.c src/graph/op.h src/graph/op_rules.h \
	src/graph/op_map.c src/graph/op_reduce.c src/graph/op_cumulative.c src/graph/op_matmul.c src/graph/op_conv.c \
	src/graph/op_pool.c src/graph/op_layout.c src/graph/op_gather.c \
	src/graph/op_softmax.c src/graph/op_expand.c src/graph/op_made.c src/graph/op_move.c src/graph/build.c \
	src/graph/build.h \
	src/graph/gradient.c src/graph/rebuild.c src/graph/repeat.c src/graph/sum.c src/graph/sum.h src/graph/simplify.c \
	src/graph/separate.c src/graph/join.c src/graph/fuse.c src/graph/pass.h \
	src/graph/check.c src/graph/dump.c
