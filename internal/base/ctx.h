#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;

/* Cancellation. A cancel handle is set once and stays set; children are cancelled with their parent. Reference-counted
 * and safe to use from any thread. */
struct cancel;
struct cancel *cancel_new(struct cancel *parent); /* parent may be NULL */
struct cancel *cancel_ref(struct cancel *c);
void cancel_unref(struct cancel *c);
static inline void cancel_unref_p(struct cancel **c) { cancel_unref(*c); }
void cancel_request(struct cancel *c);
bool cancel_requested(const struct cancel *c); /* false for NULL */
/* Calls fn(arg) once, from the cancelling thread, when c is cancelled; at once if it already is. fn must be quick, and
 * must not call cancel_on or cancel_off. Returns an id for cancel_off, which returns only when fn isn't running, so
 * that arg can be freed after it. */
uint64_t cancel_on(struct cancel *c, void (*fn)(void *arg), void *arg);
void cancel_off(struct cancel *c, uint64_t id);

/* Time, injected so that tests need no waiting. Milliseconds. */
struct clock {
    int64_t (*now)(void *self);  /* monotonic; only differences mean something */
    int64_t (*wall)(void *self); /* since the Unix epoch */
    void *self;
};
extern const struct clock clock_system;

/* What every blocking call gets: the memory of the request, who may stop it and when it must end. Plain data, copied
 * and narrowed at will. */
struct ctx {
    struct arena *arena;       /* results live here unless a header says otherwise */
    struct cancel *cancel;     /* NULL: can't be cancelled */
    int64_t deadline;          /* on clock->now; 0: none */
    const struct clock *clock; /* NULL: clock_system */
    const struct log_scope *log; /* fields for the log lines; may be NULL */
};

const struct clock *ctx_clock(const struct ctx *ctx);
int64_t ctx_now(const struct ctx *ctx);
/* A copy whose deadline is at most ms from now (ms <= 0: unchanged). */
struct ctx ctx_with_timeout(const struct ctx *ctx, int64_t ms);
struct ctx ctx_with_arena(const struct ctx *ctx, struct arena *arena);
/* Milliseconds left, at least 0; -1 without a deadline. */
int64_t ctx_left(const struct ctx *ctx);
/* 0, or -ERR_CANCELLED / -ERR_TIMEOUT with a text. */
int ctx_check(const struct ctx *ctx, struct err *err);
/* Sleeps; ends early with an error on cancel or deadline. */
int ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err);

/* A condition that ctx can interrupt: waiting for other threads.
 *     id = waiter_bind(&w, ctx); pthread_mutex_lock(&w.lock);
 *     while (!done && !r) r = waiter_wait(&w, ctx, err);
 *     pthread_mutex_unlock(&w.lock); waiter_unbind(ctx, id);
 * Another thread changes the state under w.lock and calls waiter_wake. Bind and unbind without w.lock: the cancelling
 * thread takes it. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
};
void waiter_init(struct waiter *w);
void waiter_done(struct waiter *w);
void waiter_wake(struct waiter *w); /* wakes all; with w->lock held where the waiter may be freed after it */
uint64_t waiter_bind(struct waiter *w, const struct ctx *ctx);
void waiter_unbind(const struct ctx *ctx, uint64_t id);
/* Waits for a wake (or a spurious one) with w->lock held. 0, or negative on cancel or deadline. */
int waiter_wait(struct waiter *w, const struct ctx *ctx, struct err *err);
/* As waiter_wait, but also returns 0 after ms (negative: no limit). */
int waiter_wait_ms(struct waiter *w, const struct ctx *ctx, int64_t ms, struct err *err);
