/* The device interface: prepare an op for fixed shapes, run it. One narrow struct of functions a device. One thread at a
 * time uses a device and its kernels; several devices may run side by side. */
#ifndef KPAR_DEVICE_DEVICE_H
#define KPAR_DEVICE_DEVICE_H

#include "program/program.h"

typedef struct kpar_device kpar_device;
typedef struct kpar_kernel kpar_kernel;

typedef struct kpar_device_options {
    int threads; /* threads a rank; 0: the device's default */
} kpar_device_options;

typedef struct kpar_device_class {
    const char *name, *doc;

    kpar_status (*create)(const kpar_device_options *options, kpar_device **device);
    void (*destroy)(kpar_device *device);

    /* Whether it runs the op with these attributes (epilogue, accumulate, types) as one kernel. What it does
     * not, the emitter takes apart. */
    bool (*supports)(const kpar_kernel_spec *spec);

    /* Prepares a kernel. `spec` outlives the kernel. May allocate; run may not. */
    kpar_status (*prepare)(kpar_device *device, const kpar_kernel_spec *spec, kpar_kernel **kernel);
    void (*release)(kpar_device *device, kpar_kernel *kernel);

    /* Runs a kernel: places[0 .. n_inputs) are inputs, the rest outputs. Inputs and outputs do not overlap, but
     * that a map's output may be exactly one of its inputs. */
    kpar_status (*run)(kpar_device *device, kpar_kernel *kernel, void *const *places);

    /* Modelled seconds for a kernel on one such device. */
    double (*seconds)(const kpar_kernel_spec *spec);

    /* (optional) Bytes that a prepared kernel holds, about: to predict memory without preparing it. NULL: nothing to
     * speak of. */
    size_t (*workspace)(const kpar_kernel_spec *spec);

    /* (optional) What the bits of its results depend on beside the kernels, in words: libraries, instruction set. NULL:
     * nothing. */
    void (*arithmetic)(char *text, size_t capacity);
} kpar_device_class;

/* Every device begins with this. */
struct kpar_device {
    const kpar_device_class *class;
};
struct kpar_kernel {
    const kpar_kernel_spec *spec;
};

/* "cpu", "reference", "null"; NULL if there is no such device in this build. */
const kpar_device_class *kpar_device_find(const char *name);
const kpar_device_class *const *kpar_device_classes(void); /* NULL-terminated */

extern const kpar_device_class kpar_device_reference, kpar_device_null, kpar_device_cpu;

#endif
