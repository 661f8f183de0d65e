/* Lines on standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program = "kpar";

void kpar_log_program(const char *name) { program = name; }

static void write_line(char *line, size_t capacity, size_t length)
{
    if (length > capacity - 2) length = capacity - 2;
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored; /* nowhere left to say it */
}

void kpar_log(const char *format, ...)
{
    char line[4096];
    int prefix = snprintf(line, sizeof line, "%s: ", program);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + prefix, sizeof line - (size_t)prefix, format, arguments);
    va_end(arguments);
    write_line(line, sizeof line, (size_t)(prefix + length));
}

void kpar_log_error(const char *message) { kpar_log("%s", message); }
