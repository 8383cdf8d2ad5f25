#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text as BuildKit's own code sees it: UTF-8 where it is valid, and each bad byte as U+FFFD of width 1. */

enum { RUNE_BAD = 0xFFFD };

/* The rune at s and its width; RUNE_BAD and 1 for a bad byte. len > 0. */
uint32_t rune_decode(const char *s, size_t len, size_t *ret_width);
size_t rune_encode(uint32_t r, char out[4]); /* bytes written; a rune outside Unicode becomes U+FFFD */
bool rune_is_space(uint32_t r);              /* Unicode's White_Space */

struct text { /* a part of a text, not terminated */
    const char *p;
    size_t len;
};

struct text text_trim(struct text t); /* Unicode white space at both ends */
bool text_eq(struct text t, const char *s);
