#include "dockerfile/expand.h"

#include <string.h>
#include <unictype.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/rune.h"
#include "dockerfile/shpattern.h"

enum { DEPTH_MAX = 200, END = 0x110000 };
enum { SIZE_LIMIT = 4 << 20 }; /* of a result: nested expansions can multiply */

struct lexer {
    struct arena *a;
    const struct df_expand *how;
    const char *p, *end;
    bool raw_escapes; /* changes within patterns */
    bool open;
    int depth;
    struct buf word; /* the word that is being collected; a nested operand clobbers it, as BuildKit's does */
    struct err *err;
};

/* What an operand is read for. */
struct mode {
    uint32_t stop;    /* the character that ends it; END: the end of the text */
    bool raw_escapes; /* escapes stay, for a pattern is read once more */
    bool for_pattern; /* and those within quotes are doubled for that */
};

struct collected {
    struct buf text;
    struct strs words;
    bool in_word;
};

static uint32_t peek(const struct lexer *lx) {
    size_t width;
    return lx->p == lx->end ? END : rune_decode(lx->p, (size_t) (lx->end - lx->p), &width);
}

static uint32_t next(struct lexer *lx) {
    if (lx->p == lx->end) return END;
    size_t width;
    uint32_t r = rune_decode(lx->p, (size_t) (lx->end - lx->p), &width);
    lx->p += width;
    return r;
}

static void put(struct buf *b, uint32_t r) {
    char bytes[4];
    buf_add(b, bytes, rune_encode(r, bytes));
}

static int fail(struct lexer *lx, const char *what) { return err_set(lx->err, ERR_INVALID, "%s", what); }

/* ---- Splitting into words ---- */

static void end_word(struct lexer *lx, struct collected *c) {
    if (!lx->word.len) return;
    strs_add(lx->a, &c->words, arena_strndup(lx->a, lx->word.data, lx->word.len));
    buf_reset(&lx->word);
    c->in_word = false;
}

static void word_raw(struct lexer *lx, struct collected *c, const char *s, size_t len) {
    buf_add(&lx->word, s, len);
    c->in_word = true;
}

static void word_rune(struct lexer *lx, struct collected *c, uint32_t r) {
    char bytes[4];
    if (!rune_is_space(r))
        word_raw(lx, c, bytes, rune_encode(r, bytes));
    else if (c->in_word)
        end_word(lx, c);
}

static void word_split(struct lexer *lx, struct collected *c, const char *s, size_t len) {
    size_t width;
    for (const char *end = s + len; s < end; s += width) word_rune(lx, c, rune_decode(s, (size_t) (end - s), &width));
}

/* ---- Quotes ---- */

static int single_quoted(struct lexer *lx, struct buf *out, bool for_pattern) {
    next(lx);
    if (lx->how->raw_quotes) buf_addc(out, '\'');
    for (;;) {
        uint32_t r = next(lx);
        if (r == END) return fail(lx, "unexpected end of statement while looking for matching single-quote");
        if (r == '\'') break;
        if (for_pattern && r == lx->how->escape) put(out, r);
        put(out, r);
    }
    if (lx->how->raw_quotes) buf_addc(out, '\'');
    return 0;
}

static int dollar(struct lexer *lx, struct buf *out);

static void escaped_in_double(struct lexer *lx, struct buf *out, bool for_pattern) { /* the escape character is passed */
    uint32_t r = peek(lx), escape = lx->how->escape;
    if (r == END) return;
    bool special = r == '"' || r == '$' || r == escape;
    if (lx->raw_escapes && (special || !lx->how->raw_quotes || for_pattern)) put(out, escape);
    put(out, special ? next(lx) : escape);
}

static int double_quoted(struct lexer *lx, struct buf *out, bool for_pattern) {
    next(lx);
    if (lx->how->raw_quotes) buf_addc(out, '"');
    for (;;) {
        uint32_t r = peek(lx);
        if (r == END) return fail(lx, "unexpected end of statement while looking for matching double-quote");
        if (r == '$') {
            int err = dollar(lx, out);
            if (err < 0) return err;
            continue;
        }
        next(lx);
        if (r == '"') break;
        if (r == lx->how->escape)
            escaped_in_double(lx, out, for_pattern);
        else
            put(out, r);
    }
    if (lx->how->raw_quotes) buf_addc(out, '"');
    return 0;
}

/* "<<" may be followed by blanks that belong to the word of a heredoc. */
static void less_than(struct lexer *lx, struct buf *out) {
    put(out, next(lx));
    if (peek(lx) != '<') return;
    put(out, next(lx));
    while (peek(lx) == ' ' || peek(lx) == '\t' || peek(lx) == '\r') put(out, next(lx));
}

/* ---- Text up to a stop ---- */

/* One thing that isn't a plain character: 1 when there was one, its result in *piece. */
static int special(struct lexer *lx, uint32_t r, const struct mode *mode, struct buf *piece) {
    int err = 0;
    if (r == '$')
        err = dollar(lx, piece);
    else if (r == '<')
        less_than(lx, piece);
    else if (r == '\'' && !lx->how->literal_quotes)
        err = single_quoted(lx, piece, mode->for_pattern);
    else if (r == '"' && !lx->how->literal_quotes)
        err = double_quoted(lx, piece, mode->for_pattern);
    else
        return 0;
    return err < 0 ? err : 1;
}

static void plain(struct lexer *lx, struct collected *c) {
    uint32_t r = next(lx);
    if (r != lx->how->escape) {
        word_rune(lx, c, r);
        put(&c->text, r);
        return;
    }
    char bytes[4];
    if (lx->raw_escapes) {
        word_raw(lx, c, bytes, rune_encode(r, bytes));
        put(&c->text, r);
    }
    r = next(lx);
    if (r == END) return;
    word_raw(lx, c, bytes, rune_encode(r, bytes));
    put(&c->text, r);
}

static int collect_until(struct lexer *lx, const struct mode *mode, struct collected *c) {
    for (;;) {
        uint32_t r = peek(lx);
        if (c->text.len > SIZE_LIMIT) return err_set(lx->err, ERR_LIMIT, "the expansion of a word is too long");
        if (r == END) break;
        if (r == mode->stop) {
            next(lx);
            end_word(lx, c);
            return 0;
        }
        AUTO_BUF struct buf piece = {0};
        int found = special(lx, r, mode, &piece);
        if (found < 0) return found;
        if (!found) {
            plain(lx, c);
            continue;
        }
        buf_add(&c->text, buf_str(&piece), piece.len);
        if (r == '$')
            word_split(lx, c, buf_str(&piece), piece.len);
        else
            word_raw(lx, c, buf_str(&piece), piece.len);
    }
    end_word(lx, c);
    if (mode->stop == END) return 0;
    return err_set(lx->err, ERR_INVALID, "syntax error: missing '%c'%s", (int) mode->stop, mode->stop == '/' ? " in ${}" : "");
}

static int collect(struct lexer *lx, const struct mode *mode, struct collected *c) {
    if (++lx->depth > DEPTH_MAX) return err_set(lx->err, ERR_LIMIT, "substitutions are nested too deeply");
    bool saved = lx->raw_escapes;
    lx->raw_escapes = mode->raw_escapes;
    buf_reset(&lx->word);
    int r = collect_until(lx, mode, c);
    lx->raw_escapes = saved;
    lx->depth--;
    return r;
}

/* The text of an operand. */
static int operand(struct lexer *lx, struct mode mode, const char **ret) {
    struct collected c = {0};
    int r = collect(lx, &mode, &c);
    *ret = arena_strdup(lx->a, buf_str(&c.text));
    buf_done(&c.text);
    return r;
}

/* ---- Variables ---- */

static bool is_digit(uint32_t r) { return r < END && uc_is_general_category(r, UC_DECIMAL_DIGIT_NUMBER); }
static bool is_letter(uint32_t r) { return r < END && uc_is_general_category(r, UC_LETTER); }
static bool is_special_name(uint32_t r) { return r && r < 0x80 && strchr("@*#?-$!0", (int) r); }

static const char *name(struct lexer *lx) {
    const char *start = lx->p;
    AUTO_BUF struct buf b = {0};
    if (is_digit(peek(lx))) {
        while (is_digit(peek(lx))) put(&b, next(lx));
    } else if (is_special_name(peek(lx))) {
        put(&b, next(lx));
    } else {
        while (is_letter(peek(lx)) || is_digit(peek(lx)) || peek(lx) == '_') put(&b, next(lx));
    }
    return start == lx->p ? "" : arena_strndup(lx->a, b.data, b.len);
}

static struct df_value get(struct lexer *lx, const char *key) {
    struct df_value v = {.text = ""};
    if (lx->how->vars) v = lx->how->vars->get(lx->how->vars->self, key);
    lx->open = lx->open || v.open;
    return v;
}

static bool keep_unset(const struct lexer *lx, const struct df_value *v) { return !v->set && lx->how->skip_unset; }

/* ${x-w} ${x+w} ${x?w}, with a colon also where x is empty. */
static int modify_unset(struct lexer *lx, const char *key, uint32_t op, bool or_empty, struct buf *out) {
    const char *word;
    int r = operand(lx, (struct mode){.stop = '}'}, &word);
    if (r < 0) return r;
    struct df_value v = get(lx, key);
    if (keep_unset(lx, &v)) {
        buf_addf(out, "${%s%s%c%s}", key, or_empty ? ":" : "", (int) op, word);
        return 0;
    }
    bool missing = !v.set || (or_empty && !*v.text);
    if (op == '?' && missing && !v.open)
        return err_set(lx->err, ERR_INVALID, "%s: %s", key,
                       *word   ? word
                       : v.set ? "is not allowed to be empty"
                               : "is not allowed to be unset");
    if (op == '-')
        buf_adds(out, missing ? word : v.text);
    else if (op == '+')
        buf_adds(out, missing ? "" : word);
    else
        buf_adds(out, v.text);
    return 0;
}

/* ${x#p} ${x##p} ${x%p} ${x%%p} */
static int modify_trim(struct lexer *lx, const char *key, uint32_t op, struct buf *out) {
    const char *pattern, *rest;
    int r = operand(lx, (struct mode){.stop = '}', .raw_escapes = true, .for_pattern = true}, &pattern);
    if (r < 0) return r;
    struct df_value v = get(lx, key);
    if (keep_unset(lx, &v)) {
        buf_addf(out, "${%s%c%s}", key, (int) op, pattern);
        return 0;
    }
    bool longest = *pattern == (char) op;
    r = shpattern_trim(lx->a, v.text, pattern + longest, op == '%', longest, &rest, lx->err);
    if (r >= 0) buf_adds(out, rest);
    return r;
}

/* ${x/p/r} ${x//p/r} */
static int modify_replace(struct lexer *lx, const char *key, struct buf *out) {
    const char *pattern, *replacement, *result;
    bool all = peek(lx) == '/';
    if (all) next(lx);
    int r = operand(lx, (struct mode){.stop = '/', .raw_escapes = true, .for_pattern = true}, &pattern);
    if (r >= 0) r = operand(lx, (struct mode){.stop = '}', .raw_escapes = true}, &replacement);
    if (r < 0) return r;
    struct df_value v = get(lx, key);
    if (keep_unset(lx, &v)) {
        buf_addf(out, "${%s/%s/%s}", key, pattern, replacement);
        return 0;
    }
    r = shpattern_replace(lx->a, v.text, pattern, replacement, all, &result, lx->err);
    if (r >= 0) buf_adds(out, result);
    return r;
}

static int unsupported(struct lexer *lx, bool colon, uint32_t op) {
    char bytes[4];
    size_t n = op == END ? 0 : rune_encode(op, bytes);
    return err_set(lx->err, ERR_INVALID, "unsupported modifier (%s%.*s) in substitution", colon ? ":" : "", (int) n, bytes);
}

static int braced(struct lexer *lx, struct buf *out) { /* "${" is passed */
    uint32_t r = peek(lx);
    if (r == END) return fail(lx, "syntax error: missing '}'");
    if (r == '{' || r == '}' || r == ':') return fail(lx, "syntax error: bad substitution");
    const char *key = name(lx);
    uint32_t op = next(lx);
    if (op == '}') {
        struct df_value v = get(lx, key);
        if (keep_unset(lx, &v))
            buf_addf(out, "${%s}", key);
        else
            buf_adds(out, v.text);
        return 0;
    }
    bool colon = op == ':';
    if (colon) op = next(lx);
    if (op == '-' || op == '+' || op == '?') return modify_unset(lx, key, op, colon, out);
    if (!colon && (op == '#' || op == '%')) return modify_trim(lx, key, op, out);
    if (!colon && op == '/') return modify_replace(lx, key, out);
    return unsupported(lx, colon, op);
}

static int dollar(struct lexer *lx, struct buf *out) {
    next(lx);
    if (peek(lx) == '{') {
        next(lx);
        return braced(lx, out);
    }
    const char *key = name(lx);
    struct df_value v = {0};
    if (*key) v = get(lx, key);
    if (!*key || keep_unset(lx, &v))
        buf_addf(out, "$%s", key);
    else
        buf_adds(out, v.text);
    return 0;
}

int df_expand(struct arena *a, const struct df_expand *how, const char *word, struct df_expanded *ret, struct err *err) {
    struct lexer lx = {.a = a, .how = how, .p = word, .end = word + strlen(word), .err = err};
    if (str_starts(word, "\xEF\xBB\xBF")) lx.p += 3; /* Go's scanner drops a byte order mark */
    struct collected c = {0};
    struct mode mode = {.stop = END, .raw_escapes = how->raw_escapes};
    int r = collect(&lx, &mode, &c);
    if (r >= 0)
        *ret = (struct df_expanded){arena_strdup(a, buf_str(&c.text)), c.words, lx.open};
    else
        err_wrap(err, "failed to process \"%s\"", word);
    buf_done(&c.text);
    buf_done(&lx.word);
    return r;
}
