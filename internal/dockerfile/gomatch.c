#include "dockerfile/gomatch.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dockerfile/rune.h"

/* The part of a pattern up to the next star that is outside of brackets. */
static size_t chunk_length(const char *p) {
    bool in_class = false;
    size_t i = 0;
    for (; p[i] && (p[i] != '*' || in_class); i++) {
        if (p[i] == '\\' && p[i + 1])
            i++;
        else if (p[i] == '[')
            in_class = true;
        else if (p[i] == ']')
            in_class = false;
    }
    return i;
}

/* One character of a class, *p behind it; something must follow it. */
static bool class_char(const char **p, const char *end, uint32_t *ret) {
    if (*p == end || **p == '-' || **p == ']') return false;
    if (**p == '\\' && ++*p == end) return false;
    size_t width;
    *ret = rune_decode(*p, (size_t) (end - *p), &width);
    if (*ret == RUNE_BAD && width == 1) return false;
    *p += width;
    return *p != end;
}

/* A class whose "[" is passed: *p goes behind the "]". -1 if malformed, else whether r is in it. */
static int class_match(const char **p, const char *end, uint32_t r) {
    bool negated = *p != end && **p == '^', in = false;
    if (negated) ++*p;
    for (bool first = true; first || *p == end || **p != ']'; first = false) {
        uint32_t low, high;
        if (!class_char(p, end, &low)) return -1;
        high = low;
        if (**p == '-') {
            ++*p;
            if (!class_char(p, end, &high)) return -1;
        }
        in = in || (low <= r && r <= high);
    }
    ++*p;
    return in != negated;
}

/* Matches a chunk (no stars) at the beginning of s: 1 and the rest of s, 0, or -1. After a mismatch the chunk is read
 * on, for it may be malformed. */
static int chunk_match(const char *p, size_t len, const char *s, const char **ret_rest) {
    const char *end = p + len, *s_end = s + strlen(s);
    bool failed = false;
    while (p != end) {
        size_t width = 1;
        failed = failed || s == s_end;
        uint32_t r = failed ? 0 : rune_decode(s, (size_t) (s_end - s), &width);
        if (*p == '[') {
            p++;
            int in = class_match(&p, end, r);
            if (in < 0) return -1;
            if (!failed) s += width;
            failed = failed || !in;
        } else if (*p == '?') {
            if (!failed) {
                failed = *s == '/';
                s += width;
            }
            p++;
        } else {
            if (*p == '\\' && ++p == end) return -1;
            if (!failed) failed = *p != *s++;
            p++;
        }
    }
    *ret_rest = s;
    return !failed;
}

/* The rest of a pattern after a mismatch: -1 if it is malformed. */
static int check_rest(const char *pattern) {
    while (*pattern) {
        const char *rest;
        while (*pattern == '*') pattern++;
        size_t len = chunk_length(pattern);
        if (chunk_match(pattern, len, "", &rest) < 0) return -1;
        pattern += len;
    }
    return 0;
}

static int match(const char *pattern, const char *name, bool strict) {
    while (*pattern) {
        bool star = *pattern == '*';
        while (*pattern == '*') pattern++;
        size_t len = chunk_length(pattern);
        if (star && !len) return !strchr(name, '/');
        const char *chunk = pattern, *rest;
        pattern += len;
        int r = chunk_match(chunk, len, name, &rest);
        if (r < 0) return -1;
        bool found = r && (!*rest || *pattern);
        for (const char *at = name; star && !found && *at && *at != '/'; at++) {
            r = chunk_match(chunk, len, at + 1, &rest);
            if (r < 0) return -1;
            found = r && (!*rest || *pattern);
        }
        if (!found) return strict ? check_rest(pattern) : 0;
        name = rest;
    }
    return !*name;
}

int go_match(const char *pattern, const char *name) { return match(pattern, name, false); }
int go_path_match(const char *pattern, const char *name) { return match(pattern, name, true); }
