#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/files.h"
#include "crypto/crypto.h"

/* Wide for now: the whole context less the ignored counts. */

struct hasher {
    struct ctx *ctx;
    struct sha256 *all, *file;
    struct context_file *files;
    size_t n, cap;
};

static void add_text(struct sha256 *h, const char *s, size_t len) {
    char head[24];
    int n = snprintf(head, sizeof head, "%zu:", len);
    sha256_add(h, head, (size_t) n);
    sha256_add(h, s, len);
}

static void add_string(struct sha256 *h, const char *s) { add_text(h, s ? s : "", s ? strlen(s) : 0); }

static void add_number(struct sha256 *h, uint64_t v) {
    char text[24];
    int n = snprintf(text, sizeof text, "%llu;", (unsigned long long) v);
    sha256_add(h, text, (size_t) n);
}

static int add_content(struct hasher *h, const struct context_entry *e, struct err *err) {
    sha256_reset(h->file);
    AUTO_CLOSE int fd = e->opens ? openat(e->dir_fd, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0 && e->opens) return err_errno(err, errno, "cannot open %s", e->path);
    for (ssize_t n = 1; fd >= 0 && n;) {
        char chunk[65536];
        n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, errno, "cannot read %s", e->path);
        sha256_add(h->file, chunk, (size_t) n);
    }
    unsigned char digest[SHA256_LEN];
    sha256_end(h->file, digest);
    sha256_add(h->all, digest, sizeof digest);
    return 0;
}

static const char *type_name(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR: return "dir";
        case S_IFLNK: return "symlink";
        case S_IFIFO: return "fifo";
        case S_IFCHR: return "char";
        case S_IFBLK: return "block";
        default: return "file"; /* a socket is sent as an empty file */
    }
}

static int add_entry(void *arg, const struct context_entry *e, struct err *err) {
    struct hasher *h = arg;
    const char *type = type_name(e->mode);
    add_string(h->all, e->path);
    add_string(h->all, type);
    add_number(h->all, e->mode & 07777);
    add_number(h->all, e->size);
    add_string(h->all, e->link);
    add_number(h->all, e->dev_major);
    add_number(h->all, e->dev_minor);
    for (size_t i = 0; i < e->n_xattrs; i++) {
        add_string(h->all, e->xattrs[i].key);
        add_text(h->all, e->xattrs[i].value, e->xattr_lens[i]);
    }
    ARENA_GROW(h->ctx->arena, h->files, h->n, h->cap);
    h->files[h->n++] =
        (struct context_file){arena_strdup(h->ctx->arena, e->path), type, e->mode & 07777, S_ISREG(e->mode) ? e->size : 0};
    return S_ISREG(e->mode) ? add_content(h, e, err) : 0;
}

static void add_input(struct hasher *h, const struct context_input *in, const struct dockerfile_text *df, const struct ignore *ig) {
    add_text(h->all, df->data, df->len);
    add_string(h->all, in->target);
    for (size_t i = 0; i < in->n_build_args; i++) {
        add_string(h->all, in->build_args[i].key);
        add_string(h->all, in->build_args[i].value);
    }
    for (size_t i = 0; i < in->n_platforms; i++) add_string(h->all, in->platforms[i]);
    for (size_t i = 0; i < ig->n; i++) add_string(h->all, ig->patterns[i]);
}

int context_hash(struct ctx *ctx, const struct context_input *in, struct context_result *ret, struct err *err) {
    struct dockerfile_text df;
    struct ignore ig;
    int r = dockerfile_load(ctx->arena, in, &df, err);
    if (r >= 0) r = ignore_load(ctx->arena, in, false, &ig, err);
    if (r < 0) return r;
    struct hasher h = {.ctx = ctx, .all = sha256_new(), .file = sha256_new()};
    add_input(&h, in, &df, &ig);
    struct context_filter filter = {.exclude = ig.patterns, .n_exclude = ig.n};
    r = context_walk(ctx, in->dir, &filter, add_entry, &h, err);
    unsigned char digest[SHA256_LEN];
    char hex[SHA256_HEX];
    sha256_end(h.all, digest);
    hex_encode(digest, sizeof digest, hex);
    sha256_free(h.all);
    sha256_free(h.file);
    if (r < 0) return r;
    *ret = (struct context_result){
        .hash = arena_printf(ctx->arena, "sha256:%s", hex),
        .dockerfile = df.path,
        .ignore_file = ig.file,
        .widened = "the whole context is hashed",
        .files = h.files,
        .n_files = h.n,
    };
    return 0;
}
