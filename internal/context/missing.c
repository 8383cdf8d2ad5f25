#include "context/missing.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "context/snapshot.h"
#include "dockerfile/ignore.h"
#include "dockerfile/pattern.h"
#include "dockerfile/plan.h"

enum { FOLDERS_UP = 4 };

/* The ignore line that leaves a path out; SIZE_MAX if none does. */
static size_t ignored_by(struct arena *a, const struct ignore *ig, const char *path) {
    struct patterns *all;
    if (!ig->n || patterns_compile(a, ig->patterns, ig->n, &all, NULL, NULL) < 0 || !patterns_match_or_parent(all, path))
        return SIZE_MAX;
    for (size_t i = ig->n; i > 0; i--) { /* the last one that does it alone */
        struct patterns *one;
        if (patterns_compile(a, &ig->patterns[i - 1], 1, &one, NULL, NULL) == 0 && patterns_match_or_parent(one, path))
            return i - 1;
    }
    return SIZE_MAX;
}

static void hint_upwards(struct arena *a, const char *dir, const char *path, struct err *err) {
    static const char *const counts[] = {"one folder", "two folders", "three folders", "four folders"};
    const char *up = fs_abs(a, dir);
    for (int i = 0; i < FOLDERS_UP && strcmp(up, "/") != 0; i++) {
        struct stat st;
        up = fs_dir(a, up);
        if (stat(fs_join(a, up, path), &st) < 0) continue;
        if (i == 0)
            err_hint(err, "it exists one folder up: set context = path.module");
        else
            err_hint(err, "it exists %s up: set context to %s", counts[i], up);
        return;
    }
}

/* Whether it would be there if only the ignored were taken away. */
static bool exists(struct ctx *ctx, const char *dir, const char *path) {
    struct snap t;
    struct snap_node *n;
    bool found = snap_open(&t, ctx, dir, NULL, NULL) >= 0 && snap_find(&t, path, true, &n, NULL) == 0;
    snap_done(&t);
    return found;
}

int missing_explain(struct ctx *ctx, const char *dir, const struct ignore *ignore, const struct df_source *s, const char *path,
                    bool dangling, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *what = arena_strndup(a, s->from, strcspn(s->from, " ")), *name = *path == '/' ? path + 1 : path;
    if (str_starts(s->from, "RUN")) what = "RUN --mount";
    if (!*name) name = ".";
    const char *context = fs_base(fs_abs(a, dir));
    if (dangling) {
        err_set(err, ERR_NOT_FOUND, "%s %s: the link %s leads to nothing in the context %s", what, s->written, name, context);
        return -ERR_NOT_FOUND;
    }
    size_t line = ignored_by(a, ignore, name);
    if (line != SIZE_MAX) {
        const char *file = ignore->lines[line] ? fs_base(ignore->file) : "ignore";
        err_set(err, ERR_NOT_FOUND, "%s %s needs %s, which %s leaves out of the context (%s)", what, s->written, name, file,
                ignore->patterns[line]);
        err_hint(err, ignore->lines[line] ? "see line %d of it" : "see the argument", ignore->lines[line]);
        return -ERR_NOT_FOUND;
    }
    err_set(err, ERR_NOT_FOUND, "%s %s needs %s, which is not in the context %s", what, s->written, name, context);
    if (exists(ctx, dir, path))
        err_hint(err, "it exists, but is not sent: of several sources through one link BuildKit's client sends only the first");
    else
        hint_upwards(a, dir, name, err);
    return -ERR_NOT_FOUND;
}
