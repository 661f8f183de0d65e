# Unit tests of the subject keras: configs and the catalog, describing models, model files; the round trip through Keras.
KERAS_TESTS = tests/unit/test_catalog tests/unit/test_keras tests/unit/test_keras_files tests/unit/test_legacy
check_PROGRAMS += $(KERAS_TESTS) tests/cases/copy_model
TESTS += $(KERAS_TESTS) tests/cases/round_trip.sh
SLOW_TESTS += tests/cases/round_trip.sh
tests_unit_test_catalog_SOURCES = tests/unit/test_catalog.c
tests_unit_test_catalog_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_keras_SOURCES = tests/unit/test_keras.c tests/unit/keras_fixture.h
tests_unit_test_keras_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_keras_files_SOURCES = tests/unit/test_keras_files.c tests/unit/keras_fixture.h
tests_unit_test_keras_files_LDADD = $(KPAR_TEST_LIBS)
tests_unit_test_legacy_SOURCES = tests/unit/test_legacy.c tests/unit/keras_fixture.h
tests_unit_test_legacy_LDADD = $(KPAR_TEST_LIBS)
tests_cases_copy_model_SOURCES = tests/cases/copy_model.c
tests_cases_copy_model_LDADD = $(KPAR_LIBS)
tests/cases/round_trip.log: tests/cases/copy_model$(EXEEXT)
EXTRA_DIST += tests/cases/README.md tests/cases/check_case.py tests/cases/round_trip.py tests/cases/round_trip.sh \
    tests/cases/data
