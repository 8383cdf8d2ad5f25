/* moby.buildkit.v1.Control: Solve and, beside it, Status. */
#include "buildkit/control.h"

#include <pthread.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "buildkit/pb.h"
#include "buildkit/status.h"
#include "crypto/crypto.h"
#include "proto/buildkit_control.pb-c.h"
#include "rpc/rpc.h"

enum {
    DRAIN_MS = 3000, /* what Status may take to end after Solve has ended */
    STUCK_MS = 300,  /* the same where Solve failed before any step: Status then waits for a build that never was */
    WORKERS_MS = 15000,
};

struct bk_control {
    struct rpc_channel *channel;
};

int bk_control_new(int fd, struct bk_control **ret, struct err *err) {
    struct rpc_channel *ch = rpc_channel_new(&(struct rpc_channel_options){.fd = fd}, err);
    if (!ch) return -ERR_UNAVAILABLE;
    *ret = NEW(struct bk_control);
    (*ret)->channel = ch;
    return 0;
}

void bk_control_free(struct bk_control *c) {
    if (!c) return;
    rpc_channel_free(c->channel);
    mem_free(c);
}

/* ---- Workers ---- */

int bk_control_worker(struct bk_control *c, struct ctx *ctx, struct bk_worker *ret, struct err *err) {
    struct ctx limited = ctx_with_timeout(ctx, WORKERS_MS);
    struct rpc_reply reply;
    int r = rpc_unary(c->channel, &limited, "/moby.buildkit.v1.Control/ListWorkers", "", 0, &reply, NULL, err);
    if (r < 0) return err_wrap(err, "can't ask BuildKit for its workers");
    ProtobufCAllocator alloc = pb_arena(ctx->arena);
    Bk__ListWorkersResponse *list = bk__list_workers_response__unpack(&alloc, reply.len, reply.data);
    if (!list) return err_set(err, ERR_PROTOCOL, "BuildKit's list of workers can't be decoded");
    if (!list->n_record) return err_set(err, ERR_UNAVAILABLE, "BuildKit has no worker");
    const Bk__WorkerRecord *w = list->record[0];
    *ret = (struct bk_worker){.id = w->id};
    for (size_t i = 0; i < w->n_labels; i++)
        if (str_ends(w->labels[i]->key, ".worker.snapshotter")) ret->snapshotter = w->labels[i]->value;
    if (w->n_platforms) {
        const Bk__Platform *p = w->platforms[0];
        ret->platform = arena_printf(ctx->arena, "%s/%s%s%s", p->os, p->architecture, *p->variant ? "/" : "", p->variant);
    }
    return 0;
}

/* ---- Status, in a thread of its own ---- */

struct watch {
    struct bk_control *control;
    struct ctx ctx; /* its own arena and cancel */
    const char *ref;
    struct bk_status *status;
    struct waiter waiter; /* guards what follows */
    bool ended, seen;
};

static int follow(struct watch *w, struct rpc_stream *stream, struct err *err) {
    for (;;) {
        AUTO_ARENA struct arena *a = arena_new();
        const void *data;
        size_t len;
        int r = rpc_stream_recv(stream, a, &data, &len, NULL, err);
        if (r <= 0) return r;
        if ((r = bk_status_add(w->status, data, len, err)) < 0) return r;
        pthread_mutex_lock(&w->waiter.lock);
        w->seen = true;
        pthread_mutex_unlock(&w->waiter.lock);
    }
}

static void *watch_thread(void *arg) {
    struct watch *w = arg;
    AUTO_ERR struct err err = {0};
    Bk__StatusRequest req = BK__STATUS_REQUEST__INIT;
    req.ref = (char *) w->ref;
    size_t len;
    void *packed = pb_pack(w->ctx.arena, &req.base, &len);
    struct rpc_stream *stream = NULL;
    int r = rpc_stream_open(w->control->channel, &w->ctx, "/moby.buildkit.v1.Control/Status", NULL, 0, &stream, &err);
    if (r == 0) r = rpc_stream_send(stream, packed, len, &err);
    if (r == 0) r = rpc_stream_close_send(stream, &err);
    if (r == 0) r = follow(w, stream, &err);
    if (r < 0 && r != -ERR_CANCELLED) log_debug(&w->ctx, "the build's status can't be followed: %s", err_text(&err));
    rpc_stream_free(stream);
    pthread_mutex_lock(&w->waiter.lock);
    w->ended = true;
    waiter_wake(&w->waiter);
    pthread_mutex_unlock(&w->waiter.lock);
    return NULL;
}

/* Lets Status say the rest, but not for long. */
static void drain(struct watch *w, const struct ctx *ctx, bool failed) {
    uint64_t hook = waiter_bind(&w->waiter, ctx);
    pthread_mutex_lock(&w->waiter.lock);
    struct ctx limited = ctx_with_timeout(ctx, failed && !w->seen ? STUCK_MS : DRAIN_MS);
    while (!w->ended && waiter_wait(&w->waiter, &limited, NULL) == 0) {
    }
    pthread_mutex_unlock(&w->waiter.lock);
    waiter_unbind(ctx, hook);
    cancel_request(w->ctx.cancel);
}

/* ---- Solve ---- */

static Bk__Pair **pairs(struct arena *a, const struct kv *kv, size_t n) {
    Bk__Pair **out = arena_array(a, n, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = arena_alloc(a, sizeof **out);
        bk__pair__init(out[i]);
        out[i]->key = (char *) kv[i].key;
        out[i]->value = (char *) kv[i].value;
    }
    return out;
}

static void *pack_request(struct arena *a, const struct bk_solve *req, const char *ref, size_t *ret_len) {
    Bk__Exporter exporter = BK__EXPORTER__INIT, *exporters[] = {&exporter};
    exporter.type = (char *) req->exporter;
    exporter.n_attrs = req->n_exporter_attrs;
    exporter.attrs = pairs(a, req->exporter_attrs, req->n_exporter_attrs);
    Bk__SolveRequest m = BK__SOLVE_REQUEST__INIT;
    m.ref = (char *) ref;
    m.session = (char *) req->session;
    m.frontend = (char *) req->frontend;
    m.n_frontendattrs = req->n_attrs;
    m.frontendattrs = pairs(a, req->attrs, req->n_attrs);
    m.exportername = exporter.type;
    m.n_exporterattrs = exporter.n_attrs;
    m.exporterattrs = exporter.attrs;
    m.n_exporters = 1;
    m.exporters = exporters;
    return pb_pack(a, &m.base, ret_len);
}

static int call_solve(struct bk_control *c, struct ctx *ctx, const void *packed, size_t len, struct bk_solved *ret,
                      struct err *err) {
    struct rpc_reply reply;
    int r = rpc_unary(c->channel, ctx, "/moby.buildkit.v1.Control/Solve", packed, len, &reply, NULL, err);
    if (r < 0) return r;
    ProtobufCAllocator alloc = pb_arena(ctx->arena);
    Bk__SolveResponse *m = bk__solve_response__unpack(&alloc, reply.len, reply.data);
    if (!m) return err_set(err, ERR_PROTOCOL, "BuildKit's reply to a build can't be decoded");
    struct kv *kv = arena_array(ctx->arena, m->n_exporterresponse, sizeof *kv);
    for (size_t i = 0; i < m->n_exporterresponse; i++)
        kv[i] = (struct kv){m->exporterresponse[i]->key, m->exporterresponse[i]->value};
    *ret = (struct bk_solved){kv, m->n_exporterresponse};
    return 0;
}

int bk_control_solve(struct bk_control *c, struct ctx *ctx, const struct bk_solve *req, struct bk_status *status,
                     struct bk_solved *ret, struct err *err) {
    const char *ref = random_hex(ctx->arena, 16); /* a live one must never be used again */
    size_t len;
    void *packed = pack_request(ctx->arena, req, ref, &len);
    struct watch w = {.control = c, .ctx = *ctx, .ref = ref, .status = status};
    w.ctx.arena = arena_new();
    w.ctx.cancel = cancel_new(ctx->cancel);
    waiter_init(&w.waiter);
    pthread_t thread;
    int r = -pthread_create(&thread, NULL, watch_thread, &w);
    if (r < 0) {
        r = err_errno(err, -r, "can't start a thread");
    } else {
        r = call_solve(c, ctx, packed, len, ret, err);
        drain(&w, ctx, r < 0);
        pthread_join(thread, NULL);
        bk_status_end(status);
    }
    waiter_done(&w.waiter);
    cancel_unref(w.ctx.cancel);
    arena_free(w.ctx.arena);
    return r;
}

const char *bk_solved_get(const struct bk_solved *s, const char *key) {
    for (size_t i = 0; i < s->n_response; i++)
        if (strcmp(s->response[i].key, key) == 0) return s->response[i].value;
    return NULL;
}
