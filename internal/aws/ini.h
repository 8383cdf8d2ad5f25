#pragma once

#include <stddef.h>

struct arena;
struct err;

/* The files ~/.aws/config and ~/.aws/credentials (docs.aws.amazon.com/sdkref/latest/guide/file-format.html). */

struct ini_entry {
    const char *key;   /* lower case; a nested one is "parent.child" */
    const char *value; /* points into the text that was parsed */
    int line;
};

struct ini_section {
    const char *name; /* "default", "profile dev", "services x", as written but for spaces and quotes */
    struct ini_entry *entries;
    size_t n, cap;
};

struct ini {
    const char *file;
    struct ini_section *sections; /* one each name; a later entry of the same key replaces the earlier */
    size_t n, cap;
};

/* text is cut up in place. A line that is neither section nor assignment fails with its number. */
int ini_parse_text(struct arena *a, const char *file, char *text, struct ini *ret, struct err *err);
const struct ini_section *ini_section(const struct ini *ini, const char *name);  /* NULL if absent */
const struct ini_entry *ini_entry(const struct ini_section *s, const char *key); /* NULL for no section or no key */
const char *ini_get(const struct ini_section *s, const char *key);               /* NULL if absent or empty */
