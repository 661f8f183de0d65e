/* What the texts made from a table of options share. */
#ifndef KPAR_BASE_OPTIONS_INTERNAL_H
#define KPAR_BASE_OPTIONS_INTERNAL_H

#include "base/options.h"

/* "-np, --ranks N", "--[no-]shuffle", "--schedule gpipe|1f1b". */
void kpar_option_spelling(kpar_text *text, const kpar_option *option);

/* The default in words, or NULL if there is nothing to say. */
const char *kpar_option_default(const kpar_option *option);

/* The choices with `between` between them. */
void kpar_option_choices(kpar_text *text, const kpar_option *option, const char *between);

#endif
