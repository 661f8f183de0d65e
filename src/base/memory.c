/* Counted allocation and arenas. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t live_blocks, total_blocks;

static void *counted(void *block)
{
    if (block) {
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&total_blocks, 1, memory_order_relaxed);
    }
    return block;
}

static void uncount(const void *block)
{
    if (block) atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
}

static _Noreturn void out_of_memory(size_t bytes)
{
    fprintf(stderr, "kpar: out of memory: %zu bytes for bookkeeping were refused\n", bytes);
    exit(1);
}

void *kpar_alloc(size_t bytes)
{
    void *block = counted(malloc(bytes ? bytes : 1));
    if (!block) out_of_memory(bytes);
    return block;
}

void *kpar_alloc_zeroed(size_t count, size_t bytes)
{
    void *block = counted(calloc(count ? count : 1, bytes ? bytes : 1));
    if (!block) out_of_memory(count * bytes);
    return block;
}

void *kpar_realloc(void *block, size_t bytes)
{
    if (!block) return kpar_alloc(bytes);
    void *grown = realloc(block, bytes ? bytes : 1);
    if (!grown) out_of_memory(bytes);
    atomic_fetch_add_explicit(&total_blocks, 1, memory_order_relaxed);
    return grown;
}

char *kpar_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(kpar_alloc(bytes), text, bytes);
}

void kpar_free(void *block)
{
    uncount(block);
    free(block);
}

kpar_status kpar_try_alloc(size_t bytes, const char *what, void **block)
{
    enum { ALIGNMENT = 64 };
    *block = NULL;
    if (bytes > SIZE_MAX - ALIGNMENT)
        return kpar_fail(KPAR_ENOMEM, "%s needs %zu bytes, more than can be addressed", what, bytes);
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *block = counted(aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT));
    if (!*block) return kpar_fail(KPAR_ENOMEM, "%s needs %zu bytes, which the system refused", what, bytes);
    memset(*block, 0, rounded ? rounded : ALIGNMENT);
    return KPAR_OK;
}

void kpar_free_aligned(void *block) { kpar_free(block); }

size_t kpar_alloc_live(void) { return atomic_load(&live_blocks); }

size_t kpar_alloc_total(void) { return atomic_load(&total_blocks); }

bool kpar_multiply(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

void *kpar_grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity) return items;
    *capacity = *capacity ? *capacity * 2 : 8;
    return kpar_realloc(items, *capacity * item_bytes);
}

typedef struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
} chunk;

struct kpar_arena {
    chunk *first;
};

kpar_arena *kpar_arena_create(void) { return kpar_alloc_zeroed(1, sizeof(kpar_arena)); }

void kpar_arena_destroy(kpar_arena *arena)
{
    if (!arena) return;
    for (chunk *c = arena->first, *next; c; c = next) {
        next = c->next;
        kpar_free(c);
    }
    kpar_free(arena);
}

/* Chunks double, so that an arena takes little where it holds little: each kernel has one. */
static size_t next_chunk_bytes(const kpar_arena *arena)
{
    enum { LEAST = 1 << 10, MOST = 1 << 16 };
    if (!arena->first) return LEAST;
    return arena->first->size < MOST / 2 ? 2 * arena->first->size : MOST;
}

void *kpar_arena_alloc(kpar_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 15) / 16 * 16;
    chunk *c = arena->first;
    if (!c || c->size - c->used < rounded) {
        const size_t wish = next_chunk_bytes(arena), size = rounded > wish ? rounded : wish;
        c = kpar_alloc(sizeof *c + size);
        c->used = 0;
        c->size = size;
        c->next = arena->first;
        arena->first = c;
    }
    void *block = c->bytes + c->used;
    c->used += rounded;
    return memset(block, 0, rounded);
}

void *kpar_arena_copy(kpar_arena *arena, const void *source, size_t bytes)
{
    void *block = kpar_arena_alloc(arena, bytes);
    if (bytes) memcpy(block, source, bytes);
    return block;
}

char *kpar_arena_strdup(kpar_arena *arena, const char *text)
{
    return kpar_arena_copy(arena, text, strlen(text) + 1);
}

char *kpar_arena_printf(kpar_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = kpar_arena_alloc(arena, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}
