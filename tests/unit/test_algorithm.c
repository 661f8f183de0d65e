/* Algorithms of collectives: proofs of all of them, wrong ones that the proof refuses, trees, choices. */
#include "comm/algorithm.h"
#include "program/tree.h"
#include "unit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_MEMBERS = 9 };

#define ck_assert_ok(call) ck_assert_msg((call) == KPAR_OK, "%s", kpar_error_message())

/* --- right algorithms --- */

START_TEST(every_algorithm_gives_every_member_the_right_result)
{
    int rows;
    const kpar_algorithm_row *row = kpar_algorithm_rows(&rows);
    for (; rows-- > 0; row++)
        for (int n = 1; row->generate && n <= MOST_MEMBERS; n++) {
            const size_t totals[] = {0, 1, (size_t)n - 1, (size_t)n, (size_t)n + 1, 7, 64, 500};
            for (size_t t = 0; t < sizeof totals / sizeof *totals; t++)
                ck_assert_ok(kpar_steps_prove(row->generate, (kpar_collective)_i, n, totals[t], 1, 1, NULL));
        }
}
END_TEST

START_TEST(reproducible_sums_run_along_the_tree_however_leaves_are_dealt)
{
    static const int leaves[] = {1, 2, 3, 8, 12, 13};
    int rows;
    const kpar_algorithm_row *row = kpar_algorithm_rows(&rows);
    for (; rows-- > 0; row++)
        for (int n = 1; row->trees && n <= MOST_MEMBERS; n++)
            for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
                ck_assert_ok(
                    kpar_steps_prove_tree(row->generate, KPAR_COLLECTIVE_ALL_REDUCE, n, 20, leaves[i]));
                ck_assert_ok(
                    kpar_steps_prove_tree(row->generate, KPAR_COLLECTIVE_REDUCE_SCATTER, n, 20, leaves[i]));
            }
}
END_TEST

static double cost(const char *name, kpar_collective collective, int n, size_t total, double alpha,
                   double beta)
{
    double seconds;
    ck_assert_ok(
        kpar_steps_prove(kpar_algorithm_find(name)->generate, collective, n, total, alpha, beta, &seconds));
    return seconds;
}

START_TEST(a_ring_costs_what_its_paper_says)
{
    for (int n = 2; n <= 8; n++) {
        const size_t total = 840; /* divisible by all of them */
        const double turn = 5 + 0.25 * (double)total / n;
        ck_assert_double_eq_tol(cost("ring", KPAR_COLLECTIVE_ALL_REDUCE, n, total, 5, 0.25),
                                2 * (n - 1) * turn, 1e-9);
        ck_assert_double_eq_tol(cost("ring", KPAR_COLLECTIVE_ALL_GATHER, n, total, 5, 0.25), (n - 1) * turn,
                                1e-9);
    }
}
END_TEST

START_TEST(an_exchange_never_costs_more_than_a_ring)
{
    for (int n = 2; n <= 8; n++)
        ck_assert_double_le(cost("exchange", KPAR_COLLECTIVE_ALL_REDUCE, n, 840, 5, 0.25),
                            cost("ring", KPAR_COLLECTIVE_ALL_REDUCE, n, 840, 5, 0.25) + 1e-9);
}
END_TEST

/* --- wrong algorithms, each a right one with one thing changed --- */

static kpar_status fails_to_prove(kpar_algorithm algorithm, kpar_collective collective, int n)
{
    return kpar_steps_prove(algorithm, collective, n, 24, 1, 1, NULL);
}

static void remove_step(kpar_steps *steps, size_t index)
{
    memmove(&steps->steps[index], &steps->steps[index + 1], (steps->n - index - 1) * sizeof *steps->steps);
    steps->n--;
}

/* Removes the steps of a kind that use a flag. */
static void remove_kind(kpar_steps *steps, kpar_step_kind kind, int flag)
{
    for (size_t i = steps->n; i-- > 0;)
        if (steps->steps[i].kind == kind && steps->steps[i].flag == flag) remove_step(steps, i);
}

static kpar_status direct(kpar_steps *steps, const kpar_collective_shape *shape)
{
    return kpar_algorithm_find("direct")->generate(steps, shape);
}
static kpar_status ring(kpar_steps *steps, const kpar_collective_shape *shape)
{
    return kpar_algorithm_find("ring")->generate(steps, shape);
}

enum { FIRST_FLAG, SECOND_FLAG, THIRD_FLAG };

static kpar_status without_waiting_for_data(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    remove_kind(steps, KPAR_STEP_WAIT, FIRST_FLAG);
    return KPAR_OK;
}

static kpar_status without_waiting_for_sums(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    remove_kind(steps, KPAR_STEP_WAIT, SECOND_FLAG);
    return KPAR_OK;
}

static kpar_status without_waiting_for_readers(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    remove_kind(steps, KPAR_STEP_WAIT, THIRD_FLAG);
    return KPAR_OK;
}

static kpar_status with_one_member_who_does_not_wait(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    if (shape->me == shape->n - 1) remove_kind(steps, KPAR_STEP_WAIT, FIRST_FLAG);
    return KPAR_OK;
}

static kpar_status with_a_member_that_does_not_signal(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    if (shape->me == 0) remove_kind(steps, KPAR_STEP_SIGNAL, SECOND_FLAG);
    return KPAR_OK;
}

static kpar_status without_a_term(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    for (size_t i = 0; i < steps->n; i++)
        if (steps->steps[i].kind == KPAR_STEP_REDUCE && shape->me == 1) steps->steps[i].n_sources--;
    return KPAR_OK;
}

static kpar_status without_its_last_message(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(ring(steps, shape));
    if (shape->me == 0) remove_step(steps, steps->n - 1);
    return KPAR_OK;
}

/* One member adds before it has received. */
static kpar_status with_swapped_sums(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(ring(steps, shape));
    for (size_t i = 0; i + 1 < steps->n; i++)
        if (steps->steps[i].kind == KPAR_STEP_RECEIVE && steps->steps[i + 1].kind == KPAR_STEP_REDUCE &&
            shape->me == 0) {
            kpar_step swapped = steps->steps[i];
            steps->steps[i] = steps->steps[i + 1];
            steps->steps[i + 1] = swapped;
            return KPAR_OK;
        }
    return KPAR_OK;
}

/* All signal that they are ready only after they have waited for the others. */
static kpar_status with_everyone_waiting_first(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    kpar_step first = steps->steps[0];
    remove_step(steps, 0);
    *kpar_steps_add(steps, KPAR_STEP_SIGNAL) = first;
    return KPAR_OK;
}

static kpar_status writing_to_a_peer(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(direct(steps, shape));
    for (size_t i = 0; i < steps->n; i++)
        if (steps->steps[i].kind == KPAR_STEP_COPY) steps->steps[i].range.member = (shape->me + 1) % shape->n;
    return KPAR_OK;
}

static kpar_status beyond_the_buffer(kpar_steps *steps, const kpar_collective_shape *shape)
{
    KPAR_TRY(ring(steps, shape));
    for (size_t i = 0; i < steps->n; i++) steps->steps[i].range.first += shape->total;
    return KPAR_OK;
}

static const struct {
    const char *what;
    kpar_algorithm algorithm;
    const char *message; /* NULL: any of the messages about values */
} wrong[] = {
    {"no wait for the peers' data", without_waiting_for_data, NULL},
    {"no wait for the peers' sums", without_waiting_for_sums, NULL},
    {"no wait for the readers", without_waiting_for_readers, NULL},
    {"one member does not wait", with_one_member_who_does_not_wait, NULL},
    {"one member does not signal", with_a_member_that_does_not_signal, "deadlock"},
    {"one term is left out", without_a_term, "expected"},
    {"one member does not receive", without_its_last_message, NULL},
    {"a sum before its message", with_swapped_sums, "not yet written"},
    {"everyone waits first", with_everyone_waiting_first, "deadlock"},
    {"a write into a peer's memory", writing_to_a_peer, "not in the member's memory"},
    {"a range beyond the buffer", beyond_the_buffer, "not in the member's memory"},
};

START_TEST(the_proof_refuses_a_wrong_algorithm)
{
    for (int n = 2; n <= 5; n++) {
        kpar_status status = fails_to_prove(wrong[_i].algorithm, KPAR_COLLECTIVE_ALL_REDUCE, n);
        ck_assert_msg(status == KPAR_EINTERNAL, "%s, %d members: found nothing wrong", wrong[_i].what, n);
        ck_assert_msg(!wrong[_i].message || strstr(kpar_error_message(), wrong[_i].message),
                      "%s: expected '%s' in '%s'", wrong[_i].what, wrong[_i].message, kpar_error_message());
    }
}
END_TEST

/* --- trees --- */

START_TEST(aligned_subtrees_cover_a_range_of_leaves_in_order)
{
    for (int first = 0; first < 40; first++)
        for (int count = 0; count < 40; count++) {
            kpar_subtree subtrees[KPAR_SUBTREES];
            int at = first;
            const int n = kpar_tree_subtrees(first, count, subtrees);
            for (int i = 0; i < n; at += subtrees[i++].count) {
                ck_assert_int_eq(subtrees[i].first, at);
                ck_assert_int_eq(subtrees[i].count & (subtrees[i].count - 1), 0);
                ck_assert_int_eq(at % subtrees[i].count, 0);
                if (i > 0) /* else the two were one */
                    ck_assert(subtrees[i].count != subtrees[i - 1].count ||
                              subtrees[i - 1].first % (2 * subtrees[i].count) != 0);
            }
            ck_assert_int_eq(at, first + count);
        }
}
END_TEST

START_TEST(twelve_leaves_on_five_ranks_are_sums_of_aligned_subtrees)
{
    static const kpar_subtree expected[] = {{0, 2}, {2, 2}, {4, 2}, {6, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 2}};
    static const int pairs[][2] = {{3, 4}, {5, 6}, {0, 1}, {2, 3}, {5, 7}, {0, 2}, {0, 5}};
    kpar_subtree subtrees[KPAR_SUBTREES];
    int additions[KPAR_SUBTREES][2], n = 0;
    for (int rank = 0; rank < 5; rank++) {
        const int first = 12 * rank / 5;
        n += kpar_tree_subtrees(first, 12 * (rank + 1) / 5 - first, subtrees + n);
    }
    ck_assert_int_eq(n, 8);
    ck_assert_mem_eq(subtrees, expected, sizeof expected);
    ck_assert_int_eq(kpar_tree_additions(subtrees, n, additions), 7);
    for (int i = 0; i < 7; i++)
        ck_assert_msg(additions[i][0] == pairs[i][0] && additions[i][1] == pairs[i][1],
                      "addition %d: %d += %d, expected %d += %d", i, additions[i][0], additions[i][1],
                      pairs[i][0], pairs[i][1]);
}
END_TEST

/* The sum of `leaves` floats, dealt to ranks, subtrees summed first. */
static float sum_along_tree(const float *values, int leaves, int ranks)
{
    kpar_subtree subtrees[KPAR_SUBTREES], single[64];
    int additions[KPAR_SUBTREES][2], n = 0;
    float terms[KPAR_SUBTREES];
    for (int rank = 0; rank < ranks; rank++)
        n += kpar_tree_subtrees(leaves * rank / ranks, leaves * (rank + 1) / ranks - leaves * rank / ranks,
                                subtrees + n);
    for (int i = 0; i < n; i++) {
        float inner[64];
        int within[64][2];
        for (int k = 0; k < subtrees[i].count; k++) {
            single[k] = (kpar_subtree){subtrees[i].first + k, 1};
            inner[k] = values[subtrees[i].first + k];
        }
        const int m = kpar_tree_additions(single, subtrees[i].count, within);
        for (int k = 0; k < m; k++) inner[within[k][0]] += inner[within[k][1]];
        terms[i] = inner[0];
    }
    const int m = kpar_tree_additions(subtrees, n, additions);
    for (int k = 0; k < m; k++) terms[additions[k][0]] += terms[additions[k][1]];
    return terms[0];
}

START_TEST(sums_have_the_same_bits_however_leaves_are_dealt)
{
    for (int leaves = 1; leaves <= 32; leaves++) {
        float values[32];
        for (int i = 0; i < leaves; i++) values[i] = sinf((float)(i + 1)) * expf((float)(i % 9));
        const float whole = sum_along_tree(values, leaves, 1);
        for (int ranks = 2; ranks <= 8; ranks++) {
            const float dealt = sum_along_tree(values, leaves, ranks);
            ck_assert_msg(memcmp(&whole, &dealt, sizeof whole) == 0, "%d leaves on %d ranks: %a, on one: %a",
                          leaves, ranks, (double)dealt, (double)whole);
        }
    }
}
END_TEST

START_TEST(no_terms_need_no_additions)
{
    kpar_subtree subtrees[KPAR_SUBTREES];
    int additions[1][2];
    ck_assert_int_eq(kpar_tree_subtrees(5, 0, subtrees), 0);
    ck_assert_int_eq(kpar_tree_additions(subtrees, 0, additions), 0);
    ck_assert_int_eq(kpar_tree_additions(&(kpar_subtree){0, 4}, 1, additions), 0);
}
END_TEST

/* --- choosing --- */

static const char *chosen(const char *choice, kpar_collective collective, size_t bytes, bool shared,
                          bool tree)
{
    const kpar_choice_facts facts = {
        .collective = collective, .n = 4, .bytes = bytes, .shared = shared, .tree = tree};
    const kpar_algorithm_row *row;
    ck_assert_ok(kpar_algorithm_choose(choice, &facts, &row));
    return row->name;
}

START_TEST(the_first_part_of_a_choice_that_matches_wins)
{
    const kpar_collective reduce = KPAR_COLLECTIVE_ALL_REDUCE, gather = KPAR_COLLECTIVE_ALL_GATHER;
    ck_assert_str_eq(chosen("all_reduce:ring", reduce, 1, true, false), "ring");
    ck_assert_str_eq(chosen("all_reduce:0-64K:exchange,all_reduce:ring", reduce, 65536, true, false),
                     "exchange");
    ck_assert_str_eq(chosen("all_reduce:0-64K:exchange,all_reduce:ring", reduce, 65537, true, false), "ring");
    ck_assert_str_eq(chosen("all_reduce:1M-:whole,all_reduce:ring", reduce, 1 << 20, true, false), "whole");
    ck_assert_str_eq(chosen("all_reduce:ring,all_gather:exchange", gather, 5, true, false), "exchange");
}
END_TEST

START_TEST(without_a_choice_shared_memory_is_used_directly)
{
    ck_assert_str_eq(chosen("", KPAR_COLLECTIVE_ALL_REDUCE, 1 << 20, true, false), "direct");
    ck_assert_str_eq(chosen("all_gather:ring", KPAR_COLLECTIVE_ALL_REDUCE, 1 << 20, true, true), "direct");
    ck_assert_str_eq(chosen("", KPAR_COLLECTIVE_ALL_REDUCE, 16, false, false), "exchange");
    ck_assert_str_eq(chosen("", KPAR_COLLECTIVE_ALL_REDUCE, 1 << 20, false, false), "whole");
    ck_assert_str_eq(chosen("", KPAR_COLLECTIVE_ALL_REDUCE, 1 << 20, false, true), "exchange");
}
END_TEST

static const struct {
    const char *choice, *message;
    bool shared, tree;
} refused[] = {
    {"all_reduce", "'all_reduce'", true, false},
    {"sum:ring", "'sum:ring'", true, false},
    {"all_reduce:circle", "'all_reduce:circle'", true, false},
    {"all_reduce:64K:ring", "'all_reduce:64K:ring'", true, false},
    {"all_reduce:1-2Q:ring", "'all_reduce:1-2Q:ring'", true, false},
    {"all_gather:ring,,", "''", true, false},
    {"all_reduce:direct", "share no memory", false, false},
    {"all_reduce:ring", "reproducible", true, true},
};

START_TEST(a_choice_that_cannot_be_is_named)
{
    const kpar_choice_facts facts = {.collective = KPAR_COLLECTIVE_ALL_REDUCE,
                                     .n = 4,
                                     .bytes = 100,
                                     .shared = refused[_i].shared,
                                     .tree = refused[_i].tree};
    const kpar_algorithm_row *row;
    ck_assert_msg(kpar_algorithm_choose(refused[_i].choice, &facts, &row) == KPAR_EUSAGE, "'%s' was accepted",
                  refused[_i].choice);
    ck_assert_msg(strstr(kpar_error_message(), refused[_i].message), "expected \"%s\" in: %s",
                  refused[_i].message, kpar_error_message());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("algorithm");
    TCase *proofs = tcase_create("proofs"), *trees = tcase_create("trees"),
          *choices = tcase_create("choices");
    tcase_set_timeout(proofs, 0);
    tcase_add_loop_test(proofs, every_algorithm_gives_every_member_the_right_result, 0,
                        KPAR_COLLECTIVE_COUNT);
    tcase_add_test(proofs, reproducible_sums_run_along_the_tree_however_leaves_are_dealt);
    tcase_add_test(proofs, a_ring_costs_what_its_paper_says);
    tcase_add_test(proofs, an_exchange_never_costs_more_than_a_ring);
    tcase_add_loop_test(proofs, the_proof_refuses_a_wrong_algorithm, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(trees, aligned_subtrees_cover_a_range_of_leaves_in_order);
    tcase_add_test(trees, twelve_leaves_on_five_ranks_are_sums_of_aligned_subtrees);
    tcase_add_test(trees, sums_have_the_same_bits_however_leaves_are_dealt);
    tcase_add_test(trees, no_terms_need_no_additions);
    tcase_add_test(choices, the_first_part_of_a_choice_that_matches_wins);
    tcase_add_test(choices, without_a_choice_shared_memory_is_used_directly);
    tcase_add_loop_test(choices, a_choice_that_cannot_be_is_named, 0, sizeof refused / sizeof *refused);
    suite_add_tcase(suite, proofs);
    suite_add_tcase(suite, trees);
    suite_add_tcase(suite, choices);
    return run_suite(suite);
}
