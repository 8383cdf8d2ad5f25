#include "context/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/dir.h"
#include "context/strset.h"
#include "dockerfile/gomatch.h"

static bool not_there(int errnum) { return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENAMETOOLONG; }

int follow_open_dir(int root_fd, const char *path, int *ret_fd, struct err *err) {
    int fd = openat(root_fd, ".", DIR_OPEN);
    for (const char *p = path; fd >= 0 && *p && strcmp(path, ".") != 0;) {
        size_t len = strcspn(p, "/");
        AUTO_FREE char *name = mem_strndup(p, len);
        int next = openat(fd, name, DIR_OPEN);
        fd_close(fd);
        fd = next;
        p += len;
        while (*p == '/') p++;
    }
    if (fd < 0 && not_there(errno)) return 1;
    if (fd < 0) return err_errno(err, errno, "cannot open %s", path);
    *ret_fd = fd;
    return 0;
}

int follow_lstat(int root_fd, const char *path, struct stat *ret, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_CLOSE int fd = -1;
    int r = follow_open_dir(root_fd, strchr(path, '/') ? fs_dir(a, path) : ".", &fd, err);
    if (r) return r;
    if (!fstatat(fd, fs_base(path), ret, AT_SYMLINK_NOFOLLOW)) return 0;
    return not_there(errno) ? 1 : err_errno(err, errno, "cannot look at %s", path);
}

char *follow_read_link(struct arena *a, int dir_fd, const char *name) {
    char text[PATH_MAX];
    ssize_t n = readlinkat(dir_fd, name, text, sizeof text);
    if (n < 0 || (size_t) n == sizeof text) return NULL;
    return arena_strndup(a, text, (size_t) n);
}

struct resolver {
    struct arena *a;
    int root_fd;
    struct strset resolved;
    struct strs out;
    struct strs todo; /* a stack: what a link leads to is done before what was asked next */
};

static bool has_wildcard(const char *name) {
    for (; *name; name++) {
        if (*name == '\\' && name[1])
            name++;
        else if (strchr("*?[", *name))
            return true;
    }
    return false;
}

/* Where a link in a folder leads, as a path from the root; NULL if name is no link. */
static char *link_target(struct resolver *rs, int dir_fd, const char *dir, const char *name) {
    char *text = follow_read_link(rs->a, dir_fd, name);
    if (!text || *text == '/') return text;
    return arena_printf(rs->a, "%s/%s", dir, text);
}

static int by_name(const void *x, const void *y) { return strcmp(*(const char *const *) x, *(const char *const *) y); }

/* The targets of the links that path (its last component may be a glob) stands for. */
static int targets_of(struct resolver *rs, const char *path, struct strs *ret, struct err *err) {
    const char *dir = strchr(path, '/') ? fs_dir(rs->a, path) : ".", *base = fs_base(path);
    AUTO_CLOSE int fd = -1;
    int r = follow_open_dir(rs->root_fd, dir, &fd, err);
    if (r) return r < 0 ? r : 0;
    if (!has_wildcard(base)) {
        char *target = link_target(rs, fd, dir, base);
        if (target) strs_add(rs->a, ret, target);
        return 0;
    }
    AUTO_ARENA struct arena *scratch = arena_new();
    struct dir_names names;
    r = dir_read(scratch, fd, dir, &names, err);
    for (size_t i = 0; r >= 0 && i < names.n; i++) {
        if (go_match(base, names.v[i]) <= 0) continue;
        char *target = link_target(rs, fd, dir, names.v[i]);
        if (target) strs_add(rs->a, ret, target);
    }
    return r;
}

static const char *clean_path(struct resolver *rs, const char *path, const char *rest) {
    const char *clean = fs_clean(rs->a, arena_printf(rs->a, "/%s/%s", path, rest));
    return clean[1] ? clean + 1 : ".";
}

/* Goes along one path until its end or the first link. */
static int follow_one(struct resolver *rs, const char *path, struct err *err) {
    for (const char *p = path;;) {
        p += strcspn(p, "/");
        const char *current = arena_strndup(rs->a, path, (size_t) (p - path));
        const char *rest = *p ? p + 1 : "";
        struct strs targets = {0};
        int r = targets_of(rs, current, &targets, err);
        if (r < 0) return r;
        if (*rest && !targets.n) {
            p++;
            continue;
        }
        if (!strset_add(rs->a, &rs->resolved, current)) return 0;
        strs_add(rs->a, &rs->out, current);
        for (size_t i = targets.n; i > 0; i--) strs_add(rs->a, &rs->todo, clean_path(rs, targets.v[i - 1], rest));
        return 0;
    }
}

int follow_links(struct arena *a, int root_fd, const char *const *paths, size_t n, struct strs *ret, struct err *err) {
    struct resolver rs = {.a = a, .root_fd = root_fd};
    for (size_t i = 0; i < n; i++) {
        strs_add(a, &rs.todo, clean_path(&rs, paths[i], ""));
        while (rs.todo.n) {
            int r = follow_one(&rs, rs.todo.v[--rs.todo.n], err);
            if (r < 0) return r;
        }
    }
    if (rs.out.n) qsort(rs.out.v, rs.out.n, sizeof *rs.out.v, by_name);
    *ret = rs.out;
    return 0;
}
