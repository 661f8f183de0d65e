/* Saving from four ranks: every call that changes a file is made to fail once, and the old file stays. */
#include "keras/io.h"
#include "train/trainer.h"

#include "keras_fixture.h"
#include "unit.h"

#include <pthread.h>

enum { RANKS = 4, LONGEST = 256 };

typedef struct rank {
    pthread_t thread;
    kpar_comm *comm;
    const char *output;
    int calls;           /* made to fail before saving went well */
    char wrong[LONGEST]; /* what went wrong in the test; "": nothing */
} rank;

static kpar_status make_trainer(rank *r, kpar_trainer **trainer)
{
    const kpar_trainer_options options = {
        .modes = 1u << KPAR_MODE_TRAIN,
        .device.threads = 1,
        .plan = {.mesh = {2, 2, 1},
                 .batch_size = 8,
                 .microbatches = 2,
                 .zero = 1,
                 .windows = true,
                 .device = &kpar_device_reference,
                 .real = KPAR_F32},
    };
    return kpar_trainer_create(r->comm, case_model("opt_adam"), &options, trainer);
}

static bool old_file_stays(const char *path)
{
    char text[16] = "";
    FILE *file = fopen(path, "r");
    const bool read = file && fgets(text, sizeof text, file);
    if (file) fclose(file);
    return read && strcmp(text, "old") == 0 && files_in_folder() == 1;
}

/* Rank 0 writes; its n-th call fails. All ranks have to hear of it, with the same message. */
static void save_until_it_works(rank *r, kpar_trainer *trainer)
{
    const bool root = kpar_comm_rank(r->comm) == 0;
    kpar_status status = KPAR_EIO;
    for (r->calls = 0; status != KPAR_OK && !*r->wrong && r->calls < 10000; r->calls++) {
        if (root) kpar_keras_fault_after(r->calls + 1);
        status = kpar_trainer_save(trainer, r->output);
        if (root) kpar_keras_fault_after(0);
        if (status != KPAR_OK && !strstr(kpar_error_message(), r->output))
            snprintf(r->wrong, LONGEST, "message: %s", kpar_error_message());
        if (root && status != KPAR_OK && !old_file_stays(r->output))
            snprintf(r->wrong, LONGEST, "after call %d the old file is gone, or others stay", r->calls + 1);
    }
}

static void *run(void *context)
{
    rank *r = context;
    kpar_trainer *trainer = NULL;
    if (make_trainer(r, &trainer) != KPAR_OK)
        snprintf(r->wrong, LONGEST, "%s", kpar_error_message());
    else
        save_until_it_works(r, trainer);
    kpar_trainer_destroy(trainer);
    return NULL;
}

START_TEST(a_write_that_fails_at_any_call_leaves_the_old_file)
{
    kpar_comm *comms[RANKS];
    rank ranks[RANKS];
    make_folder();
    char output[PATH_BYTES];
    snprintf(output, sizeof output, "%s", path_of("model.keras"));
    FILE *file = fopen(output, "w");
    ck_assert(file && fputs("old", file) >= 0 && fclose(file) == 0);
    ck_assert_int_eq(kpar_comm_local_create(RANKS, 0, comms), KPAR_OK);
    for (int i = 0; i < RANKS; i++) {
        ranks[i] = (rank){.comm = comms[i], .output = output};
        ck_assert_int_eq(pthread_create(&ranks[i].thread, NULL, run, &ranks[i]), 0);
    }
    for (int i = 0; i < RANKS; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < RANKS; i++) {
        ck_assert_msg(!*ranks[i].wrong, "rank %d: %s", i, ranks[i].wrong);
        ck_assert_int_gt(ranks[i].calls, 5);
        ck_assert_int_eq(ranks[i].calls, ranks[0].calls);
        kpar_comm_destroy(comms[i]);
    }
    kpar_keras_file *saved;
    ck_assert_int_eq(kpar_keras_open(output, &saved), KPAR_OK);
    kpar_keras_close(saved);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("save");
    TCase *tests = tcase_create("failing calls");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, a_write_that_fails_at_any_call_leaves_the_old_file);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
