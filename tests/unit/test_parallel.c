/* Parallelism as passes over the graph: dealing, schedules, placement, cut, buckets. */
#include "plan_fixture.h"

#include "graph/build.h"
#include "parallel/bucket.h"
#include "parallel/deal.h"
#include "parallel/module.h"
#include "parallel/place.h"
#include "unit.h"

/* --- dealing --- */

START_TEST(rows_are_dealt_evenly_and_in_order)
{
    for (int units = 1; units <= 9; units++)
        for (int64_t rows = 0; rows <= 40; rows++) {
            int64_t next = 0, first, count, largest = 0, smallest = rows;
            for (int unit = 0; unit < units; unit++, next += count) {
                kpar_deal(rows, 0, units, unit, &first, &count);
                ck_assert_int_eq(first, next);
                if (count > largest) largest = count;
                if (count < smallest) smallest = count;
            }
            ck_assert_int_eq(next, rows);
            ck_assert_int_le(largest - smallest, 1);
        }
}
END_TEST

/* Leaves are the same rows whoever has them, and of a short batch the last ones are empty. */
START_TEST(leaves_have_equal_rows_until_the_batch_ends)
{
    static const int64_t counts[] = {4, 4, 3, 0, 0};
    for (int unit = 0; unit < 5; unit++) {
        int64_t first, count;
        kpar_deal(11, 4, 5, unit, &first, &count);
        ck_assert_int_eq(count, counts[unit]);
        if (count) ck_assert_int_eq(first, 4 * unit);
    }
}
END_TEST

/* --- schedules --- */

START_TEST(every_schedule_is_proved_for_up_to_8_ranks_4_chunks_and_24_microbatches)
{
    int n;
    const kpar_schedule *schedules = kpar_schedules(&n);
    for (int i = 0; i < n; i++)
        for (int ranks = 1; ranks <= 8; ranks++)
            for (int chunks = 1; chunks <= (schedules[i].chunks > 1 ? 4 : 1); chunks++)
                for (int m = 1; m <= 24; m++)
                    ck_assert_msg(kpar_schedule_prove(&schedules[i], ranks, chunks, m, NULL, NULL) == KPAR_OK,
                                  "%d ranks, %d chunks: %s", ranks, chunks, kpar_error_message());
}
END_TEST

/* The last stage wants backward first: nothing can ever start there. */
static int backward_first(const kpar_schedule_shape *shape, kpar_action *actions)
{
    const bool last = shape->rank == shape->ranks - 1;
    for (int m = 0; m < shape->microbatches; m++) {
        actions[2 * m] = (kpar_action){last ? KPAR_BACKWARD : KPAR_FORWARD, m, shape->rank};
        actions[2 * m + 1] = (kpar_action){last ? KPAR_FORWARD : KPAR_BACKWARD, m, shape->rank};
    }
    return 2 * shape->microbatches;
}

START_TEST(a_schedule_that_is_stuck_is_named)
{
    const kpar_schedule wrong = {"wrong", "", backward_first, 1, false};
    ck_assert_int_eq(kpar_schedule_prove(&wrong, 3, 1, 4, NULL, NULL), KPAR_EINTERNAL);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "schedule wrong: 3 stages, 4 microbatches"));
}
END_TEST

/* Most forwards at any time whose backward has not ended. */
static int most_under_way(const kpar_schedule *schedule, kpar_schedule_shape shape)
{
    kpar_action actions[128];
    const kpar_part last = schedule->splits_backward ? KPAR_BACKWARD_WEIGHT : KPAR_BACKWARD;
    int under_way = 0, most = 0;
    ck_assert_uint_le(kpar_schedule_room(&shape), 128);
    const int n = schedule->generate(&shape, actions);
    for (int i = 0; i < n; i++) {
        under_way += actions[i].part == KPAR_FORWARD ? 1 : actions[i].part == last ? -1 : 0;
        if (under_way > most) most = under_way;
    }
    return most;
}

START_TEST(one_forward_one_backward_keeps_at_most_as_many_microbatches_as_stages_follow)
{
    const kpar_schedule *schedule = kpar_schedule_find("1f1b"), *gpipe = kpar_schedule_find("gpipe");
    for (int stages = 1; stages <= 8; stages++)
        for (int stage = 0; stage < stages; stage++) {
            const kpar_schedule_shape shape = {stage, stages, 16, 1};
            ck_assert_int_eq(most_under_way(schedule, shape), stages - stage);
            ck_assert_int_eq(most_under_way(gpipe, shape), 16);
        }
    ck_assert_ptr_null(kpar_schedule_find("zigzag"));
}
END_TEST

/* The paper's bound: as many under way on every rank as 1F1B has on the first. */
START_TEST(split_backward_keeps_no_more_microbatches_than_1f1b_does_on_its_first_rank)
{
    const kpar_schedule *zb = kpar_schedule_find("zb-h1"), *plain = kpar_schedule_find("1f1b");
    for (int ranks = 1; ranks <= 8; ranks++)
        for (int rank = 0; rank < ranks; rank++)
            for (int m = 1; m <= 24; m++)
                ck_assert_int_le(most_under_way(zb, (kpar_schedule_shape){rank, ranks, m, 1}),
                                 most_under_way(plain, (kpar_schedule_shape){0, ranks, m, 1}));
}
END_TEST

/* Seconds in which no rank does anything, of a forward of 1 second and a backward of 2 over all stages of a rank. */
static double bubble(const char *name, int ranks, int chunks, int microbatches)
{
    const kpar_schedule *schedule = kpar_schedule_find(name);
    double span;
    const double part = 1.0 / chunks;
    const double seconds[KPAR_PART_COUNT] = {part, schedule->splits_backward ? part : 2 * part, part};
    ck_assert_int_eq(kpar_schedule_prove(schedule, ranks, chunks, microbatches, seconds, &span), KPAR_OK);
    return span - 3 * microbatches;
}

START_TEST(bubbles_are_those_of_the_papers)
{
    for (int p = 2; p <= 8; p++)
        for (int m = p; m <= 24; m += p) {
            ck_assert_double_eq_tol(bubble("gpipe", p, 1, m), 3 * (p - 1), 1e-9);
            ck_assert_double_eq_tol(bubble("1f1b", p, 1, m), 3 * (p - 1), 1e-9);
            ck_assert_double_eq_tol(bubble("interleaved", p, 2, m), 3 * (p - 1) / 2.0, 1e-9);
            ck_assert_double_eq_tol(bubble("interleaved", p, 3, m), 3 * (p - 1) / 3.0, 1e-9);
            ck_assert_double_eq_tol(bubble("zb-h1", p, 1, m), p - 1, 1e-9);
        }
}
END_TEST

/* One rank's actions as text: F of the first of its stages, f of the second, B, b, W. */
static void assert_actions(const char *name, int rank, int ranks, int chunks, int m, const char *expected)
{
    kpar_action actions[128];
    char text[512] = "";
    const int n = kpar_schedule_find(name)->generate(&(kpar_schedule_shape){rank, ranks, m, chunks}, actions);
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(text);
        const char *letters = actions[i].stage < ranks ? "FBW" : "fbw";
        ck_assert_int_eq(actions[i].stage % ranks, rank);
        snprintf(text + used, sizeof text - used, "%c%d ", letters[actions[i].part], actions[i].microbatch);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(the_order_of_each_schedule_is_known)
{
    assert_actions("gpipe", 0, 2, 1, 2, "F0 F1 B0 B1 ");
    assert_actions("1f1b", 0, 3, 1, 4, "F0 F1 F2 B0 F3 B1 B2 B3 ");
    assert_actions("1f1b", 2, 3, 1, 2, "F0 B0 F1 B1 ");
    assert_actions("zb-h1", 0, 2, 1, 3, "F0 F1 B0 W0 F2 B1 W1 B2 W2 ");
    assert_actions("zb-h1", 1, 2, 1, 3, "F0 B0 F1 B1 W0 F2 B2 W1 W2 ");
    assert_actions("interleaved", 0, 2, 2, 4, "F0 F1 f0 f1 F2 b0 F3 b1 f2 B0 f3 B1 b2 b3 B2 B3 ");
    assert_actions("interleaved", 1, 2, 2, 4, "F0 F1 f0 b0 f1 b1 F2 B0 F3 B1 f2 b2 f3 b3 B2 B3 ");
}
END_TEST

/* --- placement --- */

/* Ops of a kind over a mesh axis in a phase and, in the microbatch phase, a part. */
static int count_moves(const kpar_graph *g, int kind, kpar_axis axis, kpar_phase phase, kpar_part part)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        n += op->kind == kind && op->attributes.mesh_axis == axis && op->phase == phase &&
             (phase != KPAR_PHASE_MICROBATCH || op->part == part);
    }
    return n;
}

static int count_between(const kpar_graph *g, int first, int last)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++) n += g->ops[i].kind >= first && g->ops[i].kind <= last;
    return n;
}

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

/* Nothing says so: the gradient of a batch that is split comes out as a partial sum by the rules. */
START_TEST(a_split_batch_sums_gradients_once_in_the_update)
{
    kpar_plan_options o = options_of(4, 1, 1);
    o.without_passes = "bucket";
    planned p = plan_dense(6, (int[]){8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    const kpar_axis axis = KPAR_AXIS_DATA;
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_UPDATE, KPAR_FORWARD),
                     4 + 1); /* and the loss, which guards the update */
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_FORWARD), 0);
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, KPAR_BACKWARD), 0);
    planned_free(&p);
}
END_TEST

/* A replica with more leaves than another would wait for it in the middle of a step. */
START_TEST(microbatches_read_facts_that_are_summed_already)
{
    for (int leaves = 0; leaves <= 8; leaves += 8) {
        kpar_plan_options o = options_of(3, 1, 1);
        o.leaves = leaves;
        o.microbatches = leaves ? 0 : 2;
        planned p = plan_file("tests/cases/data/loss_unreduced_rows/model.keras", &o, TRAIN);
        ASSERT_PLANNED(p);
        const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
        const kpar_axis axis = KPAR_AXIS_DATA;
        for (kpar_part part = KPAR_FORWARD; part <= KPAR_BACKWARD; part++)
            ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_MICROBATCH, part), 0);
        ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_REDUCE, axis, KPAR_PHASE_FACTS, KPAR_FORWARD), 1);
        planned_free(&p);
    }
}
END_TEST

/* A gradient whose norm is wanted is still moved once, as shards; what is summed over ranks is a scalar. */
START_TEST(the_norm_of_a_shared_out_gradient_is_that_of_its_shards)
{
    kpar_plan_options o = options_of(2, 1, 1);
    o.zero = 1;
    o.without_passes = "bucket";
    planned p = plan_file("tests/cases/data/opt_adam_amsgrad/model.keras", &o, TRAIN);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int norms = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        if (!kpar_op_is_collective_over(&g->ops[i], KPAR_AXIS_DATA) || g->ops[i].kind != KPAR_OP_ALL_REDUCE)
            continue;
        if (g->ops[i].phase != KPAR_PHASE_UPDATE) continue;
        ck_assert_int_eq(g->values[g->ops[i].inputs[0]].shape.rank, 0);
        norms += *g->ops[i].layer != 0;
    }
    ck_assert_int_eq(norms, 6);
    ck_assert_int_eq(count_between(g, KPAR_OP_REDUCE_SCATTER, KPAR_OP_REDUCE_SCATTER), 6);
    planned_free(&p);
}
END_TEST

/* All-reduces of the update whose sums microbatches have no part in. */
static int count_sums_of_scalars(const kpar_graph *g, int *scalars)
{
    int n = 0;
    *scalars = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (op->kind != KPAR_OP_ALL_REDUCE || op->phase != KPAR_PHASE_UPDATE) continue;
        if (g->ops[g->values[op->inputs[0]].op].kind == KPAR_OP_ACCUMULATE) continue;
        for (int k = 0; k < op->n_inputs; k++) ck_assert_int_eq(g->values[op->inputs[k]].shape.rank, 0);
        *scalars += op->n_inputs;
        n++;
    }
    return n;
}

/* Adam with clipnorm has a norm a weight; Lamb has two a weight, of the weight and of its step. */
START_TEST(norms_of_all_weights_are_summed_over_ranks_together)
{
    static const struct {
        const char *file;
        kpar_mesh mesh;
        int collectives, scalars;
    } cases[] = {
        {"tests/cases/data/opt_adam_amsgrad/model.keras", {2, 1, 1}, 1, 6},
        {"tests/cases/data/opt_lamb/model.keras", {2, 1, 1}, 1, 12},
        {"tests/cases/data/opt_adam_amsgrad/model.keras", {1, 1, 2}, 1, 3},
        {"tests/cases/data/opt_lamb/model.keras", {2, 2, 1}, 2, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int scalars;
        kpar_plan_options o = options_of(cases[i].mesh.data, cases[i].mesh.pipeline, cases[i].mesh.tensor);
        o.zero = 1;
        planned p = plan_file(cases[i].file, &o, TRAIN);
        ASSERT_PLANNED(p);
        const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
        ck_assert_int_eq(count_sums_of_scalars(g, &scalars), cases[i].collectives);
        ck_assert_int_eq(scalars, cases[i].scalars);
        planned_free(&p);
    }
}
END_TEST

START_TEST(a_norm_of_all_gradients_goes_from_stage_to_stage_and_back)
{
    kpar_plan_options o = options_of(1, 3, 1);
    planned p = plan_file("tests/cases/data/opt_adamw/model.keras", &o, TRAIN);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int sent = 0;
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == KPAR_OP_SEND && g->ops[i].phase == KPAR_PHASE_UPDATE) {
            ck_assert_int_eq(g->values[g->ops[i].inputs[0]].shape.rank, 0);
            sent++;
        }
    ck_assert_int_eq(sent, 2 + 2 + 2); /* sums so far, the factor, the loss that guards the update */
    planned_free(&p);
}
END_TEST

/* Muon's matrices, which are large enough for their rows to be shared out: each rank orthogonalizes one of the two. */
START_TEST(an_owner_multiplies_for_the_update_what_it_owns)
{
    kpar_plan_options o = options_of(2, 1, 1);
    o.zero = 1;
    planned p = plan_trained("muon", "256",
                             "{\"class_name\": \"Dense\", \"config\": {\"name\": \"one\", \"units\": 128}}, "
                             "{\"class_name\": \"Dense\", \"config\": {\"name\": \"two\", \"units\": 256}}",
                             &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int products[2] = {0};
    for (size_t i = 0; i < g->n_ops; i++) {
        if (g->ops[i].phase != KPAR_PHASE_UPDATE || g->ops[i].kind != KPAR_OP_MATMUL) continue;
        const kpar_placement at = g->values[g->ops[i].outputs[0]].placement[KPAR_AXIS_DATA];
        ck_assert_int_eq(at.kind, KPAR_SHARD);
        ck_assert(at.owner == 0 || at.owner == 1);
        products[at.owner]++;
    }
    ck_assert_int_eq(products[0], 5 * 3);
    ck_assert_int_eq(products[1], 5 * 3);
    ck_assert_int_eq(count_moves(g, KPAR_OP_ALL_GATHER, KPAR_AXIS_DATA, KPAR_PHASE_UPDATE, KPAR_FORWARD), 4);
    planned_free(&p);
}
END_TEST

START_TEST(zero_shards_what_the_update_keeps)
{
    kpar_plan_options o = options_of(2, 1, 1);
    o.zero = 1;
    o.without_passes = "bucket";
    planned p = plan_file("tests/cases/data/opt_adam/model.keras", &o, TRAIN);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    int slots = 0, weights = 0, copies = 0;
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_variable_kind kind = p.catalog->variables[g->states[i].variable].kind;
        const kpar_placement at = g->values[g->states[i].value].placement[KPAR_AXIS_DATA];
        if (g->states[i].copy) {
            ck_assert_int_eq(at.kind, KPAR_REPLICATED);
            copies++;
        } else if (kind == KPAR_VARIABLE_WEIGHT || kind == KPAR_VARIABLE_SLOT) {
            ck_assert_int_eq(at.kind, KPAR_SHARD);
            *(kind == KPAR_VARIABLE_SLOT ? &slots : &weights) += 1;
        }
    }
    ck_assert_int_eq(weights, 6);
    ck_assert_int_eq(copies, weights);
    ck_assert_int_eq(slots, 2 * weights);
    ck_assert_int_eq(count_between(g, KPAR_OP_REDUCE_SCATTER, KPAR_OP_REDUCE_SCATTER), weights);
    ck_assert_int_eq(count_between(g, KPAR_OP_ALL_GATHER, KPAR_OP_ALL_GATHER), weights);
    planned_free(&p);
}
END_TEST

/* Together, the ranks' slices of a variable are the variable; each element lies on as many ranks as the placement says. */
static void assert_covers(const kpar_value *v, kpar_mesh mesh)
{
    int64_t count = 1, seen[4096] = {0};
    for (int i = 0; i < v->shape.rank; i++) count *= v->shape.dims[i].size;
    ck_assert_int_le(count, 4096);
    for (int rank = 0; rank < kpar_mesh_size(mesh); rank++) {
        const kpar_slice s = kpar_local_slice(v, mesh, kpar_mesh_coordinate(mesh, rank), 1);
        for (int64_t i = 0; i < count; i++) {
            int64_t rest = i;
            bool inside = true;
            for (int d = s.rank; d-- > 0; rest /= v->shape.dims[d].size) {
                const int64_t at = rest % v->shape.dims[d].size;
                inside = inside && at >= s.start[d] && at < s.start[d] + s.size[d];
            }
            seen[i] += inside;
        }
    }
    int64_t copies = kpar_mesh_size(mesh);
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++)
        if (v->placement[axis].kind != KPAR_REPLICATED) copies /= kpar_mesh_extent(mesh, (kpar_axis)axis);
    for (int64_t i = 0; i < count; i++) ck_assert_int_eq(seen[i], copies);
}

START_TEST(the_slices_of_all_ranks_cover_every_variable)
{
    static const kpar_mesh meshes[] = {{1, 1, 1}, {2, 1, 1}, {3, 1, 1}, {1, 1, 2}, {2, 1, 2}, {5, 1, 4}};
    for (size_t i = 0; i < sizeof meshes / sizeof meshes[0]; i++)
        for (int zero = 0; zero < 2; zero++) {
            kpar_plan_options o = options_of(meshes[i].data, 1, meshes[i].tensor);
            o.zero = zero;
            planned p = plan_file("tests/cases/data/opt_adam/model.keras", &o, TRAIN);
            ASSERT_PLANNED(p);
            const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
            for (size_t k = 0; k < g->n_states; k++) assert_covers(&g->values[g->states[k].value], meshes[i]);
            planned_free(&p);
        }
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

/* --- buckets --- */

static kpar_graph *without_buckets(planned *p, int data, int pipeline, int zero)
{
    kpar_plan_options o = options_of(data, pipeline, 1);
    o.without_passes = "bucket";
    o.zero = zero;
    *p = plan_dense(6, (int[]){8, 8, 4, 0}, &o);
    ASSERT_PLANNED(*p);
    return (kpar_graph *)kpar_plan_graph(p->plan, KPAR_MODE_TRAIN);
}

/* Sums of gradients: all but that of the loss. */
static int count_of_gradients(const kpar_graph *g)
{
    return count_moves(g, KPAR_OP_ALL_REDUCE, KPAR_AXIS_DATA, KPAR_PHASE_UPDATE, KPAR_FORWARD) - 1;
}

static int most_inputs(const kpar_graph *g, int kind)
{
    int most = 0;
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == kind && g->ops[i].n_inputs > most) most = g->ops[i].n_inputs;
    return most;
}

START_TEST(buckets_hold_as_many_gradients_as_their_bytes_allow)
{
    /* kernels of 6x8, 8x8, 8x4 and biases of 8, 8, 4 floats */
    static const struct {
        size_t bytes;
        int ops, largest;
    } cases[] = {{0, 6, 1}, {1 << 20, 1, 6}, {300, 3, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        planned p;
        kpar_graph *g = without_buckets(&p, 2, 1, 0), *bucketed = NULL;
        ck_assert_int_eq(kpar_bucket(g, cases[i].bytes, &bucketed), KPAR_OK);
        ck_assert_msg(kpar_graph_check(bucketed) == KPAR_OK, "%s", kpar_error_message());
        ck_assert_int_eq(count_of_gradients(bucketed), cases[i].ops);
        ck_assert_int_eq(most_inputs(bucketed, KPAR_OP_ALL_REDUCE), cases[i].largest);
        ck_assert_uint_eq(bucketed->n_states, g->n_states);
        kpar_graph_destroy(bucketed);
        planned_free(&p);
    }
}
END_TEST

START_TEST(gradients_are_joined_in_the_order_in_which_backward_completes_them)
{
    planned p;
    kpar_graph *g = without_buckets(&p, 2, 1, 0), *bucketed = NULL;
    ck_assert_int_eq(kpar_bucket(g, 1 << 20, &bucketed), KPAR_OK);
    for (size_t i = 0; i < bucketed->n_ops; i++) {
        const kpar_op *op = &bucketed->ops[i];
        if (op->kind != KPAR_OP_ALL_REDUCE) continue;
        kpar_op_id before = -1;
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op *sum = &bucketed->ops[bucketed->values[op->inputs[k]].op];
            ck_assert_int_eq(sum->kind, KPAR_OP_ACCUMULATE);
            ck_assert_int_gt(bucketed->values[sum->inputs[0]].op, before);
            before = bucketed->values[sum->inputs[0]].op;
            ck_assert(kpar_shape_equal(&bucketed->values[op->inputs[k]].shape,
                                       &bucketed->values[op->outputs[k]].shape));
        }
    }
    kpar_graph_destroy(bucketed);
    planned_free(&p);
}
END_TEST

START_TEST(gradients_of_two_stages_share_no_bucket)
{
    planned p;
    kpar_graph *g = without_buckets(&p, 2, 2, 0), *bucketed = NULL;
    ck_assert_int_eq(kpar_bucket(g, 1 << 20, &bucketed), KPAR_OK);
    ck_assert_int_eq(count_of_gradients(bucketed), 2);
    kpar_graph_destroy(bucketed);
    planned_free(&p);
}
END_TEST

/* The sum over replicas of the loss comes first, then each stage has it. */
START_TEST(every_stage_has_the_loss_of_the_global_batch_as_its_guard)
{
    kpar_plan_options o = options_of(2, 4, 1);
    planned p = plan_dense(6, (int[]){8, 8, 4, 0}, &o);
    ASSERT_PLANNED(p);
    const kpar_graph *g = kpar_plan_graph(p.plan, KPAR_MODE_TRAIN);
    unsigned stages = 0;
    for (size_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i].kind != KPAR_OUTPUT_GUARD) continue;
        const kpar_value *v = &g->values[g->outputs[i].value];
        stages |= 1u << g->outputs[i].index;
        ck_assert_int_eq(v->placement[KPAR_AXIS_DATA].kind, KPAR_REPLICATED);
        ck_assert_int_eq(g->ops[v->op].kind, g->outputs[i].index == 3 ? KPAR_OP_ALL_REDUCE : KPAR_OP_RECEIVE);
        if (g->ops[v->op].kind == KPAR_OP_RECEIVE) ck_assert_int_eq(g->ops[v->op].attributes.peer, 3);
    }
    ck_assert_uint_eq(stages, 15);
    planned_free(&p);
}
END_TEST

START_TEST(whole_shards_are_joined_in_the_order_of_their_owners)
{
    planned p;
    kpar_graph *g = without_buckets(&p, 3, 1, 1), *bucketed = NULL;
    ck_assert_int_eq(kpar_bucket(g, 1 << 20, &bucketed), KPAR_OK);
    ck_assert_int_eq(count_between(bucketed, KPAR_OP_REDUCE_SCATTER, KPAR_OP_REDUCE_SCATTER), 1);
    for (size_t i = 0; i < bucketed->n_ops; i++)
        for (int k = 1; bucketed->ops[i].kind == KPAR_OP_REDUCE_SCATTER && k < bucketed->ops[i].n_outputs;
             k++) {
            const kpar_value_id *out = bucketed->ops[i].outputs;
            ck_assert_int_le(bucketed->values[out[k - 1]].placement[KPAR_AXIS_DATA].owner,
                             bucketed->values[out[k]].placement[KPAR_AXIS_DATA].owner);
        }
    kpar_graph_destroy(bucketed);
    planned_free(&p);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rows_are_dealt_evenly_and_in_order,
        leaves_have_equal_rows_until_the_batch_ends,
        every_schedule_is_proved_for_up_to_8_ranks_4_chunks_and_24_microbatches,
        split_backward_keeps_no_more_microbatches_than_1f1b_does_on_its_first_rank,
        bubbles_are_those_of_the_papers,
        the_order_of_each_schedule_is_known,
        a_schedule_that_is_stuck_is_named,
        one_forward_one_backward_keeps_at_most_as_many_microbatches_as_stages_follow,
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
        a_split_batch_sums_gradients_once_in_the_update,
        microbatches_read_facts_that_are_summed_already,
        an_owner_multiplies_for_the_update_what_it_owns,
        zero_shards_what_the_update_keeps,
        the_norm_of_a_shared_out_gradient_is_that_of_its_shards,
        norms_of_all_weights_are_summed_over_ranks_together,
        a_norm_of_all_gradients_goes_from_stage_to_stage_and_back,
        the_slices_of_all_ranks_cover_every_variable,
        an_op_without_a_rule_gets_its_inputs_whole,
        a_step_of_an_lstm_has_one_collective_forward_and_one_backward,
        lines_of_running_sums_lie_whole_on_a_rank,
        what_repeats_along_sharded_rows_stays_whole,
        leaves_are_added_up_at_the_end_of_a_step_or_not_at_all,
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
        buckets_hold_as_many_gradients_as_their_bytes_allow,
        gradients_are_joined_in_the_order_in_which_backward_completes_them,
        gradients_of_two_stages_share_no_bucket,
        every_stage_has_the_loss_of_the_global_batch_as_its_guard,
        whole_shards_are_joined_in_the_order_of_their_owners,
    };
    Suite *suite = suite_create("parallel");
    TCase *all = tcase_create("parallel");
    tcase_set_timeout(all, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
