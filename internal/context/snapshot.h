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

/* What is sent of a folder, in memory: only folders that somebody asks for are read. Single-threaded but for snap_load_all,
 * which reads with several threads inside. */

struct snap_dir;

struct snap_node {
    const char *name; /* "" for the root */
    struct snap_node *parent;
    struct snap_dir *dir; /* NULL unless a folder */
    const char *link;     /* once snap_link was called */
    uint64_t size, ino, dev, rdev;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode; /* st_mode */
    bool kept;     /* else a folder that is sent only if something in it is */
    bool counted;  /* goes into the hash */
    bool hashed;   /* digest is set */
    unsigned char digest[SHA256_LEN];
};

struct snap_dir {
    struct snap_node *v; /* bytewise; what the filter drops isn't there */
    size_t n;
    struct filter_hits hits;
    bool loaded;
    int present; /* of a folder that isn't kept: 1, 0, -1 not looked yet */
};

struct snap {
    struct ctx *ctx;
    const char *path; /* of the folder, for messages */
    int fd;
    struct filter filter;
    struct arena *arena;    /* dies with the tree */
    struct arena **threads; /* memory that snap_load_all's threads used */
    size_t n_threads;
    struct snap_node root;
    struct snap_dir root_dir;
};

/* Opens the folder; *t is on the caller's side and closed by snap_done also after a failure. */
int snap_open(struct snap *t, struct ctx *ctx, const char *path, const struct context_filter *filter, struct err *err);
void snap_done(struct snap *t);

/* Reads one folder; nothing if it is read. */
int snap_load(struct snap *t, struct snap_node *dir, struct err *err);
/* Reads all below it. */
int snap_load_all(struct snap *t, struct snap_node *dir, struct err *err);

/* Whether a node is sent: negative on failure. */
int snap_present(struct snap *t, struct snap_node *n, struct err *err);
/* A child by name, in a loaded folder; NULL. Not all that is found is present. */
struct snap_node *snap_child(struct snap_node *dir, const char *name, size_t len);
/* The text of a link. */
int snap_link(struct snap *t, struct snap_node *n, struct err *err);
/* Finds a path ("/a/b"), through links within the tree; the last component's only if follow. 0, or 1 if nothing is
 * there (or it isn't sent). */
int snap_find(struct snap *t, const char *path, bool follow, struct snap_node **ret, struct err *err);

/* The path from the root, "" for it; in the arena. */
char *snap_path(struct arena *a, const struct snap_node *n);
/* Along a tree with the path of each node; zero-initialised it stands before the first. buf_done its path. */
struct snap_cursor {
    struct snap_node *node;
    struct buf path; /* relative to the tree's root when it began there */
};
struct snap_node *snap_cursor_next(struct snap_cursor *c, struct snap_node *top);

/* The next node in the order of a walk, within top: top itself first (start with NULL), folders before their content.
 * Everything must be loaded. */
struct snap_node *snap_next(struct snap_node *top, struct snap_node *n);

static inline bool snap_is_dir(const struct snap_node *n) { return n->dir != NULL; }
