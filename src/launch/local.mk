bin_PROGRAMS += kparrun
kparrun_SOURCES += src/launch/arguments.c src/launch/filter.c src/launch/filter.h src/launch/hosts.c \
	src/launch/job.c src/launch/launch.h src/launch/machine.c src/launch/main.c src/launch/options.c \
	src/launch/options.h src/launch/rank.c src/launch/report.c src/launch/report.h
kparrun_CPPFLAGS = $(AM_CPPFLAGS) -DKPAR_MPIRUN='"$(MPIRUN)"'
