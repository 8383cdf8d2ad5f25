#include "context/files.h"

#include <sys/stat.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/pattern.h"

enum { DOCKERFILE_MAX = 16 << 20, IGNORE_MAX = 16 << 20 };

/* 1 if there is no such file. */
static int load(struct arena *a, const char *path, size_t max, char **ret, size_t *ret_len, struct err *err) {
    AUTO_ERR struct err own = {0};
    struct stat st;
    int r = fs_read(a, path, max, ret, ret_len, &own);
    if (r == -ERR_NOT_FOUND) return 1;
    if (r < 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) err_set(&own, ERR_INVALID, "%s is a folder, not a file", path);
    if (r < 0) {
        err_at(&own, path, 0);
        err_move(err, &own);
    }
    return r;
}

static const char *dockerfile_path(struct arena *a, const struct context_input *in) {
    return str_empty(in->dockerfile) ? fs_join(a, in->dir, "Dockerfile") : in->dockerfile;
}

int dockerfile_load(struct arena *a, const struct context_input *in, struct dockerfile_text *ret, struct err *err) {
    const char *path = dockerfile_path(a, in), *opened = path;
    char *data;
    size_t len;
    int r = load(a, path, DOCKERFILE_MAX, &data, &len, err);
    if (r > 0 && str_eq(fs_base(path), "Dockerfile")) {
        opened = fs_join(a, fs_dir(a, path), "dockerfile");
        r = load(a, opened, DOCKERFILE_MAX, &data, &len, err);
    }
    if (r > 0) {
        struct stat st;
        if (stat(in->dir, &st) < 0)
            r = err_set(err, ERR_NOT_FOUND, "the context %s does not exist", in->dir);
        else if (!S_ISDIR(st.st_mode))
            r = err_set(err, ERR_INVALID, "the context %s is not a folder", in->dir);
        else
            r = err_set(err, ERR_NOT_FOUND, "there is no Dockerfile at %s", path);
    }
    if (r < 0) return r;
    *ret = (struct dockerfile_text){opened, data, len};
    return 0;
}

int ignore_load(struct arena *a, const struct context_input *in, bool gateway, struct ignore *ret, struct err *err) {
    /* also where the file found is the lower-case one */
    const char *named = dockerfile_path(a, in);
    const char *path = arena_printf(a, "%s.dockerignore", named);
    struct ignore ignore = {0};
    char *data;
    size_t len;
    int r = load(a, path, IGNORE_MAX, &data, &len, err);
    if (r > 0 || (!r && !len && gateway)) {
        path = fs_join(a, in->dir, ".dockerignore");
        r = load(a, path, IGNORE_MAX, &data, &len, err);
    }
    if (!r) r = ignore_parse(a, path, data, len, &ignore, err);
    if (r < 0) return r;
    for (size_t i = 0; i < in->n_ignore; i++) ignore_add(a, &ignore, in->ignore[i]);
    *ret = ignore;
    return 0;
}

int ignore_load_root(struct arena *a, const struct context_input *in, struct ignore *ret, struct err *err) {
    char *data;
    size_t len;
    const char *path = fs_join(a, in->dir, ".dockerignore");
    *ret = (struct ignore){0};
    int r = load(a, path, IGNORE_MAX, &data, &len, err);
    if (!r) r = ignore_parse(a, path, data, len, ret, err);
    return r < 0 ? r : 0;
}

int ignore_check(const struct ignore *ignore, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    struct patterns *compiled;
    size_t bad = 0;
    int r = patterns_compile(a, ignore->patterns, ignore->n, &compiled, &bad, err);
    if (r < 0) err_at(err, ignore->lines[bad] ? ignore->file : "ignore", ignore->lines[bad]);
    return r;
}
