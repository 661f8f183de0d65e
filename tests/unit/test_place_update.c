/* Placement of the update: gradients that are summed, state that is shared out, norms. */
#include "plan_fixture.h"

#include "parallel/place.h"
#include "unit.h"

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

int main(void)
{
    const TTest *const tests[] = {
        a_split_batch_sums_gradients_once_in_the_update,
        microbatches_read_facts_that_are_summed_already,
        the_norm_of_a_shared_out_gradient_is_that_of_its_shards,
        norms_of_all_weights_are_summed_over_ranks_together,
        a_norm_of_all_gradients_goes_from_stage_to_stage_and_back,
        an_owner_multiplies_for_the_update_what_it_owns,
        zero_shards_what_the_update_keeps,
        the_slices_of_all_ranks_cover_every_variable,
    };
    Suite *suite = suite_create("place_update");
    TCase *all = tcase_create("place_update");
    tcase_set_timeout(all, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
