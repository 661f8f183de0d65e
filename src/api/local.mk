# The public C API. A library of its own, which libkpar is made of and the tests of its insides link.
kparinclude_HEADERS += include/kpar/kpar.h include/kpar/training.h
noinst_LTLIBRARIES += libkpar_api.la
libkpar_api_la_SOURCES = src/api/context.c src/api/context.h src/api/collective.c src/api/training.c \
	src/api/training_internal.h src/api/training_data.c src/api/training_fit.c src/api/training_predict.c \
	src/api/versioned.c src/api/versioned.h
libkpar_la_LIBADD += libkpar_api.la
