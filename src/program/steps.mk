libkpar_core_la_SOURCES += src/program/tree.c src/program/tree.h
