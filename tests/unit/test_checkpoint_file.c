/* The container of checkpoints: what was saved as any slices is read as any others; damage is found and
 * named, and the checkpoint before is used; a write that fails loses nothing. */
#include "base/memory.h"
#include "data/output.h"
#include "train/checkpoint_file.h"
#include "unit.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Three variables: a kernel of 12 x 10, a bias of 10, a counter. Element i of variable v at step s is 1000 v
 * + i + s / 8. */
static const struct {
    const char *path;
    kpar_dtype dtype;
    int rank;
    int64_t dims[2];
} variables[] = {
    {"layers/dense/vars/0", KPAR_F32, 2, {12, 10}},
    {"layers/dense/vars/1", KPAR_F32, 1, {10}},
    {"optimizer/vars/0", KPAR_I64, 0, {0}},
};
enum { VARIABLES = 3, LARGEST = 120 };

static void fill(int variable, const kpar_slice *slice, int64_t step, void *values)
{
    if (variable == 2) {
        *(int64_t *)values = step;
        return;
    }
    float *next = values;
    int64_t columns = slice->rank == 2 ? slice->size[1] : 1;
    for (int64_t row = 0; row < slice->size[0]; row++)
        for (int64_t column = 0; column < columns; column++) {
            int64_t i = slice->rank == 2 ? (slice->start[0] + row) * 10 + slice->start[1] + column
                                         : slice->start[0] + row;
            *next++ = (float)(1000 * variable + i) + (float)step / 8;
        }
}

/* How `rows` x `columns` ranks share the kernel, and the first ones the rest. */
typedef struct mesh {
    int rows, columns;
} mesh;

static void share(int64_t whole, int parts, int part, int64_t *start, int64_t *size)
{
    *start = whole * part / parts;
    *size = whole * (part + 1) / parts - *start;
}

static bool slice_of(mesh layout, int variable, int rank, kpar_slice *slice)
{
    *slice = (kpar_slice){.rank = variables[variable].rank};
    if (variable == 2) return rank == 0;
    int row = rank / layout.columns, column = rank % layout.columns;
    if (variable == 1) {
        share(10, layout.columns, column, &slice->start[0], &slice->size[0]);
        return row == 0;
    }
    share(12, layout.rows, row, &slice->start[0], &slice->size[0]);
    share(10, layout.columns, column, &slice->start[1], &slice->size[1]);
    return true;
}

static kpar_status write_rank(mesh layout, int rank, int64_t step, kpar_text *pieces)
{
    kpar_checkpoint_writer *writer = NULL;
    KPAR_TRY(kpar_checkpoint_writer_open(folder, step, rank, &writer));
    for (int v = 0; v < VARIABLES; v++) {
        kpar_slice slice;
        _Alignas(8) unsigned char values[LARGEST * 8];
        if (!slice_of(layout, v, rank, &slice)) continue;
        fill(v, &slice, step, values);
        kpar_status status =
            kpar_checkpoint_write_piece(writer, variables[v].path, variables[v].dtype, variables[v].rank,
                                        variables[v].dims, &slice, values);
        if (status != KPAR_OK) {
            kpar_checkpoint_writer_abandon(writer);
            return status;
        }
    }
    return kpar_checkpoint_writer_close(writer, pieces);
}

static const kpar_named_text identity[] = {{"model", "0011"}, {"batch size", "32"}, {"seed", "1"}};
static const kpar_named_text notes[] = {{"history", "{\"loss\": [1.5]}"}};

static kpar_status save(mesh layout, int64_t step, int keep)
{
    enum { MOST_RANKS = 16 };
    kpar_text pieces[MOST_RANKS] = {{0}};
    const char *lists[MOST_RANKS];
    int ranks = layout.rows * layout.columns;
    kpar_status status = kpar_checkpoint_begin(folder, step);
    for (int rank = 0; rank < ranks && status == KPAR_OK; rank++) {
        status = write_rank(layout, rank, step, &pieces[rank]);
        lists[rank] = kpar_text_get(&pieces[rank]);
    }
    const kpar_checkpoint_facts facts = {.step = step,
                                         .epoch = step / 10,
                                         .batch = step % 10,
                                         .identity = identity,
                                         .n_identity = 3,
                                         .notes = notes,
                                         .n_notes = 1};
    if (status == KPAR_OK) status = kpar_checkpoint_commit(folder, &facts, lists, ranks, keep);
    for (int rank = 0; rank < ranks; rank++) kpar_text_clear(&pieces[rank]);
    return status;
}

static void must_save(mesh layout, int64_t step)
{
    ck_assert_msg(save(layout, step, 2) == KPAR_OK, "%s", kpar_error_message());
}

/* The newest good checkpoint is that of `step`, and reads right on this mesh. */
static void expect_resume(mesh layout, int64_t step)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_text messages = {0};
    ck_assert_msg(kpar_checkpoint_find(folder, &checkpoint, &messages) == KPAR_OK, "%s",
                  kpar_error_message());
    ck_assert_ptr_nonnull(checkpoint);
    ck_assert_int_eq(kpar_checkpoint_get_facts(checkpoint)->step, step);
    for (int rank = 0; rank < layout.rows * layout.columns; rank++)
        for (int v = 0; v < VARIABLES; v++) {
            kpar_slice slice;
            _Alignas(8) unsigned char found[LARGEST * 8] = {0}, expected[LARGEST * 8] = {0};
            (void)slice_of(layout, v, rank, &slice);
            fill(v, &slice, step, expected);
            kpar_status status = kpar_checkpoint_read(checkpoint, variables[v].path, variables[v].dtype,
                                                      variables[v].rank, variables[v].dims, &slice, found);
            ck_assert_msg(status == KPAR_OK, "%s", kpar_error_message());
            ck_assert_int_eq(memcmp(found, expected, sizeof found), 0);
        }
    kpar_checkpoint_close(checkpoint);
    kpar_text_clear(&messages);
}

START_TEST(what_any_mesh_saved_any_other_reads)
{
    static const mesh meshes[] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {3, 4}, {4, 3}, {1, 7}};
    enum { MESHES = sizeof meshes / sizeof meshes[0] };
    for (int i = 0; i < MESHES * MESHES; i++) {
        must_save(meshes[i / MESHES], i + 1);
        expect_resume(meshes[i % MESHES], i + 1);
    }
}
END_TEST

START_TEST(a_missing_or_empty_folder_has_none)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_text messages = {0};
    ck_assert_int_eq(kpar_checkpoint_find(folder, &checkpoint, &messages), KPAR_OK);
    ck_assert_ptr_null(checkpoint);
    ck_assert_int_eq(kpar_checkpoint_find(path_of("none"), &checkpoint, &messages), KPAR_OK);
    ck_assert_ptr_null(checkpoint);
    ck_assert_uint_eq(messages.length, 0);
}
END_TEST

START_TEST(facts_and_notes_come_back)
{
    kpar_checkpoint *checkpoint = NULL;
    must_save((mesh){2, 1}, 23);
    ck_assert_int_eq(kpar_checkpoint_open(path_of("step-00000023"), &checkpoint), KPAR_OK);
    const kpar_checkpoint_facts *facts = kpar_checkpoint_get_facts(checkpoint);
    ck_assert_int_eq(facts->epoch, 2);
    ck_assert_int_eq(facts->batch, 3);
    ck_assert_str_eq(kpar_checkpoint_note(checkpoint, "history"), notes[0].value);
    ck_assert_ptr_null(kpar_checkpoint_note(checkpoint, "none"));
    ck_assert(kpar_checkpoint_has(checkpoint, "optimizer/vars/0"));
    ck_assert(!kpar_checkpoint_has(checkpoint, "optimizer/vars/1"));
    kpar_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(a_run_that_differs_is_told_in_what)
{
    kpar_checkpoint *checkpoint = NULL;
    must_save((mesh){1, 1}, 8);
    ck_assert_int_eq(kpar_checkpoint_open(path_of("step-00000008"), &checkpoint), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_check(checkpoint, identity, 3), KPAR_OK);
    const kpar_named_text other[] = {{"model", "0011"}, {"batch size", "64"}, {"optimizer", "adam"}};
    expect_failure(kpar_checkpoint_check(checkpoint, other, 3), KPAR_EUSAGE,
                   "batch size is 32 there and 64 here; optimizer is not given there and adam here; seed is "
                   "1 there and not given here");
    kpar_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(a_variable_of_another_type_or_shape_is_refused)
{
    kpar_checkpoint *checkpoint = NULL;
    float values[LARGEST];
    const kpar_slice slice = {.rank = 1, .size = {10}};
    must_save((mesh){1, 1}, 8);
    ck_assert_int_eq(kpar_checkpoint_open(path_of("step-00000008"), &checkpoint), KPAR_OK);
    const char *bias = variables[1].path;
    expect_failure(kpar_checkpoint_read(checkpoint, bias, KPAR_F32, 1, &(int64_t){11}, &slice, values),
                   KPAR_EDATA, "shape (11");
    expect_failure(kpar_checkpoint_read(checkpoint, bias, KPAR_F64, 1, &(int64_t){10}, &slice, values),
                   KPAR_EDATA, "expected float64");
    expect_failure(kpar_checkpoint_read(checkpoint, "other", KPAR_F32, 1, &(int64_t){10}, &slice, values),
                   KPAR_EDATA, "no variable other");
    kpar_checkpoint_close(checkpoint);
}
END_TEST

static size_t read_file(const char *path, char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t length = fread(bytes, 1, capacity, file);
    fclose(file);
    return length;
}

static void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void expect_fallback(const char *file, size_t at)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_text messages = {0};
    ck_assert_int_eq(kpar_checkpoint_find(folder, &checkpoint, &messages), KPAR_OK);
    ck_assert_ptr_nonnull(checkpoint);
    ck_assert_msg(kpar_checkpoint_get_facts(checkpoint)->step == 8, "damage of %s at byte %zu was not found",
                  file, at);
    ck_assert_msg(strstr(kpar_text_get(&messages), "step-00000016") && strstr(kpar_text_get(&messages), file),
                  "%s at byte %zu: %s", file, at, kpar_text_get(&messages));
    kpar_checkpoint_close(checkpoint);
    kpar_text_clear(&messages);
}

static const char *const damaged_files[] = {"manifest.json", "rank-00000.bin", "rank-00001.bin"};
enum { FILES = 3, FILE_CAPACITY = 16384 };

START_TEST(a_truncated_file_is_named_and_the_checkpoint_before_is_used)
{
    must_save((mesh){2, 1}, 8);
    must_save((mesh){2, 1}, 16);
    for (int f = 0; f < FILES; f++) {
        static char bytes[FILE_CAPACITY];
        char path[160];
        snprintf(path, sizeof path, "%s/step-00000016/%s", folder, damaged_files[f]);
        size_t length = read_file(path, bytes, sizeof bytes);
        for (size_t cut = 0; cut<length; cut += length - cut> 16 ? 7 : 1) {
            write_file(path, bytes, cut);
            expect_fallback(damaged_files[f], cut);
        }
        write_file(path, bytes, length);
    }
    expect_resume((mesh){1, 1}, 16);
}
END_TEST

START_TEST(a_flipped_bit_is_named_and_the_checkpoint_before_is_used)
{
    must_save((mesh){2, 1}, 8);
    must_save((mesh){2, 1}, 16);
    for (int f = 0; f < FILES; f++) {
        static char bytes[FILE_CAPACITY];
        char path[160];
        snprintf(path, sizeof path, "%s/step-00000016/%s", folder, damaged_files[f]);
        size_t length = read_file(path, bytes, sizeof bytes);
        for (size_t at = 0; at < length; at++) {
            char kept = bytes[at];
            bytes[at] = (char)(kept ^ 1 << at % 8);
            write_file(path, bytes, length);
            bytes[at] = kept;
            expect_fallback(damaged_files[f], at);
        }
        write_file(path, bytes, length);
    }
    expect_resume((mesh){1, 1}, 16);
}
END_TEST

START_TEST(a_missing_file_is_named_and_the_checkpoint_before_is_used)
{
    must_save((mesh){2, 1}, 8);
    must_save((mesh){2, 1}, 16);
    ck_assert_int_eq(unlink(path_of("step-00000016/rank-00001.bin")), 0);
    expect_fallback("rank-00001.bin", 0);
}
END_TEST

START_TEST(training_does_not_start_afresh_when_all_are_damaged)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_text messages = {0};
    must_save((mesh){1, 1}, 8);
    write_file(path_of("step-00000008/rank-00000.bin"), "", 0);
    expect_failure(kpar_checkpoint_find(folder, &checkpoint, &messages), KPAR_EFORMAT,
                   "all 1 finished checkpoints are damaged");
    ck_assert_ptr_null(checkpoint);
    kpar_text_clear(&messages);
}
END_TEST

START_TEST(an_unfinished_one_is_passed_over)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_text messages = {0}, pieces = {0};
    ck_assert_int_eq(kpar_checkpoint_begin(folder, 8), KPAR_OK);
    ck_assert_int_eq(write_rank((mesh){1, 1}, 0, 8, &pieces), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_find(folder, &checkpoint, &messages), KPAR_OK);
    ck_assert_ptr_null(checkpoint);
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&messages), "never finished"));
    must_save((mesh){1, 1}, 16);
    ck_assert_int_ne(access(path_of("step-00000008"), F_OK), 0);
    kpar_text_clear(&messages);
    kpar_text_clear(&pieces);
}
END_TEST

START_TEST(as_many_as_wanted_are_kept)
{
    for (int64_t step = 1; step <= 5; step++) ck_assert_int_eq(save((mesh){2, 1}, step, 3), KPAR_OK);
    ck_assert_int_ne(access(path_of("step-00000002"), F_OK), 0);
    for (int i = 3; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "step-%08d", i);
        ck_assert_int_eq(access(path_of(name), F_OK), 0);
    }
    ck_assert_int_eq(save((mesh){2, 1}, 6, 1), KPAR_OK);
    ck_assert_int_ne(access(path_of("step-00000005"), F_OK), 0);
    expect_resume((mesh){1, 2}, 6);
}
END_TEST

START_TEST(a_newer_damaged_one_neither_counts_nor_is_removed)
{
    must_save((mesh){1, 1}, 8);
    must_save((mesh){1, 1}, 24);
    write_file(path_of("step-00000024/manifest.json"), "{", 1);
    must_save((mesh){1, 1}, 12);
    ck_assert_int_eq(access(path_of("step-00000024"), F_OK), 0);
    ck_assert_int_eq(access(path_of("step-00000008"), F_OK), 0);
    expect_resume((mesh){1, 1}, 12);
    must_save((mesh){2, 1}, 24);
    ck_assert_int_ne(access(path_of("step-00000024.old"), F_OK), 0);
    expect_resume((mesh){1, 1}, 24);
}
END_TEST

START_TEST(a_save_that_fails_at_any_call_keeps_what_was_there)
{
    must_save((mesh){2, 2}, 8);
    kpar_new_file_fail_at(0);
    must_save((mesh){2, 2}, 16);
    int calls = kpar_new_file_fail_at(0);
    ck_assert_int_gt(calls, 10);
    for (int call = 1; call <= calls; call++)
        for (int64_t step = 16; step <= 24; step += 8) { /* over the newest one, and after it */
            kpar_new_file_fail_at(call);
            expect_failure(save((mesh){2, 2}, step, 1), KPAR_EIO, "No space left");
            kpar_new_file_fail_at(0);
            expect_resume((mesh){1, 1}, 16);
        }
}
END_TEST

START_TEST(pieces_that_are_not_all_of_a_variable_are_refused)
{
    kpar_text pieces[2] = {{0}};
    ck_assert_int_eq(kpar_checkpoint_begin(folder, 8), KPAR_OK);
    for (int rank = 0; rank < 2; rank++)
        ck_assert_int_eq(write_rank((mesh){2, 1}, rank, 8, &pieces[rank]), KPAR_OK);
    const kpar_checkpoint_facts facts = {.step = 8};
    const char *const first[] = {kpar_text_get(&pieces[0])}, *const twice[] = {first[0],
                                                                               kpar_text_get(&pieces[1]),
                                                                               first[0]};
    const char *const broken[] = {"[{\"path\": \"x\"}]"};
    expect_failure(kpar_checkpoint_commit(folder, &facts, first, 1, 2), KPAR_EINTERNAL,
                   "layers/dense/vars/0: its pieces have 60 elements");
    expect_failure(kpar_checkpoint_commit(folder, &facts, twice, 3, 2), KPAR_EINTERNAL,
                   "layers/dense/vars/0: its pieces have 180 elements");
    expect_failure(kpar_checkpoint_commit(folder, &facts, broken, 1, 2), KPAR_EFORMAT, "described wrongly");
    for (int rank = 0; rank < 2; rank++) kpar_text_clear(&pieces[rank]);
}
END_TEST

START_TEST(a_second_job_on_the_folder_is_refused_with_the_first_ones_name)
{
    kpar_checkpoint_lock *first = NULL, *second = NULL;
    char words[64];
    snprintf(words, sizeof words, "process %ld on host ", (long)getpid());
    ck_assert_int_eq(kpar_checkpoint_lock_take(path_of("shared"), &first), KPAR_OK);
    expect_failure(kpar_checkpoint_lock_take(path_of("shared"), &second), KPAR_EUSAGE, words);
    ck_assert_ptr_null(second);
    kpar_checkpoint_lock_release(first);
    ck_assert_int_eq(kpar_checkpoint_lock_take(path_of("shared"), &second), KPAR_OK);
    kpar_checkpoint_lock_release(second);
    expect_failure(kpar_checkpoint_lock_take(path_of("none/below"), &first), KPAR_EIO, "none/below");
}
END_TEST

START_TEST(the_lock_ends_with_its_process)
{
    kpar_checkpoint_lock *lock = NULL;
    pid_t child = fork();
    if (!child) _exit(kpar_checkpoint_lock_take(folder, &lock) != KPAR_OK); /* without releasing it */
    int state = -1;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_int_eq(state, 0);
    ck_assert_int_eq(kpar_checkpoint_lock_take(folder, &lock), KPAR_OK);
    kpar_checkpoint_lock_release(lock);
}
END_TEST

START_TEST(runs_longer_than_the_window_are_read)
{
    enum { ROWS = 3, COLUMNS = 400000 };
    const int64_t dims[2] = {ROWS, COLUMNS};
    const kpar_slice all = {.rank = 2, .size = {ROWS, COLUMNS}},
                     part = {.rank = 2, .start = {1, 7}, .size = {2, COLUMNS - 9}};
    float *values = kpar_alloc(sizeof(float) * ROWS * COLUMNS),
          *found = kpar_alloc(sizeof(float) * ROWS * COLUMNS);
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)i;
    kpar_checkpoint_writer *writer = NULL;
    kpar_checkpoint *checkpoint = NULL;
    kpar_text pieces = {0}, messages = {0};
    ck_assert_int_eq(kpar_checkpoint_begin(folder, 1), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_writer_open(folder, 1, 0, &writer), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_write_piece(writer, "w", KPAR_F32, 2, dims, &all, values), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_writer_close(writer, &pieces), KPAR_OK);
    const char *const lists[] = {kpar_text_get(&pieces)};
    ck_assert_int_eq(kpar_checkpoint_commit(folder, &(kpar_checkpoint_facts){.step = 1}, lists, 1, 2),
                     KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_find(folder, &checkpoint, &messages), KPAR_OK);
    ck_assert_int_eq(kpar_checkpoint_read(checkpoint, "w", KPAR_F32, 2, dims, &part, found), KPAR_OK);
    for (int row = 0; row < 2; row++)
        ck_assert_int_eq(
            memcmp(found + row * (COLUMNS - 9), values + (row + 1) * COLUMNS + 7, (COLUMNS - 9) * 4), 0);
    kpar_checkpoint_close(checkpoint);
    kpar_text_clear(&pieces);
    kpar_free(values);
    kpar_free(found);
}
END_TEST

START_TEST(nothing_is_leaked)
{
    size_t before = kpar_alloc_live();
    must_save((mesh){2, 2}, 8);
    must_save((mesh){2, 2}, 16);
    expect_resume((mesh){3, 1}, 16);
    write_file(path_of("step-00000016/rank-00001.bin"), "x", 1);
    expect_resume((mesh){3, 1}, 8);
    ck_assert_uint_eq(kpar_alloc_live(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint_file");
    TCase *cases = tcase_create("container");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, what_any_mesh_saved_any_other_reads);
    tcase_add_test(cases, a_missing_or_empty_folder_has_none);
    tcase_add_test(cases, facts_and_notes_come_back);
    tcase_add_test(cases, a_run_that_differs_is_told_in_what);
    tcase_add_test(cases, a_variable_of_another_type_or_shape_is_refused);
    tcase_add_test(cases, a_truncated_file_is_named_and_the_checkpoint_before_is_used);
    tcase_add_test(cases, a_flipped_bit_is_named_and_the_checkpoint_before_is_used);
    tcase_add_test(cases, a_missing_file_is_named_and_the_checkpoint_before_is_used);
    tcase_add_test(cases, training_does_not_start_afresh_when_all_are_damaged);
    tcase_add_test(cases, an_unfinished_one_is_passed_over);
    tcase_add_test(cases, as_many_as_wanted_are_kept);
    tcase_add_test(cases, a_newer_damaged_one_neither_counts_nor_is_removed);
    tcase_add_test(cases, a_save_that_fails_at_any_call_keeps_what_was_there);
    tcase_add_test(cases, pieces_that_are_not_all_of_a_variable_are_refused);
    tcase_add_test(cases, a_second_job_on_the_folder_is_refused_with_the_first_ones_name);
    tcase_add_test(cases, the_lock_ends_with_its_process);
    tcase_add_test(cases, runs_longer_than_the_window_are_read);
    tcase_add_test(cases, nothing_is_leaked);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
