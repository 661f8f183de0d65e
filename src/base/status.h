/* Errors are values: kpar_fail() makes the message where the facts are, KPAR_TRY() passes the code up. */
#ifndef KPAR_BASE_STATUS_H
#define KPAR_BASE_STATUS_H

#include <kpar/status.h>

/* Stores the message for kpar_error_message() and returns `status`. The message is one line without a final
 * newline or program name. */
kpar_status kpar_fail(kpar_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Puts "prefix: " in front of the current message and returns `status`. */
kpar_status kpar_fail_in(kpar_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Returns early from the calling function when `call` did not succeed. */
#define KPAR_TRY(call)                                                                                       \
    do {                                                                                                     \
        kpar_status kpar_try_status_ = (call);                                                               \
        if (kpar_try_status_ != KPAR_OK) return kpar_try_status_;                                            \
    } while (0)

/* Goes to `label` with the code in the variable `status` when `call` did not succeed. */
#define KPAR_TRY_OR(status, label, call)                                                                     \
    do {                                                                                                     \
        (status) = (call);                                                                                   \
        if ((status) != KPAR_OK) goto label;                                                                 \
    } while (0)

#endif
