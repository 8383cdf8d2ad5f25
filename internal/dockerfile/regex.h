#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* The part of Go's regexp (RE2 syntax) that an ignore pattern can become: anchors, literals, escapes, classes, and of
 * repetition only `[…]*`, `.*` and an optional run of whole folders (that is, group, dot, star, slash, ?). Matching is linear in
 * pattern × text. */
struct regex;

/* NULL if Go would refuse it. text begins with "^"; a match need not reach the end where it doesn't end in "$". */
struct regex *regex_compile(struct arena *a, const char *text, size_t len);
bool regex_match(const struct regex *re, const char *s, size_t len);
