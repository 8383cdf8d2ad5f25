/* A walk in the order and with the rules of BuildKit's fsutil: depth first, names bytewise, folders before what is in
 * them, an ignored folder only when something in it is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/dir.h"
#include "context/filter.h"
#include "context/follow.h"
#include "context/xattr.h"

struct walk {
    struct ctx *ctx;
    const char *root;
    struct filter filter;
    int (*visit)(void *arg, const struct context_entry *e, struct err *err);
    void *arg;
    struct buf path;
};

struct folder { /* one that the walk is in */
    struct folder *parent;
    int fd;
    size_t path_len; /* of its own path in walk.path */
    struct filter_hits hits;
    struct stat st;
    bool visited;
};

static int visit(struct walk *w, const struct folder *in, const char *path, const struct stat *st, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *name = strrchr(path, '/');
    struct context_entry e = {
        .path = path,
        .name = name ? name + 1 : path,
        .dir_fd = in->fd,
        .mode = st->st_mode,
        .size = S_ISREG(st->st_mode) ? (uint64_t) st->st_size : 0,
        .mtime_ns = (int64_t) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .opens = !S_ISREG(st->st_mode) || filter_opens(&w->filter, path),
    };
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        e.dev_major = major(st->st_rdev);
        e.dev_minor = minor(st->st_rdev);
    }
    if (S_ISLNK(st->st_mode)) {
        e.link = follow_read_link(a, in->fd, e.name);
        if (!e.link && errno == ENOENT) return 0;
        if (!e.link) return err_errno(err, errno, "cannot read the link %s/%s", w->root, path);
        e.size = strlen(e.link);
    }
    struct xattrs xattrs;
    int r = xattrs_read(a, in->fd, e.name, &xattrs, err);
    if (r < 0) return err_wrap(err, "%s/%s", w->root, path);
    e.xattrs = xattrs.v;
    e.xattr_lens = xattrs.lens;
    e.n_xattrs = xattrs.n;
    return w->visit(w->arg, &e, err);
}

/* Folders that were passed over are sent after all, once something in them is. */
static int visit_parents(struct walk *w, struct folder *f, struct err *err) {
    if (!f->parent || f->visited) return 0;
    int r = visit_parents(w, f->parent, err);
    if (r < 0) return r;
    f->visited = true;
    AUTO_FREE char *path = mem_strndup(w->path.data, f->path_len);
    return visit(w, f->parent, path, &f->st, err);
}

static int walk_folder(struct walk *w, struct folder *f, struct err *err);

static void path_set(struct walk *w, size_t len, const char *name) {
    w->path.len = len;
    if (len) buf_addc(&w->path, '/');
    buf_adds(&w->path, name);
}

static int walk_into(struct walk *w, struct folder *in, struct folder *f, const char *name, bool kept, struct err *err) {
    AUTO_CLOSE int fd = openat(in->fd, name, DIR_OPEN);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return 0;
    if (fd < 0 && errno == EACCES && !kept) return 0;
    if (fd < 0) return err_errno(err, errno, "cannot open the folder %s/%s", w->root, buf_str(&w->path));
    f->fd = fd;
    return walk_folder(w, f, err);
}

static int walk_entry(struct walk *w, struct folder *in, struct filter_hits hits, const char *name, struct err *err) {
    struct folder f = {.parent = in, .hits = hits};
    if (fstatat(in->fd, name, &f.st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return 0;
        return err_errno(err, errno, "cannot look at %s/%s", w->root, buf_str(&w->path));
    }
    bool is_dir = S_ISDIR(f.st.st_mode);
    enum filter_verdict verdict;
    int r = filter_step(&w->filter, w->path.data, is_dir, &in->hits, &f.hits, &verdict, err);
    if (r < 0 || verdict == FILTER_PRUNE) return r;
    f.path_len = w->path.len;
    if (verdict == FILTER_KEEP) {
        r = visit_parents(w, in, err);
        if (r < 0) return r;
        f.visited = true;
        r = visit(w, in, w->path.data, &f.st, err);
    }
    return r < 0 || !is_dir ? r : walk_into(w, in, &f, name, verdict == FILTER_KEEP, err);
}

static int walk_folder(struct walk *w, struct folder *f, struct err *err) {
    AUTO_ARENA struct arena *scratch = arena_new();
    struct dir_names names;
    struct filter_hits hits = filter_hits_new(scratch, &w->filter); /* of one child after the other */
    AUTO_FREE char *path = mem_strndup(buf_str(&w->path), f->path_len);
    int r = dir_read(scratch, f->fd, f->path_len ? path : w->root, &names, err);
    for (size_t i = 0; r >= 0 && i < names.n; i++) {
        r = ctx_check(w->ctx, err);
        if (r < 0) return r;
        path_set(w, f->path_len, names.v[i]);
        r = walk_entry(w, f, hits, names.v[i], err);
    }
    return r;
}

int context_walk(struct ctx *ctx, const char *dir, const struct context_filter *filter,
                 int (*visit_fn)(void *arg, const struct context_entry *e, struct err *err), void *arg, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR) return err_set(err, ERR_INVALID, "the context %s is not a folder", dir);
    if (fd < 0) return err_errno(err, errno, "cannot open the context %s", dir);
    struct walk w = {.ctx = ctx, .root = dir, .visit = visit_fn, .arg = arg};
    int r = filter_init(a, fd, filter, &w.filter, err);
    struct folder root = {.fd = fd};
    if (r >= 0) r = walk_folder(&w, &root, err);
    buf_done(&w.path);
    return r < 0 ? r : 0;
}
