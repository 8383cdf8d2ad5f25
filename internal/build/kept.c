/* The record is a text file: a random name for the daemon's copy (it is part of the shared key), then for each kind of
 * request the files as they were sent. It is removed when a sync begins and written again when all have ended well: a
 * process that dies in between leaves none, and the next build takes a new name. */
#include "build/kept.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "buildkit/beneath.h"
#include "buildkit/filesync.h"
#include "context/context.h"
#include "context/xattr.h"
#include "crypto/crypto.h"

enum {
    SLOTS = 8,        /* builds with the same record at once */
    MAX_SECTIONS = 8, /* kinds of requests of one build */
    MAX_RECORD = 512 * 1024 * 1024,
    RACY_MS = 2100, /* time stamps of the coarsest file systems; within it a file may change behind its stat */
    KEEP_DAYS = 60,
};

struct file {
    const char *path;
    bool is_dir;
    unsigned mode; /* 07777 */
    uint64_t size, ino, xattrs;
    int64_t mtime_ns, ctime_ns, read_ms;
    char sha256[SHA256_HEX]; /* of a file; "": not known */
};

struct section {
    const char *signature; /* digest of what was asked for */
    const char *source;    /* "context" */
    struct file *files;
    size_t n_files;
    bool fresh; /* of this build */
};

struct kept {
    struct kept_options opt;
    struct arena *arena;
    const char *path; /* of the record; NULL: none is kept */
    int lock_fd;
    const char *name; /* of the daemon's copy */
    const char *key;
    pthread_mutex_t lock; /* guards what follows */
    struct section sections[MAX_SECTIONS];
    size_t n_sections;
    size_t begun, ended;
    bool overflow;
    const char *stale;
};

/* ---- The file ---- */

/* A path without what would break the line. */
static void add_path(struct buf *b, const char *path) {
    for (; *path; path++) {
        if (*path == '\n' || *path == '%')
            buf_addf(b, "%%%02x", (unsigned char) *path);
        else
            buf_addc(b, *path);
    }
}

static void take_path(char *path) {
    char *to = path;
    for (char *p = path; *p; p++) {
        unsigned c;
        if (*p == '%' && isxdigit((unsigned char) p[1]) && isxdigit((unsigned char) p[2]) && sscanf(p + 1, "%2x", &c) == 1) {
            *to++ = (char) c;
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = 0;
}

static void write_record(struct kept *k) {
    AUTO_BUF struct buf b = {0};
    buf_addf(&b, "gpudev-kept 2\nname %s\n", k->name);
    for (size_t i = 0; i < k->n_sections; i++) {
        const struct section *s = &k->sections[i];
        buf_addf(&b, "section %s %s\n", s->signature, s->source);
        for (size_t j = 0; j < s->n_files; j++) {
            const struct file *f = &s->files[j];
            buf_addf(&b, "%c %o %" PRIx64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRId64 " %s ", f->is_dir ? 'd' : 'f',
                     f->mode, f->xattrs, f->size, f->mtime_ns, f->ctime_ns, f->ino, f->read_ms, *f->sha256 ? f->sha256 : "-");
            add_path(&b, f->path);
            buf_addc(&b, '\n');
        }
    }
    buf_adds(&b, "end\n");
    AUTO_ERR struct err err = {0};
    if (fs_write_atomic(k->path, b.data, b.len, 0600, &err) < 0) log_debug(NULL, "%s", err_text(&err));
}

static bool read_section(struct kept *k, const char *line) {
    char signature[SHA256_HEX], source[32];
    if (k->n_sections == MAX_SECTIONS || sscanf(line, "section %64s %31s", signature, source) != 2) return false;
    k->sections[k->n_sections++] =
        (struct section){.signature = arena_strdup(k->arena, signature), .source = arena_strdup(k->arena, source)};
    return true;
}

static bool read_file_line(struct kept *k, char *line, size_t *cap) {
    if (!k->n_sections) return false;
    struct section *s = &k->sections[k->n_sections - 1];
    struct file f = {0};
    int at = 0;
    char kind;
    int n = sscanf(line, "%c %o %" SCNx64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNd64 " %64s%n", &kind, &f.mode,
                   &f.xattrs, &f.size, &f.mtime_ns, &f.ctime_ns, &f.ino, &f.read_ms, f.sha256, &at);
    if (n != 9 || line[at] != ' ' || (kind != 'd' && kind != 'f')) return false;
    f.is_dir = kind == 'd';
    if (strcmp(f.sha256, "-") == 0) *f.sha256 = 0;
    f.path = line + at + 1;
    take_path(line + at + 1);
    if (!s->n_files) *cap = 0;
    ARENA_GROW(k->arena, s->files, s->n_files, *cap);
    s->files[s->n_files++] = f;
    return true;
}

/* False when there is none, or a damaged one. */
static bool read_record(struct kept *k) {
    char *text;
    size_t len, cap = 0;
    if (fs_read(k->arena, k->path, MAX_RECORD, &text, &len, NULL) < 0) return false;
    int number = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, number++) {
        *end = 0;
        char name[33];
        bool ok;
        if (number == 0)
            ok = strcmp(line, "gpudev-kept 2") == 0;
        else if (number == 1)
            ok = sscanf(line, "name %32s", name) == 1 && (k->name = arena_strdup(k->arena, name));
        else if (strcmp(line, "end") == 0)
            return true;
        else
            ok = str_starts(line, "section ") ? read_section(k, line) : read_file_line(k, line, &cap);
        if (!ok) return false;
    }
    return false;
}

/* ---- Is what the daemon keeps still what its stat says ---- */

static const char *dir_of(const struct kept *k, const char *source) {
    for (size_t i = 0; i < k->opt.n_sources; i++)
        if (strcmp(k->opt.sources[i].name, source) == 0) return k->opt.sources[i].dir;
    return NULL;
}

#ifdef __APPLE__
static int64_t mtime_of(const struct stat *st) { return (int64_t) st->st_mtimespec.tv_sec * 1000000000 + st->st_mtimespec.tv_nsec; }
static int64_t ctime_of(const struct stat *st) { return (int64_t) st->st_ctimespec.tv_sec * 1000000000 + st->st_ctimespec.tv_nsec; }
#else
static int64_t mtime_of(const struct stat *st) { return (int64_t) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec; }
static int64_t ctime_of(const struct stat *st) { return (int64_t) st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec; }
#endif

static bool hash_file(struct beneath *b, const char *path, char hex[SHA256_HEX]) {
    AUTO_CLOSE int fd = -1;
    if (beneath_open(b, path, &fd, NULL) < 0) return false;
    struct sha256 *h = sha256_new();
    AUTO_FREE char *chunk = mem_alloc(256 * 1024);
    ssize_t n;
    while ((n = read(fd, chunk, 256 * 1024)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0) sha256_add(h, chunk, (size_t) n);
    unsigned char digest[SHA256_LEN];
    sha256_end(h, digest);
    sha256_free(h);
    hex_encode(digest, sizeof digest, hex);
    return n == 0;
}

static bool same_xattrs(struct beneath *b, const struct file *f) {
    AUTO_ARENA struct arena *a = arena_new();
    int dir = -1;
    const char *name = NULL;
    struct xattrs x = {0};
    if (beneath_parent(b, f->path, &dir, &name, NULL) < 0 || xattrs_read(a, dir, name, &x, NULL) < 0) return false;
    return bk_xattr_digest(x.v, x.lens, x.n) == f->xattrs;
}

static bool same_bytes(struct beneath *b, const struct file *f) {
    char hex[SHA256_HEX];
    return *f->sha256 && hash_file(b, f->path, hex) && strcmp(hex, f->sha256) == 0;
}

/* Whether an entry is what was sent, as far as the daemon won't see it by itself: it compares type, mode, size and mtime
 * of files and asks for those that differ, but takes no notice of a folder's mode, nor of an attribute alone. */
static bool vouched(struct beneath *b, struct file *f) {
    struct stat st;
    if (fstatat(b->root, f->path, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode) != f->is_dir) return true;
    bool same_mode = (st.st_mode & 07777) == f->mode;
    if (f->is_dir ? !same_mode
                  : !S_ISREG(st.st_mode) || !same_mode || (uint64_t) st.st_size != f->size || mtime_of(&st) != f->mtime_ns)
        return !f->is_dir;
    bool racy = f->ctime_ns / 1000000 + RACY_MS > f->read_ms;
    if (ctime_of(&st) == f->ctime_ns && (uint64_t) st.st_ino == f->ino && !racy) return true;
    int64_t now = clock_system.wall(clock_system.self);
    if (!same_xattrs(b, f) || (!f->is_dir && !same_bytes(b, f))) return false;
    f->ctime_ns = ctime_of(&st);
    f->ino = (uint64_t) st.st_ino;
    f->read_ms = now;
    return true;
}

static bool section_vouched(struct kept *k, struct ctx *ctx, struct section *s) {
    const char *dir = dir_of(k, s->source);
    struct beneath b;
    if (!dir || beneath_init(&b, dir, NULL) < 0) return false;
    bool ok = true;
    for (size_t i = 0; i < s->n_files && ok; i++) {
        ok = !cancel_requested(ctx->cancel) && vouched(&b, &s->files[i]);
        if (!ok) log_debug(ctx, "%s changed behind what the builder compares: everything is sent anew", s->files[i].path);
    }
    beneath_done(&b);
    return ok;
}

/* ---- Opening ---- */

/* What tells this machine's records from those of another that shares the home folder. */
static const char *machine_id(struct arena *a) {
    char *text;
    size_t len;
    if (fs_read(a, "/etc/machine-id", 4096, &text, &len, NULL) == 0 && len) return str_trim(a, text);
    char *host = arena_alloc(a, 256);
    return gethostname(host, 255) == 0 ? host : "";
}

static const char *digest_of(struct arena *a, const char *const *parts, size_t n) {
    struct sha256 *h = sha256_new();
    for (size_t i = 0; i < n; i++) sha256_add(h, parts[i] ? parts[i] : "", (parts[i] ? strlen(parts[i]) : 0) + 1);
    unsigned char digest[SHA256_LEN];
    sha256_end(h, digest);
    sha256_free(h);
    char *hex = arena_alloc(a, SHA256_HEX);
    hex_encode(digest, sizeof digest, hex);
    return hex;
}

/* Takes the first record of this kind that no other build uses. */
static void lock_record(struct kept *k, const char *dir, const char *id) {
    for (int slot = 0; slot < SLOTS; slot++) {
        const char *lock = arena_printf(k->arena, "%s/%.32s-%d.lock", dir, id, slot);
        AUTO_CLOSE int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) continue;
        futimens(fd, NULL); /* what is in use is not pruned */
        k->lock_fd = fd;
        fd = -1;
        k->path = arena_printf(k->arena, "%s/%.32s-%d", dir, id, slot);
        return;
    }
}

/* Records of contexts that are built no more. */
static void prune(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return;
    time_t limit = time(NULL) - (time_t) KEEP_DAYS * 24 * 3600;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (*e->d_name != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < limit)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

static void find_record(struct kept *k) {
    const char *cache = k->opt.cache_dir ? k->opt.cache_dir : fs_cache_dir(k->arena);
    if (!cache) return;
    const char *dir = fs_join(k->arena, cache, "kept");
    if (fs_mkdirs(dir, 0700, NULL) < 0) return;
    const char *const parts[] = {machine_id(k->arena), k->opt.builder, k->opt.context, k->opt.dockerfile, k->opt.target};
    lock_record(k, dir, digest_of(k->arena, parts, ARRAY_SIZE(parts)));
}

static void start_anew(struct kept *k) {
    k->n_sections = 0;
    k->name = random_hex(k->arena, 16);
}

struct kept *kept_open(struct ctx *ctx, const struct kept_options *opt) {
    struct kept *k = NEW(struct kept);
    k->opt = *opt;
    k->arena = arena_new();
    k->lock_fd = -1;
    pthread_mutex_init(&k->lock, NULL);
    find_record(k);
    bool good = k->path && read_record(k);
    if (k->path && !good) prune(fs_dir(k->arena, k->path));
    for (size_t i = 0; good && i < k->n_sections; i++) good = section_vouched(k, ctx, &k->sections[i]);
    if (!good) start_anew(k);
    const char *const parts[] = {machine_id(k->arena), opt->context, opt->dockerfile, opt->target, k->name};
    k->key = digest_of(k->arena, parts, ARRAY_SIZE(parts));
    return k;
}

const char *kept_key(const struct kept *k) { return k->key; }

/* ---- What a build sends ---- */

static void add_list(struct sha256 *h, const char *name, const char *const *list, size_t n) {
    char head[64];
    int len = snprintf(head, sizeof head, "%s %zu:", name, n);
    sha256_add(h, head, (size_t) len);
    for (size_t i = 0; i < n; i++) sha256_add(h, list[i], strlen(list[i]) + 1);
}

static const char *signature_of(struct arena *a, const char *source, const struct context_filter *asked) {
    struct sha256 *h = sha256_new();
    sha256_add(h, source, strlen(source) + 1);
    add_list(h, "follow", asked->follow, asked->n_follow);
    add_list(h, "include", asked->include, asked->n_include);
    add_list(h, "exclude", asked->exclude, asked->n_exclude);
    unsigned char digest[SHA256_LEN];
    sha256_end(h, digest);
    sha256_free(h);
    char *hex = arena_alloc(a, SHA256_HEX);
    hex_encode(digest, sizeof digest, hex);
    return hex;
}

static int by_path(const void *a, const void *b) {
    return strcmp((*(struct file *const *) a)->path, (*(struct file *const *) b)->path);
}

/* The files of the record of one source, sorted; of one path there may be several. */
static struct file **sorted(struct kept *k, const char *source, size_t *ret_n) {
    size_t n = 0;
    for (size_t i = 0; i < k->n_sections; i++) n += k->sections[i].n_files;
    struct file **list = arena_array(k->arena, n + 1, sizeof *list);
    *ret_n = 0;
    for (size_t i = 0; i < k->n_sections; i++)
        for (size_t j = 0; j < k->sections[i].n_files && strcmp(k->sections[i].source, source) == 0; j++)
            list[(*ret_n)++] = &k->sections[i].files[j];
    qsort(list, *ret_n, sizeof(struct file *), by_path);
    return list;
}

/* What is known about the content of a file that the daemon didn't ask for. */
static const struct file *known(struct file **list, size_t n, const struct bk_synced *s) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(list[mid]->path, s->path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    const struct file *found = NULL;
    for (; low < n && strcmp(list[low]->path, s->path) == 0; low++)
        if (list[low]->is_dir == s->is_dir && (s->is_dir || (list[low]->size == s->size && list[low]->mtime_ns == s->mtime_ns)))
            found = list[low];
    return found;
}

/* Into the record; with what it knew of an entry that the daemon didn't ask for. */
static void note_file(struct kept *k, struct file *to, const struct bk_synced *s, struct file **list, size_t n) {
    *to = (struct file){
        .path = arena_strdup(k->arena, s->path),
        .is_dir = s->is_dir,
        .mode = s->mode,
        .size = s->size,
        .ino = s->ino,
        .xattrs = s->xattrs,
        .mtime_ns = s->mtime_ns,
        .ctime_ns = s->ctime_ns,
        .read_ms = s->read_ms,
    };
    const struct file *f = s->sha256 ? NULL : known(list, n, s);
    if (s->sha256) hex_encode(s->sha256, SHA256_LEN, to->sha256);
    if (!f) return;
    bool same = f->xattrs == s->xattrs && (s->is_dir ? f->mode == s->mode : f->ctime_ns == s->ctime_ns && f->ino == s->ino);
    if (!same && !k->stale) k->stale = to->path;
    if (s->is_dir) return;
    to->read_ms = f->read_ms;
    if (same) memcpy(to->sha256, f->sha256, sizeof to->sha256);
}

static void note_sync(struct kept *k, const char *source, const char *signature, const struct bk_sync_result *result) {
    size_t n;
    struct file **list = sorted(k, source, &n);
    struct section s = {.signature = signature, .source = arena_strdup(k->arena, source), .fresh = true};
    s.files = arena_array(k->arena, result->n_files, sizeof *s.files);
    for (size_t i = 0; i < result->n_files; i++) note_file(k, &s.files[s.n_files++], &result->files[i], list, n);
    size_t at = 0;
    while (at < k->n_sections && strcmp(k->sections[at].signature, signature) != 0) at++;
    if (at == MAX_SECTIONS) {
        k->overflow = true;
        return;
    }
    if (at == k->n_sections) k->n_sections++;
    k->sections[at] = s;
}

void kept_synced(void *kept, const struct bk_source *src, const struct context_filter *asked, const struct bk_sync_result *result) {
    struct kept *k = kept;
    pthread_mutex_lock(&k->lock);
    if (!result) {
        if (!k->begun++ && k->path) unlink(k->path);
    } else {
        k->ended++;
        note_sync(k, src->name, signature_of(k->arena, src->name, asked), result);
    }
    pthread_mutex_unlock(&k->lock);
}

const char *kept_stale(struct kept *k) {
    pthread_mutex_lock(&k->lock);
    const char *stale = k->stale;
    pthread_mutex_unlock(&k->lock);
    return stale;
}

void kept_close(struct kept *k) {
    if (!k) return;
    if (k->path && k->begun && k->begun == k->ended && !k->overflow && !k->stale) write_record(k);
    fd_close(k->lock_fd);
    pthread_mutex_destroy(&k->lock);
    arena_free(k->arena);
    mem_free(k);
}
