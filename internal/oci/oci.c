/* Requests to a registry: authentication, attempts, redirects. */
#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/internal.h"

enum { ATTEMPTS = 4, BACKOFF_MAX = 8000, RETRY_AFTER_MAX = 60000, REDIRECTS = 5 };

static double random_unit(void) {
    uint32_t n;
    random_bytes(&n, sizeof n);
    return n / 4294967296.0;
}

struct oci *oci_new(const struct http_sender *http, const struct oci_auth *auth) {
    struct oci *o = NEW(struct oci);
    o->http = *http;
    if (auth) o->auth = *auth;
    o->random = random_unit;
    pthread_mutex_init(&o->lock, NULL);
    return o;
}

/* As docker has it: a registry on this machine may do without TLS. */
const char *oci_scheme_of(const char *host) {
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    bool loopback = (len == 9 && strncmp(host, "localhost", 9) == 0) || (len == 5 && strncmp(host, "[::1]", 5) == 0);
    if (!loopback && str_starts(host, "127.")) loopback = strspn(host, "0123456789.") == len;
    return loopback ? "http" : "https";
}

/* Docker Hub's API has another host than its name, and official images a folder that nobody writes. */
static const char *url_of(struct arena *a, const struct oci_request *req) {
    bool hub = str_eq(req->host, "docker.io") || str_eq(req->host, "index.docker.io");
    const char *host = hub ? "registry-1.docker.io" : req->host;
    if (strstr(req->path, "://")) return req->path;
    if (*req->path == '/') return arena_printf(a, "%s://%s%s", oci_scheme_of(host), host, req->path);
    return arena_printf(a, "%s://%s/v2/%s%s/%s", oci_scheme_of(host), host, hub && !strchr(req->name, '/') ? "library/" : "",
                        req->name, req->path);
}

static bool same_origin(const char *a, const char *b) {
    const char *x = strstr(a, "://"), *y = strstr(b, "://");
    if (!x || !y) return false;
    size_t n = (size_t) (x - a) + 3 + strcspn(x + 3, "/?"), m = (size_t) (y - b) + 3 + strcspn(y + 3, "/?");
    return n == m && strncmp(a, b, n) == 0;
}

/* kind NULL: without authorization. */
static int send_plain(struct oci *o, struct ctx *ctx, const struct oci_request *req, const char *url, const char *kind,
                      const struct secret *secret, struct http_response *ret, struct err *err) {
    struct http_header headers[3];
    size_t n = 0;
    if (req->accept) headers[n++] = (struct http_header){"Accept", req->accept, NULL};
    if (req->content_type) headers[n++] = (struct http_header){"Content-Type", req->content_type, NULL};
    if (kind) headers[n++] = (struct http_header){"Authorization", kind, secret};
    struct http_request http = {
        .method = req->method,
        .url = url,
        .headers = headers,
        .n_headers = n,
        .body = req->body,
        .body_len = req->body_len,
        .max_body = req->max_body,
    };
    return o->http.send(o->http.self, ctx, &http, ret, err);
}

static bool is_redirect(const struct oci_request *req, const struct http_response *r) {
    bool reads = str_eq(req->method, "GET") || str_eq(req->method, "HEAD");
    return reads && (r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 || r->status == 308) &&
           http_header_get(r, "Location");
}

/* Credentials stay with the host that they are for. */
static int send_following(struct oci *o, struct ctx *ctx, const struct oci_request *req, const char *kind,
                          const struct secret *secret, struct http_response *ret, struct err *err) {
    const struct oci_request at_home = {.host = req->host, .name = req->name, .path = "/v2/"};
    const char *home = url_of(ctx->arena, &at_home), *url = url_of(ctx->arena, req);
    if (str_starts(home, "https://") && !str_starts(url, "https://"))
        return err_set(err, ERR_PROTOCOL, "%s sends on to something that is not https", req->host);
    for (int hops = 0;; hops++) {
        bool ours = same_origin(home, url);
        int r = send_plain(o, ctx, req, url, ours ? kind : NULL, secret, ret, err);
        if (r < 0 || !is_redirect(req, ret)) return r;
        if (hops == REDIRECTS) return err_set(err, ERR_PROTOCOL, "%s redirects without an end", req->host);
        const char *to = http_header_get(ret, "Location");
        if (*to == '/') {
            size_t origin = (size_t) (strstr(url, "://") - url) + 3;
            origin += strcspn(url + origin, "/?");
            to = arena_printf(ctx->arena, "%.*s%s", (int) origin, url, to);
        }
        if (!str_starts(to, "https://") && !(str_starts(to, "http://") && str_starts(home, "http://")))
            return err_set(err, ERR_PROTOCOL, "%s redirects to something that is not https", req->host);
        url = to;
    }
}

/* ECR tells the end of a token by 403 as well, and a HEAD's reply has no words. */
static bool wants_login(const struct oci_request *req, const struct http_response *r, bool sent) {
    if (r->status == 401) return true;
    return r->status == 403 && sent && (str_eq(req->method, "HEAD") || strstr(r->body, "token has expired"));
}

/* Twice at most: with what is known, then with what the challenge asks for. */
static int send_authorized(struct oci *o, struct ctx *ctx, const struct oci_request *req, struct http_response *ret,
                           struct err *err) {
    bool renew = false;
    for (int tries = 0;; tries++) {
        const char *kind = NULL;
        AUTO_SECRET struct secret *secret = NULL;
        int r = oci_authorize(o, ctx, req, renew, &kind, &secret, err);
        if (r < 0) return r;
        bool sent = r == 0;
        r = send_following(o, ctx, req, sent ? kind : NULL, secret, ret, err);
        if (r < 0) return r;
        if (!wants_login(req, ret, sent) || renew || tries == 2) return 0;
        struct oci_challenge c;
        bool told = oci_parse_challenge(ctx->arena, ret, &c);
        if (told) oci_remember(o, req->host, &c);
        if (!told && !sent) return 0;
        renew = sent;
    }
}

static int64_t backoff(struct oci *o, int n, const struct err *err) {
    int64_t most = 500 << n;
    int64_t ms = (int64_t) (o->random() * (double) (most < BACKOFF_MAX ? most : BACKOFF_MAX));
    int64_t asked = (int64_t) err->retry_after * 1000;
    if (asked > RETRY_AFTER_MAX) asked = RETRY_AFTER_MAX;
    return asked > ms ? asked : ms;
}

static bool worth_another(int status) { return status == 429 || (status >= 500 && status != 501); }

int oci_send(struct oci *o, struct ctx *ctx, const struct oci_request *req, struct http_response *ret, struct err *err) {
    for (int n = 1;; n++) {
        AUTO_ERR struct err why = {0};
        int r = send_authorized(o, ctx, req, ret, &why);
        bool last = req->once || n == ATTEMPTS;
        if (r == 0) {
            if (last || !worth_another(ret->status)) return 0;
            int64_t after = http_retry_after(ret);
            why.retry_after = after > 0 ? (int) ((after + 999) / 1000) : 0;
        } else if (last || !why.retryable) {
            err_move(err, &why);
            return r;
        }
        log_debug(ctx, "%s: attempt %d failed (%s)", req->host, n, r == 0 ? "HTTP error" : err_text(&why));
        int waited = ctx_sleep(ctx, backoff(o, n, &why), err);
        if (waited < 0) return err_wrap(err, "waiting to ask %s again", req->host);
    }
}
