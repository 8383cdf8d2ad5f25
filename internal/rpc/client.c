/* Channels and calls of the client's side. A call has a completion queue of its own, which the calling thread works
 * off: no thread besides gRPC's. Cancel and deadline end the call, and with it every wait for it. */
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "rpc/core.h"
#include "rpc/rpc.h"

/* ---- Channels ---- */

struct rpc_channel {
    grpc_channel *channel;
};

static grpc_channel_credentials *credentials(const struct rpc_channel_options *opt) {
    if (!opt->tls) return grpc_insecure_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {.private_key = secret_bytes(opt->key_pem), .cert_chain = opt->cert_pem};
    return grpc_ssl_credentials_create_ex(opt->ca_pem, opt->cert_pem ? &pair : NULL, NULL, NULL);
}

struct rpc_channel *rpc_channel_new(const struct rpc_channel_options *opt, struct err *err) {
    rpc_core_start();
    if (!opt->target && opt->tls) {
        err_set(err, ERR_INTERNAL, "TLS over a given connection isn't possible");
        return NULL;
    }
    if (!opt->target && !rpc_core_own_fd(opt->fd)) {
        err_set(err, ERR_INVALID, "no connection to call over");
        return NULL;
    }
    grpc_channel_credentials *creds = credentials(opt);
    if (!creds) {
        err_set(err, ERR_INVALID, "the certificates for %s can't be used", opt->target);
        return NULL;
    }
    grpc_arg args[RPC_CORE_ARGS + 3];
    size_t n = rpc_core_args(args);
    args[n++] = rpc_arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const char *name = opt->server_name ? opt->server_name : opt->target && !str_starts(opt->target, "unix:") ? NULL : "localhost";
    if (name) args[n++] = rpc_arg_str(GRPC_ARG_DEFAULT_AUTHORITY, name);
    if (opt->tls && opt->server_name) args[n++] = rpc_arg_str(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, opt->server_name);
    grpc_channel_args all = {.args = args, .num_args = n};
    struct rpc_channel *ch = NEW(struct rpc_channel);
    ch->channel = opt->target ? grpc_channel_create(opt->target, creds, &all)
                              : grpc_channel_create_from_fd("localhost", opt->fd, creds, &all);
    grpc_channel_credentials_release(creds);
    return ch;
}

void rpc_channel_free(struct rpc_channel *ch) {
    if (!ch) return;
    grpc_channel_destroy(ch->channel);
    mem_free(ch);
}

/* ---- Calls ---- */

struct rpc_stream {
    grpc_call *call;
    grpc_completion_queue *cq;
    char *method;
    struct arena *arena; /* the metadata sent */
    struct cancel *cancel;
    uint64_t hook;
    grpc_metadata *sending;
    size_t n_sending;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice status_text;
    bool started, ended;               /* ended: the status is there */
    char tag_life, tag_send, tag_recv; /* addresses only */
};

static void cancel_call(void *call) { grpc_call_cancel(call, NULL); }

static gpr_timespec deadline_of(const struct ctx *ctx) {
    int64_t left = ctx_left(ctx);
    if (left < 0) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(left, GPR_TIMESPAN));
}

/* Waits for a batch; it always comes, since cancel and deadline end the call. */
static bool await(struct rpc_stream *s, void *tag) {
    grpc_event ev = grpc_completion_queue_pluck(s->cq, tag, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    return ev.type == GRPC_OP_COMPLETE && ev.success;
}

static void set_metadata(struct rpc_stream *s, const struct rpc_meta *meta, size_t n) {
    s->sending = arena_array(s->arena, n, sizeof *s->sending);
    s->n_sending = n;
    for (size_t i = 0; i < n; i++) {
        s->sending[i].key = grpc_slice_from_copied_string(meta[i].key);
        s->sending[i].value = grpc_slice_from_copied_buffer(meta[i].value, meta[i].len);
    }
}

/* What lasts as long as the call: the headers of both sides and the status. */
static size_t life_ops(struct rpc_stream *s, grpc_op ops[3]) {
    ops[0] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA,
                       .data.send_initial_metadata = {.count = s->n_sending, .metadata = s->sending}};
    ops[1] = (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &s->initial};
    ops[2] = (grpc_op){
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {.trailing_metadata = &s->trailing, .status = &s->status, .status_details = &s->status_text}};
    return 3;
}

static struct rpc_stream *call_new(struct rpc_channel *ch, const struct ctx *ctx, const char *method, const struct rpc_meta *meta,
                                   size_t n_meta) {
    struct rpc_stream *s = NEW(struct rpc_stream);
    s->arena = arena_new();
    s->method = arena_strdup(s->arena, method);
    set_metadata(s, meta, n_meta);
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    s->status_text = grpc_empty_slice();
    s->cq = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice name = grpc_slice_from_copied_string(method);
    s->call = grpc_channel_create_call(ch->channel, NULL, GRPC_PROPAGATE_DEFAULTS, s->cq, name, NULL, deadline_of(ctx), NULL);
    grpc_slice_unref(name);
    s->cancel = cancel_ref(ctx->cancel);
    s->hook = cancel_on(s->cancel, cancel_call, s->call);
    return s;
}

static int refused(struct rpc_stream *s, grpc_call_error e, struct err *err) {
    return err_set(err, ERR_INTERNAL, "%s: gRPC refused the call (error %d)", s->method, (int) e);
}

/* Once the status is there: 0 for OK, else the error that it means. */
static int status_error(struct rpc_stream *s, struct err *err) {
    if (s->status == GRPC_STATUS_OK) return 0;
    if (cancel_requested(s->cancel)) return err_set(err, ERR_CANCELLED, "cancelled");
    AUTO_ARENA struct arena *a = arena_new();
    const char *text = text_clean(a, (const char *) GRPC_SLICE_START_PTR(s->status_text), GRPC_SLICE_LENGTH(s->status_text));
    if (str_empty(text)) text = rpc_core_status_name((int) s->status);
    int r = err_set(err, rpc_core_code((int) s->status), "%s", text);
    if (err && s->status == GRPC_STATUS_UNAVAILABLE) err->retryable = true;
    return r;
}

static void await_end(struct rpc_stream *s) {
    if (s->started && !s->ended) await(s, &s->tag_life);
    s->ended = true;
}

void rpc_stream_cancel(struct rpc_stream *s) { grpc_call_cancel(s->call, NULL); }

void rpc_stream_free(struct rpc_stream *s) {
    if (!s) return;
    if (!s->ended) rpc_stream_cancel(s);
    await_end(s);
    cancel_off(s->cancel, s->hook);
    cancel_unref(s->cancel);
    grpc_call_unref(s->call);
    grpc_completion_queue_shutdown(s->cq);
    while (grpc_completion_queue_pluck(s->cq, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type != GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(s->cq);
    for (size_t i = 0; i < s->n_sending; i++) {
        grpc_slice_unref(s->sending[i].key);
        grpc_slice_unref(s->sending[i].value);
    }
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->status_text);
    arena_free(s->arena);
    mem_free(s);
}

static inline void stream_free_p(struct rpc_stream **s) { rpc_stream_free(*s); }
#define AUTO_STREAM CLEANUP(stream_free_p)

/* ---- Unary ---- */

static void take_details(struct rpc_stream *s, struct arena *a, struct rpc_reply *ret) {
    for (size_t i = 0; i < s->trailing.count; i++) {
        const grpc_metadata *m = &s->trailing.metadata[i];
        if (grpc_slice_str_cmp(m->key, "grpc-status-details-bin") != 0) continue;
        ret->details = rpc_core_text(a, m->value);
        ret->details_len = GRPC_SLICE_LENGTH(m->value);
    }
}

static int run_unary(struct rpc_stream *s, const void *msg, size_t len, grpc_byte_buffer **ret_reply, struct err *err) {
    grpc_byte_buffer *out = rpc_core_buffer(msg, len);
    grpc_op ops[6];
    size_t n = life_ops(s, ops);
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = out};
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    ops[n++] = (grpc_op){.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = ret_reply};
    grpc_call_error e = grpc_call_start_batch(s->call, ops, n, &s->tag_life, NULL);
    s->started = e == GRPC_CALL_OK;
    await_end(s);
    grpc_byte_buffer_destroy(out);
    return s->started ? 0 : refused(s, e, err);
}

int rpc_unary(struct rpc_channel *ch, struct ctx *ctx, const char *method, const void *msg, size_t len, struct rpc_reply *ret,
              int *ret_status, struct err *err) {
    if (ret_status) *ret_status = -1;
    if (len > RPC_MESSAGE_MAX) return err_set(err, ERR_LIMIT, "%s: a message of %zu bytes is too long for gRPC", method, len);
    int r = ctx_check(ctx, err);
    if (r < 0) return r;
    AUTO_STREAM struct rpc_stream *s = call_new(ch, ctx, method, NULL, 0);
    grpc_byte_buffer *in = NULL;
    struct rpc_reply reply = {0};
    r = run_unary(s, msg, len, &in, err);
    if (!r) {
        if (ret_status) *ret_status = (int) s->status;
        r = status_error(s, err);
    }
    if (!r && !in) r = err_set(err, ERR_PROTOCOL, "%s: OK without a reply", method);
    if (!r) reply.data = rpc_core_take(TAKE_PTR(in), ctx->arena, &reply.len);
    if (in) grpc_byte_buffer_destroy(in);
    if (r < 0) take_details(s, ctx->arena, &reply);
    if (ret) *ret = reply;
    return r;
}

/* ---- Streams ---- */

int rpc_stream_open(struct rpc_channel *ch, struct ctx *ctx, const char *method, const struct rpc_meta *meta, size_t n_meta,
                    struct rpc_stream **ret, struct err *err) {
    int r = ctx_check(ctx, err);
    if (r < 0) return r;
    AUTO_STREAM struct rpc_stream *s = call_new(ch, ctx, method, meta, n_meta);
    grpc_op ops[3];
    size_t n = life_ops(s, ops);
    grpc_call_error e = grpc_call_start_batch(s->call, ops, n, &s->tag_life, NULL);
    s->started = e == GRPC_CALL_OK;
    if (!s->started) return refused(s, e, err);
    *ret = TAKE_PTR(s);
    return 0;
}

static int send_batch(struct rpc_stream *s, const grpc_op *op, struct err *err) {
    grpc_call_error e = grpc_call_start_batch(s->call, op, 1, &s->tag_send, NULL);
    if (e != GRPC_CALL_OK) return refused(s, e, err);
    if (await(s, &s->tag_send)) return 0;
    if (cancel_requested(s->cancel)) return err_set(err, ERR_CANCELLED, "cancelled");
    return err_set(err, ERR_UNAVAILABLE, "%s: the peer has ended the call", s->method);
}

int rpc_stream_send(struct rpc_stream *s, const void *msg, size_t len, struct err *err) {
    if (len > RPC_MESSAGE_MAX) return err_set(err, ERR_LIMIT, "%s: a message of %zu bytes is too long for gRPC", s->method, len);
    grpc_byte_buffer *out = rpc_core_buffer(msg, len);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = out};
    int r = send_batch(s, &op, err);
    grpc_byte_buffer_destroy(out);
    return r;
}

int rpc_stream_close_send(struct rpc_stream *s, struct err *err) {
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    return send_batch(s, &op, err);
}

int rpc_stream_recv(struct rpc_stream *s, struct arena *a, const void **ret, size_t *ret_len, int *ret_status, struct err *err) {
    if (ret_status) *ret_status = -1;
    grpc_byte_buffer *in = NULL;
    if (!s->ended) {
        grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &in};
        grpc_call_error e = grpc_call_start_batch(s->call, &op, 1, &s->tag_recv, NULL);
        if (e != GRPC_CALL_OK) return refused(s, e, err);
        await(s, &s->tag_recv);
    }
    if (in) {
        *ret = rpc_core_take(in, a, ret_len);
        return 1;
    }
    await_end(s);
    if (ret_status) *ret_status = (int) s->status;
    return status_error(s, err);
}
