/* The JSON of state files, read along a type. A reader of our own: the numbers of a state have any number of digits
 * (cJSON's are doubles), its strings may hold NUL, and nothing is built for attributes that the type hasn't. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

struct reader {
    const char *text, *p, *end;
    struct arena *arena;
    size_t values; /* that may still be made */
    int depth;
    struct err *err;
};

static int broken(struct reader *r, const char *what) {
    return err_set(r->err, ERR_PROTOCOL, "JSON: %s at byte %zu", what, (size_t) (r->p - r->text));
}

/* The next byte that isn't white space; 0 at the end. */
static char peek(struct reader *r) {
    while (r->p < r->end && *r->p && strchr(" \t\r\n", *r->p)) r->p++;
    return r->p < r->end ? *r->p : 0;
}

static bool accept(struct reader *r, char c) {
    if (peek(r) != c) return false;
    r->p++;
    return true;
}

static bool literal(struct reader *r, const char *word) {
    size_t n = strlen(word);
    peek(r);
    if ((size_t) (r->end - r->p) < n || memcmp(r->p, word, n) != 0) return false;
    r->p += n;
    return true;
}

static int hex4(struct reader *r, unsigned *ret) {
    unsigned v = 0;
    if (r->end - r->p < 4) return broken(r, "an escape is cut");
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned) (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (unsigned) ((c | 32) - 'a' + 10);
        else
            return broken(r, "an escape isn't hexadecimal");
    }
    *ret = v;
    return 0;
}

static void add_rune(struct buf *b, unsigned c) {
    if (c < 0x80) {
        buf_addc(b, (char) c);
        return;
    }
    if (c < 0x800) {
        buf_addc(b, (char) (0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_addc(b, (char) (0xe0 | c >> 12));
        } else {
            buf_addc(b, (char) (0xf0 | c >> 18));
            buf_addc(b, (char) (0x80 | (c >> 12 & 0x3f)));
        }
        buf_addc(b, (char) (0x80 | (c >> 6 & 0x3f)));
    }
    buf_addc(b, (char) (0x80 | (c & 0x3f)));
}

/* Behind "\u"; a surrogate without its other half becomes U+FFFD. */
static int unicode(struct reader *r, struct buf *b) {
    unsigned c = 0, low = 0;
    int e = hex4(r, &c);
    if (e < 0) return e;
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
        const char *back = r->p;
        r->p += 2;
        if ((e = hex4(r, &low)) < 0) return e;
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            r->p = back;
    }
    add_rune(b, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return 0;
}

static int string_into(struct reader *r, struct buf *b) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!accept(r, '"')) return broken(r, "a string is required");
    while (r->p < r->end && *r->p != '"') {
        if ((unsigned char) *r->p < 0x20) return broken(r, "a control character in a string");
        if (*r->p != '\\') {
            const char *start = r->p;
            while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char) *r->p >= 0x20) r->p++;
            buf_add(b, start, (size_t) (r->p - start));
            continue;
        }
        if (++r->p >= r->end) break;
        const char *known = *r->p ? strchr(from, *r->p) : NULL;
        if (!known && *r->p != 'u') return broken(r, "an escape that JSON hasn't");
        r->p++;
        if (known)
            buf_addc(b, to[known - from]);
        else if (unicode(r, b) < 0)
            return -ERR_PROTOCOL;
    }
    if (r->p >= r->end) return broken(r, "a string doesn't end");
    r->p++;
    return 0;
}

static int string(struct reader *r, struct cty_text *ret) {
    AUTO_BUF struct buf b = {0};
    int e = string_into(r, &b);
    if (e < 0) return e;
    *ret = cty_text_new(r->arena, buf_str(&b), b.len);
    return 0;
}

/* The text of a number. */
static int digits(struct reader *r, const char **ret, size_t *ret_len) {
    peek(r);
    const char *start = r->p;
    while (r->p < r->end && *r->p && strchr("+-.0123456789eE", *r->p)) r->p++;
    if (r->p == start) return broken(r, "a value is required");
    *ret = start;
    *ret_len = (size_t) (r->p - start);
    return 0;
}

static int skip_members(struct reader *r, char close);

static int skip(struct reader *r) {
    if (r->depth >= CTY_MAX_DEPTH) return err_set(r->err, ERR_LIMIT, "JSON: nested deeper than %d levels", CTY_MAX_DEPTH);
    r->depth++;
    int e = 0;
    if (accept(r, '[')) {
        e = skip_members(r, ']');
    } else if (accept(r, '{')) {
        e = skip_members(r, '}');
    } else if (peek(r) == '"') {
        AUTO_BUF struct buf b = {0};
        e = string_into(r, &b);
    } else if (!literal(r, "null") && !literal(r, "true") && !literal(r, "false")) {
        const char *s;
        size_t n;
        e = digits(r, &s, &n);
    }
    r->depth--;
    return e;
}

static int skip_members(struct reader *r, char close) {
    if (accept(r, close)) return 0;
    do {
        if (close == '}') {
            AUTO_BUF struct buf key = {0};
            int e = string_into(r, &key);
            if (e < 0) return e;
            if (!accept(r, ':')) return broken(r, "a colon is required");
        }
        int e = skip(r);
        if (e < 0) return e;
    } while (accept(r, ','));
    return accept(r, close) ? 0 : broken(r, "a comma or the end is required");
}

static int value(struct reader *r, const struct cty_type *t, struct cty_value *ret);

static int charge(struct reader *r) {
    if (!r->values) return err_set(r->err, ERR_LIMIT, "JSON: more than %d values", CTY_MAX_VALUES);
    r->values--;
    return 0;
}

static int sequence(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    size_t cap = 0, n = 0;
    struct cty_value *v = NULL;
    if (!accept(r, '[')) return broken(r, "an array is required");
    while (peek(r) != ']') {
        if (n && !accept(r, ',')) return broken(r, "a comma or the end is required");
        if (t->kind == CTY_TUPLE && n >= t->n) return broken(r, "a tuple has more elements than its type");
        int e = charge(r);
        if (e < 0) return e;
        ARENA_GROW(r->arena, v, n, cap);
        e = value(r, t->kind == CTY_TUPLE ? t->attrs[n].type : t->elem, &v[n]);
        if (e < 0) return err_wrap(r->err, "element %zu", n);
        n++;
    }
    r->p++;
    if (t->kind == CTY_TUPLE && n != t->n) return broken(r, "a tuple has fewer elements than its type");
    ret->seq.v = v;
    ret->seq.n = n;
    if (t->kind == CTY_SET) cty_set_normalise(ret);
    return 0;
}

/* The next member's key, up to its value; 0 at the end of the object, 1 with a key. */
static int member(struct reader *r, bool first, struct cty_text *ret) {
    if (accept(r, '}')) return 0;
    if (!first && !accept(r, ',')) return broken(r, "a comma or the end is required");
    int e = string(r, ret);
    if (e < 0) return e;
    return accept(r, ':') ? 1 : broken(r, "a colon is required");
}

static int map(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    size_t cap = 0, n = 0;
    struct cty_entry *v = NULL;
    struct cty_text key;
    int e;
    if (!accept(r, '{')) return broken(r, "an object is required");
    while ((e = member(r, !n, &key)) > 0) {
        if ((e = charge(r)) < 0) return e;
        ARENA_GROW(r->arena, v, n, cap);
        v[n].key = key;
        if ((e = value(r, t->elem, &v[n].value)) < 0) return err_wrap(r->err, "key \"%.60s\"", key.s);
        n++;
    }
    if (e < 0) return e;
    ret->map.v = v;
    ret->map.n = n;
    return cty_map_normalise(ret) ? 0 : broken(r, "a map has a key twice");
}

static int object(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    struct cty_text key;
    int e;
    if (!accept(r, '{')) return broken(r, "an object is required");
    if (t->n > r->values) return err_set(r->err, ERR_LIMIT, "JSON: more than %d values", CTY_MAX_VALUES);
    r->values -= t->n;
    ret->seq.v = arena_array(r->arena, t->n, sizeof *ret->seq.v);
    ret->seq.n = t->n;
    for (bool first = true; (e = member(r, first, &key)) > 0; first = false) {
        ptrdiff_t at = cty_type_find(t, key.s, key.len);
        if (at < 0) {
            if ((e = skip(r)) < 0) return e;
            continue;
        }
        if (ret->seq.v[at].type) return err_set(r->err, ERR_PROTOCOL, "JSON: attribute %s is there twice", t->attrs[at].name);
        if ((e = value(r, t->attrs[at].type, &ret->seq.v[at])) < 0) return err_wrap(r->err, "attribute %s", t->attrs[at].name);
    }
    for (size_t i = 0; i < t->n; i++)
        if (!ret->seq.v[i].type) ret->seq.v[i] = cty_null(t->attrs[i].type);
    return e;
}

/* {"value": …, "type": …} in either order: the type is looked for first. */
static int dynamic(struct reader *r, struct cty_value *ret) {
    const char *at = NULL, *type = NULL, *type_end = NULL;
    struct cty_text key;
    int e;
    if (!accept(r, '{')) return broken(r, "a value of dynamic type is not {value, type}");
    for (bool first = true; (e = member(r, first, &key)) > 0; first = false) {
        peek(r);
        bool is_type = str_eq(key.s, "type");
        *(is_type ? &type : &at) = r->p;
        if ((e = skip(r)) < 0) return e;
        if (is_type) type_end = r->p;
    }
    if (e < 0) return e;
    if (!at || !type) return broken(r, "a value of dynamic type is not {value, type}");
    const struct cty_type *t = NULL;
    if ((e = cty_type_parse(r->arena, type, (size_t) (type_end - type), &t, r->err)) < 0) return e;
    const char *behind = r->p;
    r->p = at;
    e = value(r, t, ret);
    r->p = behind;
    return e;
}

static int number(struct reader *r, struct cty_num *ret) {
    const char *s;
    size_t n;
    if (peek(r) == '"') {
        struct cty_text text;
        int e = string(r, &text);
        return e < 0 ? e : cty_num_parse(r->arena, text.s, text.len, ret, r->err);
    }
    int e = digits(r, &s, &n);
    return e < 0 ? e : cty_num_parse(r->arena, s, n, ret, r->err);
}

/* A string attribute may have been a number or a bool in an older schema. */
static int text(struct reader *r, struct cty_text *ret) {
    const char *s = NULL;
    size_t n = 0;
    if (peek(r) == '"') return string(r, ret);
    if (literal(r, "true"))
        s = "true", n = 4;
    else if (literal(r, "false"))
        s = "false", n = 5;
    else if (peek(r) == '[' || peek(r) == '{')
        return broken(r, "a string is required");
    else if (digits(r, &s, &n) < 0)
        return -ERR_PROTOCOL;
    *ret = cty_text_new(r->arena, s, n);
    return 0;
}

static int boolean(struct reader *r, bool *ret) {
    *ret = literal(r, "true") || literal(r, "\"true\"");
    return *ret || literal(r, "false") || literal(r, "\"false\"") ? 0 : broken(r, "a bool is required");
}

static int known(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    *ret = (struct cty_value){.type = t, .state = CTY_KNOWN};
    switch (t->kind) {
        case CTY_BOOL: return boolean(r, &ret->b);
        case CTY_NUMBER: return number(r, &ret->num);
        case CTY_STRING: return text(r, &ret->str);
        case CTY_MAP: return map(r, t, ret);
        case CTY_OBJECT: return object(r, t, ret);
        case CTY_DYNAMIC: return dynamic(r, ret);
        default: return sequence(r, t, ret);
    }
}

static int value(struct reader *r, const struct cty_type *t, struct cty_value *ret) {
    if (literal(r, "null")) {
        *ret = cty_null(t);
        return 0;
    }
    if (r->depth >= CTY_MAX_DEPTH) return err_set(r->err, ERR_LIMIT, "JSON: nested deeper than %d levels", CTY_MAX_DEPTH);
    r->depth++;
    int e = known(r, t, ret);
    r->depth--;
    return e;
}

int cty_json_decode(struct arena *a, const struct cty_type *t, const char *text, size_t len, struct cty_value *ret,
                    struct err *err) {
    struct reader r = {.text = text, .p = text, .end = text + len, .arena = a, .values = CTY_MAX_VALUES, .err = err};
    if (utf8_check(text, len, NULL) < 0) return err_set(err, ERR_PROTOCOL, "JSON: not valid UTF-8");
    struct cty_value v;
    int e = value(&r, t, &v);
    if (e < 0) return e;
    peek(&r);
    if (r.p != r.end) return broken(&r, "text follows the value");
    *ret = v;
    return 0;
}
