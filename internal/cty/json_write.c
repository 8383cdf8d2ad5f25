#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

static int value(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err);

static int sequence(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err) {
    bool object = t->kind == CTY_OBJECT;
    buf_addc(out, object ? '{' : '[');
    for (size_t i = 0; i < v->seq.n; i++) {
        if (i) buf_addc(out, ',');
        if (object) {
            buf_add_json(out, t->attrs[i].name, strlen(t->attrs[i].name));
            buf_addc(out, ':');
        }
        int r = value(out, t->elem ? t->elem : t->attrs[i].type, &v->seq.v[i], err);
        if (r < 0) return r;
    }
    buf_addc(out, object ? '}' : ']');
    return 0;
}

static int map(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err) {
    buf_addc(out, '{');
    for (size_t i = 0; i < v->map.n; i++) {
        if (i) buf_addc(out, ',');
        buf_add_json(out, v->map.v[i].key.s, v->map.v[i].key.len);
        buf_addc(out, ':');
        int r = value(out, t->elem, &v->map.v[i].value, err);
        if (r < 0) return r;
    }
    buf_addc(out, '}');
    return 0;
}

static int number(struct buf *out, struct cty_num n, struct err *err) {
    if (n.kind == CTY_FLOAT && isinf(n.d)) return err_set(err, ERR_INVALID, "JSON has no infinite numbers");
    AUTO_ARENA struct arena *a = arena_new();
    buf_adds(out, cty_num_text(a, n));
    return 0;
}

/* Where the type says dynamic, the value says its type. */
static int dynamic(struct buf *out, const struct cty_value *v, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    buf_adds(out, "{\"value\":");
    int r = value(out, v->type, v, err);
    if (r < 0) return r;
    buf_adds(out, ",\"type\":");
    buf_adds(out, cty_type_text(a, v->type));
    buf_addc(out, '}');
    return 0;
}

static int value(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err) {
    if (v->state == CTY_UNKNOWN) return err_set(err, ERR_INVALID, "JSON can't hold an unknown value");
    if (t->kind == CTY_DYNAMIC && v->type->kind != CTY_DYNAMIC) return dynamic(out, v, err);
    if (v->state == CTY_NULL) {
        buf_adds(out, "null");
        return 0;
    }
    switch (t->kind) {
        case CTY_BOOL: buf_adds(out, v->b ? "true" : "false"); return 0;
        case CTY_NUMBER: return number(out, v->num, err);
        case CTY_STRING: buf_add_json(out, v->str.s, v->str.len); return 0;
        case CTY_MAP: return map(out, t, v, err);
        case CTY_DYNAMIC: return err_set(err, ERR_INTERNAL, "a known value without a type");
        default: return sequence(out, t, v, err);
    }
}

int cty_json_encode(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err) {
    return value(out, t, v, err);
}
