/* Placement: where values lie, and what moves for that. */
#include "plan_fixture.h"

#include "graph/build.h"
#include "parallel/place.h"
#include "unit.h"

static const kpar_value *variable_value(const planned *p, const char *layer, const char *name)
{
    const kpar_graph *g = kpar_plan_graph(p->plan, KPAR_MODE_TRAIN);
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_variable *v = &p->catalog->variables[g->states[i].variable];
        if (!g->states[i].copy && strcmp(v->layer, layer) == 0 && strcmp(v->name, name) == 0)
            return &g->values[g->states[i].value];
    }
    ck_abort_msg("no variable %s of %s", name, layer);
}

#define ASSERT_SPLIT(value, axis, dimension)                                                                 \
    do {                                                                                                     \
        ck_assert_int_eq((value)->placement[axis].kind, KPAR_SPLIT);                                         \
        ck_assert_int_eq((value)->placement[axis].dim, dimension);                                           \
    } while (0)

START_TEST(one_rank_has_nothing_to_move)
{
    const kpar_plan_options o = options_of(1, 1, 1);
    planned p = plan_dense(6, (int[]){8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        ck_assert_int_eq(
            count_between(kpar_plan_graph(p.plan, (kpar_mode)mode), KPAR_OP_SPLIT, KPAR_OP_RECEIVE), 0);
    planned_free(&p);
}
END_TEST

/* Columns, then rows (Megatron-LM). The layer of 5 units in front cannot be cut and needs its gradient whole. */
START_TEST(a_pair_of_dense_layers_has_one_all_reduce_forward_and_one_backward)
{
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_dense(6, (int[]){5, 8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    const kpar_axis axis = KPAR_AXIS_TENSOR;
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_FORWARD), 1);
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_BACKWARD), 1);
    ck_assert_int_eq(count_between(g, KPAR_OP_ALL_REDUCE, KPAR_OP_ALL_GATHER), 2);
    ASSERT_SPLIT(variable_value(&p, "dense_1", "kernel"), axis, 1);
    ASSERT_SPLIT(variable_value(&p, "dense_1", "bias"), axis, 0);
    ASSERT_SPLIT(variable_value(&p, "dense_2", "kernel"), axis, 0);
    ck_assert_int_eq(variable_value(&p, "dense_2", "bias")->placement[axis].kind, KPAR_REPLICATED);
    ck_assert_int_eq(variable_value(&p, "dense_0", "kernel")->placement[axis].kind, KPAR_REPLICATED);
    planned_free(&p);
}
END_TEST

#define CONV(name, more)                                                                                     \
    "{\"class_name\": \"Conv2D\", \"config\": {\"name\": \"" name                                            \
    "\", \"kernel_size\": 3, \"activation\": \"relu\", " more "}}"

/* Output channels, then input channels; what lies between follows. */
START_TEST(a_pair_of_convolutions_has_one_all_reduce_forward_and_one_backward)
{
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_layers(
        "12, 12, 3",
        CONV("first", "\"filters\": 5") ", " CONV(
            "second",
            "\"filters\": 8") ", "
                              "{\"class_name\": \"MaxPooling2D\", \"config\": {\"name\": \"pool\"}}, " CONV(
                                  "third", "\"filters\": 5"),
        &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    const kpar_axis axis = KPAR_AXIS_TENSOR;
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_FORWARD), 1);
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_BACKWARD), 1);
    ck_assert_int_eq(count_between(g, KPAR_OP_ALL_REDUCE, KPAR_OP_ALL_GATHER), 2);
    ASSERT_SPLIT(variable_value(&p, "second", "kernel"), axis, 3);
    ASSERT_SPLIT(variable_value(&p, "second", "bias"), axis, 0);
    ASSERT_SPLIT(variable_value(&p, "third", "kernel"), axis, 2);
    ck_assert_int_eq(variable_value(&p, "third", "bias")->placement[axis].kind, KPAR_REPLICATED);
    planned_free(&p);
}
END_TEST

/* Groups are shared out, depthwise ones too, and nothing moves until channels meet again. */
START_TEST(groups_of_a_convolution_are_cut)
{
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_layers(
        "12, 12, 8",
        CONV("grouped",
             "\"filters\": 12, \"groups\": 4") ", "
                                               "{\"class_name\": \"DepthwiseConv2D\", \"config\": {\"name\": "
                                               "\"each\", "
                                               "\"kernel_size\": 3, \"depth_multiplier\": 2}}, " CONV(
                                                   "last", "\"filters\": 5"),
        &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    const kpar_axis axis = KPAR_AXIS_TENSOR;
    ck_assert_int_eq(count_between(g, KPAR_OP_ALL_REDUCE, KPAR_OP_ALL_GATHER), 1);
    ASSERT_SPLIT(variable_value(&p, "grouped", "kernel"), axis, 3);
    ASSERT_SPLIT(variable_value(&p, "each", "kernel"), axis, 2);
    ASSERT_SPLIT(variable_value(&p, "last", "kernel"), axis, 2);
    planned_free(&p);
}
END_TEST

static planned plan_case(const char *name, const kpar_plan_options *options)
{
    char path[128];
    snprintf(path, sizeof path, "tests/cases/data/%s/model.keras", name);
    return plan_file(path, options, TRAIN);
}

/* A block's output is summed up once on the way forward. On the way back so is what its first layers say about their input:
 * query, key and value, or, behind a normalization, three terms, together with the connection around the block. */
START_TEST(a_block_of_a_transformer_has_one_all_reduce_a_half_and_direction)
{
    static const struct {
        const char *name;
        int tensor, forward, backward;
    } cases[] = {{"adam_transformer", 3, 2, 1}, /* the gradient ends in the first half: it reads the input */
                 {"attention_block", 2, 2 + 1, 2 + 1}}; /* the Dense behind the block is cut too */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const kpar_plan_options o = options_of(1, 1, cases[i].tensor);
        planned p = plan_case(cases[i].name, &o);
        ASSERT_PLANNED(p);
        const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
        const kpar_axis axis = KPAR_AXIS_TENSOR;
        ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_FORWARD),
                         cases[i].forward);
        ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_BACKWARD),
                         cases[i].backward);
        ck_assert_int_eq(count_between(g, KPAR_OP_ALL_GATHER, KPAR_OP_ALL_GATHER), 0);
        planned_free(&p);
    }
}
END_TEST

/* Four heads of queries and two of keys and values on two ranks: each has two and one, and they meet at the output. */
START_TEST(heads_that_share_keys_are_cut_with_them)
{
    static const int dims[] = {1, 1, 1, 1, 0}; /* query, key, gate, value, output */
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_case("attention_heads", &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int kernels = 0, moves = 0;
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_variable *v = &p.catalog->variables[g->states[i].variable];
        if (strcmp(v->layer, "grouped_query_attention") != 0 || strcmp(v->name, "kernel") != 0) continue;
        ASSERT_SPLIT(&g->values[g->states[i].value], KPAR_AXIS_TENSOR, dims[kernels++]);
    }
    ck_assert_int_eq(kernels, 5);
    for (size_t i = 0; i < g->n_ops; i++)
        moves += strcmp(g->ops[i].layer, "grouped_query_attention") == 0 && g->ops[i].part == KPAR_FORWARD &&
                 g->ops[i].phase == KPAR_PHASE_MICROBATCH &&
                 kpar_op_is_collective_over(&g->ops[i], KPAR_AXIS_TENSOR);
    ck_assert_int_eq(moves, 1);
    planned_free(&p);
}
END_TEST

/* Elements a row of the batch that ranks along the tensor axis exchange in each microbatch, at once at most and in all. */
static void tensor_traffic(const kpar_graph *g, int64_t *most, int64_t *sum)
{
    *most = *sum = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        int64_t elements = 1;
        if (!kpar_op_is_collective_over(op, KPAR_AXIS_TENSOR) || op->phase != KPAR_PHASE_MICROBATCH) continue;
        const kpar_shape *shape = &g->values[op->outputs[0]].shape;
        for (int d = 0; d < shape->rank; d++) elements *= shape->dims[d].size;
        *sum += elements;
        if (elements > *most) *most = elements;
    }
}

/* 6 steps of 8 features and 96 words. Without the option ranks gather 6 x 96 logits; with it they exchange maxima, two sums
 * and the place of the largest of each step instead, and the features that the table of words gives. */
START_TEST(a_language_model_never_gathers_logits)
{
    static const int meshes[] = {1, 2};
    for (size_t i = 0; i < 4; i++) {
        kpar_plan_options o = options_of(meshes[i % 2], 1, 2);
        int64_t most, sum;
        o.split_vocabulary = i < 2 ? 0 : 96;
        o.zero = 1;
        planned p = plan_case("language_model", &o);
        ASSERT_PLANNED(p);
        const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
        tensor_traffic(g, &most, &sum);
        const int block =
            3 * 6 * 8; /* the heads' outputs, gradients of the last and of the first normalization */
        ck_assert_int_eq(most, i < 2 ? 6 * 96 : 6 * 8);
        ck_assert_int_eq(sum, block + (i < 2 ? 6 * 96 : 4 * 6 + 6 * 8));
        ck_assert_int_eq(
            count_moves(g, KPAR_OP_ALL_GATHER, KPAR_AXIS_TENSOR, KPAR_PHASE_MICROBATCH, KPAR_FORWARD), i < 2);
        planned_free(&p);
    }
}
END_TEST

/* The table, its gradient and what the update keeps of it. */
START_TEST(a_table_of_many_rows_is_cut_by_rows)
{
    kpar_plan_options o = options_of(1, 1, 2);
    o.split_vocabulary = 96;
    planned p = plan_case("language_model", &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int tables = 0;
    ASSERT_SPLIT(variable_value(&p, "embedding", "embeddings"), KPAR_AXIS_TENSOR, 0);
    ck_assert_int_eq(variable_value(&p, "embedding_1", "embeddings")->placement[KPAR_AXIS_TENSOR].kind,
                     KPAR_REPLICATED);
    for (size_t i = 0; i < g->n_ops; i++) {
        if (g->ops[i].kind != KPAR_OP_SCATTER_ADD || strcmp(g->ops[i].layer, "embedding") != 0) continue;
        ASSERT_SPLIT(&g->values[g->ops[i].outputs[0]], KPAR_AXIS_TENSOR, 0);
        tables++;
    }
    ck_assert_int_eq(tables, 1);
    planned_free(&p);
}
END_TEST

START_TEST(five_outputs_at_tensor_2_stay_whole)
{
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_dense(6, (int[]){5, 0}, &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    ck_assert_int_eq(count_between(g, KPAR_OP_SPLIT, KPAR_OP_ALL_GATHER), 0);
    ck_assert_int_eq(variable_value(&p, "dense_0", "kernel")->placement[KPAR_AXIS_TENSOR].kind,
                     KPAR_REPLICATED);
    planned_free(&p);
}
END_TEST

START_TEST(split_features_cut_the_input_and_the_first_kernel)
{
    kpar_plan_options o = options_of(1, 1, 2);
    o.split_features = true;
    planned p = plan_dense(6, (int[]){5, 4, 0}, &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    bool found = false;
    for (size_t i = 0; i < g->n_values; i++) {
        if (g->values[i].source != KPAR_FROM_FEATURE) continue;
        ASSERT_SPLIT(&g->values[i], KPAR_AXIS_TENSOR, 1);
        found = true;
    }
    ck_assert(found);
    ASSERT_SPLIT(variable_value(&p, "dense_0", "kernel"), KPAR_AXIS_TENSOR, 0);
    ck_assert_int_eq(variable_value(&p, "dense_0", "bias")->placement[KPAR_AXIS_TENSOR].kind,
                     KPAR_REPLICATED);
    planned_free(&p);
}
END_TEST

/* Gates are cut by columns and gathered; terms of the state's gradient are added up before the gates' are made of them, of
 * all steps but the first, whose state is given, and once for the layer behind. */
START_TEST(a_step_of_an_lstm_has_one_collective_forward_and_one_backward)
{
    enum { STEPS = 6 };
    const kpar_plan_options o = options_of(1, 1, 2);
    planned p = plan_layers("6, 4",
                            "{\"class_name\": \"LSTM\", \"config\": {\"name\": \"lstm\", \"units\": 4}}, "
                            "{\"class_name\": \"Dense\", \"config\": {\"name\": \"dense\", \"units\": 2}}",
                            &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    const kpar_axis axis = KPAR_AXIS_TENSOR;
    const kpar_phase phase = KPAR_PHASE_MICROBATCH;
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_GATHER, axis, phase, KPAR_FORWARD), STEPS);
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, phase, KPAR_BACKWARD), STEPS);
    planned_free(&p);
}
END_TEST

/* arg_reduce along the split dimension has no rule: its input is gathered first. */
START_TEST(an_op_without_a_rule_gets_its_inputs_whole)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32), *placed = NULL;
    const kpar_dim rows[] = {{1, true}, {4, false}}, matrix[] = {{4, false}, {6, false}};
    const bool trained[1] = {false};
    const kpar_place_options options = {.mesh = {1, 1, 2}, .trained = trained};
    kpar_value_id y;
    const kpar_value_id x = kpar_graph_source(g, KPAR_FROM_FEATURE, 0, KPAR_F32, kpar_shape_of(2, rows));
    const kpar_value_id w = kpar_graph_source(g, KPAR_FROM_VARIABLE, 0, KPAR_F32, kpar_shape_of(2, matrix));
    ck_assert_int_eq(kpar_build_matmul(g, x, false, w, false, &y), KPAR_OK);
    ck_assert_int_eq(kpar_build_arg_reduce(g, 1, y, &y), KPAR_OK);
    kpar_graph_set_state(g, w, w);
    kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, 0, y);
    ck_assert_int_eq(kpar_place_graph(g, &options, &placed), KPAR_OK);
    ck_assert_int_eq(kpar_graph_check(placed), KPAR_OK);
    ck_assert_uint_eq(placed->n_ops, 3);
    ck_assert_int_eq(placed->ops[1].kind, KPAR_OP_ALL_GATHER);
    ck_assert_int_eq(placed->values[placed->outputs[0].value].placement[KPAR_AXIS_TENSOR].kind,
                     KPAR_REPLICATED);
    kpar_graph_destroy(g);
    kpar_graph_destroy(placed);
}
END_TEST

/* x W, with W cut by columns, (rows, 8) as (rows, 4, 2), and its running sums along `axis`: the collectives that it takes. */
static size_t moves_of_running_sums(int axis)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32), *placed = NULL;
    const kpar_dim rows[] = {{1, true}, {4, false}}, matrix[] = {{4, false}, {8, false}},
                   cube[] = {{1, true}, {4, false}, {2, false}};
    const bool trained[1] = {false};
    const kpar_place_options options = {.mesh = {1, 1, 2}, .trained = trained};
    kpar_value_id y;
    const kpar_value_id x = kpar_graph_source(g, KPAR_FROM_FEATURE, 0, KPAR_F32, kpar_shape_of(2, rows));
    const kpar_value_id w = kpar_graph_source(g, KPAR_FROM_VARIABLE, 0, KPAR_F32, kpar_shape_of(2, matrix));
    ck_assert_int_eq(kpar_build_matmul(g, x, false, w, false, &y), KPAR_OK);
    ck_assert_int_eq(kpar_build_reshape(g, kpar_shape_of(3, cube), y, &y), KPAR_OK);
    ck_assert_int_eq(kpar_build_cumulative(g, KPAR_REDUCE_SUM, axis, false, false, y, &y), KPAR_OK);
    kpar_graph_set_state(g, w, w);
    kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, 0, y);
    ck_assert_int_eq(kpar_place_graph(g, &options, &placed), KPAR_OK);
    ck_assert_int_eq(kpar_graph_check(placed), KPAR_OK);
    const size_t moves = placed->n_ops - g->n_ops;
    kpar_graph_destroy(g);
    kpar_graph_destroy(placed);
    return moves;
}

START_TEST(lines_of_running_sums_lie_whole_on_a_rank)
{
    ck_assert_uint_eq(moves_of_running_sums(1), 1);
    ck_assert_uint_eq(moves_of_running_sums(2), 0);
}
END_TEST

/* Of the sum over rows of a feature, in each microbatch, to which `exponent` it is raised: 1 or 2. Its two results are wider. */
static kpar_status place_power_of_sum(int exponent, bool reproducible, kpar_graph **placed)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32);
    const kpar_dim rows[] = {{1, true}, {4, false}}, matrix[] = {{8, false}, {4, false}};
    const bool trained[1] = {false};
    const kpar_place_options options = {.mesh = {2, 1, 1}, .trained = trained, .reproducible = reproducible};
    kpar_value_id sum, parts[2];
    const kpar_value_id x = kpar_graph_source(g, KPAR_FROM_FEATURE, 0, KPAR_F32, kpar_shape_of(2, rows));
    const kpar_value_id w = kpar_graph_source(g, KPAR_FROM_VARIABLE, 0, KPAR_F32, kpar_shape_of(2, matrix));
    ck_assert_int_eq(kpar_build_reduce(g, KPAR_REDUCE_SUM, 1, x, &sum), KPAR_OK);
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x s = kpar_x_input(e, 0), power = exponent == 2 ? kpar_x_square(e, s) : s;
    const kpar_x outputs[2] = {kpar_x_mul(e, power, kpar_x_input(e, 1)), power};
    const kpar_expression *both = kpar_expression_end(e, g->arena, outputs, 2);
    ck_assert_int_eq(kpar_build_map_many(g, both, (kpar_value_id[]){sum, w}, 2, parts), KPAR_OK);
    kpar_graph_set_state(g, w, w);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(kpar_build_accumulate(g, parts[i], &parts[i]), KPAR_OK);
        kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, i, parts[i]);
    }
    const kpar_status status = kpar_place_graph(g, &options, placed);
    kpar_graph_destroy(g);
    return status;
}

START_TEST(leaves_are_added_up_at_the_end_of_a_step_or_not_at_all)
{
    static const int sums[2] = {1, 0};
    kpar_graph *placed = NULL;
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        ck_assert_int_eq(place_power_of_sum(1, reproducible, &placed), KPAR_OK);
        ck_assert_int_eq(
            count_moves(placed, KPAR_OP_ALL_REDUCE, KPAR_AXIS_DATA, KPAR_PHASE_MICROBATCH, KPAR_FORWARD),
            sums[reproducible]);
        kpar_graph_destroy(placed);
    }
    ck_assert_int_eq(place_power_of_sum(2, false, &placed), KPAR_OK);
    kpar_graph_destroy(placed);
    ck_assert_int_eq(place_power_of_sum(2, true, &placed), KPAR_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "leave --reproducible out"));
}
END_TEST

/* A variable sharded by rows, divided by a norm for each column: the norm has no rows and stays whole. */
START_TEST(what_repeats_along_sharded_rows_stays_whole)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32), *placed = NULL;
    const kpar_dim matrix[] = {{64, false}, {512, false}};
    const bool trained[1] = {true};
    const kpar_place_options options = {.mesh = {2, 1, 1}, .zero = 1, .trained = trained};
    kpar_value_id norm, next;
    g->phase = KPAR_PHASE_UPDATE;
    const kpar_value_id w = kpar_graph_source(g, KPAR_FROM_VARIABLE, 0, KPAR_F32, kpar_shape_of(2, matrix));
    ck_assert_int_eq(kpar_build_reduce(g, KPAR_REDUCE_MAX, 1, w, &norm), KPAR_OK);
    ck_assert_int_eq(kpar_build_binary(g, KPAR_SCALAR_DIVIDE, w, norm, &next), KPAR_OK);
    kpar_graph_set_state(g, w, next);
    ck_assert_int_eq(kpar_place_graph(g, &options, &placed), KPAR_OK);
    ck_assert_int_eq(kpar_graph_check(placed), KPAR_OK);
    const kpar_op *divide = placed->ops;
    while (divide->kind != KPAR_OP_MAP) divide++;
    ck_assert_int_eq(placed->values[divide->inputs[0]].placement[KPAR_AXIS_DATA].kind, KPAR_SHARD);
    ck_assert_int_eq(placed->values[divide->inputs[1]].placement[KPAR_AXIS_DATA].kind, KPAR_REPLICATED);
    ck_assert_int_eq(placed->values[divide->outputs[0]].placement[KPAR_AXIS_DATA].kind, KPAR_SHARD);
    kpar_graph_destroy(g);
    kpar_graph_destroy(placed);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        one_rank_has_nothing_to_move,
        a_pair_of_dense_layers_has_one_all_reduce_forward_and_one_backward,
        a_pair_of_convolutions_has_one_all_reduce_forward_and_one_backward,
        groups_of_a_convolution_are_cut,
        a_block_of_a_transformer_has_one_all_reduce_a_half_and_direction,
        heads_that_share_keys_are_cut_with_them,
        a_language_model_never_gathers_logits,
        a_table_of_many_rows_is_cut_by_rows,
        five_outputs_at_tensor_2_stay_whole,
        split_features_cut_the_input_and_the_first_kernel,
        a_step_of_an_lstm_has_one_collective_forward_and_one_backward,
        an_op_without_a_rule_gets_its_inputs_whole,
        lines_of_running_sums_lie_whole_on_a_rank,
        leaves_are_added_up_at_the_end_of_a_step_or_not_at_all,
        what_repeats_along_sharded_rows_stays_whole,
    };
    Suite *suite = suite_create("place");
    TCase *all = tcase_create("place");
    tcase_set_timeout(all, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
