#include "base/secret.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

struct secret {
    atomic_uint refs;
    size_t len;
    char bytes[];
};

void mem_wipe(void *p, size_t len) {
    volatile unsigned char *v = p;
    while (len--) *v++ = 0;
}

struct secret *secret_new(const void *bytes, size_t len) {
    struct secret *s = mem_alloc(sizeof *s + len + 1);
    atomic_init(&s->refs, 1);
    s->len = len;
    if (len) memcpy(s->bytes, bytes, len);
    return s;
}

struct secret *secret_take(char *text) {
    if (!text) return NULL;
    size_t len = strlen(text);
    struct secret *s = secret_new(text, len);
    mem_wipe(text, len);
    mem_free(text);
    return s;
}

struct secret *secret_ref(const struct secret *s) {
    struct secret *m = (struct secret *) s;
    if (m) atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void secret_unref(struct secret *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    mem_wipe(s->bytes, s->len);
    mem_free(s);
}

const char *secret_bytes(const struct secret *s) { return s ? s->bytes : ""; }

size_t secret_len(const struct secret *s) { return s ? s->len : 0; }

bool secret_equal(const struct secret *a, const struct secret *b) {
    size_t n = secret_len(a);
    if (n != secret_len(b)) return false;
    const char *x = secret_bytes(a), *y = secret_bytes(b);
    unsigned char diff = 0;
    for (size_t i = 0; i < n; i++) diff |= (unsigned char) (x[i] ^ y[i]);
    return diff == 0;
}

const char *secret_print(const struct secret *s) { return secret_len(s) ? "***" : ""; }
