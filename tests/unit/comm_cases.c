/* Cases for all transports. Collective calls are made by all ranks in the same order, whatever their
 * number. */
#include "comm_cases.h"

#include "base/memory.h"
#include "tensor/dtype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char failure[1024];

static const char *failed(const char *file, int line, const char *what)
{
    snprintf(failure, sizeof failure, "%s:%d: %s (last error: %s)", file, line, what, kpar_error_message());
    return failure;
}

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) return failed(__FILE__, __LINE__, #condition);                                     \
    } while (0)
#define EXPECT_OK(call) EXPECT((call) == KPAR_OK)
#define EXPECT_CASE(call)                                                                                    \
    do {                                                                                                     \
        const char *expect_case_ = (call);                                                                   \
        if (expect_case_) return expect_case_;                                                               \
    } while (0)

static kpar_status wait_for(kpar_comm *comm, kpar_request **request)
{
    for (bool done = false; !done;) {
        KPAR_TRY(kpar_comm_progress(comm, request, &done));
        if (!done) kpar_comm_yield(comm);
    }
    return KPAR_OK;
}

/* The byte that rank `rank` sends at position `i`. */
static unsigned char byte_of(int rank, size_t i)
{
    return (unsigned char)((size_t)rank * 131 + i * 7 + i / 251);
}

static unsigned char *filled(int rank, size_t bytes)
{
    unsigned char *data = kpar_alloc(bytes);
    for (size_t i = 0; i < bytes; i++) data[i] = byte_of(rank, i);
    return data;
}

static bool is_filled(const unsigned char *data, int rank, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != byte_of(rank, i)) return false;
    return true;
}

static const char *ranks_know_their_node(kpar_comm *comm)
{
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm), node = kpar_comm_node(comm, rank);
    int before = 0, there = 0;
    EXPECT(rank >= 0 && rank < size);
    EXPECT(kpar_comm_node(comm, 0) == 0);
    for (int r = 0; r < size; r++) {
        const bool same = kpar_comm_node(comm, r) == node;
        before += same && r < rank;
        there += same;
        EXPECT(r == rank ? kpar_comm_shares(comm, rank, r) : same || !kpar_comm_shares(comm, rank, r));
        EXPECT(kpar_comm_shares(comm, r, rank) == kpar_comm_shares(comm, rank, r));
    }
    EXPECT(kpar_comm_local_rank(comm) == before);
    EXPECT(kpar_comm_local_size(comm) == there);
    return NULL;
}

static const char *gathers(kpar_comm *comm, size_t bytes)
{
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    unsigned char *own = filled(rank, bytes), *all = kpar_alloc(bytes * (size_t)size);
    EXPECT_OK(kpar_comm_all_gather(comm, own, all, bytes));
    for (int r = 0; r < size; r++) EXPECT(is_filled(all + (size_t)r * bytes, r, bytes));
    memset(all, 0, bytes * (size_t)size);
    if (bytes) memcpy(all + (size_t)rank * bytes, own, bytes);
    EXPECT_OK(kpar_comm_all_gather(comm, all + (size_t)rank * bytes, all, bytes)); /* in place */
    for (int r = 0; r < size; r++) EXPECT(is_filled(all + (size_t)r * bytes, r, bytes));
    kpar_free(own);
    kpar_free(all);
    return NULL;
}

static const char *gathering_brings_every_rank_everything(kpar_comm *comm)
{
    static const size_t sizes[] = {0, 1, 8, 4099, 300007};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) EXPECT_CASE(gathers(comm, sizes[s]));
    return NULL;
}

static const char *broadcasts_come_from_any_root(kpar_comm *comm)
{
    enum { BYTES = 70001 };
    for (int root = 0; root < kpar_comm_size(comm); root++) {
        unsigned char *data = filled(kpar_comm_rank(comm), BYTES);
        EXPECT_OK(kpar_comm_broadcast(comm, data, BYTES, root));
        EXPECT(is_filled(data, root, BYTES));
        EXPECT_OK(kpar_comm_broadcast(comm, data, 0, root));
        kpar_free(data);
    }
    return NULL;
}

static const char *sums_have_the_bits_of_adding_in_rank_order(kpar_comm *comm)
{
    double own[3], expected[3] = {0};
    for (int i = 0; i < 3; i++) own[i] = 0.1 * (kpar_comm_rank(comm) + 1) * (i == 2 ? 1e17 : 1);
    for (int r = 0; r < kpar_comm_size(comm); r++)
        for (int i = 0; i < 3; i++) {
            double term = 0.1 * (r + 1) * (i == 2 ? 1e17 : 1);
            expected[i] = r == 0 ? term : expected[i] + term;
        }
    EXPECT_OK(kpar_comm_sum(comm, own, 3));
    EXPECT(memcmp(own, expected, sizeof own) == 0);
    EXPECT_OK(kpar_comm_sum(comm, own, 0));
    return NULL;
}

static const char *all_agree_on_the_lowest_failing_rank(kpar_comm *comm)
{
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    EXPECT_OK(kpar_comm_agree(comm, KPAR_OK));
    for (int first = 0; first < size; first++) {
        char expected[64];
        kpar_status own = KPAR_OK;
        if (rank >= first)
            own = kpar_fail(rank == first ? KPAR_EDATA : KPAR_EIO, "rank %d has 100%% of it", rank);
        snprintf(expected, sizeof expected, "rank %d has 100%% of it", first);
        EXPECT(kpar_comm_agree(comm, own) == KPAR_EDATA);
        EXPECT(strcmp(kpar_error_message(), expected) == 0);
    }
    EXPECT_OK(kpar_comm_agree(comm, KPAR_OK));
    return NULL;
}

static const char *blocking_messages_arrive(kpar_comm *comm)
{
    static const size_t sizes[] = {0, 5, 65536, 3000001};
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned char *data = filled(rank, sizes[s]);
        if (rank > 0) EXPECT_OK(kpar_comm_send(comm, data, sizes[s], 0));
        for (int r = 1; rank == 0 && r < size; r++) {
            EXPECT_OK(kpar_comm_receive(comm, data, sizes[s], r));
            EXPECT(is_filled(data, r, sizes[s]));
        }
        kpar_free(data);
    }
    return NULL;
}

/* Every rank to every rank, itself included, on channels of their own, received in another order than
 * sent. */
static const char *crossing(kpar_comm *comm, size_t bytes)
{
    enum { CHANNELS = 3, RANKS = 16 };
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    kpar_request *sends[RANKS * CHANNELS] = {0}, *receives[RANKS * CHANNELS] = {0};
    unsigned char *out[CHANNELS], *in[RANKS * CHANNELS];
    EXPECT(size <= RANKS);
    for (int c = 0; c < CHANNELS; c++) out[c] = filled(rank * CHANNELS + c, bytes);
    for (int r = 0; r < size; r++)
        for (int c = 0; c < CHANNELS; c++)
            EXPECT_OK(kpar_comm_start_send(comm, out[c], bytes, r, 10 * c, &sends[r * CHANNELS + c]));
    for (int k = size * CHANNELS - 1; k >= 0; k--) {
        in[k] = kpar_alloc(bytes);
        EXPECT_OK(
            kpar_comm_start_receive(comm, in[k], bytes, k / CHANNELS, 10 * (k % CHANNELS), &receives[k]));
    }
    for (int k = 0; k < size * CHANNELS; k++) {
        EXPECT_OK(wait_for(comm, &receives[k]));
        EXPECT(!receives[k]);
        EXPECT(is_filled(in[k], k, bytes));
        kpar_free(in[k]);
    }
    for (int k = 0; k < size * CHANNELS; k++) EXPECT_OK(wait_for(comm, &sends[k]));
    for (int c = 0; c < CHANNELS; c++) kpar_free(out[c]);
    return NULL;
}

static const char *messages_match_by_channel(kpar_comm *comm)
{
    static const size_t sizes[] = {0, 1, 1000, 100003};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) EXPECT_CASE(crossing(comm, sizes[s]));
    return NULL;
}

static const char *messages_on_a_channel_keep_their_order(kpar_comm *comm)
{
    enum { MESSAGES = 200 };
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    const int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    kpar_request *sends[MESSAGES], *receives[MESSAGES];
    int out[MESSAGES], in[MESSAGES];
    for (int i = 0; i < MESSAGES; i++) {
        out[i] = rank * MESSAGES + i;
        EXPECT_OK(kpar_comm_start_send(comm, &out[i], sizeof out[i], next, 4, &sends[i]));
        EXPECT_OK(kpar_comm_start_receive(comm, &in[i], sizeof in[i], previous, 4, &receives[i]));
    }
    for (int i = MESSAGES - 1; i >= 0; i--) {
        EXPECT_OK(wait_for(comm, &sends[i]));
        EXPECT_OK(wait_for(comm, &receives[i]));
        EXPECT(in[i] == previous * MESSAGES + i);
    }
    return NULL;
}

static const char *a_window_is_zeroed(const kpar_comm *comm, const unsigned char *arena, size_t bytes)
{
    EXPECT(arena && (uintptr_t)arena % 64 == 0);
    EXPECT(kpar_comm_window_of(comm, kpar_comm_rank(comm)) == arena);
    for (size_t i = 0; i < bytes; i++) EXPECT(arena[i] == 0);
    return NULL;
}

static bool reaches(const kpar_comm *comm, int rank)
{
    return kpar_comm_shares(comm, kpar_comm_rank(comm), rank);
}

/* Each writes, says so, reads those it shares with, says so, and waits for their having read. */
static const char *neighbours_read(kpar_comm *comm, unsigned char *arena, size_t bytes, uint64_t turn)
{
    const int rank = kpar_comm_rank(comm), size = kpar_comm_size(comm);
    for (size_t i = 0; i < bytes; i++) arena[i] = byte_of(rank + (int)turn, i);
    kpar_comm_flag_set(comm, 0, turn);
    for (int r = 0; r < size; r++) {
        if (!reaches(comm, r)) continue;
        while (kpar_comm_flag_get(comm, r, 0) < turn) kpar_comm_yield(comm);
        EXPECT(is_filled(kpar_comm_window_of(comm, r), r + (int)turn, bytes));
    }
    kpar_comm_flag_set(comm, 2, turn);
    for (int r = 0; r < size; r++)
        while (reaches(comm, r) && kpar_comm_flag_get(comm, r, 2) < turn) kpar_comm_yield(comm);
    return NULL;
}

static const char *windows_reach_the_ranks_of_the_node(kpar_comm *comm)
{
    static const size_t sizes[] = {0, 1, 50000};
    const int size = kpar_comm_size(comm);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        void *arena;
        EXPECT_OK(kpar_comm_window_create(comm, sizes[s], 3, &arena));
        EXPECT_CASE(a_window_is_zeroed(comm, arena, sizes[s]));
        for (int r = 0; r < size; r++) EXPECT((kpar_comm_window_of(comm, r) != NULL) == reaches(comm, r));
        for (int r = 0; r < size; r++) EXPECT(!reaches(comm, r) || kpar_comm_flag_get(comm, r, 1) == 0);
        for (uint64_t turn = 1; turn <= 20; turn++) EXPECT_CASE(neighbours_read(comm, arena, sizes[s], turn));
        kpar_comm_window_destroy(comm);
    }
    return NULL;
}

static const char *a_window_that_is_too_large_is_an_error_on_all_ranks(kpar_comm *comm)
{
    const int last = kpar_comm_size(comm) - 1;
    void *arena;
    kpar_status status =
        kpar_comm_window_create(comm, kpar_comm_rank(comm) == last ? SIZE_MAX : 100, 1, &arena);
    EXPECT(status == KPAR_ENOMEM && !arena);
    EXPECT(!kpar_comm_window_of(comm, kpar_comm_rank(comm)));
    EXPECT_OK(kpar_comm_window_create(comm, 100, 1, &arena));
    EXPECT_CASE(a_window_is_zeroed(comm, arena, 100));
    kpar_comm_window_destroy(comm);
    return NULL;
}

/* Whole collectives: an element of rank `rank`, small, so that all types add up exactly. */
static double value_of(int rank, size_t i) { return (double)((size_t)rank + i * 3 % 5 + 1); }

static double combined(const int *ranks, int n, size_t i, kpar_reduction reduction)
{
    double result = value_of(ranks[0], i);
    for (int m = 1; m < n; m++) {
        double value = value_of(ranks[m], i);
        if (reduction == KPAR_REDUCE_SUM)
            result += value;
        else if (reduction == KPAR_REDUCE_PRODUCT)
            result *= value;
        else if (reduction == KPAR_REDUCE_MAX ? value > result : value < result)
            result = value;
    }
    return result;
}

static double element(const void *data, kpar_dtype dtype, size_t i)
{
    double value;
    kpar_convert(&value, KPAR_F64, (const char *)data + i * kpar_dtype_bytes(dtype), dtype, 1);
    return value;
}

static void *typed(int rank, kpar_dtype dtype, size_t first, size_t count)
{
    char *data = kpar_alloc(count * kpar_dtype_bytes(dtype));
    for (size_t i = 0; i < count; i++) {
        double value = value_of(rank, first + i);
        kpar_convert(data + i * kpar_dtype_bytes(dtype), dtype, &value, KPAR_F64, 1);
    }
    return data;
}

enum { MEMBERS = 16 };

typedef struct job {
    int group, n, me; /* me: -1 if not a member */
    int ranks[MEMBERS];
    size_t counts[MEMBERS], offsets[MEMBERS], total;
} job;

/* A group with parts of uneven sizes, some of them empty. */
static const char *make_job(kpar_comm *comm, const int *ranks, int n, size_t scale, job *j)
{
    *j = (job){.n = n, .me = -1};
    for (int m = 0; m < n; m++) {
        j->ranks[m] = ranks[m];
        if (ranks[m] == kpar_comm_rank(comm)) j->me = m;
        j->offsets[m] = j->total;
        j->counts[m] = (size_t)((m + 1) % 3) * scale;
        j->total += j->counts[m];
    }
    EXPECT_OK(kpar_comm_group(comm, ranks, n, &j->group));
    return NULL;
}

static const char *reduces(kpar_comm *comm, const job *j, kpar_dtype dtype, kpar_reduction reduction,
                           bool in_place)
{
    const size_t bytes = kpar_dtype_bytes(dtype), part = j->counts[j->me], first = j->offsets[j->me];
    void *input = typed(j->ranks[j->me], dtype, 0, j->total), *all = kpar_alloc(j->total * bytes);
    void *own = kpar_alloc(part * bytes), *output = in_place ? input : all;
    kpar_request *a, *b;
    EXPECT_OK(kpar_comm_start_collective(comm, j->group, KPAR_COLLECTIVE_REDUCE_SCATTER, reduction, dtype,
                                         input, own, j->counts, j->total, &a));
    if (in_place) EXPECT_OK(wait_for(comm, &a)); /* else both are under way */
    EXPECT_OK(kpar_comm_start_collective(comm, j->group, KPAR_COLLECTIVE_ALL_REDUCE, reduction, dtype, input,
                                         output, NULL, j->total, &b));
    EXPECT_OK(wait_for(comm, &b));
    if (!in_place) EXPECT_OK(wait_for(comm, &a));
    for (size_t i = 0; i < part; i++)
        EXPECT(element(own, dtype, i) == combined(j->ranks, j->n, first + i, reduction));
    for (size_t i = 0; i < j->total; i++)
        EXPECT(element(output, dtype, i) == combined(j->ranks, j->n, i, reduction));
    kpar_free(input);
    kpar_free(all);
    kpar_free(own);
    return NULL;
}

static const char *gathers_parts(kpar_comm *comm, const job *j, kpar_dtype dtype, bool in_place)
{
    const size_t bytes = kpar_dtype_bytes(dtype), part = j->counts[j->me], first = j->offsets[j->me];
    void *own = typed(j->ranks[j->me], dtype, first, part);
    char *all = kpar_alloc_zeroed(j->total, bytes);
    const void *input = in_place ? memcpy(all + first * bytes, own, part * bytes) : own;
    kpar_request *request;
    EXPECT_OK(kpar_comm_start_collective(comm, j->group, KPAR_COLLECTIVE_ALL_GATHER, KPAR_REDUCE_SUM, dtype,
                                         input, all, j->counts, j->total, &request));
    EXPECT_OK(wait_for(comm, &request));
    for (int m = 0; m < j->n; m++) {
        void *expected = typed(j->ranks[m], dtype, j->offsets[m], j->counts[m]);
        EXPECT(memcmp(all + j->offsets[m] * bytes, expected, j->counts[m] * bytes) == 0);
        kpar_free(expected);
    }
    kpar_free(own);
    kpar_free(all);
    return NULL;
}

static bool adds_up(kpar_dtype dtype)
{
    return dtype != KPAR_F16 && dtype != KPAR_BF16 && dtype != KPAR_BOOL;
}

static const char *group_works(kpar_comm *comm, const job *j)
{
    if (j->me < 0) return NULL;
    for (int d = 0; d < KPAR_DTYPE_COUNT; d++) {
        const kpar_dtype dtype = (kpar_dtype)d;
        EXPECT_CASE(gathers_parts(comm, j, dtype, d % 2 == 0));
        if (!adds_up(dtype)) continue;
        for (int r = KPAR_REDUCE_SUM; r < KPAR_REDUCTION_COUNT; r++)
            if (r != KPAR_REDUCE_PRODUCT ||
                kpar_dtype_bytes(dtype) == 8) /* exact in narrower types no more */
                EXPECT_CASE(reduces(comm, j, dtype, (kpar_reduction)r, (d + r) % 2 == 0));
    }
    EXPECT_CASE(reduces(comm, j, KPAR_F32, KPAR_REDUCE_SUM, true));
    EXPECT_CASE(reduces(comm, j, KPAR_F32, KPAR_REDUCE_SUM, false));
    return NULL;
}

static const char *whole_collectives_serve_any_group(kpar_comm *comm)
{
    const int size = kpar_comm_size(comm);
    int all[MEMBERS], backwards[MEMBERS], even[MEMBERS], n_even = 0;
    job j;
    EXPECT(size <= MEMBERS);
    for (int r = 0; r < size; r++) {
        all[r] = r;
        backwards[r] = size - 1 - r;
        if (r % 2 == 0) even[n_even++] = r;
    }
    EXPECT_CASE(make_job(comm, all, size, 3, &j));
    EXPECT_CASE(group_works(comm, &j));
    EXPECT_CASE(make_job(comm, backwards, size, 700, &j));
    EXPECT_CASE(group_works(comm, &j));
    EXPECT_CASE(make_job(comm, even, n_even, 0, &j));
    EXPECT_CASE(group_works(comm, &j));
    EXPECT_CASE(make_job(comm, even, n_even, 1, &j));
    EXPECT_CASE(group_works(comm, &j));
    return NULL;
}

static const char *the_same_ranks_are_the_same_group(kpar_comm *comm)
{
    const int rank = kpar_comm_size(comm) - 1;
    int first, other, again;
    EXPECT_OK(kpar_comm_group(comm, &(int){0}, 1, &first));
    EXPECT_OK(kpar_comm_group(comm, &rank, 1, &other));
    EXPECT_OK(kpar_comm_group(comm, &(int){0}, 1, &again));
    EXPECT(again == first);
    EXPECT((other == first) == (rank == 0));
    return NULL;
}

static const char *half_precision_does_not_add_up(kpar_comm *comm)
{
    uint16_t data[2] = {0};
    kpar_request *request;
    int group;
    EXPECT_OK(kpar_comm_group(comm, &(int){0}, 1, &group));
    EXPECT(kpar_comm_start_collective(comm, group, KPAR_COLLECTIVE_ALL_REDUCE, KPAR_REDUCE_SUM, KPAR_BF16,
                                      data, data, NULL, 2, &request) == KPAR_EUNSUPPORTED);
    EXPECT(strstr(kpar_error_message(), "all_reduce") && strstr(kpar_error_message(), "bfloat16"));
    EXPECT(!request);
    return NULL;
}

static const char *turn_of_everything(kpar_comm *comm, const job *j)
{
    EXPECT_CASE(messages_on_a_channel_keep_their_order(comm));
    float values[8] = {0}, sums[8];
    kpar_request *requests[3];
    for (int k = 0; k < 3; k++)
        EXPECT_OK(kpar_comm_start_collective(comm, j->group, KPAR_COLLECTIVE_ALL_REDUCE, KPAR_REDUCE_SUM,
                                             KPAR_F32, values, sums + 2 * k, NULL, 2, &requests[k]));
    for (int k = 0; k < 3; k++) EXPECT_OK(wait_for(comm, &requests[k]));
    EXPECT_OK(kpar_comm_progress(comm, NULL, NULL));
    return NULL;
}

/* Threads share the counter, so that barriers keep each rank's turn apart from the others' reading. */
static const char *a_replay_allocates_nothing(kpar_comm *comm)
{
    int all[MEMBERS];
    job j;
    for (int r = 0; r < kpar_comm_size(comm); r++) all[r] = r;
    EXPECT_CASE(make_job(comm, all, kpar_comm_size(comm), 1, &j));
    for (int turn = 0; turn < 3; turn++) EXPECT_CASE(turn_of_everything(comm, &j));
    EXPECT_OK(kpar_comm_barrier(comm));
    const size_t before = kpar_alloc_total();
    EXPECT_OK(kpar_comm_barrier(comm));
    for (int turn = 0; turn < 10; turn++) EXPECT_CASE(turn_of_everything(comm, &j));
    EXPECT_OK(kpar_comm_barrier(comm));
    EXPECT(kpar_alloc_total() == before);
    EXPECT_OK(kpar_comm_barrier(comm));
    return NULL;
}

static const comm_case cases[] = {
#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    CASE(ranks_know_their_node),
    CASE(gathering_brings_every_rank_everything),
    CASE(broadcasts_come_from_any_root),
    CASE(sums_have_the_bits_of_adding_in_rank_order),
    CASE(all_agree_on_the_lowest_failing_rank),
    CASE(blocking_messages_arrive),
    CASE(messages_match_by_channel),
    CASE(messages_on_a_channel_keep_their_order),
    CASE(windows_reach_the_ranks_of_the_node),
    CASE(a_window_that_is_too_large_is_an_error_on_all_ranks),
    CASE(whole_collectives_serve_any_group),
    CASE(the_same_ranks_are_the_same_group),
    CASE(half_precision_does_not_add_up),
    CASE(a_replay_allocates_nothing),
#undef CASE
};

const comm_case *comm_cases(int *n)
{
    *n = sizeof cases / sizeof cases[0];
    return cases;
}
