#include <pthread.h>
#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "kube/kube.h"
#include "kube/watch.h"

enum { CAPACITY = 64, MAX_WATCHES = 8, STACK = 512 << 10 };

struct item {
    struct kube_feed_event event;
    struct err err;
};

struct member {
    struct kube_feed *feed;
    int tag;
    struct kube_watch watch;
    pthread_t thread;
};

struct kube_feed {
    struct kube *k;
    struct arena *arena; /* the watches' texts; used by the owner's thread only */
    struct cancel *cancel;
    const struct clock *clock;
    const struct log_scope *log;
    struct member members[MAX_WATCHES];
    size_t n_members;
    struct waiter w; /* guards the ring; woken when it gains or loses something */
    struct item ring[CAPACITY];
    size_t head, count;
};

struct kube_feed *kube_feed_new(struct kube *k, const struct ctx *ctx) {
    struct kube_feed *f = NEW(struct kube_feed);
    f->k = kube_ref(k);
    f->arena = arena_new();
    f->cancel = cancel_new(ctx->cancel);
    f->clock = ctx->clock;
    f->log = ctx->log;
    waiter_init(&f->w);
    return f;
}

void kube_feed_free(struct kube_feed *f) {
    if (!f) return;
    cancel_request(f->cancel);
    for (size_t i = 0; i < f->n_members; i++) pthread_join(f->members[i].thread, NULL);
    for (; f->count; f->count--, f->head = (f->head + 1) % CAPACITY) {
        json_free(f->ring[f->head].event.tree);
        err_done(&f->ring[f->head].err);
    }
    cancel_unref(f->cancel);
    waiter_done(&f->w);
    kube_unref(f->k);
    arena_free(f->arena);
    mem_free(f);
}

static struct ctx member_ctx(struct kube_feed *f, struct arena *a) {
    return (struct ctx){.arena = a, .cancel = f->cancel, .clock = f->clock, .log = f->log};
}

/* Takes the tree and the err's content also when it fails. */
static int put(struct kube_feed *f, struct kube_feed_event event, struct err *with, struct err *err) {
    struct ctx ctx = member_ctx(f, NULL);
    int r = 0;
    uint64_t id = waiter_bind(&f->w, &ctx);
    pthread_mutex_lock(&f->w.lock);
    while (!r && f->count == CAPACITY) r = waiter_wait(&f->w, &ctx, err);
    if (!r) {
        struct item *item = &f->ring[(f->head + f->count++) % CAPACITY];
        *item = (struct item){.event = event};
        if (with) err_move(&item->err, with);
        waiter_wake(&f->w);
    } else {
        json_free(event.tree);
    }
    pthread_mutex_unlock(&f->w.lock);
    waiter_unbind(&ctx, id);
    return r;
}

static int on_event(void *arg, enum kube_event_type type, struct json *tree, struct err *err) {
    const struct member *m = arg;
    return put(m->feed, (struct kube_feed_event){.tag = m->tag, .type = type, .tree = tree}, NULL, err);
}

static void *run(void *arg) {
    struct member *m = arg;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = member_ctx(m->feed, a);
    AUTO_ERR struct err err = {0};
    int r = kube_watch(m->feed->k, &ctx, &m->watch, &err);
    if (r < 0 && !cancel_requested(m->feed->cancel)) put(m->feed, (struct kube_feed_event){.tag = m->tag, .failed = r}, &err, NULL);
    return NULL;
}

int kube_feed_add(struct kube_feed *f, int tag, const struct kube_watch *w, struct err *err) {
    if (f->n_members == MAX_WATCHES) return err_set(err, ERR_INTERNAL, "too many watches for one feed");
    struct member *m = &f->members[f->n_members];
    *m = (struct member){.feed = f, .tag = tag, .watch = *w};
    m->watch.path = arena_strdup(f->arena, w->path);
    m->watch.label_selector = arena_strdup(f->arena, w->label_selector);
    m->watch.field_selector = arena_strdup(f->arena, w->field_selector);
    m->watch.resource_version = arena_strdup(f->arena, w->resource_version);
    m->watch.on_event = on_event;
    m->watch.arg = m;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    int e = pthread_create(&m->thread, &attr, run, m);
    pthread_attr_destroy(&attr);
    if (e) return err_errno(err, e, "cannot start a thread for a watch");
    f->n_members++;
    return 0;
}

int kube_feed_next(struct kube_feed *f, struct ctx *ctx, int64_t ms, struct kube_feed_event *ret, struct err *err) {
    int64_t end = ctx_now(ctx) + ms;
    int r = 0;
    uint64_t id = waiter_bind(&f->w, ctx);
    pthread_mutex_lock(&f->w.lock);
    while (!r && !f->count) {
        int64_t left = ms < 0 ? -1 : end - ctx_now(ctx);
        if (ms >= 0 && left <= 0) {
            r = 1;
            break;
        }
        r = waiter_wait_ms(&f->w, ctx, left, err);
    }
    if (!r) {
        struct item *item = &f->ring[f->head];
        *ret = item->event;
        if (ret->failed)
            err_move(err, &item->err);
        else
            err_done(&item->err);
        f->head = (f->head + 1) % CAPACITY;
        f->count--;
        waiter_wake(&f->w);
    }
    pthread_mutex_unlock(&f->w.lock);
    waiter_unbind(ctx, id);
    return r;
}
