/* CPU kernels that make numbers: random (Philox, a group of counters at a time), constant, iota. */
#include "device/cpu/vector.h"

#include "base/philox.h"
#include "device/cpu/cpu.h"
#include "device/cpu/parallel.h"

#include <string.h>

/* Counters at a time; each gives four words. */
enum { COUNTERS = 64, WORDS = 4 * COUNTERS };

/* words[4 i .. 4 i + 3] of counter first + i, as kpar_philox gives them, as floats in [0, 1). */
KPAR_CLONES static void philox_block(uint64_t key, uint64_t first, uint64_t high, float units[WORDS])
{
    uint32_t c0[COUNTERS], c1[COUNTERS], c2[COUNTERS], c3[COUNTERS];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int i = 0; i < COUNTERS; i++) {
        const uint64_t low = first + (uint64_t)i;
        c0[i] = (uint32_t)low;
        c1[i] = (uint32_t)(low >> 32);
        c2[i] = (uint32_t)high;
        c3[i] = (uint32_t)(high >> 32);
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        KPAR_INDEPENDENT for (int i = 0; i < COUNTERS; i++)
        {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
        }
    for (int i = 0; i < COUNTERS; i++) {
        units[4 * i] = (float)(int32_t)(c0[i] >> 8) * 0x1p-24f;
        units[4 * i + 1] = (float)(int32_t)(c1[i] >> 8) * 0x1p-24f;
        units[4 * i + 2] = (float)(int32_t)(c2[i] >> 8) * 0x1p-24f;
        units[4 * i + 3] = (float)(int32_t)(c3[i] >> 8) * 0x1p-24f;
    }
}

/* n numbers of consecutive indices. */
static void fill_run(uint64_t key, uint64_t step, uint64_t index, float *out, int64_t n)
{
    float units[WORDS];
    while (n > 0) {
        const int64_t skip = (int64_t)(index % 4), take = n < WORDS - skip ? n : WORDS - skip;
        philox_block(key, index / 4, step, units);
        memcpy(out, units + skip, (size_t)take * sizeof *out);
        out += take;
        index += (uint64_t)take;
        n -= take;
    }
}

typedef struct random_call {
    const kpar_kernel_spec *spec;
    const int64_t *positions;
    uint64_t step;
    float *out;
} random_call;

static void random_rows(void *context, int worker, int64_t first, int64_t last)
{
    const random_call *c = context;
    const kpar_tensor_spec *output = kpar_spec_output(c->spec, 0);
    const int64_t elements = kpar_tensor_span(output, 1, output->rank);
    (void)worker;
    for (int64_t r = first; r < last; r++)
        for (int64_t i = 0, run; i < elements; i += run) {
            run = kpar_random_run(c->spec, i);
            fill_run(c->spec->attributes.key, c->step,
                     (uint64_t)kpar_random_index(c->spec, c->positions[r], i), c->out + r * elements + i,
                     run);
        }
}

static bool fits_random(const kpar_kernel_spec *spec) { return kpar_cpu_result_type(spec) == KPAR_F32; }

static kpar_status run_random(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    random_call call = {k->base.spec, in[0], *(const uint64_t *)in[1], out[0]};
    kpar_parallel(k->threads, kpar_spec_output(k->base.spec, 0)->dims[0], random_rows, &call);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_random = {.fits = fits_random, .run = run_random};

static bool always(const kpar_kernel_spec *spec)
{
    (void)spec;
    return true;
}

static kpar_status run_constant(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_tensor_spec *output = kpar_spec_output(k->base.spec, 0);
    const size_t bytes = kpar_dtype_bytes(output->dtype), count = (size_t)kpar_tensor_count(output);
    char *to = out[0];
    (void)in;
    if (count > 0) kpar_convert(to, output->dtype, &k->base.spec->attributes.value, KPAR_F64, 1);
    for (size_t done = 1; done < count; done *= 2)
        memcpy(to + done * bytes, to, (done < count - done ? done : count - done) * bytes);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_constant = {.fits = always, .run = run_constant};

static kpar_status run_iota(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_tensor_spec *output = kpar_spec_output(k->base.spec, 0);
    const kpar_lines l = kpar_lines_of(output, k->base.spec->attributes.axis);
    const size_t bytes = kpar_dtype_bytes(output->dtype);
    char *to = out[0];
    (void)in;
    for (int64_t i = 0, n = l.outer * l.length * l.inner; i < n; i++, to += bytes) {
        const double value = (double)(i / l.inner % l.length);
        kpar_convert(to, output->dtype, &value, KPAR_F64, 1);
    }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_iota = {.fits = always, .run = run_iota};
