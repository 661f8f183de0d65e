# Sources of src/comm.
libkpar_core_la_SOURCES += src/comm/comm.c src/comm/comm.h src/comm/transport.h src/comm/request.c \
	src/comm/combine.c src/comm/local.c src/comm/local_internal.h src/comm/local_message.c \
	src/comm/local_collective.c src/comm/algorithm.c src/comm/algorithm.h src/comm/algorithms.h \
	src/comm/collective.c src/comm/collective.h \
	src/comm/terms.c src/comm/direct.c src/comm/exchange.c src/comm/ring.c
if HAVE_MPI
libkpar_core_la_SOURCES += src/comm/mpi.c src/comm/mpi_internal.h \
	src/comm/mpi_window.c src/comm/mpi_message.c src/comm/mpi_collective.c src/comm/segment.c src/comm/segment.h
else
libkpar_core_la_SOURCES += src/comm/mpi_none.c
endif
