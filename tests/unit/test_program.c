/* Programs: waits, the checker, text and simulation. Programs are written by hand, with `bytes` of memory where a
 * kernel's inputs and outputs are one place each. */
#include "base/philox.h"
#include "program/program.h"
#include "unit.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A copy kernel over `n` floats, as every kernel here. */
static int copy_kernel(kpar_program *p, int64_t n, int n_inputs)
{
    const kpar_tensor_spec t = {.dtype = KPAR_F32, .rank = 1, .dims = {n}};
    const kpar_tensor_spec tensors[] = {t, t, t, t};
    return kpar_program_kernel(
        p, &(kpar_kernel_spec){.op = KPAR_OP_MAP, .n_inputs = n_inputs, .n_outputs = 1, .tensors = tensors});
}

static kpar_instruction instruction(kpar_instruction_kind kind, kpar_lane lane, const char *what)
{
    return (kpar_instruction){.kind = kind,
                              .lane = lane,
                              .phase = KPAR_PHASE_MICROBATCH,
                              .microbatch = 0,
                              .layer = "layer",
                              .what = what};
}

static kpar_place own(size_t offset, size_t bytes) { return (kpar_place){-1, offset, bytes}; }

static kpar_place of(int rank, size_t offset, size_t bytes) { return (kpar_place){rank, offset, bytes}; }

/* Reads one place, writes another. */
static int kernel(kpar_program *p, kpar_lane lane, kpar_place in, kpar_place out)
{
    kpar_instruction i = instruction(KPAR_INSTRUCTION_KERNEL, lane, "dense/copy");
    const kpar_place places[] = {in, out};
    i.kernel = copy_kernel(p, (int64_t)(out.bytes / 4), 1);
    i.places = places;
    i.n_places = 2;
    i.n_writes = 1;
    return kpar_program_append(p, &i);
}

static int message(kpar_program *p, kpar_instruction_kind kind, int peer, int channel, kpar_place place)
{
    kpar_instruction i =
        instruction(kind, KPAR_LANE_COMM, kind == KPAR_INSTRUCTION_SEND ? "dense/send" : "dense/receive");
    i.peer = peer;
    i.channel = channel;
    i.places = &place;
    i.n_places = 1;
    i.n_writes = kind == KPAR_INSTRUCTION_RECEIVE;
    return kpar_program_append(p, &i);
}

static int send(kpar_program *p, int peer, int channel, kpar_place place)
{
    return message(p, KPAR_INSTRUCTION_SEND, peer, channel, place);
}

static int receive(kpar_program *p, int peer, int channel, kpar_place place)
{
    return message(p, KPAR_INSTRUCTION_RECEIVE, peer, channel, place);
}

static int flag_on(kpar_program *p, kpar_instruction_kind kind, int peer, int flag, int n_places,
                   const kpar_place *places)
{
    kpar_instruction i =
        instruction(kind, KPAR_LANE_COMM, kind == KPAR_INSTRUCTION_SIGNAL ? "sum/signal" : "sum/wait");
    i.peer = peer;
    i.channel = flag;
    i.places = places;
    i.n_places = n_places;
    if (flag >= p->n_flags) p->n_flags = flag + 1;
    return kpar_program_append(p, &i);
}

static int signal_flag(kpar_program *p, int flag)
{
    return flag_on(p, KPAR_INSTRUCTION_SIGNAL, 0, flag, 0, NULL);
}

static int wait_flag(kpar_program *p, int peer, int flag)
{
    return flag_on(p, KPAR_INSTRUCTION_WAIT, peer, flag, 0, NULL);
}

static kpar_program *program(int rank, int world)
{
    kpar_program *p = kpar_program_create(rank, world);
    p->arena_bytes = 4096;
    p->microbatches = 1;
    return p;
}

static void assert_waits(const kpar_program *p, int index, int n, ...)
{
    const kpar_instruction *in = &p->instructions[index];
    va_list expected;
    va_start(expected, n);
    ck_assert_int_eq(in->n_waits, n);
    for (int i = 0; i < n; i++) ck_assert_int_eq(in->waits[i], va_arg(expected, int));
    va_end(expected);
}

static kpar_status check(kpar_program **programs, int n)
{
    return kpar_programs_check((const kpar_program *const *)programs, n);
}

static void assert_ok(kpar_status status) { ck_assert_msg(status == KPAR_OK, "%s", kpar_error_message()); }

static void assert_fails(kpar_status status, const char *a, const char *b)
{
    ck_assert_int_eq(status, KPAR_EINTERNAL);
    ck_assert_msg(strstr(kpar_error_message(), a) != NULL, "'%s' is not in: %s", a, kpar_error_message());
    ck_assert_msg(strstr(kpar_error_message(), b) != NULL, "'%s' is not in: %s", b, kpar_error_message());
}

static void destroy(kpar_program **programs, int n)
{
    for (int i = 0; i < n; i++) kpar_program_destroy(programs[i]);
}

START_TEST(reads_wait_for_the_last_write_of_another_lane)
{
    kpar_program *p = program(0, 2);
    kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(16, 16));
    kernel(p, KPAR_LANE_COMPUTE, own(16, 16), own(32, 16));
    int s = send(p, 1, 0, own(32, 16));
    int other = kernel(p, KPAR_LANE_COMPUTE, own(16, 16), own(48, 16));
    kpar_program_order(p);
    assert_waits(p, s, 1, 1);
    assert_waits(p, 1, 0);
    assert_waits(p, other, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(a_write_waits_for_the_send_that_still_reads)
{
    kpar_program *p = program(0, 2);
    int a = send(p, 1, 0, own(0, 64)), b = send(p, 1, 1, own(32, 64));
    int w = kernel(p, KPAR_LANE_COMPUTE, own(128, 16), own(16, 32));
    int again = kernel(p, KPAR_LANE_COMPUTE, own(128, 16), own(16, 32));
    kpar_program_order(p);
    assert_waits(p, w, 2, a, b);
    assert_waits(p, again, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(asynchronous_instructions_are_waited_for_in_their_own_lane)
{
    kpar_program *p = program(0, 2);
    int r = receive(p, 1, 0, own(0, 16));
    int s = send(p, 1, 1, own(0, 16));
    int again = receive(p, 1, 0, own(0, 16));
    kpar_program_order(p);
    assert_waits(p, s, 1, r);
    assert_waits(p, again, 1, s);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(what_another_wait_implies_is_left_out)
{
    kpar_program *p = program(0, 2);
    int r = receive(p, 1, 0, own(0, 16));
    kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(16, 16));
    int k = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(32, 16));
    int again = receive(p, 1, 0, own(0, 16));
    int s = send(p, 1, 0, own(16, 16));
    kpar_program_order(p);
    assert_waits(p, 1, 1, r);
    assert_waits(p, k, 0);
    assert_waits(p, again, 1, k);
    assert_waits(p, s, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(the_start_is_a_list_of_its_own)
{
    kpar_program *p = program(0, 2);
    receive(p, 1, 0, own(0, 16));
    p->n_start = 1;
    int k = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(16, 16));
    kpar_program_order(p);
    assert_waits(p, k, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(a_signal_waits_for_everything_before_it)
{
    kpar_program *p = program(0, 2);
    int s = send(p, 1, 0, own(0, 16));
    kernel(p, KPAR_LANE_COMPUTE, own(32, 16), own(64, 16));
    int k = kernel(p, KPAR_LANE_COMPUTE, own(32, 16), own(96, 16));
    int g = signal_flag(p, 0), g2 = signal_flag(p, 1);
    kpar_program_order(p);
    assert_waits(p, g, 2, s, k);
    assert_waits(p, g2, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(what_touches_windows_waits_for_a_wait)
{
    kpar_program *p = program(0, 2);
    int w = wait_flag(p, 1, 0);
    int reads = kernel(p, KPAR_LANE_COMPUTE, of(1, 0, 16), own(16, 16));
    int later = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(32, 16));
    int s = send(p, 1, 0, own(64, 16));
    kpar_program_order(p);
    assert_waits(p, reads, 1, w);
    assert_waits(p, later, 0);
    assert_waits(p, s, 0);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(flags_with_places_guard_only_these)
{
    kpar_program *p = program(0, 2);
    const kpar_place published = own(16, 16), guarded = of(1, 64, 16);
    int a = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(16, 16));
    int b = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(32, 16));
    int g = flag_on(p, KPAR_INSTRUCTION_SIGNAL, 0, 0, 1, &published);
    int w = flag_on(p, KPAR_INSTRUCTION_WAIT, 1, 0, 1, &guarded);
    int free_of_it = kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(48, 16));
    int reads = kernel(p, KPAR_LANE_COMPUTE, of(1, 72, 8), own(64, 8));
    kpar_program_order(p);
    (void)b;
    assert_waits(p, g, 1, a);
    assert_waits(p, free_of_it, 0);
    assert_waits(p, reads, 1, w);
    kpar_program_destroy(p);
}
END_TEST

/* Two stages: rank 0 computes and sends, rank 1 receives and computes. */
static void pipeline(kpar_program **programs, int microbatches)
{
    programs[0] = program(0, 2);
    programs[1] = program(1, 2);
    for (int m = 0; m < microbatches; m++) {
        kernel(programs[0], KPAR_LANE_COMPUTE, own(0, 16), own(64, 16));
        send(programs[0], 1, 0, own(64, 16));
        receive(programs[1], 0, 0, own(0, 16));
        kernel(programs[1], KPAR_LANE_COMPUTE, own(0, 16), own(64, 16));
    }
    kpar_program_order(programs[0]);
    kpar_program_order(programs[1]);
}

/* Without the waits of an instruction. */
static void remove_waits(kpar_program *p, int index) { p->instructions[index].n_waits = 0; }

START_TEST(a_right_pipeline_passes)
{
    kpar_program *programs[2];
    pipeline(programs, 4);
    assert_ok(check(programs, 2));
    destroy(programs, 2);
}
END_TEST

START_TEST(every_missing_token_is_found)
{
    kpar_program *programs[2];
    int removed = 0;
    for (int rank = 0; rank < 2; rank++)
        for (int i = 0; i < 8; i++) {
            pipeline(programs, 4);
            if (programs[rank]->instructions[i].n_waits > 0) {
                remove_waits(programs[rank], i);
                char name[16];
                snprintf(name, sizeof name, "rank %d", rank);
                assert_fails(check(programs, 2), name, "nothing orders them");
                removed++;
            }
            destroy(programs, 2);
        }
    ck_assert_int_ge(removed, 10);
}
END_TEST

/* Random kernels and messages over a small memory on rank 0; rank 1 is the other end of the messages. */
static void scramble(kpar_program **programs, uint64_t seed)
{
    uint64_t drawn = 0;
    programs[0] = program(0, 2);
    programs[1] = program(1, 2);
    for (int i = 0; i < 24; i++) {
        uint32_t words[4];
        kpar_philox(seed, drawn++, 0, words);
        kpar_place a = own(words[0] % 8 * 8, 16), b = own(words[1] % 8 * 8, 16),
                   elsewhere = own(16 * (size_t)i, 16);
        if (words[2] % 4 == 0) {
            send(programs[0], 1, 0, a);
            receive(programs[1], 0, 0, elsewhere);
        } else if (words[2] % 4 == 1) {
            receive(programs[0], 1, 1, a);
            send(programs[1], 0, 1, elsewhere);
        } else {
            kernel(programs[0], words[2] % 4 == 2 ? KPAR_LANE_COMPUTE : KPAR_LANE_COMM, a, b);
        }
    }
    kpar_program_order(programs[0]);
    kpar_program_order(programs[1]);
}

START_TEST(waits_are_enough_and_each_is_needed)
{
    kpar_program *programs[2];
    for (uint64_t seed = 0; seed < 300; seed++) {
        scramble(programs, seed);
        assert_ok(check(programs, 2));
        for (size_t i = 0; i < programs[0]->n_instructions; i++) {
            kpar_instruction *in = &programs[0]->instructions[i];
            for (int w = 0; w < in->n_waits; w++) {
                const kpar_instruction whole = *in;
                int fewer[24];
                memcpy(fewer, in->waits, (size_t)in->n_waits * sizeof(int));
                fewer[w] = fewer[--in->n_waits];
                in->waits = fewer;
                assert_fails(check(programs, 2), "rank 0", "nothing orders them");
                *in = whole;
            }
        }
        destroy(programs, 2);
    }
}
END_TEST

START_TEST(sizes_of_messages_must_agree)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    send(programs[0], 1, 0, own(0, 16));
    send(programs[0], 1, 0, own(16, 32));
    receive(programs[1], 0, 0, own(16, 32));
    receive(programs[1], 0, 0, own(0, 16));
    assert_fails(check(programs, 2), "rank 0, instruction 0", "rank 1, instruction 0");
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "16 bytes are sent and 32 received"));
    destroy(programs, 2);
}
END_TEST

START_TEST(messages_without_counterpart_are_refused)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    send(programs[0], 1, 7, own(0, 16));
    assert_fails(check(programs, 2), "rank 0, instruction 0", "rank 1 has no receive");
    receive(programs[1], 0, 7, own(0, 16));
    assert_ok(check(programs, 2));
    receive(programs[1], 0, 8, own(32, 16));
    assert_fails(check(programs, 2), "rank 1, instruction 1", "rank 0 has no send");
    destroy(programs, 2);
}
END_TEST

START_TEST(a_wait_without_signal_is_refused)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    wait_flag(programs[0], 1, 0);
    assert_fails(check(programs, 2), "rank 0, instruction 0", "rank 1 has no signal");
    destroy(programs, 2);
}
END_TEST

START_TEST(two_sends_that_block_each_other_are_a_deadlock)
{
    kpar_program *programs[2];
    for (int rank = 0; rank < 2; rank++) {
        programs[rank] = program(rank, 2);
        send(programs[rank], 1 - rank, 0, own(0, 16));
        receive(programs[rank], 1 - rank, 0, own(0, 16));
        kpar_program_order(programs[rank]);
    }
    assert_fails(check(programs, 2), "rank 0, instruction 0", "rank 1, instruction 0");
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "deadlock"));
    destroy(programs, 2);
}
END_TEST

START_TEST(a_swapped_send_and_receive_is_refused_naming_both_ranks)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    /* right: rank 0 sends, then receives what rank 1 made of it */
    send(programs[0], 1, 0, own(0, 16));
    receive(programs[0], 1, 1, own(16, 16));
    send(programs[1], 0, 1, own(0, 16));
    receive(programs[1], 0, 0, own(0, 16));
    kpar_program_order(programs[0]);
    kpar_program_order(programs[1]);
    assert_ok(check(programs, 2));
    destroy(programs, 2);
    programs[0] = program(0, 2);
    programs[1] = program(1, 2);
    receive(programs[0], 1, 1, own(16, 16));
    send(programs[0], 1, 0, own(16, 16));
    receive(programs[1], 0, 0, own(0, 16));
    send(programs[1], 0, 1, own(0, 16));
    kpar_program_order(programs[0]);
    kpar_program_order(programs[1]);
    assert_fails(check(programs, 2), "rank 0", "rank 1");
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "deadlock"));
    destroy(programs, 2);
}
END_TEST

START_TEST(flags_can_deadlock_too)
{
    kpar_program *programs[3];
    for (int rank = 0; rank < 3; rank++) {
        programs[rank] = program(rank, 3);
        wait_flag(programs[rank], (rank + 1) % 3, 0);
        signal_flag(programs[rank], 0);
        kpar_program_order(programs[rank]);
    }
    assert_fails(check(programs, 3), "deadlock", "sum/wait");
    destroy(programs, 3);
}
END_TEST

/* Windowed all-reduce over n ranks: everyone fills own(0), signals, waits for all, sums from all windows, signals that
 * he has read, waits until all have. */
static void windowed(kpar_program **programs, int n, bool last_wait)
{
    for (int rank = 0; rank < n; rank++) {
        kpar_program *p = programs[rank] = program(rank, n);
        kernel(p, KPAR_LANE_COMPUTE, own(256, 64), own(0, 64));
        signal_flag(p, 0);
        for (int peer = 0; peer < n; peer++)
            if (peer != rank) wait_flag(p, peer, 0);
        for (int peer = 0; peer < n; peer++) kernel(p, KPAR_LANE_COMM, of(peer, 0, 64), own(64, 64));
        signal_flag(p, 1);
        for (int peer = 0; peer < n && last_wait; peer++)
            if (peer != rank) wait_flag(p, peer, 1);
        kernel(p, KPAR_LANE_COMPUTE, own(64, 64), own(256, 64));
        kpar_program_order(p);
    }
}

START_TEST(a_windowed_sum_passes)
{
    kpar_program *programs[4];
    windowed(programs, 4, true);
    assert_ok(check(programs, 4));
    destroy(programs, 4);
}
END_TEST

START_TEST(a_race_from_one_run_to_the_next_is_found)
{
    kpar_program *programs[4];
    windowed(programs, 4, false);
    assert_fails(check(programs, 4), "in its run after", "nothing orders them");
    destroy(programs, 4);
}
END_TEST

START_TEST(a_read_through_a_window_without_a_wait_is_a_race)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    kernel(programs[0], KPAR_LANE_COMPUTE, own(64, 16), own(0, 16));
    kernel(programs[1], KPAR_LANE_COMPUTE, of(0, 8, 16), own(0, 16));
    assert_fails(check(programs, 2), "rank 0, instruction 0", "rank 1, instruction 0");
    destroy(programs, 2);
}
END_TEST

static int all_reduce(kpar_program *p, int group, size_t bytes)
{
    kpar_instruction i = instruction(KPAR_INSTRUCTION_COLLECTIVE, KPAR_LANE_COMM, "sum");
    const kpar_place place = own(0, bytes);
    i.places = &place;
    i.n_places = i.n_writes = 1;
    i.group = group;
    return kpar_program_append(p, &i);
}

START_TEST(collectives_join_their_group)
{
    static const int ranks[] = {0, 1};
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    for (int r = 0; r < 2; r++) all_reduce(programs[r], kpar_program_group(programs[r], ranks, 2), 16);
    assert_ok(check(programs, 2));
    all_reduce(programs[0], 0, 16);
    assert_fails(check(programs, 2), "rank 0, instruction 1", "rank 1 has no collective");
    all_reduce(programs[1], 0, 32);
    assert_fails(check(programs, 2), "rank 0, instruction 1", "rank 1, instruction 1");
    destroy(programs, 2);
}
END_TEST

START_TEST(one_program_is_checked_by_itself)
{
    kpar_program *p = program(0, 2);
    kernel(p, KPAR_LANE_COMPUTE, own(0, 16), own(4090, 16));
    assert_fails(kpar_program_check(p), "instruction 0", "ends behind the arena");
    p->instructions[0].n_places = 1;
    assert_fails(kpar_program_check(p), "instruction 0", "a place for each");
    p->n_instructions = 0;
    kernel(p, KPAR_LANE_COMPUTE, own(0, 16), of(1, 0, 16));
    assert_fails(kpar_program_check(p), "instruction 0", "peer's memory");
    p->n_instructions = 0;
    signal_flag(p, 0);
    signal_flag(p, 0);
    assert_fails(kpar_program_check(p), "instruction 1", "earlier signal");
    kpar_program_destroy(p);
}
END_TEST

/* A chain of small kernels and messages that reuse a small arena; every rank the same. */
static void many(kpar_program **programs, int n, int length)
{
    for (int rank = 0; rank < n; rank++) {
        kpar_program *p = programs[rank] = program(rank, n);
        for (int i = 0; i < length / 4; i++) {
            size_t at = (size_t)(i * 37 % 100) * 16;
            kernel(p, KPAR_LANE_COMPUTE, own(at, 32), own(2048 + at, 32));
            send(p, (rank + 1) % n, i % 7, own(2048 + at, 16));
            receive(p, (rank + n - 1) % n, i % 7, own(at, 16));
            kernel(p, KPAR_LANE_COMPUTE, own(at, 16), own(at, 16));
        }
        kpar_program_order(p);
    }
}

START_TEST(many_ranks_with_many_instructions_are_checked)
{
    enum { N = 64 };
    kpar_program *programs[N];
    many(programs, N, 1000);
    assert_ok(check(programs, N));
    programs[11]->instructions[501].n_waits = 0;
    assert_fails(check(programs, N), "rank 11, instruction 50", "nothing orders them");
    destroy(programs, N);
}
END_TEST

/* Text. */

static kpar_program *rich_program(void)
{
    static const int group[] = {0, 2, 3};
    static const size_t counts[] = {1, 2, 3};
    kpar_program *p = program(2, 4);
    p->state_bytes = 64;
    p->rows = 8;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x sum =
        kpar_x_add(e, kpar_x_input(e, 0), kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, 0.1)));
    const kpar_tensor_spec tensors[] = {{.dtype = KPAR_F32, .rank = 2, .dims = {2, 3}},
                                        {.dtype = KPAR_F64, .rank = 0},
                                        {.dtype = KPAR_F32, .rank = 2, .dims = {2, 3}}};
    kpar_kernel_spec spec = {.op = KPAR_OP_MAP,
                             .n_inputs = 2,
                             .n_outputs = 1,
                             .tensors = tensors,
                             .row_elements = 7,
                             .row_start = 3};
    spec.attributes.expression = kpar_expression_end(e, p->arena, &sum, 1);
    spec.attributes.start[1] = -4;
    spec.attributes.stop[0] = KPAR_TO_END;
    spec.attributes.shape = (kpar_shape){.rank = 2, .dims = {{2, true}, {3, false}}};
    spec.attributes.key = UINT64_MAX;
    spec.attributes.value = 1.0 / 3;
    spec.attributes.dtype = KPAR_I64;
    spec.attributes.accumulate = spec.attributes.transpose_b = true;
    kpar_instruction i =
        instruction(KPAR_INSTRUCTION_KERNEL, KPAR_LANE_COMPUTE, "a \"quoted\\\" name\nof = two lines {");
    const kpar_place places[] = {own(0, 24), of(3, 24, 8), own(32, 24)};
    i.kernel = kpar_program_kernel(p, &spec);
    i.places = places;
    i.n_places = 3;
    i.n_writes = 1;
    kpar_program_append(p, &i);
    p->n_start = 1;
    send(p, 3, 5, own(32, 24));
    receive(p, 3, 5, own(32, 24));
    signal_flag(p, 1);
    wait_flag(p, 1, 0);
    kpar_instruction c = instruction(KPAR_INSTRUCTION_COLLECTIVE, KPAR_LANE_COMM, "gather");
    const kpar_place gathered[] = {own(128, 16), own(64, 48)};
    c.collective = KPAR_COLLECTIVE_ALL_GATHER;
    c.reduction = KPAR_REDUCE_MAX;
    c.dtype = KPAR_F64;
    c.places = gathered;
    c.n_places = 2;
    c.n_writes = 1;
    c.group = kpar_program_group(p, group, 3);
    c.counts = counts;
    c.microbatch = -1;
    kpar_program_append(p, &c);
    KPAR_PUSH(p->slots, p->n_slots, p->slots_capacity) =
        (kpar_slot){.kind = KPAR_SLOT_VARIABLE,
                    .index = 4,
                    .microbatch = -1,
                    .tensor = tensors[0],
                    .slice = {.rank = 2, .start = {4, 0}, .size = {2, 3}},
                    .owner = true,
                    .place = own(0, 24)};
    kpar_program_order(p);
    assert_ok(kpar_program_check(p));
    return p;
}

START_TEST(what_is_dumped_reads_back_equal)
{
    kpar_program *p = rich_program(), *back;
    kpar_text a = {0}, b = {0};
    kpar_program_dump(p, &a);
    assert_ok(kpar_program_read(kpar_text_get(&a), &back));
    kpar_program_dump(back, &b);
    ck_assert_str_eq(kpar_text_get(&a), kpar_text_get(&b));
    ck_assert(kpar_program_hash(p) == kpar_program_hash(back));
    ck_assert_str_eq(back->instructions[0].what, p->instructions[0].what);
    ck_assert(back->kernels[0].attributes.stop[0] == KPAR_TO_END);
    back->instructions[1].channel = 6;
    ck_assert(kpar_program_hash(p) != kpar_program_hash(back));
    kpar_text_clear(&a);
    kpar_text_clear(&b);
    kpar_program_destroy(p);
    kpar_program_destroy(back);
}
END_TEST

START_TEST(malformed_text_is_refused_with_its_line)
{
#define HEADER "program rank=0 world=2 arena=64 state=0 flags=1 microbatches=1 rows=1 start=0\n"
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1"},
        {"group index=0 ranks=0\n", "line 1"},
        {"program rank=0\n", "line 1: expected the field 'world'"},
        {"program rank=0 rank=0 world=1\n", "line 1: expected each field once"},
        {"program rank=x world=1\n", "line 1: field 'rank'"},
        {"program rank=99999999999999999999 world=1\n", "line 1: field 'rank'"},
        {HEADER HEADER, "line 2"},
        {HEADER "nonsense\n", "line 2"},
        {HEADER "group index=1 ranks=0\n", "line 2: expected index 0, found 1"},
        {HEADER "group index=0 ranks=0,,1\n", "line 2: field 'ranks'"},
        {HEADER "kernel index=0 op=what\n", "line 2: field 'op'"},
        {HEADER "kernel index=0 op=map inputs=float32(1,2\n", "line 2: field 'inputs'"},
        {HEADER "kernel index=0 op=map inputs=float32(1,1,1,1,1,1,1,1,1)\n", "line 2: field 'inputs'"},
        {HEADER "kernel index=0 op=map shape=1,1,1,1,1,1,1,1,1\n", "line 2"},
        {HEADER "kernel index=0 op=map permutation=0,1,2,3,4,5,6,7,8\n", "line 2"},
        {HEADER "kernel index=0 op=map expression={1: input 3 -> %0}\n", "line 2: field 'expression'"},
        {HEADER "kernel index=0 op=map expression={1: input\n", "line 2"},
        {HEADER "kernel index=0 op=map colour=blue\n", "line 2"},
        {HEADER "instruction index=0 kind=send lane=comm phase=update microbatch=0 layer=\"x what=\"y\"\n",
         "line 2"},
        {HEADER "instruction index=0 kind=send lane=comm phase=update microbatch=0 layer=\"\" what=\"\\",
         "line 2"},
        {HEADER "instruction index=0 kind=collective lane=comm phase=update microbatch=0 counts=1 group=5 "
                "layer=\"\" what=\"\"",
         "line 2"},
        {HEADER "instruction index=0 kind=send lane=comm phase=update microbatch=0 layer=\"\" what=\"\"",
         "expected one place"},
        {HEADER
         "instruction index=0 kind=kernel lane=comm phase=update microbatch=0 kernel=3 layer=\"\" what=\"\"",
         "no such kernel"},
        {HEADER "slot kind=label index=0 microbatch=0 tensor=float32(4) place=60+16\n", "slot 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kpar_program *p;
        ck_assert_int_eq(kpar_program_read(cases[i].text, &p), KPAR_EFORMAT);
        ck_assert_ptr_null(p);
        ck_assert_msg(strstr(kpar_error_message(), cases[i].message) != NULL, "%s: %s", cases[i].text,
                      kpar_error_message());
    }
}
END_TEST

START_TEST(damaged_text_never_crashes)
{
    kpar_program *p = rich_program(), *back;
    kpar_text text = {0};
    kpar_program_dump(p, &text);
    static const char bytes[] = "9 =\",+:(){}-\n";
    for (size_t i = 0; i < text.length; i++) {
        char kept = text.bytes[i];
        text.bytes[i] = bytes[i % (sizeof bytes - 1)];
        if (kpar_program_read(text.bytes, &back) == KPAR_OK) kpar_program_destroy(back);
        text.bytes[i] = '\0';
        if (kpar_program_read(text.bytes, &back) == KPAR_OK) kpar_program_destroy(back);
        text.bytes[i] = kept;
    }
    kpar_text_clear(&text);
    kpar_program_destroy(p);
}
END_TEST

START_TEST(equal_kernels_are_one)
{
    kpar_program *p = program(0, 1);
    for (int round = 0; round < 2; round++)
        for (int n = 0; n < 200; n++) ck_assert_int_eq(copy_kernel(p, n, 1), n);
    ck_assert_int_eq(copy_kernel(p, 3, 2), 200);
    ck_assert_uint_eq(p->n_kernels, 201);
    kpar_program_destroy(p);
}
END_TEST

/* Simulation: a kernel takes 1 s, a byte 1/16 s. */

static double one_second(const void *context, const kpar_kernel_spec *spec)
{
    (void)context, (void)spec;
    return 1;
}

static double sixteen_bytes_a_second(const void *context, int from, int to, size_t bytes)
{
    (void)context;
    ck_assert_int_ne(from, to);
    return (double)bytes / 16;
}

static const kpar_costs costs = {one_second, sixteen_bytes_a_second, NULL};

static void simulate(kpar_program **programs, int n, kpar_simulated_rank *ranks)
{
    assert_ok(kpar_programs_simulate((const kpar_program *const *)programs, n, &costs, ranks));
}

START_TEST(a_pipeline_takes_its_bubble)
{
    kpar_program *programs[2];
    kpar_simulated_rank ranks[2];
    pipeline(programs, 3);
    simulate(programs, 2, ranks);
    /* The one buffer is used in turn: kernel, message, kernel ... on rank 0; rank 1 computes while rank 0 does. */
    ck_assert_double_eq(ranks[0].end_seconds, 6);
    ck_assert_double_eq(ranks[1].end_seconds, 7);
    ck_assert_double_eq(ranks[0].compute_seconds, 3);
    ck_assert_double_eq(ranks[1].compute_seconds, 3);
    ck_assert_uint_eq(ranks[0].sent_bytes, 48);
    ck_assert_uint_eq(ranks[1].sent_bytes, 0);
    destroy(programs, 2);
}
END_TEST

START_TEST(messages_hide_behind_kernels_and_share_a_port)
{
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    kpar_simulated_rank ranks[2];
    for (int i = 0; i < 2; i++) {
        send(programs[0], 1, i, own(16 * (size_t)i, 16));
        receive(programs[1], 0, i, own(16 * (size_t)i, 16));
    }
    for (int i = 0; i < 3; i++) kernel(programs[0], KPAR_LANE_COMPUTE, own(64, 16), own(128, 16));
    kernel(programs[1], KPAR_LANE_COMPUTE, own(16, 16), own(64, 16));
    kpar_program_order(programs[0]);
    kpar_program_order(programs[1]);
    simulate(programs, 2, ranks);
    ck_assert_double_eq(ranks[0].end_seconds, 3);
    ck_assert_double_eq(ranks[1].end_seconds, 3); /* 1 + 1 for the two messages, then the kernel */
    destroy(programs, 2);
}
END_TEST

START_TEST(windows_and_collectives_cost_what_they_move)
{
    static const int group[] = {0, 1};
    kpar_program *programs[2] = {program(0, 2), program(1, 2)};
    kpar_simulated_rank ranks[2];
    kernel(programs[0], KPAR_LANE_COMPUTE, of(1, 64, 16), own(64, 16));
    for (int r = 0; r < 2; r++) all_reduce(programs[r], kpar_program_group(programs[r], group, 2), 32);
    simulate(programs, 2, ranks);
    ck_assert_double_eq(ranks[0].end_seconds,
                        2); /* the kernel; the ring's two turns of half the bytes beside it */
    ck_assert_double_eq(ranks[1].end_seconds, 2);
    ck_assert_uint_eq(ranks[0].sent_bytes, 16 + 32);
    ck_assert_uint_eq(ranks[1].sent_bytes, 32);
    destroy(programs, 2);
}
END_TEST

START_TEST(a_rank_has_one_thread_for_the_kernels_of_all_lanes)
{
    kpar_program *programs[1] = {program(0, 1)};
    kpar_simulated_rank ranks[1];
    kernel(programs[0], KPAR_LANE_COMPUTE, own(0, 16), own(16, 16));
    kernel(programs[0], KPAR_LANE_COMM, own(32, 16), own(48, 16));
    kpar_program_order(programs[0]);
    simulate(programs, 1, ranks);
    ck_assert_double_eq(ranks[0].end_seconds, 2);
    ck_assert_double_eq(ranks[0].compute_seconds, 1);
    destroy(programs, 1);
}
END_TEST

static Suite *suite(void)
{
    const struct {
        const char *name;
        const TTest *tests[16];
    } cases[] = {
        {"order",
         {reads_wait_for_the_last_write_of_another_lane, a_write_waits_for_the_send_that_still_reads,
          asynchronous_instructions_are_waited_for_in_their_own_lane, what_another_wait_implies_is_left_out,
          the_start_is_a_list_of_its_own, a_signal_waits_for_everything_before_it,
          what_touches_windows_waits_for_a_wait, flags_with_places_guard_only_these}},
        {"check",
         {a_right_pipeline_passes, every_missing_token_is_found, waits_are_enough_and_each_is_needed,
          sizes_of_messages_must_agree, messages_without_counterpart_are_refused,
          a_wait_without_signal_is_refused, two_sends_that_block_each_other_are_a_deadlock,
          a_swapped_send_and_receive_is_refused_naming_both_ranks, flags_can_deadlock_too,
          a_windowed_sum_passes, a_race_from_one_run_to_the_next_is_found,
          a_read_through_a_window_without_a_wait_is_a_race, collectives_join_their_group,
          one_program_is_checked_by_itself, many_ranks_with_many_instructions_are_checked}},
        {"text",
         {what_is_dumped_reads_back_equal, malformed_text_is_refused_with_its_line,
          damaged_text_never_crashes, equal_kernels_are_one}},
        {"simulate",
         {a_pipeline_takes_its_bubble, messages_hide_behind_kernels_and_share_a_port,
          windows_and_collectives_cost_what_they_move, a_rank_has_one_thread_for_the_kernels_of_all_lanes}},
    };
    Suite *s = suite_create("program");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *c = tcase_create(cases[i].name);
        tcase_set_timeout(c, 120);
        for (size_t t = 0; t < 16 && cases[i].tests[t]; t++) tcase_add_test(c, cases[i].tests[t]);
        suite_add_tcase(s, c);
    }
    return s;
}

int main(void) { return run_suite(suite()); }
