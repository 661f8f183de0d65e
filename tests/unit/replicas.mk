# Unit tests of replicas that drift apart.
check_PROGRAMS += tests/unit/test_replicas
TESTS += tests/unit/test_replicas
tests_unit_test_replicas_SOURCES = tests/unit/test_replicas.c tests/unit/keras_fixture.h
tests_unit_test_replicas_LDADD = $(KPAR_TEST_LIBS)
