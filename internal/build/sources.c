#include "build/sources.h"

#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "build/build.h"
#include "context/context.h"

/* The planned files aren't kept, only their hash: what changed last is the best guess. */
static const char *newest(struct arena *a, const char *dir, const struct context_result *result) {
    const char *path = NULL;
    struct timespec latest = {0};
    for (size_t i = 0; i < result->n_files; i++) {
        struct stat st;
        if (strcmp(result->files[i].type, "dir") == 0 || lstat(fs_join(a, dir, result->files[i].path), &st) < 0) continue;
        if (st.st_ctim.tv_sec < latest.tv_sec || (st.st_ctim.tv_sec == latest.tv_sec && st.st_ctim.tv_nsec <= latest.tv_nsec))
            continue;
        latest = st.st_ctim;
        path = result->files[i].path;
    }
    return path;
}

int sources_check(struct ctx *ctx, const struct build_request *req, const char *when, struct err *err) {
    if (!req->source_hash) return 0;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx own = ctx_with_arena(ctx, a);
    const struct context_input in = {
        .dir = req->context,
        .dockerfile = req->dockerfile,
        .target = req->target,
        .build_args = req->build_args,
        .n_build_args = req->n_build_args,
        .ignore = req->ignore,
        .n_ignore = req->n_ignore,
    };
    struct context_result now;
    int r = context_hash(&own, &in, &now, err);
    if (r < 0) return r;
    if (strcmp(now.hash, req->source_hash) == 0) return 0;
    const char *file = newest(a, req->context, &now);
    err_set(err, ERR_CONFLICT, "the build context %s changed %s%s%s", req->context, when,
            file ? "; the file that changed last is " : "", file ? file : "");
    if (file) err_at(err, fs_join(a, req->context, file), 0);
    err_hint(err,
             "What was planned is what gets built: plan and apply again. A file that another resource writes in the same apply "
             "belongs into `triggers`; files that tools write into the context meanwhile belong into .dockerignore.");
    return -ERR_CONFLICT;
}
