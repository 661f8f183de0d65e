/* Data made up for a model: to try, time or plan without any. */
#include "cli/job.h"

#include "base/number.h"

#include <string.h>

enum { STEPS = 32 };

bool kpar_random_data_is_meant(const char *data)
{
    return strcmp(data, "random") == 0 || strncmp(data, "random:", 7) == 0;
}

typedef struct ports {
    kpar_array *inputs, *outputs;
    int64_t *classes;
    int n_inputs, n_outputs;
} ports;

/* Shape and type of a row. */
static kpar_array row_of(const kpar_value *v)
{
    kpar_array row = {.dtype = v->dtype, .rank = v->shape.rank - 1};
    for (int i = 0; i < row.rank; i++) row.dims[i] = v->shape.dims[i + 1].size;
    return row;
}

static void look_at(const kpar_plan *plan, kpar_mode mode, ports *p)
{
    const kpar_graph *g = kpar_plan_graph(plan, mode);
    if (!g) return;
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_value *v = &g->values[i];
        if (v->source == KPAR_FROM_FEATURE) p->inputs[v->index] = row_of(v);
        if (v->source == KPAR_FROM_LABEL) p->outputs[v->index] = row_of(v);
    }
    for (int i = 0; i < p->n_outputs; i++) {
        const int64_t classes = kpar_plan_label_ranges(plan, mode)[i].classes;
        if (classes) p->classes[i] = classes;
    }
}

static kpar_status count_rows(const kpar_settings *s, int64_t *rows)
{
    long long given = STEPS * s->batch_size;
    if (s->data[6] == ':' && (!kpar_parse_whole_integer(s->data + 7, &given) || given < 1))
        return kpar_fail(KPAR_EUSAGE,
                         "--data %s: expected a number of rows from 1 on after random:", s->data);
    *rows = given;
    return KPAR_OK;
}

kpar_status kpar_random_data_open(const kpar_settings *s, const kpar_trainer *trainer, kpar_dataset **dataset)
{
    int64_t rows = 0;
    KPAR_TRY(count_rows(s, &rows));
    const kpar_model *model = kpar_trainer_model(trainer);
    ports p = {.n_inputs = model->n_inputs, .n_outputs = model->n_outputs};
    p.inputs = kpar_alloc_zeroed((size_t)p.n_inputs + 1, sizeof *p.inputs);
    p.outputs = kpar_alloc_zeroed((size_t)p.n_outputs + 1, sizeof *p.outputs);
    p.classes = kpar_alloc_zeroed((size_t)p.n_outputs + 1, sizeof *p.classes);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        look_at(kpar_trainer_plan(trainer), (kpar_mode)mode, &p);
    kpar_status status = kpar_dataset_random((uint64_t)s->seed, rows, p.inputs, p.n_inputs, p.outputs,
                                             p.classes, p.n_outputs, dataset);
    kpar_free(p.inputs);
    kpar_free(p.outputs);
    kpar_free(p.classes);
    return status;
}
