#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct ctx;
struct err;

/* A build context: which entries of a folder a build reads, and the hash over them. One function for plan, apply and
 * the command line. */

struct context_input {
    const char *dir;        /* the context; relative to the working directory */
    const char *dockerfile; /* NULL: DIR/Dockerfile; else relative to the working directory or absolute */
    const char *target;     /* NULL: the last stage */
    const struct kv *build_args;
    size_t n_build_args;
    const struct kv *build_contexts; /* name → folder (or a reference that is no folder: left to the builder) */
    size_t n_build_contexts;
    const char *const *platforms; /* none: the builder's own */
    size_t n_platforms;
    const char *const *ignore; /* patterns on top of the ignore file */
    size_t n_ignore;
    const char *builder_platform; /* "linux/amd64"; NULL: not known, and what depends on it widens */
    bool hash_only;               /* files are left out of the result: less memory */
    bool no_index;                /* nothing is kept in the user's cache folder, everything is read */
};

struct context_file {
    const char *path;            /* relative to the context, clean, "/"-separated */
    const char *type;            /* "file", "dir", "symlink", "fifo", "char", "block" */
    uint32_t mode;               /* 07777 */
    uint64_t size;               /* files only */
    const unsigned char *digest; /* 32 bytes over all that counts of it: see entry.h */
};

struct context_root {   /* one thing that reads the context */
    const char *source; /* as written: "shared/" */
    const char *from;   /* "COPY line 3", "RUN --mount line 7", "Dockerfile", ".dockerignore" */
    const char *hash;   /* "sha256:…" */
};

struct context_result {
    const char *hash;        /* "sha256:…" over all below */
    const char *dockerfile;  /* path as opened */
    const char *ignore_file; /* path as opened, NULL when there is none */
    const char *widened;     /* why the whole context counts, or NULL */
    const struct context_root *roots;
    size_t n_roots;
    const struct context_file *files; /* bytewise by path */
    size_t n_files;
};

/* Everything in ctx->arena. Errors have file and line where they come from the Dockerfile or the ignore file. A source
 * that is missing says where the file would be found ("it exists one folder up: set context = path.module"). */
int context_hash(struct ctx *ctx, const struct context_input *in, struct context_result *ret, struct err *err);

/* ---- Walking, for the hash and for the builder alike ---- */

struct context_entry {
    const char *path; /* relative, clean; valid during the callback only */
    mode_t mode;      /* st_mode as lstat gives it */
    uint64_t size;
    int64_t mtime_ns;
    uint64_t dev_major, dev_minor; /* of device nodes */
    const char *link;              /* link text of symbolic links; else NULL */
    const struct kv *xattrs;       /* those that count; values may hold any bytes: see xattr_lens */
    const size_t *xattr_lens;
    size_t n_xattrs;
    int dir_fd; /* the folder it is in, for openat with name */
    const char *name;
    bool opens; /* false: docker's client sends this file without its content, a wart of its filter; so must we,
                   for the hash counts it empty */
};

struct context_filter {         /* as BuildKit's fsutil means them; all optional */
    const char *const *exclude; /* ignore patterns, in order, "!" allowed */
    size_t n_exclude;
    const char *const *include; /* include-patterns */
    size_t n_include;
    const char *const *follow; /* follow-paths: these entries, their parents and what links on the way point to */
    size_t n_follow;
};

/* Walks depth first, names bytewise within a folder, parents first, the root itself skipped; folders that are wholly
 * excluded are never opened. A negative return of visit ends the walk with it. */
int context_walk(struct ctx *ctx, const char *dir, const struct context_filter *filter,
                 int (*visit)(void *arg, const struct context_entry *e, struct err *err), void *arg, struct err *err);
