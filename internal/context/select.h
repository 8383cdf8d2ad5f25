#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "context/snapshot.h"
#include "dockerfile/plan.h"

struct err;

/* The entries that one source of a Dockerfile stands for, as BuildKit's content hash takes them. */

struct pick {
    struct snap_node *node;
    struct snap_node *target; /* of a link that is followed; the whole of it counts. NULL */
    bool extra;               /* copied, although BuildKit's key leaves it out */
};

struct selection {
    struct snap_node *top;  /* a source as a whole: a file, or a folder with all below; else NULL and picks */
    struct snap_node *base; /* what the names of picks are relative to */
    struct pick *picks;
    size_t n, cap;
    bool alone; /* one pick whose name can't matter */
};

/* Marks what it takes as counted. Picks live in the tree's arena.
 * 0; SELECT_MISSING when a path that must be there isn't sent: *ret_missing says which; SELECT_DANGLING when a link that
 * must be followed leads nowhere. */
enum { SELECT_MISSING = 1, SELECT_DANGLING = 2 };
int select_source(struct snap *t, const struct df_source *s, struct selection *ret, const char **ret_missing, struct err *err);

/* Everything that is sent. */
int select_all(struct snap *t, struct selection *ret, struct err *err);
