/* What a registry's refusals mean. Bodies are JSON by the specification, and plain text at ECR and behind proxies. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/internal.h"
#include "json/json.h"

const char *oci_error_code(struct arena *a, const struct http_response *r) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    return arena_strdup(a, json_get_str(json_first(json_get(j, "errors")), "code"));
}

static const char *clean(struct arena *a, const char *s) { return s ? text_tail(a, text_clean(a, s, strlen(s)), 5, 500) : NULL; }

/* "NAME_UNKNOWN: The repository … does not exist", the plain text, or "". */
static const char *text_of(struct arena *a, const struct http_response *r) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    const struct json *first = json_first(json_get(j, "errors"));
    if (!first) return str_trim(a, clean(a, r->body));
    const char *code = clean(a, json_get_str(first, "code")), *message = clean(a, json_get_str(first, "message"));
    return arena_printf(a, "%s%s%s", code ? code : "", code && message ? ": " : "", message ? message : "");
}

static enum err_code code_of(int status, const char *code) {
    switch (status) {
        case 400:
        case 422: return ERR_INVALID;
        case 401: return ERR_UNAUTHENTICATED;
        case 403: return ERR_DENIED;
        case 404: return ERR_NOT_FOUND;
        case 405: return ERR_UNSUPPORTED;
        case 409:
        case 412: return ERR_CONFLICT;
        case 413: return ERR_LIMIT;
        case 429: return ERR_THROTTLED;
        default: return str_eq(code, "TOOMANYREQUESTS") ? ERR_THROTTLED : status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
    }
}

static void hint(const struct oci_request *req, const struct http_response *r, const char *code, struct err *err) {
    bool writes = str_eq(req->method, "PUT") || str_eq(req->method, "POST") || str_eq(req->method, "PATCH");
    if (r->status == 401)
        err_hint(err, "The registry %s refuses the credentials that were sent: are they for this host, and not expired?",
                 req->host);
    else if (r->status == 403 && writes)
        err_hint(err,
                 "The registry %s forbids it. The credentials may lack the right to push (at ECR: ecr:PutImage, "
                 "ecr:InitiateLayerUpload), or the repository's quota of images is used up.",
                 req->host);
    else if (r->status == 403)
        err_hint(err, "The credentials lack the right to read %s (at ECR: ecr:BatchGetImage).", req->name);
    else if (r->status == 404 && (str_eq(code, "NAME_UNKNOWN") || writes))
        err_hint(err, "The repository %s doesn't exist at %s. At ECR, check the account and the region in the host name.",
                 req->name, req->host);
}

int oci_error(struct ctx *ctx, const struct oci_request *req, const struct http_response *r, const char *doing, struct err *err) {
    const char *text = text_of(ctx->arena, r), *code = oci_error_code(ctx->arena, r);
    int ret = err_set(err, code_of(r->status, code), "cannot %s at %s%s%s: %s%sHTTP %d%s", doing, req->host, *req->name ? "/" : "",
                      req->name, text, *text ? " (" : "", r->status, *text ? ")" : "");
    if (!err) return ret;
    err->http_status = r->status;
    err->retryable = err->code == ERR_THROTTLED || err->code == ERR_UNAVAILABLE;
    err->request_id = mem_strdup(http_header_get(r, "x-amzn-RequestId"));
    int64_t after = http_retry_after(r);
    err->retry_after = after > 0 ? (int) ((after + 999) / 1000) : 0;
    hint(req, r, code, err);
    return ret;
}
