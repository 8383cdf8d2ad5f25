/* Text of foreign origin (build output, pod logs, server messages) made fit for replies, terminals and logs. One bad
 * byte in a reply would void it as a whole. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* The length of the valid UTF-8 sequence at p, or 0. */
static size_t sequence(const unsigned char *p, size_t left) {
    unsigned char c = p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (!n || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (c == 0xe0 && p[1] < 0xa0) return 0;
    if (c == 0xed && p[1] > 0x9f) return 0; /* surrogates */
    if (c == 0xf0 && p[1] < 0x90) return 0;
    if (c == 0xf4 && p[1] > 0x8f) return 0;
    return n;
}

int utf8_check(const char *s, size_t len, size_t *ret_bad) {
    for (size_t i = 0; i < len;) {
        size_t n = sequence((const unsigned char *) s + i, len - i);
        if (!n) {
            if (ret_bad) *ret_bad = i;
            return -1;
        }
        i += n;
    }
    return 0;
}

void buf_add_json(struct buf *b, const char *s, size_t len) {
    buf_addc(b, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char) s[i];
        size_t n = sequence((const unsigned char *) s + i, len - i);
        if (!n) {
            buf_adds(b, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (c == '"' || c == '\\') {
            buf_addc(b, '\\');
            buf_addc(b, (char) c);
        } else if (c == '\n') {
            buf_adds(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            buf_addf(b, "\\u%04x", c);
        } else {
            buf_add(b, s + i, n);
        }
        i += n;
    }
    buf_addc(b, '"');
}

/* Skips an ANSI escape sequence (ECMA-48 5.4 CSI, OSC up to BEL or ST, else two bytes) that starts at s[i]. */
static size_t skip_escape(const char *s, size_t len, size_t i) {
    if (++i >= len) return i;
    if (s[i] == '[') {
        for (i++; i < len && !(s[i] >= 0x40 && s[i] <= 0x7e); i++)
            if (s[i] == '\n') return i;
        return i < len ? i + 1 : i;
    }
    if (s[i] == ']') {
        for (i++; i < len && s[i] != 7 && s[i] != 27 && s[i] != '\n'; i++) {}
        if (i < len && s[i] == 27) return i + 1 < len && s[i + 1] == '\\' ? i + 2 : i;
        return i < len && s[i] == 7 ? i + 1 : i;
    }
    return (unsigned char) s[i] >= 0x20 && (unsigned char) s[i] < 0x7f ? i + 1 : i;
}

char *text_clean(struct arena *a, const char *s, size_t len) {
    AUTO_BUF struct buf out = {0};
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char) s[i];
        size_t n = sequence((const unsigned char *) s + i, len - i);
        if (!n) {
            buf_adds(&out, "\xef\xbf\xbd");
            i++;
        } else if (c == 27) {
            i = skip_escape(s, len, i);
        } else if (c == '\r') {
            if (i + 1 >= len || s[i + 1] != '\n') buf_addc(&out, '\n');
            i++;
        } else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (c == 0xc2 && (unsigned char) s[i + 1] < 0xa0)) {
            i += n; /* C0, DEL, C1 */
        } else {
            buf_add(&out, s + i, n);
            i += n;
        }
    }
    return arena_dup(a, buf_str(&out), out.len);
}

char *bytes_text(struct arena *a, uint64_t n) {
    static const char *const units[] = {"kB", "MB", "GB"};
    if (n < 1000) return arena_printf(a, "%u B", (unsigned) n);
    double value = (double) n / 1000;
    size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < ARRAY_SIZE(units); unit++) value /= 1000;
    return arena_printf(a, "%.1f %s", value, units[unit]);
}

char *text_tail(struct arena *a, const char *s, size_t lines, size_t max) {
    char *clean = text_clean(a, s, strlen(s));
    size_t len = strlen(clean);
    while (len && clean[len - 1] == '\n') len--;
    size_t start = len;
    for (size_t seen = 0; start > 0; start--)
        if (clean[start - 1] == '\n' && ++seen == lines) break;
    if (len - start > max) {
        start = len - max;
        while (start < len && ((unsigned char) clean[start] & 0xc0) == 0x80) start++;
    }
    return arena_strndup(a, clean + start, len - start);
}
