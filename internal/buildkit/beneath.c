/* openat(2) component by component with O_NOFOLLOW: what openat2's RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS does, but in
 * POSIX. Files are asked for in the order of the walk, hence the last folder is kept open. */
#include "buildkit/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

int beneath_init(struct beneath *b, const char *root, struct err *err) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno, "can't open the folder %s", root);
    *b = (struct beneath){.root = fd, .dir_fd = -1};
    return 0;
}

void beneath_done(struct beneath *b) {
    fd_close(b->dir_fd);
    fd_close(b->root);
    mem_free(b->dir);
    *b = (struct beneath){.root = -1, .dir_fd = -1};
}

static int open_dir(const struct beneath *b, const char *path, size_t len, struct err *err) {
    AUTO_FREE char *copy = mem_strndup(path, len);
    int fd = b->root;
    for (char *part = copy, *slash; *part; part = slash ? slash + 1 : part + strlen(part)) {
        slash = strchr(part, '/');
        if (slash) *slash = 0;
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd != b->root) fd_close(fd);
        if (next < 0) return err_errno(err, errno, "can't open the folder %s", copy);
        fd = next;
    }
    return fd;
}

int beneath_parent(struct beneath *b, const char *path, int *ret_dir_fd, const char **ret_name, struct err *err) {
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    *ret_dir_fd = b->root;
    if (!slash) return 0;
    size_t len = (size_t) (slash - path);
    if (!b->dir || strlen(b->dir) != len || memcmp(b->dir, path, len) != 0) {
        int fd = open_dir(b, path, len, err);
        if (fd < 0) return fd;
        fd_close(b->dir_fd);
        mem_free(b->dir);
        b->dir_fd = fd;
        b->dir = mem_strndup(path, len);
    }
    *ret_dir_fd = b->dir_fd;
    return 0;
}

int beneath_open(struct beneath *b, const char *path, int *ret_fd, struct err *err) {
    int dir = -1;
    const char *name = NULL;
    int r = beneath_parent(b, path, &dir, &name, err);
    if (r < 0) return r;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno, "can't open %s", path);
    *ret_fd = fd;
    return 0;
}
