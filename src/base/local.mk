libkpar_base_la_SOURCES += src/base/clock.h src/base/hash.h src/base/log.c src/base/log.h src/base/memory.c \
	src/base/memory.h src/base/names.c src/base/names.h src/base/number.c src/base/number.h src/base/options.c \
	src/base/options.h \
	src/base/options_help.c src/base/options_internal.h src/base/options_pages.c src/base/philox.c \
	src/base/philox.h src/base/room.c src/base/room.h src/base/status.c src/base/status.h src/base/text.c \
	src/base/text.h
