#include "aws/cred.h"

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

void aws_creds_done(struct aws_creds *c) {
    if (!c) return;
    mem_free(c->access_key);
    mem_free(c->origin);
    secret_unref(c->secret_key);
    secret_unref(c->token);
    *c = (struct aws_creds){0};
}

void aws_creds_copy(struct aws_creds *to, const struct aws_creds *from) {
    *to = (struct aws_creds){
        .access_key = mem_strdup(from->access_key),
        .secret_key = secret_ref(from->secret_key),
        .token = secret_ref(from->token),
        .expires = from->expires,
        .origin = mem_strdup(from->origin),
    };
}

bool aws_creds_equal(const struct aws_creds *a, const struct aws_creds *b) {
    return str_eq(a->access_key, b->access_key) && secret_equal(a->secret_key, b->secret_key) && secret_equal(a->token, b->token);
}

/* ---- given keys ---- */

static int static_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) ctx;
    (void) err;
    aws_creds_copy(ret, self);
    return 0;
}

static void static_free(void *self) {
    aws_creds_done(self);
    mem_free(self);
}

struct cred_source cred_static(const char *access_key, const struct secret *secret_key, const struct secret *token,
                               const char *origin) {
    struct aws_creds given = {.access_key = (char *) access_key,
                              .secret_key = (struct secret *) secret_key,
                              .token = (struct secret *) token,
                              .origin = (char *) origin};
    struct aws_creds *c = NEW(struct aws_creds);
    aws_creds_copy(c, &given);
    return (struct cred_source){.get = static_get, .free = static_free, .self = c};
}

/* ---- chain ---- */

struct chain {
    int n;
    struct cred_source sources[];
};

static int chain_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    struct chain *c = self;
    for (int i = 0; i < c->n; i++) {
        int r = c->sources[i].get(c->sources[i].self, ctx, ret, err);
        if (r <= 0) return r;
    }
    return 1;
}

static void chain_free(void *self) {
    struct chain *c = self;
    for (int i = 0; i < c->n; i++)
        if (c->sources[i].free) c->sources[i].free(c->sources[i].self);
    mem_free(c);
}

struct cred_source cred_chain(const struct cred_source *sources, int n) {
    struct chain *c = mem_alloc(sizeof *c + (size_t) n * sizeof *sources);
    c->n = n;
    memcpy(c->sources, sources, (size_t) n * sizeof *sources);
    return (struct cred_source){.get = chain_get, .free = chain_free, .self = c};
}

/* ---- cache ---- */

enum { REFRESH_EARLY = 10 * 60 * 1000 }; /* keys that end sooner than this are fetched anew */

struct cache {
    struct cred_source from;
    struct waiter w;
    bool fetching, have;
    struct aws_creds creds;
};

static bool is_fresh(const struct cache *c, const struct ctx *ctx) {
    if (!c->have) return false;
    const struct clock *clock = ctx_clock(ctx);
    return !c->creds.expires || c->creds.expires - clock->wall(clock->self) > REFRESH_EARLY;
}

/* One caller fetches, without the lock; the others wait for it, and try themselves if it fails. */
static int cache_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    struct cache *c = self;
    int r = 0;
    uint64_t id = waiter_bind(&c->w, ctx);
    pthread_mutex_lock(&c->w.lock);
    while (r == 0 && c->fetching) r = waiter_wait(&c->w, ctx, err);
    if (r == 0 && !is_fresh(c, ctx)) {
        c->fetching = true;
        pthread_mutex_unlock(&c->w.lock);
        struct aws_creds fetched = {0};
        r = c->from.get(c->from.self, ctx, &fetched, err);
        pthread_mutex_lock(&c->w.lock);
        c->fetching = false;
        if (r == 0) {
            aws_creds_done(&c->creds);
            c->creds = fetched;
            c->have = true;
        }
        waiter_wake(&c->w);
    }
    if (r == 0) aws_creds_copy(ret, &c->creds);
    pthread_mutex_unlock(&c->w.lock);
    waiter_unbind(ctx, id);
    return r;
}

static void cache_free(void *self) {
    struct cache *c = self;
    if (c->from.free) c->from.free(c->from.self);
    aws_creds_done(&c->creds);
    waiter_done(&c->w);
    mem_free(c);
}

struct cred_source cred_cache(struct cred_source from) {
    struct cache *c = NEW(struct cache);
    c->from = from;
    waiter_init(&c->w);
    return (struct cred_source){.get = cache_get, .free = cache_free, .self = c};
}

void cred_cache_drop(struct cred_source *cache, const struct aws_creds *refused) {
    struct cache *c = cache->self;
    pthread_mutex_lock(&c->w.lock);
    if (c->have && aws_creds_equal(&c->creds, refused)) c->have = false;
    pthread_mutex_unlock(&c->w.lock);
}
