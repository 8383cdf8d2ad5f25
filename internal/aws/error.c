/* What AWS's error replies mean. */
#include <string.h>

#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

static bool is_one_of(const char *code, const char *const *list, size_t n) {
    for (size_t i = 0; code && i < n; i++)
        if (strcmp(code, list[i]) == 0) return true;
    return false;
}
#define IS_ONE_OF(code, ...) is_one_of((code), (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

/* ECR says LimitExceededException for its quotas, which waiting doesn't change. */
bool aws_code_throttles(const char *service, const char *code) {
    if (str_eq(code, "LimitExceededException")) return !str_eq(service, "ecr");
    return IS_ONE_OF(code, "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException",
                     "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
                     "RequestLimitExceeded", "BandwidthLimitExceeded", "RequestThrottled", "SlowDown", "PriorRequestNotComplete",
                     "EC2ThrottledException");
}

bool aws_code_expired(const char *code) { return IS_ONE_OF(code, "ExpiredToken", "ExpiredTokenException", "RequestExpired"); }

bool aws_code_skewed(const char *code) {
    return IS_ONE_OF(code, "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
                     "SignatureDoesNotMatch", "AuthFailure");
}

static bool is_bad_key(const char *code) {
    return IS_ONE_OF(code, "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
                     "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
                     "MissingAuthenticationTokenException", "AuthFailure", "NotAuthorized", "InvalidAccessKeyId");
}

static bool is_denied(const char *code) {
    return IS_ONE_OF(code, "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired", "KmsException");
}

static enum err_code code_of(const char *service, const char *code, int status) {
    if (aws_code_throttles(service, code) || status == 429) return ERR_THROTTLED;
    if (aws_code_expired(code) || is_bad_key(code)) return ERR_UNAUTHENTICATED;
    if (is_denied(code)) return ERR_DENIED;
    if (IS_ONE_OF(code, "LimitExceededException", "TooManyTagsException", "LimitExceeded")) return ERR_LIMIT;
    if (IS_ONE_OF(code, "RepositoryNotEmptyException", "ImageTagAlreadyExistsException")) return ERR_CONFLICT;
    if (code && (str_ends(code, "NotFoundException") || str_ends(code, "NotFound"))) return ERR_NOT_FOUND;
    if (code && strstr(code, "AlreadyExists")) return ERR_EXISTS;
    if (status >= 500) return ERR_UNAVAILABLE;
    if (code) return ERR_INVALID;
    return status == 401 ? ERR_UNAUTHENTICATED : status == 403 ? ERR_DENIED : status == 404 ? ERR_NOT_FOUND : ERR_PROTOCOL;
}

/* "com.amazonaws.ecr#NameException" and "NameException:http://…" → "NameException" */
static const char *bare_code(struct arena *a, const char *s) {
    if (!s) return NULL;
    const char *hash = strchr(s, '#');
    if (hash) s = hash + 1;
    return arena_strndup(a, s, strcspn(s, ":"));
}

/* The text of the first <name> element; replies of the query protocol are flat enough for that. */
const char *aws_xml_text(struct arena *a, const char *body, const char *name) {
    const char *open = strstr(body, arena_printf(a, "<%s>", name));
    if (!open) return NULL;
    open += strlen(name) + 2;
    return arena_strndup(a, open, strcspn(open, "<"));
}

struct parsed {
    const char *code, *message, *request_id;
};

static struct parsed parse(struct arena *a, const struct http_response *r) {
    struct parsed p = {.code = bare_code(a, http_header_get(r, "X-Amzn-Errortype")),
                       .request_id = http_header_get(r, "x-amzn-RequestId")};
    const char *start = r->body + strspn(r->body, " \r\n\t");
    if (*start == '<') {
        if (!p.code) p.code = aws_xml_text(a, start, "Code");
        p.message = aws_xml_text(a, start, "Message");
        if (!p.request_id) p.request_id = aws_xml_text(a, start, "RequestId");
        if (p.code || p.message) return p;
    }
    AUTO_JSON struct json *j = *start == '{' ? json_parse(r->body, r->body_len, NULL) : NULL;
    if (!p.code) p.code = bare_code(a, json_get_str(j, "__type"));
    if (!p.code) p.code = bare_code(a, json_get_str(j, "code"));
    const char *message = json_get_str(j, "message");
    if (!message) message = json_get_str(j, "Message");
    /* The paragraphs that follow repeat the request that was signed. */
    if (message) p.message = arena_strndup(a, message, strcspn(message, "\n"));
    if (!p.message && !j) p.message = text_tail(a, text_clean(a, r->body, r->body_len), 5, 500); /* a proxy's page, or plain text */
    return p;
}

static void hint(const struct aws_request *req, const char *code, const struct aws_creds *creds, struct err *err) {
    const char *origin = creds && creds->origin ? creds->origin : "unknown";
    if (aws_code_expired(code))
        err_hint(err, "The credentials (from %s) have expired. Get new ones, for example by `aws sso login`, and run it again.",
                 origin);
    else if (is_bad_key(code))
        err_hint(err,
                 "The access key %s (from %s) is not accepted: is it active, is its secret key complete, and does a temporary key "
                 "have its "
                 "session token (AWS_SESSION_TOKEN)?",
                 creds && creds->access_key ? creds->access_key : "", origin);
    else if (is_denied(code))
        err_hint(err, "The credentials (access key %s, from %s) need the permission %s:%s.",
                 creds && creds->access_key ? creds->access_key : "", origin, req->service, req->action);
    else if (str_eq(code, "LimitExceededException"))
        err_hint(err, "A quota of the account is used up; the Service Quotas console raises it.");
}

int aws_error(struct ctx *ctx, const struct aws_request *req, const struct http_response *r, const struct aws_creds *creds,
              const char **ret_code, struct err *err) {
    struct arena *a = ctx->arena;
    struct parsed p = parse(a, r);
    const char *message = str_empty(p.message) ? NULL : text_clean(a, p.message, strlen(p.message));
    const char *code = p.code ? text_clean(a, p.code, strlen(p.code)) : NULL;
    *ret_code = code;
    int ret = err_set(err, code_of(req->service, code, r->status), "%s:%s in %s: %s (%s%sHTTP %d)", req->service, req->action,
                      req->region, message ? message : "the call failed", code ? code : "", code ? ", " : "", r->status);
    if (!err) return ret;
    err->http_status = r->status;
    err->request_id = mem_strdup(p.request_id);
    err->retryable = err->code == ERR_THROTTLED || err->code == ERR_UNAVAILABLE;
    int64_t after = http_retry_after(r);
    err->retry_after = after > 0 ? (int) ((after + 999) / 1000) : 0;
    hint(req, code, creds, err);
    return ret;
}
