check_PROGRAMS += tests/unit/test_device tests/unit/test_vector_math
TESTS += tests/unit/test_device tests/unit/test_vector_math
tests_unit_test_device_SOURCES = tests/unit/test_device.c tests/unit/device_cases.h
tests_unit_test_device_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_vector_math_SOURCES = tests/unit/test_vector_math.c
tests_unit_test_vector_math_LDADD = $(KPAR_TEST_LIBS)
