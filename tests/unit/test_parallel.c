/* Dealing rows and leaves, schedules, buckets. */
#include "plan_fixture.h"

#include "parallel/bucket.h"
#include "parallel/deal.h"
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
        a_schedule_that_is_stuck_is_named,
        one_forward_one_backward_keeps_at_most_as_many_microbatches_as_stages_follow,
        split_backward_keeps_no_more_microbatches_than_1f1b_does_on_its_first_rank,
        bubbles_are_those_of_the_papers,
        the_order_of_each_schedule_is_known,
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
