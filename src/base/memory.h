/* Memory for bookkeeping: counted blocks and arenas.
 *
 * A failed bookkeeping allocation ends the process with one message: nothing useful can follow. Memory whose
 * size depends on a model or on data is asked for with kpar_try_alloc(), whose failure is a status. */
#ifndef KPAR_BASE_MEMORY_H
#define KPAR_BASE_MEMORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Counted malloc, calloc, realloc, strdup, free. */
void *kpar_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *kpar_alloc_zeroed(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));
void *kpar_realloc(void *block, size_t bytes) __attribute__((returns_nonnull));
char *kpar_strdup(const char *text) __attribute__((malloc, returns_nonnull));
void kpar_free(void *block);

/* `bytes` of zeroed memory aligned to 64 bytes, or KPAR_ENOMEM naming `what`. Free with kpar_free_aligned. */
kpar_status kpar_try_alloc(size_t bytes, const char *what, void **block) KPAR_MUST_USE;
void kpar_free_aligned(void *block);

/* Blocks given out and not yet freed, and blocks ever given out, by this process. */
size_t kpar_alloc_live(void);
size_t kpar_alloc_total(void);

/* *product = a * b; false on overflow. For sizes that come from a file. */
bool kpar_multiply(size_t a, size_t b, size_t *product);

/* Makes room for one more element in a growing array; for use by KPAR_PUSH. */
void *kpar_grow(void *items, size_t count, size_t *capacity, size_t item_bytes);

/* Appends to the growing array {items, count, capacity} and evaluates to the new element's lvalue. */
#define KPAR_PUSH(items, count, capacity)                                                                    \
    (*((items) = kpar_grow((items), (count), &(capacity), sizeof *(items)), &(items)[(count)++]))

/* An arena: many small objects, freed at once. */
typedef struct kpar_arena kpar_arena;
kpar_arena *kpar_arena_create(void);
void kpar_arena_destroy(kpar_arena *arena);
void *kpar_arena_alloc(kpar_arena *arena, size_t bytes)
    __attribute__((returns_nonnull)); /* zeroed, 16-aligned */
char *kpar_arena_strdup(kpar_arena *arena, const char *text) __attribute__((returns_nonnull));
char *kpar_arena_printf(kpar_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *kpar_arena_copy(kpar_arena *arena, const void *source, size_t bytes);

#endif
