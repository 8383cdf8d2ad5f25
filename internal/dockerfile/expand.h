#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct err;

/* Word expansion: quotes, escapes, variables with all the modifiers that BuildKit knows. It is like a shell's, and
 * differs from it in many corners. */

struct df_value {
    const char *text; /* "" when not set */
    bool set;
    bool open; /* what it is can't be known from the Dockerfile: it may also be something else */
};

struct df_vars {
    struct df_value (*get)(void *self, const char *name);
    void *self;
};

struct df_expand {
    uint32_t escape;            /* the escape character */
    bool raw_quotes;            /* quotes stay */
    bool raw_escapes;           /* escape characters stay */
    bool literal_quotes;        /* quotes mean nothing (the content of heredocs) */
    bool skip_unset;            /* variables that are not set stay as they are written */
    const struct df_vars *vars; /* NULL: none is set */
};

struct df_expanded {
    const char *text;  /* as one word */
    struct strs words; /* split at white space that wasn't quoted */
    bool open;         /* a variable that is open took part */
};

/* Fails with ERR_INVALID. A `${x?…}` whose variable is open doesn't fail: the result is open. */
int df_expand(struct arena *a, const struct df_expand *how, const char *word, struct df_expanded *ret, struct err *err);
