#include "context/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "context/entry.h"
#include "context/follow.h"
#include "context/index.h"
#include "context/pool.h"
#include "context/snapshot.h"

enum { CHUNK = 128 * 1024, TRIES = 3 };

struct worker {
    struct sha256 *h;
    char *chunk;
};

struct filler {
    struct snap *t;
    struct worker *workers;
};

/* Files next to each other are one item: less to hand over, and their folder is opened once. */
struct batch {
    struct snap_node *dir;
    size_t first, end;
};

static int64_t ns(struct timespec ts) { return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec; }

/* Whether a file is still what the tree knows; if not, the tree learns. */
static bool unchanged(struct snap_node *n, const struct stat *st) {
    bool same = n->size == (uint64_t) st->st_size && n->mtime_ns == ns(st->st_mtim) && n->ctime_ns == ns(st->st_ctim) &&
                n->mode == st->st_mode && n->ino == st->st_ino;
    n->size = (uint64_t) st->st_size;
    n->mtime_ns = ns(st->st_mtim);
    n->ctime_ns = ns(st->st_ctim);
    n->mode = st->st_mode;
    n->ino = st->st_ino;
    n->dev = st->st_dev;
    return same;
}

/* The bytes of an open file; 1 when they aren't as many as its size says. */
static int add_bytes(struct filler *f, struct worker *w, int fd, uint64_t size, struct err *err) {
    uint64_t total = 0;
    for (;;) {
        ssize_t got = read(fd, w->chunk, CHUNK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_errno(err, errno, "cannot read it");
        if (!got) return total != size;
        sha256_add(w->h, w->chunk, (size_t) got);
        total += (uint64_t) got;
        int r = total > CHUNK ? ctx_check(f->t->ctx, err) : 0;
        if (r < 0) return r;
    }
}

/* One attempt at a regular file: 1 when it changed meanwhile. */
static int try_file(struct filler *f, struct worker *w, int dir_fd, struct snap_node *n, struct entry_head *head, struct err *err) {
    AUTO_CLOSE int fd = openat(dir_fd, n->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return err_errno(err, errno, "cannot open it");
    struct stat st;
    if (fstat(fd, &st) < 0) return err_errno(err, errno, "cannot look at it");
    if (!S_ISREG(st.st_mode)) return err_set(err, ERR_IO, "it is no file any more");
    unchanged(n, &st);
    head->mode = n->mode;
    head->size = n->size;
    entry_begin(w->h, head);
    int r = add_bytes(f, w, fd, n->size, err);
    if (r < 0) return r;
    if (fstat(fd, &st) < 0) return err_errno(err, errno, "cannot look at it");
    return !unchanged(n, &st) || r;
}

static int digest_file(struct filler *f, struct worker *w, int dir_fd, struct snap_node *n, struct entry_head *head,
                       struct err *err) {
    for (int i = 0; i < TRIES; i++) {
        int r = try_file(f, w, dir_fd, n, head, err);
        if (r <= 0) return r;
    }
    return err_set(err, ERR_CONFLICT, "it changes while it is read");
}

static int digest_entry(struct filler *f, struct worker *w, int dir_fd, struct snap_node *n, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    char *path = snap_path(a, n);
    struct entry_head head = {.mode = n->mode, .size = n->size};
    int r = xattrs_read(a, dir_fd, n->name, &head.xattrs, err);
    if (r >= 0 && S_ISLNK(n->mode) && !(head.link = n->link ? n->link : follow_read_link(a, dir_fd, n->name)))
        r = err_errno(err, errno, "cannot read the link");
    if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
        head.rdev_major = major(n->rdev);
        head.rdev_minor = minor(n->rdev);
    }
    head.no_content = S_ISREG(n->mode) && !filter_opens(&f->t->filter, path);
    if (r >= 0 && S_ISREG(n->mode) && !head.no_content)
        r = digest_file(f, w, dir_fd, n, &head, err);
    else if (r >= 0)
        entry_begin(w->h, &head);
    if (r < 0) return err_wrap(err, "%s/%s", f->t->path, path);
    sha256_end(w->h, n->digest);
    n->hashed = true;
    return 0;
}

static int fill_batch(void *arg, size_t thread, void *item, struct pool *pool, struct err *err) {
    (void) pool;
    struct filler *f = arg;
    struct batch *b = item;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_CLOSE int fd = -1;
    int r = follow_open_dir(f->t->fd, snap_path(a, b->dir), &fd, err);
    if (r > 0) r = err_set(err, ERR_CONFLICT, "the folder %s/%s is gone", f->t->path, snap_path(a, b->dir));
    for (size_t i = b->first; r >= 0 && i < b->end; i++) {
        struct snap_node *n = &b->dir->dir->v[i];
        if (!n->counted || n->hashed) continue;
        r = ctx_check(f->t->ctx, err);
        if (r >= 0) r = digest_entry(f, &f->workers[thread], fd, n, err);
    }
    return r;
}

/* ---- Which entries to read ---- */

struct batches {
    struct arena *a;
    void **v;
    size_t n, cap;
};

/* The entries of one folder, cut where enough bytes are together. */
static void add_batches(struct batches *list, struct snap_node *dir) {
    enum { ENTRIES = 64 };
    const uint64_t bytes_enough = 4 << 20;
    struct batch *open = NULL;
    uint64_t bytes = 0;
    for (size_t i = 0; i < dir->dir->n; i++) {
        const struct snap_node *n = &dir->dir->v[i];
        if (!n->counted || n->hashed) continue;
        if (!open || open->end - open->first >= ENTRIES || bytes >= bytes_enough) {
            open = arena_alloc(list->a, sizeof *open);
            *open = (struct batch){dir, i, i};
            ARENA_GROW(list->a, list->v, list->n, list->cap);
            list->v[list->n++] = open;
            bytes = 0;
        }
        open->end = i + 1;
        bytes += n->size;
    }
}

static int read_all(struct snap *t, struct batches *list, struct err *err) {
    size_t threads = pool_threads();
    struct filler f = {.t = t, .workers = mem_array(threads, sizeof *f.workers)};
    for (size_t i = 0; i < threads; i++) f.workers[i] = (struct worker){sha256_new(), mem_array(CHUNK, 1)};
    int r = pool_run(t->ctx, threads, fill_batch, &f, list->v, list->n, err);
    for (size_t i = 0; i < threads; i++) {
        sha256_free(f.workers[i].h);
        mem_free(f.workers[i].chunk);
    }
    mem_free(f.workers);
    return r;
}

int digests_fill(struct snap *t, struct index *index, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    struct batches list = {.a = a};
    if (index) index_vouch(index, t);
    for (struct snap_node *n = NULL; (n = snap_next(&t->root, n));)
        if (n->dir && n->dir->n) add_batches(&list, n);
    if (list.n) {
        log_debug(t->ctx, "source hash: %zu batches of entries of %s have to be read", list.n, t->path);
        int r = read_all(t, &list, err);
        if (r < 0) return r;
    }
    if (index) index_save(index, t);
    return 0;
}
