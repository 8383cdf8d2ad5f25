#include "context/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"

enum { THREADS_MAX = 16 };

struct pool {
    struct ctx *ctx;
    pool_fn *fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    void **todo; /* a stack */
    size_t n, cap;
    size_t busy;    /* threads with an item in hand */
    size_t waiting; /* threads asleep */
    size_t next_id, threads;
    pthread_t ids[THREADS_MAX];
    size_t started;
    int result; /* the first error's */
    struct err err;
};

size_t pool_threads(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t) n;
}

static void *work(void *arg);

/* One more thread, once there is enough to do for it. */
static void maybe_start(struct pool *p) {
    enum { ENOUGH = 8 };
    if (p->started + 1 >= p->threads || p->n < ENOUGH * (p->started + 1)) return;
    if (!pthread_create(&p->ids[p->started], NULL, work, p))
        p->started++;
    else
        p->threads = 0;
}

void pool_add(struct pool *p, void *item) {
    pthread_mutex_lock(&p->lock);
    MEM_GROW(p->todo, p->n, p->cap);
    p->todo[p->n++] = item;
    maybe_start(p);
    if (p->waiting) pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* The next item; NULL when all is done, or failed. */
static void *take(struct pool *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->n && p->busy && p->result >= 0) {
        p->waiting++;
        pthread_cond_wait(&p->wake, &p->lock);
        p->waiting--;
    }
    void *item = p->n && p->result >= 0 ? p->todo[--p->n] : NULL;
    if (item) p->busy++;
    pthread_mutex_unlock(&p->lock);
    return item;
}

static void put_back(struct pool *p, int r, struct err *err) {
    pthread_mutex_lock(&p->lock);
    p->busy--;
    if (r < 0 && p->result >= 0) {
        p->result = r;
        err_move(&p->err, err);
    }
    if (!p->busy || p->result < 0) pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg) {
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    size_t id = p->next_id++;
    pthread_mutex_unlock(&p->lock);
    for (void *item; (item = take(p));) {
        AUTO_ERR struct err err = {0};
        int r = p->ctx ? ctx_check(p->ctx, &err) : 0;
        if (r >= 0) r = p->fn(p->arg, id, item, p, &err);
        put_back(p, r, &err);
    }
    return NULL;
}

int pool_run(struct ctx *ctx, size_t threads, pool_fn *fn, void *arg, void **items, size_t n, struct err *err) {
    struct pool p = {.ctx = ctx, .fn = fn, .arg = arg, .threads = threads < THREADS_MAX ? threads : THREADS_MAX};
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.wake, NULL);
    for (size_t i = n; i > 0; i--) pool_add(&p, items[i - 1]);
    work(&p); /* so that it goes on even where no thread can be had */
    for (size_t i = 0; i < p.started; i++) pthread_join(p.ids[i], NULL);
    pthread_mutex_destroy(&p.lock);
    pthread_cond_destroy(&p.wake);
    mem_free(p.todo);
    if (p.result < 0) err_move(err, &p.err);
    err_done(&p.err);
    return p.result < 0 ? p.result : 0;
}
