#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* Ignore patterns, matched as BuildKit's transfer does it (moby/patternmatcher with the results of parent folders), not
 * as git or fnmatch do. A list is immutable once compiled and may be used by several threads. */
struct patterns;

/* Patterns as an ignore file's parser gives them ("!" allowed). A malformed one fails with ERR_INVALID and its index in
 * *ret_bad (may be NULL). Some are only found out when they are first tried: patterns_step says so. */
int patterns_compile(struct arena *a, const char *const *list, size_t n, struct patterns **ret, size_t *ret_bad, struct err *err);

size_t patterns_count(const struct patterns *p);
bool patterns_exceptions(const struct patterns *p); /* any "!"? */
bool pattern_is_exception(const struct patterns *p, size_t i);
const char *pattern_text(const struct patterns *p, size_t i); /* cleaned, without "!" */

/* Which patterns hit a path or a folder above it: a bit each, PATTERN_WORDS(n) words. */
#define PATTERN_WORDS(n) (((n) + 63) / 64)

/* One step of the walk: 1 when the list matches path, else 0; hits is set from the parent's and may be the same memory.
 * Where the parent's are not known (NULL; at the root there are none) its path and those above it are tried too. Negative, with the
 * index in *ret_bad, when a pattern turns out to be malformed. */
int patterns_step(const struct patterns *p, const char *path, const uint64_t *parent, uint64_t *hits, size_t *ret_bad,
                  struct err *err);

/* Without a walk: a pattern also hits what is below something it matches. Differs from the walk's answer where
 * exceptions meet; BuildKit opens files by this one. */
bool patterns_match_or_parent(const struct patterns *p, const char *path);

/* Whether a folder that isn't matched (or that is ignored) can hold something that a pattern named by `exceptions`
 * brings back, by BuildKit's own shortcut: only when each such pattern is literal up to a trailing star. */
bool patterns_may_match_below(const struct patterns *p, bool exceptions, const char *dir);
