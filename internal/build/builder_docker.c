/* Builds by the BuildKit inside a Docker Engine and pushes by the engine: its own exporter can't push before 23, and
 * the engine's push knows the layers that the registry has. The image gets a local name for the push only. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "build/builder.h"
#include "build/kept.h"
#include "build/place.h"
#include "build/sources.h"
#include "buildkit/control.h"
#include "buildkit/session.h"
#include "buildkit/status.h"
#include "docker/docker.h"
#include "dockerfile/ignore.h"
#include "oci/oci.h"
#include "progress/progress.h"

enum {
    TAIL_LINES = 40,
    MAX_DOCKERFILE = 16 * 1024 * 1024,
    CLEANUP_MS = 900, /* a cancelled build ends within a second */
    PUSH_TRIES = 3,
};

struct docker_builder {
    struct builder base;
    struct docker *docker;
    char *store;        /* names what BuildKit keeps: its worker (20.10's is always "moby"), engine and address */
    bool in_containerd; /* images lie in containerd's store, not in a graph driver's */
};

/* ---- Opening ---- */

static int open_control(struct docker_builder *b, struct ctx *ctx, struct bk_control **ret, struct err *err) {
    int fd = -1;
    int r = docker_upgrade(b->docker, ctx, "/grpc", NULL, 0, &fd, err);
    return r < 0 ? r : bk_control_new(fd, ret, err);
}

static void docker_builder_free(struct builder *base) {
    struct docker_builder *b = (struct docker_builder *) base;
    docker_free(b->docker);
    mem_free(b->store);
    mem_free(b);
}

static int ask_worker(struct docker_builder *b, struct ctx *ctx, struct err *err) {
    struct bk_control *control = NULL;
    int r = open_control(b, ctx, &control, err);
    if (r < 0) return r;
    struct bk_worker worker;
    r = bk_control_worker(control, ctx, &worker, err);
    const char *engine = NULL;
    if (r == 0) r = docker_engine_id(b->docker, ctx, &engine, err);
    if (r == 0) {
        b->store = mem_printf("%s %s %s", worker.id, engine, docker_info(b->docker)->endpoint);
        b->in_containerd = worker.snapshotter != NULL;
        log_debug(ctx, "%s at %s, BuildKit worker %s for %s, snapshotter %s", docker_info(b->docker)->server,
                  docker_info(b->docker)->endpoint, worker.id, worker.platform ? worker.platform : "?",
                  worker.snapshotter ? worker.snapshotter : "none");
    }
    bk_control_free(control);
    return r;
}

static int docker_builder_open(struct ctx *ctx, const struct builder_config *config, struct builder **ret, struct err *err) {
    struct docker_builder *b = NEW(struct docker_builder);
    b->base.ops = &builder_docker;
    int r = docker_open(ctx, &(struct docker_options){.host = config->docker_host}, &b->docker, err);
    if (r == 0) r = ask_worker(b, ctx, err);
    if (r != 0) {
        docker_builder_free(&b->base);
        return r;
    }
    *ret = &b->base;
    return 0;
}

/* ---- The solve ---- */

struct job {
    struct docker_builder *b;
    struct ctx *ctx;
    const struct build_request *req;
    const char *local; /* HOST/NAME:TAG, for the push */
    struct kept *kept;
    struct bk_status *status;
};

static void on_line(void *self, const char *text) { progress_line(self, "%s", text); }

static void on_output(void *self, const char *step, const char *data, size_t len) { progress_output(self, step, data, len); }

static int credentials(void *self, struct ctx *ctx, const char *host, const char **ret_user, struct secret **ret_password,
                       struct err *err) {
    const struct oci_auth *auth = self;
    return auth && auth->get ? auth->get(auth->self, ctx, host, false, ret_user, ret_password, err) : 1;
}

static void put(struct arena *a, struct kv *list, size_t *n, const char *prefix, const char *key, const char *value) {
    list[(*n)++] = (struct kv){*prefix ? arena_printf(a, "%s%s", prefix, key) : key, value ? value : ""};
}

static struct kv *frontend_attrs(struct arena *a, const struct build_request *req, size_t *ret_n) {
    struct kv *list = arena_array(a, 2 + req->n_build_args + req->n_labels, sizeof *list);
    *ret_n = 0;
    put(a, list, ret_n, "", "filename", fs_base(req->dockerfile));
    if (!str_empty(req->target)) put(a, list, ret_n, "", "target", req->target);
    for (size_t i = 0; i < req->n_build_args; i++)
        put(a, list, ret_n, "build-arg:", req->build_args[i].key, req->build_args[i].value);
    for (size_t i = 0; i < req->n_labels; i++) put(a, list, ret_n, "label:", req->labels[i].key, req->labels[i].value);
    return list;
}

static int solve_in_session(struct job *j, struct bk_session *session, struct err *err) {
    size_t n_headers, n_attrs;
    const struct kv *headers = bk_session_headers(session, &n_headers);
    int fd = -1;
    int r = docker_upgrade(j->b->docker, j->ctx, "/session", headers, n_headers, &fd, err);
    if (r < 0 || (r = bk_session_serve(session, fd, err)) < 0) return r;
    struct bk_control *control = NULL;
    if ((r = open_control(j->b, j->ctx, &control, err)) < 0) return r;
    const struct kv name = {"name", j->local};
    const struct bk_solve solve = {
        .session = bk_session_id(session),
        .frontend = "dockerfile.v0",
        .attrs = frontend_attrs(j->ctx->arena, j->req, &n_attrs),
        .n_attrs = n_attrs,
        /* Into the engine's image store. "moby" works with both kinds, but unpacks the image in containerd's, which is
         * of no use for a push and takes longer than all else. */
        .exporter = j->b->in_containerd ? "image" : "moby",
        .exporter_attrs = &name,
        .n_exporter_attrs = 1,
    };
    struct bk_solved solved;
    r = bk_control_solve(control, j->ctx, &solve, j->status, &solved, err);
    bk_control_free(control);
    return r;
}

/* ---- A failed build, told ---- */

static void add_place(struct err *err, const char *dockerfile, const char *step) {
    AUTO_ARENA struct arena *a = arena_new();
    char *text;
    size_t len;
    int line = 0;
    if (step && fs_read(a, dockerfile, MAX_DOCKERFILE, &text, &len, NULL) == 0)
        line = place_of_step(text, step);
    else if (!step)
        line = place_in_error(err_text(err));
    if (line) err_at(err, dockerfile, line);
}

/* What the daemon and its frontend put before the text that matters. */
static const char *without_prefixes(const char *text) {
    static const char *const prefixes[] = {"failed to solve: ",
                                           "failed to solve with frontend dockerfile.v0: ",
                                           "failed to solve with frontend gateway.v0: ",
                                           "failed to create LLB definition: ",
                                           "failed to build LLB: ",
                                           "rpc error: code = Unknown desc = "};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (!str_starts(text, prefixes[i])) continue;
        text += strlen(prefixes[i]);
        i = (size_t) -1;
    }
    return text;
}

/* A RUN's error repeats the command, which its name shows already: "executor failed running […]: exit code: 7". */
static const char *without_command(const char *error) {
    const char *code = strstr(error, ": exit code: "), *next;
    while (code && (next = strstr(code + 1, ": exit code: "))) code = next;
    return code && code[strlen(": exit code: ")] && !strchr(code, '\n') ? code + 2 : without_prefixes(error);
}

/* err holds what Solve said. */
static int explain(struct job *j, struct bk_session *session, int r, struct err *err) {
    if (r == -ERR_CANCELLED || r == -ERR_TIMEOUT || ctx_check(j->ctx, NULL) < 0)
        return ctx_check(j->ctx, NULL) < 0 ? ctx_check(j->ctx, err) : r;
    AUTO_ERR struct err ours = {0};
    if (bk_session_failure(session, &ours)) {
        err_move(err, &ours);
        return err_wrap(err, "the build of %s", j->local);
    }
    struct bk_step step;
    if (bk_status_failed(j->status, j->ctx->arena, TAIL_LINES, &step)) {
        err_set(err, ERR_FAILED, "the build failed at %s: %s", step.name, without_command(step.error));
        if (*step.tail) err_detail(err, step.tail);
        add_place(err, j->req->dockerfile, step.name);
        return -ERR_FAILED;
    }
    if (r != -ERR_UNAVAILABLE && r != -ERR_UNSUPPORTED) {
        AUTO_FREE char *text = mem_strdup(without_prefixes(err_text(err)));
        r = err_set(err, ERR_FAILED, "the build of %s failed: %s", j->local, text);
        if (strcasestr(text, "dockerfile")) add_place(err, j->req->dockerfile, NULL);
    }
    return r;
}

/* ---- The build ---- */

static int still_as_planned(struct job *j, struct err *err) {
    const char *stale = kept_stale(j->kept);
    if (!stale) return sources_check(j->ctx, j->req, "while it was built", err);
    err_set(err, ERR_CONFLICT, "%s changed while the image was built", stale);
    err_hint(err, "Apply again when nothing writes to the build context any more.");
    return -ERR_CONFLICT;
}

static int build_with(struct job *j, const struct bk_source *sources, size_t n_sources, struct err *err) {
    const struct bk_session_options opt = {
        .shared_key = kept_key(j->kept),
        .sources = sources,
        .n_sources = n_sources,
        .credentials = credentials,
        .credentials_self = (void *) j->req->auth,
        .synced = kept_synced,
        .synced_self = j->kept,
        .cancel = j->ctx->cancel,
    };
    AUTO_ERR struct err local = {0};
    struct err *why = err ? err : &local;
    struct bk_session *session = NULL;
    int r = bk_session_new(&opt, &session, why);
    if (r < 0) return r;
    r = solve_in_session(j, session, why);
    if (r < 0) r = explain(j, session, r, why);
    bk_session_free(session);
    return r < 0 ? r : still_as_planned(j, why);
}

static int build_image(struct job *j, struct err *err) {
    const struct build_request *req = j->req;
    struct arena *a = j->ctx->arena;
    const char *file = fs_base(req->dockerfile);
    /* Where a file named Dockerfile is missing, the frontend reads the third. */
    const char *const dockerfile_only[] = {file, arena_printf(a, "%s.dockerignore", file), "dockerfile"};
    struct ignore more = {0}; /* read as the lines of an ignore file, as the source hash reads them */
    for (size_t i = 0; i < req->n_ignore; i++) ignore_add(a, &more, req->ignore[i]);
    const struct bk_source sources[] = {
        {.name = "context", .dir = req->context, .ignore = more.patterns, .n_ignore = more.n},
        {.name = "dockerfile",
         .dir = fs_dir(a, req->dockerfile),
         .only = dockerfile_only,
         .n_only = strcmp(file, "Dockerfile") ? 2 : 3},
    };
    const struct bk_status_sink sink = {.line = on_line, .output = on_output, .self = req->progress};
    j->kept = kept_open(j->ctx, &(struct kept_options){.builder = j->b->store,
                                                       .context = req->context,
                                                       .dockerfile = req->dockerfile,
                                                       .target = req->target,
                                                       .sources = sources,
                                                       .n_sources = ARRAY_SIZE(sources)});
    j->status = bk_status_new(&sink);
    int r = build_with(j, sources, ARRAY_SIZE(sources), err);
    bk_status_free(j->status);
    kept_close(j->kept);
    return r;
}

/* ---- The push ---- */

static void on_layer(void *self, const char *id, uint64_t bytes, bool existed) {
    if (existed) return;
    AUTO_ARENA struct arena *a = arena_new();
    progress_line(self, "[push] layer %.12s %s", id, bytes_text(a, bytes));
}

static int push_once(struct job *j, const char *host, bool renew, struct docker_pushed *ret, struct err *err) {
    const struct oci_auth *auth = j->req->auth;
    const char *user = NULL;
    AUTO_SECRET struct secret *password = NULL;
    int r = auth && auth->get ? auth->get(auth->self, j->ctx, host, renew, &user, &password, err) : 1;
    if (r < 0) return err_wrap(err, "no credentials for the registry %s", host);
    const struct docker_push push = {
        .repository = j->req->repository,
        .tag = j->req->push_tag,
        .user = r == 0 ? user : NULL,
        .password = password,
        .server = host,
        .layer = on_layer,
        .self = j->req->progress,
    };
    return docker_image_push(j->b->docker, j->ctx, &push, ret, err);
}

static int push_image(struct job *j, struct docker_pushed *ret, struct err *err) {
    const char *host = arena_strndup(j->ctx->arena, j->req->repository, strcspn(j->req->repository, "/"));
    bool renewed = false;
    for (int try = 1;; try++) {
        AUTO_ERR struct err why = {0};
        int r = push_once(j, host, renewed, ret, &why);
        if (r == 0) return 0;
        bool renew = r == -ERR_UNAUTHENTICATED && !renewed;
        if (try == PUSH_TRIES || (!renew && !why.retryable) || ctx_check(j->ctx, NULL) < 0) {
            err_move(err, &why);
            return r;
        }
        renewed = renewed || renew;
        log_debug(j->ctx, "%s; once more", err_text(&why));
        if (!renew && (r = ctx_sleep(j->ctx, 1000L << (try - 1), err)) < 0) return r;
    }
}

/* Some engines don't tell the digest in the stream. */
static int digest_of_image(struct job *j, const char **ret, struct err *err) {
    struct docker_image image;
    int r = docker_image_inspect(j->b->docker, j->ctx, j->local, &image, err);
    if (r < 0) return r;
    size_t len = strlen(j->req->repository);
    for (size_t i = 0; r == 0 && i < image.digests.n; i++)
        if (strncmp(image.digests.v[i], j->req->repository, len) == 0 && image.digests.v[i][len] == '@') {
            *ret = image.digests.v[i] + len + 1;
            return 0;
        }
    return err_set(err, ERR_PROTOCOL, "the engine pushed %s, but doesn't tell its digest", j->local);
}

static int push_and_tell(struct job *j, struct build_result *ret, struct err *err) {
    int64_t start = ctx_now(j->ctx);
    struct docker_pushed pushed;
    int r = push_image(j, &pushed, err);
    if (r < 0) return r;
    if (!pushed.digest && (r = digest_of_image(j, &pushed.digest, err)) < 0) return r;
    progress_line(j->req->progress, "[push] %s: %zu of %zu layers sent, %s %.1fs", pushed.digest,
                  pushed.layers - pushed.existed, pushed.layers, bytes_text(j->ctx->arena, pushed.bytes),
                  (double) (ctx_now(j->ctx) - start) / 1000);
    *ret = (struct build_result){.digest = pushed.digest};
    return 0;
}

/* The local name goes back to what it named before, also after a cancel. */
static void restore_name(struct job *j, const char *prior) {
    struct ctx own = {.arena = j->ctx->arena, .clock = j->ctx->clock, .log = j->ctx->log};
    own = ctx_with_timeout(&own, CLEANUP_MS);
    AUTO_ERR struct err err = {0};
    int r = prior ? docker_image_tag(j->b->docker, &own, prior, j->req->repository, j->req->push_tag, &err)
                  : docker_image_remove(j->b->docker, &own, j->local, &err);
    if (r < 0) log_debug(j->ctx, "the local name %s stays: %s", j->local, err_text(&err));
}

/* The daemon's own words for this name its temporary folders. Where a file named Dockerfile is missing, the frontend
 * reads "dockerfile". */
static int check_dockerfile(const struct build_request *req, struct err *err) {
    if (access(req->dockerfile, R_OK) == 0) return 0;
    int code = errno;
    AUTO_FREE char *lower = mem_strdup(req->dockerfile);
    size_t len = strlen(lower);
    if (str_ends(lower, "/Dockerfile")) lower[len - strlen("Dockerfile")] = 'd';
    return access(lower, R_OK) == 0 ? 0 : err_errno(err, code, "can't read the Dockerfile %s", req->dockerfile);
}

static int docker_builder_build(struct builder *base, struct ctx *ctx, const struct build_request *req, struct build_result *ret,
                                struct err *err) {
    struct job j = {.b = (struct docker_builder *) base, .ctx = ctx, .req = req};
    j.local = arena_printf(ctx->arena, "%s:%s", req->repository, req->push_tag);
    int r = check_dockerfile(req, err);
    if (r < 0 || (r = sources_check(ctx, req, "since the plan", err)) < 0) return r;
    struct docker_image before;
    r = docker_image_inspect(j.b->docker, ctx, j.local, &before, err);
    if (r < 0) return r;
    const char *prior = r == 0 ? before.id : NULL;
    r = build_image(&j, err);
    if (r == 0) r = push_and_tell(&j, ret, err);
    restore_name(&j, prior);
    return r;
}

const struct builder_ops builder_docker = {
    .name = "docker",
    .open = docker_builder_open,
    .build = docker_builder_build,
    .free = docker_builder_free,
};
