# Sources of src/model: reading configs, the catalog of variables, initializers.
libkpar_core_la_SOURCES += \
    src/model/catalog.c src/model/catalog.h \
    src/model/config.c src/model/config.h \
    src/model/initializers.c src/model/tables.h \
    src/model/model.c src/model/model.h
