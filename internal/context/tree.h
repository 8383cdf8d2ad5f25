#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "context/filter.h"
#include "crypto/crypto.h"

struct ctx;
struct err;

/* What is sent of a folder, in memory: only folders that somebody asks for are read. Single-threaded but for tree_load_all,
 * which reads with several threads inside. */

struct tree_dir;

struct tree_node {
    const char *name; /* "" for the root */
    struct tree_node *parent;
    struct tree_dir *dir; /* NULL unless a folder */
    const char *link;     /* once tree_link was called */
    uint64_t size, ino, dev, rdev;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode; /* st_mode */
    bool kept;     /* else a folder that is sent only if something in it is */
    bool counted;  /* goes into the hash */
    bool hashed;   /* digest is set */
    unsigned char digest[SHA256_LEN];
};

struct tree_dir {
    struct tree_node *v; /* bytewise; what the filter drops isn't there */
    size_t n;
    struct filter_hits hits;
    bool loaded;
    int present; /* of a folder that isn't kept: 1, 0, -1 not looked yet */
};

struct tree {
    struct ctx *ctx;
    const char *path; /* of the folder, for messages */
    int fd;
    struct filter filter;
    struct arena *arena;    /* dies with the tree */
    struct arena **threads; /* memory that tree_load_all's threads used */
    size_t n_threads;
    struct tree_node root;
    struct tree_dir root_dir;
};

/* Opens the folder; *t is on the caller's side and closed by tree_done also after a failure. */
int tree_open(struct tree *t, struct ctx *ctx, const char *path, const struct context_filter *filter, struct err *err);
void tree_done(struct tree *t);

/* Reads one folder; nothing if it is read. */
int tree_load(struct tree *t, struct tree_node *dir, struct err *err);
/* Reads all below it. */
int tree_load_all(struct tree *t, struct tree_node *dir, struct err *err);

/* Whether a node is sent: negative on failure. */
int tree_present(struct tree *t, struct tree_node *n, struct err *err);
/* A child by name, in a loaded folder; NULL. Not all that is found is present. */
struct tree_node *tree_child(struct tree_node *dir, const char *name, size_t len);
/* The text of a link. */
int tree_link(struct tree *t, struct tree_node *n, struct err *err);
/* Finds a path ("/a/b"), through links within the tree; the last component's only if follow. 0, or 1 if nothing is
 * there (or it isn't sent). */
int tree_find(struct tree *t, const char *path, bool follow, struct tree_node **ret, struct err *err);

/* The path from the root, "" for it; in the arena. */
char *tree_path(struct arena *a, const struct tree_node *n);
/* Along a tree with the path of each node; zero-initialised it stands before the first. buf_done its path. */
struct tree_cursor {
    struct tree_node *node;
    struct buf path; /* relative to the tree's root when it began there */
};
struct tree_node *tree_cursor_next(struct tree_cursor *c, struct tree_node *top);

/* The next node in the order of a walk, within top: top itself first (start with NULL), folders before their content.
 * Everything must be loaded. */
struct tree_node *tree_next(struct tree_node *top, struct tree_node *n);

static inline bool tree_is_dir(const struct tree_node *n) { return n->dir != NULL; }
