#include "dockerfile/words.h"

#include <string.h>

#include "base/mem.h"

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }

struct strs words_split(struct arena *a, struct text t, size_t max) {
    struct strs out = {0};
    const char *p = t.p, *end = t.p + t.len;
    for (;;) {
        const char *start = p;
        while (p < end && !is_blank(*p)) p++;
        if (max && out.n + 1 == max) p = end;
        strs_add(a, &out, arena_strndup(a, start, (size_t) (p - start)));
        if (p == end) return out;
        while (p < end && is_blank(*p)) p++;
    }
}

struct word {
    struct buf text;
    bool started; /* also by an empty pair of quotes */
};

static void word_end(struct arena *a, struct strs *out, struct word *w) {
    if (w->started || w->text.len) strs_add(a, out, arena_strndup(a, buf_str(&w->text), w->text.len));
    buf_reset(&w->text);
    w->started = false;
}

static void word_put(struct word *w, uint32_t r) {
    char bytes[4];
    buf_add(&w->text, bytes, rune_encode(r, bytes));
}

struct strs words_quoted(struct arena *a, struct text t, char escape) {
    struct strs out = {0};
    struct word w = {0};
    uint32_t quote = 0;
    bool in_word = false;
    const char *p = t.p, *end = t.p + t.len;
    while (p < end) {
        size_t width;
        uint32_t r = rune_decode(p, (size_t) (end - p), &width);
        p += width;
        if (!quote && rune_is_space(r)) {
            if (in_word) word_end(a, &out, &w);
            in_word = false;
            continue;
        }
        in_word = true;
        if (r == quote) {
            quote = 0;
        } else if (!quote && (r == '\'' || r == '"')) {
            quote = r;
            w.started = true;
        } else if (r == (uint32_t) escape && quote != '\'') {
            if (p == end) break; /* one at the very end is dropped */
            word_put(&w, r);
            r = rune_decode(p, (size_t) (end - p), &width);
            p += width;
        }
        word_put(&w, r);
    }
    word_end(a, &out, &w);
    buf_done(&w.text);
    return out;
}

/* Flags are read byte by byte, each byte a code point: that is how BuildKit does it, to the harm of UTF-8. */
struct strs words_flags(struct arena *a, struct text t, char escape, struct text *ret_rest) {
    struct strs out = {0};
    struct word w = {0};
    char quote = 0;
    bool in_word = false, ended = false;
    const char *p = t.p, *end = t.p + t.len;
    for (; p < end && !ended; p++) {
        char c = *p;
        bool space = rune_is_space((unsigned char) c);
        if (!in_word) {
            if (space) continue;
            if (c != '-' || p + 1 == end || p[1] != '-') break;
            in_word = true;
        }
        if (!quote && space) {
            in_word = false;
            ended = w.text.len == 2 && !memcmp(w.text.data, "--", 2); /* even a quoted "--" */
            if (ended) break;
            word_end(a, &out, &w);
        } else if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? 0 : c;
            w.started = true;
        } else if (c == escape && p + 1 < end) {
            word_put(&w, (unsigned char) *++p);
        } else if (c != escape) {
            word_put(&w, (unsigned char) c);
        }
    }
    if (!ended && in_word && !(w.text.len == 2 && !memcmp(w.text.data, "--", 2))) word_end(a, &out, &w);
    *ret_rest = (struct text){p, (size_t) (end - p)};
    buf_done(&w.text);
    return out;
}
