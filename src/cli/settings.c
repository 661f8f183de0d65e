/* Reading settings, and the checks that need neither model nor data. */
#include "cli/settings.h"

#include "base/number.h"

#include <math.h>
#include <string.h>

static kpar_status usage(const char *what) { return kpar_fail(KPAR_EUSAGE, "%s", what); }

/* "3=.5" */
static bool parse_class_weight(kpar_arena *arena, const char *text, kpar_class_weight *weight)
{
    const char *equals = strchr(text, '=');
    long long number;
    if (!equals) return false;
    const char *name = kpar_arena_printf(arena, "%.*s", (int)(equals - text), text);
    if (!kpar_parse_whole_integer(name, &number) || number < 0) return false;
    weight->class_number = number;
    return kpar_parse_whole_number(equals + 1, &weight->weight) && isfinite(weight->weight) &&
           weight->weight >= 0;
}

static kpar_status read_class_weights(kpar_arena *arena, kpar_settings *s)
{
    s->class_weights = kpar_arena_alloc(arena, (s->class_weight.count + 1) * sizeof *s->class_weights);
    for (size_t i = 0; i < s->class_weight.count; i++)
        if (!parse_class_weight(arena, s->class_weight.items[i], &s->class_weights[i]))
            return kpar_fail(KPAR_EUSAGE, "--class-weight: expected CLASS=WEIGHT, as 0=2,1=.5, found '%s'",
                             s->class_weight.items[i]);
    return KPAR_OK;
}

static kpar_status check_data_options(const kpar_settings *s)
{
    if (!s->data && !s->plan) return usage("--data is missing: what shall the model be trained on?");
    if (!(s->validation_split >= 0 && s->validation_split < 1))
        return kpar_fail(KPAR_EUSAGE, "--validation-split: expected a share from 0 up to 1, found %g",
                         s->validation_split);
    if (s->validation && s->validation_split > 0)
        return usage("give --validation or --validation-split, not both");
    if (!s->validation && (s->validation_x.count || s->validation_y.count))
        return usage(
            "--validation-x and --validation-y are names in the file of --validation, which is missing");
    return KPAR_OK;
}

static kpar_status check_training_options(const kpar_settings *s)
{
    if (!isnan(s->learning_rate) && !(s->learning_rate >= 0 && isfinite(s->learning_rate)))
        return kpar_fail(KPAR_EUSAGE, "--learning-rate: expected a number from 0 on, found %g",
                         s->learning_rate);
    if (s->reproducible && s->microbatches)
        return usage("--reproducible sets the microbatches; leave out --microbatches");
    if ((s->resume || s->checkpoint_every) && !s->checkpoint)
        return usage("--resume and --checkpoint-every need --checkpoint DIR");
    if (s->check_layout && (s->train || s->evaluate || s->predict))
        return usage(
            "--check-layout trains one step alone; leave out --epochs, --steps, --evaluate and --predict");
    if (s->output && !s->train) return usage("--output is for training; give --epochs or --steps too");
    return KPAR_OK;
}

static kpar_status check_layout_options(kpar_settings *s)
{
    if (s->ranks && !s->plan)
        return usage("--ranks is for --plan; ranks are started by kparrun -np N, mpirun or srun");
    const int chunks = kpar_settings_chunks(s), stages = (int)s->stages.count + 1;
    if (s->stages.count && s->pipeline == 1) s->pipeline = stages > chunks ? stages / chunks : 1;
    if (s->stages.count && stages != s->pipeline * chunks)
        return kpar_fail(KPAR_EUSAGE,
                         "--stages: names the layers that begin stages 2 to %d, expected %d, found %zu",
                         s->pipeline * chunks, s->pipeline * chunks - 1, s->stages.count);
    return KPAR_OK;
}

static kpar_status take_operands(const kpar_strings *operands, kpar_settings *s)
{
    if (s->compare) {
        if (operands->count != 2)
            return kpar_fail(KPAR_EUSAGE, "--compare: expected two files, A and B, found %zu",
                             operands->count);
        s->compare_a = operands->items[0];
        s->compare_b = operands->items[1];
        return KPAR_OK;
    }
    if (operands->count > 1)
        return kpar_fail(KPAR_EUSAGE, "expected one MODEL, found also '%s'; options begin with --",
                         operands->items[1]);
    if (operands->count == 1) s->model = operands->items[0];
    return s->model ? KPAR_OK
                    : usage("MODEL is missing: kpar_train MODEL --data FILE; --help lists the options");
}

static kpar_status check(kpar_arena *arena, const kpar_strings *operands, kpar_settings *s)
{
    KPAR_TRY(take_operands(operands, s));
    if (s->compare) return KPAR_OK;
    s->train = s->epochs || s->steps || (!s->evaluate && !s->predict && !s->check_layout);
    KPAR_TRY(check_data_options(s));
    KPAR_TRY(check_training_options(s));
    KPAR_TRY(check_layout_options(s));
    return read_class_weights(arena, s);
}

/* A list on the command line takes the place of the file's. */
static void let_replace_lists(kpar_settings *s)
{
    for (size_t i = 0; i < kpar_train_options.n_rows; i++) {
        const kpar_option *option = &kpar_train_options.rows[i];
        if (option->kind == KPAR_OPTION_LIST)
            ((kpar_strings *)(void *)((char *)s + option->offset))->is_preset = true;
    }
}

kpar_status kpar_settings_read(kpar_arena *arena, int argc, char *const *argv, kpar_settings *s)
{
    kpar_strings operands;
    *s = (kpar_settings){0};
    KPAR_TRY(kpar_options_preset(&kpar_train_options, arena, s));
    KPAR_TRY(kpar_options_parse(&kpar_train_options, arena, argc, argv, s, NULL, &operands));
    if (s->help || s->help_man || s->help_markdown || s->version) return KPAR_OK;
    if (s->config) { /* once more, over the file */
        const char *path = s->config;
        *s = (kpar_settings){0};
        KPAR_TRY(kpar_options_preset(&kpar_train_options, arena, s));
        KPAR_TRY(kpar_settings_file(arena, path, s));
        let_replace_lists(s);
        KPAR_TRY(kpar_options_parse(&kpar_train_options, arena, argc, argv, s, NULL, &operands));
    }
    return check(arena, &operands, s);
}
