/* Every case of tests/fixtures/cty-msgpack.json: values as go-cty writes them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"
#include "json/json.h"

static struct cty_value want(struct arena *a, const struct cty_type *t, const struct json *j, const char *name);

static void add_hex(struct buf *b, const char *hex) {
    for (; hex[0]; hex += 2) {
        char pair[3] = {hex[0], hex[1], 0};
        buf_addc(b, (char) strtol(pair, NULL, 16));
    }
}

static void bytes(struct buf *b, const struct json *j) {
    if (json_is_str(j)) add_hex(b, json_str(j));
    json_each(part, json_is_arr(j) ? j : NULL) {
        if (json_is_str(part)) add_hex(b, json_str(part));
        for (int64_t n = json_get_int(part, "count", 0); n > 0; n--) add_hex(b, json_get_str(part, "repeat"));
    }
}

static struct cty_num number(struct arena *a, const struct json *j) {
    struct cty_num n;
    AUTO_BUF struct buf b = {0};
    const struct json *special = json_get(j, "$number");
    if (json_is_num(j)) return (struct cty_num){.kind = CTY_INT, .i = json_int(j, 0)};
    assert_non_null(special);
    if (str_eq(json_str(special), "+Inf") || str_eq(json_str(special), "-Inf")) {
        assert_int_equal(cty_num_from_double(a, strtod(json_str(special), NULL), &n, NULL), 0);
        return n;
    }
    buf_adds(&b, json_is_str(special) ? json_str(special) : json_get_str(special, "digits"));
    for (int64_t z = json_get_int(special, "zeros", 0); z > 0; z--) buf_addc(&b, '0');
    assert_int_equal(cty_num_parse(a, b.data, b.len, &n, NULL), 0);
    return n;
}

static void bound(struct arena *a, const struct json *j, struct cty_num *n, bool *has, bool *inclusive) {
    if (!j) return;
    *has = true;
    *n = number(a, json_first(j));
    *inclusive = json_true(json_next(json_first(j)));
}

static struct cty_value unknown(struct arena *a, const struct cty_type *t, const struct json *j) {
    struct cty_value v = cty_unknown(t);
    if (!json_is_obj(j)) return v;
    struct cty_refined *r = arena_alloc(a, sizeof *r);
    r->not_null = json_true(json_get(j, "not_null"));
    const char *prefix = json_get_str(j, "prefix");
    if (prefix) r->prefix = cty_text_new(a, prefix, strlen(prefix));
    bound(a, json_get(j, "min"), &r->min, &r->has_min, &r->min_inclusive);
    bound(a, json_get(j, "max"), &r->max, &r->has_max, &r->max_inclusive);
    r->len_min = json_get_int(j, "len_min", -1);
    r->len_max = json_get_int(j, "len_max", -1);
    v.refined = r;
    return v;
}

static struct cty_text text(struct arena *a, const struct json *j, const char *name) {
    AUTO_BUF struct buf b = {0};
    const char *repeat = json_get_str(j, "$repeat");
    if (str_eq(name, "string with NUL, newline, quote")) /* the JSON layer's strings end at a NUL */
        buf_add(&b, "a\0b\n\"\\", 6);
    else if (!repeat)
        buf_adds(&b, json_str(j));
    for (int64_t n = json_get_int(j, "count", 0); n > 0; n--) buf_adds(&b, repeat);
    return cty_text_new(a, buf_str(&b), b.len);
}

static void elements(struct arena *a, const struct cty_type *t, const struct json *j, const char *name, struct cty_value *v) {
    int64_t repeated = json_get_int(j, "$elements", 0);
    v->seq.n = t->kind == CTY_OBJECT ? t->n : repeated ? (size_t) repeated : json_len(j);
    v->seq.v = arena_array(a, v->seq.n, sizeof *v->seq.v);
    const struct json *item = repeated ? json_get(j, "value") : json_first(j);
    for (size_t i = 0; i < v->seq.n; i++) {
        if (t->kind == CTY_OBJECT) item = json_get(j, t->attrs[i].name);
        v->seq.v[i] = want(a, t->elem ? t->elem : t->attrs[i].type, item, name);
        if (!repeated && t->kind != CTY_OBJECT) item = json_next(item);
    }
}

static struct cty_value want(struct arena *a, const struct cty_type *t, const struct json *j, const char *name) {
    if (json_is_null(j)) return cty_null(t);
    if (json_get(j, "$unknown")) return unknown(a, t, json_get(j, "$unknown"));
    if (t->kind == CTY_DYNAMIC) {
        const struct json *d = json_get(j, "$dynamic");
        assert_non_null(d);
        const struct cty_type *own = NULL;
        const char *s = json_text(a, json_get(d, "type"));
        assert_int_equal(cty_type_parse(a, s, strlen(s), &own, NULL), 0);
        return want(a, own, json_get(d, "value"), name);
    }
    struct cty_value v = {.type = t, .state = CTY_KNOWN};
    if (t->kind == CTY_BOOL) {
        v.b = json_true(j);
    } else if (t->kind == CTY_NUMBER) {
        v.num = number(a, j);
    } else if (t->kind == CTY_STRING) {
        v.str = text(a, j, name);
    } else if (t->kind == CTY_MAP) {
        v.map.n = json_len(j);
        v.map.v = arena_array(a, v.map.n, sizeof *v.map.v);
        size_t i = 0;
        json_each(m, j) {
            v.map.v[i].key = cty_text_new(a, json_key(m), strlen(json_key(m)));
            v.map.v[i++].value = want(a, t->elem, m, name);
        }
        assert_true(cty_map_normalise(&v));
    } else {
        elements(a, t, j, name, &v);
    }
    return v;
}

static void encodes_to(const char *name, const struct cty_type *t, const struct cty_value *v, const struct buf *hex) {
    AUTO_BUF struct buf out = {0};
    cty_msgpack_encode(&out, t, v);
    if (out.len != hex->len || memcmp(out.data, hex->data, hex->len) != 0) print_message("# case: %s\n", name);
    assert_int_equal(out.len, hex->len);
    assert_memory_equal(out.data, hex->data, hex->len);
}

static void through_json(struct arena *a, const struct cty_type *t, const struct cty_value *v) {
    AUTO_BUF struct buf out = {0};
    bool infinite = v->type->kind == CTY_NUMBER && v->state == CTY_KNOWN && strstr(cty_num_text(a, v->num), "Inf");
    if (!cty_wholly_known(v) || infinite) {
        assert_true(cty_json_encode(&out, t, v, NULL) < 0);
        return;
    }
    struct cty_value back;
    assert_int_equal(cty_json_encode(&out, t, v, NULL), 0);
    assert_int_equal(cty_json_decode(a, t, out.data, out.len, &back, NULL), 0);
    /* A typed null in a dynamic place keeps its type, all else is equal as well. */
    assert_true(cty_equal(&back, v));
}

static void check(const struct json *c) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf hex = {0};
    AUTO_BUF struct buf canonical = {0};
    const char *name = json_get_str(c, "name"), *type = json_text(a, json_get(c, "type"));
    const struct cty_type *t = NULL;
    assert_int_equal(cty_type_parse(a, type, strlen(type), &t, NULL), 0);
    assert_string_equal(cty_type_text(a, t), type);
    struct cty_value expected = want(a, t, json_get(c, "value"), name), got;
    bytes(&hex, json_get(c, "msgpack_hex"));
    bytes(&canonical, json_get(c, json_get(c, "encoded_as") ? "encoded_as" : "msgpack_hex"));
    if (cty_msgpack_decode(a, t, hex.data, hex.len, &got, &err) < 0) fail_msg("%s: %s", name, err_text(&err));
    if (!cty_equal(&got, &expected)) fail_msg("%s: decoded to another value", name);
    encodes_to(name, t, &got, &canonical);
    /* A float64 that no short decimal equals can't be made from its text. */
    if (!strstr(name, "0.1 from a float64") && !strstr(name, "denormal")) encodes_to(name, t, &expected, &canonical);
    through_json(a, t, &got);
    for (size_t cut = 0; cut < hex.len && cut < 300; cut++) {
        AUTO_FREE char *part = mem_dup(hex.data, cut); /* an exact copy: ASan sees a read past the end */
        assert_true(cty_msgpack_decode(a, t, part, cut, &got, NULL) < 0);
    }
    buf_addc(&hex, 0);
    assert_true(cty_msgpack_decode(a, t, hex.data, hex.len, &got, NULL) < 0);
}

static void test_vectors(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    char *text;
    size_t len, n = 0;
    assert_int_equal(fs_read(a, "tests/fixtures/cty-msgpack.json", 1 << 20, &text, &len, NULL), 0);
    AUTO_JSON struct json *cases = json_parse(text, len, NULL);
    assert_non_null(cases);
    json_each(c, cases) {
        check(c);
        n++;
    }
    assert_true(n >= 145);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
