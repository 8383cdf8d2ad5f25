#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct cancel;
struct ctx;
struct err;
struct secret;

/* gRPC (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) over gRPC-C core, the only user of it.
 * Messages are bytes here; who knows the protobuf types encodes and decodes. */

/* gRPC status codes that are used by name. */
enum {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14
};

struct rpc_meta {
    const char *key; /* lower case */
    const char *value;
    size_t len; /* of value; "-bin" keys hold any bytes */
};

/* ---- Server ---- */

/* One running call, in a worker thread of its own. recv and send may be used from two threads at once. */
struct rpc_call;

struct ctx *rpc_call_ctx(struct rpc_call *c);          /* its arena dies with the call; cancelled when the peer goes */
const char *rpc_call_method(const struct rpc_call *c); /* "/package.Service/Method" */
const struct rpc_meta *rpc_call_meta(const struct rpc_call *c, size_t *ret_n);
/* Every value of a metadata key, in order; returns how many. */
size_t rpc_call_meta_get(const struct rpc_call *c, const char *key, const char **values, size_t max);
/* The next message: 1 and bytes in ctx->arena (of the given arena if not NULL), 0 when the peer has half-closed,
 * negative on cancel. */
int rpc_call_recv(struct rpc_call *c, struct arena *a, const void **ret, size_t *ret_len, struct err *err);
/* Returns when gRPC has taken the message (backpressure). After a cancel it still tries for half a second. In a unary
 * method it only keeps the reply. */
int rpc_call_send(struct rpc_call *c, const void *msg, size_t len, struct err *err);

struct rpc_method {
    const char *name; /* "/package.Service/Method" */
    /* Receives and sends; returns an RPC_ status with its text in err (RPC_OK: err unused). */
    int (*handle)(void *service, struct rpc_call *c, struct err *err);
    /* One message in, one out, which goes out together with the status when handle returns: also after a cancel, so that
     * what was done is never lost on the way. */
    bool unary;
    bool urgent;   /* unary, in the completion-queue thread at once, even when all workers are busy; must not block */
    bool attached; /* cancelled by its peer and rpc_server_free alone, not by the server's cancel */
    void *service; /* NULL: the server's */
};

struct rpc_server;

struct rpc_server_options {
    const struct rpc_method *methods; /* ended by a NULL name; methods that aren't there answer UNIMPLEMENTED */
    void *service;
    size_t max_workers;    /* 0: 256 */
    struct cancel *cancel; /* parent of every call's cancel; may be NULL */
    /* TLS of our own (listening servers only): NULL cert_pem is plain. client_ca_pem: a client certificate is
     * demanded and must be (or be signed by) it. */
    const char *cert_pem;
    const struct secret *key_pem;
    const char *client_ca_pem;
};

struct rpc_server *rpc_server_new(const struct rpc_server_options *opt, struct err *err);
/* "unix:/path" or "127.0.0.1:0"; *ret_port as bound. */
int rpc_server_listen(struct rpc_server *s, const char *address, int *ret_port, struct err *err);
void rpc_server_start(struct rpc_server *s);
/* Serves a connection that exists already (plain); gRPC owns the descriptor. After start. */
int rpc_server_add_fd(struct rpc_server *s, int fd, struct err *err);
/* Waits until no call runs (but attached ones); new ones are still taken. Bounded by ctx. */
int rpc_server_drain(struct rpc_server *s, const struct ctx *ctx, struct err *err);
/* Cancels what runs, waits for the workers, frees. */
void rpc_server_free(struct rpc_server *s);

/* ---- Client ---- */

struct rpc_channel;

struct rpc_channel_options {
    const char *target; /* "host:port" or "unix:/path"; NULL with fd */
    int fd;             /* an open connection (plain h2), owned by gRPC from here on; used when target is NULL */
    bool tls;
    const char *ca_pem, *cert_pem; /* mTLS of our side; NULL: system roots, none */
    const struct secret *key_pem;
    const char *server_name;
};

struct rpc_channel *rpc_channel_new(const struct rpc_channel_options *opt, struct err *err);
void rpc_channel_free(struct rpc_channel *ch); /* calls must have ended */

struct rpc_reply {
    const void *data; /* in ctx->arena */
    size_t len;
    /* Of a failed call: the "grpc-status-details-bin" trailer (google.rpc.Status), in ctx->arena; NULL without. */
    const void *details;
    size_t details_len;
};
/* One request, one reply. A status other than OK is an error whose text is the peer's; *ret_status (may be NULL) gets
 * it, -1 when no status came. */
int rpc_unary(struct rpc_channel *ch, struct ctx *ctx, const char *method, const void *msg, size_t len, struct rpc_reply *ret,
              int *ret_status, struct err *err);

struct rpc_stream; /* a call with messages either way; send and recv may be used from two threads at once */
int rpc_stream_open(struct rpc_channel *ch, struct ctx *ctx, const char *method, const struct rpc_meta *meta, size_t n_meta,
                    struct rpc_stream **ret, struct err *err);
int rpc_stream_send(struct rpc_stream *s, const void *msg, size_t len, struct err *err);
int rpc_stream_close_send(struct rpc_stream *s, struct err *err);
/* 1 and a message in a, 0 when the peer ended with OK, negative with the peer's status otherwise. */
int rpc_stream_recv(struct rpc_stream *s, struct arena *a, const void **ret, size_t *ret_len, int *ret_status, struct err *err);
void rpc_stream_cancel(struct rpc_stream *s);
void rpc_stream_free(struct rpc_stream *s); /* cancels if it still runs; waits for its end */

/* gRPC core is started by the first use; this waits until its threads are gone (leak checks, fork). */
void rpc_shutdown(void);
