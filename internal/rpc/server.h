#pragma once

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "rpc/core.h"
#include "rpc/rpc.h"

/* Inside of the server: server.c has its life, its completion queue and its workers, call.c what happens to one call. */

/* A tag of the completion queue. Runs in the completion-queue thread. */
struct rpc_event {
    void (*fn)(struct rpc_event *ev, bool ok);
};

struct rpc_server {
    grpc_server *server;
    grpc_completion_queue *cq;
    pthread_t cq_thread;
    bool started;
    const struct rpc_method *methods;
    void *service;
    struct cancel *cancel;   /* parent of calls */
    struct cancel *attached; /* parent of attached calls */
    grpc_server_credentials *credentials;
    struct rpc_event stopped;

    struct waiter w; /* lock of all that follows; woken when a count falls */
    bool closing, has_stopped;
    struct rpc_call *calls; /* accepted and not freed */
    size_t n_calls, n_attached;
    struct rpc_call *first, **last; /* waiting for a worker */
    size_t n_waiting;
    pthread_cond_t work;
    size_t n_workers, n_idle, max_workers;
    pthread_t ended; /* the worker that ended last */
    bool has_ended;
};

struct rpc_call {
    struct rpc_server *s;
    const struct rpc_method *method;
    bool unary, urgent, attached; /* the method's */
    char *name;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    struct rpc_meta *meta;
    struct arena *arena;
    struct cancel *cancel;
    struct ctx ctx;
    uint64_t bound;
    atomic_int refs; /* the handler's and one for each batch under way */
    struct rpc_event accepted, received, sent, closed, finished;
    int was_cancelled;              /* written by gRPC before `closed` */
    struct rpc_call *next;          /* waiting for a worker */
    struct rpc_call *newer, *older; /* s->calls, when listed */
    bool listed;

    struct waiter w; /* lock of what follows */
    bool gone;       /* the peer */
    bool running;    /* the handler has begun */
    bool receiving, half_closed;
    grpc_byte_buffer *arriving, *in; /* arriving is gRPC's until `received` */
    bool initial_sent, sending, send_ok;
    grpc_byte_buffer *out; /* until `sent` or `finished` */
    grpc_slice status_text;
};

void rpc_call_accept(struct rpc_server *s); /* asks gRPC for the next call */
void rpc_call_run(struct rpc_call *c);      /* the handler and the status after it; gives the handler's reference back */
void rpc_call_refuse(struct rpc_call *c, int status, const char *text);
bool rpc_server_enqueue(struct rpc_server *s, struct rpc_call *c); /* false: no room */
