/* Values of cty ↔ the C structs that a table describes. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tf/table.h"

const struct cty_type *tf_attr_type(struct arena *a, const struct tf_attr *attr) {
    switch (attr->type) {
        case TF_STRING: return &cty_string;
        case TF_BOOL: return &cty_bool;
        case TF_INT: return &cty_number;
        case TF_LIST_STRING: return cty_collection(a, CTY_LIST, &cty_string);
        case TF_SET_STRING: return cty_collection(a, CTY_SET, &cty_string);
        case TF_MAP_STRING: return cty_collection(a, CTY_MAP, &cty_string);
        case TF_OBJECT: return tf_shape_new(a, attr->nested).type;
        case TF_LIST_OBJECT: return cty_collection(a, CTY_LIST, tf_shape_new(a, attr->nested).type);
        case TF_MAP_OBJECT: return cty_collection(a, CTY_MAP, tf_shape_new(a, attr->nested).type);
    }
    return NULL;
}

struct tf_shape tf_shape_new(struct arena *a, const struct tf_table *t) {
    size_t n = 0, i = 0;
    tf_each(attr, t) n++;
    struct cty_attr *attrs = arena_array(a, n, sizeof *attrs);
    tf_each(attr, t) attrs[i++] = (struct cty_attr){.name = attr->name, .type = tf_attr_type(a, attr)};
    return (struct tf_shape){t, cty_object(a, attrs, n)};
}

struct tf_place tf_place_attr(struct tf_place outer, const char *attr) {
    if (!outer.attr) return (struct tf_place){.attr = attr, .index = -1};
    outer.inner = true;
    return outer;
}

struct tf_place tf_place_key(struct tf_place p, const char *key) {
    if (!p.inner) p.key = key;
    return p;
}

struct tf_place tf_place_index(struct tf_place p, size_t i) {
    if (!p.inner) p.index = (long) i;
    return p;
}

const char *tf_place_path(struct arena *a, struct tf_place p) {
    if (p.index >= 0) return arena_printf(a, "%s[%ld]", p.attr, p.index);
    if (!p.key) return p.attr;
    AUTO_BUF struct buf b = {0};
    buf_addf(&b, "%s[\"", p.attr);
    for (const char *key = p.key; *key; key++) {
        if (*key == '"' || *key == '\\') buf_addc(&b, '\\');
        buf_addc(&b, *key);
    }
    buf_adds(&b, "\"]");
    return arena_dup(a, b.data, b.len);
}

/* ---- decoding ---- */

struct decoder {
    struct arena *arena;
    struct tf_diags *diags;
};

static void *decode_object(struct decoder *x, const struct tf_table *t, const struct cty_value *v, struct tf_place place);

static const char *decode_text(struct decoder *x, struct cty_text s, struct tf_place place) {
    if (memchr(s.s, 0, s.len))
        tf_error(x->diags, tf_place_path(x->arena, place), "A text holds a NUL character",
                 "The character U+0000 can't be used here: no file, registry or cluster takes it. Remove it.");
    return s.s;
}

static struct tf_string decode_string(struct decoder *x, const struct cty_value *v, struct tf_place place) {
    struct tf_string s = {.state = (enum tf_state) v->state};
    if (v->state == CTY_KNOWN) s.v = decode_text(x, v->str, place);
    return s;
}

static struct tf_int decode_int(struct decoder *x, const struct cty_value *v, struct tf_place place) {
    struct tf_int n = {.state = (enum tf_state) v->state};
    if (v->state != CTY_KNOWN) return n;
    if (v->num.kind == CTY_INT)
        n.v = v->num.i;
    else
        tf_error(x->diags, tf_place_path(x->arena, place), "A whole number is required",
                 "%.80s is not a whole number of at most 64 bits.", cty_num_text(x->arena, v->num));
    return n;
}

static struct tf_strings decode_strings(struct decoder *x, const struct cty_value *v, struct tf_place place) {
    struct tf_strings s = {.state = (enum tf_state) v->state};
    if (v->state != CTY_KNOWN) return s;
    s.n = v->seq.n;
    s.v = arena_array(x->arena, s.n, sizeof *s.v);
    for (size_t i = 0; i < s.n; i++) s.v[i] = decode_string(x, &v->seq.v[i], tf_place_index(place, i));
    return s;
}

static struct tf_map decode_map(struct decoder *x, const struct cty_value *v, struct tf_place place) {
    struct tf_map m = {.state = (enum tf_state) v->state};
    if (v->state != CTY_KNOWN) return m;
    m.n = v->map.n;
    m.v = arena_array(x->arena, m.n, sizeof *m.v);
    for (size_t i = 0; i < m.n; i++) {
        m.v[i].key = decode_text(x, v->map.v[i].key, place);
        m.v[i].value = decode_string(x, &v->map.v[i].value, tf_place_key(place, m.v[i].key));
    }
    return m;
}

static struct tf_objects decode_objects(struct decoder *x, const struct tf_attr *attr, const struct cty_value *v,
                                        struct tf_place place) {
    struct tf_objects o = {.state = (enum tf_state) v->state};
    if (v->state != CTY_KNOWN) return o;
    bool map = attr->type == TF_MAP_OBJECT;
    o.n = map ? v->map.n : v->seq.n;
    o.v = arena_array(x->arena, o.n, sizeof *o.v);
    for (size_t i = 0; i < o.n; i++) {
        const struct cty_value *item = map ? &v->map.v[i].value : &v->seq.v[i];
        if (map) o.v[i].key = decode_text(x, v->map.v[i].key, place);
        o.v[i].state = (enum tf_state) item->state;
        o.v[i].v = decode_object(x, attr->nested, item, map ? tf_place_key(place, o.v[i].key) : tf_place_index(place, i));
    }
    return o;
}

static void decode_attr(struct decoder *x, const struct tf_attr *attr, const struct cty_value *v, void *s, struct tf_place place) {
    void *at = tf_at(s, attr);
    switch (attr->type) {
        case TF_STRING: *(struct tf_string *) at = decode_string(x, v, place); break;
        case TF_BOOL: *(struct tf_bool *) at = (struct tf_bool){(enum tf_state) v->state, v->state == CTY_KNOWN && v->b}; break;
        case TF_INT: *(struct tf_int *) at = decode_int(x, v, place); break;
        case TF_LIST_STRING:
        case TF_SET_STRING: *(struct tf_strings *) at = decode_strings(x, v, place); break;
        case TF_MAP_STRING: *(struct tf_map *) at = decode_map(x, v, place); break;
        case TF_OBJECT:
            *(struct tf_object *) at = (struct tf_object){(enum tf_state) v->state, decode_object(x, attr->nested, v, place)};
            break;
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT: *(struct tf_objects *) at = decode_objects(x, attr, v, place); break;
    }
}

/* NULL unless known. */
static void *decode_object(struct decoder *x, const struct tf_table *t, const struct cty_value *v, struct tf_place place) {
    if (v->state != CTY_KNOWN) return NULL;
    void *s = arena_alloc(x->arena, t->size);
    tf_each(attr, t) {
        ptrdiff_t i = cty_type_find(v->type, attr->name, strlen(attr->name));
        if (i >= 0) decode_attr(x, attr, &v->seq.v[i], s, tf_place_attr(place, attr->name));
    }
    return s;
}

void tf_decode_attr(struct arena *a, const struct tf_attr *attr, const struct cty_value *v, void *s, struct tf_diags *d) {
    struct decoder x = {a, d};
    decode_attr(&x, attr, v, s, tf_place_attr((struct tf_place){.index = -1}, attr->name));
}

void *tf_decode(struct arena *a, const struct tf_shape *shape, const struct cty_value *v, struct tf_diags *d) {
    struct decoder x = {a, d};
    if (v->state != CTY_UNKNOWN) return decode_object(&x, shape->table, v, (struct tf_place){.index = -1});
    void *s = arena_alloc(a, shape->table->size);
    tf_each(attr, shape->table) * (enum tf_state *) tf_at(s, attr) = TF_UNKNOWN;
    return s;
}

/* ---- encoding ---- */

struct encoder {
    struct arena *arena;
    bool settle;
    const char *attr; /* top-level */
    const char *unsettled;
};

static struct cty_value encode_object(struct encoder *x, const struct tf_table *t, const struct cty_type *type, const void *s);

/* Bytes that are not UTF-8 would be replaced by OpenTofu, and then differ from what was planned. */
static struct cty_text encode_text(struct encoder *x, const char *s) {
    AUTO_BUF struct buf b = {0};
    size_t len = strlen(s), bad;
    const char *p = s;
    while (utf8_check(p, len, &bad) < 0) {
        buf_add(&b, p, bad);
        buf_adds(&b, "\xef\xbf\xbd");
        p += bad + 1;
        len -= bad + 1;
    }
    if (p == s) return cty_text_new(x->arena, s, len);
    buf_add(&b, p, len);
    return cty_text_new(x->arena, b.data, b.len);
}

/* The value without its content: null, unknown (settled: null), or known. */
static struct cty_value begin(struct encoder *x, const struct cty_type *type, enum tf_state state) {
    if (state == TF_UNKNOWN && x->settle) {
        if (!x->unsettled) x->unsettled = x->attr;
        state = TF_NULL;
    }
    return (struct cty_value){.type = type, .state = (enum cty_state) state};
}

static struct cty_value encode_string(struct encoder *x, struct tf_string s) {
    struct cty_value v = begin(x, &cty_string, s.v || s.state == TF_UNKNOWN ? s.state : TF_NULL);
    if (v.state == CTY_KNOWN) v.str = encode_text(x, s.v);
    return v;
}

static struct cty_value encode_strings(struct encoder *x, const struct cty_type *type, const struct tf_strings *s) {
    struct cty_value v = begin(x, type, s->state);
    if (v.state != CTY_KNOWN) return v;
    v.seq.n = s->n;
    v.seq.v = arena_array(x->arena, s->n, sizeof *v.seq.v);
    for (size_t i = 0; i < s->n; i++) v.seq.v[i] = encode_string(x, s->v[i]);
    if (type->kind == CTY_SET) cty_set_normalise(&v);
    return v;
}

/* Sorted; of a key that is there twice the last one counts. */
static void sort_entries(struct cty_value *v) {
    if (cty_map_normalise(v)) return;
    size_t n = 0;
    for (size_t i = 0; i < v->map.n; i++) {
        if (n && v->map.v[n - 1].key.len == v->map.v[i].key.len &&
            !memcmp(v->map.v[n - 1].key.s, v->map.v[i].key.s, v->map.v[i].key.len))
            n--;
        v->map.v[n++] = v->map.v[i];
    }
    v->map.n = n;
}

static struct cty_value encode_map(struct encoder *x, const struct cty_type *type, const struct tf_map *m) {
    struct cty_value v = begin(x, type, m->state);
    if (v.state != CTY_KNOWN) return v;
    v.map.n = m->n;
    v.map.v = arena_array(x->arena, m->n, sizeof *v.map.v);
    for (size_t i = 0; i < m->n; i++) {
        v.map.v[i].key = encode_text(x, m->v[i].key ? m->v[i].key : "");
        v.map.v[i].value = encode_string(x, m->v[i].value);
    }
    sort_entries(&v);
    return v;
}

static struct cty_value encode_entry(struct encoder *x, const struct tf_table *t, const struct cty_type *type, enum tf_state state,
                                     const void *s) {
    struct cty_value v = begin(x, type, s || state == TF_UNKNOWN ? state : TF_NULL);
    return v.state == CTY_KNOWN ? encode_object(x, t, type, s) : v;
}

static struct cty_value encode_objects(struct encoder *x, const struct tf_attr *attr, const struct cty_type *type,
                                       const struct tf_objects *o) {
    struct cty_value v = begin(x, type, o->state);
    if (v.state != CTY_KNOWN) return v;
    bool map = attr->type == TF_MAP_OBJECT;
    if (map) {
        v.map.n = o->n;
        v.map.v = arena_array(x->arena, o->n, sizeof *v.map.v);
    } else {
        v.seq.n = o->n;
        v.seq.v = arena_array(x->arena, o->n, sizeof *v.seq.v);
    }
    for (size_t i = 0; i < o->n; i++) {
        struct cty_value item = encode_entry(x, attr->nested, type->elem, o->v[i].state, o->v[i].v);
        if (map)
            v.map.v[i] = (struct cty_entry){encode_text(x, o->v[i].key ? o->v[i].key : ""), item};
        else
            v.seq.v[i] = item;
    }
    if (map) sort_entries(&v);
    return v;
}

static struct cty_value encode_attr(struct encoder *x, const struct tf_attr *attr, const struct cty_type *type, const void *s) {
    const void *at = tf_at(s, attr);
    if (attr->flags & TF_WRITE_ONLY) return cty_null(type);
    struct cty_value v = begin(x, type, attr->type == TF_BOOL || attr->type == TF_INT ? tf_state_of(s, attr) : TF_NULL);
    switch (attr->type) {
        case TF_STRING: return encode_string(x, *(const struct tf_string *) at);
        case TF_BOOL:
            if (v.state == CTY_KNOWN) v.b = ((const struct tf_bool *) at)->v;
            return v;
        case TF_INT:
            if (v.state == CTY_KNOWN) v.num = (struct cty_num){.kind = CTY_INT, .i = ((const struct tf_int *) at)->v};
            return v;
        case TF_LIST_STRING:
        case TF_SET_STRING: return encode_strings(x, type, at);
        case TF_MAP_STRING: return encode_map(x, type, at);
        case TF_OBJECT:
            return encode_entry(x, attr->nested, type, ((const struct tf_object *) at)->state, ((const struct tf_object *) at)->v);
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT: return encode_objects(x, attr, type, at);
    }
    return v;
}

static struct cty_value encode_object(struct encoder *x, const struct tf_table *t, const struct cty_type *type, const void *s) {
    struct cty_value v = {.type = type, .state = CTY_KNOWN};
    v.seq.n = type->n;
    v.seq.v = arena_array(x->arena, type->n, sizeof *v.seq.v);
    const char *outer = x->attr;
    tf_each(attr, t) {
        ptrdiff_t i = cty_type_find(type, attr->name, strlen(attr->name));
        if (!outer) x->attr = attr->name;
        if (i >= 0) v.seq.v[i] = encode_attr(x, attr, type->attrs[i].type, s);
    }
    x->attr = outer;
    return v;
}

struct cty_value tf_encode(struct arena *a, const struct tf_shape *shape, const void *s, bool settle, const char **ret_unsettled) {
    struct encoder x = {.arena = a, .settle = settle};
    struct cty_value v = s ? encode_object(&x, shape->table, shape->type, s) : cty_null(shape->type);
    if (ret_unsettled && x.unsettled) *ret_unsettled = x.unsettled;
    return v;
}
