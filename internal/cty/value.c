#include <stdlib.h>
#include <string.h>
#include <uninorm.h>

#include "base/mem.h"
#include "cty/cty.h"

struct cty_text cty_text_new(struct arena *a, const char *s, size_t len) {
    bool ascii = true;
    for (size_t i = 0; ascii && i < len; i++) ascii = (unsigned char) s[i] < 0x80;
    if (ascii) return (struct cty_text){arena_dup(a, s, len), len};
    size_t n = 0;
    /* libunistring allocates with malloc; its result is freed with free. */
    AUTO_FREE uint8_t *nfc = u8_normalize(UNINORM_NFC, (const uint8_t *) s, len, NULL, &n);
    if (!nfc) mem_abort();
    return (struct cty_text){arena_dup(a, nfc, n), n};
}

static int order(long long a, long long b) { return (a > b) - (a < b); }

static int compare_text(struct cty_text a, struct cty_text b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.s, b.s, n) : 0;
    return c ? c : order((long long) a.len, (long long) b.len);
}

static int compare_refined(const struct cty_refined *a, const struct cty_refined *b) {
    if (!a || !b) return (a != NULL) - (b != NULL);
    int c = a->not_null - b->not_null;
    if (!c) c = (a->prefix.s != NULL) - (b->prefix.s != NULL);
    if (!c && a->prefix.s) c = compare_text(a->prefix, b->prefix);
    if (!c) c = a->has_min - b->has_min;
    if (!c) c = a->has_max - b->has_max;
    if (!c && a->has_min) c = cty_num_compare(a->min, b->min);
    if (!c && a->has_max) c = cty_num_compare(a->max, b->max);
    if (!c) c = (a->has_min && a->min_inclusive) - (b->has_min && b->min_inclusive);
    if (!c) c = (a->has_max && a->max_inclusive) - (b->has_max && b->max_inclusive);
    if (!c) c = order(a->len_min, b->len_min);
    return c ? c : order(a->len_max, b->len_max);
}

static int compare_entries(const struct cty_value *a, const struct cty_value *b) {
    for (size_t i = 0; i < a->map.n && i < b->map.n; i++) {
        int c = compare_text(a->map.v[i].key, b->map.v[i].key);
        if (!c) c = cty_compare(&a->map.v[i].value, &b->map.v[i].value);
        if (c) return c;
    }
    return order((long long) a->map.n, (long long) b->map.n);
}

int cty_compare(const struct cty_value *a, const struct cty_value *b) {
    static const int rank[] = {[CTY_KNOWN] = 0, [CTY_UNKNOWN] = 1, [CTY_NULL] = 2};
    if (a->state != b->state) return rank[a->state] - rank[b->state];
    if (a->type->kind != b->type->kind) return (int) a->type->kind - (int) b->type->kind;
    if (a->state == CTY_NULL) return 0;
    if (a->state == CTY_UNKNOWN) return compare_refined(a->refined, b->refined);
    switch (a->type->kind) {
        case CTY_BOOL: return a->b - b->b;
        case CTY_NUMBER: return cty_num_compare(a->num, b->num);
        case CTY_STRING: return compare_text(a->str, b->str);
        case CTY_MAP: return compare_entries(a, b);
        default: break;
    }
    for (size_t i = 0; i < a->seq.n && i < b->seq.n; i++) {
        int c = cty_compare(&a->seq.v[i], &b->seq.v[i]);
        if (c) return c;
    }
    return order((long long) a->seq.n, (long long) b->seq.n);
}

/* Below equal types only dynamic places can differ in type, so it is looked at everywhere. */
static bool same_types(const struct cty_value *a, const struct cty_value *b) {
    if (!cty_type_equal(a->type, b->type)) return false;
    if (a->state != CTY_KNOWN || a->type->kind < CTY_LIST) return true;
    if (a->type->kind == CTY_MAP) {
        for (size_t i = 0; i < a->map.n; i++)
            if (!same_types(&a->map.v[i].value, &b->map.v[i].value)) return false;
        return true;
    }
    for (size_t i = 0; i < a->seq.n; i++)
        if (!same_types(&a->seq.v[i], &b->seq.v[i])) return false;
    return true;
}

bool cty_equal(const struct cty_value *a, const struct cty_value *b) { return cty_compare(a, b) == 0 && same_types(a, b); }

bool cty_wholly_known(const struct cty_value *v) {
    if (v->state != CTY_KNOWN) return v->state == CTY_NULL;
    if (v->type->kind == CTY_MAP) {
        for (size_t i = 0; i < v->map.n; i++)
            if (!cty_wholly_known(&v->map.v[i].value)) return false;
    } else if (v->type->kind >= CTY_LIST) {
        for (size_t i = 0; i < v->seq.n; i++)
            if (!cty_wholly_known(&v->seq.v[i])) return false;
    }
    return true;
}

static int by_value(const void *a, const void *b) { return cty_compare(a, b); }

static int by_key(const void *a, const void *b) {
    return compare_text(((const struct cty_entry *) a)->key, ((const struct cty_entry *) b)->key);
}

void cty_set_normalise(struct cty_value *set) {
    if (set->seq.n < 2) return;
    struct cty_value *v = set->seq.v;
    qsort(v, set->seq.n, sizeof *v, by_value);
    size_t n = 1;
    for (size_t i = 1; i < set->seq.n; i++)
        if (!cty_equal(&v[n - 1], &v[i]) || !cty_wholly_known(&v[i])) v[n++] = v[i];
    set->seq.n = n;
}

bool cty_map_normalise(struct cty_value *map) {
    if (map->map.n < 2) return true;
    qsort(map->map.v, map->map.n, sizeof *map->map.v, by_key);
    for (size_t i = 1; i < map->map.n; i++)
        if (by_key(&map->map.v[i - 1], &map->map.v[i]) == 0) return false;
    return true;
}
