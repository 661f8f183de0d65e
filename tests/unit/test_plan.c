/* Planning and emission: the programs of all ranks of many meshes, checked together; options that cannot be served. */
#include "base/clock.h"
#include "plan_fixture.h"
#include "unit.h"

/* --- every layout --- */

static const char *const models[] = {
    "tests/cases/data/opt_lamb/model.keras",
    "tests/cases/data/opt_adam/model.keras",
    "tests/cases/data/opt_resume/model.keras",
    "tests/cases/data/five_outputs_deep/model.keras",
    "tests/cases/data/deep_mlp8/model.keras",
    "tests/cases/data/functional_branches/model.keras",
    "tests/cases/data/two_inputs_two_outputs/model.keras",
    "tests/cases/data/merge_layers/model.keras",
    "tests/cases/data/dense_rank3/model.keras",
    "examples/digits/model.keras",
};
enum { MODELS = sizeof models / sizeof models[0] };

static const kpar_mesh meshes[] = {{1, 1, 1}, {2, 1, 1}, {4, 1, 1}, {1, 2, 1},
                                   {1, 4, 1}, {1, 1, 2}, {2, 2, 2}};

/* NULL: the built-in table. */
static const char *const algorithms[] = {NULL, "direct", "exchange", "ring", "whole"};

typedef struct layout {
    kpar_plan_options options;
    char choice[128], title[256];
} layout;

static void check_layout(const char *model, const layout *l)
{
    planned p = plan_file(model, &l->options, ALL_MODES);
    ck_assert_msg(p.status == KPAR_OK, "%s %s: %s", model, l->title, kpar_error_message());
    const int n = kpar_mesh_size(l->options.mesh);
    rank_programs *all = emit_all(&p);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        ck_assert_msg(check_mode(all, n, mode) == KPAR_OK, "%s %s, %s: %s", model, l->title,
                      kpar_mode_name((kpar_mode)mode), kpar_error_message());
    programs_free(all, n);
    planned_free(&p);
}

/* Layers of a model, and one for the loss, are at most as many stages. */
static bool is_deep_enough(const char *model, int stages)
{
    return stages <= 2 || strstr(model, "deep_mlp8") || (stages <= 4 && strstr(model, "deep"));
}

static void check_choice(const char *model, layout l, const char *algorithm)
{
    const bool trees = !algorithm || strcmp(algorithm, "direct") == 0 || strcmp(algorithm, "exchange") == 0;
    if (l.options.leaves && !trees) return; /* no reproducible sums */
    if (algorithm) {
        snprintf(l.choice, sizeof l.choice, "all_reduce:%s,reduce_scatter:%s,all_gather:%s", algorithm,
                 algorithm, algorithm);
        l.options.choice = l.choice;
    }
    for (int many = 0; many < (l.options.mesh.pipeline > 1 && !l.options.leaves ? 2 : 1); many++) {
        l.options.microbatches = l.options.leaves ? 0 : many ? 4 : 1;
        snprintf(l.title, sizeof l.title, "%dx%dx%d zero%d leaves%d m%d %s %s", l.options.mesh.data,
                 l.options.mesh.pipeline, l.options.mesh.tensor, l.options.zero, l.options.leaves,
                 l.options.microbatches, l.options.schedule->name, algorithm ? algorithm : "");
        check_layout(model, &l);
    }
}

static void check_mesh(const char *model, kpar_mesh mesh)
{
    int n_schedules;
    const kpar_schedule *schedules = kpar_schedules(&n_schedules);
    const size_t n_algorithms = mesh.data * mesh.tensor > 1 ? sizeof algorithms / sizeof algorithms[0] : 1;
    for (int zero = 0; zero < (mesh.data > 1 ? 2 : 1); zero++)
        for (int leaves = 0; leaves <= 8; leaves += 8)
            for (int s = 0; s < (mesh.pipeline > 1 ? n_schedules : 1); s++)
                for (size_t a = 0; a < n_algorithms; a++) {
                    if (!is_deep_enough(model, mesh.pipeline * schedules[s].chunks)) continue;
                    layout l = {.options = options_of(mesh.data, mesh.pipeline, mesh.tensor)};
                    l.options.zero = zero;
                    l.options.leaves = leaves;
                    l.options.schedule = &schedules[s];
                    check_choice(model, l, algorithms[a]);
                }
}

START_TEST(the_programs_of_all_ranks_fit_together_on_every_layout)
{
    for (size_t i = 0; i < sizeof meshes / sizeof meshes[0]; i++)
        if (is_deep_enough(models[_i], meshes[i].pipeline)) check_mesh(models[_i], meshes[i]);
}
END_TEST

START_TEST(ranks_on_several_nodes_and_without_windows_fit_together)
{
    static const int nodes[] = {0, 0, 1, 1};
    for (int windows = 0; windows < 2; windows++)
        for (int zero = 0; zero < 2; zero++) {
            layout l = {.options = options_of(4, 1, 1), .title = "4x1x1 on two nodes"};
            l.options.nodes = nodes;
            l.options.windows = windows;
            l.options.zero = zero;
            check_layout(models[_i], &l);
        }
}
END_TEST

START_TEST(any_optional_pass_may_be_left_out)
{
    for (const char *const *name = kpar_plan_optional_passes(); *name; name++) {
        layout l = {.options = options_of(2, 2, 1)};
        l.options.without_passes = *name;
        l.options.zero = 1;
        snprintf(l.title, sizeof l.title, "without %s", *name);
        check_layout(models[_i], &l);
    }
}
END_TEST

/* --- what is sent --- */

/* The most that a rank sends in a step. */
static size_t most_sent(const kpar_plan_options *options)
{
    static const char layers[] =
        "{\"class_name\": \"Embedding\", \"config\": {\"name\": \"table\", \"input_dim\": 20000, "
        "\"output_dim\": 8}},"
        "{\"class_name\": \"GlobalAveragePooling1D\", \"config\": {\"name\": \"mean\"}}";
    planned p = plan_layers("50", layers, options);
    ASSERT_PLANNED(p);
    const int ranks = kpar_mesh_size(options->mesh);
    rank_programs *all = emit_all(&p);
    size_t most = 0;
    for (int rank = 0; rank < ranks; rank++) {
        const kpar_program *train = all[rank][KPAR_MODE_TRAIN];
        size_t sent = 0;
        for (size_t i = train->n_start; i < train->n_instructions; i++)
            sent += kpar_program_moved_bytes(train, &train->instructions[i]);
        if (sent > most) most = sent;
    }
    programs_free(all, ranks);
    planned_free(&p);
    return most;
}

/* Rows that a batch reads several times are summed first: what is sent is the table, however many rows are read. */
START_TEST(gradients_of_tables_are_sent_as_large_as_the_table_at_most)
{
    enum { TABLE_BYTES = 20000 * 8 * sizeof(float), SCALARS = 64 };
    for (int ranks = 2; ranks <= 8; ranks *= 2)
        for (int zero = 0; zero < 2; zero++)
            for (int windows = 0; windows < 2; windows++) {
                kpar_plan_options o = options_of(ranks, 1, 1);
                o.zero = zero;
                o.windows = windows;
                const size_t few = most_sent(&o);
                o.batch_size = 4096; /* 204800 rows of the table are read */
                const size_t many = most_sent(&o);
                ck_assert_uint_eq(few, many);
                /* summed and given back: 2 (n - 1) / n of it */
                ck_assert_uint_gt(many, 0);
                ck_assert_uint_le(many, 2 * TABLE_BYTES * (size_t)(ranks - 1) / (size_t)ranks +
                                            SCALARS * (size_t)ranks);
            }
}
END_TEST

/* --- damage --- */

static kpar_instruction *find_instruction(kpar_program *program, kpar_instruction_kind kind, int number)
{
    for (size_t i = 0; i < program->n_instructions; i++)
        if (program->instructions[i].kind == kind && number-- == 0) return &program->instructions[i];
    ck_abort_msg("rank %d has no such %s", program->rank, kpar_instruction_name(kind));
}

/* That the training programs of `ranks` ranks are refused, naming both of the first two. */
static void assert_refused(rank_programs *all, int ranks)
{
    ck_assert_int_eq(check_mode(all, ranks, KPAR_MODE_TRAIN), KPAR_EINTERNAL);
    for (int rank = 0; rank < 2; rank++) {
        char words[32];
        snprintf(words, sizeof words, "rank %d", rank);
        ck_assert_msg(strstr(kpar_error_message(), words) != NULL, "no '%s' in: %s", words,
                      kpar_error_message());
    }
}

/* Rank 1 of a pipeline sends what it should receive, and the other way round. */
START_TEST(a_send_and_a_receive_that_are_swapped_are_refused_naming_both_ranks)
{
    const kpar_plan_options o = options_of(1, 2, 1);
    planned p = plan_file("tests/cases/data/opt_sgd/model.keras", &o, TRAIN);
    ASSERT_PLANNED(p);
    rank_programs *all = emit_all(&p);
    kpar_instruction *receive = find_instruction(all[1][KPAR_MODE_TRAIN], KPAR_INSTRUCTION_RECEIVE, 0);
    kpar_instruction *send = find_instruction(all[1][KPAR_MODE_TRAIN], KPAR_INSTRUCTION_SEND, 0);
    receive->kind = KPAR_INSTRUCTION_SEND;
    receive->n_writes = 0;
    send->kind = KPAR_INSTRUCTION_RECEIVE;
    send->n_writes = 1;
    assert_refused(all, 2);
    programs_free(all, 2);
    planned_free(&p);
}
END_TEST

START_TEST(collectives_in_another_order_are_refused_naming_both_ranks)
{
    kpar_plan_options o = options_of(2, 1, 1);
    o.choice = "all_reduce:whole";
    o.without_passes = "bucket";
    planned p = plan_file("tests/cases/data/opt_sgd/model.keras", &o, TRAIN);
    ASSERT_PLANNED(p);
    rank_programs *all = emit_all(&p);
    kpar_instruction *a = find_instruction(all[1][KPAR_MODE_TRAIN], KPAR_INSTRUCTION_COLLECTIVE, 1);
    kpar_instruction *b = find_instruction(all[1][KPAR_MODE_TRAIN], KPAR_INSTRUCTION_COLLECTIVE, 2);
    const kpar_place *places = a->places;
    a->places = b->places;
    b->places = places;
    assert_refused(all, 2);
    programs_free(all, 2);
    planned_free(&p);
}
END_TEST

/* --- options --- */

START_TEST(options_that_cannot_be_served_are_named)
{
    static const char *const model = "tests/cases/data/opt_sgd/model.keras";
    kpar_plan_options o[5];
    static const char *const words[5][2] = {{"mesh", "0"},
                                            {"--batch-size", "0"},
                                            {"--reproducible 2", "3 replicas"},
                                            {"--microbatches", "0"},
                                            {"--without-pass", "place"}};
    for (int i = 0; i < 5; i++) o[i] = options_of(i == 2 ? 3 : 1, 1, i == 0 ? 0 : 1);
    o[1].batch_size = 0;
    o[2].leaves = 2;
    o[3].microbatches = 0;
    o[4].without_passes = "simplify,place";
    for (int i = 0; i < 5; i++) {
        planned p = plan_file(model, &o[i], TRAIN);
        ASSERT_NOT_PLANNED(p, words[i][0], words[i][1]);
        planned_free(&p);
    }
}
END_TEST

START_TEST(sums_over_the_whole_batch_want_it_in_one_piece)
{
    static const char *const cases[][2] = {
        {"tests/cases/data/normalizations/model.keras", "BatchNormalization"},
        {"tests/cases/data/loss_overlap_batch/model.keras", "(Tversky)"},
    };
    for (int i = 0; i < 6; i++) {
        kpar_plan_options o = options_of(1, 1, 1);
        if (i < 2)
            o.leaves = 2;
        else
            o.microbatches = 2;
        o.microbatch_statistics = i >= 4;
        planned p = plan_file(cases[i % 2][0], &o, TRAIN);
        if (i < 4)
            ASSERT_NOT_PLANNED(p, cases[i % 2][1], i < 2 ? "--reproducible" : "--microbatches 1");
        else
            ck_assert_msg(p.status == KPAR_OK, "%s", kpar_error_message());
        planned_free(&p);
    }
}
END_TEST

START_TEST(a_choice_that_cannot_serve_is_refused_when_programs_are_emitted)
{
    static const struct {
        const char *choice, *word;
        bool windows;
        int leaves;
    } cases[] = {{"all_reduce:ring", "no reproducible sums", true, 8},
                 {"all_reduce:direct", "share no memory", false, 0},
                 {"all_reduce:carrier_pigeon", "carrier_pigeon", true, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kpar_plan_options o = options_of(2, 1, 1);
        kpar_program *programs[KPAR_MODE_COUNT];
        o.choice = cases[i].choice;
        o.windows = cases[i].windows;
        o.leaves = cases[i].leaves;
        o.microbatches = o.leaves ? 0 : 1;
        planned p = plan_file("tests/cases/data/opt_sgd/model.keras", &o, TRAIN);
        ASSERT_PLANNED(p);
        ck_assert_int_eq(kpar_plan_emit(p.plan, 0, programs), KPAR_EUSAGE);
        ck_assert_msg(strstr(kpar_error_message(), cases[i].word) != NULL, "%s", kpar_error_message());
        planned_free(&p);
    }
}
END_TEST

static uint64_t hash_of(const kpar_plan_options *o)
{
    planned p = plan_file("tests/cases/data/opt_sgd/model.keras", o, ALL_MODES);
    const uint64_t hash = p.plan ? kpar_plan_hash(p.plan) : 0;
    ASSERT_PLANNED(p);
    planned_free(&p);
    return hash;
}

START_TEST(equal_options_plan_alike_and_others_do_not)
{
    static const int one_node[] = {0, 0}, two_nodes[] = {0, 1};
    kpar_plan_options o = options_of(2, 1, 1), others[5];
    const uint64_t hash = hash_of(&o);
    for (int i = 0; i < 5; i++) others[i] = o;
    others[0].batch_size++;
    others[1].windows = !o.windows;
    others[2].nodes = two_nodes;
    others[3].device = kpar_device_find("reference");
    others[4].real = KPAR_F64;
    ck_assert_uint_eq(hash, hash_of(&o));
    for (int i = 0; i < 5; i++) ck_assert_msg(hash != hash_of(&others[i]), "option %d", i);
    o.nodes = one_node;
    ck_assert_uint_eq(hash, hash_of(&o));
}
END_TEST

/* Microbatches of all replicas, in order, are the rows of the batch, whole or short. */
START_TEST(replicas_and_microbatches_share_the_rows_out)
{
    static const int leaves[] = {0, 8};
    for (int data = 1; data <= 4; data++)
        for (int k = 0; k < 2; k++)
            for (int64_t rows = 0; rows <= 16; rows++) {
                kpar_plan_options o = options_of(data, 1, 1);
                o.leaves = leaves[k];
                o.microbatches = leaves[k] ? 0 : 3;
                planned p = plan_file("tests/cases/data/opt_sgd/model.keras", &o, 1 << KPAR_MODE_PREDICT);
                ASSERT_PLANNED(p);
                int64_t next = 0;
                for (int d = 0; d < data; d++)
                    for (int m = 0; m < kpar_plan_microbatches(p.plan, d); m++) {
                        int64_t first, count;
                        kpar_plan_rows(p.plan, rows, d, m, &first, &count);
                        if (count) ck_assert_int_eq(first, next);
                        next += count;
                    }
                ck_assert_int_eq(next, rows);
                planned_free(&p);
            }
}
END_TEST

/* --- large --- */

/* A deep network on 256 ranks, on a machine that has a few cores. */
START_TEST(programs_of_256_ranks_are_emitted_and_fit_together)
{
    kpar_plan_options o = options_of(32, 4, 2);
    const double begin = kpar_seconds();
    o.batch_size = 4096;
    o.microbatches = 4;
    o.zero = 1;
    planned p = plan_file("tests/bench/models/w5_deep_mlp.json", &o, TRAIN);
    ASSERT_PLANNED(p);
    const double planned_at = kpar_seconds();
    rank_programs *all = emit_all(&p);
    const double emitted = kpar_seconds();
    ck_assert_msg(check_mode(all, 256, KPAR_MODE_TRAIN) == KPAR_OK, "%s", kpar_error_message());
    printf("256 ranks, %zu instructions on rank 0: planned in %.2f s, emitted in %.2f s, checked in %.2f s\n",
           all[0][KPAR_MODE_TRAIN]->n_instructions, planned_at - begin, emitted - planned_at,
           kpar_seconds() - emitted);
    programs_free(all, 256);
    planned_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *all = tcase_create("plan");
    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, the_programs_of_all_ranks_fit_together_on_every_layout, 0, MODELS);
    tcase_add_loop_test(all, ranks_on_several_nodes_and_without_windows_fit_together, 0, MODELS);
    tcase_add_loop_test(all, any_optional_pass_may_be_left_out, 0, MODELS);
    tcase_add_test(all, gradients_of_tables_are_sent_as_large_as_the_table_at_most);
    tcase_add_test(all, a_send_and_a_receive_that_are_swapped_are_refused_naming_both_ranks);
    tcase_add_test(all, collectives_in_another_order_are_refused_naming_both_ranks);
    tcase_add_test(all, options_that_cannot_be_served_are_named);
    tcase_add_test(all, sums_over_the_whole_batch_want_it_in_one_piece);
    tcase_add_test(all, a_choice_that_cannot_serve_is_refused_when_programs_are_emitted);
    tcase_add_test(all, equal_options_plan_alike_and_others_do_not);
    tcase_add_test(all, replicas_and_microbatches_share_the_rows_out);
    tcase_add_test(all, programs_of_256_ranks_are_emitted_and_fit_together);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
