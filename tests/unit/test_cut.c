/* Stages: where they are cut, what goes between them, and what is computed again. */
#include "plan_fixture.h"

#include "parallel/module.h"
#include "unit.h"

/* --- cut --- */

static int stage_of_layer(const planned *p, const char *layer)
{
    const kpar_graph *g = kpar_plan_graph(p->plan, KPAR_MODE_TRAIN);
    int stage = -1;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (op->phase != KPAR_PHASE_MICROBATCH || op->kind == KPAR_OP_SEND || op->kind == KPAR_OP_RECEIVE)
            continue;
        if (strcmp(op->layer, layer) != 0) continue;
        ck_assert_msg(stage < 0 || stage == op->stage, "layer %s is on stages %d and %d", layer, stage,
                      op->stage);
        stage = op->stage;
    }
    return stage;
}

START_TEST(more_stages_than_layers_is_an_error_that_names_the_number)
{
    const kpar_plan_options o = options_of(1, 5, 1);
    planned p = plan_dense(6, (int[]){8, 8, 4, 0}, &o);
    ASSERT_NOT_PLANNED(p, "--pipeline 5", "at most 4 stages");
    planned_free(&p);
}
END_TEST

START_TEST(with_as_many_stages_as_layers_and_one_the_loss_is_a_stage)
{
    const kpar_plan_options o = options_of(1, 4, 1);
    planned p = plan_dense(6, (int[]){8, 8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    for (int i = 0; i < 3; i++) {
        char layer[16];
        snprintf(layer, sizeof layer, "dense_%d", i);
        ck_assert_int_eq(stage_of_layer(&p, layer), i);
    }
    ck_assert_int_eq(stage_of_layer(&p, ""), 3);
    planned_free(&p);
}
END_TEST

START_TEST(stages_begin_where_they_are_told_to)
{
    const char *const first[] = {"dense_1", "dense_3"};
    kpar_plan_options o = options_of(1, 3, 1);
    o.stages = first;
    planned p = plan_dense(6, (int[]){8, 8, 8, 8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    static const int expected[] = {0, 1, 1, 2, 2};
    for (int i = 0; i < 5; i++) {
        char layer[16];
        snprintf(layer, sizeof layer, "dense_%d", i);
        ck_assert_int_eq(stage_of_layer(&p, layer), expected[i]);
    }
    ck_assert_int_eq(stage_of_layer(&p, ""), 2);
    planned_free(&p);
}
END_TEST

START_TEST(names_of_stages_that_cannot_be_are_refused)
{
    static const struct {
        const char *first[2], *word;
    } cases[] = {{{"dense_1", "dense_9"}, "no layer 'dense_9'"},
                 {{"dense_2", "dense_1"}, "'dense_1' comes before"},
                 {{"dense_0", "dense_1"}, "'dense_0' begins the first stage"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kpar_plan_options o = options_of(1, 3, 1);
        o.stages = cases[i].first;
        planned p = plan_dense(6, (int[]){8, 8, 4, 0}, &o);
        ASSERT_NOT_PLANNED(p, "--stages", cases[i].word);
        planned_free(&p);
    }
}
END_TEST

/* Two wide layers and four narrow ones: a cut by number of layers would be far off. */
START_TEST(stages_are_cut_by_time_not_by_number_of_layers)
{
    const kpar_plan_options o = options_of(1, 2, 1);
    planned p = plan_dense(512, (int[]){512, 512, 8, 8, 8, 8, 0}, &o);
    ASSERT_PLANNED(p);
    ck_assert_int_eq(stage_of_layer(&p, "dense_0"), 0);
    ck_assert_int_eq(stage_of_layer(&p, "dense_1"), 1);
    ck_assert_int_eq(stage_of_layer(&p, "dense_5"), 1);
    planned_free(&p);
}
END_TEST

/* Each block of five layers is on one stage, and so is the model within the model. */
START_TEST(blocks_and_models_within_models_are_not_cut)
{
    static const char *const parts[] = {"expand", "norm", "project", "add"};
    for (int stages = 2; stages <= 3; stages++) {
        const kpar_plan_options o = options_of(1, stages, 1);
        planned p = plan_file("tests/cases/data/residual_blocks/model.keras", &o, TRAIN);
        ASSERT_PLANNED(p);
        for (int block = 1; block <= 4; block++)
            for (int i = 1; i < 4; i++) {
                char first[32], layer[32];
                snprintf(first, sizeof first, "block_%d_%s", block, parts[0]);
                snprintf(layer, sizeof layer, "block_%d_%s", block, parts[i]);
                ck_assert_int_eq(stage_of_layer(&p, layer), stage_of_layer(&p, first));
            }
        ck_assert_int_eq(stage_of_layer(&p, "tower/one"), stage_of_layer(&p, "tower/two"));
        planned_free(&p);
    }
}
END_TEST

START_TEST(every_transfer_has_both_ends_and_values_are_read_on_their_stage)
{
    static const char *const models[] = {"deep_mlp8", "functional_branches", "two_inputs_two_outputs"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        const kpar_plan_options o = options_of(1, 3, 1);
        char path[128];
        snprintf(path, sizeof path, "tests/cases/data/%s/model.keras", models[m]);
        planned p = plan_file(path, &o, TRAIN);
        ASSERT_PLANNED(p);
        const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
        const kpar_op *sends[256] = {0};
        int n_sent = 0, n_received = 0;
        for (size_t i = 0; i < g->n_ops; i++) {
            const kpar_op *op = &g->ops[i];
            if (op->kind == KPAR_OP_SEND) sends[op->attributes.channel] = op;
            n_sent += op->kind == KPAR_OP_SEND;
            n_received += op->kind == KPAR_OP_RECEIVE;
            if (op->kind == KPAR_OP_RECEIVE) {
                const kpar_op *send = sends[op->attributes.channel];
                ck_assert_ptr_nonnull(send);
                ck_assert_int_eq(send->stage, op->attributes.peer);
                ck_assert_int_eq(op->stage, send->attributes.peer);
            }
            for (int k = 0; op->phase == KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
                const kpar_op_id maker = g->values[op->inputs[k]].op;
                if (maker >= 0 && g->ops[maker].phase == KPAR_PHASE_MICROBATCH)
                    ck_assert_int_eq(g->ops[maker].stage, op->stage);
            }
        }
        ck_assert_int_gt(n_sent, 0);
        ck_assert_int_eq(n_sent, n_received);
        planned_free(&p);
    }
}
END_TEST

/* Two blocks around which a tensor goes that each adds: where stages begin within, both read it from afar. */
static const char skips[] = "{\"class_name\": \"Functional\", \"config\": {\"name\": \"m\", \"layers\": ["
                            "{\"class_name\": \"InputLayer\", \"name\": \"in\", \"inbound_nodes\": [], "
                            "\"config\": {\"name\": \"in\", "
                            "\"batch_shape\": [null, 8]}}, %s],"
                            "\"input_layers\": [[\"in\", 0, 0]], \"output_layers\": [[\"e\", 0, 0]]}, "
                            "\"compile_config\": {\"optimizer\": \"sgd\", \"loss\": \"mse\"}}";

#define DENSE_OF(name, input)                                                                                \
    "{\"class_name\": \"Dense\", \"name\": \"" name "\", \"inbound_nodes\": [[[\"" input                     \
    "\", 0, 0, {}]]], \"config\": {\"name\": \"" name "\", \"units\": 8}}"
#define SUM_OF(name, one, other)                                                                             \
    "{\"class_name\": \"Add\", \"name\": \"" name "\", \"inbound_nodes\": [[[\"" one                         \
    "\", 0, 0, {}], [\"" other "\", 0, 0, {}]]], \"config\": {\"name\": \"" name "\"}}"

/* The value that a received one was before it was sent. */
static kpar_value_id origin_of(const kpar_graph *g, const kpar_op *const *sends, kpar_value_id value)
{
    const kpar_op *op;
    while (g->values[value].op >= 0 && (op = &g->ops[g->values[value].op])->kind == KPAR_OP_RECEIVE)
        value = sends[op->attributes.channel]->inputs[0];
    return value;
}

/* How many sends of a microbatch there are, none of which brings a rank what it was sent before. */
static int count_sends(const kpar_plan *plan, int ranks)
{
    enum { MOST = 256 };
    const kpar_graph *g = kpar_plan_graph(plan, KPAR_MODE_TRAIN);
    const kpar_op *sends[MOST] = {0};
    struct {
        kpar_value_id value;
        int rank;
    } sent[MOST];
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == KPAR_OP_SEND) sends[g->ops[i].attributes.channel] = &g->ops[i];
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (op->kind != KPAR_OP_SEND || op->phase != KPAR_PHASE_MICROBATCH) continue;
        const kpar_value_id value = origin_of(g, sends, op->inputs[0]);
        const int rank = op->attributes.peer % ranks;
        for (int k = 0; k < n; k++)
            ck_assert_msg(sent[k].value != value || sent[k].rank != rank, "value %d is sent to rank %d twice",
                          value, rank);
        ck_assert_int_lt(n, MOST);
        sent[n].value = value;
        sent[n++].rank = rank;
    }
    return n;
}

START_TEST(a_value_is_sent_once_to_each_rank_that_reads_it)
{
    static const char layers[] = DENSE_OF("a", "in") ", " DENSE_OF("b", "a") ", " DENSE_OF(
        "c", "b") ", " SUM_OF("d", "c", "a") ", " DENSE_OF("e", "d");
    static const char twice[] = DENSE_OF("a", "in") ", " DENSE_OF("b", "a") ", " SUM_OF(
        "c", "b", "a") ", " SUM_OF("d", "c", "a") ", " DENSE_OF("e", "d");
    static const struct {
        const char *layers, *stages[4], *schedule;
        int ranks, sends;
    } cases[] = {
        /* a to b and to d, c to d; backward to the stage before, which adds its own term */
        {layers, {"b", "d"}, "1f1b", 3, 3 + 2},
        {twice, {"b", "c", "d"}, "1f1b", 4, 5 + 2}, /* a to b, c and d */
        {twice, {"b"}, "1f1b", 2, 1 + 1},           /* a to three readers on one stage */
        {twice, {"b", "c", "d"}, "interleaved", 2, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kpar_plan_options o = options_of(1, cases[i].ranks, 1);
        kpar_text text = {0};
        o.stages = cases[i].stages;
        o.schedule = kpar_schedule_find(cases[i].schedule);
        kpar_text_printf(&text, skips, cases[i].layers);
        planned p = plan_described((planned){0}, "m", kpar_text_get(&text), text.length, &o, TRAIN);
        ASSERT_PLANNED(p);
        ck_assert_int_eq(count_sends(p.plan, cases[i].ranks), cases[i].sends);
        planned_free(&p);
        kpar_text_clear(&text);
    }
}
END_TEST

/* --- modules, recomputing --- */

START_TEST(names_have_parts_where_modules_end)
{
    static const struct {
        const char *layer, *parts[4];
    } cases[] = {
        {"dense", {""}},
        {"dense_1", {""}},
        {"conv2d_15", {""}},
        {"tower/dense", {"tower", ""}},
        {"block_1_expand", {"block_1", ""}},
        {"block1a_se_reduce", {"block1a", ""}},
        {"conv2_block1_1_conv", {"conv2", "conv2_block1", "conv2_block1_1", ""}},
        {"encoder/layer_10/attention/query_dense",
         {"encoder", "encoder/layer_10", "encoder/layer_10/attention", ""}},
        {"", {""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int level = 1; level <= 4 && cases[i].parts[level - 1]; level++) {
            const size_t length = kpar_module_length(cases[i].layer, level);
            ck_assert_msg(length == strlen(cases[i].parts[level - 1]) &&
                              strncmp(cases[i].layer, cases[i].parts[level - 1], length) == 0,
                          "%s at level %d: %zu bytes", cases[i].layer, level, length);
        }
    ck_assert(kpar_module_same("block_1_a", "block_1_b", 1));
    ck_assert(!kpar_module_same("block_1_a", "block_10_a", 1));
    ck_assert(!kpar_module_same("block_1_a", "block_1_b", 2));
    ck_assert(!kpar_module_same("block_1", "block_1_b", 1));
}
END_TEST

/* Ops of a layer's forward part that run again. */
static int count_again(const planned *p, const char *layer, int kind)
{
    const kpar_graph *g = kpar_plan_graph(p->plan, KPAR_MODE_TRAIN);
    int forward = 0, all = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (op->phase != KPAR_PHASE_MICROBATCH || op->kind != kind || strcmp(op->layer, layer) != 0) continue;
        all++;
        forward += op->part == KPAR_FORWARD;
    }
    return all - forward;
}

/* The sum that leaves a block is kept for the next one, what lies within is not. A matrix product's gradients are two. */
START_TEST(a_block_runs_again_up_to_the_last_value_that_its_backward_reads)
{
    kpar_plan_options o = options_of(1, 1, 1);
    planned plain = plan_file("tests/cases/data/residual_blocks/model.keras", &o, TRAIN);
    o.recompute = KPAR_RECOMPUTE_BLOCK;
    planned block = plan_file("tests/cases/data/residual_blocks/model.keras", &o, TRAIN);
    ASSERT_PLANNED(plain);
    ASSERT_PLANNED(block);
    ck_assert_int_eq(count_again(&plain, "block_2_expand", KPAR_OP_MATMUL), 2);
    ck_assert_int_eq(count_again(&block, "block_2_expand", KPAR_OP_MATMUL), 3);
    ck_assert_int_eq(count_again(&block, "block_2_project", KPAR_OP_MATMUL), 2);
    ck_assert_int_eq(count_again(&block, "tower/one", KPAR_OP_MATMUL), 3);
    ck_assert_int_eq(count_again(&block, "stem", KPAR_OP_MATMUL),
                     count_again(&plain, "stem", KPAR_OP_MATMUL));
    planned_free(&plain);
    planned_free(&block);
}
END_TEST

/* Bytes of the largest rank's arena beyond its state. */
static size_t step_bytes(const kpar_plan_options *options)
{
    static const int units[] = {32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 0};
    size_t most = 0;
    const int n = kpar_mesh_size(options->mesh);
    planned p = plan_dense(32, units, options);
    ASSERT_PLANNED(p);
    rank_programs *all = emit_all(&p);
    ck_assert_msg(check_mode(all, n, KPAR_MODE_TRAIN) == KPAR_OK, "%s", kpar_error_message());
    for (int rank = 0; rank < n; rank++) {
        const size_t bytes =
            all[rank][KPAR_MODE_TRAIN]->arena_bytes - all[rank][KPAR_MODE_TRAIN]->state_bytes;
        if (bytes > most) most = bytes;
    }
    programs_free(all, n);
    planned_free(&p);
    return most;
}

START_TEST(recomputing_needs_less_memory)
{
    kpar_plan_options o = options_of(1, 1, 1);
    o.batch_size = 4096;
    const size_t kept = step_bytes(&o);
    o.recompute = KPAR_RECOMPUTE_BLOCK;
    const size_t block = step_bytes(&o);
    ck_assert_msg((double)block < 0.7 * (double)kept, "%zu bytes of %zu", block, kept);

    o = options_of(1, 2, 1);
    o.batch_size = 4096;
    o.microbatches = 8;
    o.schedule = kpar_schedule_find("gpipe");
    const size_t all = step_bytes(&o);
    o.recompute = KPAR_RECOMPUTE_STAGE;
    const size_t stage = step_bytes(&o);
    o.recompute = KPAR_RECOMPUTE_BLOCK;
    const size_t blocks = step_bytes(&o);
    ck_assert_msg((double)stage < 0.6 * (double)all, "%zu bytes of %zu", stage, all);
    ck_assert_msg((double)blocks < 0.8 * (double)all, "%zu bytes of %zu", blocks, all);
}
END_TEST

/* As many microbatches as 1F1B has under way on its first rank, each with its layers' inputs, and the gradients of their
 * outputs, which are as large here. */
START_TEST(gradients_that_wait_need_at_most_twice_the_memory_of_1f1b)
{
    for (int stages = 2; stages <= 4; stages += 2) {
        kpar_plan_options o = options_of(1, stages, 1);
        o.batch_size = 4096;
        o.microbatches = 8;
        const size_t plain = step_bytes(&o);
        o.schedule = kpar_schedule_find("zb-h1");
        const size_t split = step_bytes(&o);
        ck_assert_msg(split < 2 * plain, "%zu bytes, 1f1b %zu", split, plain);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        more_stages_than_layers_is_an_error_that_names_the_number,
        with_as_many_stages_as_layers_and_one_the_loss_is_a_stage,
        stages_begin_where_they_are_told_to,
        names_of_stages_that_cannot_be_are_refused,
        stages_are_cut_by_time_not_by_number_of_layers,
        blocks_and_models_within_models_are_not_cut,
        every_transfer_has_both_ends_and_values_are_read_on_their_stage,
        a_value_is_sent_once_to_each_rank_that_reads_it,
        names_have_parts_where_modules_end,
        a_block_runs_again_up_to_the_last_value_that_its_backward_reads,
        recomputing_needs_less_memory,
        gradients_that_wait_need_at_most_twice_the_memory_of_1f1b,
    };
    Suite *suite = suite_create("cut");
    TCase *all = tcase_create("cut");
    tcase_set_timeout(all, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
