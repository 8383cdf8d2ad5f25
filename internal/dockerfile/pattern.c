#include "dockerfile/pattern.h"

#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/gomatch.h"
#include "dockerfile/regex.h"
#include "dockerfile/rune.h"

enum kind { KIND_LITERAL, KIND_PREFIX, KIND_SUFFIX, KIND_REGEX, KIND_BAD };

struct pattern {
    const char *text;
    size_t len;
    enum kind kind;
    bool exception;
    bool open_prefix;  /* no wildcard but a trailing "/" + star(s) */
    size_t prefix_len; /* without those */
    const struct regex *re;
};

struct patterns {
    struct pattern *v;
    size_t n;
    bool exceptions, open_prefixes[2]; /* of the plain ones, of the exceptions: all have open_prefix */
};

struct translation {
    struct buf re;
    enum kind kind;
    const char *p, *end;
};

static uint32_t take_rune(struct translation *t) {
    size_t width;
    uint32_t r = rune_decode(t->p, (size_t) (t->end - t->p), &width);
    t->p += width;
    return r;
}

static void put_rune(struct translation *t, uint32_t r) {
    char bytes[4];
    buf_add(&t->re, bytes, rune_encode(r, bytes));
}

static void translate_stars(struct translation *t, bool first) { /* the first star is passed */
    if (t->p == t->end || *t->p != '*') {
        buf_adds(&t->re, "[^/]*");
        t->kind = KIND_REGEX;
        return;
    }
    t->p++;
    if (t->p != t->end && *t->p == '/') t->p++;
    if (t->p != t->end) {
        buf_adds(&t->re, "(.*/)?");
        t->kind = KIND_REGEX;
    } else if (t->kind == KIND_LITERAL) {
        t->kind = KIND_PREFIX;
    } else {
        buf_adds(&t->re, ".*");
        t->kind = KIND_REGEX;
    }
    if (first) t->kind = KIND_SUFFIX;
}

/* The regular expression that a pattern means; brackets and escapes go into it as they stand. */
static void translate(struct translation *t) {
    buf_adds(&t->re, "^");
    for (bool first = true; t->p != t->end; first = false) {
        uint32_t r = take_rune(t);
        if (r == '*') {
            translate_stars(t, first);
        } else if (r == '?') {
            buf_adds(&t->re, "[^/]");
            t->kind = KIND_REGEX;
        } else if (r && r < 0x80 && strchr(".+()|{}$", (int) r)) {
            buf_addc(&t->re, '\\');
            put_rune(t, r);
        } else if (r == '\\') {
            buf_addc(&t->re, '\\');
            if (t->p == t->end) continue;
            put_rune(t, take_rune(t));
            t->kind = KIND_REGEX;
        } else {
            put_rune(t, r);
            if (r == '[' || r == ']') t->kind = KIND_REGEX;
        }
    }
    buf_adds(&t->re, "$");
}

static void pattern_compile(struct arena *a, struct pattern *p) {
    static const char bom[] = "\xEF\xBB\xBF";
    struct translation t = {.p = p->text, .end = p->text + p->len};
    if (str_starts(p->text, bom)) t.p += strlen(bom); /* Go's scanner drops it here, though not from a literal */
    translate(&t);
    p->kind = t.kind;
    if (t.kind == KIND_REGEX) {
        p->re = regex_compile(a, t.re.data, t.re.len);
        if (!p->re) p->kind = KIND_BAD;
    }
    buf_done(&t.re);
    p->prefix_len = p->len;
    if (str_ends(p->text, "/**")) p->prefix_len -= 3;
    if (p->prefix_len >= 2 && !memcmp(p->text + p->prefix_len - 2, "/*", 2)) p->prefix_len -= 2;
    p->open_prefix = strcspn(p->text, "*[]?^\\") >= p->prefix_len;
}

int patterns_compile(struct arena *a, const char *const *list, size_t n, struct patterns **ret, size_t *ret_bad, struct err *err) {
    struct patterns *ps = arena_alloc(a, sizeof *ps);
    ps->v = arena_array(a, n, sizeof *ps->v);
    ps->open_prefixes[false] = ps->open_prefixes[true] = true;
    for (size_t i = 0; i < n; i++) {
        struct text t = text_trim((struct text){list[i], strlen(list[i])});
        if (!t.len) continue;
        const char *text = fs_clean(a, arena_strndup(a, t.p, t.len));
        struct pattern *p = &ps->v[ps->n++];
        p->exception = *text == '!';
        p->text = text + p->exception;
        p->len = strlen(p->text);
        if (ret_bad) *ret_bad = i;
        if (!p->len) return err_set(err, ERR_INVALID, "the pattern \"!\" excepts nothing");
        if (go_match(p->text, ".") < 0) return err_set(err, ERR_INVALID, "syntax error in the pattern \"%s\"", list[i]);
        pattern_compile(a, p);
        ps->exceptions = ps->exceptions || p->exception;
        ps->open_prefixes[p->exception] = ps->open_prefixes[p->exception] && p->open_prefix;
    }
    *ret = ps;
    return 0;
}

size_t patterns_count(const struct patterns *p) { return p->n; }
bool patterns_exceptions(const struct patterns *p) { return p->exceptions; }
bool pattern_is_exception(const struct patterns *p, size_t i) { return p->v[i].exception; }
const char *pattern_text(const struct patterns *p, size_t i) { return p->v[i].text; }

/* 1, 0, or -1 when the pattern is malformed. */
static int pattern_match(const struct pattern *p, const char *path, size_t len) {
    switch (p->kind) {
        case KIND_LITERAL: return len == p->len && !memcmp(path, p->text, len);
        case KIND_PREFIX: return len >= p->len - 2 && !memcmp(path, p->text, p->len - 2);
        case KIND_SUFFIX: {
            const char *suffix = p->text + 2;
            size_t n = p->len - 2;
            if (len >= n && !memcmp(path + len - n, suffix, n)) return 1;
            return *suffix == '/' && len == n - 1 && !memcmp(path, suffix + 1, len);
        }
        case KIND_REGEX: return regex_match(p->re, path, len);
        case KIND_BAD: break;
    }
    return -1;
}

static bool bit(const uint64_t *bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }

static bool hits_above(const struct pattern *p, const char *path, size_t len) {
    for (size_t i = 1; i < len; i++)
        if (path[i] == '/' && pattern_match(p, path, i) > 0) return true;
    return false;
}

int patterns_step(const struct patterns *ps, const char *path, const uint64_t *parent, uint64_t *hits, size_t *ret_bad,
                  struct err *err) {
    size_t len = strlen(path);
    bool matched = false;
    for (size_t i = 0; i < ps->n; i++) {
        const struct pattern *p = &ps->v[i];
        int hit = parent && bit(parent, i);
        if (!hit && p->exception == matched) {
            hit = pattern_match(p, path, len);
            if (!hit && !parent) hit = hits_above(p, path, len);
        }
        if (hit < 0) {
            if (ret_bad) *ret_bad = i;
            return err_set(err, ERR_INVALID, "syntax error in the pattern \"%s%s\"", p->exception ? "!" : "", p->text);
        }
        uint64_t mask = (uint64_t) 1 << (i % 64);
        hits[i / 64] = hit ? hits[i / 64] | mask : hits[i / 64] & ~mask;
        if (hit) matched = !p->exception;
    }
    return matched;
}

bool patterns_match_or_parent(const struct patterns *ps, const char *path) {
    size_t len = strlen(path);
    bool matched = false;
    for (size_t i = 0; i < ps->n; i++)
        if (ps->v[i].exception == matched && (pattern_match(&ps->v[i], path, len) > 0 || hits_above(&ps->v[i], path, len)))
            matched = !ps->v[i].exception;
    return matched;
}

bool patterns_may_match_below(const struct patterns *ps, bool exceptions, const char *dir) {
    if (!ps->open_prefixes[exceptions]) return true;
    size_t len = strlen(dir);
    for (size_t i = 0; i < ps->n; i++) {
        const struct pattern *p = &ps->v[i];
        if (p->exception != exceptions || memcmp(p->text, dir, len < p->len ? len : p->len) != 0) continue;
        if (p->prefix_len == len || (p->prefix_len > len && p->text[len] == '/')) return true;
    }
    return false;
}
