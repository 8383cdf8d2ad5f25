/* The rules of a plan that tables state: fallbacks, what becomes unknown, what replaces. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tf/table.h"

/* The struct of entry i's counterpart: by key in maps, by place in lists. NULL if there is none that is known. */
static void *counterpart(const struct tf_attr *attr, const void *s, const char *key, size_t i) {
    const struct tf_objects *o = s ? tf_at(s, attr) : NULL;
    if (!o || o->state != TF_KNOWN) return NULL;
    if (!key) return i < o->n && o->v[i].state == TF_KNOWN ? o->v[i].v : NULL;
    for (size_t k = 0; k < o->n; k++)
        if (o->v[k].state == TF_KNOWN && str_eq(o->v[k].key, key)) return o->v[k].v;
    return NULL;
}

static void *inner(const struct tf_attr *attr, const void *s) {
    const struct tf_object *o = s ? tf_at(s, attr) : NULL;
    return o && o->state == TF_KNOWN ? o->v : NULL;
}

static void put_fallback(struct arena *a, const struct tf_attr *attr, void *planned) {
    struct cty_value v = {.type = &cty_string, .state = CTY_KNOWN};
    struct tf_diags ignored = {.arena = a};
    size_t len = strlen(attr->fallback);
    if (attr->type == TF_STRING)
        v.str = cty_text_new(a, attr->fallback, len);
    else if (cty_json_decode(a, tf_attr_type(a, attr), attr->fallback, len, &v, NULL) < 0)
        return; /* a table's mistake, which the test over all tables finds */
    tf_decode_attr(a, attr, &v, planned, &ignored);
}

void tf_put_fallbacks(struct arena *a, const struct tf_table *t, const void *config, void *planned) {
    tf_each(attr, t) {
        enum tf_state state = config ? tf_state_of(config, attr) : TF_NULL;
        if (attr->fallback && config && state == TF_NULL) put_fallback(a, attr, planned);
        if (!tf_is_object(attr) || state != TF_KNOWN) continue;
        if (attr->type == TF_OBJECT) {
            void *to = inner(attr, planned);
            if (to) tf_put_fallbacks(a, attr->nested, inner(attr, config), to);
            continue;
        }
        const struct tf_objects *o = tf_at(planned, attr);
        for (size_t i = 0; o->state == TF_KNOWN && i < o->n; i++)
            if (o->v[i].v) tf_put_fallbacks(a, attr->nested, counterpart(attr, config, o->v[i].key, i), o->v[i].v);
    }
}

static bool becomes_unknown(const struct tf_attr *attr, const void *config, const void *prior) {
    if (!(attr->flags & TF_COMPUTED) || attr->fallback) return false;
    if (config && tf_state_of(config, attr) != TF_NULL) return false;
    return !prior || !(attr->flags & TF_STABLE);
}

void tf_put_unknowns(const struct tf_table *t, const void *config, const void *prior, void *planned) {
    tf_each(attr, t) {
        if (becomes_unknown(attr, config, prior)) {
            *(enum tf_state *) tf_at(planned, attr) = TF_UNKNOWN;
            continue;
        }
        if (!tf_is_object(attr) || !config || tf_state_of(config, attr) != TF_KNOWN) continue;
        if (attr->type == TF_OBJECT) {
            void *to = inner(attr, planned);
            if (to) tf_put_unknowns(attr->nested, inner(attr, config), inner(attr, prior), to);
            continue;
        }
        const struct tf_objects *o = tf_at(planned, attr);
        for (size_t i = 0; o->state == TF_KNOWN && i < o->n; i++)
            if (o->v[i].v)
                tf_put_unknowns(attr->nested, counterpart(attr, config, o->v[i].key, i), counterpart(attr, prior, o->v[i].key, i),
                                o->v[i].v);
    }
}

void tf_plan_unknown(const struct tf_table *t, struct tf_plan *p) {
    p->changed = true;
    tf_put_unknowns(t, p->config, p->prior, p->planned);
}

static bool object_replaces(const struct tf_table *t, const struct cty_value *prior, const struct cty_value *planned) {
    if (prior->state != CTY_KNOWN || planned->state != CTY_KNOWN) return false;
    tf_each(attr, t) {
        ptrdiff_t i = cty_type_find(prior->type, attr->name, strlen(attr->name));
        if (i >= 0 && tf_replaces(attr, &prior->seq.v[i], &planned->seq.v[i])) return true;
    }
    return false;
}

static const struct cty_value *entry(const struct cty_value *map, struct cty_text key) {
    for (size_t i = 0; i < map->map.n; i++)
        if (map->map.v[i].key.len == key.len && memcmp(map->map.v[i].key.s, key.s, key.len) == 0) return &map->map.v[i].value;
    return NULL;
}

bool tf_replaces(const struct tf_attr *attr, const struct cty_value *prior, const struct cty_value *planned) {
    if (attr->flags & TF_REPLACE) return !cty_equal(prior, planned);
    if (!tf_is_object(attr) || prior->state != CTY_KNOWN || planned->state != CTY_KNOWN) return false;
    if (attr->type == TF_OBJECT) return object_replaces(attr->nested, prior, planned);
    if (attr->type == TF_MAP_OBJECT) {
        for (size_t i = 0; i < planned->map.n; i++) {
            const struct cty_value *was = entry(prior, planned->map.v[i].key);
            if (was && object_replaces(attr->nested, was, &planned->map.v[i].value)) return true;
        }
        return false;
    }
    for (size_t i = 0; i < planned->seq.n && i < prior->seq.n; i++)
        if (object_replaces(attr->nested, &prior->seq.v[i], &planned->seq.v[i])) return true;
    return false;
}

static bool open_attr(const struct tf_attr *attr, const void *s) {
    const void *at = tf_at(s, attr);
    enum tf_state state = tf_state_of(s, attr);
    if (state != TF_KNOWN) return attr->flags & TF_REQUIRED || (state == TF_UNKNOWN && !(attr->flags & TF_COMPUTED));
    if (attr->flags & TF_COMPUTED) return false; /* what is open in it is the provider's to fill */
    const struct tf_objects *o = at;
    switch (attr->type) {
        case TF_LIST_STRING:
        case TF_SET_STRING: return tf_strings_unknown(at);
        case TF_MAP_STRING: return tf_map_unknown(at);
        case TF_OBJECT: return tf_open_argument(attr->nested, ((const struct tf_object *) at)->v) != NULL;
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT:
            for (size_t i = 0; i < o->n; i++)
                if (o->v[i].state != TF_KNOWN || tf_open_argument(attr->nested, o->v[i].v)) return true;
            return false;
        default: return false;
    }
}

const char *tf_open_argument(const struct tf_table *t, const void *planned) {
    tf_each(attr, t) if (open_attr(attr, planned)) return attr->name;
    return NULL;
}
