# Sources of src/report.
libkpar_core_la_SOURCES += \
	src/report/event.h \
	src/report/report.c src/report/report.h \
	src/report/csv.c src/report/progress.c src/report/run_file.c
