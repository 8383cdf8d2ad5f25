#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "dockerfile/parse.h"

struct arena;
struct err;

/* Instructions with their flags and arguments checked, nothing expanded yet. */

struct df_pair {
    const char *key;
    const char *value; /* NULL: ARG without a default */
};

struct df_command {
    enum df_kind kind;
    const struct df_node *node;

    /* ADD, COPY */
    struct strs sources;         /* paths and URLs, as written */
    struct df_heredoc *contents; /* heredocs among the sources */
    size_t n_contents;
    const char *dest;
    const char *from; /* "" without */
    const char *chown, *chmod, *checksum;
    struct strs excludes;
    bool link, parents;

    /* RUN */
    struct strs mounts; /* the values of --mount */

    /* ARG, ENV, LABEL */
    struct df_pair *pairs;
    size_t n_pairs;

    /* FROM */
    const char *base, *name, *platform; /* name lower-case or "", platform "" without */

    /* ONBUILD */
    const char *trigger; /* a Dockerfile of one instruction */
};

/* Fails with ERR_INVALID, with ERR_UNSUPPORTED where a newer frontend could know the instruction or flag. Errors have no
 * place: it is the node's. */
int df_command(struct arena *a, const struct df_node *node, struct df_command *ret, struct err *err);
