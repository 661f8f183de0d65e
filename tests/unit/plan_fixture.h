/* Plans of models from files and of dense networks made here, for unit tests, and the programs of all their ranks. */
#ifndef KPAR_TESTS_PLAN_FIXTURE_H
#define KPAR_TESTS_PLAN_FIXTURE_H

#include "keras/keras.h"
#include "plan/plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct planned {
    kpar_keras_file *file;
    kpar_model *model;
    kpar_catalog *catalog;
    kpar_plan *plan;
    kpar_status status;
} planned;

enum { TRAIN = 1 << KPAR_MODE_TRAIN, ALL_MODES = (1 << KPAR_MODE_COUNT) - 1 };

/* A mesh {data, pipeline, tensor} with a batch of 16 rows on the device without arithmetic. */
static inline kpar_plan_options options_of(int data, int pipeline, int tensor)
{
    return (kpar_plan_options){
        .mesh = {data, pipeline, tensor},
        .batch_size = 16,
        .microbatches = 1,
        .windows = true,
        .device = &kpar_device_null,
        .check_passes = true,
        .real = KPAR_F32,
    };
}

static inline planned plan_described(planned p, const char *name, const char *config, size_t length,
                                     const kpar_plan_options *options, unsigned modes)
{
    p.catalog = kpar_catalog_create();
    p.status = kpar_keras_describe(name, config, length, &p.model);
    if (p.status == KPAR_OK) p.status = kpar_plan_create(p.model, p.catalog, options, modes, &p.plan);
    return p;
}

/* The plan of a model file below the source tree; the status is kept. */
static inline planned plan_file(const char *name, const kpar_plan_options *options, unsigned modes)
{
    char path[1024];
    size_t length;
    planned p = {0};
    const char *tree = getenv("srcdir");
    snprintf(path, sizeof path, "%s/%s", tree ? tree : ".", name);
    ck_assert_msg(kpar_keras_open(path, &p.file) == KPAR_OK, "%s", kpar_error_message());
    const char *config = kpar_keras_config(p.file, &length);
    return plan_described(p, name, config, length, options, modes);
}

/* The plan of dense layers "dense_0", "dense_1" ... of the given units (ends with 0), with SGD and mean squared error. */
static inline planned plan_dense(int features, const int *units, const kpar_plan_options *options)
{
    kpar_text text = {0};
    kpar_text_printf(&text, "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": [");
    kpar_text_printf(
        &text,
        "{\"class_name\": \"InputLayer\", \"config\": {\"name\": \"in\", \"batch_shape\": [null, %d]}}",
        features);
    for (int i = 0; units[i]; i++)
        kpar_text_printf(&text,
                         ", {\"class_name\": \"Dense\", \"config\": {\"name\": \"dense_%d\", \"units\": %d, "
                         "\"activation\": \"relu\"}}",
                         i, units[i]);
    kpar_text_printf(&text, "]}, \"compile_config\": {\"optimizer\": \"sgd\", \"loss\": \"mse\"}}");
    planned p = plan_described((planned){0}, "m", kpar_text_get(&text), text.length, options, ALL_MODES);
    kpar_text_clear(&text);
    return p;
}

/* Likewise of a list of layers behind an input of the given dimensions, with any optimizer. */
static inline planned plan_trained(const char *optimizer, const char *dims, const char *layers,
                                   const kpar_plan_options *options)
{
    kpar_text text = {0};
    kpar_text_printf(&text,
                     "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": ["
                     "{\"class_name\": \"InputLayer\", \"config\": {\"name\": \"in\", \"batch_shape\": "
                     "[null, %s]}}, %s]}, \"compile_config\": {\"optimizer\": \"%s\", \"loss\": \"mse\"}}",
                     dims, layers, optimizer);
    planned p = plan_described((planned){0}, "m", kpar_text_get(&text), text.length, options, ALL_MODES);
    kpar_text_clear(&text);
    return p;
}

static inline planned plan_layers(const char *dims, const char *layers, const kpar_plan_options *options)
{
    return plan_trained("sgd", dims, layers, options);
}

static inline void planned_free(planned *p)
{
    kpar_plan_destroy(p->plan);
    kpar_catalog_destroy(p->catalog);
    kpar_model_destroy(p->model);
    if (p->file) kpar_keras_close(p->file);
}

#define ASSERT_PLANNED(p) ck_assert_msg((p).status == KPAR_OK, "%s", kpar_error_message())

/* That there is no plan, and that the message has both words. */
#define ASSERT_NOT_PLANNED(p, one, other)                                                                    \
    do {                                                                                                     \
        ck_assert_int_eq((p).status, KPAR_EUSAGE);                                                           \
        ck_assert_msg(strstr(kpar_error_message(), one), "no '%s' in: %s", one, kpar_error_message());       \
        ck_assert_msg(strstr(kpar_error_message(), other), "no '%s' in: %s", other, kpar_error_message());   \
    } while (0)

/* The programs of all ranks. */
typedef kpar_program *rank_programs[KPAR_MODE_COUNT];

static inline rank_programs *emit_all(const planned *p)
{
    const int n = kpar_mesh_size(kpar_plan_options_get(p->plan)->mesh);
    rank_programs *all = calloc((size_t)n, sizeof *all);
    for (int rank = 0; rank < n; rank++)
        ck_assert_msg(kpar_plan_emit(p->plan, rank, all[rank]) == KPAR_OK, "rank %d: %s", rank,
                      kpar_error_message());
    return all;
}

static inline void programs_free(rank_programs *all, int n)
{
    for (int rank = 0; rank < n; rank++)
        for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
            if (all[rank][mode]) kpar_program_destroy(all[rank][mode]);
    free(all);
}

/* Checks one mode's programs of all ranks together. */
static inline kpar_status check_mode(rank_programs *all, int n, int mode)
{
    const kpar_program **programs = calloc((size_t)n, sizeof *programs);
    for (int rank = 0; rank < n; rank++) programs[rank] = all[rank][mode];
    const kpar_status status = kpar_programs_check(programs, n);
    free(programs);
    return status;
}

/* Ops of a kind over a mesh axis in a phase and, in the microbatch phase, a part. */
static inline int count_moves(const kpar_graph *g, int kind, kpar_axis axis, kpar_phase phase, kpar_part part)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        n += op->kind == kind && op->attributes.mesh_axis == axis && op->phase == phase &&
             (phase != KPAR_PHASE_MICROBATCH || op->part == part);
    }
    return n;
}

static inline int count_between(const kpar_graph *g, int first, int last)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++) n += g->ops[i].kind >= first && g->ops[i].kind <= last;
    return n;
}

#endif
