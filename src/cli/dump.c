/* Graphs and programs as files, to look at. */
#include "cli/job.h"

#include "data/output.h"

#include <string.h>

static kpar_mode first_mode(const kpar_plan *plan)
{
    int mode = 0;
    while (mode < KPAR_MODE_COUNT - 1 && !kpar_plan_graph(plan, (kpar_mode)mode)) mode++;
    return (kpar_mode)mode;
}

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
    (ends_in(s->dump_graph, ".dot") ? kpar_graph_dump_dot
                                    : kpar_graph_dump_text)(kpar_plan_graph(plan, first_mode(plan)), &text);
    return put(s->dump_graph, &text);
}

kpar_status kpar_dump_program(const kpar_settings *s, const kpar_plan *plan, int rank)
{
    kpar_program *programs[KPAR_MODE_COUNT];
    kpar_text text = {0}, path = {0};
    const char *mark = s->dump_program ? strstr(s->dump_program, "%r") : NULL;
    if (!s->dump_program || (!mark && rank > 0)) return KPAR_OK;
    KPAR_TRY(kpar_plan_emit(plan, rank, programs));
    kpar_program_dump(programs[first_mode(plan)], &text);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (programs[mode]) kpar_program_destroy(programs[mode]);
    if (mark)
        kpar_text_printf(&path, "%.*s%d%s", (int)(mark - s->dump_program), s->dump_program, rank, mark + 2);
    else
        kpar_text_printf(&path, "%s", s->dump_program);
    kpar_status status = put(kpar_text_get(&path), &text);
    kpar_text_clear(&path);
    return status;
}
