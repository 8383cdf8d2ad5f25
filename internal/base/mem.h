#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Memory. Out of memory aborts here and nowhere else, so no caller checks for NULL.
 *
 * Two ways to own memory: a scope (malloc'ed, freed by a cleanup attribute) and an arena (freed as a whole,
 * one per request). Arenas hold no descriptors, locks or secrets. */

void *mem_alloc(size_t size);                 /* zeroed */
void *mem_array(size_t count, size_t size);   /* zeroed, overflow aborts */
void *mem_realloc(void *p, size_t count, size_t size);
void mem_free(void *p);                       /* NULL is fine */
char *mem_strdup(const char *s);              /* NULL stays NULL */
char *mem_strndup(const char *s, size_t len);
void *mem_dup(const void *p, size_t len);     /* a NUL follows the copy */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
_Noreturn void mem_abort(void);

/* Grows *items so that it can hold one more than count; the capacity doubles. */
#define MEM_GROW(items, count, cap) ((items) = mem_grow((items), (count), &(cap), sizeof *(items)))
void *mem_grow(void *items, size_t count, size_t *cap, size_t size);

#define NEW(type) ((type *) mem_alloc(sizeof(type)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define TAKE_PTR(p)            \
    ({                         \
        __typeof__(p) *_p = &(p); \
        __typeof__(p) _v = *_p;   \
        *_p = NULL;            \
        _v;                    \
    })

static inline void mem_free_p(void *p) { mem_free(*(void **) p); }
#define AUTO_FREE CLEANUP(mem_free_p)

static inline void fd_close_p(int *fd);
#define AUTO_CLOSE CLEANUP(fd_close_p)
void fd_close(int fd); /* keeps errno; negative is fine */
static inline void fd_close_p(int *fd) { fd_close(*fd); }

struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a);
static inline void arena_free_p(struct arena **a) { arena_free(*a); }
#define AUTO_ARENA CLEANUP(arena_free_p)

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s); /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *s, size_t len);
void *arena_dup(struct arena *a, const void *p, size_t len); /* a NUL follows the copy */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Grows *items in the arena so that it can hold one more than count. The old array stays until arena_free. */
#define ARENA_GROW(a, items, count, cap) ((items) = arena_grow((a), (items), (count), &(cap), sizeof *(items)))
void *arena_grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size);
