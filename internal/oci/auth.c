/* Authentication (RFC 9110 11.6; Bearer tokens as docker's token authentication specification has them): what a host
 * asks for in its 401 is remembered, and so are its tokens until they end. */
#include <string.h>
#include <strings.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/client.h"
#include "json/json.h"

enum { TOKEN_DEFAULT_S = 60, TOKEN_MARGIN_S = 10, TOKEN_MAX_S = 24 * 3600 };

struct token {
    struct token *next;
    char *scope;
    struct secret *secret;
    int64_t ends; /* on the monotonic clock, ms */
};

struct oci_host {
    struct oci_host *next;
    char *name;
    bool basic;
    char *realm, *service; /* Bearer */
    struct token *tokens;
};

static void token_free(struct token *t) {
    mem_free(t->scope);
    secret_unref(t->secret);
    mem_free(t);
}

static void forget_tokens(struct oci_host *h) {
    for (struct token *t = h->tokens, *next; t; t = next) {
        next = t->next;
        token_free(t);
    }
    h->tokens = NULL;
}

void oci_hosts_free(struct oci *o) {
    for (struct oci_host *h = o->hosts, *next; h; h = next) {
        next = h->next;
        forget_tokens(h);
        mem_free(h->name);
        mem_free(h->realm);
        mem_free(h->service);
        mem_free(h);
    }
}

static bool loopback(const char *host) {
    return str_starts(host, "127.") || str_starts(host, "[::1]") || str_eq(host, "localhost") || str_starts(host, "localhost:");
}

const char *oci_scheme(const char *host) { return loopback(host) ? "http" : "https"; }

/* The value of a challenge's parameter (RFC 9110 11.2: token or quoted string). */
static char *parameter(struct arena *a, const char *challenge, const char *name) {
    size_t n = strlen(name);
    for (const char *p = challenge; (p = strchr(p, '=')); p++) {
        if ((size_t) (p - challenge) < n || strncasecmp(p - n, name, n) != 0) continue;
        if ((size_t) (p - challenge) > n && !strchr(" ,", p[-1 - (long) n])) continue;
        if (p[1] != '"') return arena_strndup(a, p + 1, strcspn(p + 1, ", "));
        AUTO_BUF struct buf value = {0};
        for (p += 2; *p && *p != '"'; p++) {
            if (*p == '\\' && p[1]) p++;
            buf_addc(&value, *p);
        }
        return arena_strdup(a, buf_str(&value));
    }
    return NULL;
}

static struct oci_host *find(struct oci *o, const char *name) {
    for (struct oci_host *h = o->hosts; h; h = h->next)
        if (str_eq(h->name, name)) return h;
    return NULL;
}

bool oci_learn(struct oci *o, struct ctx *ctx, const char *host, const struct http_response *r) {
    bool basic = false;
    const char *bearer = NULL;
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->headers[i].name, "WWW-Authenticate") != 0) continue;
        const char *value = r->headers[i].value;
        if (strncasecmp(value, "Bearer ", 7) == 0) bearer = value + 7;
        if (strncasecmp(value, "Basic", 5) == 0) basic = true;
    }
    const char *realm = bearer ? parameter(ctx->arena, bearer, "realm") : NULL;
    const char *service = bearer ? parameter(ctx->arena, bearer, "service") : NULL;
    if (!basic && !realm) return false;
    pthread_mutex_lock(&o->lock);
    struct oci_host *h = find(o, host);
    bool news = !h || h->basic != basic || !str_eq(h->realm, realm);
    if (!h) {
        h = NEW(struct oci_host);
        h->name = mem_strdup(host);
        h->next = o->hosts;
        o->hosts = h;
    }
    if (news) {
        h->basic = basic;
        mem_free(h->realm);
        mem_free(h->service);
        h->realm = mem_strdup(realm);
        h->service = mem_strdup(service);
        forget_tokens(h);
    }
    pthread_mutex_unlock(&o->lock);
    return news;
}

/* "user:password", base64. */
static struct secret *basic_secret(const char *user, const struct secret *password) {
    struct buf pair = {0};
    struct arena *a = arena_new(); /* its block is wiped by hand: arenas are no place for secrets */
    buf_addf(&pair, "%s:", user);
    buf_add(&pair, secret_bytes(password), secret_len(password));
    char *text = base64_encode(a, pair.data, pair.len);
    struct secret *s = secret_new(text, strlen(text));
    mem_wipe(text, strlen(text));
    arena_free(a);
    buf_wipe(&pair);
    return s;
}

static int basic(struct oci *o, struct ctx *ctx, const char *host, bool renew, struct oci_credential *ret, struct err *err) {
    const char *user = NULL;
    AUTO_SECRET struct secret *password = NULL;
    int r = o->auth.get ? o->auth.get(o->auth.self, ctx, host, renew, &user, &password, err) : 1;
    if (r == 0) *ret = (struct oci_credential){"Basic ", basic_secret(user, password)};
    return r;
}

static struct secret *cached(struct oci *o, const char *host, const char *scope, int64_t now) {
    struct secret *s = NULL;
    pthread_mutex_lock(&o->lock);
    struct oci_host *h = find(o, host);
    for (struct token *t = h ? h->tokens : NULL; t && !s; t = t->next)
        if (str_eq(t->scope, scope) && t->ends > now) s = secret_ref(t->secret);
    pthread_mutex_unlock(&o->lock);
    return s;
}

static void keep(struct oci *o, const char *host, const char *scope, struct secret *secret, int64_t ends) {
    struct token *t = NEW(struct token);
    *t = (struct token){.scope = mem_strdup(scope), .secret = secret_ref(secret), .ends = ends};
    pthread_mutex_lock(&o->lock);
    struct oci_host *h = find(o, host);
    for (struct token **p = &h->tokens; *p; p = &(*p)->next) {
        if (!str_eq((*p)->scope, scope)) continue;
        struct token *old = *p;
        *p = old->next;
        token_free(old);
        break;
    }
    t->next = h->tokens;
    h->tokens = t;
    pthread_mutex_unlock(&o->lock);
}

static int take_token(struct oci *o, struct ctx *ctx, const char *host, const char *scope, const struct http_response *r,
                      struct secret **ret, struct err *err) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    const char *text = json_get_str(j, "token");
    if (str_empty(text)) text = json_get_str(j, "access_token");
    mem_wipe((char *) r->body, r->body_len);
    if (str_empty(text)) return err_set(err, ERR_PROTOCOL, "the token server of %s answers without a token", host);
    int64_t seconds = json_get_int(j, "expires_in", TOKEN_DEFAULT_S);
    if (seconds < 0 || seconds > TOKEN_MAX_S) seconds = seconds < 0 ? 0 : TOKEN_MAX_S;
    *ret = secret_new(text, strlen(text));
    keep(o, host, scope, *ret, ctx_now(ctx) + (seconds - TOKEN_MARGIN_S) * 1000);
    return 0;
}

static int fetch(struct oci *o, struct ctx *ctx, const char *host, const char *realm, const char *service, const char *scope,
                 bool renew, struct secret **ret, struct err *err) {
    if (!str_starts(realm, "https://") && !loopback(host))
        return err_set(err, ERR_PROTOCOL, "%s sends credentials to %s, which is not https", host, realm);
    struct oci_credential login = {0};
    int r = basic(o, ctx, host, renew, &login, err);
    if (r < 0) return r;
    struct http_header header = {"Authorization", login.scheme, login.secret};
    struct http_request request = {
        .url = arena_printf(ctx->arena, "%s%sservice=%s&scope=%s", realm, strchr(realm, '?') ? "&" : "?",
                            http_encode(ctx->arena, service ? service : "", false), http_encode(ctx->arena, scope, false)),
        .headers = &header,
        .n_headers = login.secret ? 1 : 0,
        .max_body = 1 << 20,
        .sensitive = true,
    };
    struct http_response reply = {0};
    r = o->http.send(o->http.self, ctx, &request, &reply, err);
    secret_unref(login.secret);
    if (r < 0) return err_wrap(err, "cannot get a token for %s", host);
    if (reply.status == 401 || reply.status == 403)
        return err_set(err, ERR_UNAUTHENTICATED, "the token server of %s refuses the credentials (HTTP %d)", host, reply.status);
    if (reply.status != 200)
        return err_set(err, ERR_UNAVAILABLE, "the token server of %s answers with HTTP %d", host, reply.status);
    return take_token(o, ctx, host, scope, &reply, ret, err);
}

int oci_authorize(struct oci *o, struct ctx *ctx, const struct oci_call *call, bool renew, struct oci_credential *ret,
                  struct err *err) {
    pthread_mutex_lock(&o->lock);
    const struct oci_host *h = find(o, call->host);
    bool known = h != NULL;
    char *realm = known ? arena_strdup(ctx->arena, h->realm) : NULL, *service = known ? arena_strdup(ctx->arena, h->service) : NULL;
    pthread_mutex_unlock(&o->lock);
    if (!known) return 1;
    if (!realm) return basic(o, ctx, call->host, renew, ret, err);
    const char *scope = arena_printf(ctx->arena, "repository:%s:%s", call->name, call->push ? "pull,push" : "pull");
    ret->scheme = "Bearer ";
    ret->secret = renew ? NULL : cached(o, call->host, scope, ctx_now(ctx));
    return ret->secret ? 0 : fetch(o, ctx, call->host, realm, service, scope, renew, &ret->secret, err);
}
