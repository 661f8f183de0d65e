/* Python's regular expressions as POSIX's extended ones. Whether a pattern fits does not depend on how greedy it is. */
#include "model/pattern.h"

#include "base/text.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

/* What a letter behind a backslash stands for; NULL: nothing that is known. */
static const char *class_of(char letter)
{
    switch (letter) {
    case 'd':
        return "[0-9]";
    case 'D':
        return "[^0-9]";
    case 'w':
        return "[A-Za-z0-9_]";
    case 'W':
        return "[^A-Za-z0-9_]";
    case 's':
        return "[[:space:]]";
    case 'S':
        return "[^[:space:]]";
    default:
        return NULL;
    }
}

/* The length of the set "[...]" at the start of the text; 0: it has no end, or what means something else in POSIX. */
static size_t set_length(const char *text)
{
    size_t n = 1 + (text[1] == '^');
    n += text[n] == ']';
    for (; text[n] && text[n] != ']'; n++)
        if (text[n] == '\\' || text[n] == '[') return 0;
    return text[n] ? n + 1 : 0;
}

/* Translates what stands at the start of `from` and returns its length; 0: it has no translation. */
static size_t translate_next(kpar_text *to, const char *from, bool repeated)
{
    if (*from == '\\' && isalnum((unsigned char)from[1])) {
        const char *set = class_of(from[1]);
        if (!set) return 0;
        kpar_text_printf(to, "%s", set);
        return 2;
    }
    if (*from == '(' && from[1] == '?') { /* a group that is not numbered is a group */
        if (from[2] != ':') return 0;
        kpar_text_append(to, "(", 1);
        return 3;
    }
    if (repeated && *from == '?') return 1; /* a lazy repetition */
    if (repeated && *from == '+') return 0;
    const size_t n = *from == '[' ? set_length(from) : *from == '\\' ? 2 * (from[1] != '\0') : 1;
    kpar_text_append(to, from, n);
    return n;
}

static bool translate(kpar_text *to, const char *pattern)
{
    bool repeated = false;
    size_t n;
    for (; *pattern; pattern += n) {
        n = translate_next(to, pattern, repeated);
        if (n == 0) return false;
        repeated = n == 1 && !repeated && strchr("*+?}", *pattern);
    }
    return true;
}

kpar_status kpar_pattern_fits(const char *owner, const char *key, const char *pattern, bool whole,
                              const char *text, bool *fits)
{
    kpar_text posix = {0};
    regex_t compiled;
    kpar_text_printf(&posix, "%s", whole ? "^(" : "(");
    const bool translated = translate(&posix, pattern);
    kpar_text_printf(&posix, "%s", whole ? ")$" : ")");
    const bool known = translated && regcomp(&compiled, kpar_text_get(&posix), REG_EXTENDED | REG_NOSUB) == 0;
    kpar_text_clear(&posix);
    if (!known)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument '%s': the pattern '%s' is not supported", owner,
                         key, pattern);
    *fits = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return KPAR_OK;
}
