/* Every op on every device: what each computes against the reference device in double. A failing case prints as a
 * text; `test_device TEXT` runs the cases that contain the text, or, if there is none, the text as a case. */
#include "device/spec.h"
#include "device_cases.h"
#include "unit.h"

#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 16, GUARD = 64 };

static const char *filter;

/* A case, read. */
typedef struct test_case {
    kpar_arena *arena;
    kpar_kernel_spec spec;
    kpar_tensor_spec tensors[MAX_TENSORS];
    int64_t below;
} test_case;

typedef struct type_word {
    const char *name;
    kpar_dtype dtype;
} type_word;
static const type_word type_words[] = {{"f32", KPAR_F32},   {"f64", KPAR_F64},  {"f16", KPAR_F16},
                                       {"bf16", KPAR_BF16}, {"i32", KPAR_I32},  {"i64", KPAR_I64},
                                       {"u8", KPAR_U8},     {"bool", KPAR_BOOL}};

static void skip(const char **at)
{
    while (isspace((unsigned char)**at)) ++*at;
}

static bool accept(const char **at, const char *word)
{
    const size_t n = strlen(word);
    skip(at);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

static int read_numbers(const char **at, int64_t numbers[KPAR_MAX_RANK])
{
    int n = 0;
    while (n < KPAR_MAX_RANK && (isdigit((unsigned char)**at) || **at == '-')) {
        char *end;
        numbers[n++] = strtoll(*at, &end, 10);
        *at = *end == ',' ? end + 1 : end;
    }
    return n;
}

static bool read_tensor(const char **at, kpar_tensor_spec *tensor)
{
    skip(at);
    for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++) {
        const size_t n = strlen(type_words[i].name);
        if (strncmp(*at, type_words[i].name, n) != 0 || (*at)[n] != '(') continue;
        *at += n + 1;
        tensor->dtype = type_words[i].dtype;
        tensor->rank = read_numbers(at, tensor->dims);
        return accept(at, ")");
    }
    return false;
}

static void read_ints(const char **at, int ints[KPAR_MAX_RANK])
{
    int64_t numbers[KPAR_MAX_RANK];
    const int n = read_numbers(at, numbers);
    for (int i = 0; i < n; i++) ints[i] = (int)numbers[i];
}

static int64_t read_number(const char **at)
{
    int64_t numbers[KPAR_MAX_RANK] = {0};
    read_numbers(at, numbers);
    return numbers[0];
}

static bool read_word(const char **at, test_case *c)
{
    kpar_attributes *a = &c->spec.attributes;
    if (accept(at, "ta")) return a->transpose_a = true;
    if (accept(at, "tb")) return a->transpose_b = true;
    if (accept(at, "max")) return a->reduction = KPAR_REDUCE_MAX, true;
    if (accept(at, "product")) return a->reduction = KPAR_REDUCE_PRODUCT, true;
    if (accept(at, "exclusive")) return a->exclusive = true;
    if (accept(at, "reverse")) return a->reverse = true;
    if (accept(at, "min")) return a->reduction = KPAR_REDUCE_MIN, true;
    if (accept(at, "accumulate")) return a->accumulate = true;
    if (accept(at, "sparse")) return a->sparse = true;
    if (accept(at, "axes=")) return a->axes = (unsigned)read_number(at), true;
    if (accept(at, "axis=")) return a->axis = (int)read_number(at), true;
    if (accept(at, "perm=")) return read_ints(at, a->permutation), true;
    if (accept(at, "start=")) return read_numbers(at, a->start), true;
    if (accept(at, "stop=")) return read_numbers(at, a->stop), true;
    if (accept(at, "window=")) return read_numbers(at, a->window), true;
    if (accept(at, "stride=")) return read_numbers(at, a->stride), true;
    if (accept(at, "dilation=")) return read_numbers(at, a->dilation), true;
    if (accept(at, "key=")) return a->key = (uint64_t)read_number(at), true;
    if (accept(at, "below=")) return c->below = read_number(at), true;
    if (accept(at, "value=")) return a->value = strtod(*at, (char **)(uintptr_t)at), true;
    if (accept(at, "e=")) return kpar_expression_parse(at, c->arena, &a->expression) == KPAR_OK;
    if (accept(at, "row=")) {
        int64_t numbers[KPAR_MAX_RANK] = {0};
        read_numbers(at, numbers);
        c->spec.row_elements = numbers[0];
        c->spec.row_start = numbers[1];
        return true;
    }
    return false;
}

static void read_case(const char *text, test_case *c)
{
    const char *at = text;
    char name[32] = "";
    int consumed = 0;
    kpar_op_kind op = KPAR_OP_COUNT;
    *c = (test_case){.arena = kpar_arena_create(), .below = 5};
    ck_assert_msg(sscanf(at, "%31s%n", name, &consumed) == 1 && kpar_op_parse(name, &op), "not an op: %s",
                  text);
    at += consumed;
    c->spec.op = (int)op;
    while (read_tensor(&at, &c->tensors[c->spec.n_inputs])) c->spec.n_inputs++;
    ck_assert_msg(accept(&at, "->"), "no -> in: %s", text);
    while (read_tensor(&at, &c->tensors[c->spec.n_inputs + c->spec.n_outputs])) c->spec.n_outputs++;
    c->spec.tensors = c->tensors;
    for (skip(&at); *at; skip(&at)) ck_assert_msg(read_word(&at, c), "'%s' in: %s", at, text);
}

static double hash_unit(uint64_t x)
{
    x = (x + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 31) * UINT64_C(0xBF58476D1CE4E5B9);
    return (double)(x >> 40) * 0x1p-24;
}

static bool is_real(kpar_dtype dtype)
{
    return dtype == KPAR_F32 || dtype == KPAR_F64 || dtype == KPAR_F16 || dtype == KPAR_BF16;
}

/* The value of element i of tensor t, which every type involved holds exactly. */
static double value_of(const test_case *c, int t, int64_t i)
{
    const double unit = hash_unit((uint64_t)t * 1000003 + (uint64_t)i);
    if (c->tensors[t].dtype == KPAR_F16 || c->tensors[t].dtype == KPAR_BF16) return floor(unit * 16) / 4 - 2;
    if (is_real(c->tensors[t].dtype)) return (floor(unit * 0x1p22) * 0x1p-22) * 4 - 2;
    if (c->tensors[t].dtype == KPAR_BOOL) return unit < 0.5;
    return floor(unit * (double)c->below);
}

/* Memory of a run: each tensor between guards. */
typedef struct places {
    unsigned char *blocks[MAX_TENSORS];
    void *at[MAX_TENSORS];
} places;

static size_t bytes_of(const kpar_kernel_spec *spec, int t) { return kpar_tensor_bytes(&spec->tensors[t]); }

/* Inputs and the outputs' old values. */
static void fill(const test_case *c, const kpar_kernel_spec *spec, places *p)
{
    for (int t = 0; t < spec->n_inputs + spec->n_outputs; t++) {
        const size_t size = kpar_dtype_bytes(spec->tensors[t].dtype);
        for (int64_t i = 0, n = kpar_tensor_count(&spec->tensors[t]); i < n; i++) {
            const double value = value_of(c, t, i);
            kpar_convert((char *)p->at[t] + (size_t)i * size, spec->tensors[t].dtype, &value, KPAR_F64, 1);
        }
    }
}

static void make_places(const test_case *c, const kpar_kernel_spec *spec, places *p)
{
    for (int t = 0; t < spec->n_inputs + spec->n_outputs; t++) {
        p->blocks[t] = malloc(bytes_of(spec, t) + 2 * GUARD);
        memset(p->blocks[t], 0xA5, bytes_of(spec, t) + 2 * GUARD);
        p->at[t] = p->blocks[t] + GUARD;
    }
    fill(c, spec, p);
}

static void free_places(const kpar_kernel_spec *spec, places *p)
{
    for (int t = 0; t < spec->n_inputs + spec->n_outputs; t++) free(p->blocks[t]);
}

/* Guards are whole, and inputs hold what they did. */
static void check_untouched(const char *text, const test_case *c, const places *p)
{
    places fresh;
    make_places(c, &c->spec, &fresh);
    for (int t = 0; t < c->spec.n_inputs + c->spec.n_outputs; t++) {
        const size_t bytes = bytes_of(&c->spec, t);
        const unsigned char *before = p->blocks[t], *after = before + GUARD + bytes;
        for (int i = 0; i < GUARD; i++)
            ck_assert_msg(before[i] == 0xA5 && after[i] == 0xA5, "%s: wrote outside tensor %d", text, t);
        if (t < c->spec.n_inputs)
            ck_assert_msg(memcmp(p->at[t], fresh.at[t], bytes) == 0, "%s: wrote to input %d", text, t);
    }
    free_places(&c->spec, &fresh);
}

/* The same kernel with double in place of float. */
static void widen(const test_case *c, kpar_kernel_spec *spec, kpar_tensor_spec *tensors)
{
    memcpy(tensors, c->tensors, sizeof c->tensors);
    for (int i = 0; i < c->spec.n_inputs + c->spec.n_outputs; i++)
        if (tensors[i].dtype == KPAR_F32) tensors[i].dtype = KPAR_F64;
    *spec = c->spec;
    spec->tensors = tensors;
}

static void run(const char *text, const kpar_device_class *class, int threads, const kpar_kernel_spec *spec,
                places *p)
{
    kpar_device *device;
    kpar_kernel *kernel;
    const kpar_device_options options = {.threads = threads};
    ck_assert_msg(class->create(&options, &device) == KPAR_OK, "%s", kpar_error_message());
    ck_assert_msg(class->prepare(device, spec, &kernel) == KPAR_OK, "%s: %s: %s", class->name, text,
                  kpar_error_message());
    ck_assert_msg(class->run(device, kernel, p->at) == KPAR_OK, "%s: %s: %s", class->name, text,
                  kpar_error_message());
    class->release(device, kernel);
    class->destroy(device);
}

static double element(const kpar_kernel_spec *spec, const places *p, int t, int64_t i)
{
    double value;
    const size_t size = kpar_dtype_bytes(spec->tensors[t].dtype);
    kpar_convert(&value, KPAR_F64, (const char *)p->at[t] + (size_t)i * size, spec->tensors[t].dtype, 1);
    return value;
}

/* Relative to the value and to the largest one of the tensor; sums may lose more than a step. */
static double tolerance_of(const test_case *c, kpar_dtype dtype)
{
    const bool sums = c->spec.op >= KPAR_OP_REDUCE && c->spec.op <= KPAR_OP_MEAN_POOL_GRADIENT;
    if (!is_real(dtype)) return 0;
    return dtype == KPAR_F64 ? 1e-13 : dtype == KPAR_BF16 ? 4e-3 : sums ? 1e-5 : 1e-6;
}

static void compare(const char *text, const char *device, const test_case *c, const places *p,
                    const kpar_kernel_spec *wide, const places *expected)
{
    for (int t = c->spec.n_inputs; t < c->spec.n_inputs + c->spec.n_outputs; t++) {
        const int64_t n = kpar_tensor_count(&c->tensors[t]);
        double largest = 0;
        for (int64_t i = 0; i < n; i++)
            largest = fmax(largest, fmin(fabs(element(wide, expected, t, i)), 1e30));
        for (int64_t i = 0; i < n; i++) {
            const double found = element(&c->spec, p, t, i), value = element(wide, expected, t, i);
            const double allowed = tolerance_of(c, c->tensors[t].dtype) * (fabs(value) + largest);
            ck_assert_msg(found == value || fabs(found - value) <= allowed || (isnan(found) && isnan(value)),
                          "%s: output %d, element %lld: %.9g, expected %.9g\n  test_device '%s'", device,
                          t - c->spec.n_inputs, (long long)i, found, value, text);
        }
    }
}

/* Whether outputs of two runs are the same bits. */
static void check_same_bits(const char *text, const char *what, const test_case *c, const places *a,
                            const places *b)
{
    for (int t = c->spec.n_inputs; t < c->spec.n_inputs + c->spec.n_outputs; t++)
        ck_assert_msg(memcmp(a->at[t], b->at[t], bytes_of(&c->spec, t)) == 0,
                      "output %d differs %s\n  test_device '%s'", t - c->spec.n_inputs, what, text);
}

/* A map's outputs may be inputs: output o in the place of the o-th input that has its type and shape. */
static void check_in_place(const char *text, const test_case *c, const places *plain)
{
    places p;
    int next = 0;
    make_places(c, &c->spec, &p);
    void *const own = p.at[c->spec.n_inputs];
    for (int o = 0; o < c->spec.n_outputs && !c->spec.attributes.accumulate; o++)
        for (; next < c->spec.n_inputs; next++) {
            const int t = c->spec.n_inputs + o;
            if (memcmp(&c->tensors[t], &c->tensors[next], sizeof c->tensors[t]) != 0) continue;
            p.at[t] = p.at[next++];
            break;
        }
    if (p.at[c->spec.n_inputs] != own) {
        run(text, &kpar_device_cpu, 1, &c->spec, &p);
        check_same_bits(text, "in place", c, &p, plain);
    }
    free_places(&c->spec, &p);
}

/* oneDNN alone may depend on the number of threads, on processors without AVX-512. */
static void check_threads(const char *text, const test_case *c, const places *plain)
{
    places p;
    if (c->spec.op == KPAR_OP_MATMUL) return;
    make_places(c, &c->spec, &p);
    run(text, &kpar_device_cpu, 3, &c->spec, &p);
    check_same_bits(text, "with three threads", c, &p, plain);
    free_places(&c->spec, &p);
}

static void check_case(const char *text)
{
    test_case c;
    kpar_kernel_spec wide;
    kpar_tensor_spec wide_tensors[MAX_TENSORS];
    places expected, p;
    read_case(text, &c);
    widen(&c, &wide, wide_tensors);
    make_places(&c, &wide, &expected);
    run(text, &kpar_device_reference, 1, &wide, &expected);
    for (int d = 0; kpar_device_classes()[d]; d++) {
        const kpar_device_class *class = kpar_device_classes()[d];
        if (class == &kpar_device_null || !class->supports(&c.spec)) continue;
        make_places(&c, &c.spec, &p);
        run(text, class, 1, &c.spec, &p);
        compare(text, class->name, &c, &p, &wide, &expected);
        check_untouched(text, &c, &p);
        if (class == &kpar_device_cpu) {
            check_threads(text, &c, &p);
            if (c.spec.op == KPAR_OP_MAP || c.spec.op == KPAR_OP_ALL_REDUCE) check_in_place(text, &c, &p);
        }
        free_places(&c.spec, &p);
    }
    free_places(&wide, &expected);
    kpar_arena_destroy(c.arena);
}

START_TEST(devices_compute_what_the_reference_does)
{
    if (!filter || strstr(device_cases[_i], filter)) check_case(device_cases[_i]);
}
END_TEST

START_TEST(every_op_that_is_a_kernel_has_a_case)
{
    for (int op = 0; op < KPAR_OP_COUNT; op++) {
        bool found = op == KPAR_OP_SEND || op == KPAR_OP_RECEIVE || op == KPAR_OP_SPLIT;
        const char *name = kpar_op_row_get((kpar_op_kind)op)->name;
        for (size_t i = 0; i < sizeof device_cases / sizeof *device_cases; i++)
            found = found || (strncmp(device_cases[i], name, strlen(name)) == 0 &&
                              device_cases[i][strlen(name)] == ' ');
        ck_assert_msg(found, "no case of %s", name);
    }
}
END_TEST

START_TEST(a_kernel_runs_again_without_allocating)
{
    const char *const texts[] = {
        device_cases[0], "matmul f32(33,47) f32(47,29) f32(29) -> f32(33,29) " BIAS_TANH,
        "reduce f32(37,30) -> f32(30) axes=1 accumulate", "softmax f32(9,10) -> f32(9,10)"};
    const kpar_device_options options = {.threads = 2};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        test_case c;
        places p;
        kpar_device *device;
        kpar_kernel *kernel;
        read_case(texts[i], &c);
        make_places(&c, &c.spec, &p);
        ck_assert_int_eq(kpar_device_cpu.create(&options, &device), KPAR_OK);
        ck_assert_int_eq(kpar_device_cpu.prepare(device, &c.spec, &kernel), KPAR_OK);
        const size_t before = kpar_alloc_total();
        for (int repeat = 0; repeat < 3; repeat++)
            ck_assert_int_eq(kpar_device_cpu.run(device, kernel, p.at), KPAR_OK);
        ck_assert_uint_eq(kpar_alloc_total(), before);
        kpar_device_cpu.release(device, kernel);
        kpar_device_cpu.destroy(device);
        free_places(&c.spec, &p);
        kpar_arena_destroy(c.arena);
    }
}
END_TEST

START_TEST(nothing_that_a_kernel_allocates_stays)
{
    const size_t live = kpar_alloc_live();
    for (size_t i = 0; i < sizeof device_cases / sizeof *device_cases; i += 7) {
        test_case c;
        places p;
        read_case(device_cases[i], &c);
        make_places(&c, &c.spec, &p);
        for (int d = 0; kpar_device_classes()[d]; d++)
            run(device_cases[i], kpar_device_classes()[d], 2, &c.spec, &p);
        free_places(&c.spec, &p);
        kpar_arena_destroy(c.arena);
    }
    ck_assert_uint_eq(kpar_alloc_live(), live);
}
END_TEST

START_TEST(the_null_device_touches_nothing)
{
    test_case c;
    places p, fresh;
    read_case("matmul f32(7,5) f32(5,3) -> f32(7,3)", &c);
    make_places(&c, &c.spec, &p);
    make_places(&c, &c.spec, &fresh);
    run("null", &kpar_device_null, 1, &c.spec, &p);
    check_same_bits("null", "after nothing", &c, &p, &fresh);
    free_places(&c.spec, &p);
    free_places(&c.spec, &fresh);
    kpar_arena_destroy(c.arena);
}
END_TEST

static const char *const wrong[] = {
    "map f32(3) f32(4) -> f32(4) " BIAS_RELU,
    "map f32(3) -> f32(3) " BIAS_RELU,
    "map f32(3) -> f32(3)",
    "reduce f32(3,4) -> f32(3) axes=1",
    "reduce f32(3,4) -> f32(3) axes=4",
    "arg_reduce f32(3,4) -> f32(3) axis=1",
    "cumulative f32(3,4) -> f32(3,4) axis=2",
    "cumulative f32(3,4) -> f32(4,3) axis=1",
    "matmul f32(3,4) f32(5,6) -> f32(3,6)",
    "matmul f32(3,4) f32(4,6) -> f32(3,5)",
    "matmul f32(3,4) f32(4,6) f32(5) -> f32(3,6) " BIAS_RELU,
    "matmul f32(3,4) f64(4,6) -> f32(3,6)",
    "conv f32(2,9,3) f32(2,3,4) -> f32(2,9,4)",
    "conv f32(2,9,3) f32(2,2,4) -> f32(2,8,4)",
    "conv_kernel_gradient f32(2,9,3) f32(3,8,4) -> f32(2,3,4)",
    "pool f32(2,9,3) -> f32(2,10,3) window=0,2 start=0,2",
    "max_pool_gradient f32(2,9,3) f32(2,8,3) -> f32(2,10,3) window=0,2",
    "transpose f32(3,4) -> f32(4,3) perm=1,1",
    "reshape f32(3,4) -> f32(13)",
    "slice f32(5) -> f32(3) start=3 stop=6",
    "pad f32(5) -> f32(7) start=1 stop=2",
    "concat f32(2,3) f32(2,4) -> f32(2,8) axis=1",
    "gather f32(10,4) f32(7) -> f32(7,4)",
    "gather f32(4,3) i32(7) -> f32(7,3) row=10,7",
    "scatter_add f32(7,3) i32(7) -> f32(4,3) row=10,7",
    "scatter_add f32(7,3) i32(7) -> f32(10,4)",
    "random i64(5) i64() -> f32(5,9) key=5 row=37,30",
    "softmax f32(3,4) -> f32(4,3)",
    "cross_entropy f32(9,10) i32(8) -> f32(9) sparse",
    "all_reduce f32(3) f32(4) -> f32(3)",
    "send f32(3) -> f32(3)",
};
enum { WRONG = sizeof wrong / sizeof *wrong };

START_TEST(a_specification_that_does_not_fit_is_refused_by_every_device)
{
    const kpar_device_options options = {.threads = 1};
    test_case c;
    read_case(wrong[_i], &c);
    for (int d = 0; kpar_device_classes()[d]; d++) {
        kpar_device *device;
        kpar_kernel *kernel;
        ck_assert_int_eq(kpar_device_classes()[d]->create(&options, &device), KPAR_OK);
        ck_assert_msg(kpar_device_classes()[d]->prepare(device, &c.spec, &kernel) == KPAR_EINTERNAL,
                      "%s accepts %s", kpar_device_classes()[d]->name, wrong[_i]);
        ck_assert_str_ne(kpar_error_message(), "");
        kpar_device_classes()[d]->destroy(device);
    }
    kpar_arena_destroy(c.arena);
}
END_TEST

START_TEST(an_index_outside_the_table_is_an_error)
{
    static const char *const texts[] = {"gather f32(10,4) i32(7) -> f32(7,4) below=1000",
                                        "scatter_add f32(7,4) i64(7) -> f32(10,4) below=1000",
                                        "gather f32(5,4) i32(7) -> f32(7,4) row=10,5 below=1000"};
    const kpar_device_options options = {.threads = 1};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int d = 0; kpar_device_classes()[d]; d++) {
            const kpar_device_class *class = kpar_device_classes()[d];
            test_case c;
            places p;
            kpar_device *device;
            kpar_kernel *kernel;
            if (class == &kpar_device_null) continue;
            read_case(texts[i], &c);
            make_places(&c, &c.spec, &p);
            ck_assert_int_eq(class->create(&options, &device), KPAR_OK);
            ck_assert_int_eq(class->prepare(device, &c.spec, &kernel), KPAR_OK);
            ck_assert_int_eq(class->run(device, kernel, p.at), KPAR_EDATA);
            class->release(device, kernel);
            class->destroy(device);
            free_places(&c.spec, &p);
            kpar_arena_destroy(c.arena);
        }
}
END_TEST

/* Runs the case on the cpu device with input 0 set to `values`, and returns output 0, which the caller frees. */
static float *run_on(const char *text, const float *values, size_t n)
{
    test_case c;
    places p;
    read_case(text, &c);
    make_places(&c, &c.spec, &p);
    memcpy(p.at[0], values, n * sizeof *values);
    run(text, &kpar_device_cpu, 1, &c.spec, &p);
    float *out = malloc(bytes_of(&c.spec, c.spec.n_inputs));
    memcpy(out, p.at[c.spec.n_inputs], bytes_of(&c.spec, c.spec.n_inputs));
    free_places(&c.spec, &p);
    kpar_arena_destroy(c.arena);
    return out;
}

START_TEST(values_that_are_not_finite_are_not_hidden)
{
    float a[33 * 47] = {0};
    a[3] = NAN;
    static const char *const texts[] = {
        "map f32(33,47) -> f32(33,47) " RELU, "matmul f32(33,47) f32(47,29) f32(29) -> f32(33,29) " BIAS_RELU,
        "reduce f32(33,47) -> f32() axes=3 max", "softmax f32(33,47) -> f32(33,47)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        float *out = run_on(texts[i], a, sizeof a / sizeof *a);
        ck_assert_msg(isnan(out[i == 0 ? 3 : 0]), "%s", texts[i]);
        free(out);
    }
}
END_TEST

START_TEST(softmax_and_cross_entropy_of_large_logits_are_finite)
{
    const float logits[] = {1e4f, -1e4f, 0, 88, 89, 90};
    float *y = run_on("softmax f32(2,3) -> f32(2,3)", logits, 6),
          *loss = run_on("cross_entropy f32(2,3) i32(2) -> f32(2) sparse below=3", logits, 6);
    for (int i = 0; i < 6; i++) ck_assert(isfinite(y[i]));
    ck_assert(isfinite(loss[0]) && isfinite(loss[1]));
    ck_assert(y[0] == 1 && y[1] == 0);
    free(y);
    free(loss);
}
END_TEST

START_TEST(a_class_number_that_is_none_gives_no_number)
{
    const float logits[27] = {0};
    float *loss = run_on("cross_entropy f32(9,3) i32(9) -> f32(9) sparse below=1000", logits, 27);
    ck_assert(isnan(loss[0]) || isnan(loss[1]) || isnan(loss[2]));
    free(loss);
}
END_TEST

START_TEST(devices_are_found_by_name_and_model_larger_kernels_as_slower)
{
    test_case small, large;
    read_case("matmul f32(8,8) f32(8,8) -> f32(8,8)", &small);
    read_case("matmul f32(800,800) f32(800,800) -> f32(800,800)", &large);
    ck_assert_ptr_eq(kpar_device_find("nonesuch"), NULL);
    for (int d = 0; kpar_device_classes()[d]; d++) {
        const kpar_device_class *class = kpar_device_classes()[d];
        ck_assert_ptr_eq(kpar_device_find(class->name), class);
        ck_assert(class->seconds(&small.spec) > 0 &&
                  class->seconds(&large.spec) > class->seconds(&small.spec));
    }
    kpar_arena_destroy(small.arena);
    kpar_arena_destroy(large.arena);
}
END_TEST

static Suite *device_suite(void)
{
    Suite *s = suite_create("device");
    TCase *cases = tcase_create("device");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, devices_compute_what_the_reference_does, 0,
                        (int)(sizeof device_cases / sizeof *device_cases));
    suite_add_tcase(s, cases);
    if (filter) return s;
    tcase_add_test(cases, every_op_that_is_a_kernel_has_a_case);
    tcase_add_test(cases, a_kernel_runs_again_without_allocating);
    tcase_add_test(cases, nothing_that_a_kernel_allocates_stays);
    tcase_add_test(cases, the_null_device_touches_nothing);
    tcase_add_loop_test(cases, a_specification_that_does_not_fit_is_refused_by_every_device, 0, WRONG);
    tcase_add_test(cases, an_index_outside_the_table_is_an_error);
    tcase_add_test(cases, values_that_are_not_finite_are_not_hidden);
    tcase_add_test(cases, softmax_and_cross_entropy_of_large_logits_are_finite);
    tcase_add_test(cases, a_class_number_that_is_none_gives_no_number);
    tcase_add_test(cases, devices_are_found_by_name_and_model_larger_kernels_as_slower);
    return s;
}

/* Runs the filter itself as a case if no case contains it. */
static bool is_new_case(void)
{
    for (size_t i = 0; filter && i < sizeof device_cases / sizeof *device_cases; i++)
        if (strstr(device_cases[i], filter)) return false;
    return filter != NULL;
}

START_TEST(the_given_case) { check_case(filter); }
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) filter = argv[1];
    Suite *s = is_new_case() ? suite_create("given") : device_suite();
    if (is_new_case()) {
        TCase *given = tcase_create("given");
        tcase_add_test(given, the_given_case);
        suite_add_tcase(s, given);
    }
    return run_suite(s);
}
