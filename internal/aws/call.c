/* One API call: sign, send, retry. */
#include <stdlib.h>
#include <string.h>

#include "aws/internal.h"
#include "aws/sigv4.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

enum {
    ATTEMPTS = 3,
    BACKOFF_MAX = 20000,
    RETRY_AFTER_MAX = 60000,
    SKEW_MIN = 4 * 60 * 1000, /* AWS accepts five minutes */
};

struct call {
    struct aws *a;
    struct ctx *ctx;
    const struct aws_request *req;
    const char *endpoint;
    const char *ca_file;
    struct aws_creds creds;
    bool resigned, refreshed;
};

int64_t aws_skew(struct aws *a) {
    pthread_mutex_lock(&a->lock);
    int64_t ms = a->skew;
    pthread_mutex_unlock(&a->lock);
    return ms;
}

static int64_t wall(const struct ctx *ctx) { return ctx_clock(ctx)->wall(ctx_clock(ctx)->self); }

static size_t add_header(struct http_header *list, size_t n, const char *name, const char *value) {
    if (value) list[n++] = (struct http_header){.name = name, .value = value};
    return n;
}

/* Where the host of a URL begins and how long it is with its port. */
static const char *url_host(const char *url, size_t *ret_len) {
    const char *host = strstr(url, "://") + 3;
    *ret_len = strcspn(host, "/?");
    return host;
}

/* curl's Host header has no port that is the scheme's own. */
static const char *host_header(struct arena *a, const char *url) {
    size_t len;
    const char *host = url_host(url, &len), *usual = str_starts(url, "https:") ? ":443" : ":80";
    size_t n = strlen(usual);
    if (len > n && memcmp(host + len - n, usual, n) == 0) len -= n;
    return arena_strndup(a, host, len);
}

static int send_once(struct call *c, struct http_response *ret, struct err *err) {
    struct arena *a = c->ctx->arena;
    const struct aws_request *req = c->req;
    size_t host_len;
    const char *host = url_host(c->endpoint, &host_len);
    const char *path = arena_printf(a, "%s%s", host + host_len, req->path ? req->path : "/");
    const char *body = req->body ? req->body : "";
    struct http_header headers[6];
    size_t n = add_header(headers, 0, "Content-Type", req->content_type);
    n = add_header(headers, n, "X-Amz-Target", req->target);
    struct sigv4_request to_sign = {
        .method = req->method ? req->method : "POST",
        .host = host_header(a, c->endpoint),
        .path = path,
        .headers = headers,
        .n_headers = n,
        .body = body,
        .body_len = strlen(body),
        .service = req->service,
        .region = req->region,
        .time = (wall(c->ctx) + aws_skew(c->a)) / 1000,
    };
    struct sigv4_signature signature;
    sigv4_sign(a, &to_sign, &c->creds, &signature);
    n = add_header(headers, n, "X-Amz-Date", signature.date);
    n = add_header(headers, n, "Authorization", signature.authorization);
    if (c->creds.token) headers[n++] = (struct http_header){.name = "X-Amz-Security-Token", .value = "", .secret = c->creds.token};
    struct http_tls tls = {.ca_file = c->ca_file};
    struct http_request http = {
        .method = to_sign.method,
        .url = arena_printf(a, "%.*s%s", (int) (host - c->endpoint + (ptrdiff_t) host_len), c->endpoint, path),
        .headers = headers,
        .n_headers = n,
        .body = body,
        .body_len = to_sign.body_len,
        .tls = c->ca_file ? &tls : NULL,
        .sensitive = req->sensitive,
    };
    return c->a->http.send(c->a->http.self, c->ctx, &http, ret, err);
}

static int max_attempts(struct aws *a, const struct aws_config *c) {
    if (a->max_retries >= 0) return a->max_retries + 1;
    const char *text = aws_env(a, "AWS_MAX_ATTEMPTS");
    if (!text) text = c->max_attempts;
    long n = text ? strtol(text, NULL, 10) : 0;
    return n >= 1 && n <= 100 ? (int) n : ATTEMPTS;
}

/* Before attempt n + 1: a random part of 1, 2, 4 … 20 s, or what the service asks for if that is longer. */
static int64_t backoff(struct aws *a, int n, const struct err *err) {
    int64_t most = n > 5 ? BACKOFF_MAX : 1000 << (n - 1);
    int64_t ms = (int64_t) (a->random() * (double) (most < BACKOFF_MAX ? most : BACKOFF_MAX));
    int64_t asked = (int64_t) err->retry_after * 1000;
    if (asked > RETRY_AFTER_MAX) asked = RETRY_AFTER_MAX;
    return asked > ms ? asked : ms;
}

/* True if our clock is off, which is then allowed for in this and all later signatures. */
static bool learn_skew(struct call *c, const struct http_response *r, const char *code) {
    const char *date = http_header_get(r, "Date");
    if (c->resigned || !aws_code_skewed(code) || !date) return false;
    int64_t theirs = http_date(date);
    if (theirs < 0) return false;
    int64_t off = theirs * 1000 - wall(c->ctx), known = aws_skew(c->a);
    if (llabs(off - known) < SKEW_MIN) return false;
    log_debug(c->ctx, "the clock is %lld s off; signing again", (long long) off / 1000);
    pthread_mutex_lock(&c->a->lock);
    c->a->skew = off;
    pthread_mutex_unlock(&c->a->lock);
    return c->resigned = true;
}

/* True if other credentials than the refused ones are to be had. */
static bool refresh(struct call *c, const char *code) {
    if (c->refreshed || !aws_code_expired(code)) return false;
    c->refreshed = true;
    cred_cache_drop(&c->a->creds, &c->creds);
    struct aws_creds fresh = {0};
    if (c->a->creds.get(c->a->creds.self, c->ctx, &fresh, NULL) != 0) return false;
    bool other = !aws_creds_equal(&fresh, &c->creds);
    aws_creds_done(&c->creds);
    c->creds = fresh;
    return other;
}

static int attempts(struct call *c, int most, struct aws_reply *ret, struct err *err) {
    for (ret->attempts = 1;; ret->attempts++) {
        AUTO_ERR struct err why = {0};
        ret->code = NULL;
        int r = send_once(c, &ret->http, &why);
        if (r == 0) {
            if (ret->http.status / 100 == 2) return 0;
            r = aws_error(c->ctx, c->req, &ret->http, &c->creds, &ret->code, &why);
            if (learn_skew(c, &ret->http, ret->code) || refresh(c, ret->code)) {
                ret->attempts--;
                continue;
            }
        } else {
            err_wrap(&why, "%s:%s in %s", c->req->service, c->req->action, c->req->region);
        }
        if (!why.retryable || ret->attempts >= most) {
            err_move(err, &why);
            return r;
        }
        int64_t ms = backoff(c->a, ret->attempts, &why);
        log_debug(c->ctx, "%s; trying again in %lld ms", err_text(&why), (long long) ms);
        r = ctx_sleep(c->ctx, ms, err);
        if (r < 0) return err_wrap(err, "waiting to try again after: %s", err_text(&why));
    }
}

int aws_call(struct aws *a, struct ctx *ctx, const struct aws_request *req, struct aws_reply *ret, struct err *err) {
    struct call c = {.a = a, .ctx = ctx, .req = req};
    const struct aws_config *config;
    *ret = (struct aws_reply){0};
    int r = aws_config(a, ctx, &config, err);
    if (r == 0) r = aws_endpoint(a, ctx, req->service, req->region, &c.endpoint, err);
    if (r == 0) r = a->creds.get(a->creds.self, ctx, &c.creds, err);
    if (r < 0) return err_wrap(err, "%s:%s", req->service, req->action);
    c.ca_file = aws_env(a, "AWS_CA_BUNDLE") ? aws_env(a, "AWS_CA_BUNDLE") : config->ca_bundle;
    r = attempts(&c, max_attempts(a, config), ret, err);
    aws_creds_done(&c.creds);
    return r;
}
