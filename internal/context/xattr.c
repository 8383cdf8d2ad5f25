/* The one place that knows how each system reads attributes of an entry in an open folder. */
#include "context/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum { VALUE_MAX = 64 * 1024 }; /* Linux: XATTR_SIZE_MAX and XATTR_LIST_MAX */

#ifdef __APPLE__
struct target {
    int fd;
};
static int target_open(struct target *t, int dir_fd, const char *name) {
    t->fd = openat(dir_fd, name, O_RDONLY | O_SYMLINK | O_NONBLOCK | O_CLOEXEC);
    return t->fd;
}
static void target_close(struct target *t) { fd_close(t->fd); }
static ssize_t list(struct target *t, char *to, size_t size) { return flistxattr(t->fd, to, size, 0); }
static ssize_t get(struct target *t, const char *key, void *to, size_t size) { return fgetxattr(t->fd, key, to, size, 0, 0); }
#else
struct target { /* Linux has no listxattrat before 6.13, but folders of /proc/self/fd can be gone through */
    char path[32 + 256];
};
static int target_open(struct target *t, int dir_fd, const char *name) {
    int n = snprintf(t->path, sizeof t->path, "/proc/self/fd/%d/%s", dir_fd, name);
    if (n > 0 && (size_t) n < sizeof t->path) return 0;
    errno = ENAMETOOLONG;
    return -1;
}
static void target_close(struct target *t) { (void) t; }
static ssize_t list(struct target *t, char *to, size_t size) { return llistxattr(t->path, to, size); }
static ssize_t get(struct target *t, const char *key, void *to, size_t size) { return lgetxattr(t->path, key, to, size); }
#endif

static bool counts(const char *key) {
    if (str_starts(key, "system.") || str_starts(key, "com.apple.")) return false;
    return !str_starts(key, "security.") || str_eq(key, "security.capability");
}

static int by_key(const void *x, const void *y) { return strcmp(((const struct kv *) x)->key, ((const struct kv *) y)->key); }

/* A value, or NULL when it went away or can't be read, which BuildKit's client passes over too. */
static char *value_of(struct arena *a, struct target *t, const char *key, size_t *ret_len) {
    AUTO_FREE char *space = mem_array(VALUE_MAX, 1);
    ssize_t n = get(t, key, space, VALUE_MAX);
    if (n < 0) return NULL;
    *ret_len = (size_t) n;
    return arena_dup(a, space, (size_t) n);
}

struct found {
    struct kv pair; /* first: by_key sees it */
    size_t len;
};

static void collect(struct arena *a, struct target *t, const char *names, size_t size, struct xattrs *ret) {
    struct found *found = NULL;
    size_t n = 0, cap = 0;
    for (const char *key = names; key < names + size; key += strlen(key) + 1) {
        struct found f = {.pair.key = key};
        if (!counts(key) || !(f.pair.value = value_of(a, t, key, &f.len))) continue;
        f.pair.key = arena_strdup(a, key);
        ARENA_GROW(a, found, n, cap);
        found[n++] = f;
    }
    if (n) qsort(found, n, sizeof *found, by_key);
    struct kv *pairs = arena_array(a, n, sizeof *pairs);
    size_t *lens = arena_array(a, n, sizeof *lens);
    for (size_t i = 0; i < n; i++) {
        pairs[i] = found[i].pair;
        lens[i] = found[i].len;
    }
    *ret = (struct xattrs){pairs, lens, n};
}

int xattrs_read(struct arena *a, int dir_fd, const char *name, struct xattrs *ret, struct err *err) {
    struct target t;
    *ret = (struct xattrs){0};
    ssize_t n = target_open(&t, dir_fd, name) < 0 ? -1 : list(&t, NULL, 0);
    if (n > 0) {
        AUTO_FREE char *names = mem_array(VALUE_MAX + 1, 1);
        n = list(&t, names, VALUE_MAX);
        if (n > 0) collect(a, &t, names, (size_t) n, ret);
    }
    int saved = errno;
    target_close(&t);
    if (n >= 0 || saved == ENOTSUP || saved == EOPNOTSUPP || saved == ENOSYS) return 0;
    struct stat st;
    if (saved == ENOENT && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    return err_errno(err, saved, "cannot read the extended attributes of %s", name);
}
