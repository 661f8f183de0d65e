/* Initializers: constants, and random numbers that depend on the seed, the variable's path and the element
 * alone, so that every layout of ranks starts from the same weights. Fans and widths are Keras's. */
#include "model/config.h"
#include "model/tables.h"

#include "base/philox.h"

#include <math.h>
#include <string.h>

static double uniform(const kpar_variable *variable, uint64_t index)
{
    double low = variable->parameters[0], high = variable->parameters[1];
    return low + (high - low) * kpar_unit_from_word(kpar_philox_word(variable->key, 0, index));
}

/* A standard normal number from two words; Box and Muller (1958). */
static double normal_from_words(uint32_t a, uint32_t b)
{
    double radius = sqrt(-2.0 * log(((double)a + 0.5) * 0x1p-32));
    return radius * cos(2.0 * 3.14159265358979323846 * (double)b * 0x1p-32);
}

static double normal(const kpar_variable *variable, uint64_t index)
{
    uint32_t words[4];
    kpar_philox(variable->key, index, 1, words);
    return variable->parameters[0] + variable->parameters[1] * normal_from_words(words[0], words[1]);
}

/* Drawn again while beyond two standard deviations, which is one draw in 22. */
static double truncated_normal(const kpar_variable *variable, uint64_t index)
{
    double z = 3.0;
    for (uint64_t attempt = 1; fabs(z) > 2.0; attempt++) {
        uint32_t words[4];
        kpar_philox(variable->key, index, attempt, words);
        z = normal_from_words(words[0], words[1]);
        if (fabs(z) > 2.0) z = normal_from_words(words[2], words[3]);
    }
    return variable->parameters[0] + variable->parameters[1] * z;
}

static kpar_status prepare_zeros(const char *owner, const json_t *config, kpar_variable *variable)
{
    (void)owner, (void)config;
    variable->initial = 0.0;
    return KPAR_OK;
}

static kpar_status prepare_ones(const char *owner, const json_t *config, kpar_variable *variable)
{
    (void)owner, (void)config;
    variable->initial = 1.0;
    return KPAR_OK;
}

static kpar_status prepare_constant(const char *owner, const json_t *config, kpar_variable *variable)
{
    return kpar_config_number(owner, config, "value", 0.0, &variable->initial);
}

static kpar_status prepare_uniform(const char *owner, const json_t *config, kpar_variable *variable)
{
    KPAR_TRY(kpar_config_number(owner, config, "minval", -0.05, &variable->parameters[0]));
    return kpar_config_number(owner, config, "maxval", 0.05, &variable->parameters[1]);
}

static kpar_status prepare_normal(const char *owner, const json_t *config, kpar_variable *variable)
{
    KPAR_TRY(kpar_config_number(owner, config, "mean", 0.0, &variable->parameters[0]));
    return kpar_config_number(owner, config, "stddev", 0.05, &variable->parameters[1]);
}

/* Inputs and outputs of one unit of a weight, by its shape: (inputs, outputs), or (kernel ..., inputs,
 * outputs). */
static void fans(const kpar_variable *variable, double *in, double *out)
{
    int rank = variable->rank;
    double field = 1.0;
    for (int d = 0; d < rank - 2; d++) field *= (double)variable->dims[d];
    *in = rank == 0 ? 1.0 : field * (double)variable->dims[rank == 1 ? 0 : rank - 2];
    *out = rank == 0 ? 1.0 : field * (double)variable->dims[rank - 1];
}

typedef enum distribution { UNIFORM, NORMAL, TRUNCATED_NORMAL } distribution;

static const kpar_initializer_row rows[];

/* A distribution of variance scale / fan, whatever its form; mode is fan_in, fan_out or fan_avg. */
static void scaled(kpar_variable *variable, double scale, const char *mode, distribution form)
{
    static const char *const names[] = {"RandomUniform", "RandomNormal", "TruncatedNormal"};
    static const double truncated_width =
        0.87962566103423978; /* standard deviation of a unit normal cut at 2 */
    double in, out;
    fans(variable, &in, &out);
    double fan = strcmp(mode, "fan_in") == 0 ? in : strcmp(mode, "fan_out") == 0 ? out : (in + out) / 2.0;
    double width = sqrt(scale / fmax(1.0, fan));
    if (form == UNIFORM) width *= sqrt(3.0);
    if (form == TRUNCATED_NORMAL) width /= truncated_width;
    variable->parameters[0] = form == UNIFORM ? -width : 0.0;
    variable->parameters[1] = width;
    const kpar_initializer_row *row = rows;
    while (strcmp(row->class_name, names[form]) != 0) row++;
    variable->initializer = row;
}

/* The named ones: set while variable->initializer is still the row that was asked for. */
static kpar_status prepare_scaled(const char *owner, const json_t *config, kpar_variable *variable)
{
    static const struct {
        const char *class_name;
        double scale;
        const char *mode;
        distribution form;
    } kinds[] = {
        {"GlorotUniform", 1.0, "fan_avg", UNIFORM}, {"GlorotNormal", 1.0, "fan_avg", TRUNCATED_NORMAL},
        {"HeUniform", 2.0, "fan_in", UNIFORM},      {"HeNormal", 2.0, "fan_in", TRUNCATED_NORMAL},
        {"LecunUniform", 1.0, "fan_in", UNIFORM},   {"LecunNormal", 1.0, "fan_in", TRUNCATED_NORMAL},
    };
    (void)config;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(variable->initializer->class_name, kinds[i].class_name) == 0) {
            scaled(variable, kinds[i].scale, kinds[i].mode, kinds[i].form);
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EINTERNAL, "%s: initializer %s has no scale", owner,
                     variable->initializer->class_name);
}

static kpar_status find_distribution(const char *owner, const char *name, distribution *form)
{
    static const struct {
        const char *name;
        distribution form;
    } forms[] = {{"truncated_normal", TRUNCATED_NORMAL},
                 {"normal", TRUNCATED_NORMAL},
                 {"untruncated_normal", NORMAL},
                 {"uniform", UNIFORM}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(name, forms[i].name) == 0) {
            *form = forms[i].form;
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: distribution '%s' is unknown; known: truncated_normal, untruncated_normal, uniform",
                     owner, name);
}

static kpar_status prepare_variance_scaling(const char *owner, const json_t *config, kpar_variable *variable)
{
    double scale;
    const char *mode, *name;
    distribution form = TRUNCATED_NORMAL;
    KPAR_TRY(kpar_config_number(owner, config, "scale", 1.0, &scale));
    KPAR_TRY(kpar_config_string(owner, config, "mode", "fan_in", &mode));
    KPAR_TRY(kpar_config_string(owner, config, "distribution", "truncated_normal", &name));
    KPAR_TRY(find_distribution(owner, name, &form));
    if (!(scale > 0.0))
        return kpar_fail(KPAR_EFORMAT, "%s: scale: expected a positive number, found %g", owner, scale);
    if (strncmp(mode, "fan_", 4) != 0 ||
        (strcmp(mode + 4, "in") != 0 && strcmp(mode + 4, "out") != 0 && strcmp(mode + 4, "avg") != 0))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: mode '%s' is unknown; known: fan_in, fan_out, fan_avg",
                         owner, mode);
    scaled(variable, scale, mode, form);
    return KPAR_OK;
}

static kpar_status prepare_gain(const char *owner, const json_t *config, kpar_variable *variable)
{
    if (variable->rank < 2)
        return kpar_fail(KPAR_EFORMAT, "%s: it has %d dimensions, expected two or more", owner,
                         variable->rank);
    return kpar_config_number(owner, config, "gain", 1.0, &variable->parameters[0]);
}

static double identity(const kpar_variable *variable, uint64_t index)
{
    const uint64_t columns = (uint64_t)variable->dims[variable->rank - 1];
    return index / columns == index % columns ? variable->parameters[0] : 0;
}

/* What is left of v[0..n) without its part along each of `count` orthonormal vectors. */
static void remove_parts(const double *vectors, int64_t count, int64_t n, double *v)
{
    for (int64_t k = 0; k < count; k++) {
        const double *q = vectors + k * n;
        double product = 0;
        for (int64_t i = 0; i < n; i++) product += q[i] * v[i];
        for (int64_t i = 0; i < n; i++) v[i] -= product * q[i];
    }
}

/* Orthonormal rows or columns, whichever are fewer, of the matrix whose columns are the last dimension: Q of normal
 * numbers' Q R with R's diagonal positive, by Gram and Schmidt's way, twice (Giraud and others, 2005). */
static void orthogonal(const kpar_variable *variable, double *values)
{
    const int64_t columns = variable->dims[variable->rank - 1],
                  others = kpar_count(variable->rank, variable->dims) / columns;
    const int64_t n = others > columns ? others : columns, count = others > columns ? columns : others;
    double *vectors = kpar_alloc((size_t)(n * count) * sizeof *vectors);
    kpar_variable draw = *variable;
    draw.parameters[0] = 0;
    draw.parameters[1] = 1;
    for (int64_t k = 0; k < count; k++) {
        double *v = vectors + k * n, square = 0;
        for (int64_t i = 0; i < n; i++) v[i] = normal(&draw, (uint64_t)(k * n + i));
        for (int twice = 0; twice < 2; twice++) remove_parts(vectors, k, n, v);
        for (int64_t i = 0; i < n; i++) square += v[i] * v[i];
        for (int64_t i = 0; i < n; i++) v[i] /= sqrt(square);
    }
    for (int64_t i = 0; i < others; i++)
        for (int64_t k = 0; k < columns; k++)
            values[i * columns + k] =
                variable->parameters[0] * (others > columns ? vectors[k * n + i] : vectors[i * n + k]);
    kpar_free(vectors);
}

static const kpar_initializer_row rows[] = {
    {"Zeros", "0 everywhere", "", .prepare = prepare_zeros},
    {"Ones", "1 everywhere", "", .prepare = prepare_ones},
    {"Constant", "one value everywhere", "value", .prepare = prepare_constant},
    {"RandomUniform", "uniform between minval and maxval", "minval maxval seed", .prepare = prepare_uniform,
     .element = uniform},
    {"RandomNormal", "normal of mean and stddev", "mean stddev seed", .prepare = prepare_normal,
     .element = normal},
    {"TruncatedNormal", "normal, within two stddev", "mean stddev seed", .prepare = prepare_normal,
     .element = truncated_normal},
    {"GlorotUniform", "uniform, by mean fan", "seed", .prepare = prepare_scaled},
    {"GlorotNormal", "truncated normal, by mean fan", "seed", .prepare = prepare_scaled},
    {"HeUniform", "uniform, twice by fan in", "seed", .prepare = prepare_scaled},
    {"HeNormal", "truncated normal, twice by fan in", "seed", .prepare = prepare_scaled},
    {"LecunUniform", "uniform, by fan in", "seed", .prepare = prepare_scaled},
    {"LecunNormal", "truncated normal, by fan in", "seed", .prepare = prepare_scaled},
    {"VarianceScaling", "by scale, mode and distribution", "scale mode distribution seed",
     .prepare = prepare_variance_scaling},
    {"Identity", "gain on the diagonal", "gain", .prepare = prepare_gain, .element = identity},
    {"Orthogonal", "orthonormal rows or columns, times gain", "gain seed", .prepare = prepare_gain,
     .whole = orthogonal},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const kpar_initializer_row *kpar_initializer_rows(int *n)
{
    *n = ROW_COUNT;
    return rows;
}

/* Keras's short names, which are not the class's in another spelling. */
static const char *without_alias(const char *name)
{
    static const char *const aliases[][2] = {
        {"zero", "Zeros"}, {"one", "Ones"}, {"uniform", "RandomUniform"}, {"normal", "RandomNormal"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(name, aliases[i][0]) == 0) return aliases[i][1];
    return name;
}

static kpar_status find_row(const char *owner, const char *name, const kpar_initializer_row **row)
{
    for (*row = rows; *row < rows + ROW_COUNT; (*row)++)
        if (kpar_same_name((*row)->class_name, without_alias(name))) return KPAR_OK;
    kpar_arena *arena = kpar_arena_create();
    kpar_fail(KPAR_EUNSUPPORTED, "%s: initializer '%s' is not supported; supported: %s", owner, name,
              kpar_table_names(arena, rows, ROW_COUNT, sizeof *rows));
    kpar_arena_destroy(arena);
    return KPAR_EUNSUPPORTED;
}

kpar_status kpar_variable_set_initializer(const char *owner, const json_t *initializer,
                                          const char *by_default, uint64_t seed, kpar_variable *variable)
{
    const char *name =
        initializer ? "GlorotUniform" : by_default; /* Keras takes null for its general default */
    const json_t *config = NULL;
    const kpar_initializer_row *row;
    if (json_is_number(initializer)) {
        variable->initial = json_number_value(initializer);
        return KPAR_OK;
    }
    if (initializer && !json_is_null(initializer))
        KPAR_TRY(kpar_config_object(owner, initializer, &name, &config));
    KPAR_TRY(find_row(owner, name, &row));
    if (config) KPAR_TRY(kpar_config_known(owner, config, row->arguments, ""));
    variable->key = kpar_philox_key(seed, variable->path);
    variable->initializer = row;
    kpar_status status = row->prepare(owner, config, variable);
    if (!variable->initializer->element && !variable->initializer->whole) variable->initializer = NULL;
    return status == KPAR_OK
               ? status
               : kpar_fail_in(status, "initializer %s of '%s'", row->class_name, variable->name);
}
