#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

int fs_read(struct arena *a, const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err) {
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return err_errno(err, errno, "cannot open %s", path);
    AUTO_BUF struct buf data = {.max = max};
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, errno, "cannot read %s", path);
        if (!n) break;
        buf_add(&data, chunk, (size_t) n);
        if (data.overflow) return err_set(err, ERR_LIMIT, "%s is larger than the %zu bytes that are read of it", path, max);
    }
    *ret_data = arena_dup(a, buf_str(&data), data.len);
    if (ret_len) *ret_len = data.len;
    return 0;
}

static int write_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        len -= (size_t) n;
    }
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err) {
    AUTO_FREE char *temporary = mem_printf("%s.XXXXXX", path);
    AUTO_CLOSE int fd = mkstemp(temporary);
    if (fd < 0) return err_errno(err, errno, "cannot create a file beside %s", path);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
        int saved = errno;
        unlink(temporary);
        return err_errno(err, saved, "cannot write %s", path);
    }
    return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err) {
    AUTO_FREE char *copy = mem_strdup(path);
    for (char *p = copy + 1; *copy; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST) return err_errno(err, errno, "cannot create the folder %s", copy);
        *p = end;
        if (!end) break;
    }
    return 0;
}

char *fs_join(struct arena *a, const char *dir, const char *name) {
    if (*name == '/' || str_empty(dir) || (str_eq(dir, ".") && *name)) return arena_strdup(a, name);
    return arena_printf(a, "%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

char *fs_clean(struct arena *a, const char *path) {
    bool rooted = *path == '/';
    char *out = arena_alloc(a, strlen(path) + 2);
    size_t n = 0, floor = rooted ? 1 : 0; /* floor: what ".." can't take away */
    if (rooted) out[n++] = '/';
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        bool up = len == 2 && p[0] == '.' && p[1] == '.';
        if (!len || (len == 1 && p[0] == '.')) {
            /* nothing */
        } else if (up && n > floor) {
            while (n > floor && out[n - 1] != '/') n--;
            if (n > floor) n--; /* the slash before it */
        } else if (!up || !rooted) {
            if (n && out[n - 1] != '/') out[n++] = '/';
            memcpy(out + n, p, len);
            n += len;
            if (up) floor = n;
        }
        p += len;
        while (*p == '/') p++;
    }
    if (!n) out[n++] = '.';
    out[n] = 0;
    return out;
}

const char *fs_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *fs_dir(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_strdup(a, ".");
    return arena_strndup(a, path, slash == path ? 1 : (size_t) (slash - path));
}

static char *home(struct arena *a) {
    const char *dir = getenv("HOME");
    if (!str_empty(dir)) return arena_strdup(a, dir);
    char space[4096];
    struct passwd pw, *found = NULL;
    if (getpwuid_r(getuid(), &pw, space, sizeof space, &found) != 0 || !found) return NULL;
    return str_empty(found->pw_dir) ? NULL : arena_strdup(a, found->pw_dir);
}

char *fs_expand_home(struct arena *a, const char *path) {
    if (path[0] != '~' || (path[1] && path[1] != '/')) return arena_strdup(a, path);
    char *dir = home(a);
    return dir ? arena_printf(a, "%s%s", dir, path + 1) : arena_strdup(a, path);
}

char *fs_abs(struct arena *a, const char *path) {
    if (*path == '/') return fs_clean(a, path);
    AUTO_FREE char *cwd = getcwd(NULL, 0);
    return fs_clean(a, fs_join(a, cwd ? cwd : "/", path));
}

static char *user_dir(struct arena *a, const char *variable, const char *below_home) {
    const char *base = getenv(variable);
    if (!str_empty(base) && *base == '/') return arena_printf(a, "%s/gpudev", base);
    char *dir = home(a);
    return dir ? arena_printf(a, "%s/%s/gpudev", dir, below_home) : NULL;
}

#ifdef __APPLE__
char *fs_cache_dir(struct arena *a) { return user_dir(a, "XDG_CACHE_HOME", "Library/Caches"); }
char *fs_state_dir(struct arena *a) { return user_dir(a, "XDG_STATE_HOME", "Library/Application Support"); }
#else
char *fs_cache_dir(struct arena *a) { return user_dir(a, "XDG_CACHE_HOME", ".cache"); }
char *fs_state_dir(struct arena *a) { return user_dir(a, "XDG_STATE_HOME", ".local/state"); }
#endif
