#include "context/strset.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static size_t hash(const char *s) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char) *s) * 0x100000001b3u;
    return (size_t) (h ^ h >> 32);
}

/* Where s is, or the free slot where it belongs. */
static size_t slot(const struct strset *set, const char *s) {
    size_t i = hash(s) & (set->cap - 1);
    while (set->slots[i] && strcmp(set->slots[i], s) != 0) i = (i + 1) & (set->cap - 1);
    return i;
}

static void grow(struct arena *a, struct strset *set) {
    struct strset more = {.cap = set->cap ? set->cap * 2 : 32, .n = set->n};
    more.slots = arena_array(a, more.cap, sizeof *more.slots);
    for (size_t i = 0; i < set->cap; i++)
        if (set->slots[i]) more.slots[slot(&more, set->slots[i])] = set->slots[i];
    *set = more;
}

bool strset_add(struct arena *a, struct strset *set, const char *s) {
    if (set->n * 2 >= set->cap) grow(a, set);
    size_t i = slot(set, s);
    if (set->slots[i]) return false;
    set->slots[i] = s;
    set->n++;
    return true;
}

bool strset_has(const struct strset *set, const char *s) { return set->cap && set->slots[slot(set, s)]; }
