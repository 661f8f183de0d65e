/* The message of a rank that waits for too long: for whom, and for what. */
#include "run/executor_internal.h"

#include <unistd.h>

static const kpar_instruction *instruction_at(const kpar_loaded *loaded, int index)
{
    return &loaded->program->instructions[index];
}

static void append_peer(kpar_text *text, const kpar_loaded *loaded, const kpar_instruction *in)
{
    if (in->kind != KPAR_INSTRUCTION_COLLECTIVE) {
        kpar_text_printf(text, "rank %d", in->peer);
        return;
    }
    const kpar_group *group = &loaded->program->groups[in->group];
    kpar_text_printf(text, "one of ranks %d to %d", group->ranks[0], group->ranks[group->n - 1]);
}

/* "for rank 1: receive 'dense_2/send' of microbatch 0 (instruction 7)" */
static void append_reason(kpar_text *text, const kpar_loaded *loaded, int index, int *n)
{
    enum { MOST = 4 };
    const kpar_instruction *in = instruction_at(loaded, index);
    if ((*n)++ >= MOST) return;
    kpar_text_printf(text, *n > 1 ? "; for " : " for ");
    append_peer(text, loaded, in);
    kpar_text_printf(text, ": %s '%s'", kpar_instruction_name(in->kind), in->what);
    if (in->microbatch >= 0) kpar_text_printf(text, " of microbatch %d", in->microbatch);
    kpar_text_printf(text, " (instruction %d)", index);
    if (*n == MOST) kpar_text_printf(text, "; ...");
}

kpar_status kpar_executor_stalled(const kpar_executor *executor, const kpar_loaded *loaded,
                                  const int heads[KPAR_LANE_COUNT], double seconds)
{
    char host[256] = "unknown";
    kpar_text text = {0};
    int n = 0;
    (void)gethostname(host, sizeof host - 1);
    kpar_text_printf(&text, "rank %d on %s has waited %.3g s in step %llu of this run",
                     kpar_comm_rank(executor->comm), host, seconds,
                     (unsigned long long)loaded->lists[KPAR_LIST_RUN].runs);
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        if (heads[lane] >= 0 && instruction_at(loaded, heads[lane])->kind == KPAR_INSTRUCTION_WAIT)
            append_reason(&text, loaded, heads[lane], &n);
    for (int i = 0; i < executor->n_under_way; i++)
        append_reason(&text, loaded, executor->under_way[i].index, &n);
    if (n == 0) kpar_text_printf(&text, " without anything under way");
    kpar_status status = kpar_fail(KPAR_ESTALL, "%s", kpar_text_get(&text));
    kpar_text_clear(&text);
    return status;
}
