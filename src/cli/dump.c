/* Graphs, programs and times of kernels as files, to look at. */
#include "cli/job.h"

#include "data/output.h"

#include <string.h>

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static kpar_status put(const char *path, kpar_text *text)
{
    kpar_status status = kpar_new_file_put(path, kpar_text_get(text), text->length);
    kpar_text_clear(text);
    return status;
}

kpar_status kpar_dump_graph(const kpar_settings *s, const kpar_plan *plan)
{
    kpar_text text = {0};
    if (!s->dump_graph) return KPAR_OK;
    (ends_in(s->dump_graph, ".dot") ? kpar_graph_dump_dot : kpar_graph_dump_text)(
        kpar_plan_graph(plan, kpar_plan_first_mode(plan)), &text);
    return put(s->dump_graph, &text);
}

/* Whether this rank writes a file of that name: rank 0 alone, or each where the name has %r. */
static bool is_wanted(const char *path, int rank) { return path && (rank == 0 || strstr(path, "%r")); }

/* `path` with the rank in place of %r. */
static kpar_status put_of_rank(const char *path, int rank, kpar_text *text)
{
    kpar_text name = {0};
    const char *mark = strstr(path, "%r");
    if (mark)
        kpar_text_printf(&name, "%.*s%d%s", (int)(mark - path), path, rank, mark + 2);
    else
        kpar_text_printf(&name, "%s", path);
    kpar_status status = put(kpar_text_get(&name), text);
    kpar_text_clear(&name);
    return status;
}

kpar_status kpar_dump_program(const kpar_settings *s, const kpar_plan *plan, int rank)
{
    kpar_program *programs[KPAR_MODE_COUNT];
    kpar_text text = {0};
    if (!is_wanted(s->dump_program, rank)) return KPAR_OK;
    KPAR_TRY(kpar_plan_emit(plan, rank, programs));
    kpar_program_dump(programs[kpar_plan_first_mode(plan)], &text);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (programs[mode]) kpar_program_destroy(programs[mode]);
    return put_of_rank(s->dump_program, rank, &text);
}

kpar_status kpar_dump_profile(const kpar_settings *s, const kpar_trainer *trainer, int rank)
{
    kpar_text text = {0};
    if (!is_wanted(s->profile, rank)) return KPAR_OK;
    kpar_trainer_profile(trainer, &text);
    return put_of_rank(s->profile, rank, &text);
}
