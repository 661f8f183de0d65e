/* Speed of the CPU device's kernels, one thread unless the first argument says otherwise: the best of several
 * repetitions, warm. Matmuls in GFLOP/s (2mnk / seconds); the rest in ms and GB/s of tensors read and written. */
#include "base/clock.h"
#include "device/spec.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_TENSORS = 16, REPETITIONS = 15 };

static int threads = 1;

static kpar_tensor_spec f32(int rank, int64_t a, int64_t b)
{
    return (kpar_tensor_spec){KPAR_F32, rank, {a, b}};
}

/* Outputs of an optimizer's step lie where its state does: inputs 1, 2, 3 with three outputs. */
static bool is_in_place(const kpar_kernel_spec *spec, int t)
{
    return spec->n_outputs == 3 && t >= spec->n_inputs;
}

/* Best seconds of a run. Exits where the kernel cannot be prepared. */
static double best_seconds(const kpar_kernel_spec *spec, size_t *bytes)
{
    const kpar_device_options options = {.threads = threads};
    kpar_device *device;
    kpar_kernel *kernel;
    void *places[MAX_TENSORS];
    double best = 1e9;
    if (kpar_device_cpu.create(&options, &device) != KPAR_OK ||
        kpar_device_cpu.prepare(device, spec, &kernel) != KPAR_OK) {
        fprintf(stderr, "bench_device: %s\n", kpar_error_message());
        exit(1);
    }
    *bytes = 0;
    for (int t = 0; t < spec->n_inputs + spec->n_outputs; t++) {
        const size_t size = kpar_tensor_bytes(&spec->tensors[t]);
        float *values = places[t] =
            is_in_place(spec, t) ? places[t - spec->n_inputs + 1] : aligned_alloc(64, (size + 63) / 64 * 64);
        for (size_t i = 0; i < size / sizeof *values; i++) values[i] = (float)(i % 101) / 101 + 0.1f;
        *bytes += size;
    }
    for (int r = 0; r < REPETITIONS; r++) {
        double start = kpar_seconds();
        if (kpar_device_cpu.run(device, kernel, places) != KPAR_OK) exit(1);
        double seconds = kpar_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    for (int t = 0; t < spec->n_inputs + spec->n_outputs; t++)
        if (!is_in_place(spec, t)) free(places[t]);
    kpar_device_cpu.release(device, kernel);
    kpar_device_cpu.destroy(device);
    return best;
}

static void report(const char *name, const kpar_kernel_spec *spec)
{
    size_t bytes;
    const double seconds = best_seconds(spec, &bytes);
    printf("%-44s %9.4f ms %7.1f GB/s\n", name, seconds * 1e3, (double)bytes / seconds * 1e-9);
}

static void report_matmul(int64_t m, int64_t n, int64_t k, bool ta, bool tb, const kpar_expression *epilogue,
                          const char *suffix)
{
    const kpar_tensor_spec tensors[] = {ta ? f32(2, k, m) : f32(2, m, k), tb ? f32(2, n, k) : f32(2, k, n),
                                        epilogue ? f32(1, n, 0) : f32(2, m, n), f32(2, m, n)};
    const kpar_kernel_spec spec = {
        .op = KPAR_OP_MATMUL,
        .n_inputs = epilogue ? 3 : 2,
        .n_outputs = 1,
        .tensors = tensors,
        .attributes = {.transpose_a = ta, .transpose_b = tb, .expression = epilogue}};
    size_t bytes;
    const double seconds = best_seconds(&spec, &bytes);
    printf("matmul %4lldx%4lldx%4lld%s%s %-19s %9.4f ms %7.1f GFLOP/s\n", (long long)m, (long long)k,
           (long long)n, ta ? " ta" : "   ", tb ? " tb" : "   ", suffix, seconds * 1e3,
           2e-9 * (double)(m * n * k) / seconds);
}

static const kpar_expression *parsed(kpar_arena *arena, const char *text)
{
    const kpar_expression *e;
    if (kpar_expression_parse(&text, arena, &e) != KPAR_OK) {
        fprintf(stderr, "bench_device: %s\n", kpar_error_message());
        exit(1);
    }
    return e;
}

static void report_matmuls(kpar_arena *arena)
{
    static const int64_t sizes[][3] = {{128, 1024, 784},  {256, 1024, 784}, {256, 512, 1024}, {256, 10, 1024},
                                       {1024, 8192, 256}, {16, 16, 16},     {8, 8, 8},        {32, 10, 64}};
    const kpar_expression *bias_relu = parsed(arena, "{2: input 0; input 1; add %0 %1; relu %2 -> %3}");
    const kpar_expression *bias = parsed(arena, "{2: input 0; input 1; add %0 %1 -> %2}");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
        report_matmul(m, n, k, false, false, NULL, "");
        report_matmul(m, n, k, false, false, bias, "+ bias");
        report_matmul(m, n, k, false, false, bias_relu, "+ bias, relu");
        report_matmul(m, k, n, false, true, NULL, "(input gradient)");
        report_matmul(k, n, m, true, false, NULL, "(weight gradient)");
    }
}

static void report_maps(kpar_arena *arena)
{
    const int64_t parameters = 1863690;
    const kpar_tensor_spec weights = f32(1, parameters, 0), scalar = f32(0, 0, 0);
    const kpar_tensor_spec adam[] = {weights, weights, weights, weights, scalar, weights, weights, weights};
    const kpar_tensor_spec add[] = {weights, weights},
                           activations[] = {f32(2, 256, 1024), f32(2, 256, 1024), f32(2, 256, 1024)};
    const kpar_tensor_spec bias[] = {f32(2, 256, 1024), f32(1, 1024, 0)},
                           tanh[] = {f32(2, 256, 1024), f32(2, 256, 1024)};
    const kpar_tensor_spec tall[] = {f32(2, 8192, 1024), f32(1, 1024, 0)},
                           classes[] = {f32(2, 256, 10), f32(1, 10, 0)};
    const kpar_tensor_spec sum[] = {f32(2, 256, 1024), f32(0, 0, 0)},
                           rows[] = {f32(2, 256, 10), f32(2, 256, 10)},
                           scores[] = {f32(2, 1024, 128), f32(2, 1024, 128)};
    /* inputs: gradient, first and second moment, weights, learning rate */
    const kpar_expression *step =
        parsed(arena, "{5: input 0; input 1; input 2; input 3; input 4; const 0.1; const 0.001; const 1e-07; "
                      "sub %0 %1; mul %8 %5; add %1 %9; "
                      "square %0; sub %11 %2; mul %12 %6; add %2 %13; sqrt %14; add %15 %7; mul %10 %4; div "
                      "%17 %16; sub %3 %18 -> %10 %14 %19}");
    const kpar_expression *copy = parsed(arena, "{1: input 0 -> %0}"),
                          *tanh_of = parsed(arena, "{1: input 0; tanh %0 -> %1}");
    const kpar_expression *relu_gradient =
        parsed(arena, "{2: input 0; input 1; const 0; lt %2 %0; select %3 %1 %2 -> %4}");
    report("Adam, 1.86 M parameters", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                          .n_inputs = 5,
                                                          .n_outputs = 3,
                                                          .tensors = adam,
                                                          .attributes = {.expression = step}});
    report("a += b, 1.86 M", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                 .n_inputs = 1,
                                                 .n_outputs = 1,
                                                 .tensors = add,
                                                 .attributes = {.expression = copy, .accumulate = true}});
    report("relu gradient, 256x1024", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                          .n_inputs = 2,
                                                          .n_outputs = 1,
                                                          .tensors = activations,
                                                          .attributes = {.expression = relu_gradient}});
    report("tanh, 256x1024", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                 .n_inputs = 1,
                                                 .n_outputs = 1,
                                                 .tensors = tanh,
                                                 .attributes = {.expression = tanh_of}});
    report(
        "bias gradient, 256x1024",
        &(kpar_kernel_spec){
            .op = KPAR_OP_REDUCE, .n_inputs = 1, .n_outputs = 1, .tensors = bias, .attributes = {.axes = 1}});
    report(
        "bias gradient, 8192x1024",
        &(kpar_kernel_spec){
            .op = KPAR_OP_REDUCE, .n_inputs = 1, .n_outputs = 1, .tensors = tall, .attributes = {.axes = 1}});
    report("bias gradient, 256x10", &(kpar_kernel_spec){.op = KPAR_OP_REDUCE,
                                                        .n_inputs = 1,
                                                        .n_outputs = 1,
                                                        .tensors = classes,
                                                        .attributes = {.axes = 1}});
    report(
        "sum, 256x1024",
        &(kpar_kernel_spec){
            .op = KPAR_OP_REDUCE, .n_inputs = 1, .n_outputs = 1, .tensors = sum, .attributes = {.axes = 3}});
    report("softmax, 256x10",
           &(kpar_kernel_spec){.op = KPAR_OP_SOFTMAX, .n_inputs = 1, .n_outputs = 1, .tensors = rows});
    report("softmax, 1024x128",
           &(kpar_kernel_spec){.op = KPAR_OP_SOFTMAX, .n_inputs = 1, .n_outputs = 1, .tensors = scores});
}

static kpar_tensor_spec f32_of(int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (kpar_tensor_spec){KPAR_F32, rank, {a, b, c, d}};
}

/* What normalizations are made of: something a channel, or a row, that meets all of a tensor. */
static void report_normalizations(kpar_arena *arena)
{
    const kpar_tensor_spec images = f32_of(4, 64, 32, 32, 16), channels = f32_of(1, 16, 0, 0, 0),
                           words = f32_of(3, 8, 128, 256, 0), rows = f32_of(3, 8, 128, 1, 0),
                           width = f32_of(1, 256, 0, 0, 0);
    const kpar_tensor_spec per_channel[] = {images, channels, channels, images},
                           per_row[] = {words, rows, rows, width, width, words},
                           channel_sums[] = {images, channels}, width_sums[] = {words, width},
                           row_sums[] = {words, f32_of(2, 8, 128, 0, 0)},
                           pixel_sums[] = {images, f32_of(2, 64, 16, 0, 0)};
    const kpar_expression *apply =
        parsed(arena, "{3: input 0; input 1; input 2; sub %0 %1; mul %3 %2 -> %4}");
    const kpar_expression *affine =
        parsed(arena, "{5: input 0; input 1; input 2; input 3; input 4; sub %0 %1; "
                      "mul %5 %2; mul %6 %3; add %7 %4 -> %8}");
    report("(x - mean) scale, 64x32x32x16", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                                .n_inputs = 3,
                                                                .n_outputs = 1,
                                                                .tensors = per_channel,
                                                                .attributes = {.expression = apply}});
    report("layer normalization, 8x128x256", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                                 .n_inputs = 5,
                                                                 .n_outputs = 1,
                                                                 .tensors = per_row,
                                                                 .attributes = {.expression = affine}});
    const struct {
        const char *name;
        const kpar_tensor_spec *tensors;
        unsigned axes;
    } sums[] = {{"sums of channels, 64x32x32x16", channel_sums, 7},
                {"sums of pixels, 64x32x32x16", pixel_sums, 6},
                {"sums of rows, 8x128x256", row_sums, 4},
                {"sums of columns, 8x128x256", width_sums, 3}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        report(sums[i].name, &(kpar_kernel_spec){.op = KPAR_OP_REDUCE,
                                                 .n_inputs = 1,
                                                 .n_outputs = 1,
                                                 .tensors = sums[i].tensors,
                                                 .attributes = {.axes = sums[i].axes}});
}

static void report_others(kpar_arena *arena)
{
    const kpar_tensor_spec dropout[] = {{KPAR_I64, 1, {256}}, {KPAR_I64, 0, {0}}, f32(2, 256, 1024)};
    const kpar_tensor_spec pixels[] = {{KPAR_U8, 2, {256, 784}}, f32(2, 256, 784)};
    const kpar_tensor_spec turned[] = {f32(2, 784, 1024), f32(2, 1024, 784)};
    report(
        "random, 256x1024",
        &(kpar_kernel_spec){
            .op = KPAR_OP_RANDOM, .n_inputs = 2, .n_outputs = 1, .tensors = dropout, .row_elements = 1024});
    const kpar_expression *scale = parsed(arena, "{1: input 0; const 255; div %0 %1 -> %2}");
    report("uint8 / 255, 256x784", &(kpar_kernel_spec){.op = KPAR_OP_MAP,
                                                       .n_inputs = 1,
                                                       .n_outputs = 1,
                                                       .tensors = pixels,
                                                       .attributes = {.expression = scale}});
    report("transpose, 784x1024", &(kpar_kernel_spec){.op = KPAR_OP_TRANSPOSE,
                                                      .n_inputs = 1,
                                                      .n_outputs = 1,
                                                      .tensors = turned,
                                                      .attributes = {.permutation = {1, 0}}});
}

int main(int argc, char **argv)
{
    kpar_arena *arena = kpar_arena_create();
    if (argc > 1) threads = atoi(argv[1]);
    report_matmuls(arena);
    report_maps(arena);
    report_normalizations(arena);
    report_others(arena);
    kpar_arena_destroy(arena);
    return 0;
}
