#include "kube/credential.h"

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "kube/config.h"
#include "kube/exec.h"

enum { REREAD_MS = 60000, MAX_TOKEN = 1 << 20 };

struct kube_credential {
    const struct kube_config *config;
    struct kube_token_source source;
    struct secret *basic;
    struct waiter w; /* guards what follows */
    bool busy;       /* a thread makes a new one */
    bool made;
    struct secret *file_token;
    int64_t read_at;
    struct kube_exec_result exec;
};

static struct secret *basic_of(const struct kube_config *c) {
    if (!c->username) return NULL;
    AUTO_ARENA struct arena *a = arena_new();
    struct buf both = {0};
    buf_addf(&both, "%s:", c->username);
    buf_add(&both, secret_bytes(c->password), secret_len(c->password));
    char *text = base64_encode(a, buf_str(&both), both.len);
    struct secret *s = secret_new(text, strlen(text));
    mem_wipe(text, strlen(text));
    buf_wipe(&both);
    return s;
}

struct kube_credential *kube_credential_new(const struct kube_config *config, struct kube_token_source source) {
    struct kube_credential *c = NEW(struct kube_credential);
    c->config = config;
    c->source = source;
    c->basic = basic_of(config);
    waiter_init(&c->w);
    return c;
}

void kube_credential_free(struct kube_credential *c) {
    if (!c) return;
    secret_unref(c->basic);
    secret_unref(c->file_token);
    kube_exec_result_done(&c->exec);
    waiter_done(&c->w);
    if (c->source.free) c->source.free(c->source.self);
    mem_free(c);
}

void kube_identity_done(struct kube_identity *id) {
    secret_unref(id->bearer);
    secret_unref(id->basic);
    secret_unref(id->key_pem);
    *id = (struct kube_identity){0};
}

/* Static credentials beat the plugin. */
static bool uses_exec(const struct kube_credential *c) {
    const struct kube_config *f = c->config;
    return f->exec.command && !f->token && !f->token_file && !f->username && !f->client_cert_pem;
}

/* A file that can't be read for once doesn't cost the token that was read before. */
static int read_token_file(struct kube_credential *c, struct ctx *ctx, struct err *err) {
    struct secret *token = kube_read_secret(c->config->token_file, MAX_TOKEN, true, c->file_token ? NULL : err);
    if (!token && !c->file_token) return err_wrap(err, "token file");
    if (token) {
        secret_unref(c->file_token);
        c->file_token = token;
    }
    c->read_at = ctx_now(ctx);
    return secret_len(c->file_token) ? 0 : err_set(err, ERR_UNAUTHENTICATED, "the token file %s is empty", c->config->token_file);
}

static int get_file(struct kube_credential *c, struct ctx *ctx, const struct kube_identity *refused, struct kube_identity *ret,
                    struct err *err) {
    pthread_mutex_lock(&c->w.lock);
    bool stale = !c->file_token || ctx_now(ctx) - c->read_at >= REREAD_MS || (refused && secret_equal(refused->bearer, c->file_token));
    int r = stale ? read_token_file(c, ctx, err) : 0;
    if (!r) ret->bearer = secret_ref(c->file_token);
    pthread_mutex_unlock(&c->w.lock);
    return r;
}

static bool exec_stale(const struct kube_credential *c, struct ctx *ctx, const struct kube_identity *refused) {
    if (!c->made) return true;
    const struct clock *clock = ctx_clock(ctx);
    if (c->exec.expires && clock->wall(clock->self) >= c->exec.expires) return true;
    if (!refused) return false;
    return refused->bearer ? secret_equal(refused->bearer, c->exec.token) : str_eq(refused->cert_pem, c->exec.cert_pem);
}

/* With the lock held; runs the plugin without it. */
static int run_exec(struct kube_credential *c, struct ctx *ctx, struct err *err) {
    struct kube_exec_result fresh = {0};
    c->busy = true;
    pthread_mutex_unlock(&c->w.lock);
    int r = kube_exec_run(c->config, ctx, &fresh, err);
    pthread_mutex_lock(&c->w.lock);
    c->busy = false;
    if (!r) {
        kube_exec_result_done(&c->exec);
        c->exec = fresh;
        c->made = true;
    }
    waiter_wake(&c->w);
    return r;
}

static int get_exec(struct kube_credential *c, struct ctx *ctx, const struct kube_identity *refused, struct kube_identity *ret,
                    struct err *err) {
    int r = 0;
    uint64_t id = waiter_bind(&c->w, ctx);
    pthread_mutex_lock(&c->w.lock);
    while (!r && c->busy) r = waiter_wait(&c->w, ctx, err);
    if (!r && exec_stale(c, ctx, refused)) r = run_exec(c, ctx, err);
    if (!r) {
        ret->bearer = secret_ref(c->exec.token);
        ret->key_pem = secret_ref(c->exec.key_pem);
        ret->cert_pem = arena_strdup(ctx->arena, c->exec.cert_pem);
    }
    pthread_mutex_unlock(&c->w.lock);
    waiter_unbind(ctx, id);
    return r;
}

int kube_credential_get(struct kube_credential *c, struct ctx *ctx, const struct kube_identity *refused, struct kube_identity *ret,
                        struct err *err) {
    const struct kube_config *f = c->config;
    struct kube_identity id = {0};
    int r = 0;
    if (c->source.get)
        r = c->source.get(c->source.self, ctx, refused != NULL, &id.bearer, err);
    else if (f->token_file)
        r = get_file(c, ctx, refused, &id, err);
    else if (uses_exec(c))
        r = get_exec(c, ctx, refused, &id, err);
    else
        id.bearer = secret_ref(f->token);
    if (r < 0) return r;
    if (!id.bearer) id.basic = secret_ref(c->basic);
    if (!id.cert_pem && f->client_cert_pem) {
        id.cert_pem = f->client_cert_pem;
        id.key_pem = secret_ref(f->client_key_pem);
    }
    *ret = id;
    return 0;
}
