#include "dockerfile/jsonlist.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "dockerfile/rune.h"

enum { DEPTH_MAX = 1000 };

struct reader {
    const char *p, *end;
    int depth;
};

static void skip_space(struct reader *rd) {
    while (rd->p < rd->end && (*rd->p == ' ' || *rd->p == '\t' || *rd->p == '\n' || *rd->p == '\r')) rd->p++;
}

static bool accept(struct reader *rd, char c) {
    if (rd->p == rd->end || *rd->p != c) return false;
    rd->p++;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex4(struct reader *rd, uint32_t *ret) {
    if (rd->end - rd->p < 4) return false;
    *ret = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(*rd->p++);
        if (d < 0) return false;
        *ret = *ret << 4 | (uint32_t) d;
    }
    return true;
}

static void put(struct buf *b, uint32_t r) {
    char bytes[4];
    buf_add(b, bytes, rune_encode(r, bytes)); /* a lone surrogate becomes U+FFFD there */
}

static bool read_unicode(struct reader *rd, struct buf *out) { /* \u is passed */
    uint32_t r;
    if (!hex4(rd, &r)) return false;
    if (r >= 0xD800 && r < 0xDC00 && rd->end - rd->p >= 6 && rd->p[0] == '\\' && rd->p[1] == 'u') {
        struct reader ahead = {.p = rd->p + 2, .end = rd->end};
        uint32_t low;
        if (hex4(&ahead, &low) && low >= 0xDC00 && low < 0xE000) {
            rd->p = ahead.p;
            r = 0x10000 + ((r - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    put(out, r);
    return true;
}

static bool read_string(struct reader *rd, struct buf *out) {
    if (!accept(rd, '"')) return false;
    while (rd->p < rd->end && *rd->p != '"') {
        if ((unsigned char) *rd->p < 0x20) return false;
        if (*rd->p != '\\') {
            size_t width;
            put(out, rune_decode(rd->p, (size_t) (rd->end - rd->p), &width));
            rd->p += width;
            continue;
        }
        if (++rd->p == rd->end) return false;
        static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        char c = *rd->p++;
        const char *at = c ? strchr(letters, c) : NULL;
        if (at)
            buf_addc(out, values[at - letters]);
        else if (c != 'u' || !read_unicode(rd, out))
            return false;
    }
    return accept(rd, '"');
}

static bool digits(struct reader *rd) {
    const char *start = rd->p;
    while (rd->p < rd->end && *rd->p >= '0' && *rd->p <= '9') rd->p++;
    return rd->p > start;
}

static bool read_number(struct reader *rd) {
    accept(rd, '-');
    if (!accept(rd, '0') && !digits(rd)) return false;
    if (accept(rd, '.') && !digits(rd)) return false;
    if (!accept(rd, 'e') && !accept(rd, 'E')) return true;
    if (!accept(rd, '+')) accept(rd, '-');
    return digits(rd);
}

static bool read_word(struct reader *rd, const char *word) {
    size_t len = strlen(word);
    if ((size_t) (rd->end - rd->p) < len || memcmp(rd->p, word, len) != 0) return false;
    rd->p += len;
    return true;
}

static bool skip_value(struct reader *rd);

static bool skip_pair(struct reader *rd) {
    AUTO_BUF struct buf key = {0};
    if (!read_string(rd, &key)) return false;
    skip_space(rd);
    return accept(rd, ':') && skip_value(rd);
}

static bool skip_items(struct reader *rd, char close, bool (*item)(struct reader *rd)) {
    if (++rd->depth > DEPTH_MAX) return false;
    skip_space(rd);
    if (!accept(rd, close)) {
        do {
            skip_space(rd);
            if (!item(rd)) return false;
            skip_space(rd);
        } while (accept(rd, ','));
        if (!accept(rd, close)) return false;
    }
    rd->depth--;
    return true;
}

static bool skip_value(struct reader *rd) {
    skip_space(rd);
    if (rd->p == rd->end) return false;
    AUTO_BUF struct buf ignored = {0};
    switch (*rd->p) {
        case '"': return read_string(rd, &ignored);
        case '[': return accept(rd, '[') && skip_items(rd, ']', skip_value);
        case '{': return accept(rd, '{') && skip_items(rd, '}', skip_pair);
        case 't': return read_word(rd, "true");
        case 'f': return read_word(rd, "false");
        case 'n': return read_word(rd, "null");
        default: return read_number(rd);
    }
}

static bool valid(const char *text) {
    struct reader rd = {.p = text, .end = text + strlen(text)};
    if (!skip_value(&rd)) return false;
    skip_space(&rd);
    return rd.p == rd.end;
}

enum jsonlist jsonlist_parse(struct arena *a, const char *text, struct strs *ret) {
    struct reader rd = {.p = text, .end = text + strlen(text)};
    skip_space(&rd);
    if (!accept(&rd, '[') || !valid(text)) return JSONLIST_NOT_JSON;
    *ret = (struct strs){0};
    skip_space(&rd);
    if (accept(&rd, ']')) return JSONLIST_OK;
    do {
        AUTO_BUF struct buf item = {0};
        skip_space(&rd);
        if (!read_string(&rd, &item) || (item.len && memchr(item.data, 0, item.len))) return JSONLIST_NOT_STRINGS;
        strs_add(a, ret, arena_strndup(a, buf_str(&item), item.len));
        skip_space(&rd);
    } while (accept(&rd, ','));
    return JSONLIST_OK;
}

const char *jsonlist_member(struct arena *a, const char *text, const char *key) {
    struct reader rd = {.p = text, .end = text + strlen(text)};
    skip_space(&rd);
    if (!accept(&rd, '{') || !valid(text)) return NULL;
    const char *found = NULL;
    skip_space(&rd);
    while (rd.p < rd.end && *rd.p != '}') {
        AUTO_BUF struct buf name = {0};
        AUTO_BUF struct buf value = {0};
        read_string(&rd, &name);
        skip_space(&rd);
        accept(&rd, ':');
        skip_space(&rd);
        struct reader start = rd;
        skip_value(&rd);
        if (!strcmp(buf_str(&name), key)) found = read_string(&start, &value) ? arena_strdup(a, buf_str(&value)) : NULL;
        skip_space(&rd);
        accept(&rd, ',');
        skip_space(&rd);
    }
    return found;
}
