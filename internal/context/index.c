/* The file: a head, then blocks. Each block has its length and a checksum before it and holds whole entries, in the order
 * of a walk; a path is given by how much of the one before it begins with. Both are read and written in one pass, so a
 * million entries take no memory. Integers are little-endian. */
#include "context/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/snapshot.h"

static const char magic[8] = "gpudix\0\1"; /* the last byte is the version */

enum {
    HEAD = 8 + SHA256_LEN + 8,
    BLOCK_HEAD = 4 + 8,
    BLOCK_MAX = 256 * 1024,
    FIXED = 4 + 4 + 8 * 5 + 4 + SHA256_LEN,
    PATH_LIMIT = 64 * 1024
};

static const int64_t second = 1000000000, fine_margin = 50000000, coarse_margin = 2100000000;

struct index {
    struct arena *arena;
    struct ctx *ctx;
    char *path;
    unsigned char key[SHA256_LEN];
    int64_t begun_ns;
    bool stale; /* something that is known now isn't in the file, or the other way round */
};

static void put32(unsigned char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char) (v >> (8 * i));
}
static void put64(unsigned char *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (unsigned char) (v >> (8 * i));
}
static uint32_t get32(const unsigned char *p) {
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}
static uint64_t get64(const unsigned char *p) { return get32(p) | (uint64_t) get32(p + 4) << 32; }

/* Against damage, not against forgery: the folder is the user's own. */
static uint64_t checksum(const unsigned char *p, size_t len) {
    uint64_t h = 0x9E3779B97F4A7C15u ^ len;
    for (; len >= 8; p += 8, len -= 8) {
        h = (h ^ get64(p)) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (; len; p++, len--) h = (h ^ *p) * 0x100000001b3u;
    h = (h ^ h >> 29) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 32;
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t) ts.tv_sec * second + ts.tv_nsec;
}

struct index *index_open(struct ctx *ctx, const char *const *key) {
    struct arena *a = arena_new();
    char *dir = fs_cache_dir(a);
    if (!dir) {
        arena_free(a);
        return NULL;
    }
    struct index *ix = arena_alloc(a, sizeof *ix);
    *ix = (struct index){.arena = a, .ctx = ctx, .begun_ns = now_ns()};
    struct sha256 *h = sha256_new();
    for (size_t i = 0; key[i]; i++) sha256_add(h, key[i], strlen(key[i]) + 1);
    sha256_end(h, ix->key);
    sha256_free(h);
    char hex[SHA256_HEX];
    hex_encode(ix->key, SHA256_LEN, hex);
    ix->path = arena_printf(a, "%s/context/%.32s.idx", dir, hex);
    return ix;
}

void index_free(struct index *ix) {
    if (ix) arena_free(ix->arena);
}

const char *index_path(const struct index *ix) { return ix->path; }
void index_set_time(struct index *ix, int64_t t) { ix->begun_ns = t; }

/* ---- Reading ---- */

struct entry {
    struct buf path;
    uint64_t size, ino, dev;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode;
    unsigned char digest[SHA256_LEN];
};

struct reader {
    int fd;
    int64_t begun_ns;
    unsigned char *block, *p, *end;
    bool damaged;
    struct entry e;
};

static bool read_full(int fd, void *to, size_t len) {
    for (char *p = to; len;) {
        ssize_t n = read(fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        len -= (size_t) n;
    }
    return true;
}

static bool reader_open(struct reader *rd, const struct index *ix) {
    unsigned char head[HEAD];
    *rd = (struct reader){.fd = open(ix->path, O_RDONLY | O_CLOEXEC)};
    if (rd->fd < 0) return false;
    if (!read_full(rd->fd, head, sizeof head) || memcmp(head, magic, 8) != 0 || memcmp(head + 8, ix->key, SHA256_LEN) != 0) {
        fd_close(rd->fd);
        return false;
    }
    rd->begun_ns = (int64_t) get64(head + 8 + SHA256_LEN);
    rd->block = mem_array(BLOCK_MAX, 1);
    return true;
}

static void reader_close(struct reader *rd) {
    fd_close(rd->fd);
    mem_free(rd->block);
    buf_done(&rd->e.path);
}

static bool next_block(struct reader *rd) {
    unsigned char head[BLOCK_HEAD];
    ssize_t first = read(rd->fd, head, 1);
    if (first == 0) return false; /* the end */
    uint32_t len = 0;
    bool ok = first == 1 && read_full(rd->fd, head + 1, sizeof head - 1);
    if (ok) len = get32(head);
    ok = ok && len > 0 && len <= BLOCK_MAX && read_full(rd->fd, rd->block, len) && checksum(rd->block, len) == get64(head + 4);
    rd->damaged = !ok;
    rd->p = rd->block;
    rd->end = rd->block + (ok ? len : 0);
    return ok;
}

/* The next entry goes to rd->e; false at the end, or where the file is damaged. */
static bool reader_next(struct reader *rd) {
    if (rd->p == rd->end && !next_block(rd)) return false;
    uint32_t shared = 0, added = 0;
    bool ok = rd->end - rd->p >= FIXED;
    if (ok) {
        shared = get32(rd->p);
        added = get32(rd->p + 4);
        ok = shared <= rd->e.path.len && added <= PATH_LIMIT && (size_t) (rd->end - rd->p) - FIXED >= added &&
             shared + added <= PATH_LIMIT;
    }
    rd->damaged = rd->damaged || !ok;
    if (!ok) return false;
    const unsigned char *p = rd->p + 8;
    rd->e.size = get64(p);
    rd->e.mtime_ns = (int64_t) get64(p + 8);
    rd->e.ctime_ns = (int64_t) get64(p + 16);
    rd->e.ino = get64(p + 24);
    rd->e.dev = get64(p + 32);
    rd->e.mode = get32(p + 40);
    memcpy(rd->e.digest, p + 44, SHA256_LEN);
    rd->e.path.len = shared;
    buf_add(&rd->e.path, rd->p + FIXED, added);
    rd->p += FIXED + added;
    return true;
}

/* The order of a walk: a folder's content right after it. */
static int path_compare(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    unsigned x = *a == '/' ? 1 : *a ? 1 + (unsigned char) *a : 0, y = *b == '/' ? 1 : *b ? 1 + (unsigned char) *b : 0;
    return x < y ? -1 : x > y;
}

/* Changed so shortly before the index was begun that a second change could look the same. */
static bool racy(int64_t begun_ns, int64_t mtime_ns, int64_t ctime_ns) {
    int64_t margin = mtime_ns % second == 0 && ctime_ns % second == 0 ? coarse_margin : fine_margin;
    int64_t last = mtime_ns > ctime_ns ? mtime_ns : ctime_ns;
    return last >= begun_ns - margin;
}

static bool same(const struct entry *e, const struct snap_node *n) {
    return e->size == n->size && e->mtime_ns == n->mtime_ns && e->ctime_ns == n->ctime_ns && e->ino == n->ino && e->dev == n->dev &&
           e->mode == n->mode;
}

/* Files that are sent without their content are nothing for the index. */
static bool for_index(const struct snap *t, const struct snap_node *n, const char *path) {
    return n->counted && n->parent && (!S_ISREG(n->mode) || filter_opens(&t->filter, path));
}

/* The next node that the index is for. */
static bool next_node(struct snap *t, struct snap_cursor *c) {
    while (snap_cursor_next(c, &t->root))
        if (for_index(t, c->node, buf_str(&c->path))) return true;
    return false;
}

void index_vouch(struct index *ix, struct snap *t) {
    struct reader rd;
    ix->stale = true;
    if (!reader_open(&rd, ix)) return;
    struct snap_cursor c = {0};
    bool stale = false, node = next_node(t, &c), more = reader_next(&rd);
    while (more && node) {
        int order = path_compare(buf_str(&rd.e.path), buf_str(&c.path));
        if (order == 0 && same(&rd.e, c.node) && !racy(rd.begun_ns, rd.e.mtime_ns, rd.e.ctime_ns)) {
            memcpy(c.node->digest, rd.e.digest, SHA256_LEN);
            c.node->hashed = true;
        } else {
            stale = true;
        }
        if (order <= 0) more = reader_next(&rd);
        if (order >= 0) node = next_node(t, &c);
    }
    ix->stale = stale || more || node || rd.damaged;
    if (rd.damaged) log_debug(ix->ctx, "the index %s is damaged; it will be made again", ix->path);
    buf_done(&c.path);
    reader_close(&rd);
}

/* ---- Writing ---- */

static void put_head(const struct index *ix, unsigned char head[HEAD]) {
    memcpy(head, magic, 8);
    memcpy(head + 8, ix->key, SHA256_LEN);
    put64(head + 8 + SHA256_LEN, (uint64_t) ix->begun_ns);
}

static void put_block_head(unsigned char head[BLOCK_HEAD], const void *block, size_t len) {
    put32(head, (uint32_t) len);
    put64(head + 4, checksum(block, len));
}

void index_frame(const struct index *ix, const void *block, size_t len, struct buf *ret) {
    unsigned char head[HEAD], block_head[BLOCK_HEAD];
    put_head(ix, head);
    put_block_head(block_head, block, len);
    buf_add(ret, head, sizeof head);
    buf_add(ret, block_head, sizeof block_head);
    buf_add(ret, block, len);
}

struct writer {
    int fd;
    struct buf block;
    struct buf last; /* the path before */
    bool failed;
};

static void write_full(struct writer *w, const void *data, size_t len) {
    for (const char *p = data; len && !w->failed;) {
        ssize_t n = write(w->fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        w->failed = n < 0;
        p += n;
        len -= (size_t) n;
    }
}

static void flush_block(struct writer *w) {
    if (!w->block.len) return;
    unsigned char head[BLOCK_HEAD];
    put_block_head(head, w->block.data, w->block.len);
    write_full(w, head, sizeof head);
    write_full(w, w->block.data, w->block.len);
    buf_reset(&w->block);
}

static void write_entry(struct writer *w, const struct snap_node *n, const char *path, size_t len) {
    unsigned char fixed[FIXED];
    if (len > PATH_LIMIT) return;
    if (w->block.len + FIXED + len > BLOCK_MAX) flush_block(w);
    size_t shared = 0;
    while (shared < len && shared < w->last.len && w->last.data[shared] == path[shared]) shared++;
    put32(fixed, (uint32_t) shared);
    put32(fixed + 4, (uint32_t) (len - shared));
    put64(fixed + 8, n->size);
    put64(fixed + 16, (uint64_t) n->mtime_ns);
    put64(fixed + 24, (uint64_t) n->ctime_ns);
    put64(fixed + 32, n->ino);
    put64(fixed + 40, n->dev);
    put32(fixed + 48, n->mode);
    memcpy(fixed + 52, n->digest, SHA256_LEN);
    buf_add(&w->block, fixed, sizeof fixed);
    buf_add(&w->block, path + shared, len - shared);
    buf_reset(&w->last);
    buf_add(&w->last, path, len);
}

static void write_all(struct writer *w, const struct index *ix, struct snap *t) {
    unsigned char head[HEAD];
    put_head(ix, head);
    write_full(w, head, sizeof head);
    struct snap_cursor c = {0};
    while (next_node(t, &c))
        if (c.node->hashed) write_entry(w, c.node, buf_str(&c.path), c.path.len);
    buf_done(&c.path);
    flush_block(w);
}

static int lock(const struct index *ix) {
    AUTO_ARENA struct arena *a = arena_new();
    fs_mkdirs(fs_dir(a, ix->path), 0700, NULL);
    int fd = open(arena_printf(a, "%s.lock", ix->path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    fd_close(fd);
    return -1;
}

void index_save(struct index *ix, struct snap *t) {
    if (!ix->stale) return;
    AUTO_CLOSE int lock_fd = lock(ix);
    if (lock_fd < 0) {
        log_debug(ix->ctx, "the index %s is not written: somebody else does, or it can't be", ix->path);
        return;
    }
    AUTO_ARENA struct arena *a = arena_new();
    char *temporary = arena_printf(a, "%s.new", ix->path); /* the lock's owner's alone */
    struct writer w = {.fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (w.fd < 0) return;
    write_all(&w, ix, t);
    w.failed = close(w.fd) < 0 || w.failed;
    if (w.failed || rename(temporary, ix->path) < 0) {
        unlink(temporary);
        log_debug(ix->ctx, "the index %s can't be written", ix->path);
    }
    buf_done(&w.block);
    buf_done(&w.last);
}
