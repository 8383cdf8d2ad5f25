#include "context/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/dir.h"
#include "context/follow.h"
#include "context/pool.h"

enum { LINKS_MAX = 255 };

int snap_open(struct snap *t, struct ctx *ctx, const char *path, const struct context_filter *filter, struct err *err) {
    *t = (struct snap){.ctx = ctx, .path = path, .fd = -1, .arena = arena_new()};
    t->root = (struct snap_node){.name = "", .dir = &t->root_dir, .mode = S_IFDIR, .kept = true};
    t->root_dir.present = 1;
    t->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0 && errno == ENOTDIR) return err_set(err, ERR_INVALID, "the context %s is not a folder", path);
    if (t->fd < 0) return err_errno(err, errno, "cannot open the context %s", path);
    return filter_init(t->arena, t->fd, filter, &t->filter, err);
}

void snap_done(struct snap *t) {
    if (!t->arena) return;
    for (size_t i = 0; i < t->n_threads; i++) arena_free(t->threads[i]);
    fd_close(t->fd);
    arena_free(t->arena);
    *t = (struct snap){.fd = -1};
}

char *snap_path(struct arena *a, const struct snap_node *n) {
    size_t len = 0;
    for (const struct snap_node *p = n; p->parent; p = p->parent) len += strlen(p->name) + 1;
    char *out = arena_alloc(a, len + 1), *at = out + len;
    if (!len) return out;
    *--at = 0;
    for (const struct snap_node *p = n; p->parent; p = p->parent) {
        size_t part = strlen(p->name);
        if (p != n) *--at = '/';
        at -= part;
        memcpy(at, p->name, part);
    }
    return out;
}

/* ---- Reading ---- */

static int64_t ns(struct timespec ts) { return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec; }

static void set_stat(struct snap_node *n, const struct stat *st) {
    n->mode = st->st_mode;
    n->size = S_ISREG(st->st_mode) ? (uint64_t) st->st_size : 0;
    n->ino = st->st_ino;
    n->dev = st->st_dev;
    n->rdev = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? st->st_rdev : 0;
    n->mtime_ns = ns(st->st_mtim);
    n->ctime_ns = ns(st->st_ctim);
}

struct loading {
    struct snap *t;
    struct arena *a;       /* for what stays */
    struct arena *scratch; /* for this folder */
    struct snap_node *dir;
    const char *path;
    int fd;
};

static struct snap_dir *dir_new(struct loading *l, const struct filter_hits *hits) {
    const struct filter *f = &l->t->filter;
    struct snap_dir *d = arena_alloc(l->a, sizeof *d);
    d->present = -1;
    d->hits = filter_hits_new(l->a, f);
    if (f->words_in) memcpy(d->hits.in, hits->in, (size_t) f->words_in * sizeof *hits->in);
    if (f->words_ex) memcpy(d->hits.ex, hits->ex, (size_t) f->words_ex * sizeof *hits->ex);
    return d;
}

/* One entry: 1 when it stays. */
static int load_entry(struct loading *l, const char *name, struct filter_hits *hits, struct snap_node *n, struct err *err) {
    struct stat st;
    if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return 0; /* gone since the folder was read */
        return err_errno(err, errno, "cannot look at %s/%s/%s", l->t->path, l->path, name);
    }
    char *path = *l->path ? arena_printf(l->scratch, "%s/%s", l->path, name) : (char *) name;
    enum filter_verdict verdict;
    int r = filter_step(&l->t->filter, path, S_ISDIR(st.st_mode), &l->dir->dir->hits, hits, &verdict, err);
    if (r < 0 || verdict == FILTER_PRUNE) return r;
    *n = (struct snap_node){.name = name, .parent = l->dir, .kept = verdict == FILTER_KEEP};
    set_stat(n, &st);
    if (S_ISDIR(st.st_mode)) n->dir = dir_new(l, hits);
    return 1;
}

/* The kept entries go into one block with their names behind them. */
static void store(struct loading *l, struct snap_node *list, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += strlen(list[i].name) + 1;
    struct snap_node *v = arena_alloc(l->a, n * sizeof *v + bytes);
    char *names = (char *) (v + n);
    memcpy(v, list, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(v[i].name) + 1;
        v[i].name = memcpy(names, v[i].name, len);
        names += len;
    }
    l->dir->dir->v = v;
    l->dir->dir->n = n;
}

static int read_entries(struct loading *l, struct err *err) {
    struct dir_names names;
    int r = dir_read(l->scratch, l->fd, *l->path ? l->path : l->t->path, &names, err);
    if (r < 0) return r;
    struct filter_hits hits = filter_hits_new(l->scratch, &l->t->filter);
    struct snap_node *list = arena_array(l->scratch, names.n, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < names.n; i++) {
        r = load_entry(l, names.v[i], &hits, &list[n], err);
        if (r < 0) return r;
        n += r > 0;
    }
    if (n) store(l, list, n);
    return 0;
}

static int load_with(struct snap *t, struct arena *a, struct snap_node *dir, struct err *err) {
    if (dir->dir->loaded) return 0;
    int r = ctx_check(t->ctx, err);
    if (r < 0) return r;
    AUTO_ARENA struct arena *scratch = arena_new();
    struct loading l = {.t = t, .a = a, .scratch = scratch, .dir = dir, .path = snap_path(scratch, dir)};
    AUTO_CLOSE int fd = -1;
    r = follow_open_dir(t->fd, l.path, &fd, err);
    if (r == -ERR_DENIED && !dir->kept) { /* an ignored folder that can't be read is as good as empty */
        err_done(err);
        r = 1;
    }
    l.fd = fd;
    if (!r)
        r = read_entries(&l, err);
    else if (r < 0)
        err_wrap(err, "the context %s", t->path);
    if (r >= 0) dir->dir->loaded = true;
    return r < 0 ? r : 0;
}

int snap_load(struct snap *t, struct snap_node *dir, struct err *err) { return load_with(t, t->arena, dir, err); }

/* ---- Reading all, with several threads ---- */

struct load_all {
    struct snap *t;
    size_t n_arenas;
};

static int load_job(void *arg, size_t thread, void *item, struct pool *pool, struct err *err) {
    struct load_all *all = arg;
    struct snap_node *dir = item;
    int r = load_with(all->t, all->t->threads[thread], dir, err);
    for (size_t i = 0; r >= 0 && i < dir->dir->n; i++)
        if (dir->dir->v[i].dir) pool_add(pool, &dir->dir->v[i]);
    return r;
}

int snap_load_all(struct snap *t, struct snap_node *dir, struct err *err) {
    if (!dir->dir) return 0;
    if (!t->threads) {
        t->n_threads = pool_threads();
        t->threads = arena_array(t->arena, t->n_threads, sizeof *t->threads);
        for (size_t i = 0; i < t->n_threads; i++) t->threads[i] = arena_new();
    }
    struct load_all all = {.t = t};
    void *first = dir;
    return pool_run(t->ctx, t->n_threads, load_job, &all, &first, 1, err);
}

/* ---- Looking ---- */

int snap_present(struct snap *t, struct snap_node *n, struct err *err) {
    if (n->kept) return 1;
    if (n->dir->present >= 0) return n->dir->present;
    int r = snap_load(t, n, err);
    if (r < 0) return r;
    n->dir->present = 0;
    for (size_t i = 0; i < n->dir->n && !n->dir->present; i++) {
        r = snap_present(t, &n->dir->v[i], err);
        if (r < 0) return r;
        n->dir->present = r;
    }
    return n->dir->present;
}

struct snap_node *snap_child(struct snap_node *dir, const char *name, size_t len) {
    size_t low = 0, high = dir->dir->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        struct snap_node *n = &dir->dir->v[mid];
        int c = strncmp(n->name, name, len);
        if (!c && n->name[len]) c = 1;
        if (!c) return n;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

int snap_link(struct snap *t, struct snap_node *n, struct err *err) {
    if (n->link) return 0;
    AUTO_ARENA struct arena *scratch = arena_new();
    AUTO_CLOSE int fd = -1;
    int r = follow_open_dir(t->fd, snap_path(scratch, n->parent), &fd, err);
    if (r < 0) return r;
    n->link = r ? NULL : follow_read_link(t->arena, fd, n->name);
    if (n->link) return 0;
    return err_errno(err, r ? ENOENT : errno, "cannot read the link %s/%s", t->path, snap_path(scratch, n));
}

/* One step down from a folder: 0, 1 if there is nothing. */
static int step_down(struct snap *t, struct snap_node *at, const char *name, size_t len, struct snap_node **ret, struct err *err) {
    if (!at->dir) return 1;
    int r = snap_load(t, at, err);
    if (r < 0) return r;
    struct snap_node *n = snap_child(at, name, len);
    if (!n) return 1;
    r = snap_present(t, n, err);
    if (r <= 0) return r < 0 ? r : 1;
    *ret = n;
    return 0;
}

/* A path without links on the way, lexically clean. */
static int find_plain(struct snap *t, const char *path, struct snap_node **ret, struct err *err) {
    struct snap_node *at = &t->root;
    for (const char *p = path; *p;) {
        p += *p == '/';
        size_t len = strcspn(p, "/");
        if (!len) break;
        int r = step_down(t, at, p, len, &at, err);
        if (r) return r;
        p += len;
    }
    *ret = at;
    return 0;
}

int snap_find(struct snap *t, const char *path, bool follow, struct snap_node **ret, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *current = "/", *rest = path;
    struct snap_node *n = &t->root;
    int missing = 0, links = 0;
    while (*rest) {
        while (*rest == '/') rest++;
        size_t len = strcspn(rest, "/");
        if (!len) break;
        const char *next = fs_clean(a, arena_printf(a, "%s/%.*s", current, (int) len, rest));
        rest += len;
        missing = find_plain(t, next, &n, err);
        if (missing < 0) return missing;
        current = next;
        if (missing || !S_ISLNK(n->mode) || (!follow && !rest[strspn(rest, "/")])) continue;
        if (++links > LINKS_MAX) return err_set(err, ERR_INVALID, "%s leads through too many links", path);
        int r = snap_link(t, n, err);
        if (r < 0) return r;
        rest = arena_printf(a, "%s/%s", n->link, rest);
        current = n->link[0] == '/' ? "/" : fs_dir(a, next);
        missing = find_plain(t, current, &n, err); /* where it leads if nothing follows: "/" or "." */
        if (missing < 0) return missing;
    }
    if (!missing) *ret = n;
    return missing;
}

struct snap_node *snap_next(struct snap_node *top, struct snap_node *n) {
    if (!n) return top;
    if (n->dir && n->dir->n) return n->dir->v;
    while (n != top) {
        struct snap_node *siblings = n->parent->dir->v;
        if (n + 1 < siblings + n->parent->dir->n) return n + 1;
        n = n->parent;
    }
    return NULL;
}

struct snap_node *snap_cursor_next(struct snap_cursor *c, struct snap_node *top) {
    struct snap_node *before = c->node, *n = c->node = snap_next(top, before);
    if (!n || !before) return n;
    for (struct snap_node *p = before; p != n->parent; p = p->parent) { /* up to the folder that it is in */
        size_t len = strlen(p->name);
        c->path.len -= len + (c->path.len > len);
    }
    if (c->path.len) buf_addc(&c->path, '/');
    buf_adds(&c->path, n->name);
    return n;
}
