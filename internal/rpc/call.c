/* One call on the server's side. Batches are started under the call's lock, which also makes their results visible to
 * the thread that waits for them. A batch under way holds a reference. */
#include <grpc/slice.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "rpc/server.h"

enum { SEND_GRACE_MS = 500 };

#define CALL_OF(ev, member) ((struct rpc_call *) (void *) ((char *) (ev) -offsetof(struct rpc_call, member)))

static void call_free(struct rpc_call *c) {
    if (c->cancel) {
        waiter_unbind(&c->ctx, c->bound);
        cancel_unref(c->cancel);
    }
    if (c->call) grpc_call_unref(c->call);
    if (c->in) grpc_byte_buffer_destroy(c->in);
    if (c->out) grpc_byte_buffer_destroy(c->out);
    grpc_slice_unref(c->status_text);
    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_destroy(&c->metadata);
    waiter_done(&c->w);
    arena_free(c->arena);
    mem_free(c);
}

static void call_unref(struct rpc_call *c) {
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    struct rpc_server *s = c->s;
    bool listed = c->listed, attached = c->attached;
    if (listed) {
        pthread_mutex_lock(&s->w.lock);
        *(c->newer ? &c->newer->older : &s->calls) = c->older;
        if (c->older) c->older->newer = c->newer;
        pthread_mutex_unlock(&s->w.lock);
    }
    call_free(c);
    if (!listed) return;
    pthread_mutex_lock(&s->w.lock); /* last: from here on s may go */
    s->n_calls--;
    if (attached) s->n_attached--;
    waiter_wake(&s->w);
    pthread_mutex_unlock(&s->w.lock);
}

/* With c->w.lock held. */
static bool start(struct rpc_call *c, const grpc_op *ops, size_t n, struct rpc_event *tag) {
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    grpc_call_error e = grpc_call_start_batch(c->call, ops, n, tag, NULL);
    if (e == GRPC_CALL_OK) return true;
    log_debug(NULL, "grpc: batch of %s refused: %d", c->name, (int) e);
    atomic_fetch_sub_explicit(&c->refs, 1, memory_order_relaxed); /* never the last: the caller has one */
    return false;
}

/* ---- Beginning ---- */

static void copy_metadata(struct rpc_call *c) {
    c->meta = arena_array(c->arena, c->metadata.count, sizeof *c->meta);
    for (size_t i = 0; i < c->metadata.count; i++) {
        const grpc_metadata *m = &c->metadata.metadata[i];
        c->meta[i] = (struct rpc_meta){
            .key = rpc_core_text(c->arena, m->key), .value = rpc_core_text(c->arena, m->value), .len = GRPC_SLICE_LENGTH(m->value)};
    }
}

static const struct rpc_method *find_method(const struct rpc_method *methods, const char *name) {
    for (; methods && methods->name; methods++)
        if (strcmp(methods->name, name) == 0) return methods;
    return NULL;
}

static void list_call(struct rpc_call *c) {
    struct rpc_server *s = c->s;
    pthread_mutex_lock(&s->w.lock);
    c->listed = true;
    c->older = s->calls;
    if (s->calls) s->calls->newer = c;
    s->calls = c;
    s->n_calls++;
    if (c->attached) s->n_attached++;
    pthread_mutex_unlock(&s->w.lock);
}

/* With c->w.lock held. */
static void start_receive(struct rpc_call *c) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->arriving};
    c->receiving = start(c, &op, 1, &c->received);
    if (!c->receiving) c->gone = true;
}

static void accepted(struct rpc_event *ev, bool ok) {
    struct rpc_call *c = CALL_OF(ev, accepted);
    struct rpc_server *s = c->s;
    if (!ok) { /* the server stops */
        call_unref(c);
        return;
    }
    rpc_call_accept(s);
    c->arena = arena_new();
    c->name = rpc_core_text(c->arena, c->details.method);
    c->method = find_method(s->methods, c->name);
    if (c->method) {
        c->unary = c->method->unary || c->method->urgent;
        c->urgent = c->method->urgent;
        c->attached = c->method->attached;
    }
    c->cancel = cancel_new(c->attached ? s->attached : s->cancel);
    c->ctx = (struct ctx){.arena = c->arena, .cancel = c->cancel};
    c->bound = waiter_bind(&c->w, &c->ctx);
    copy_metadata(c);
    list_call(c);
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &c->was_cancelled};
    pthread_mutex_lock(&c->w.lock);
    start(c, &op, 1, &c->closed);
    if (c->urgent) start_receive(c);
    bool receiving = c->receiving;
    pthread_mutex_unlock(&c->w.lock);
    if (!c->method)
        rpc_call_refuse(c, RPC_UNIMPLEMENTED, "unknown method");
    else if (c->urgent ? !receiving : !rpc_server_enqueue(s, c))
        rpc_call_refuse(c, RPC_RESOURCE_EXHAUSTED, "too many calls at once");
}

/* The peer has gone (cancelled, connection lost), or the call has ended in order. */
static void closed(struct rpc_event *ev, bool ok) {
    struct rpc_call *c = CALL_OF(ev, closed);
    pthread_mutex_lock(&c->w.lock);
    bool gone = !ok || c->was_cancelled;
    if (gone) c->gone = true;
    waiter_wake(&c->w);
    pthread_mutex_unlock(&c->w.lock);
    if (gone) cancel_request(c->cancel);
    call_unref(c);
}

static void received(struct rpc_event *ev, bool ok) {
    struct rpc_call *c = CALL_OF(ev, received);
    pthread_mutex_lock(&c->w.lock);
    c->receiving = false;
    c->in = TAKE_PTR(c->arriving);
    if (!c->in) {
        if (!ok || grpc_call_failed_before_recv_message(c->call))
            c->gone = true;
        else
            c->half_closed = true;
    }
    waiter_wake(&c->w);
    bool urgent = c->urgent && !c->running;
    c->running = true;
    pthread_mutex_unlock(&c->w.lock);
    if (urgent) rpc_call_run(c);
    call_unref(c);
}

static void sent(struct rpc_event *ev, bool ok) {
    struct rpc_call *c = CALL_OF(ev, sent);
    pthread_mutex_lock(&c->w.lock);
    c->sending = false;
    c->send_ok = ok;
    grpc_byte_buffer_destroy(TAKE_PTR(c->out));
    waiter_wake(&c->w);
    pthread_mutex_unlock(&c->w.lock);
    call_unref(c);
}

static void finished(struct rpc_event *ev, bool ok) {
    (void) ok;
    call_unref(CALL_OF(ev, finished));
}

void rpc_call_accept(struct rpc_server *s) {
    struct rpc_call *c = NEW(struct rpc_call);
    c->s = s;
    atomic_init(&c->refs, 1);
    c->accepted.fn = accepted;
    c->received.fn = received;
    c->sent.fn = sent;
    c->closed.fn = closed;
    c->finished.fn = finished;
    c->status_text = grpc_empty_slice();
    waiter_init(&c->w);
    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->metadata);
    if (grpc_server_request_call(s->server, &c->call, &c->details, &c->metadata, s->cq, s->cq, &c->accepted) != GRPC_CALL_OK)
        call_unref(c);
}

/* ---- End ---- */

/* The last batch; gives the handler's reference back. */
static void finish(struct rpc_call *c, int status, const char *text) {
    grpc_op ops[3] = {0};
    size_t n = 0;
    pthread_mutex_lock(&c->w.lock);
    if (!c->initial_sent) ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    c->initial_sent = true;
    if (c->out && status == RPC_OK) {
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = c->out;
    }
    if (status != RPC_OK) {
        /* Cut before it is cleaned: what the cut leaves of a character is repaired. */
        const char *clean = text_clean(c->arena, text, strnlen(text, RPC_STATUS_TEXT_MAX));
        c->status_text = grpc_slice_from_copied_string(clean);
    }
    ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[n].data.send_status_from_server.status = (grpc_status_code) status;
    ops[n++].data.send_status_from_server.status_details = &c->status_text;
    start(c, ops, n, &c->finished);
    pthread_mutex_unlock(&c->w.lock);
    call_unref(c);
}

void rpc_call_refuse(struct rpc_call *c, int status, const char *text) { finish(c, status, text); }

void rpc_call_run(struct rpc_call *c) {
    AUTO_ERR struct err err = {0};
    int status = c->method->handle(c->method->service ? c->method->service : c->s->service, c, &err);
    if (status == RPC_OK && c->unary && !c->out) {
        status = RPC_INTERNAL;
        err_set(&err, ERR_INTERNAL, "%s made no reply", c->name);
    }
    finish(c, status < 0 ? RPC_INTERNAL : status, err_text(&err));
}

/* ---- What a handler calls ---- */

struct ctx *rpc_call_ctx(struct rpc_call *c) {
    return &c->ctx;
}

const char *rpc_call_method(const struct rpc_call *c) { return c->name; }

const struct rpc_meta *rpc_call_meta(const struct rpc_call *c, size_t *ret_n) {
    *ret_n = c->metadata.count;
    return c->meta;
}

size_t rpc_call_meta_get(const struct rpc_call *c, const char *key, const char **values, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < c->metadata.count; i++) {
        if (strcmp(c->meta[i].key, key) != 0) continue;
        if (n < max) values[n] = c->meta[i].value;
        n++;
    }
    return n;
}

static int peer_gone(struct err *err) { return err_set(err, ERR_CANCELLED, "the caller has gone"); }

int rpc_call_recv(struct rpc_call *c, struct arena *a, const void **ret, size_t *ret_len, struct err *err) {
    int r = 0;
    /* A request is on its way already: a stop lets it in, so that the handler can answer in its own words. */
    const struct ctx *ctx = c->unary ? &(struct ctx){0} : &c->ctx;
    pthread_mutex_lock(&c->w.lock);
    if (c->urgent && !c->in && !c->gone) c->half_closed = true; /* one message, and no waiting in this thread */
    if (!c->in && !c->receiving && !c->half_closed && !c->gone) start_receive(c);
    while (c->receiving && !r) r = waiter_wait(&c->w, ctx, err);
    grpc_byte_buffer *in = r ? NULL : TAKE_PTR(c->in);
    bool half_closed = c->half_closed;
    pthread_mutex_unlock(&c->w.lock);
    if (r) return r;
    if (!in) return half_closed ? 0 : peer_gone(err);
    *ret = rpc_core_take(in, a ? a : c->arena, ret_len);
    return 1;
}

/* With c->w.lock held: until gRPC has taken the message; a cancelled call gives it half a second more. */
static void await_sent(struct rpc_call *c) {
    while (c->sending && waiter_wait(&c->w, &c->ctx, NULL) == 0) {
    }
    struct ctx grace = ctx_with_timeout(&(struct ctx){0}, SEND_GRACE_MS);
    while (c->sending && waiter_wait(&c->w, &grace, NULL) == 0) {
    }
    if (!c->sending) return;
    grpc_call_cancel(c->call, NULL);
    while (c->sending) waiter_wait(&c->w, &(struct ctx){0}, NULL);
}

int rpc_call_send(struct rpc_call *c, const void *msg, size_t len, struct err *err) {
    if (len > RPC_MESSAGE_MAX) return err_set(err, ERR_LIMIT, "%s: a message of %zu bytes is too long for gRPC", c->name, len);
    grpc_byte_buffer *out = rpc_core_buffer(msg, len);
    pthread_mutex_lock(&c->w.lock);
    if (c->out) {
        pthread_mutex_unlock(&c->w.lock);
        grpc_byte_buffer_destroy(out);
        return err_set(err, ERR_INTERNAL, "%s: two replies at once", c->name);
    }
    c->out = out;
    if (c->unary) {
        pthread_mutex_unlock(&c->w.lock);
        return 0;
    }
    grpc_op ops[2] = {0};
    size_t n = 0;
    if (!c->initial_sent) ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    c->initial_sent = true;
    ops[n].op = GRPC_OP_SEND_MESSAGE;
    ops[n++].data.send_message.send_message = c->out;
    c->sending = start(c, ops, n, &c->sent);
    c->send_ok = false;
    if (!c->sending) grpc_byte_buffer_destroy(TAKE_PTR(c->out));
    await_sent(c);
    bool ok = c->send_ok;
    pthread_mutex_unlock(&c->w.lock);
    return ok ? 0 : peer_gone(err);
}
