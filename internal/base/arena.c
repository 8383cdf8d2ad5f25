/* A request's memory: blocks that are freed together. Under a sanitizer each allocation is its own malloc, so that
 * an overrun is seen. */
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ONE_BLOCK_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_BLOCK_EACH 1
#endif
#endif
#ifndef ONE_BLOCK_EACH
#define ONE_BLOCK_EACH 0
#endif

enum { BLOCK = 16 * 1024 };

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct block *blocks;
};

struct arena *arena_new(void) { return NEW(struct arena); }

void arena_free(struct arena *a) {
    if (!a) return;
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    mem_free(a);
}

static struct block *block_new(size_t size) {
    if (size > SIZE_MAX - sizeof(struct block)) mem_abort();
    struct block *b = malloc(sizeof(struct block) + size);
    if (!b) mem_abort();
    *b = (struct block){.size = size};
    return b;
}

void *arena_alloc(struct arena *a, size_t size) {
    const size_t align = _Alignof(max_align_t);
    if (!size) size = 1;
    if (size > SIZE_MAX / 2) mem_abort();
    size_t rounded = ONE_BLOCK_EACH ? size : (size + align - 1) / align * align;
    struct block *b = a->blocks;
    if (ONE_BLOCK_EACH || !b || b->size - b->used < rounded) {
        bool own = ONE_BLOCK_EACH || rounded > BLOCK / 4;
        struct block *fresh = block_new(own ? rounded : BLOCK);
        /* A large allocation goes behind the current block, which still has room. */
        if (own && b) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->blocks = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->used;
    b->used += rounded;
    return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) mem_abort();
    return arena_alloc(a, total);
}

void *arena_dup(struct arena *a, const void *p, size_t len) {
    char *q = arena_alloc(a, len + 1);
    if (len) memcpy(q, p, len);
    return q;
}

char *arena_strdup(struct arena *a, const char *s) { return s ? arena_dup(a, s, strlen(s)) : NULL; }

char *arena_strndup(struct arena *a, const char *s, size_t len) { return arena_dup(a, s, strnlen(s, len)); }

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) {
    va_list copy;
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, fmt, copy);
    va_end(copy);
    if (n < 0) mem_abort();
    char *s = arena_alloc(a, (size_t) n + 1);
    vsnprintf(s, (size_t) n + 1, fmt, ap);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

void *arena_grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size) {
    if (count < *cap) return items;
    size_t bigger = *cap ? *cap * 2 : 8;
    if (bigger <= count) bigger = count + 1;
    void *p = arena_array(a, bigger, size);
    if (count) memcpy(p, items, count * size);
    *cap = bigger;
    return p;
}
