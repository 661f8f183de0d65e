/* The options of kparrun: one table for reading them, --help and the man page. */
#ifndef KPAR_LAUNCH_OPTIONS_H
#define KPAR_LAUNCH_OPTIONS_H

#include "launch/launch.h"

typedef enum kpar_launch_action {
    KPAR_LAUNCH_RUN,
    KPAR_LAUNCH_HELP,
    KPAR_LAUNCH_MAN,
    KPAR_LAUNCH_VERSION
} kpar_launch_action;

/* Reads arguments[1 ..]; they stop being kparrun's at the first word that is no option. */
kpar_status kpar_launch_options_read(char **arguments, kpar_launch_options *options,
                                     kpar_launch_action *action) KPAR_MUST_USE;

void kpar_launch_options_help(void);
void kpar_launch_options_man(void);

#endif
