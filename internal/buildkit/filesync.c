/* BuildKit's file sync, sending side. Packets and their order: tonistiigi/fsutil, as facts: one STAT for each entry
 * (ids count them from zero), an empty STAT ends the listing, REQ(id) is answered by DATA(id) and an empty DATA(id),
 * FIN by FIN. The calling thread walks and sends; a second one receives, so that neither direction waits for the
 * other. Contents are read only after the listing: what waits meanwhile is a list of ids. */
#include "buildkit/filesync.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "buildkit/beneath.h"
#include "buildkit/pb.h"
#include "context/context.h"
#include "crypto/crypto.h"
#include "proto/buildkit_session.pb-c.h"

#define STAT_PACKET BK__PACKET__PACKET_TYPE__PACKET_STAT
#define REQ_PACKET BK__PACKET__PACKET_TYPE__PACKET_REQ
#define DATA_PACKET BK__PACKET__PACKET_TYPE__PACKET_DATA
#define FIN_PACKET BK__PACKET__PACKET_TYPE__PACKET_FIN
#define ERR_PACKET BK__PACKET__PACKET_TYPE__PACKET_ERR

enum {
    CHUNK = 256 * 1024, /* messages to BuildKit stay far below its 4 MiB */
    MAX_ENTRIES = 4 * 1024 * 1024,
    MAX_PACKET = 64 * 1024, /* what a receiver may send: it has ids and error texts only */
    PACKETS_PER_ARENA = 1024,
};

enum entry_kind {
    KIND_OTHER,
    KIND_DIR,
    KIND_FILE,
    KIND_EMPTY
}; /* EMPTY: sent without content: sockets, and what context_entry.opens says */

struct entry {
    const char *path;
    uint64_t size, ino, dev;
    int64_t mtime_ns, ctime_ns, read_ms;
    uint64_t xattrs;
    unsigned char *sha256;
    uint32_t mode;
    uint8_t kind;
    bool linked; /* a further name of a file that was announced already */
    bool asked;
};

struct sync {
    struct ctx *ctx;
    const struct bk_source *src;
    const struct bk_link *link;
    struct beneath beneath;
    uint8_t *packet; /* the packed message, reused */
    size_t cap_packet;
    unsigned char *chunk;
    struct sha256 *hash;
    uint64_t bytes;

    struct waiter waiter; /* guards what follows */
    struct entry *entries;
    size_t n_entries, cap_entries;
    uint32_t *queue; /* ids that were asked for, in order */
    size_t n_queue, cap_queue, next;
    size_t *links; /* hash table of entries with several names: entry + 1, 0 free */
    size_t n_links, cap_links;
    bool fin, ended;
    struct err peer; /* why the receiving thread ended, if not by FIN */
};

uint32_t bk_go_mode(mode_t mode) {
    uint32_t m = mode & 0777;
    switch (mode & S_IFMT) {
        case S_IFDIR: m |= 1u << 31; break;
        case S_IFLNK: m |= 1u << 27; break;
        case S_IFBLK: m |= 1u << 26; break;
        case S_IFCHR: m |= 1u << 26 | 1u << 21; break;
        case S_IFIFO: m |= 1u << 25; break;
        default: break;
    }
    if (mode & S_ISUID) m |= 1u << 23;
    if (mode & S_ISGID) m |= 1u << 22;
    if (mode & S_ISVTX) m |= 1u << 20;
    return m;
}

uint64_t bk_xattr_digest(const struct kv *xattrs, const size_t *lens, size_t n) {
    if (!n) return 0;
    struct sha256 *h = sha256_new();
    for (size_t i = 0; i < n; i++) {
        uint64_t len = lens[i];
        sha256_add(h, xattrs[i].key, strlen(xattrs[i].key) + 1);
        sha256_add(h, &len, sizeof len);
        sha256_add(h, xattrs[i].value, lens[i]);
    }
    unsigned char digest[SHA256_LEN];
    sha256_end(h, digest);
    sha256_free(h);
    uint64_t out;
    memcpy(&out, digest, sizeof out);
    return out ? out : 1;
}

static int64_t nanoseconds(const struct timespec *t) { return (int64_t) t->tv_sec * 1000000000 + t->tv_nsec; }

#ifdef __APPLE__
#define MTIME(st) (&(st)->st_mtimespec)
#define CTIME(st) (&(st)->st_ctimespec)
#else
#define MTIME(st) (&(st)->st_mtim)
#define CTIME(st) (&(st)->st_ctim)
#endif

/* ---- Sending ---- */

static int send_packet(struct sync *s, const Bk__Packet *p, struct err *err) {
    size_t len = bk__packet__get_packed_size(p);
    if (len > s->cap_packet) {
        s->cap_packet = len + 4096;
        s->packet = mem_realloc(s->packet, s->cap_packet, 1);
    }
    bk__packet__pack(p, s->packet);
    return s->link->send(s->link->self, s->packet, len, err);
}

static int send_error(struct sync *s, const char *text) {
    Bk__Packet p = BK__PACKET__INIT;
    p.type = ERR_PACKET;
    p.data = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *) text};
    return send_packet(s, &p, NULL);
}

static int send_data(struct sync *s, uint32_t id, const void *data, size_t len, struct err *err) {
    Bk__Packet p = BK__PACKET__INIT;
    p.type = DATA_PACKET;
    p.id = id;
    p.data = (ProtobufCBinaryData){.len = len, .data = (uint8_t *) data};
    return send_packet(s, &p, err);
}

static int changed(struct err *err, const struct sync *s, const char *path, const char *how) {
    int r = err_set(err, ERR_CONFLICT, "%s %s while the build read it", path, how);
    AUTO_FREE char *file = mem_printf("%s/%s", s->src->dir, path);
    err_at(err, file, 0);
    err_hint(err, "Apply again when nothing writes to the build context any more.");
    return r;
}

static bool same_file(const struct entry *e, const struct stat *st) {
    return S_ISREG(st->st_mode) && (uint64_t) st->st_size == e->size && nanoseconds(MTIME(st)) == e->mtime_ns &&
           nanoseconds(CTIME(st)) == e->ctime_ns && (uint64_t) st->st_ino == e->ino && (uint64_t) st->st_dev == e->dev;
}

/* Reads the announced bytes and no more; *ret_len 0 at the end. */
static int read_chunk(struct sync *s, int fd, const struct entry *e, uint64_t left, size_t *ret_len, struct err *err) {
    size_t want = left < CHUNK ? (size_t) left : CHUNK, have = 0;
    while (have < want) {
        ssize_t n = read(fd, s->chunk + have, want - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, errno, "can't read %s", e->path);
        if (n == 0) return changed(err, s, e->path, "became shorter");
        have += (size_t) n;
    }
    *ret_len = have;
    return 0;
}

static int send_open_file(struct sync *s, uint32_t id, const struct entry *e, int fd, unsigned char digest[SHA256_LEN],
                          struct err *err) {
    struct stat st;
    if (fstat(fd, &st) < 0) return err_errno(err, errno, "can't stat %s", e->path);
    if (!same_file(e, &st)) return changed(err, s, e->path, "changed");
    sha256_reset(s->hash);
    for (uint64_t left = e->size; left > 0;) {
        size_t n = 0;
        int r = ctx_check(s->ctx, err);
        if (r < 0 || (r = read_chunk(s, fd, e, left, &n, err)) < 0) return r;
        sha256_add(s->hash, s->chunk, n);
        if ((r = send_data(s, id, s->chunk, n, err)) < 0) return r;
        left -= n;
        s->bytes += n;
    }
    if (fstat(fd, &st) < 0 || !same_file(e, &st)) return changed(err, s, e->path, "changed");
    sha256_end(s->hash, digest);
    return 0;
}

static int send_file(struct sync *s, uint32_t id, struct err *err) {
    /* The array may only move in this thread, which is the one that adds to it. */
    struct entry *e = &s->entries[id];
    if (e->kind == KIND_FILE) {
        AUTO_CLOSE int fd = -1;
        unsigned char digest[SHA256_LEN];
        int r = beneath_open(&s->beneath, e->path, &fd, err);
        if (r == -ERR_NOT_FOUND) return changed(err, s, e->path, "vanished");
        if (r < 0) return r;
        e->read_ms = ctx_clock(s->ctx)->wall(ctx_clock(s->ctx)->self);
        if ((r = send_open_file(s, id, e, fd, digest, err)) < 0) return r;
        e->sha256 = arena_dup(s->ctx->arena, digest, sizeof digest);
    }
    return send_data(s, id, NULL, 0, err);
}

/* ---- The listing ---- */

static size_t link_slot(const struct sync *s, uint64_t dev, uint64_t ino) {
    size_t i = (size_t) ((dev * 31 + ino) * 0x9e3779b97f4a7c15u) & (s->cap_links - 1);
    while (s->links[i] && (s->entries[s->links[i] - 1].dev != dev || s->entries[s->links[i] - 1].ino != ino))
        i = (i + 1) & (s->cap_links - 1);
    return i;
}

static void grow_links(struct sync *s) {
    if (s->cap_links && s->n_links * 2 < s->cap_links) return;
    size_t *old = s->links, n_old = s->cap_links;
    s->cap_links = n_old ? n_old * 2 : 64;
    s->links = mem_array(s->cap_links, sizeof *s->links);
    for (size_t i = 0; i < n_old; i++)
        if (old[i]) s->links[link_slot(s, s->entries[old[i] - 1].dev, s->entries[old[i] - 1].ino)] = old[i];
    mem_free(old);
}

/* The first path of a file with several names, NULL when this is the first (it is remembered then). Call with the
 * entry added already. */
static const char *first_name(struct sync *s, size_t id) {
    grow_links(s);
    size_t slot = link_slot(s, s->entries[id].dev, s->entries[id].ino);
    if (s->links[slot]) return s->entries[s->links[slot] - 1].path;
    s->links[slot] = id + 1;
    s->n_links++;
    return NULL;
}

static bool served(const struct sync *s, const char *path) {
    if (!s->src->n_only) return true;
    for (size_t i = 0; i < s->src->n_only; i++)
        if (strcmp(s->src->only[i], path) == 0) return true;
    return false;
}

static int check_peer(struct sync *s, struct err *err) {
    pthread_mutex_lock(&s->waiter.lock);
    int r = 0;
    if (s->ended && !s->fin) {
        r = -(int) s->peer.code;
        err_move(err, &s->peer);
    }
    pthread_mutex_unlock(&s->waiter.lock);
    return r;
}

static enum entry_kind kind_of(const struct stat *st, bool opens) {
    if (S_ISSOCK(st->st_mode) || (S_ISREG(st->st_mode) && !opens)) return KIND_EMPTY;
    return S_ISREG(st->st_mode) ? KIND_FILE : S_ISDIR(st->st_mode) ? KIND_DIR : KIND_OTHER;
}

static size_t add_entry(struct sync *s, const struct context_entry *from, const struct stat *st) {
    struct entry e = {
        .path = arena_strdup(s->ctx->arena, from->path),
        .mode = st->st_mode & 07777,
        .xattrs = bk_xattr_digest(from->xattrs, from->xattr_lens, from->n_xattrs),
        .size = S_ISREG(st->st_mode) ? (uint64_t) st->st_size : 0,
        .ino = (uint64_t) st->st_ino,
        .dev = (uint64_t) st->st_dev,
        .mtime_ns = nanoseconds(MTIME(st)),
        .ctime_ns = nanoseconds(CTIME(st)),
        .kind = (uint8_t) kind_of(st, from->opens),
        .read_ms = ctx_clock(s->ctx)->wall(ctx_clock(s->ctx)->self),
    };
    pthread_mutex_lock(&s->waiter.lock);
    MEM_GROW(s->entries, s->n_entries, s->cap_entries);
    s->entries[s->n_entries++] = e;
    pthread_mutex_unlock(&s->waiter.lock);
    return s->n_entries - 1;
}

static void fill_xattrs(struct arena *a, const struct context_entry *e, Bk__Stat *stat) {
    stat->xattrs = arena_array(a, e->n_xattrs, sizeof *stat->xattrs);
    for (size_t i = 0; i < e->n_xattrs; i++) {
        Bk__XattrPair *x = arena_alloc(a, sizeof *x);
        bk__xattr_pair__init(x);
        x->key = (char *) e->xattrs[i].key;
        x->value = (ProtobufCBinaryData){.len = e->xattr_lens[i], .data = (uint8_t *) e->xattrs[i].value};
        stat->xattrs[stat->n_xattrs++] = x;
    }
}

static int announce(void *arg, const struct context_entry *e, struct err *err) {
    struct sync *s = arg;
    if (!served(s, e->path)) return 0;
    int r = ctx_check(s->ctx, err);
    if (r < 0 || (r = check_peer(s, err)) < 0) return r;
    if (s->n_entries == MAX_ENTRIES)
        return err_set(err, ERR_LIMIT, "the build context %s has more than %d entries", s->src->dir, MAX_ENTRIES);
    struct stat st;
    if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || ((st.st_mode ^ e->mode) & S_IFMT))
        return changed(err, s, e->path, "changed");

    size_t id = add_entry(s, e, &st);
    Bk__Stat stat = BK__STAT__INIT;
    stat.path = (char *) e->path;
    stat.mode = bk_go_mode(st.st_mode);
    stat.size = S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode) ? 0 : (int64_t) st.st_size;
    stat.modtime = nanoseconds(MTIME(&st));
    if (S_ISLNK(st.st_mode)) stat.linkname = (char *) e->link;
    if (S_ISREG(st.st_mode) && st.st_nlink > 1) {
        const char *first = first_name(s, id);
        if (first) {
            stat.linkname = (char *) first;
            s->entries[id].linked = true;
        }
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        stat.devmajor = (int64_t) e->dev_major;
        stat.devminor = (int64_t) e->dev_minor;
    }
    AUTO_ARENA struct arena *a = e->n_xattrs ? arena_new() : NULL;
    if (a) fill_xattrs(a, e, &stat);
    Bk__Packet p = BK__PACKET__INIT;
    p.type = STAT_PACKET;
    p.stat = &stat;
    return send_packet(s, &p, err);
}

static int send_listing(struct sync *s, const struct context_filter *asked, struct err *err) {
    struct context_filter filter = *asked;
    bool ignore_file_alone = asked->n_follow == 1 && strcmp(asked->follow[0], ".dockerignore") == 0;
    if (s->src->n_ignore && !ignore_file_alone) {
        const char **all = arena_array(s->ctx->arena, asked->n_exclude + s->src->n_ignore, sizeof *all);
        for (size_t i = 0; i < asked->n_exclude; i++) all[i] = asked->exclude[i];
        for (size_t i = 0; i < s->src->n_ignore; i++) all[asked->n_exclude + i] = s->src->ignore[i];
        filter.exclude = all;
        filter.n_exclude = asked->n_exclude + s->src->n_ignore;
    }
    int r = context_walk(s->ctx, s->src->dir, &filter, announce, s, err);
    if (r < 0) return r;
    Bk__Packet end = BK__PACKET__INIT;
    return send_packet(s, &end, err);
}

/* ---- Receiving, in a thread of its own ---- */

static int take_request(struct sync *s, uint32_t id, struct err *err) {
    pthread_mutex_lock(&s->waiter.lock);
    struct entry *e = id < s->n_entries ? &s->entries[id] : NULL;
    int r = 0;
    if (!e)
        r = err_set(err, ERR_PROTOCOL, "the builder asked for file %u of %zu", id, s->n_entries);
    else if (e->kind == KIND_OTHER || e->kind == KIND_DIR)
        r = err_set(err, ERR_PROTOCOL, "the builder asked for the content of %s, which is no regular file", e->path);
    else if (e->asked)
        r = err_set(err, ERR_PROTOCOL, "the builder asked twice for %s", e->path);
    if (r == 0) {
        e->asked = true;
        MEM_GROW(s->queue, s->n_queue, s->cap_queue);
        s->queue[s->n_queue++] = id;
        waiter_wake(&s->waiter);
    }
    pthread_mutex_unlock(&s->waiter.lock);
    return r;
}

/* 1: FIN. */
static int take_packet(struct sync *s, struct arena *a, const void *data, size_t len, struct err *err) {
    ProtobufCAllocator alloc = pb_arena(a);
    Bk__Packet *p = len <= MAX_PACKET ? bk__packet__unpack(&alloc, len, data) : NULL;
    if (!p) return err_set(err, ERR_PROTOCOL, "the builder sent a broken file sync packet of %zu bytes", len);
    switch ((int) p->type) {
        case REQ_PACKET: return take_request(s, p->id, err);
        case FIN_PACKET: return 1;
        case ERR_PACKET: {
            char *text = text_clean(a, (const char *) p->data.data, p->data.len);
            return err_set(err, ERR_FAILED, "the builder gave up the file sync: %s", text);
        }
        default: return err_set(err, ERR_PROTOCOL, "the builder sent a file sync packet of type %d", (int) p->type);
    }
}

static int listen_some(struct sync *s, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    for (int i = 0; i < PACKETS_PER_ARENA; i++) {
        const void *data;
        size_t len;
        int r = s->link->recv(s->link->self, a, &data, &len, err);
        if (r == 0)
            r = err_set(err, ERR_PROTOCOL, "the builder ended the file sync early");
        else if (r > 0)
            r = take_packet(s, a, data, len, err);
        if (r != 0) return r;
    }
    return 0;
}

static void *listen_thread(void *arg) {
    struct sync *s = arg;
    AUTO_ERR struct err err = {0};
    int r;
    while ((r = listen_some(s, &err)) == 0) {
    }
    pthread_mutex_lock(&s->waiter.lock);
    s->fin = r > 0;
    s->ended = true;
    err_move(&s->peer, &err);
    waiter_wake(&s->waiter);
    pthread_mutex_unlock(&s->waiter.lock);
    return NULL;
}

/* ---- The whole ---- */

/* The next id: 1, or 0 when the daemon has everything. */
static int next_request(struct sync *s, uint32_t *ret_id, struct err *err) {
    int r = 0;
    uint64_t hook = waiter_bind(&s->waiter, s->ctx);
    pthread_mutex_lock(&s->waiter.lock);
    while (r == 0 && s->next == s->n_queue && !s->ended) r = waiter_wait(&s->waiter, s->ctx, err);
    if (r == 0 && s->next < s->n_queue) {
        *ret_id = s->queue[s->next++];
        r = 1;
    } else if (r == 0 && !s->fin) {
        r = -(int) s->peer.code;
        err_move(err, &s->peer);
    }
    pthread_mutex_unlock(&s->waiter.lock);
    waiter_unbind(s->ctx, hook);
    return r;
}

static int run(struct sync *s, const struct context_filter *asked, struct err *err) {
    int r = send_listing(s, asked, err);
    if (r < 0) return r;
    uint32_t id = 0;
    while ((r = next_request(s, &id, err)) > 0)
        if ((r = send_file(s, id, err)) < 0) return r;
    if (r < 0) return r;
    Bk__Packet fin = BK__PACKET__INIT;
    fin.type = FIN_PACKET;
    return send_packet(s, &fin, err);
}

static void give_result(const struct sync *s, struct bk_sync_result *ret) {
    struct bk_synced *files = arena_array(s->ctx->arena, s->n_entries, sizeof *files);
    size_t n = 0;
    for (size_t i = 0; i < s->n_entries; i++) {
        const struct entry *e = &s->entries[i];
        if ((e->kind != KIND_FILE && e->kind != KIND_DIR) || e->linked) continue;
        files[n++] = (struct bk_synced){
            .path = e->path,
            .mode = e->mode,
            .is_dir = e->kind == KIND_DIR,
            .size = e->size,
            .mtime_ns = e->mtime_ns,
            .ctime_ns = e->ctime_ns,
            .ino = e->ino,
            .xattrs = e->xattrs,
            .sha256 = e->sha256,
            .read_ms = e->read_ms,
        };
    }
    *ret = (struct bk_sync_result){.files = files, .n_files = n, .bytes = s->bytes};
}

static void sync_done(struct sync *s) {
    beneath_done(&s->beneath);
    waiter_done(&s->waiter);
    mem_free(s->packet);
    mem_free(s->chunk);
    sha256_free(s->hash);
    mem_free(s->entries);
    mem_free(s->queue);
    mem_free(s->links);
    err_done(&s->peer);
}

int bk_sync_send(struct ctx *ctx, const struct bk_source *src, const struct context_filter *asked, const struct bk_link *link,
                 struct bk_sync_result *ret, struct err *err) {
    struct sync s = {.ctx = ctx, .src = src, .link = link, .beneath = {.root = -1, .dir_fd = -1}};
    AUTO_ERR struct err local = {0};
    struct err *why = err ? err : &local;
    waiter_init(&s.waiter);
    s.chunk = mem_alloc(CHUNK);
    s.hash = sha256_new();
    int r = beneath_init(&s.beneath, src->dir, why);
    pthread_t listener;
    if (r == 0 && (r = -pthread_create(&listener, NULL, listen_thread, &s)) < 0)
        r = err_errno(why, -r, "can't start a thread");
    else if (r == 0) {
        r = run(&s, asked, why);
        if (r < 0) {
            send_error(&s, err_text(why));
            link->stop(link->self);
        }
        pthread_join(listener, NULL);
    } else {
        send_error(&s, err_text(why));
    }
    if (r == 0) give_result(&s, ret);
    sync_done(&s);
    return r;
}
