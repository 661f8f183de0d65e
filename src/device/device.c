/* The table of devices. */
#include "device/device.h"

#include <string.h>

static const kpar_device_class *const classes[] = {&kpar_device_cpu, &kpar_device_reference,
                                                   &kpar_device_null, NULL};

const kpar_device_class *const *kpar_device_classes(void) { return classes; }

const kpar_device_class *kpar_device_find(const char *name)
{
    for (int i = 0; classes[i]; i++)
        if (strcmp(classes[i]->name, name) == 0) return classes[i];
    return NULL;
}
