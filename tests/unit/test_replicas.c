/* Copies of a variable that ranks hold apart from each other: one that differs on a rank ends training with its name. */
#include "train/trainer_internal.h"

#include "keras_fixture.h"
#include "unit.h"

#include <pthread.h>

enum { ROWS = 40, BATCH = 8, MOST_RANKS = 4, LONGEST = 512 };

typedef struct layout {
    kpar_mesh mesh;
    int zero;
    bool windows;
} layout;

typedef enum moment { BEFORE_FIT, BEFORE_RESUMING, DURING_FIT } moment;

/* What is spoiled, where and when; and what is said of it. */
typedef struct scenario {
    moment moment;
    int rank;
    const char *variable; /* path; NULL: none */
    const char *words;    /* of the failure; NULL: none is expected */
    int64_t checkpoint_every;
} scenario;

typedef struct rank {
    pthread_t thread;
    kpar_comm *comm;
    const layout *layout;
    const scenario *scenario;
    kpar_trainer *trainer;
    char wrong[LONGEST]; /* what went wrong in the test; "": nothing */
} rank;

static kpar_status make_trainer(rank *r)
{
    const layout *l = r->layout;
    const kpar_trainer_options options = {
        .modes = 1u << KPAR_MODE_TRAIN,
        .device.threads = 1,
        .plan = {.mesh = l->mesh,
                 .batch_size = BATCH,
                 .microbatches = 1,
                 .zero = l->zero,
                 .windows = l->windows,
                 .device = kpar_device_find("cpu"),
                 .real = KPAR_F32},
    };
    return kpar_trainer_create(r->comm, case_model("opt_adam"), &options, &r->trainer);
}

/* Changes the first value that this rank holds of the variable. */
static void spoil(rank *r)
{
    const scenario *s = r->scenario;
    const kpar_program *p = r->trainer->programs[KPAR_MODE_TRAIN];
    if (!s->variable || kpar_comm_rank(r->comm) != s->rank) return;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].kind == KPAR_SLOT_VARIABLE &&
            strcmp(r->trainer->catalog->variables[p->slots[i].index].path, s->variable) == 0) {
            float *value = kpar_executor_memory(r->trainer->executor, &p->slots[i].place);
            *value = -(*value + 1);
            return;
        }
    snprintf(r->wrong, sizeof r->wrong, "there is no %s", s->variable);
}

static kpar_status begin(void *context, int64_t epoch)
{
    rank *r = context;
    (void)epoch;
    if (r->scenario->moment == DURING_FIT) spoil(r);
    return KPAR_OK;
}

static kpar_status fit(rank *r, bool resume)
{
    kpar_dataset *dataset;
    char data[PATH_BYTES];
    snprintf(data, sizeof data, "%.*s/data.npz",
             (int)(strrchr(case_model("opt_adam"), '/') - case_model("opt_adam")), case_model("opt_adam"));
    KPAR_TRY(kpar_trainer_open_data(r->trainer, data, &(kpar_dataset_names){0}, &dataset));
    const scenario *s = r->scenario;
    const kpar_fit_options options = {.train = {dataset, 0, ROWS},
                                      .epochs = 2,
                                      .checkpoint = s->checkpoint_every ? path_of("saved") : NULL,
                                      .checkpoint_every = s->checkpoint_every,
                                      .resume = resume,
                                      .begin = begin,
                                      .context = r};
    kpar_status status = kpar_trainer_fit(r->trainer, &options, NULL);
    kpar_dataset_close(dataset);
    return status;
}

static kpar_status train(rank *r)
{
    KPAR_TRY(make_trainer(r));
    if (r->scenario->moment == BEFORE_RESUMING) KPAR_TRY(fit(r, false));
    if (r->scenario->moment != DURING_FIT) spoil(r);
    return fit(r, r->scenario->moment == BEFORE_RESUMING);
}

static void *run(void *context)
{
    rank *r = context;
    kpar_status status = train(r);
    const char *words = r->scenario->words, *found = status == KPAR_OK ? "success" : kpar_error_message();
    if (!*r->wrong && (words ? status != KPAR_EINTERNAL || !strstr(found, words) : status != KPAR_OK))
        snprintf(r->wrong, sizeof r->wrong, "expected %s, found %s", words ? words : "success", found);
    kpar_trainer_destroy(r->trainer);
    return NULL;
}

static void run_layout(const layout *l, const scenario *s)
{
    kpar_comm *comms[MOST_RANKS];
    rank ranks[MOST_RANKS];
    const int n = kpar_mesh_size(l->mesh);
    make_folder();
    ck_assert_int_eq(kpar_comm_local_create(n, 0, comms), KPAR_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] = (rank){.comm = comms[i], .layout = l, .scenario = s};
        ck_assert_int_eq(pthread_create(&ranks[i].thread, NULL, run, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < n; i++) ck_assert_msg(!*ranks[i].wrong, "rank %d: %s", i, ranks[i].wrong);
    for (int i = 0; i < n; i++) kpar_comm_destroy(comms[i]);
}

#define KERNEL "layers/dense_1/vars/0"
#define BIAS "layers/dense_2/vars/1"
#define MOMENTUM "optimizer/vars/2"

static const layout replicas = {{3, 1, 1}, 0, true}, /* each with weights and optimizer state of its own */
    without_windows = {{3, 1, 1}, 1, false},         /* each with weights of its own */
    mixed = {{2, 1, 2}, 0, true};

START_TEST(a_copy_that_differs_before_the_first_step_is_named)
{
    run_layout(&replicas, &(scenario){BEFORE_FIT, 2, KERNEL,
                                      "step 0: ranks 0 and 2 have different values of 'dense_1/kernel'", 0});
    remove_folder();
    run_layout(
        &without_windows,
        &(scenario){BEFORE_FIT, 1, BIAS, "step 0: ranks 0 and 1 have different values of 'dense_2/bias'", 0});
    remove_folder();
}
END_TEST

START_TEST(a_copy_that_differs_at_the_end_is_named)
{
    run_layout(&replicas,
               &(scenario){DURING_FIT, 1, MOMENTUM, "step 10: ranks 0 and 1 have different values of", 0});
    remove_folder();
    run_layout(&mixed, &(scenario){DURING_FIT, 3, BIAS,
                                   "step 10: ranks 0 and 1 have different values of 'dense_1/bias'", 0});
    remove_folder();
}
END_TEST

START_TEST(what_has_drifted_apart_is_not_saved)
{
    run_layout(&replicas,
               &(scenario){DURING_FIT, 1, KERNEL, "step 3: ranks 0 and 1 have different values of", 3});
    char command[PATH_BYTES];
    snprintf(command, sizeof command, "[ -z \"$(ls '%s' | grep step)\" ]", path_of("saved"));
    ck_assert_msg(system(command) == 0, "there is a checkpoint");
    remove_folder();
}
END_TEST

/* What was there before is replaced, and would not have been the same. */
START_TEST(a_resume_compares_what_it_has_read)
{
    run_layout(&replicas, &(scenario){BEFORE_RESUMING, 1, KERNEL, NULL, 10});
    remove_folder();
}
END_TEST

START_TEST(copies_that_never_differ_are_no_failure)
{
    static const layout layouts[] = {
        {{2, 1, 1}, 0, true}, {{2, 1, 1}, 1, true}, {{3, 1, 1}, 1, false},
        {{2, 2, 1}, 1, true}, {{1, 1, 3}, 0, true}, {{2, 1, 2}, 1, false},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        run_layout(&layouts[i], &(scenario){.moment = DURING_FIT, .checkpoint_every = 4});
        remove_folder();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replicas");
    TCase *tests = tcase_create("replicas that drift apart");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_copy_that_differs_before_the_first_step_is_named);
    tcase_add_test(tests, a_copy_that_differs_at_the_end_is_named);
    tcase_add_test(tests, what_has_drifted_apart_is_not_saved);
    tcase_add_test(tests, a_resume_compares_what_it_has_read);
    tcase_add_test(tests, copies_that_never_differ_are_no_failure);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
