libkpar_core_la_SOURCES += src/graph/expression.c src/graph/expression.h src/graph/expression_build.c \
	src/graph/expression_derivative.c src/graph/expression_internal.h src/graph/expression_order.c \
	src/graph/expression_text.c
