#pragma once

/* Go's path/filepath.Match on Unix, which globs in COPY and ADD are matched with: "*" and "?" stay within a component,
 * "[^…]" negates and can match a slash, a backslash takes the next character literally.
 * 1: match, 0: none, -1: the pattern is malformed, as far as it had to be read for this name. */
int go_match(const char *pattern, const char *name);

/* Go's path.Match: the same, but after a mismatch the whole pattern is looked at for errors. */
int go_path_match(const char *pattern, const char *name);
