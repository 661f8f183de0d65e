/* Numbers as text, the same in every locale. */
#ifndef KPAR_BASE_NUMBER_H
#define KPAR_BASE_NUMBER_H

#include "base/text.h"

#include <stdbool.h>

/* Appends the shortest of %.15g, %.16g, %.17g that reads back to the same double; "inf", "-inf", "nan". */
void kpar_text_number(kpar_text *text, double value);

/* Reads a decimal or hexadecimal number, "inf" or "nan" at the start of `text`. *end, which may be &text, is
 * set behind it. False, with *end untouched, where no number begins; leading space is not skipped. */
bool kpar_parse_number(const char *text, const char **end, double *value);

/* The whole of `text` as a number, or as an integer that fits; false if it is not one. */
bool kpar_parse_whole_number(const char *text, double *value);
bool kpar_parse_whole_integer(const char *text, long long *value);

/* Below, at or above 0 as strcmp, but digits count as the number that they spell: "vars/2" before "vars/10". */
int kpar_natural_order(const char *a, const char *b);

#endif
