/* Status codes shared by every kpar function. A function that can fail returns one; the words are in
 * kpar_error_message(). */
#ifndef KPAR_STATUS_H
#define KPAR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define KPAR_API __attribute__((visibility("default")))
#define KPAR_MUST_USE __attribute__((warn_unused_result))

/* name, text */
#define KPAR_STATUS_LIST(X)                                                                                  \
    X(OK, "success")                                                                                         \
    X(EUSAGE, "wrong usage")                                                                                 \
    X(EIO, "input or output failed")                                                                         \
    X(EFORMAT, "malformed file")                                                                             \
    X(EUNSUPPORTED, "not supported")                                                                         \
    X(EDATA, "data do not fit the model")                                                                    \
    X(ENUMERIC, "values are not finite")                                                                     \
    X(ENOMEM, "out of memory")                                                                               \
    X(ECOMM, "communication failed")                                                                         \
    X(ESTALL, "a rank waits for too long")                                                                   \
    X(ESTOPPED, "stopped by a signal")                                                                       \
    X(EINTERNAL, "internal error")

typedef enum kpar_status {
#define KPAR_STATUS_ENUM(name, text) KPAR_##name,
    KPAR_STATUS_LIST(KPAR_STATUS_ENUM)
#undef KPAR_STATUS_ENUM
} kpar_status;

/* "EFORMAT" for KPAR_EFORMAT. Never NULL. */
KPAR_API const char *kpar_status_name(kpar_status status);

/* One line that says what the code means in general. Never NULL. */
KPAR_API const char *kpar_status_text(kpar_status status);

/* The message of the last failure on this thread: what was expected, what was found, where, what to do.
 * Valid until the next failure on the thread; "" before the first. */
KPAR_API const char *kpar_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
