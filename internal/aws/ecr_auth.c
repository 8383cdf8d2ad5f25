/* GetAuthorizationToken, once for all callers of a region. The tokens belong to struct aws, so that every struct ecr
 * shares them. */
#include <string.h>

#include "aws/ecr.h"
#include "aws/ecr_internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"

enum {
    RENEW_EARLY = 30 * 60 * 1000,
    JUST_FETCHED = 10 * 1000, /* who renews a token that is this young has seen the one before refused */
    HALF_A_DAY = 12 * 3600,
};

static int64_t wall(const struct ctx *ctx) { return ctx_clock(ctx)->wall(ctx_clock(ctx)->self); }

static void token_free(struct registry_token *t) {
    if (!t) return;
    mem_free(t->region);
    mem_free(t->user);
    secret_unref(t->password);
    mem_free(t);
}

/* base64("AWS:password") */
static bool split_token(const char *text, struct registry_token *t) {
    AUTO_SECRET struct secret *plain = base64_decode_secret(text, strlen(text));
    const char *colon = memchr(secret_bytes(plain), ':', secret_len(plain));
    if (!colon) return false;
    size_t user = (size_t) (colon - secret_bytes(plain));
    t->user = mem_strndup(secret_bytes(plain), user);
    t->password = secret_new(colon + 1, secret_len(plain) - user - 1);
    return secret_len(t->password) > 0;
}

static int fetch(struct ecr *e, struct ctx *ctx, struct registry_token **ret, struct err *err) {
    static const char action[] = "GetAuthorizationToken";
    AUTO_JSON struct json *body = json_obj();
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, action, body, &reply, err);
    if (r < 0) return r;
    const struct json *data = json_first(json_get(reply.json, "authorizationData"));
    const char *text = json_get_str(data, "authorizationToken");
    struct registry_token *t = NEW(struct registry_token);
    bool ok = text && split_token(text, t);
    if (text) mem_wipe((char *) text, strlen(text)); /* the tree is ours */
    if (!ok) {
        token_free(t);
        return ecr_bad_reply(action, err);
    }
    t->region = mem_strdup(e->region);
    t->fetched = wall(ctx);
    int64_t seconds = json_get_int(data, "expiresAt", 0);
    t->expires = seconds > 0 ? seconds * 1000 - aws_skew(e->aws) : t->fetched + HALF_A_DAY * 1000LL;
    *ret = t;
    return 0;
}

static struct registry_token **find(struct aws *a, const char *region) {
    struct registry_token **p = &a->tokens;
    while (*p && strcmp((*p)->region, region) != 0) p = &(*p)->next;
    return p;
}

static bool usable(const struct registry_token *t, int64_t now, bool renew) {
    if (!t) return false;
    int64_t age = now - t->fetched;
    if (age >= 0 && age < JUST_FETCHED) return true;
    return !renew && t->expires - now > RENEW_EARLY;
}

static void replace(struct aws *a, struct registry_token *fresh) {
    struct registry_token **p = find(a, fresh->region), *old = *p;
    fresh->next = old ? old->next : NULL;
    *p = fresh;
    token_free(old);
}

/* As cred_cache: one fetches, without the lock, the others wait for it. */
int ecr_auth(struct ecr *e, struct ctx *ctx, bool renew, const char **ret_user, struct secret **ret_password, struct err *err) {
    struct aws *a = e->aws;
    struct waiter *w = &a->token_wait;
    int r = 0;
    uint64_t id = waiter_bind(w, ctx);
    pthread_mutex_lock(&w->lock);
    while (r == 0 && a->token_fetching) r = waiter_wait(w, ctx, err);
    if (r == 0 && !usable(*find(a, e->region), wall(ctx), renew)) {
        a->token_fetching = true;
        pthread_mutex_unlock(&w->lock);
        struct registry_token *fresh = NULL;
        r = fetch(e, ctx, &fresh, err);
        pthread_mutex_lock(&w->lock);
        a->token_fetching = false;
        if (r == 0) replace(a, fresh);
        waiter_wake(w);
    }
    if (r == 0) {
        struct registry_token *t = *find(a, e->region);
        *ret_user = arena_strdup(ctx->arena, t->user);
        *ret_password = secret_ref(t->password);
    }
    pthread_mutex_unlock(&w->lock);
    waiter_unbind(ctx, id);
    return r;
}
