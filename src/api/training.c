/* Model calls: the trainer behind the public handle. What a call's own arguments get wrong is agreed upon before anything
 * is begun, so that no rank waits for one that has returned. */
#include "api/context.h"
#include "api/training_internal.h"

#include "base/memory.h"
#include "base/text.h"
#include "train/defaults.h"

#include <stdlib.h>
#include <string.h>

static const kpar_training_options option_defaults = {
    .uses = KPAR_USE_FIT | KPAR_USE_EVALUATE | KPAR_USE_PREDICT,
    .pipeline = 1,
    .tensor = 1,
    .batch_size = 32,
    .zero = 1,
    .stall_seconds = 60,
    .split_vocabulary = 4096,
};
static const kpar_versioned options_kind = {"kpar_training_options", &option_defaults,
                                            sizeof option_defaults};

void kpar_training_options_init(kpar_training_options *options, size_t bytes)
{
    kpar_versioned_init(&options_kind, options, bytes);
}

/* --- loading --- */

static kpar_status expected(const char *member, const char *what, long long found)
{
    return kpar_fail(KPAR_EUSAGE, "kpar_training_options: %s: expected %s, found %lld", member, what, found);
}

static kpar_status check_numbers(const kpar_training_options *o)
{
    const unsigned all = option_defaults.uses;
    if (!o->uses || (o->uses & ~all))
        return expected("uses", "a sum of KPAR_USE_FIT, KPAR_USE_EVALUATE, KPAR_USE_PREDICT", o->uses);
    if (o->data_parallel < 0) return expected("data_parallel", "0 or more", o->data_parallel);
    if (o->pipeline < 1) return expected("pipeline", "1 or more", o->pipeline);
    if (o->tensor < 1) return expected("tensor", "1 or more", o->tensor);
    if (o->batch_size < 1) return expected("batch_size", "1 or more", o->batch_size);
    if (o->microbatches < 0) return expected("microbatches", "0 or more", o->microbatches);
    if (o->reproducible < 0) return expected("reproducible", "0 or more", o->reproducible);
    if (o->reproducible && o->microbatches)
        return expected("microbatches", "0 with reproducible, which sets them", o->microbatches);
    if (o->zero < 0 || o->zero > 1) return expected("zero", "0 or 1", o->zero);
    if (o->virtual_stages < 0) return expected("virtual_stages", "0 or more", o->virtual_stages);
    if (o->threads < 0) return expected("threads", "0 or more", o->threads);
    if (!(o->stall_seconds > 0))
        return kpar_fail(KPAR_EUSAGE, "kpar_training_options: stall_seconds: expected more than 0, found %g",
                         o->stall_seconds);
    return KPAR_OK;
}

static kpar_status find_device(const char *name, const kpar_device_class **device)
{
    *device = kpar_device_find(name ? name : "cpu");
    if (*device) return KPAR_OK;
    kpar_text known = {0};
    for (const kpar_device_class *const *d = kpar_device_classes(); *d; d++)
        kpar_text_printf(&known, " %s", (*d)->name);
    kpar_status status =
        kpar_fail(KPAR_EUSAGE, "kpar_training_options: device '%s' is none; this build has:%s", name,
                  kpar_text_get(&known));
    kpar_text_clear(&known);
    return status;
}

static kpar_status find_schedule(const char *name, const kpar_schedule **schedule)
{
    int n;
    *schedule = name ? kpar_schedule_find(name) : NULL;
    if (*schedule || !name) return KPAR_OK;
    kpar_text known = {0};
    const kpar_schedule *all = kpar_schedules(&n);
    for (int i = 0; i < n; i++) kpar_text_printf(&known, " %s", all[i].name);
    kpar_status status = kpar_fail(KPAR_EUSAGE, "kpar_training_options: schedule '%s' is none; there are:%s",
                                   name, kpar_text_get(&known));
    kpar_text_clear(&known);
    return status;
}

/* Number of the name in the list, -1: it is not there. */
static int find_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

static int find_progress_wish(const char *name)
{
    return name ? find_name(kpar_progress_wishes, name) : KPAR_PROGRESS_AUTO;
}

static kpar_status choose_mesh(const kpar_training_options *o, int ranks, kpar_mesh *mesh)
{
    const long long others = (long long)o->pipeline * o->tensor,
                    data = o->data_parallel ? o->data_parallel : ranks / others;
    if (data < 1 || data * others != ranks)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_options: data_parallel %d x pipeline %d x tensor %d does not make "
                         "the job's %d ranks; "
                         "start another number of ranks or change them",
                         o->data_parallel, o->pipeline, o->tensor, ranks);
    *mesh = (kpar_mesh){.data = (int)data, .pipeline = o->pipeline, .tensor = o->tensor};
    return KPAR_OK;
}

/* From the API's options, which are checked, to the trainer's. */
static kpar_status translate(const kpar_comm *comm, const kpar_training_options *o, kpar_trainer_options *t)
{
    static const unsigned uses[KPAR_MODE_COUNT] = {[KPAR_MODE_TRAIN] = KPAR_USE_FIT,
                                                   [KPAR_MODE_EVALUATE] = KPAR_USE_EVALUATE,
                                                   [KPAR_MODE_PREDICT] = KPAR_USE_PREDICT};
    *t =
        (kpar_trainer_options){.executor.stall_seconds = o->stall_seconds, .ignore_memory = o->ignore_memory};
    t->plan = (kpar_plan_options){
        .batch_size = o->batch_size,
        .leaves = o->reproducible,
        .virtual_stages = o->virtual_stages,
        .zero = o->zero,
        .split_features = o->split_features,
        .split_vocabulary = o->split_vocabulary,
        .windows = kpar_default_windows(comm),
        .choice = o->algorithms,
        .seed = o->seed,
        .real = KPAR_F32,
    };
#ifdef KPAR_DEBUG
    t->plan.check_passes = true;
#endif
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (o->uses & uses[mode]) t->modes |= 1u << mode;
    KPAR_TRY(find_device(o->device, &t->plan.device));
    KPAR_TRY(find_schedule(o->schedule, &t->plan.schedule));
    if (find_progress_wish(o->progress_thread) < 0)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_options: progress_thread: expected auto, on or off, found '%s'",
                         o->progress_thread);
    const int recompute = o->recompute ? find_name(kpar_recompute_names, o->recompute) : KPAR_RECOMPUTE_NONE;
    if (recompute < 0)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_options: recompute: expected none, stage or block, found '%s'",
                         o->recompute);
    t->plan.recompute = (kpar_recompute)recompute;
    KPAR_TRY(choose_mesh(o, kpar_comm_size(comm), &t->plan.mesh));
    if (!o->reproducible)
        t->plan.microbatches =
            o->microbatches ? o->microbatches : kpar_default_microbatches(&t->plan.mesh, o->batch_size);
    return KPAR_OK;
}

static kpar_status prepare(const kpar_context *context, const char *model_path,
                           const kpar_training_options *given, kpar_training_options *own,
                           kpar_trainer_options *options)
{
    if (!model_path) return kpar_fail(KPAR_EUSAGE, "kpar_training_load: the model's path is NULL");
    if (context->trainings)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_load: %s: the context has a training; kpar_training_free it first",
                         model_path);
    KPAR_TRY(kpar_versioned_take(&options_kind, given, own));
    KPAR_TRY(check_numbers(own));
    return translate(context->comm, own, options);
}

/* Reproducible runs compute with one thread unless told otherwise: another number may change bits. */
static kpar_status choose_threads(kpar_comm *comm, const kpar_training_options *own,
                                  kpar_trainer_options *translated)
{
    kpar_threads threads;
    const int compute = own->threads ? own->threads : own->reproducible ? 1 : 0;
    const kpar_progress_wish wish = (kpar_progress_wish)find_progress_wish(own->progress_thread);
    KPAR_TRY(kpar_default_threads(comm, compute, wish, &threads));
    translated->device.threads = threads.compute;
    translated->executor.progress_thread = threads.progress;
    return KPAR_OK;
}

kpar_status kpar_training_load(kpar_context *context, const char *model_path,
                               const kpar_training_options *options, kpar_training **training)
{
    kpar_training_options own;
    kpar_trainer_options translated;
    kpar_trainer *trainer;
    KPAR_TRY(kpar_context_check(context, "kpar_training_load"));
    if (!training)
        return kpar_fail(KPAR_EUSAGE, "kpar_training_load: expected a place for the training, found NULL");
    *training = NULL;
    KPAR_TRY(kpar_comm_agree(context->comm, prepare(context, model_path, options, &own, &translated)));
    KPAR_TRY(choose_threads(context->comm, &own, &translated));
    KPAR_TRY(kpar_trainer_create(context->comm, model_path, &translated, &trainer));
    kpar_training *made = kpar_alloc_zeroed(1, sizeof *made);
    *made = (kpar_training){.context = context,
                            .trainer = trainer,
                            .modes = translated.modes,
                            .seed = own.seed,
                            .batch_size = own.batch_size};
    made->n_outputs = kpar_trainer_model(trainer)->n_outputs;
    made->predictions = kpar_alloc_zeroed((size_t)made->n_outputs + 1, sizeof *made->predictions);
    context->trainings++;
    *training = made;
    return KPAR_OK;
}

void kpar_training_free(kpar_training *training)
{
    if (!training) return;
    kpar_predictions_clear(training);
    kpar_free(training->predictions);
    kpar_trainer_destroy(training->trainer);
    training->context->trainings--;
    kpar_free(training);
}

/* --- what is common to the calls --- */

kpar_status kpar_training_check(const kpar_training *training, const char *function)
{
    return training ? KPAR_OK
                    : kpar_fail(KPAR_EUSAGE, "%s: the training is NULL; expected one from kpar_training_load",
                                function);
}

kpar_status kpar_training_check_mode(const kpar_training *training, const char *function, kpar_mode mode,
                                     const char *use)
{
    if (training->modes >> mode & 1) return KPAR_OK;
    return kpar_fail(KPAR_EUSAGE, "%s: the training was loaded without %s; add it to the options' uses",
                     function, use);
}

/* --- saving, stopping --- */

kpar_status kpar_training_save(kpar_training *training, const char *path)
{
    KPAR_TRY(kpar_training_check(training, "kpar_training_save"));
    kpar_comm *comm = training->context->comm;
    kpar_status status = path ? KPAR_OK : kpar_fail(KPAR_EUSAGE, "kpar_training_save: the path is NULL");
    if (status == KPAR_OK && kpar_comm_rank(comm) == 0) status = kpar_keras_can_save(path);
    KPAR_TRY(kpar_comm_agree(comm, status));
    return kpar_trainer_save(training->trainer, path);
}

void kpar_training_stop(void) { kpar_trainer_stop(); }
