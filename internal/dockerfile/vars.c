#include "dockerfile/vars.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static size_t hash(const char *s) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char) *s) * 0x100000001b3u;
    return (size_t) (h ^ h >> 32);
}

static size_t *slot(const struct vars *vs, const char *key) {
    size_t i = hash(key) & (vs->n_slots - 1);
    while (vs->slots[i] && strcmp(vs->v[vs->slots[i] - 1].key, key) != 0) i = (i + 1) & (vs->n_slots - 1);
    return &vs->slots[i];
}

static void grow(struct arena *a, struct vars *vs) {
    vs->n_slots = vs->n_slots ? vs->n_slots * 2 : 64;
    vs->slots = arena_array(a, vs->n_slots, sizeof *vs->slots);
    for (size_t i = 0; i < vs->n; i++) *slot(vs, vs->v[i].key) = i + 1;
}

const struct var *vars_find(const struct vars *vs, const char *key) {
    if (!vs->n_slots) return NULL;
    size_t at = *slot(vs, key);
    return at ? &vs->v[at - 1] : NULL;
}

void vars_set(struct arena *a, struct vars *vs, const char *key, const char *value, bool open, bool env) {
    if (vs->n * 2 >= vs->n_slots) grow(a, vs);
    size_t *at = slot(vs, key);
    if (!*at) {
        ARENA_GROW(a, vs->v, vs->n, vs->cap);
        vs->v[vs->n] = (struct var){.key = key};
        *at = ++vs->n;
    }
    struct var *v = &vs->v[*at - 1];
    v->value = value;
    v->open = open;
    if (!env) return;
    v->config = value;
    v->config_open = open;
}

void vars_inherit(struct arena *a, struct vars *vs, const struct vars *from) {
    *vs = (struct vars){.external = from->external};
    for (size_t i = 0; i < from->n; i++) {
        const struct var *v = &from->v[i];
        if (v->config)
            vars_set(a, vs, v->key, v->config, v->config_open, true);
        else
            vars_set(a, vs, v->key, v->value, v->open || from->external, false); /* the base image's ENV comes last */
    }
}

struct df_value vars_get(const struct vars *vs, const char *key) {
    const struct var *v = vars_find(vs, key);
    if (!v) return (struct df_value){.text = "", .open = vs->external};
    return (struct df_value){.text = v->value, .set = true, .open = v->open};
}
