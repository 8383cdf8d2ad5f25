/* Authentication at registries: Basic (RFC 7617) and Bearer tokens (distribution.github.io/distribution/spec/auth/token). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/internal.h"
#include "json/json.h"

enum { TOKEN_LIFE = 60 /* s, where the reply doesn't say */, TOKEN_EARLY = 10, TOKEN_LIFE_MAX = 24 * 3600, REPLY_MAX = 1 << 20 };

/* ---- challenges ---- */

/* A token or a quoted string behind "=". */
static char *parse_value(struct arena *a, const char **p) {
    AUTO_BUF struct buf value = {0};
    const char *s = *p;
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++) {
            if (*s == '\\' && s[1]) s++;
            buf_addc(&value, *s);
        }
        if (*s) s++;
    } else {
        while (*s && *s != ',' && !isspace((unsigned char) *s)) buf_addc(&value, *s++);
    }
    *p = s;
    return arena_strdup(a, buf_str(&value));
}

static void parse_parameters(struct arena *a, const char *s, struct oci_challenge *ret) {
    for (;;) {
        s += strspn(s, " \t,");
        size_t len = strcspn(s, "= \t,");
        if (!len || s[len] != '=') return; /* the end, or the next challenge */
        const char *name = arena_strndup(a, s, len);
        s += len + 1;
        char *value = parse_value(a, &s);
        if (strcasecmp(name, "realm") == 0) ret->realm = value;
        if (strcasecmp(name, "service") == 0) ret->service = value;
        if (strcasecmp(name, "scope") == 0) ret->scope = value;
    }
}

bool oci_parse_challenge(struct arena *a, const struct http_response *r, struct oci_challenge *ret) {
    struct oci_challenge found = {0};
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->headers[i].name, "WWW-Authenticate") != 0) continue;
        const char *value = r->headers[i].value;
        if (strncasecmp(value, "Bearer ", 7) == 0) {
            struct oci_challenge c = {.scheme = AUTH_BEARER};
            parse_parameters(a, value + 7, &c);
            if (c.realm) found = c;
        } else if (strncasecmp(value, "Basic", 5) == 0 && found.scheme == AUTH_UNKNOWN) {
            found.scheme = AUTH_BASIC;
        }
    }
    if (found.scheme == AUTH_UNKNOWN) return false;
    *ret = found;
    return true;
}

/* ---- what is known ---- */

static struct oci_host *find_host(struct oci *o, const char *name) {
    struct oci_host *h = o->hosts;
    while (h && strcmp(h->name, name) != 0) h = h->next;
    return h;
}

static void challenge_done(struct oci_challenge *c) {
    mem_free(c->realm);
    mem_free(c->service);
    mem_free(c->scope);
}

void oci_remember(struct oci *o, const char *host, const struct oci_challenge *c) {
    pthread_mutex_lock(&o->lock);
    struct oci_host *h = find_host(o, host);
    if (!h) {
        h = NEW(struct oci_host);
        h->name = mem_strdup(host);
        h->next = o->hosts;
        o->hosts = h;
    }
    challenge_done(&h->challenge);
    h->challenge = (struct oci_challenge){.scheme = c->scheme, .realm = mem_strdup(c->realm), .service = mem_strdup(c->service)};
    pthread_mutex_unlock(&o->lock);
}

static struct oci_challenge known_challenge(struct oci *o, struct arena *a, const char *host) {
    struct oci_challenge c = {0};
    pthread_mutex_lock(&o->lock);
    const struct oci_host *h = find_host(o, host);
    if (h)
        c = (struct oci_challenge){h->challenge.scheme, arena_strdup(a, h->challenge.realm), arena_strdup(a, h->challenge.service),
                                   NULL};
    pthread_mutex_unlock(&o->lock);
    return c;
}

static void token_free(struct oci_token *t) {
    mem_free(t->host);
    mem_free(t->scope);
    secret_unref(t->token);
    mem_free(t);
}

static struct oci_token **find_token(struct oci *o, const char *host, const char *scope) {
    struct oci_token **p = &o->tokens;
    while (*p && !(str_eq((*p)->host, host) && str_eq((*p)->scope, scope))) p = &(*p)->next;
    return p;
}

static struct secret *cached_token(struct oci *o, const char *host, const char *scope, int64_t now) {
    pthread_mutex_lock(&o->lock);
    struct oci_token *t = *find_token(o, host, scope);
    struct secret *token = t && t->until > now ? secret_ref(t->token) : NULL;
    pthread_mutex_unlock(&o->lock);
    return token;
}

static void keep_token(struct oci *o, const char *host, const char *scope, const struct secret *token, int64_t until) {
    struct oci_token *t = NEW(struct oci_token);
    *t = (struct oci_token){.host = mem_strdup(host), .scope = mem_strdup(scope), .token = secret_ref(token), .until = until};
    pthread_mutex_lock(&o->lock);
    struct oci_token **p = find_token(o, host, scope), *old = *p;
    t->next = old ? old->next : NULL;
    *p = t;
    pthread_mutex_unlock(&o->lock);
    if (old) token_free(old);
}

void oci_free(struct oci *o) {
    if (!o) return;
    for (struct oci_host *h = o->hosts, *next; h; h = next) {
        next = h->next;
        challenge_done(&h->challenge);
        mem_free(h->name);
        mem_free(h);
    }
    for (struct oci_token *t = o->tokens, *next; t; t = next) {
        next = t->next;
        token_free(t);
    }
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

/* ---- credentials ---- */

static int basic_of(struct oci *o, struct ctx *ctx, const char *host, bool renew, struct secret **ret, struct err *err) {
    const char *user = NULL;
    AUTO_SECRET struct secret *password = NULL;
    int r = o->auth.get ? o->auth.get(o->auth.self, ctx, host, renew, &user, &password, err) : 1;
    if (r != 0) return r;
    struct buf pair = {0};
    buf_addf(&pair, "%s:", user);
    buf_add(&pair, secret_bytes(password), secret_len(password));
    *ret = base64_encode_secret(pair.data, pair.len);
    buf_wipe(&pair);
    return 0;
}

static int no_credentials(const char *host, struct err *err) {
    int r = err_set(err, ERR_UNAUTHENTICATED, "no basic auth credentials for the registry %s", host);
    err_hint(err, "Credentials are looked up by this exact host name. For ECR, check the account and the region in it.");
    return r;
}

/* Passwords go to the realm, so it must be protected as well as the registry is. */
static int check_realm(const char *host, const char *realm, struct err *err) {
    if (str_starts(realm, "https://") || (str_starts(realm, "http://") && str_eq(oci_scheme_of(host), "http"))) return 0;
    return err_set(err, ERR_PROTOCOL, "the registry %s sends for tokens to \"%.200s\", which is not https", host, realm);
}

static int read_token(const struct http_response *r, struct secret **ret, int64_t *ret_seconds, struct err *err) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, err);
    if (!j) return -ERR_PROTOCOL;
    const char *token = json_get_str(j, "token"), *other = json_get_str(j, "access_token");
    if (str_empty(token)) token = other;
    if (str_empty(token)) return err_set(err, ERR_PROTOCOL, "the reply has no token");
    int64_t seconds = json_get_int(j, "expires_in", TOKEN_LIFE);
    *ret_seconds = seconds < TOKEN_LIFE ? TOKEN_LIFE : seconds > TOKEN_LIFE_MAX ? TOKEN_LIFE_MAX : seconds;
    *ret = secret_new(token, strlen(token));
    mem_wipe((char *) token, strlen(token)); /* the tree is ours */
    if (other && other != token) mem_wipe((char *) other, strlen(other));
    return 0;
}

static int fetch_token(struct oci *o, struct ctx *ctx, const char *host, const struct oci_challenge *c, const char *scope,
                       bool renew, struct secret **ret, struct err *err) {
    struct arena *a = ctx->arena;
    AUTO_SECRET struct secret *basic = NULL;
    int r = check_realm(host, c->realm, err);
    if (r == 0) r = basic_of(o, ctx, host, renew, &basic, err);
    if (r < 0) return r;
    struct http_header header = {.name = "Authorization", .value = "Basic ", .secret = basic};
    struct http_request req = {
        .url = arena_printf(a, "%s%sservice=%s&scope=%s", c->realm, strchr(c->realm, '?') ? "&" : "?",
                            http_encode(a, c->service ? c->service : "", false), http_encode(a, scope, false)),
        .headers = &header,
        .n_headers = basic ? 1 : 0,
        .max_body = REPLY_MAX,
        .sensitive = true,
    };
    struct http_response reply;
    r = o->http.send(o->http.self, ctx, &req, &reply, err);
    if (r < 0) return err_wrap(err, "a token for the registry %s", host);
    if (reply.status != 200) {
        if ((reply.status == 401 || reply.status == 403) && !basic) return no_credentials(host, err);
        struct oci_request as = {.host = host, .name = "", .path = ""};
        return oci_error(ctx, &as, &reply, "get a token", err);
    }
    int64_t seconds = 0;
    r = read_token(&reply, ret, &seconds, err);
    mem_wipe((char *) reply.body, reply.body_len); /* our arena's copy */
    if (r < 0) return err_wrap(err, "a token for the registry %s", host);
    keep_token(o, host, scope, *ret, ctx_now(ctx) + (seconds - TOKEN_EARLY) * 1000);
    return 0;
}

int oci_authorize(struct oci *o, struct ctx *ctx, const struct oci_request *req, bool renew, const char **ret_kind,
                  struct secret **ret_secret, struct err *err) {
    struct oci_challenge c = known_challenge(o, ctx->arena, req->host);
    if (c.scheme == AUTH_UNKNOWN) return 1;
    if (c.scheme == AUTH_BASIC) {
        *ret_kind = "Basic ";
        int r = basic_of(o, ctx, req->host, renew, ret_secret, err);
        return r > 0 ? no_credentials(req->host, err) : r;
    }
    const char *scope = arena_printf(ctx->arena, "repository:%s:%s", req->name, req->actions);
    *ret_kind = "Bearer ";
    *ret_secret = renew ? NULL : cached_token(o, req->host, scope, ctx_now(ctx));
    return *ret_secret ? 0 : fetch_token(o, ctx, req->host, &c, scope, renew, ret_secret, err);
}
