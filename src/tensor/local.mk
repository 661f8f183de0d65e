# Sources of src/tensor.
libkpar_core_la_SOURCES += src/tensor/array.c src/tensor/array.h src/tensor/dtype.c src/tensor/dtype.h \
	src/tensor/small_float.c src/tensor/small_float.h
