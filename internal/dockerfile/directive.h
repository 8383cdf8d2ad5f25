#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dockerfile/rune.h"

struct arena;
struct err;

/* The comments at the top of a Dockerfile that are directives: "# key=value". */
struct directives {
    const char *comment; /* what starts one; NULL: "#" */
    bool seen_syntax, seen_escape, seen_check, done;
};

struct directive {
    const char *key; /* "syntax", "escape", "check" */
    struct text value;
};

/* 1 when the line is one, 0 when it isn't (and no later line will be), negative for a duplicate. */
int directive_parse(struct directives *d, struct text line, struct directive *ret, struct err *err);
