# Unit tests of the subject tensor.
check_PROGRAMS += tests/unit/test_tensor
TESTS += tests/unit/test_tensor
tests_unit_test_tensor_SOURCES = tests/unit/test_tensor.c
tests_unit_test_tensor_LDADD = $(KPAR_TEST_LIBS)
