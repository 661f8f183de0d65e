/* The options of kparrun: one table for reading them, --help, the man page and the documentation. */
#ifndef KPAR_LAUNCH_OPTIONS_H
#define KPAR_LAUNCH_OPTIONS_H

#include "launch/launch.h"

extern const kpar_options kpar_launch_option_table;

/* Reads the arguments; they stop being kparrun's at the first word that is no option. KPAR_EUSAGE says what is
 * wrong or missing. */
kpar_status kpar_launch_options_read(int argc, char **argv, kpar_arena *arena,
                                     kpar_launch_options *options) KPAR_MUST_USE;

#endif
