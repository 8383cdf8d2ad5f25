/* The server: its completion-queue thread and its workers. */
#include "rpc/server.h"

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

enum {
    WORKERS_MAX = 256,
    WAITING_MAX = 4096,    /* calls that wait for a worker */
    WORKER_IDLE_MS = 2000, /* then it ends */
};

/* ---- Workers ---- */

/* With s->w.lock held. */
static struct rpc_call *take_waiting(struct rpc_server *s) {
    struct rpc_call *c = s->first;
    if (!c) return NULL;
    s->first = c->next;
    if (!s->first) s->last = &s->first;
    s->n_waiting--;
    return c;
}

/* With s->w.lock held: false when nothing came for a while or the server goes. */
static bool await_work(struct rpc_server *s) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORKER_IDLE_MS / 1000;
    s->n_idle++;
    int r = 0;
    while (!s->first && !s->closing && !r) r = pthread_cond_timedwait(&s->work, &s->w.lock, &until);
    s->n_idle--;
    return s->first;
}

static void *worker(void *arg) {
    struct rpc_server *s = arg;
    pthread_mutex_lock(&s->w.lock);
    do {
        for (struct rpc_call *c; (c = take_waiting(s));) {
            pthread_mutex_unlock(&s->w.lock);
            rpc_call_run(c);
            pthread_mutex_lock(&s->w.lock);
        }
    } while (await_work(s));
    s->n_workers--;
    /* Whoever ends joins the one that ended before, and rpc_server_free the last: then none is still cleaning up. */
    bool joins = s->has_ended;
    pthread_t before = s->ended;
    s->ended = pthread_self();
    s->has_ended = true;
    waiter_wake(&s->w);
    pthread_mutex_unlock(&s->w.lock); /* last: from here on s may go */
    if (joins) pthread_join(before, NULL);
    return NULL;
}

/* Threads take no signals: those are for the main thread. */
static int thread_start(pthread_t *ret, void *(*fn)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

bool rpc_server_enqueue(struct rpc_server *s, struct rpc_call *c) {
    pthread_mutex_lock(&s->w.lock);
    if (s->n_idle <= s->n_waiting && s->n_workers < s->max_workers) {
        pthread_t thread;
        if (thread_start(&thread, worker, s) == 0) s->n_workers++;
    }
    bool room = s->n_workers > 0 && s->n_waiting < WAITING_MAX;
    if (room) {
        *s->last = c;
        s->last = &c->next;
        s->n_waiting++;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->w.lock);
    return room;
}

/* ---- Completion queue ---- */

static void *completion_queue(void *arg) {
    struct rpc_server *s = arg;
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(s->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (ev.type == GRPC_QUEUE_SHUTDOWN) return NULL;
        if (ev.type != GRPC_OP_COMPLETE) continue;
        struct rpc_event *tag = ev.tag;
        tag->fn(tag, ev.success);
    }
}

static void stopped(struct rpc_event *ev, bool ok) {
    (void) ok;
    struct rpc_server *s = (struct rpc_server *) (void *) ((char *) ev - offsetof(struct rpc_server, stopped));
    pthread_mutex_lock(&s->w.lock);
    s->has_stopped = true;
    waiter_wake(&s->w);
    pthread_mutex_unlock(&s->w.lock);
}

/* ---- Life ---- */

static grpc_server_credentials *credentials(const struct rpc_server_options *opt, struct err *err) {
    if (!opt->cert_pem) return grpc_insecure_server_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {.private_key = secret_bytes(opt->key_pem), .cert_chain = opt->cert_pem};
    grpc_server_credentials *made = grpc_ssl_server_credentials_create_ex(
        opt->client_ca_pem, &pair, 1,
        opt->client_ca_pem ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
        NULL);
    if (!made) err_set(err, ERR_INVALID, "the server's certificate can't be used");
    return made;
}

struct rpc_server *rpc_server_new(const struct rpc_server_options *opt, struct err *err) {
    rpc_core_start();
    grpc_server_credentials *creds = credentials(opt, err);
    if (!creds) return NULL;
    struct rpc_server *s = NEW(struct rpc_server);
    waiter_init(&s->w);
    pthread_cond_init(&s->work, NULL);
    s->credentials = creds;
    s->methods = opt->methods;
    s->service = opt->service;
    s->max_workers = opt->max_workers ? opt->max_workers : WORKERS_MAX;
    s->cancel = cancel_new(opt->cancel);
    s->attached = cancel_new(NULL);
    s->last = &s->first;
    s->stopped.fn = stopped;
    grpc_arg args[RPC_CORE_ARGS];
    grpc_channel_args all = {.args = args, .num_args = rpc_core_args(args)};
    s->server = grpc_server_create(&all, NULL);
    s->cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s->server, s->cq, NULL);
    return s;
}

int rpc_server_listen(struct rpc_server *s, const char *address, int *ret_port, struct err *err) {
    int port = grpc_server_add_http2_port(s->server, address, s->credentials);
    if (!port) return err_set(err, ERR_UNAVAILABLE, "can't listen on %s", address);
    if (ret_port) *ret_port = port;
    return 0;
}

void rpc_server_start(struct rpc_server *s) {
    grpc_server_start(s->server);
    rpc_call_accept(s);
    if (thread_start(&s->cq_thread, completion_queue, s) != 0) mem_abort();
    s->started = true;
}

int rpc_server_add_fd(struct rpc_server *s, int fd, struct err *err) {
    if (!rpc_core_own_fd(fd)) return err_set(err, ERR_INVALID, "no connection to serve");
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    grpc_server_add_channel_from_fd(s->server, fd, plain);
    grpc_server_credentials_release(plain);
    return 0;
}

int rpc_server_drain(struct rpc_server *s, const struct ctx *ctx, struct err *err) {
    uint64_t bound = waiter_bind(&s->w, ctx);
    pthread_mutex_lock(&s->w.lock);
    int r = 0;
    while (s->n_calls > s->n_attached && !r) r = waiter_wait(&s->w, ctx, err);
    pthread_mutex_unlock(&s->w.lock);
    waiter_unbind(ctx, bound);
    return r;
}

static void stop(struct rpc_server *s) {
    pthread_mutex_lock(&s->w.lock);
    s->closing = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->w.lock);
    cancel_request(s->cancel);
    cancel_request(s->attached);
    grpc_server_shutdown_and_notify(s->server, s->cq, &s->stopped);
    grpc_server_cancel_all_calls(s->server);
    pthread_mutex_lock(&s->w.lock);
    while (!s->has_stopped || s->n_calls || s->n_workers) waiter_wait(&s->w, &(struct ctx){0}, NULL);
    pthread_mutex_unlock(&s->w.lock);
}

void rpc_server_free(struct rpc_server *s) {
    if (!s) return;
    if (!s->started) { /* gRPC wants a started server to shut down */
        grpc_server_start(s->server);
        if (thread_start(&s->cq_thread, completion_queue, s) != 0) mem_abort();
    }
    stop(s);
    if (s->has_ended) pthread_join(s->ended, NULL);
    grpc_completion_queue_shutdown(s->cq);
    pthread_join(s->cq_thread, NULL);
    grpc_completion_queue_destroy(s->cq);
    grpc_server_destroy(s->server);
    grpc_server_credentials_release(s->credentials);
    cancel_unref(s->cancel);
    cancel_unref(s->attached);
    pthread_cond_destroy(&s->work);
    waiter_done(&s->w);
    mem_free(s);
}
