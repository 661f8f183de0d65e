/* Numbers as text. The C library reads and writes them by the thread's locale, so that is set aside
 * meanwhile. */
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Switches this thread to the C locale; returns the one to go back to. */
static locale_t enter_c_locale(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c ? uselocale(*c) : (locale_t)0;
}

static void leave_c_locale(locale_t c, locale_t before)
{
    if (!c) return;
    uselocale(before);
    freelocale(c);
}

void kpar_text_number(kpar_text *text, double value)
{
    if (isnan(value)) {
        kpar_text_printf(text, "nan");
        return;
    }
    char digits[32];
    locale_t c, before = enter_c_locale(&c);
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    leave_c_locale(c, before);
    kpar_text_printf(text, "%s", digits);
}

bool kpar_parse_number(const char *text, const char **end, double *value)
{
    if (!*text || isspace((unsigned char)*text)) return false;
    char *stop;
    locale_t c, before = enter_c_locale(&c);
    double number = strtod(text, &stop);
    leave_c_locale(c, before);
    if (stop == text) return false;
    *value = number;
    *end = stop;
    return true;
}

bool kpar_parse_whole_number(const char *text, double *value)
{
    const char *end;
    double number;
    if (!kpar_parse_number(text, &end, &number) || *end) return false;
    *value = number;
    return true;
}

bool kpar_parse_whole_integer(const char *text, long long *value)
{
    if (!*text || isspace((unsigned char)*text)) return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end) return false;
    *value = number;
    return true;
}

/* Numbers at the start of both; *length_a and *length_b are their digits. */
static int order_of_numbers(const char *a, const char *b, size_t *length_a, size_t *length_b)
{
    static const char digits[] = "0123456789";
    *length_a = strspn(a, digits);
    *length_b = strspn(b, digits);
    const size_t zeros_a = strspn(a, "0"), zeros_b = strspn(b, "0");
    const size_t left_a = *length_a - zeros_a, left_b = *length_b - zeros_b;
    if (left_a != left_b) return left_a < left_b ? -1 : 1;
    return memcmp(a + zeros_a, b + zeros_b, left_a);
}

int kpar_natural_order(const char *a, const char *b)
{
    const char *whole_a = a, *whole_b = b;
    while (*a && *b) {
        size_t length_a = 1, length_b = 1;
        const bool numbers = isdigit((unsigned char)*a) && isdigit((unsigned char)*b);
        const int order =
            numbers ? order_of_numbers(a, b, &length_a, &length_b) : (unsigned char)*a - (unsigned char)*b;
        if (order) return order;
        a += length_a;
        b += length_b;
    }
    const int order = (unsigned char)*a - (unsigned char)*b;
    return order ? order : strcmp(whole_a, whole_b); /* leading zeros */
}
