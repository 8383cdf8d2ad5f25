#include "dockerfile/rune.h"

#include <string.h>

#include "base/mem.h"

uint32_t rune_decode(const char *s, size_t len, size_t *ret_width) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *) s;
    size_t width = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    *ret_width = 1;
    if (width == 1) return p[0];
    if (p[0] < 0xC2 || p[0] > 0xF4 || len < width) return RUNE_BAD;
    uint32_t r = p[0] & (0xFFu >> (width + 1));
    for (size_t i = 1; i < width; i++) {
        if ((p[i] & 0xC0) != 0x80) return RUNE_BAD;
        r = r << 6 | (p[i] & 0x3Fu);
    }
    if (r < least[width] || r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF)) return RUNE_BAD;
    *ret_width = width;
    return r;
}

size_t rune_encode(uint32_t r, char out[4]) {
    if (r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF)) r = RUNE_BAD;
    if (r < 0x80) {
        out[0] = (char) r;
        return 1;
    }
    size_t width = r < 0x800 ? 2 : r < 0x10000 ? 3 : 4;
    for (size_t i = width - 1; i > 0; i--, r >>= 6) out[i] = (char) (0x80 | (r & 0x3F));
    out[0] = (char) ((0xF00u >> width & 0xF0) | r);
    return width;
}

bool rune_is_space(uint32_t r) {
    if (r < 0x80) return r == ' ' || (r >= '\t' && r <= '\r');
    return r == 0x85 || r == 0xA0 || r == 0x1680 || (r >= 0x2000 && r <= 0x200A) || r == 0x2028 || r == 0x2029 || r == 0x202F ||
           r == 0x205F || r == 0x3000;
}

/* Where the rune that ends at len begins. */
static size_t rune_before(const char *s, size_t len) {
    for (size_t back = 1; back <= 4 && back <= len; back++) {
        size_t width;
        rune_decode(s + len - back, back, &width);
        if (width == back && (back > 1 || (unsigned char) s[len - 1] < 0x80)) return len - back;
    }
    return len - 1;
}

struct text text_trim(struct text t) {
    while (t.len) {
        size_t width;
        if (!rune_is_space(rune_decode(t.p, t.len, &width))) break;
        t.p += width;
        t.len -= width;
    }
    while (t.len) {
        size_t at = rune_before(t.p, t.len), width;
        if (!rune_is_space(rune_decode(t.p + at, t.len - at, &width))) break;
        t.len = at;
    }
    return t;
}

bool text_eq(struct text t, const char *s) { return strlen(s) == t.len && !memcmp(t.p, s, t.len); }
