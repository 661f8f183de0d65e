# Sources of src/keras.
libkpar_core_la_SOURCES += \
    src/keras/archive.c src/keras/archive.h \
    src/keras/compare.c \
    src/keras/describe.c src/keras/describe.h \
    src/keras/describe_calls.c src/keras/describe_graph.c src/keras/describe_inner.c src/keras/describe_compile.c \
    src/keras/describe_layers.c \
    src/keras/file.c src/keras/file.h \
    src/keras/io.c src/keras/io.h \
    src/keras/keras.h \
    src/keras/legacy.c src/keras/legacy.h src/keras/legacy_config.c \
    src/keras/offset_driver.c src/keras/offset_driver.h \
    src/keras/save.c \
    src/keras/slices.c src/keras/slices.h \
    src/keras/store.c src/keras/store.h \
    src/keras/weights.c \
    src/keras/writer.c src/keras/writer.h \
    src/keras/zip_source.c src/keras/zip_source.h
