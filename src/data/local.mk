# Sources of src/data.
libkpar_core_la_SOURCES += \
	src/data/npz.c src/data/npz.h src/data/npz_internal.h src/data/npz_unpack.c \
	src/data/dataset.c src/data/dataset.h src/data/dataset_internal.h \
	src/data/dataset_random.c src/data/dataset_read.c \
	src/data/map.c src/data/map.h \
	src/data/npy.c src/data/npy.h src/data/npy_read.c src/data/npy_write.c \
	src/data/order.c src/data/order.h \
	src/data/output.c src/data/output.h
