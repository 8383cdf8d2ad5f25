/* https://github.com/msgpack/msgpack/blob/master/spec.md, in the spelling that go-cty writes. */
#include <msgpack.h>

#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

enum { EXT_REFINED = 12 };

static int append(void *data, const char *p, size_t len) {
    buf_add(data, p, len);
    return 0;
}

static void text(msgpack_packer *pk, struct cty_text s) {
    msgpack_pack_str(pk, s.len);
    msgpack_pack_str_body(pk, s.s, s.len);
}

static void number(msgpack_packer *pk, struct cty_num n) {
    if (n.kind == CTY_INT)
        msgpack_pack_int64(pk, n.i);
    else if (n.kind == CTY_FLOAT)
        msgpack_pack_double(pk, n.d);
    else
        msgpack_pack_str_with_body(pk, n.text, strlen(n.text));
}

static void boolean(msgpack_packer *pk, bool b) {
    if (b)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
}

static void bound(msgpack_packer *pk, uint8_t key, struct cty_num n, bool inclusive) {
    msgpack_pack_uint8(pk, key);
    msgpack_pack_array(pk, 2);
    number(pk, n);
    boolean(pk, inclusive);
}

static void unknown(msgpack_packer *pk, const struct cty_refined *r) {
    size_t n =
        r ? (size_t) r->not_null + (r->prefix.s != NULL) + r->has_min + r->has_max + (r->len_min >= 0) + (r->len_max >= 0) : 0;
    if (!n) {
        msgpack_pack_ext_with_body(pk, "", 1, 0);
        return;
    }
    AUTO_BUF struct buf body = {0};
    msgpack_packer b;
    msgpack_packer_init(&b, &body, append);
    msgpack_pack_map(&b, n);
    if (r->not_null) {
        msgpack_pack_uint8(&b, 1);
        msgpack_pack_false(&b);
    }
    if (r->prefix.s) {
        msgpack_pack_uint8(&b, 2);
        text(&b, r->prefix);
    }
    if (r->has_min) bound(&b, 3, r->min, r->min_inclusive);
    if (r->has_max) bound(&b, 4, r->max, r->max_inclusive);
    if (r->len_min >= 0) {
        msgpack_pack_uint8(&b, 5);
        msgpack_pack_int64(&b, r->len_min);
    }
    if (r->len_max >= 0) {
        msgpack_pack_uint8(&b, 6);
        msgpack_pack_int64(&b, r->len_max);
    }
    msgpack_pack_ext_with_body(pk, body.data, body.len, EXT_REFINED);
}

static void value(msgpack_packer *pk, const struct cty_type *t, const struct cty_value *v) {
    if (t->kind == CTY_DYNAMIC && v->type->kind != CTY_DYNAMIC) {
        AUTO_ARENA struct arena *a = arena_new();
        const char *type = cty_type_text(a, v->type);
        msgpack_pack_array(pk, 2);
        msgpack_pack_bin_with_body(pk, type, strlen(type));
        t = v->type;
    }
    if (v->state == CTY_NULL) {
        msgpack_pack_nil(pk);
        return;
    }
    if (v->state == CTY_UNKNOWN) {
        unknown(pk, v->refined);
        return;
    }
    switch (t->kind) {
        case CTY_BOOL: boolean(pk, v->b); break;
        case CTY_NUMBER: number(pk, v->num); break;
        case CTY_STRING: text(pk, v->str); break;
        case CTY_LIST:
        case CTY_SET:
        case CTY_TUPLE:
            msgpack_pack_array(pk, v->seq.n);
            for (size_t i = 0; i < v->seq.n; i++) value(pk, t->kind == CTY_TUPLE ? t->attrs[i].type : t->elem, &v->seq.v[i]);
            break;
        case CTY_MAP:
            msgpack_pack_map(pk, v->map.n);
            for (size_t i = 0; i < v->map.n; i++) {
                text(pk, v->map.v[i].key);
                value(pk, t->elem, &v->map.v[i].value);
            }
            break;
        case CTY_OBJECT:
            msgpack_pack_map(pk, t->n);
            for (size_t i = 0; i < t->n; i++) {
                msgpack_pack_str_with_body(pk, t->attrs[i].name, strlen(t->attrs[i].name));
                value(pk, t->attrs[i].type, &v->seq.v[i]);
            }
            break;
        case CTY_DYNAMIC: msgpack_pack_nil(pk); break; /* a known value always has a type of its own */
    }
}

void cty_msgpack_encode(struct buf *out, const struct cty_type *t, const struct cty_value *v) {
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, append);
    value(&pk, t, v);
}
