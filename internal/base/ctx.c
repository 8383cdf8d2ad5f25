#include "base/ctx.h"

#include <stdatomic.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"

struct hook {
    uint64_t id;
    void (*fn)(void *arg);
    void *arg;
};

struct cancel {
    atomic_uint refs;
    atomic_bool set;
    struct cancel *parent;
    uint64_t parent_id;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool firing;
    struct hook *hooks;
    size_t n, cap;
    uint64_t next_id;
};

static void from_parent(void *arg) { cancel_request(arg); }

struct cancel *cancel_new(struct cancel *parent) {
    struct cancel *c = NEW(struct cancel);
    atomic_init(&c->refs, 1);
    atomic_init(&c->set, false);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->idle, NULL);
    c->next_id = 1;
    if (parent) {
        c->parent = cancel_ref(parent);
        c->parent_id = cancel_on(parent, from_parent, c);
    }
    return c;
}

struct cancel *cancel_ref(struct cancel *c) {
    if (c) atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void cancel_unref(struct cancel *c) {
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    if (c->parent) {
        cancel_off(c->parent, c->parent_id);
        cancel_unref(c->parent);
    }
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->idle);
    mem_free(c->hooks);
    mem_free(c);
}

bool cancel_requested(const struct cancel *c) {
    return c && atomic_load_explicit(&((struct cancel *) c)->set, memory_order_acquire);
}

void cancel_request(struct cancel *c) {
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    if (atomic_load(&c->set)) {
        pthread_mutex_unlock(&c->lock);
        return;
    }
    atomic_store_explicit(&c->set, true, memory_order_release);
    struct hook *hooks = TAKE_PTR(c->hooks);
    size_t n = c->n;
    c->n = c->cap = 0;
    c->firing = true;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++) hooks[i].fn(hooks[i].arg);
    mem_free(hooks);
    pthread_mutex_lock(&c->lock);
    c->firing = false;
    pthread_cond_broadcast(&c->idle);
    pthread_mutex_unlock(&c->lock);
}

uint64_t cancel_on(struct cancel *c, void (*fn)(void *arg), void *arg) {
    if (!c) return 0;
    pthread_mutex_lock(&c->lock);
    if (atomic_load(&c->set)) {
        pthread_mutex_unlock(&c->lock);
        fn(arg);
        return 0;
    }
    MEM_GROW(c->hooks, c->n, c->cap);
    uint64_t id = c->next_id++;
    c->hooks[c->n++] = (struct hook){.id = id, .fn = fn, .arg = arg};
    pthread_mutex_unlock(&c->lock);
    return id;
}

void cancel_off(struct cancel *c, uint64_t id) {
    if (!c || !id) return;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n; i++) {
        if (c->hooks[i].id != id) continue;
        c->hooks[i] = c->hooks[--c->n];
        break;
    }
    while (c->firing) pthread_cond_wait(&c->idle, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

static int64_t read_clock(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_now(void *self) {
    (void) self;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall(void *self) {
    (void) self;
    return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {.now = system_now, .wall = system_wall};

const struct clock *ctx_clock(const struct ctx *ctx) { return ctx->clock ? ctx->clock : &clock_system; }

int64_t ctx_now(const struct ctx *ctx) { return ctx_clock(ctx)->now(ctx_clock(ctx)->self); }

struct ctx ctx_with_timeout(const struct ctx *ctx, int64_t ms) {
    struct ctx narrowed = *ctx;
    if (ms > 0) {
        int64_t deadline = ctx_now(ctx) + ms;
        if (!narrowed.deadline || deadline < narrowed.deadline) narrowed.deadline = deadline;
    }
    return narrowed;
}

struct ctx ctx_with_arena(const struct ctx *ctx, struct arena *arena) {
    struct ctx other = *ctx;
    other.arena = arena;
    return other;
}

int64_t ctx_left(const struct ctx *ctx) {
    if (!ctx->deadline) return -1;
    int64_t left = ctx->deadline - ctx_now(ctx);
    return left > 0 ? left : 0;
}

int ctx_check(const struct ctx *ctx, struct err *err) {
    if (cancel_requested(ctx->cancel)) return err_set(err, ERR_CANCELLED, "cancelled");
    if (ctx_left(ctx) == 0) return err_set(err, ERR_TIMEOUT, "timed out");
    return 0;
}

void waiter_init(struct waiter *w) {
    pthread_mutex_init(&w->lock, NULL);
#ifdef __APPLE__
    pthread_cond_init(&w->cond, NULL);
#else
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->cond, &attr);
    pthread_condattr_destroy(&attr);
#endif
}

void waiter_done(struct waiter *w) {
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->lock);
}

void waiter_wake(struct waiter *w) { pthread_cond_broadcast(&w->cond); }

static void wait_until(struct waiter *w, int64_t ms) {
#ifdef __APPLE__
    struct timespec rel = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    pthread_cond_timedwait_relative_np(&w->cond, &w->lock, &rel);
#else
    int64_t at = read_clock(CLOCK_MONOTONIC) + ms;
    struct timespec abs = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
    pthread_cond_timedwait(&w->cond, &w->lock, &abs);
#endif
}

/* Taking the lock makes the wake-up visible to a waiter that has checked its state but doesn't sleep yet. */
static void wake_locked(void *arg) {
    struct waiter *w = arg;
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

uint64_t waiter_bind(struct waiter *w, const struct ctx *ctx) { return cancel_on(ctx->cancel, wake_locked, w); }

void waiter_unbind(const struct ctx *ctx, uint64_t id) { cancel_off(ctx->cancel, id); }

int waiter_wait_ms(struct waiter *w, const struct ctx *ctx, int64_t ms, struct err *err) {
    int r = ctx_check(ctx, err);
    if (r < 0) return r;
    int64_t left = ctx_left(ctx);
    if (ms < 0 || (left >= 0 && left < ms)) ms = left;
    if (ms < 0)
        pthread_cond_wait(&w->cond, &w->lock);
    else
        wait_until(w, ms);
    return 0;
}

int waiter_wait(struct waiter *w, const struct ctx *ctx, struct err *err) { return waiter_wait_ms(w, ctx, -1, err); }

int ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err) {
    struct waiter w;
    waiter_init(&w);
    uint64_t id = waiter_bind(&w, ctx);
    int64_t end = ctx_now(ctx) + ms;
    int r = 0;
    pthread_mutex_lock(&w.lock);
    for (int64_t left; !r && (left = end - ctx_now(ctx)) > 0;) r = waiter_wait_ms(&w, ctx, left, err);
    pthread_mutex_unlock(&w.lock);
    waiter_unbind(ctx, id);
    waiter_done(&w);
    return r;
}
