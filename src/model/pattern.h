/* Keras's patterns of names, which are Python's regular expressions. */
#ifndef KPAR_MODEL_PATTERN_H
#define KPAR_MODEL_PATTERN_H

#include "base/status.h"

#include <stdbool.h>

/* Whether the pattern fits somewhere in the text, or the text as a whole. What of a pattern the C library has no word for is
 * KPAR_EUNSUPPORTED; `owner` and `key` say in messages where it stands. */
kpar_status kpar_pattern_fits(const char *owner, const char *key, const char *pattern, bool whole,
                              const char *text, bool *fits) KPAR_MUST_USE;

#endif
