/* What many unit tests need: a folder of their own, an expected failure, running a suite. */
#ifndef KPAR_TESTS_UNIT_H
#define KPAR_TESTS_UNIT_H

#include "base/status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

static char folder[PATH_BYTES / 2];

static inline void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/kpar-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_folder(void)
{
    char command[PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* A path in the folder; valid until the fourth call after. */
static inline const char *path_of(const char *name)
{
    static _Thread_local char paths[4][PATH_BYTES];
    static _Thread_local int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static inline void expect_failure(kpar_status status, kpar_status expected, const char *words)
{
    ck_assert_msg(status == expected, "found %s (%s), expected %s with '%s'", kpar_status_name(status),
                  kpar_error_message(), kpar_status_name(expected), words);
    ck_assert_msg(strstr(kpar_error_message(), words) != NULL, "'%s' does not say '%s'", kpar_error_message(),
                  words);
}

/* What main ends with. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
