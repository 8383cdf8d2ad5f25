#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"
#include "json/json.h"

const struct cty_type cty_dynamic = {.kind = CTY_DYNAMIC};
const struct cty_type cty_bool = {.kind = CTY_BOOL};
const struct cty_type cty_number = {.kind = CTY_NUMBER};
const struct cty_type cty_string = {.kind = CTY_STRING};

static const char *const names[] = {
    [CTY_DYNAMIC] = "dynamic", [CTY_BOOL] = "bool", [CTY_NUMBER] = "number", [CTY_STRING] = "string", [CTY_LIST] = "list",
    [CTY_SET] = "set",         [CTY_MAP] = "map",   [CTY_OBJECT] = "object", [CTY_TUPLE] = "tuple",
};

const struct cty_type *cty_collection(struct arena *a, enum cty_kind kind, const struct cty_type *elem) {
    struct cty_type *t = arena_alloc(a, sizeof *t);
    *t = (struct cty_type){.kind = kind, .elem = elem};
    return t;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct cty_attr *) a)->name, ((const struct cty_attr *) b)->name);
}

const struct cty_type *cty_object(struct arena *a, struct cty_attr *attrs, size_t n) {
    if (n) qsort(attrs, n, sizeof *attrs, by_name);
    struct cty_type *t = arena_alloc(a, sizeof *t);
    *t = (struct cty_type){.kind = CTY_OBJECT, .attrs = attrs, .n = n};
    return t;
}

ptrdiff_t cty_type_find(const struct cty_type *object, const char *name, size_t len) {
    size_t low = 0, high = object->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *have = object->attrs[mid].name;
        int c = strncmp(name, have, len);
        if (!c && memchr(name, 0, len)) return -1;
        if (!c && have[len]) c = -1;
        if (!c) return (ptrdiff_t) mid;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return -1;
}

static int parse(struct arena *a, const struct json *j, int depth, const struct cty_type **ret, struct err *err);

static int parse_object(struct arena *a, const struct json *j, int depth, const struct cty_type **ret, struct err *err) {
    const struct json *members = json_next(json_first(j));
    const struct json *optional = members ? json_next(members) : NULL;
    if (!json_is_obj(members) || (optional && (!json_is_arr(optional) || json_next(optional))))
        return err_set(err, ERR_PROTOCOL, "an object type needs its attributes");
    size_t n = 0;
    struct cty_attr *attrs = arena_array(a, json_len(members), sizeof *attrs);
    json_each(m, members) {
        attrs[n].name = arena_strdup(a, json_key(m));
        int r = parse(a, m, depth + 1, &attrs[n].type, err);
        if (r < 0) return r;
        n++;
    }
    const struct cty_type *t = cty_object(a, attrs, n);
    for (size_t i = 1; i < n; i++)
        if (str_eq(attrs[i - 1].name, attrs[i].name)) return err_set(err, ERR_PROTOCOL, "an object type names an attribute twice");
    json_each(o, optional) {
        const char *name = json_str(o);
        ptrdiff_t at = name ? cty_type_find(t, name, strlen(name)) : -1;
        if (at < 0) return err_set(err, ERR_PROTOCOL, "an object type has an optional attribute that it doesn't name");
        attrs[at].optional = true;
    }
    *ret = t;
    return 0;
}

static int parse_tuple(struct arena *a, const struct json *j, int depth, const struct cty_type **ret, struct err *err) {
    const struct json *items = json_next(json_first(j));
    if (!json_is_arr(items) || json_next(items)) return err_set(err, ERR_PROTOCOL, "a tuple type needs its elements");
    struct cty_type *t = arena_alloc(a, sizeof *t);
    struct cty_attr *attrs = arena_array(a, json_len(items), sizeof *attrs);
    *t = (struct cty_type){.kind = CTY_TUPLE, .attrs = attrs};
    json_each(i, items) {
        int r = parse(a, i, depth + 1, &attrs[t->n].type, err);
        if (r < 0) return r;
        t->n++;
    }
    *ret = t;
    return 0;
}

static int parse(struct arena *a, const struct json *j, int depth, const struct cty_type **ret, struct err *err) {
    static const struct cty_type *const primitives[] = {&cty_dynamic, &cty_bool, &cty_number, &cty_string};
    if (depth > CTY_MAX_DEPTH) return err_set(err, ERR_LIMIT, "a type is nested deeper than %d levels", CTY_MAX_DEPTH);
    const char *name = json_str(j);
    for (size_t i = 0; name && i < ARRAY_SIZE(primitives); i++) {
        if (!str_eq(name, names[i])) continue;
        *ret = primitives[i];
        return 0;
    }
    const char *kind = json_is_arr(j) ? json_str(json_first(j)) : NULL;
    if (str_eq(kind, "object")) return parse_object(a, j, depth, ret, err);
    if (str_eq(kind, "tuple")) return parse_tuple(a, j, depth, ret, err);
    for (int k = CTY_LIST; kind && k <= CTY_MAP; k++) {
        if (!str_eq(kind, names[k])) continue;
        const struct json *elem = json_next(json_first(j));
        if (!elem || json_next(elem)) return err_set(err, ERR_PROTOCOL, "a %s type needs one element type", kind);
        const struct cty_type *e = NULL;
        int r = parse(a, elem, depth + 1, &e, err);
        if (r < 0) return r;
        *ret = cty_collection(a, (enum cty_kind) k, e);
        return 0;
    }
    return err_set(err, ERR_PROTOCOL, "not a type of OpenTofu's language");
}

int cty_type_parse(struct arena *a, const char *text, size_t len, const struct cty_type **ret, struct err *err) {
    if (utf8_check(text, len, NULL) < 0) return err_set(err, ERR_PROTOCOL, "a type is not valid UTF-8");
    AUTO_JSON struct json *j = json_parse(text, len, err);
    if (!j) return err_wrap(err, "a type");
    return parse(a, j, 0, ret, err);
}

static void print(struct buf *b, const struct cty_type *t) {
    if (t->kind <= CTY_STRING) {
        buf_addf(b, "\"%s\"", names[t->kind]);
        return;
    }
    buf_addf(b, "[\"%s\",", names[t->kind]);
    bool object = t->kind == CTY_OBJECT, first = true;
    if (t->elem) {
        print(b, t->elem);
    } else {
        buf_addc(b, object ? '{' : '[');
        for (size_t i = 0; i < t->n; i++) {
            if (i) buf_addc(b, ',');
            if (object) buf_add_json(b, t->attrs[i].name, strlen(t->attrs[i].name));
            if (object) buf_addc(b, ':');
            print(b, t->attrs[i].type);
        }
        buf_addc(b, object ? '}' : ']');
    }
    for (size_t i = 0; object && i < t->n; i++) {
        if (!t->attrs[i].optional) continue;
        buf_adds(b, first ? ",[" : ",");
        buf_add_json(b, t->attrs[i].name, strlen(t->attrs[i].name));
        first = false;
    }
    buf_adds(b, first ? "]" : "]]");
}

char *cty_type_text(struct arena *a, const struct cty_type *t) {
    AUTO_BUF struct buf b = {0};
    print(&b, t);
    return arena_dup(a, b.data, b.len);
}

bool cty_type_equal(const struct cty_type *a, const struct cty_type *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->n != b->n) return false;
    if (a->elem) return cty_type_equal(a->elem, b->elem);
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->attrs[i].name, b->attrs[i].name) || a->attrs[i].optional != b->attrs[i].optional ||
            !cty_type_equal(a->attrs[i].type, b->attrs[i].type))
            return false;
    return true;
}
