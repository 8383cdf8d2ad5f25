#include "dockerfile/shpattern.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/rune.h"

enum { ANY = 0x110000, STAR = 0x110001 }; /* beside the runes that stand for themselves */
enum { WORK_MAX = 16 << 20 };             /* pattern × text; the root of it bounds the recursion */
enum { RESULT_MAX = 4 << 20 };

struct runes {
    uint32_t *v;
    size_t n;
};

static struct runes decode(struct arena *a, const char *s) {
    size_t len = strlen(s), width;
    struct runes r = {arena_array(a, len + 1, sizeof *r.v), 0};
    for (const char *end = s + len; s < end; s += width) r.v[r.n++] = rune_decode(s, (size_t) (end - s), &width);
    return r;
}

static const char *encode(struct arena *a, const uint32_t *v, size_t n) {
    char *out = arena_alloc(a, 4 * n + 1), *p = out;
    for (size_t i = 0; i < n; i++) p += rune_encode(v[i], p);
    *p = 0;
    return out;
}

static void reverse(struct runes *r) {
    for (size_t i = 0; i < r->n / 2; i++) {
        uint32_t swap = r->v[i];
        r->v[i] = r->v[r->n - 1 - i];
        r->v[r->n - 1 - i] = swap;
    }
}

static int compile(struct arena *a, const char *pattern, struct runes *ret, struct err *err) {
    struct runes in = decode(a, pattern);
    ret->v = arena_array(a, in.n + 1, sizeof *ret->v);
    ret->n = 0;
    size_t first = in.n && in.v[0] == 0xFEFF; /* Go's scanner drops a byte order mark */
    for (size_t i = first; i < in.n; i++) {
        uint32_t r = in.v[i];
        uint32_t next = i + 1 < in.n ? in.v[i + 1] : 0;
        if (r == '\\' && (next == '}' || next == '/')) continue;
        if (r == '\\' && next != '*' && next != '?' && next != '\\')
            return err_set(err, ERR_INVALID, "invalid pattern (%s) in substitution: nothing to escape after a backslash", pattern);
        if (r == '*' && ret->n && ret->v[ret->n - 1] == STAR) continue; /* two in a row are one */
        if (r == '\\')
            ret->v[ret->n++] = in.v[++i];
        else
            ret->v[ret->n++] = r == '*' ? STAR : r == '?' ? ANY : r;
    }
    return 0;
}

struct search {
    const struct runes *pattern, *text;
    bool longest;
    unsigned char *failed; /* (pattern position, text position) pairs that lead nowhere */
};

/* Where the pattern from p on, matched at t, ends; the stars take as much, or as little, as they can. An explicit stack
 * would not be simpler: depth is bounded by the number of pattern elements, for a star loops. */
static bool match_from(struct search *s, size_t p, size_t t, size_t *ret_end) {
    for (; p < s->pattern->n && s->pattern->v[p] != STAR; p++, t++) {
        if (t == s->text->n) return false;
        uint32_t want = s->pattern->v[p], r = s->text->v[t];
        if (want == ANY ? r == '\n' : want != r) return false;
    }
    if (p == s->pattern->n) {
        *ret_end = t;
        return true;
    }
    unsigned char *failed = &s->failed[p * (s->text->n + 1) + t];
    if (*failed) return false;
    size_t limit = t;
    while (limit < s->text->n && s->text->v[limit] != '\n') limit++;
    for (size_t i = t; i <= limit; i++)
        if (match_from(s, p + 1, s->longest ? limit - (i - t) : i, ret_end)) return true;
    *failed = 1;
    return false;
}

static int search_init(struct arena *a, struct search *s, struct err *err) {
    size_t cells;
    if (__builtin_mul_overflow(s->pattern->n + 1, s->text->n + 1, &cells) || cells > WORK_MAX)
        return err_set(err, ERR_LIMIT, "the value and the pattern of a substitution are too long");
    s->failed = arena_alloc(a, cells);
    return 0;
}

int shpattern_trim(struct arena *a, const char *value, const char *pattern, bool at_end, bool longest, const char **ret,
                   struct err *err) {
    AUTO_ARENA struct arena *scratch = arena_new();
    struct runes text = decode(scratch, value), compiled;
    int r = compile(scratch, pattern, &compiled, err);
    if (r < 0) return r;
    struct search s = {.pattern = &compiled, .text = &text, .longest = longest};
    if (at_end) { /* from the end on, it is a beginning */
        reverse(&compiled);
        reverse(&text);
    }
    r = search_init(scratch, &s, err);
    if (r < 0) return r;
    size_t end = 0;
    if (!match_from(&s, 0, 0, &end)) end = 0;
    struct runes rest = {text.v + end, text.n - end};
    if (at_end) reverse(&rest);
    *ret = at_end || end ? encode(a, rest.v, rest.n) : arena_strdup(a, value);
    return 0;
}

static bool is_name(char c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

/* A replacement as Go's Regexp.Expand reads it. */
static void add_template(struct buf *b, const char *t, const char *match) {
    while (*t) {
        if (*t != '$') {
            buf_addc(b, *t++);
            continue;
        }
        const char *p = t + 1;
        if (*p == '$') {
            buf_addc(b, '$');
            t += 2;
            continue;
        }
        bool braced = *p == '{';
        const char *name = p += braced;
        while (is_name(*p)) p++;
        size_t len = (size_t) (p - name);
        if (!len || (braced && *p != '}')) {
            buf_addc(b, *t++);
            continue;
        }
        if (len == 1 && *name == '0') buf_adds(b, match);
        t = p + braced;
    }
}

int shpattern_replace(struct arena *a, const char *value, const char *pattern, const char *replacement, bool all, const char **ret,
                      struct err *err) {
    AUTO_ARENA struct arena *scratch = arena_new();
    struct runes text = decode(scratch, value), compiled;
    int r = compile(scratch, pattern, &compiled, err);
    if (r < 0) return r;
    struct search s = {.pattern = &compiled, .text = &text, .longest = true};
    r = search_init(scratch, &s, err);
    if (r < 0) return r;
    AUTO_BUF struct buf out = {.max = RESULT_MAX};
    bool done = false;
    size_t last = SIZE_MAX; /* where the previous match ended: an empty one right there doesn't count */
    for (size_t at = 0; at <= text.n && !out.overflow;) {
        size_t end;
        bool found = !done && match_from(&s, 0, at, &end) && !(end == at && at == last);
        if (found && all) add_template(&out, replacement, encode(scratch, text.v + at, end - at));
        if (found && !all) buf_adds(&out, replacement);
        done = done || (found && !all);
        if (found) last = end;
        if (found && end > at) {
            at = end;
            continue;
        }
        if (at < text.n) {
            char bytes[4];
            buf_add(&out, bytes, rune_encode(text.v[at], bytes));
        }
        at++;
    }
    if (out.overflow) return err_set(err, ERR_LIMIT, "the result of a substitution is too long");
    *ret = arena_strdup(a, buf_str(&out));
    return 0;
}
