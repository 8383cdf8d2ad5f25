#include "tf/value.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

bool tf_string_equal(struct tf_string a, struct tf_string b) {
    return a.state == b.state && (a.state != TF_KNOWN || str_eq(a.v, b.v));
}

bool tf_strings_equal(const struct tf_strings *a, const struct tf_strings *b) {
    if (a->state != b->state) return false;
    if (a->state != TF_KNOWN) return true;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!tf_string_equal(a->v[i], b->v[i])) return false;
    return true;
}

bool tf_map_equal(const struct tf_map *a, const struct tf_map *b) {
    if (a->state != b->state) return false;
    if (a->state != TF_KNOWN) return true;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->v[i].key, b->v[i].key) || !tf_string_equal(a->v[i].value, b->v[i].value)) return false;
    return true;
}

bool tf_strings_unknown(const struct tf_strings *s) {
    if (s->state != TF_KNOWN) return s->state == TF_UNKNOWN;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].state == TF_UNKNOWN) return true;
    return false;
}

bool tf_map_unknown(const struct tf_map *m) {
    if (m->state != TF_KNOWN) return m->state == TF_UNKNOWN;
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].value.state == TF_UNKNOWN) return true;
    return false;
}

/* Where key is, or where it belongs. */
static size_t place(const struct tf_map *m, const char *key, bool *ret_found) {
    size_t low = 0, high = m->state == TF_KNOWN ? m->n : 0;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(key, m->v[mid].key);
        if (!c) *ret_found = true;
        if (c <= 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

const char *tf_map_get(const struct tf_map *m, const char *key) {
    bool found;
    size_t at = place(m, key, &found);
    return found ? tf_text(m->v[at].value) : NULL;
}

void tf_map_put(struct arena *a, struct tf_map *m, const char *key, struct tf_string value) {
    bool found;
    size_t at = place(m, key, &found), n = m->state == TF_KNOWN ? m->n : 0;
    if (found) {
        m->v[at].value = value;
        return;
    }
    struct tf_map_entry *v = m->v;
    size_t cap = m->cap;
    if (n >= cap) {
        cap = n < 4 ? 8 : 2 * n;
        v = arena_array(a, cap, sizeof *v);
        if (n) memcpy(v, m->v, n * sizeof *v);
    }
    memmove(v + at + 1, v + at, (n - at) * sizeof *v);
    v[at] = (struct tf_map_entry){.key = arena_strdup(a, key), .value = value};
    *m = (struct tf_map){.state = TF_KNOWN, .n = n + 1, .v = v, .cap = cap};
}
