/* One request to a registry: credentials, repetition, and errors in the registry's own words. */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "oci/client.h"
#include "json/json.h"

enum { ATTEMPTS = 4, FIRST_DELAY_MS = 300, WORDS_MAX = 600 };

void oci_reason(struct arena *a, const struct http_response *r, const char **ret_code, const char **ret_message) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    const struct json *first = json_first(json_get(j, "errors"));
    const char *code = json_get_str(first, "code"), *message = json_get_str(first, "message");
    *ret_code = code ? text_clean(a, code, strlen(code)) : "";
    if (!message && !j) message = r->body; /* ECR says 401 and 403 in plain text */
    *ret_message = message ? text_tail(a, message, 4, WORDS_MAX) : "";
}

static enum err_code code_of(int status) {
    switch (status) {
        case 400: return ERR_INVALID;
        case 401: return ERR_UNAUTHENTICATED;
        case 403: return ERR_DENIED;
        case 404: return ERR_NOT_FOUND;
        case 409:
        case 412: return ERR_CONFLICT;
        case 413: return ERR_LIMIT;
        case 429: return ERR_THROTTLED;
        default: return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
    }
}

int oci_refused(struct ctx *ctx, const struct oci_call *call, const struct http_response *r, struct err *err) {
    const char *code = "", *message = "";
    oci_reason(ctx->arena, r, &code, &message);
    const char *said = *message ? message : *code ? code : "no reason given";
    int result = err_set(err, code_of(r->status), "%s %s/%s: the registry answers HTTP %d: %s", call->method, call->host,
                         call->name, r->status, said);
    if (!err) return result;
    err->http_status = r->status;
    err->retryable = r->status == 429 || r->status >= 500;
    if (r->status == 401)
        err_hint(err,
                 "No credentials that %s accepts are known for it. For ECR the AWS credentials must reach that account and region.",
                 call->host);
    else if (r->status == 403)
        err_hint(err, "The credentials are known but lack a right on %s, or a quota of the registry is reached.", call->name);
    else if (r->status == 404 && call->push)
        err_hint(err, "The repository %s doesn't exist at %s.", call->name, call->host);
    return result;
}

/* ECR says the end of a token by 403, and a HEAD's reply has no words. */
static bool wants_login(const struct oci_call *call, const struct http_response *r) {
    return r->status == 401 || (r->status == 403 && (str_eq(call->method, "HEAD") || strstr(r->body, "token has expired")));
}

static int send_once(struct oci *o, struct ctx *ctx, const struct oci_call *call, bool renew, struct http_response *ret,
                     struct err *err) {
    struct oci_credential credential = {0};
    int r = oci_authorize(o, ctx, call, renew, &credential, err);
    if (r < 0) return r;
    struct http_header headers[3];
    size_t n = 0;
    if (credential.secret) headers[n++] = (struct http_header){"Authorization", credential.scheme, credential.secret};
    if (call->accept) headers[n++] = (struct http_header){"Accept", call->accept, NULL};
    if (call->content_type) headers[n++] = (struct http_header){"Content-Type", call->content_type, NULL};
    struct http_request request = {
        .method = call->method,
        .url = arena_printf(ctx->arena, "%s://%s/v2/%s/%s", oci_scheme(call->host), call->host, call->name, call->path),
        .headers = headers,
        .n_headers = n,
        .body = call->body,
        .body_len = call->body_len,
    };
    r = o->http.send(o->http.self, ctx, &request, ret, err);
    secret_unref(credential.secret);
    return r;
}

/* At most one login for what the host asks for, and one more with renewed credentials. */
static int send_with_login(struct oci *o, struct ctx *ctx, const struct oci_call *call, struct http_response *ret,
                           struct err *err) {
    int r = send_once(o, ctx, call, false, ret, err);
    if (r < 0 || !wants_login(call, ret)) return r;
    bool news = oci_learn(o, ctx, call->host, ret);
    r = send_once(o, ctx, call, !news, ret, err);
    if (r == 0 && news && wants_login(call, ret)) r = send_once(o, ctx, call, true, ret, err);
    return r;
}

static bool worth_another(int r, const struct err *err, const struct http_response *reply) {
    if (r < 0) return err->code == ERR_UNAVAILABLE && err->retryable;
    return reply->status == 429 || (reply->status >= 500 && reply->status != 501);
}

int oci_send(struct oci *o, struct ctx *ctx, const struct oci_call *call, struct http_response *ret, struct err *err) {
    int64_t delay = FIRST_DELAY_MS;
    for (int attempt = 1;; attempt++, delay *= 2) {
        AUTO_ERR struct err own = {0};
        int r = send_with_login(o, ctx, call, ret, &own);
        if (attempt < ATTEMPTS && worth_another(r, &own, ret)) {
            int64_t asked = r < 0 ? -1 : http_retry_after(ret);
            log_debug(ctx, "%s %s/%s is tried again", call->method, call->host, call->name);
            r = ctx_sleep(ctx, asked >= 0 && asked < 60000 ? asked : delay + random() % delay, err);
            if (r < 0) return r;
            continue;
        }
        if (r < 0) err_move(err, &own);
        if (r == 0 && (ret->status == 401 || ret->status == 429 || ret->status >= 500)) r = oci_refused(ctx, call, ret, err);
        return r;
    }
}
