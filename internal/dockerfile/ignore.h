#pragma once

#include <stddef.h>

struct arena;
struct err;

/* The lines of an ignore file that are patterns, cleaned as BuildKit does it, and where they stand. */
struct ignore {
    const char *file; /* as opened; NULL: none */
    const char **patterns;
    const int *lines; /* of each pattern; 0 for those that are not from the file */
    size_t n;
};

/* data is NUL-terminated. Fails at a line of more than 64 KiB, or one that holds a NUL byte, with file and line. */
int ignore_parse(struct arena *a, const char *file, const char *data, size_t len, struct ignore *ret, struct err *err);
/* One more pattern after those of the file; a blank or a comment adds nothing. */
void ignore_add(struct arena *a, struct ignore *ig, const char *line);
