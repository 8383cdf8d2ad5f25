/* msgpack of cty values. A reader of our own, since msgpack-c's unpacker allocates by the lengths that the input claims
 * and builds a tree that the type would have to be checked against afterwards. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

enum { EXT_REFINED = 12 };

enum token { NIL, BOOL, INT, UINT, FLOAT, STR, BIN, ARRAY, MAP, EXT };

static const char *const token_names[] = {"null",     "a bool", "a number", "a number", "a number",
                                          "a string", "bytes",  "an array", "a map",    "an extension"};

struct head {
    enum token kind;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
    };
    const char *data; /* str, bin, ext */
    size_t len;       /* bytes; array: items; map: pairs */
    int8_t ext;
};

struct reader {
    const unsigned char *p, *end;
    struct arena *arena;
    size_t values; /* that may still be made */
    int depth;
    struct err *err;
};

static int broken(struct reader *r, const char *what) { return err_set(r->err, ERR_PROTOCOL, "msgpack: %s", what); }

static uint64_t big_endian(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    while (n--) v = v << 8 | *p++;
    return v;
}

/* An unsigned number of n bytes. */
static int take(struct reader *r, size_t n, uint64_t *ret) {
    if ((size_t) (r->end - r->p) < n) return broken(r, "it ends in the middle of a value");
    *ret = big_endian(r->p, n);
    r->p += n;
    return 0;
}

static int sized(struct reader *r, struct head *h, enum token kind, uint64_t len) {
    size_t left = (size_t) (r->end - r->p);
    h->kind = kind;
    if (kind == EXT) {
        if (!left) return broken(r, "it ends in the middle of a value");
        h->ext = (int8_t) *r->p++;
        left--;
    }
    if (len > (kind == MAP ? left / 2 : left)) return broken(r, "a length is greater than what follows");
    h->len = (size_t) len;
    h->data = (const char *) r->p;
    if (kind == STR || kind == BIN || kind == EXT) r->p += h->len;
    return 0;
}

static int sized_by(struct reader *r, struct head *h, enum token kind, size_t bytes) {
    uint64_t len = 0;
    int e = take(r, bytes, &len);
    return e < 0 ? e : sized(r, h, kind, len);
}

static int floating(struct reader *r, struct head *h, size_t bytes) {
    uint64_t u = 0;
    int e = take(r, bytes, &u);
    if (e < 0) return e;
    h->kind = FLOAT;
    if (bytes == 8) {
        memcpy(&h->d, &u, sizeof h->d);
        return 0;
    }
    uint32_t half = (uint32_t) u;
    float f;
    memcpy(&f, &half, sizeof f);
    h->d = (double) f;
    return 0;
}

static int integer(struct reader *r, struct head *h, enum token kind, size_t bytes) {
    uint64_t u = 0;
    int e = take(r, bytes, &u);
    if (e < 0) return e;
    h->kind = kind;
    if (kind == INT && bytes < 8 && u >> (bytes * 8 - 1)) u |= ~(uint64_t) 0 << (bytes * 8);
    h->u = u;
    if (kind == INT) h->i = (int64_t) u;
    return 0;
}

static int head(struct reader *r, struct head *h) {
    uint64_t u = 0;
    int e = take(r, 1, &u);
    if (e < 0) return e;
    unsigned c = (unsigned) u;
    *h = (struct head){0};
    if (c < 0x80 || c >= 0xe0) {
        h->kind = INT;
        h->i = (int8_t) c;
        return 0;
    }
    if (c < 0x90) return sized(r, h, MAP, c & 0x0f);
    if (c < 0xa0) return sized(r, h, ARRAY, c & 0x0f);
    if (c < 0xc0) return sized(r, h, STR, c & 0x1f);
    switch (c) {
        case 0xc0: h->kind = NIL; return 0;
        case 0xc2:
        case 0xc3: h->kind = BOOL, h->b = c & 1; return 0;
        case 0xc4:
        case 0xc5:
        case 0xc6: return sized_by(r, h, BIN, (size_t) 1 << (c - 0xc4));
        case 0xc7:
        case 0xc8:
        case 0xc9: return sized_by(r, h, EXT, (size_t) 1 << (c - 0xc7));
        case 0xca: return floating(r, h, 4);
        case 0xcb: return floating(r, h, 8);
        case 0xcc:
        case 0xcd:
        case 0xce:
        case 0xcf: return integer(r, h, UINT, (size_t) 1 << (c - 0xcc));
        case 0xd0:
        case 0xd1:
        case 0xd2:
        case 0xd3: return integer(r, h, INT, (size_t) 1 << (c - 0xd0));
        case 0xd4:
        case 0xd5:
        case 0xd6:
        case 0xd7:
        case 0xd8: return sized(r, h, EXT, (uint64_t) 1 << (c - 0xd4));
        case 0xd9:
        case 0xda:
        case 0xdb: return sized_by(r, h, STR, (size_t) 1 << (c - 0xd9));
        case 0xdc:
        case 0xdd: return sized_by(r, h, ARRAY, c == 0xdc ? 2 : 4);
        case 0xde:
        case 0xdf: return sized_by(r, h, MAP, c == 0xde ? 2 : 4);
        default: return broken(r, "an unused type byte");
    }
}

static int expected(struct reader *r, const char *what, const struct head *h) {
    return err_set(r->err, ERR_PROTOCOL, "msgpack: %s is required, not %s", what, token_names[h->kind]);
}

static int text(struct reader *r, const struct head *h, struct cty_text *ret) {
    if (h->kind != STR && h->kind != BIN) return expected(r, "a string", h);
    if (utf8_check(h->data, h->len, NULL) < 0) return broken(r, "a string is not valid UTF-8");
    *ret = cty_text_new(r->arena, h->data, h->len);
    return 0;
}

static int number(struct reader *r, const struct head *h, struct cty_num *ret) {
    switch (h->kind) {
        case INT: *ret = (struct cty_num){.kind = CTY_INT, .i = h->i}; return 0;
        case UINT:
            if (h->u <= INT64_MAX) {
                *ret = (struct cty_num){.kind = CTY_INT, .i = (int64_t) h->u};
            } else {
                const char *s = arena_printf(r->arena, "%llu", (unsigned long long) h->u);
                *ret = (struct cty_num){.kind = CTY_DECIMAL, .text = s};
            }
            return 0;
        case FLOAT: return cty_num_from_double(r->arena, h->d, ret, r->err);
        case STR: return cty_num_parse(r->arena, h->data, h->len, ret, r->err);
        default: return expected(r, "a number", h);
    }
}

static int skip(struct reader *r) {
    for (size_t left = 1; left; left--) {
        struct head h;
        int e = head(r, &h);
        if (e < 0) return e;
        if (h.kind == ARRAY) left += h.len;
        if (h.kind == MAP) left += 2 * h.len;
    }
    return 0;
}

static int bound(struct reader *r, struct cty_num *ret, bool *ret_has, bool *ret_inclusive) {
    struct head h;
    int e = head(r, &h);
    if (e < 0) return e;
    if (h.kind != ARRAY || h.len != 2) return broken(r, "a bound is not [number, inclusive]");
    if ((e = head(r, &h)) < 0 || (e = number(r, &h, ret)) < 0 || (e = head(r, &h)) < 0) return e;
    if (h.kind != BOOL) return expected(r, "a bool", &h);
    *ret_has = true;
    *ret_inclusive = h.b;
    return 0;
}

static int length(struct reader *r, int64_t *ret) {
    struct head h;
    int e = head(r, &h);
    if (e < 0) return e;
    if ((h.kind != INT && h.kind != UINT) || h.i < 0) return broken(r, "a refined length is not a whole number");
    *ret = h.i;
    return 0;
}

/* Key 1: false says not null, true that it is null after all. */
static int nullness(struct reader *r, struct cty_refined *f, bool *ret_null) {
    struct head h;
    int e = head(r, &h);
    if (e < 0) return e;
    if (h.kind != BOOL) return expected(r, "a bool", &h);
    *ret_null = h.b;
    f->not_null = !h.b;
    return 0;
}

static int prefix(struct reader *r, struct cty_refined *f) {
    struct head h;
    int e = head(r, &h);
    return e < 0 ? e : text(r, &h, &f->prefix);
}

static int refinement(struct reader *r, const struct cty_type *t, struct cty_refined *f, bool *ret_null) {
    struct head key;
    int e = head(r, &key);
    if (e < 0) return e;
    if (key.kind != INT && key.kind != UINT) return expected(r, "a number", &key);
    bool is_number = t->kind == CTY_NUMBER, collection = t->kind == CTY_LIST || t->kind == CTY_SET || t->kind == CTY_MAP;
    switch (key.i) {
        case 1: return nullness(r, f, ret_null);
        case 2: return t->kind == CTY_STRING ? prefix(r, f) : broken(r, "only strings have a known prefix");
        case 3: return is_number ? bound(r, &f->min, &f->has_min, &f->min_inclusive) : broken(r, "only numbers have bounds");
        case 4: return is_number ? bound(r, &f->max, &f->has_max, &f->max_inclusive) : broken(r, "only numbers have bounds");
        case 5: return collection ? length(r, &f->len_min) : broken(r, "only collections have a known length");
        case 6: return collection ? length(r, &f->len_max) : broken(r, "only collections have a known length");
        default: return skip(r); /* of a later version: says more, changes nothing */
    }
}

static int unknown(struct reader *r, const struct cty_type *t, const struct head *h, struct cty_value *ret) {
    *ret = cty_unknown(t);
    if (h->len <= 1) return 0;
    if (h->ext != EXT_REFINED) return broken(r, "an extension that isn't known here");
    struct reader in = *r;
    in.p = (const unsigned char *) h->data;
    in.end = in.p + h->len;
    struct cty_refined *f = arena_alloc(r->arena, sizeof *f);
    *f = (struct cty_refined){.len_min = -1, .len_max = -1};
    bool null = false;
    struct head map;
    int e = head(&in, &map);
    if (e < 0) return e;
    if (map.kind != MAP) return broken(r, "a refinement is not a map");
    for (size_t i = 0; i < map.len; i++)
        if ((e = refinement(&in, t, f, &null)) < 0) return e;
    if (in.p != in.end) return broken(r, "bytes follow a refinement");
    if (null)
        *ret = cty_null(t);
    else if (f->not_null || f->prefix.s || f->has_min || f->has_max || f->len_min >= 0 || f->len_max >= 0)
        ret->refined = f;
    return 0;
}

static int value(struct reader *r, const struct cty_type *t, struct cty_value *ret);

static int dynamic(struct reader *r, const struct head *h, struct cty_value *ret) {
    if (h->kind != ARRAY || h->len != 2) return broken(r, "a value of dynamic type is not [type, value]");
    struct head type;
    int e = head(r, &type);
    if (e < 0) return e;
    if (type.kind != BIN && type.kind != STR) return expected(r, "a type", &type);
    const struct cty_type *t = NULL;
    e = cty_type_parse(r->arena, type.data, type.len, &t, r->err);
    return e < 0 ? e : value(r, t, ret);
}

/* Charged where the memory is taken, so that nested claims of great lengths don't add up. */
static int charge(struct reader *r, size_t n) {
    if (n > r->values) return err_set(r->err, ERR_LIMIT, "msgpack: more than %d values", CTY_MAX_VALUES);
    r->values -= n;
    return 0;
}

static int sequence(struct reader *r, const struct cty_type *t, const struct head *h, struct cty_value *ret) {
    if (h->kind != ARRAY) return expected(r, "an array", h);
    if (t->kind == CTY_TUPLE && h->len != t->n) return broken(r, "a tuple has another length than its type");
    int e = charge(r, h->len);
    if (e < 0) return e;
    ret->seq.v = arena_array(r->arena, h->len, sizeof *ret->seq.v);
    ret->seq.n = h->len;
    for (size_t i = 0; i < h->len; i++) {
        e = value(r, t->kind == CTY_TUPLE ? t->attrs[i].type : t->elem, &ret->seq.v[i]);
        if (e < 0) return err_wrap(r->err, "element %zu", i);
    }
    if (t->kind == CTY_SET) cty_set_normalise(ret);
    return 0;
}

static int map(struct reader *r, const struct cty_type *t, const struct head *h, struct cty_value *ret) {
    if (h->kind != MAP) return expected(r, "a map", h);
    int e = charge(r, h->len);
    if (e < 0) return e;
    ret->map.v = arena_array(r->arena, h->len, sizeof *ret->map.v);
    ret->map.n = h->len;
    for (size_t i = 0; i < h->len; i++) {
        struct head key;
        if ((e = head(r, &key)) < 0 || (e = text(r, &key, &ret->map.v[i].key)) < 0) return e;
        if ((e = value(r, t->elem, &ret->map.v[i].value)) < 0) return err_wrap(r->err, "key \"%.60s\"", ret->map.v[i].key.s);
    }
    return cty_map_normalise(ret) ? 0 : broken(r, "a map has a key twice");
}

static int object(struct reader *r, const struct cty_type *t, const struct head *h, struct cty_value *ret) {
    if (h->kind != MAP) return expected(r, "a map", h);
    int e = charge(r, t->n);
    if (e < 0) return e;
    ret->seq.v = arena_array(r->arena, t->n, sizeof *ret->seq.v);
    ret->seq.n = t->n;
    for (size_t i = 0; i < h->len; i++) {
        struct head key;
        if ((e = head(r, &key)) < 0) return e;
        if (key.kind != STR && key.kind != BIN) return expected(r, "an attribute name", &key);
        ptrdiff_t at = cty_type_find(t, key.data, key.len);
        if (at < 0) return broken(r, "an object has an attribute that its type hasn't");
        if (ret->seq.v[at].type) return err_set(r->err, ERR_PROTOCOL, "msgpack: attribute %s is there twice", t->attrs[at].name);
        if ((e = value(r, t->attrs[at].type, &ret->seq.v[at])) < 0) return err_wrap(r->err, "attribute %s", t->attrs[at].name);
    }
    for (size_t i = 0; i < t->n; i++)
        if (!ret->seq.v[i].type) return err_set(r->err, ERR_PROTOCOL, "msgpack: attribute %s is missing", t->attrs[i].name);
    return 0;
}

static int known(struct reader *r, const struct cty_type *t, const struct head *h, struct cty_value *ret) {
    *ret = (struct cty_value){.type = t, .state = CTY_KNOWN};
    switch (t->kind) {
        case CTY_BOOL:
            if (h->kind != BOOL) return expected(r, "a bool", h);
            ret->b = h->b;
            return 0;
        case CTY_NUMBER: return number(r, h, &ret->num);
        case CTY_STRING: return text(r, h, &ret->str);
        case CTY_MAP: return map(r, t, h, ret);
        case CTY_OBJECT: return object(r, t, h, ret);
        case CTY_DYNAMIC: return dynamic(r, h, ret);
        default: return sequence(r, t, h, ret);
    }
}

static int value(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    struct head h;
    int e = head(r, &h);
    if (e < 0) return e;
    if (h.kind == NIL) {
        *ret = cty_null(t);
        return 0;
    }
    if (h.kind == EXT) return unknown(r, t, &h, ret);
    if (++r->depth > CTY_MAX_DEPTH) return err_set(r->err, ERR_LIMIT, "msgpack: nested deeper than %d levels", CTY_MAX_DEPTH);
    e = known(r, t, &h, ret);
    r->depth--;
    return e;
}

int cty_msgpack_decode(struct arena *a, const struct cty_type *t, const void *data, size_t len, struct cty_value *ret,
                       struct err *err) {
    struct reader r = {.p = data, .end = (const unsigned char *) data + len, .arena = a, .values = CTY_MAX_VALUES, .err = err};
    struct cty_value v;
    int e = value(&r, t, &v);
    if (e < 0) return e;
    if (r.p != r.end) return broken(&r, "bytes follow the value");
    *ret = v;
    return 0;
}
