#pragma once

/* A folder of its own for each test, below $TMPDIR. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static inline char *tree_new(struct arena *a) {
    const char *tmp = getenv("TMPDIR");
    char *path = arena_printf(a, "%s/gpudev-context-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    char *made = mkdtemp(path);
    assert_non_null(made);
    return made;
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void) st, (void) type, (void) ftw;
    return remove(path);
}

/* Folders without permissions would keep their content: those are made accessible first. */
static inline int tree_open_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void) ftw;
    if (type == FTW_D || type == FTW_DNR) chmod(path, st->st_mode | 0700);
    return 0;
}

static inline void tree_remove(const char *dir) {
    nftw(dir, tree_open_one, 16, FTW_PHYS);
    nftw(dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *tree_path(struct arena *a, const char *dir, const char *path) {
    char *full = fs_join(a, dir, path);
    assert_int_equal(fs_mkdirs(fs_dir(a, full), 0755, NULL), 0);
    return full;
}

static inline void tree_write(struct arena *a, const char *dir, const char *path, const char *content, size_t len, mode_t mode) {
    char *full = tree_path(a, dir, path);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t) len);
    close(fd);
    assert_int_equal(chmod(full, mode), 0);
}

static inline void tree_file(struct arena *a, const char *dir, const char *path, const char *content) {
    tree_write(a, dir, path, content, strlen(content), 0644);
}

static inline void tree_dir(struct arena *a, const char *dir, const char *path) {
    assert_int_equal(fs_mkdirs(tree_path(a, dir, path), 0755, NULL), 0);
}

static inline void tree_link(struct arena *a, const char *dir, const char *path, const char *text) {
    assert_int_equal(symlink(text, tree_path(a, dir, path)), 0);
}
