/* Lines for people, on standard error, each beginning with "kpar: " or the program's name. */
#ifndef KPAR_BASE_LOG_H
#define KPAR_BASE_LOG_H

/* Name in front of each line, e.g. "kpar_train". Kept by reference; set once by a program's main. */
void kpar_log_program(const char *name);

/* One line for the user, written with a single write so that ranks do not interleave. */
void kpar_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* This process's rank, once it is known: 0 until then. */
void kpar_log_rank(int rank);

/* As kpar_log, of what all ranks find alike, as in the model's file: once for the job, from rank 0. */
void kpar_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The one line that ends a failed run: "program: message". */
void kpar_log_error(const char *message);

#endif
