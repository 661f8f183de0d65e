/* The device that does everything but the arithmetic: it checks every kernel and touches no memory. Plans for
 * many ranks run on it in seconds. */
#include "device/spec.h"

static kpar_status null_create(const kpar_device_options *options, kpar_device **device)
{
    (void)options;
    *device = kpar_alloc_zeroed(1, sizeof **device);
    (*device)->class = &kpar_device_null;
    return KPAR_OK;
}

static void null_destroy(kpar_device *device) { kpar_free(device); }

static bool null_supports(const kpar_kernel_spec *spec)
{
    (void)spec;
    return true;
}

static kpar_status null_prepare(kpar_device *device, const kpar_kernel_spec *spec, kpar_kernel **kernel)
{
    (void)device;
    KPAR_TRY(kpar_spec_check(spec));
    *kernel = kpar_alloc_zeroed(1, sizeof **kernel);
    (*kernel)->spec = spec;
    return KPAR_OK;
}

static void null_release(kpar_device *device, kpar_kernel *kernel)
{
    (void)device;
    kpar_free(kernel);
}

static kpar_status null_run(kpar_device *device, kpar_kernel *kernel, void *const *places)
{
    (void)device;
    (void)kernel;
    (void)places;
    return KPAR_OK;
}

const kpar_device_class kpar_device_null = {
    .name = "null",
    .doc = "computes nothing: for plans larger than the machine at hand",
    .create = null_create,
    .destroy = null_destroy,
    .supports = null_supports,
    .prepare = null_prepare,
    .release = null_release,
    .run = null_run,
    .seconds = kpar_spec_seconds,
};
