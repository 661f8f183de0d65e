/* Status names and the message of the last failure, one a thread. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048 };

static _Thread_local char last_message[MESSAGE_BYTES];

static const struct {
    const char *name, *text;
} statuses[] = {
#define KPAR_STATUS_ROW(name, text) {#name, text},
    KPAR_STATUS_LIST(KPAR_STATUS_ROW)
#undef KPAR_STATUS_ROW
};

enum { STATUS_COUNT = sizeof statuses / sizeof statuses[0] };

const char *kpar_status_name(kpar_status status)
{
    return (unsigned)status < STATUS_COUNT ? statuses[status].name : "unknown";
}

const char *kpar_status_text(kpar_status status)
{
    return (unsigned)status < STATUS_COUNT ? statuses[status].text : "unknown status";
}

const char *kpar_error_message(void) { return last_message; }

/* A message is one line that a terminal shows as it is, whatever names and damaged bytes it quotes. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
}

kpar_status kpar_fail(kpar_status status, const char *format, ...)
{
    char message[MESSAGE_BYTES]; /* the arguments may point into last_message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    make_printable(message);
    memcpy(last_message, message, sizeof message);
    return status;
}

kpar_status kpar_fail_in(kpar_status status, const char *format, ...)
{
    char prefix[MESSAGE_BYTES / 4];
    char message[MESSAGE_BYTES - sizeof prefix - sizeof ": "]; /* its end is cut before the prefix is */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    make_printable(prefix);
    memcpy(message, last_message, sizeof message);
    message[sizeof message - 1] = '\0';
    snprintf(last_message, sizeof last_message, "%s: %s", prefix, message);
    return status;
}
