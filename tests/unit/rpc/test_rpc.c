/* Server and client against each other, over a socket pair and over TLS. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "rpc/rpc.h"

enum { BIG = 20 * 1000 * 1000 };

/* ---- A service ---- */

struct service {
    atomic_int blocked, ended, flooded;
};

static int echo(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    const void *msg;
    size_t len;
    if (rpc_call_recv(c, NULL, &msg, &len, err) != 1) return RPC_INVALID_ARGUMENT;
    return rpc_call_send(c, msg, len, err) < 0 ? RPC_INTERNAL : RPC_OK;
}

static int echo_stream(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    for (;;) {
        AUTO_ARENA struct arena *a = arena_new();
        const void *msg;
        size_t len;
        int r = rpc_call_recv(c, a, &msg, &len, err);
        if (r <= 0) return r < 0 ? RPC_CANCELLED : RPC_OK;
        if (rpc_call_send(c, msg, len, err) < 0) return RPC_INTERNAL;
    }
}

static int block(void *service, struct rpc_call *c, struct err *err) {
    struct service *s = service;
    atomic_fetch_add(&s->blocked, 1);
    int r = ctx_sleep(rpc_call_ctx(c), 60000, err);
    atomic_fetch_add(&s->ended, 1);
    if (!r) return RPC_DEADLINE_EXCEEDED;
    rpc_call_send(c, "stopped", 7, err); /* the reply of a cancelled call still gets through */
    return RPC_OK;
}

static int block_in_recv(void *service, struct rpc_call *c, struct err *err) {
    struct service *s = service;
    const void *msg;
    size_t len;
    atomic_fetch_add(&s->blocked, 1);
    while (rpc_call_recv(c, NULL, &msg, &len, err) == 1) {
    }
    atomic_fetch_add(&s->ended, 1);
    return RPC_CANCELLED;
}

static int flood(void *service, struct rpc_call *c, struct err *err) {
    struct service *s = service;
    AUTO_FREE char *chunk = mem_alloc(1 << 20);
    while (rpc_call_send(c, chunk, 1 << 20, err) == 0) atomic_fetch_add(&s->flooded, 1);
    atomic_fetch_add(&s->ended, 1);
    return RPC_CANCELLED;
}

static int not_found(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    (void) c;
    err_set(err, ERR_NOT_FOUND, "no such thing: %s", "caf\xc3\xa9 \x1b[31m\xff");
    return RPC_NOT_FOUND;
}

static int meta(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    const char *values[4];
    size_t n = rpc_call_meta_get(c, "followpaths", values, 4), all;
    char *text = arena_printf(rpc_call_ctx(c)->arena, "%zu %s %s", n, values[0], values[1]);
    if (n != 2 || !rpc_call_meta(c, &all) || all < 2) return RPC_INTERNAL;
    return rpc_call_send(c, text, strlen(text), err) < 0 ? RPC_INTERNAL : RPC_OK;
}

static int meta_length(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    const char *value = "";
    rpc_call_meta_get(c, "big", &value, 1);
    char *text = arena_printf(rpc_call_ctx(c)->arena, "%zu", strlen(value));
    return rpc_call_send(c, text, strlen(text), err) < 0 ? RPC_INTERNAL : RPC_OK;
}

static int nothing(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    (void) c;
    (void) err;
    return RPC_OK;
}

static const struct rpc_method methods[] = {
    {.name = "/t.S/Echo", .handle = echo, .unary = true},
    {.name = "/t.S/Ping", .handle = echo, .urgent = true, .unary = true},
    {.name = "/t.S/Stream", .handle = echo_stream},
    {.name = "/t.S/Block", .handle = block, .unary = true},
    {.name = "/t.S/Attached", .handle = block, .unary = true, .attached = true},
    {.name = "/t.S/BlockInRecv", .handle = block_in_recv},
    {.name = "/t.S/Flood", .handle = flood},
    {.name = "/t.S/Fail", .handle = not_found, .unary = true},
    {.name = "/t.S/Meta", .handle = meta},
    {.name = "/t.S/MetaLength", .handle = meta_length},
    {.name = "/t.S/Nothing", .handle = nothing, .unary = true},
    {0},
};

/* ---- Both ends ---- */

struct world {
    struct service service;
    struct cancel *stop; /* of the server's calls */
    struct rpc_server *server;
    struct rpc_channel *channel;
    struct cancel *cancel; /* of the client */
    struct ctx ctx;
};

static void open_world(struct world *w, size_t max_workers) {
    int fds[2];
    *w = (struct world){.stop = cancel_new(NULL), .cancel = cancel_new(NULL)};
    w->ctx = (struct ctx){.arena = arena_new(), .cancel = w->cancel};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    w->server = rpc_server_new(
        &(struct rpc_server_options){.methods = methods, .service = &w->service, .max_workers = max_workers, .cancel = w->stop},
        NULL);
    assert_non_null(w->server);
    rpc_server_start(w->server);
    assert_int_equal(rpc_server_add_fd(w->server, fds[0], NULL), 0);
    w->channel = rpc_channel_new(&(struct rpc_channel_options){.fd = fds[1]}, NULL);
    assert_non_null(w->channel);
}

static void close_world(struct world *w) {
    rpc_channel_free(w->channel);
    rpc_server_free(w->server);
    cancel_unref(w->stop);
    cancel_unref(w->cancel);
    arena_free(w->ctx.arena);
}

static void await_count(atomic_int *count, int n) {
    for (int i = 0; i < 10000 && atomic_load(count) < n; i++) usleep(1000);
    assert_true(atomic_load(count) >= n);
}

static int64_t now_ms(void) { return clock_system.now(NULL); }

static void *cancel_soon(void *cancel) {
    usleep(100 * 1000);
    cancel_request(cancel);
    return NULL;
}

/* ---- Unary ---- */

static void test_unary(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct rpc_reply reply;
    int status;
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Echo", "hello", 5, &reply, &status, NULL), 0);
    assert_int_equal(status, RPC_OK);
    assert_int_equal(reply.len, 5);
    assert_memory_equal(reply.data, "hello", 6); /* and a NUL */
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Echo", NULL, 0, &reply, &status, NULL), 0);
    assert_int_equal(reply.len, 0);
    for (int i = 0; i < 300; i++) assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Ping", "x", 1, &reply, NULL, NULL), 0);
    close_world(&w);
}

static void test_big_messages(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    AUTO_FREE char *big = mem_alloc(BIG);
    for (int i = 0; i < BIG; i++) big[i] = (char) (i * 7 + i / 251);
    struct rpc_reply reply;
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Echo", big, BIG, &reply, NULL, NULL), 0);
    assert_int_equal(reply.len, BIG);
    assert_memory_equal(reply.data, big, BIG);
    close_world(&w);
}

static void test_statuses(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    AUTO_ERR struct err err = {0};
    int status;
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Fail", "", 0, NULL, &status, &err), -ERR_NOT_FOUND);
    assert_int_equal(status, RPC_NOT_FOUND);
    assert_string_equal(err.message, "no such thing: caf\xc3\xa9 \xef\xbf\xbd"); /* repaired on its way */
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Unknown", "", 0, NULL, &status, &err), -ERR_UNSUPPORTED);
    assert_int_equal(status, RPC_UNIMPLEMENTED);
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Nothing", "", 0, NULL, &status, &err), -ERR_FAILED);
    assert_int_equal(status, RPC_INTERNAL);
    close_world(&w);
}

struct caller {
    struct world *w;
    const char *method;
    int r;
    struct rpc_reply reply;
    pthread_t thread;
};

static void *call_method(void *arg) {
    struct caller *c = arg;
    struct ctx ctx = c->w->ctx;
    AUTO_ARENA struct arena *a = arena_new();
    ctx.arena = a;
    c->r = rpc_unary(c->w->channel, &ctx, c->method, "", 0, &c->reply, NULL, NULL);
    c->reply.data = NULL;
    return NULL;
}

static void start_callers(struct world *w, struct caller *callers, size_t n, const char *method) {
    for (size_t i = 0; i < n; i++) {
        callers[i] = (struct caller){.w = w, .method = method};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_method, &callers[i]), 0);
    }
}

static void join_callers(struct caller *callers, size_t n) {
    for (size_t i = 0; i < n; i++) pthread_join(callers[i].thread, NULL);
}

/* Stop and Shutdown must be answered however busy the workers are; and a stop lets every reply through. */
static void test_urgent_while_busy(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 3);
    struct caller callers[8];
    start_callers(&w, callers, 8, "/t.S/Block");
    await_count(&w.service.blocked, 3);
    struct rpc_reply reply;
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Ping", "up", 2, &reply, NULL, NULL), 0);
    assert_int_equal(reply.len, 2);
    assert_int_equal(atomic_load(&w.service.blocked), 3); /* bounded */
    int64_t t = now_ms();
    cancel_request(w.stop);
    join_callers(callers, 8);
    assert_true(now_ms() - t < 1000);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(callers[i].r, 0);
        assert_int_equal(callers[i].reply.len, 7);
    }
    close_world(&w);
}

static void test_attached_outlives_stop(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct caller callers[2];
    start_callers(&w, callers, 1, "/t.S/Attached");
    start_callers(&w, callers + 1, 1, "/t.S/Block");
    await_count(&w.service.blocked, 2);
    struct ctx brief = ctx_with_timeout(&(struct ctx){0}, 20);
    assert_int_equal(rpc_server_drain(w.server, &brief, NULL), -ERR_TIMEOUT);
    cancel_request(w.stop);
    join_callers(callers + 1, 1);
    struct ctx longer = ctx_with_timeout(&(struct ctx){0}, 5000);
    assert_int_equal(rpc_server_drain(w.server, &longer, NULL), 0); /* the attached one doesn't count */
    assert_int_equal(atomic_load(&w.service.ended), 1);
    cancel_request(w.cancel);
    join_callers(callers, 1);
    assert_int_equal(callers[0].r, -ERR_CANCELLED);
    await_count(&w.service.ended, 2);
    close_world(&w);
}

static void test_cancel_and_deadline_of_the_client(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct ctx brief = ctx_with_timeout(&w.ctx, 100);
    int64_t t = now_ms();
    assert_int_equal(rpc_unary(w.channel, &brief, "/t.S/Block", "", 0, NULL, NULL, NULL), -ERR_TIMEOUT);
    assert_true(now_ms() - t >= 90 && now_ms() - t < 1500);
    await_count(&w.service.ended, 1); /* the server's call hears of it */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, w.cancel), 0);
    t = now_ms();
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Block", "", 0, NULL, NULL, NULL), -ERR_CANCELLED);
    assert_true(now_ms() - t < 1000);
    pthread_join(thread, NULL);
    await_count(&w.service.ended, 2);
    int status;
    assert_int_equal(rpc_unary(w.channel, &w.ctx, "/t.S/Echo", "", 0, NULL, &status, NULL), -ERR_CANCELLED);
    assert_int_equal(status, -1);
    close_world(&w);
}

/* ---- Streams ---- */

static void test_stream(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct rpc_stream *s;
    AUTO_ARENA struct arena *a = arena_new();
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/Stream", NULL, 0, &s, NULL), 0);
    const void *msg;
    size_t len;
    for (int i = 0; i < 100; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i);
        assert_int_equal(rpc_stream_send(s, text, (size_t) n, NULL), 0);
        assert_int_equal(rpc_stream_recv(s, a, &msg, &len, NULL, NULL), 1);
        assert_string_equal(msg, text);
    }
    assert_int_equal(rpc_stream_close_send(s, NULL), 0);
    int status;
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, &status, NULL), 0);
    assert_int_equal(status, RPC_OK);
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, &status, NULL), 0); /* again */
    rpc_stream_free(s);
    close_world(&w);
}

struct sender {
    struct rpc_stream *s;
    int r;
};

static void *send_many(void *arg) {
    struct sender *x = arg;
    AUTO_FREE char *chunk = mem_alloc(256 << 10);
    for (int i = 0; i < 200 && !x->r; i++) x->r = rpc_stream_send(x->s, chunk, 256 << 10, NULL);
    if (!x->r) x->r = rpc_stream_close_send(x->s, NULL);
    return NULL;
}

static void test_stream_from_two_threads(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct sender x = {0};
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/Stream", NULL, 0, &x.s, NULL), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_many, &x), 0);
    size_t total = 0;
    for (;;) {
        AUTO_ARENA struct arena *a = arena_new();
        const void *msg;
        size_t len;
        int r = rpc_stream_recv(x.s, a, &msg, &len, NULL, NULL);
        assert_true(r >= 0);
        if (!r) break;
        total += len;
    }
    pthread_join(thread, NULL);
    assert_int_equal(x.r, 0);
    assert_int_equal(total, (size_t) 200 * (256 << 10));
    rpc_stream_free(x.s);
    close_world(&w);
}

static void test_metadata(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    AUTO_ARENA struct arena *a = arena_new();
    struct rpc_meta pairs[] = {{"followpaths", "shared", 6}, {"followpaths", "api-service", 11}};
    struct rpc_stream *s;
    const void *msg;
    size_t len;
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/Meta", pairs, 2, &s, NULL), 0);
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, NULL, NULL), 1);
    assert_string_equal(msg, "2 shared api-service");
    rpc_stream_free(s);
    AUTO_FREE char *big = mem_alloc(300001); /* far above gRPC's 8 KiB */
    memset(big, 'x', 300000);
    struct rpc_meta one = {"big", big, 300000};
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/MetaLength", &one, 1, &s, NULL), 0);
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, NULL, NULL), 1);
    assert_string_equal(msg, "300000");
    rpc_stream_free(s);
    close_world(&w);
}

/* A peer that doesn't read stops the sender, and a cancel of either side frees it. */
static void test_backpressure(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct rpc_stream *s;
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/Flood", NULL, 0, &s, NULL), 0);
    await_count(&w.service.flooded, 1);
    usleep(200 * 1000);
    int before = atomic_load(&w.service.flooded);
    usleep(200 * 1000);
    assert_int_equal(atomic_load(&w.service.flooded), before);
    assert_true(before < 64);
    int64_t t = now_ms();
    cancel_request(w.stop); /* the server's side */
    await_count(&w.service.ended, 1);
    assert_true(now_ms() - t < 1000);
    rpc_stream_free(s);
    close_world(&w);

    open_world(&w, 0);
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/Flood", NULL, 0, &s, NULL), 0);
    await_count(&w.service.flooded, 1);
    rpc_stream_free(s); /* the client's side */
    await_count(&w.service.ended, 1);
    close_world(&w);
}

static void test_cancel_ends_receives(void **state) {
    (void) state;
    struct world w;
    AUTO_ARENA struct arena *a = arena_new();
    const void *msg;
    size_t len;
    struct rpc_stream *s;
    open_world(&w, 0);
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/BlockInRecv", NULL, 0, &s, NULL), 0);
    await_count(&w.service.blocked, 1);
    cancel_request(w.stop);
    int status;
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, &status, NULL), -ERR_CANCELLED);
    assert_int_equal(status, RPC_CANCELLED);
    rpc_stream_free(s);
    close_world(&w);

    open_world(&w, 0);
    assert_int_equal(rpc_stream_open(w.channel, &w.ctx, "/t.S/BlockInRecv", NULL, 0, &s, NULL), 0);
    await_count(&w.service.blocked, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, w.cancel), 0);
    int64_t t = now_ms();
    assert_int_equal(rpc_stream_recv(s, a, &msg, &len, NULL, NULL), -ERR_CANCELLED);
    assert_true(now_ms() - t < 1000);
    assert_int_equal(rpc_stream_send(s, "x", 1, NULL), -ERR_CANCELLED);
    pthread_join(thread, NULL);
    rpc_stream_free(s);
    await_count(&w.service.ended, 1);
    close_world(&w);
}

static void test_free_ends_what_runs(void **state) {
    (void) state;
    struct world w;
    open_world(&w, 0);
    struct caller callers[4];
    start_callers(&w, callers, 4, "/t.S/Block");
    await_count(&w.service.blocked, 4);
    int64_t t = now_ms();
    rpc_server_free(TAKE_PTR(w.server));
    assert_true(now_ms() - t < 1000);
    assert_int_equal(atomic_load(&w.service.ended), 4);
    join_callers(callers, 4);
    close_world(&w);
}

static void test_peer_that_goes(void **state) {
    (void) state;
    struct world w;
    int fds[2];
    open_world(&w, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    close(fds[0]);
    struct rpc_channel *dead = rpc_channel_new(&(struct rpc_channel_options){.fd = fds[1]}, NULL);
    AUTO_ERR struct err err = {0};
    assert_int_equal(rpc_unary(dead, &w.ctx, "/t.S/Echo", "", 0, NULL, NULL, &err), -ERR_UNAVAILABLE);
    assert_true(err.retryable);
    rpc_channel_free(dead);
    close_world(&w);
}

/* ---- TLS ---- */

struct tls {
    char dir[64], address[128];
    struct cert server, client, stranger;
    struct rpc_server *s;
};

static void open_tls(struct tls *t) {
    strncpy(t->dir, "/tmp/gpudev-rpc-XXXXXX", sizeof t->dir);
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->address, sizeof t->address, "unix:%s/s", t->dir);
    assert_int_equal(cert_self_signed(&t->server, NULL), 0);
    assert_int_equal(cert_self_signed(&t->client, NULL), 0);
    assert_int_equal(cert_self_signed(&t->stranger, NULL), 0);
    t->s = rpc_server_new(
        &(struct rpc_server_options){
            .methods = methods, .cert_pem = t->server.cert_pem, .key_pem = t->server.key_pem, .client_ca_pem = t->client.cert_pem},
        NULL);
    assert_non_null(t->s);
    assert_int_equal(rpc_server_listen(t->s, t->address, NULL, NULL), 0);
    rpc_server_start(t->s);
}

static int call_over_tls(struct tls *t, const struct cert *ca, const struct cert *mine) {
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = ctx_with_timeout(&(struct ctx){.arena = a}, 5000);
    struct rpc_channel *ch = rpc_channel_new(&(struct rpc_channel_options){.target = t->address,
                                                                           .tls = true,
                                                                           .ca_pem = ca->cert_pem,
                                                                           .server_name = "localhost",
                                                                           .cert_pem = mine ? mine->cert_pem : NULL,
                                                                           .key_pem = mine ? mine->key_pem : NULL},
                                             NULL);
    assert_non_null(ch);
    int r = rpc_unary(ch, &ctx, "/t.S/Echo", "x", 1, NULL, NULL, NULL);
    rpc_channel_free(ch);
    return r;
}

static void test_mutual_tls(void **state) {
    (void) state;
    struct tls t = {0};
    open_tls(&t);
    assert_int_equal(call_over_tls(&t, &t.server, &t.client), 0);
    assert_int_equal(call_over_tls(&t, &t.server, NULL), -ERR_UNAVAILABLE);        /* no client certificate */
    assert_int_equal(call_over_tls(&t, &t.server, &t.stranger), -ERR_UNAVAILABLE); /* another's */
    assert_int_equal(call_over_tls(&t, &t.stranger, &t.client), -ERR_UNAVAILABLE); /* the server isn't who it should be */
    rpc_server_free(t.s);
    unlink(t.address + strlen("unix:"));
    rmdir(t.dir);
    cert_done(&t.server);
    cert_done(&t.client);
    cert_done(&t.stranger);
}

static void test_refusals(void **state) {
    (void) state;
    AUTO_ERR struct err err = {0};
    struct rpc_server *s = rpc_server_new(&(struct rpc_server_options){.methods = methods}, &err);
    assert_int_equal(rpc_server_listen(s, "unix:/nonexistent/folder/s", NULL, &err), -ERR_UNAVAILABLE);
    assert_int_equal(rpc_server_add_fd(s, -1, &err), -ERR_INVALID);
    rpc_server_free(s); /* never started */
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = ctx_with_timeout(&(struct ctx){.arena = a}, 5000);
    struct rpc_channel *ch = rpc_channel_new(&(struct rpc_channel_options){.target = "unix:/nonexistent/s"}, &err);
    int64_t t = now_ms();
    assert_int_equal(rpc_unary(ch, &ctx, "/t.S/Echo", "x", 1, NULL, NULL, &err), -ERR_UNAVAILABLE);
    assert_true(now_ms() - t < 2000);
    rpc_channel_free(ch);
}

static int end_grpc(void **state) {
    (void) state;
    rpc_shutdown();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_big_messages),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_urgent_while_busy),
        cmocka_unit_test(test_attached_outlives_stop),
        cmocka_unit_test(test_cancel_and_deadline_of_the_client),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_from_two_threads),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_cancel_ends_receives),
        cmocka_unit_test(test_free_ends_what_runs),
        cmocka_unit_test(test_peer_that_goes),
        cmocka_unit_test(test_mutual_tls),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, end_grpc);
}
