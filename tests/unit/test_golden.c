/* Golden programs: what is emitted for a few models, as text under tests/golden. A change of any pass shows as a
 * difference there. After a change that is meant, write them anew and look at the difference:
 *
 *     make check TESTS=tests/unit/test_golden KPAR_UPDATE_GOLDEN=1 && git diff tests/golden
 */
#include "plan_fixture.h"
#include "unit.h"

typedef struct golden {
    const char *name, *model;
    int data, pipeline, tensor, microbatches, leaves, zero;
    const char *choice, *schedule;
} golden;

static const golden cases[] = {
    {"sgd_1x1x1", "opt_sgd", 1, 1, 1, 1, 0, 0, NULL, NULL},
    {"adam_2x1x1_zero", "opt_adam", 2, 1, 1, 1, 0, 1, NULL, NULL},
    {"momentum_2x1x1_reproducible", "opt_sgd_momentum", 2, 1, 1, 0, 4, 0, "all_reduce:exchange", NULL},
    {"deep_1x2x1_gpipe", "deep_mlp8", 1, 2, 1, 2, 0, 0, NULL, "gpipe"},
    {"deep_1x2x1_interleaved", "deep_mlp8", 1, 2, 1, 2, 0, 0, NULL, "interleaved"},
    {"deep_1x2x1_zb_h1", "deep_mlp8", 1, 2, 1, 2, 0, 0, NULL, "zb-h1"},
    {"branches_1x1x2", "functional_branches", 1, 1, 2, 1, 0, 0, "all_reduce:whole", NULL},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* The training programs of all ranks, one after the other. */
static void dump_case(const golden *c, kpar_text *text)
{
    char model[128];
    kpar_plan_options o = options_of(c->data, c->pipeline, c->tensor);
    o.microbatches = c->microbatches;
    o.leaves = c->leaves;
    o.zero = c->zero;
    o.choice = c->choice;
    o.schedule = c->schedule ? kpar_schedule_find(c->schedule) : NULL;
    snprintf(model, sizeof model, "tests/cases/data/%s/model.keras", c->model);
    planned p = plan_file(model, &o, TRAIN);
    ASSERT_PLANNED(p);
    const int n = kpar_mesh_size(o.mesh);
    rank_programs *all = emit_all(&p);
    for (int rank = 0; rank < n; rank++) kpar_program_dump(all[rank][KPAR_MODE_TRAIN], text);
    programs_free(all, n);
    planned_free(&p);
}

static FILE *open_golden(const golden *c, const char *mode)
{
    char path[1024];
    const char *tree = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/golden/%s.txt", tree ? tree : ".", c->name);
    FILE *file = fopen(path, mode);
    ck_assert_msg(file != NULL, "%s: cannot be opened", path);
    return file;
}

static void read_golden(const golden *c, kpar_text *text)
{
    char block[4096];
    FILE *file = open_golden(c, "r");
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) kpar_text_append(text, block, n);
    fclose(file);
}

static void write_golden(const golden *c, const kpar_text *text)
{
    FILE *file = open_golden(c, "w");
    ck_assert_uint_eq(fwrite(text->bytes, 1, text->length, file), text->length);
    ck_assert_int_eq(fclose(file), 0);
}

/* Fails with the first line that differs. */
static void assert_same_lines(const golden *c, const char *found, const char *expected)
{
    for (int line = 1; *found || *expected; line++) {
        const size_t a = strcspn(found, "\n"), b = strcspn(expected, "\n");
        ck_assert_msg(a == b && memcmp(found, expected, a) == 0,
                      "tests/golden/%s.txt:%d: see the top of this test's source\n  is    %.*s\n  found %.*s",
                      c->name, line, (int)b, expected, (int)a, found);
        found += a + (found[a] != 0);
        expected += b + (expected[b] != 0);
    }
}

START_TEST(programs_are_those_of_the_golden_files)
{
    const golden *c = &cases[_i];
    kpar_text text = {0}, expected = {0};
    dump_case(c, &text);
    if (getenv("KPAR_UPDATE_GOLDEN")) write_golden(c, &text);
    read_golden(c, &expected);
    assert_same_lines(c, kpar_text_get(&text), kpar_text_get(&expected));
    kpar_text_clear(&text);
    kpar_text_clear(&expected);
}
END_TEST

/* Each rank's program, read from its text, gives that text again; and all of them together still fit. */
START_TEST(golden_programs_read_back_equal_and_fit_together)
{
    const golden *c = &cases[_i];
    kpar_text expected = {0}, again = {0};
    kpar_program *programs[8] = {0};
    int n = 0;
    read_golden(c, &expected);
    for (char *at = expected.bytes, *next; at; at = next) {
        next = strstr(at, "\nprogram rank=");
        if (next) *next++ = 0;
        ck_assert_msg(kpar_program_read(at, &programs[n]) == KPAR_OK, "%s: %s", c->name,
                      kpar_error_message());
        kpar_text_clear(&again);
        kpar_program_dump(programs[n++], &again);
        again.bytes[again.length - (next != NULL)] =
            0; /* without the end of the line that was cut off here */
        assert_same_lines(c, kpar_text_get(&again), at);
    }
    ck_assert_int_eq(n, c->data * c->pipeline * c->tensor);
    const kpar_status status = kpar_programs_check((const kpar_program *const *)programs, n);
    ck_assert_msg(status == KPAR_OK, "%s: %s", c->name, kpar_error_message());
    for (int i = 0; i < n; i++) kpar_program_destroy(programs[i]);
    kpar_text_clear(&expected);
    kpar_text_clear(&again);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden");
    TCase *all = tcase_create("golden");
    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, programs_are_those_of_the_golden_files, 0, CASES);
    tcase_add_loop_test(all, golden_programs_read_back_equal_and_fit_together, 0, CASES);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
