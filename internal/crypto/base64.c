/* Base64 of RFC 4648, sections 4 and 5. */
#include "crypto/crypto.h"

#include "base/mem.h"
#include "base/secret.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* out has room for len / 3 * 4 + 5 bytes. */
static void encode_to(const void *p, size_t len, const char *alphabet, bool pad, char *out) {
    const unsigned char *s = p;
    char *o = out;
    while (len >= 3) {
        *o++ = alphabet[s[0] >> 2];
        *o++ = alphabet[(s[0] & 3) << 4 | s[1] >> 4];
        *o++ = alphabet[(s[1] & 15) << 2 | s[2] >> 6];
        *o++ = alphabet[s[2] & 63];
        s += 3;
        len -= 3;
    }
    if (len) {
        unsigned second = len == 2 ? s[1] : 0;
        *o++ = alphabet[s[0] >> 2];
        *o++ = alphabet[(s[0] & 3) << 4 | second >> 4];
        if (len == 2) *o++ = alphabet[(second & 15) << 2];
        for (; pad && len < 3; len++) *o++ = '=';
    }
    *o = 0;
}

static char *encode(struct arena *a, const void *p, size_t len, const char *alphabet, bool pad) {
    char *text = arena_array(a, len / 3 + 2, 4);
    encode_to(p, len, alphabet, pad, text);
    return text;
}

struct secret *base64_encode_secret(const void *p, size_t len) {
    char *text = mem_array(len / 3 + 2, 4);
    encode_to(p, len, standard, true, text);
    return secret_take(text);
}

char *base64_encode(struct arena *a, const void *p, size_t len) { return encode(a, p, len, standard, true); }

char *base64_encode_raw(struct arena *a, const void *p, size_t len) { return encode(a, p, len, standard, false); }

char *base64url_encode(struct arena *a, const void *p, size_t len, bool pad) { return encode(a, p, len, url_safe, pad); }

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* out has room for len / 4 * 3 + 3 bytes. */
static bool decode(const char *s, size_t len, char *out, size_t *ret_len) {
    size_t digits = 0, pads = 0, n = 0;
    unsigned acc = 0;
    for (size_t i = 0; i < len; i++) {
        if (is_space(s[i])) continue;
        if (s[i] == '=') {
            pads++;
            continue;
        }
        int v = value_of(s[i]);
        if (v < 0 || pads) return false;
        acc = acc << 6 | (unsigned) v;
        if (++digits % 4 == 0) {
            out[n++] = (char) (acc >> 16);
            out[n++] = (char) (acc >> 8);
            out[n++] = (char) acc;
            acc = 0;
        }
    }
    size_t rest = digits % 4;
    if (rest == 1 || (pads && (rest == 0 || pads != 4 - rest))) return false;
    if (rest == 2) out[n++] = (char) (acc >> 4);
    if (rest == 3) {
        out[n++] = (char) (acc >> 10);
        out[n++] = (char) (acc >> 2);
    }
    *ret_len = n;
    return true;
}

char *base64_decode(struct arena *a, const char *s, size_t len, size_t *ret_len) {
    char *out = arena_alloc(a, len / 4 * 3 + 4);
    size_t n;
    if (!decode(s, len, out, &n)) return NULL;
    out[n] = 0;
    if (ret_len) *ret_len = n;
    return out;
}

struct secret *base64_decode_secret(const char *s, size_t len) {
    size_t cap = len / 4 * 3 + 4, n;
    char *out = mem_alloc(cap);
    struct secret *secret = decode(s, len, out, &n) ? secret_new(out, n) : NULL;
    mem_wipe(out, cap);
    mem_free(out);
    return secret;
}
