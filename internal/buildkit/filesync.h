#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct context_filter;
struct ctx;
struct err;
struct kv;

/* The sending side of BuildKit's file sync (moby.filesync.v1.FileSync/DiffCopy, tonistiigi/fsutil): a listing of a
 * folder goes out, the daemon asks for the files that it doesn't have, their bytes follow. */

struct bk_link { /* one DiffCopy call; recv and send run in two threads */
    int (*recv)(void *self, struct arena *a, const void **ret, size_t *ret_len, struct err *err); /* 1, 0 at the end, negative */
    int (*send)(void *self, const void *msg, size_t len, struct err *err);
    void (*stop)(void *self); /* makes recv return soon */
    void *self;
};

struct bk_source {    /* a folder that the daemon may ask for by its name */
    const char *name; /* "context", "dockerfile" */
    const char *dir;
    const char *const *ignore; /* patterns behind those that the daemon sends; not for a request of .dockerignore alone */
    size_t n_ignore;
    const char *const *only; /* when set, these top-level names are served and nothing else */
    size_t n_only;
};

struct bk_synced { /* one entry as it was announced; of hard links the first name only */
    const char *path;
    uint32_t mode; /* 07777 */
    bool is_dir;   /* else a regular file: others have nothing but what the daemon compares */
    uint64_t size;
    int64_t mtime_ns, ctime_ns;
    uint64_t ino;
    uint64_t xattrs;             /* bk_xattr_digest */
    const unsigned char *sha256; /* of the bytes that were sent; NULL when the daemon didn't ask for them */
    int64_t read_ms;             /* wall clock when they were read */
};

struct bk_sync_result {
    const struct bk_synced *files; /* in the order of the walk */
    size_t n_files;
    uint64_t bytes; /* of file contents sent */
};

/* Serves one call to its end. 0 when both sides have said FIN. The result is in ctx->arena. A file that changes between
 * the listing and its last byte is an error with err->file. */
int bk_sync_send(struct ctx *ctx, const struct bk_source *src, const struct context_filter *asked, const struct bk_link *link,
                 struct bk_sync_result *ret, struct err *err);

/* Over names and values; 0 without any. */
uint64_t bk_xattr_digest(const struct kv *xattrs, const size_t *lens, size_t n);

/* st_mode as Go's os.FileMode; sockets become empty regular files. */
uint32_t bk_go_mode(mode_t mode);
