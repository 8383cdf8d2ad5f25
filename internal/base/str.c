#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

void buf_done(struct buf *b) {
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b) {
    b->len = 0;
    b->overflow = false;
    if (b->data) b->data[0] = 0;
}

void buf_wipe(struct buf *b) {
    if (b->data) mem_wipe(b->data, b->cap);
    buf_done(b);
}

static bool reserve(struct buf *b, size_t more) {
    if (b->max && (more > b->max || b->len > b->max - more)) {
        b->overflow = true;
        return false;
    }
    if (b->cap - b->len > more) return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len <= more) {
        if (__builtin_mul_overflow(cap, (size_t) 2, &cap)) mem_abort();
    }
    b->data = mem_realloc(b->data, cap, 1);
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *p, size_t len) {
    if (!reserve(b, len)) return;
    if (len) memcpy(b->data + b->len, p, len);
    b->len += len;
    b->data[b->len] = 0;
}

void buf_adds(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_addc(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_addf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *s = mem_vprintf(fmt, ap);
    va_end(ap);
    buf_adds(b, s);
}

char *buf_take(struct buf *b) {
    char *s = b->data ? b->data : mem_strdup("");
    *b = (struct buf){.max = b->max};
    return s;
}

const char *buf_str(const struct buf *b) { return b->data ? b->data : ""; }

void strs_add(struct arena *a, struct strs *list, const char *s) {
    ARENA_GROW(a, list->v, list->n, list->cap);
    list->v[list->n++] = s;
}

bool str_eq(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

bool str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

bool str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_empty(const char *s) { return !s || !*s; }

char *str_lower(struct arena *a, const char *s) {
    char *copy = arena_strdup(a, s);
    for (char *p = copy; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char) (*p + 32);
    return copy;
}

char *str_trim(struct arena *a, const char *s) {
    while (isspace((unsigned char) *s)) s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char) s[n - 1])) n--;
    return arena_strndup(a, s, n);
}

int64_t duration_parse(const char *s) {
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
    if (str_empty(s)) return -1;
    if (str_eq(s, "0")) return 0;
    double total = 0;
    while (*s) {
        double value = 0, scale = 1;
        const char *start = s;
        for (; isdigit((unsigned char) *s); s++) value = value * 10 + (*s - '0');
        size_t digits = (size_t) (s - start);
        if (*s == '.')
            for (s++; isdigit((unsigned char) *s); s++, digits++) value += (*s - '0') * (scale /= 10);
        if (!digits) return -1;
        size_t u = 0;
        while (u < ARRAY_SIZE(units) && !str_starts(s, units[u].name)) u++;
        if (u == ARRAY_SIZE(units)) return -1;
        s += strlen(units[u].name);
        total += value * units[u].ms;
    }
    return total > 1e15 ? -1 : (int64_t) (total + 0.5);
}
