/* Lines on standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program = "kpar";
static int own_rank;

void kpar_log_program(const char *name) { program = name; }
void kpar_log_rank(int rank) { own_rank = rank; }

static void write_line(char *line, size_t capacity, size_t length)
{
    if (length > capacity - 2) length = capacity - 2;
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored; /* nowhere left to say it */
}

static void log_arguments(const char *format, va_list arguments)
{
    char line[4096];
    int prefix = snprintf(line, sizeof line, "%s: ", program);
    int length = vsnprintf(line + prefix, sizeof line - (size_t)prefix, format, arguments);
    write_line(line, sizeof line, (size_t)(prefix + length));
}

void kpar_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_arguments(format, arguments);
    va_end(arguments);
}

void kpar_note(const char *format, ...)
{
    va_list arguments;
    if (own_rank != 0) return;
    va_start(arguments, format);
    log_arguments(format, arguments);
    va_end(arguments);
}

void kpar_log_error(const char *message) { kpar_log("%s", message); }
