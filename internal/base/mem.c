#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mem_abort(void) {
    static const char text[] = "out of memory\n";
    (void) !write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static size_t product(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) mem_abort();
    return total ? total : 1;
}

void *mem_array(size_t count, size_t size) {
    void *p = calloc(1, product(count, size));
    if (!p) mem_abort();
    return p;
}

void *mem_alloc(size_t size) { return mem_array(1, size); }

void *mem_realloc(void *p, size_t count, size_t size) {
    void *q = realloc(p, product(count, size));
    if (!q) mem_abort();
    return q;
}

void mem_free(void *p) { free(p); }

void *mem_dup(const void *p, size_t len) {
    char *q = mem_array(len + 1, 1);
    if (len) memcpy(q, p, len);
    return q;
}

char *mem_strdup(const char *s) { return s ? mem_dup(s, strlen(s)) : NULL; }

char *mem_strndup(const char *s, size_t len) { return mem_dup(s, strnlen(s, len)); }

char *mem_vprintf(const char *fmt, va_list ap) {
    va_list copy;
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, fmt, copy);
    va_end(copy);
    if (n < 0) mem_abort();
    char *s = mem_array((size_t) n + 1, 1);
    vsnprintf(s, (size_t) n + 1, fmt, ap);
    return s;
}

char *mem_printf(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *s = mem_vprintf(fmt, ap);
    va_end(ap);
    return s;
}

void *mem_grow(void *items, size_t count, size_t *cap, size_t size) {
    if (count < *cap) return items;
    *cap = *cap ? *cap * 2 : 8;
    if (*cap <= count) *cap = count + 1;
    return mem_realloc(items, *cap, size);
}

void fd_close(int fd) {
    if (fd < 0) return;
    int saved = errno;
    close(fd);
    errno = saved;
}
