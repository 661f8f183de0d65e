check_PROGRAMS += tests/unit/test_launch
TESTS += tests/unit/test_launch
tests_unit_test_launch_SOURCES = tests/unit/test_launch.c src/launch/arguments.c src/launch/filter.c \
	src/launch/hosts.c src/launch/options.c src/launch/report.c
tests_unit_test_launch_CPPFLAGS = $(AM_CPPFLAGS) -DKPAR_MPIRUN='"mpirun"'
tests_unit_test_launch_LDADD = libkpar_base.la $(CHECK_LIBS)
