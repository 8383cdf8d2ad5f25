#pragma once

#include <stdbool.h>

struct arena;
struct err;

/* The patterns in ${x#p}, ${x%p} and ${x/p/r}: "*" and "?", neither matches a newline; a backslash before "*", "?" or
 * itself takes that literally. */

/* What is left of value without the shortest or longest beginning (or end) that matches. */
int shpattern_trim(struct arena *a, const char *value, const char *pattern, bool at_end, bool longest, const char **ret,
                   struct err *err);
/* The first match replaced, or all of them. In the latter case "$0" and "$$" in the replacement mean the match and a
 * dollar, other "$name" nothing. */
int shpattern_replace(struct arena *a, const char *value, const char *pattern, const char *replacement, bool all, const char **ret,
                      struct err *err);
