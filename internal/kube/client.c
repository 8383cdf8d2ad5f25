#include "kube/client.h"

#include <stdatomic.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/config.h"
#include "kube/credential.h"

enum { MAX_HEADERS = 64, MAX_BODY = 64 << 20, TRIES = 3, THROTTLED_TRIES = 10 };

struct kube {
    atomic_uint refs;
    struct http *http;
    struct http_sender sender;
    struct kube_config config;
    struct kube_credential *credential;
    bool plain; /* http: no credential is sent */
};

int kube_open_sender(const struct kube_options *o, struct http_sender sender, struct kube **ret, struct err *err) {
    struct kube_config config;
    int r = kube_config_resolve(o, &config, err);
    if (r < 0) return r;
    struct kube *k = NEW(struct kube);
    atomic_init(&k->refs, 1);
    k->sender = sender;
    k->config = config;
    k->credential = kube_credential_new(&k->config, o->token_source);
    k->plain = str_starts(k->config.server, "http:") || str_starts(k->config.server, "HTTP:");
    *ret = k;
    return 0;
}

int kube_open(const struct kube_options *o, struct http *http, struct kube **ret, struct err *err) {
    struct kube *k;
    int r = kube_open_sender(o, http_sender(http), &k, err);
    if (r < 0) return r;
    k->http = http_ref(http);
    *ret = k;
    return 0;
}

struct kube *kube_ref(struct kube *k) {
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void kube_unref(struct kube *k) {
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1) return;
    kube_credential_free(k->credential);
    kube_config_done(&k->config);
    http_unref(k->http);
    mem_free(k);
}

const char *kube_server(const struct kube *k) { return k->config.server; }
const char *kube_namespace(const struct kube *k) { return k->config.ns; }

struct headers {
    struct http_header v[MAX_HEADERS];
    size_t n;
};

static void put(struct headers *h, const char *name, const char *value, const struct secret *secret) {
    if (h->n < MAX_HEADERS) h->v[h->n++] = (struct http_header){.name = name, .value = value, .secret = secret};
}

static void put_identity(const struct kube *k, const struct kube_identity *id, struct ctx *ctx, struct headers *h) {
    const struct kube_config *c = &k->config;
    if (id->bearer)
        put(h, "Authorization", "Bearer ", id->bearer);
    else if (id->basic)
        put(h, "Authorization", "Basic ", id->basic);
    if (c->as_user) put(h, "Impersonate-User", c->as_user, NULL);
    if (c->as_uid) put(h, "Impersonate-Uid", c->as_uid, NULL);
    for (size_t i = 0; i < c->as_groups.n; i++) put(h, "Impersonate-Group", c->as_groups.v[i], NULL);
    for (size_t i = 0; i < c->n_as_extra; i++) {
        /* A key may hold characters that a header's name must not. */
        const char *key = http_encode(ctx->arena, c->as_extra[i].key, false);
        put(h, arena_printf(ctx->arena, "Impersonate-Extra-%s", key), c->as_extra[i].value, NULL);
    }
}

static int send_once(struct kube *k, struct ctx *ctx, const struct kube_call *call, const struct kube_identity *id,
                     struct kube_reply *ret, struct err *err) {
    struct headers h = {0};
    put(&h, "Accept", "application/json", NULL);
    if (call->req.content_type) put(&h, "Content-Type", call->req.content_type, NULL);
    if (!k->plain) put_identity(k, id, ctx, &h);
    struct http_tls tls = {
        .ca_pem = k->config.ca_pem,
        .server_name = k->config.tls_server_name,
        .client_cert_pem = k->plain ? NULL : id->cert_pem,
        .client_key_pem = k->plain ? NULL : id->key_pem,
    };
    struct http_request req = {
        .method = call->req.method, .url = arena_printf(ctx->arena, "%s%s", k->config.server, call->req.path),
        .headers = h.v, .n_headers = h.n, .body = call->req.body, .body_len = call->req.body ? strlen(call->req.body) : 0,
        .tls = &tls, .proxy = k->config.proxy_url, .max_body = call->req.max_body ? call->req.max_body : MAX_BODY,
        .idle_timeout = call->idle_timeout, .on_body = call->on_body, .on_headers = call->on_headers, .arg = call->arg,
    };
    struct http_response resp = {0};
    int r = k->sender.send(k->sender.self, ctx, &req, &resp, err);
    if (r < 0) return r;
    kube_reply_done(ret);
    *ret = (struct kube_reply){0};
    return kube_reply_fill(k, ctx->arena, &resp, ret, err);
}

/* A token that was refused is made anew once. */
static int send_identified(struct kube *k, struct ctx *ctx, const struct kube_call *call, struct kube_reply *ret, struct err *err) {
    struct kube_identity id = {0};
    int r = kube_credential_get(k->credential, ctx, NULL, &id, err);
    if (!r) r = send_once(k, ctx, call, &id, ret, err);
    if (r == -ERR_UNAUTHENTICATED && ret->status == 401 && (id.bearer || id.cert_pem)) {
        struct kube_identity fresh = {0};
        log_debug(ctx, "%s answers 401, making the credential anew", kube_server(k));
        r = kube_credential_get(k->credential, ctx, &id, &fresh, err);
        if (!r) r = send_once(k, ctx, call, &fresh, ret, err);
        kube_identity_done(&fresh);
    }
    kube_identity_done(&id);
    return r;
}

static int64_t pause_before(int r, const struct kube_reply *reply, const struct err *err, int failures, int tries) {
    if (r == -ERR_THROTTLED) return failures < THROTTLED_TRIES ? (err->retry_after ? err->retry_after * 1000 : 1000) : -1;
    bool unreachable = r == -ERR_UNAVAILABLE && (!reply->status || (reply->status >= 502 && reply->status <= 504));
    return unreachable && failures < tries ? 100LL << (2 * (failures - 1)) : -1;
}

int kube_exchange(struct kube *k, struct ctx *ctx, const struct kube_call *call, struct kube_reply *ret, struct err *err) {
    AUTO_ERR struct err own = {0};
    for (int failures = 0;;) {
        int r = send_identified(k, ctx, call, ret, &own);
        if (!r) return 0;
        int64_t ms = pause_before(r, ret, &own, ++failures, call->tries ? call->tries : TRIES);
        if (ms >= 0) log_debug(ctx, "%s: %s; again in %lld ms", kube_server(k), err_text(&own), (long long) ms);
        int64_t left = ctx_left(ctx);
        if (ms < 0 || (left >= 0 && left <= ms)) {
            if (r == -ERR_UNAUTHENTICATED && !own.hint)
                err_hint(&own, "The credentials of %s are refused: log in again, or set others in the provider block.", k->config.origin);
            err_move(err, &own);
            return r;
        }
        r = ctx_sleep(ctx, ms, err);
        if (r < 0) return r;
    }
}

int kube_send(struct kube *k, struct ctx *ctx, const struct kube_request *req, struct kube_reply *ret, struct err *err) {
    struct kube_reply reply = {0};
    int r = kube_exchange(k, ctx, &(struct kube_call){.req = *req}, &reply, err);
    *ret = reply;
    return r;
}

int kube_get(struct kube *k, struct ctx *ctx, const char *path, struct json **ret, struct err *err) {
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    int r = kube_send(k, ctx, &(struct kube_request){.path = path}, &reply, err);
    if (r == -ERR_NOT_FOUND && reply.status == 404) {
        /* The API server's own "no such thing"; a proxy's or another server's 404 says nothing about the object. */
        if (!str_eq(reply.reason, "NotFound")) return r;
        if (err) err_done(err);
        return 1;
    }
    if (r < 0) return r;
    if (!json_is_obj(reply.json)) return err_set(err, ERR_PROTOCOL, "%s doesn't answer as an API server does", kube_server(k));
    *ret = TAKE_PTR(reply.json);
    return 0;
}

static const char *query(struct arena *a, const char *container, bool previous, int lines) {
    return arena_printf(a, "container=%s&previous=%s&tailLines=%d&limitBytes=65536", http_encode(a, container, false),
                        previous ? "true" : "false", lines);
}

char *kube_logs(struct kube *k, struct ctx *ctx, const char *ns, const char *pod, const char *container, bool previous, int lines) {
    struct arena *a = ctx->arena;
    const char *path = arena_printf(a, "/api/v1/namespaces/%s/pods/%s/log?%s", http_encode(a, ns, false), http_encode(a, pod, false),
                                    query(a, container, previous, lines));
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    struct ctx limited = ctx_with_timeout(ctx, 5000);
    if (kube_send(k, &limited, &(struct kube_request){.path = path, .max_body = 1 << 20}, &reply, NULL) < 0) return NULL;
    if (!reply.text_len || str_starts(reply.text, "unable to retrieve container logs")) return NULL;
    return text_tail(a, reply.text, (size_t) lines, 16384);
}
