#include "context/dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static int by_name(const void *x, const void *y) { return strcmp(*(const char *const *) x, *(const char *const *) y); }

static void dir_close(DIR **d) {
    if (*d) closedir(*d);
}

int dir_read(struct arena *a, int fd, const char *path, struct dir_names *ret, struct err *err) {
    AUTO_CLOSE int own = openat(fd, ".", DIR_OPEN); /* closedir takes it, and its position is its own */
    __attribute__((cleanup(dir_close))) DIR *d = own < 0 ? NULL : fdopendir(own);
    if (!d) return err_errno(err, errno, "cannot read the folder %s", path);
    own = -1;
    struct dir_names names = {0};
    size_t cap = 0;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e && errno) return err_errno(err, errno, "cannot read the folder %s", path);
        if (!e) break;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        ARENA_GROW(a, names.v, names.n, cap);
        names.v[names.n++] = arena_strdup(a, e->d_name);
    }
    if (names.n) qsort(names.v, names.n, sizeof *names.v, by_name);
    *ret = names;
    return 0;
}
