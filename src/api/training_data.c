/* Where rows come from: the caller's file and names. */
#include "api/context.h"
#include "api/training_internal.h"

#include "base/memory.h"

#include <string.h>

static const kpar_training_data data_defaults = {0};
static const kpar_versioned data_kind = {"kpar_training_data", &data_defaults, sizeof data_defaults};

void kpar_training_data_init(kpar_training_data *data, size_t bytes)
{
    kpar_versioned_init(&data_kind, data, bytes);
}

/* Cuts "a,b" at its commas into `n` names in the arena; *names is NULL for NULL. */
static kpar_status cut_names(kpar_arena *arena, const char *member, const char *list, int n,
                             const char *ports, const char *const **names)
{
    int found = 0;
    *names = NULL;
    if (!list) return KPAR_OK;
    const char **cut = kpar_arena_alloc(arena, ((size_t)n + 1) * sizeof *cut);
    for (const char *at = list; at; found++) {
        const char *comma = strchr(at, ',');
        const size_t length = comma ? (size_t)(comma - at) : strlen(at);
        if (length == 0)
            return kpar_fail(KPAR_EUSAGE, "kpar_training_data: %s: '%s' has an empty name", member, list);
        if (found < n) cut[found] = kpar_arena_printf(arena, "%.*s", (int)length, at);
        at = comma ? comma + 1 : NULL;
    }
    if (found != n)
        return kpar_fail(
            KPAR_EUSAGE,
            "kpar_training_data: %s: expected a name for each of the model's %d %s, found %d in '%s'", member,
            n, ports, found, list);
    *names = cut;
    return KPAR_OK;
}

static kpar_status take(const kpar_training *training, const char *function, const kpar_training_data *given,
                        kpar_arena *arena, kpar_training_data *own, kpar_dataset_names *names)
{
    const kpar_model *model = kpar_trainer_model(training->trainer);
    if (!given) return kpar_fail(KPAR_EUSAGE, "%s: the data are NULL", function);
    KPAR_TRY(kpar_versioned_take(&data_kind, given, own));
    if (!own->path) return kpar_fail(KPAR_EUSAGE, "%s: the path of the data is NULL", function);
    *names = (kpar_dataset_names){.n_x = model->n_inputs, .n_y = model->n_outputs};
    KPAR_TRY(cut_names(arena, "x", own->x, model->n_inputs, "inputs", &names->x));
    KPAR_TRY(cut_names(arena, "y", own->y, model->n_outputs, "outputs", &names->y));
    return cut_names(arena, "sample_weight", own->sample_weight, model->n_outputs, "outputs",
                     &names->sample_weight);
}

kpar_status kpar_training_data_open(kpar_training *training, const char *function,
                                    const kpar_training_data *given, kpar_status own, kpar_dataset **dataset)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_training_data data;
    kpar_dataset_names names;
    *dataset = NULL;
    if (own == KPAR_OK) own = take(training, function, given, arena, &data, &names);
    kpar_status status = kpar_comm_agree(training->context->comm, own);
    if (status == KPAR_OK) status = kpar_trainer_open_data(training->trainer, data.path, &names, dataset);
    kpar_arena_destroy(arena);
    return status;
}
