/* Names of modules. */
#include "parallel/module.h"

#include <string.h>

static const char digits[] = "0123456789";

/* Bytes up to the separator that ends the first part; 0: there is none. */
static size_t first_part(const char *name)
{
    bool number = false;
    for (size_t i = 0; name[i]; i++) {
        if (name[i] == '/') return i;
        const char *rest = name + i + 1;
        if (name[i] == '_' && number && *rest && rest[strspn(rest, digits)]) return i;
        number = name[i] == '_' ? false : number || strchr(digits, name[i]);
    }
    return 0;
}

size_t kpar_module_length(const char *layer, int level)
{
    size_t length = 0;
    for (int i = 0; i < level; i++) {
        const size_t start = length ? length + 1 : 0, part = first_part(layer + start);
        if (!part) return 0;
        length = start + part;
    }
    return length;
}

bool kpar_module_same(const char *a, const char *b, int level)
{
    const size_t x = kpar_module_length(a, level), y = kpar_module_length(b, level);
    return x && y ? x == y && memcmp(a, b, x) == 0 : strcmp(a, b) == 0;
}

bool kpar_module_nested(const char *a, const char *b)
{
    const size_t n = strcspn(a, "/");
    return a[n] == '/' && strncmp(a, b, n + 1) == 0;
}
