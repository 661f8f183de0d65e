/* From settings and the number of ranks to the options of a plan. */
#include "cli/job.h"

#include "train/defaults.h"

#include <string.h>

static kpar_status choose_mesh(const kpar_settings *s, int ranks, kpar_mesh *mesh)
{
    const int others = s->pipeline * s->tensor;
    *mesh = (kpar_mesh){.data = s->data_parallel, .pipeline = s->pipeline, .tensor = s->tensor};
    if (mesh->data == 0) mesh->data = ranks / others > 0 ? ranks / others : 1;
    if (kpar_mesh_size(*mesh) == ranks) return KPAR_OK;
    return kpar_fail(KPAR_EUSAGE,
                     "mesh: %d data x %d pipeline x %d tensor is %d ranks, there are %d; start %d or change "
                     "--data-parallel, "
                     "--pipeline or --tensor",
                     mesh->data, mesh->pipeline, mesh->tensor, kpar_mesh_size(*mesh), ranks,
                     kpar_mesh_size(*mesh));
}

static const char *join(kpar_arena *arena, const kpar_strings *list)
{
    const char *text = NULL;
    for (size_t i = 0; i < list->count; i++)
        text = kpar_arena_printf(arena, "%s%s%s", text ? text : "", text ? "," : "", list->items[i]);
    return text;
}

kpar_status kpar_layout_choose(kpar_arena *arena, const kpar_settings *s, int ranks,
                               kpar_plan_options *options)
{
    *options = (kpar_plan_options){
        .batch_size = s->batch_size,
        .leaves = s->reproducible,
        .schedule = kpar_schedule_find(kpar_settings_schedule(s)),
        .recompute = (kpar_recompute)s->recompute,
        .virtual_stages = s->virtual_stages,
        .microbatch_statistics = s->batch_statistics == 1,
        .zero = s->zero,
        .split_features = s->split_features,
        .split_vocabulary = s->split_vocabulary,
        .stages = s->stages.count ? s->stages.items : NULL,
        .windows = s->transport != KPAR_TRANSPORT_MPI,
        .choice = s->choice,
        .device = kpar_device_find(kpar_settings_device(s)),
        .without_passes = join(arena, &s->without_pass),
        .seed = (uint64_t)s->seed,
        .real = KPAR_F32,
    };
#ifdef KPAR_DEBUG
    options->check_passes = true;
#endif
    KPAR_TRY(choose_mesh(s, ranks, &options->mesh));
    if (!s->reproducible)
        options->microbatches =
            s->microbatches ? s->microbatches : kpar_default_microbatches(&options->mesh, s->batch_size);
    if (!options->device)
        return kpar_fail(KPAR_EUSAGE, "--device %s: this build has none", kpar_settings_device(s));
    return KPAR_OK;
}
