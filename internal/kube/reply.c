/* Replies of the API server: Status objects, warnings, errors
 * (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md). */
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/client.h"

enum { MAX_CAUSES = 100, MAX_TEXT = 4000 };

void kube_reply_done(struct kube_reply *r) {
    json_free(r->json);
    r->json = NULL;
}

static const char *clean(struct arena *a, const char *s) { return s ? text_clean(a, s, strnlen(s, MAX_TEXT)) : NULL; }

void kube_status_take(struct arena *a, const struct json *status, struct kube_reply *ret) {
    if (!str_eq(json_get_str(status, "kind"), "Status")) return;
    ret->reason = clean(a, json_get_str(status, "reason"));
    ret->message = clean(a, json_get_str(status, "message"));
    const struct json *list = json_at(status, "details", "causes", NULL);
    size_t n = json_len(list);
    if (n > MAX_CAUSES) n = MAX_CAUSES;
    struct kube_cause *causes = arena_array(a, n + 1, sizeof *causes);
    json_each(item, list) {
        if (ret->n_causes == n) break;
        causes[ret->n_causes++] = (struct kube_cause){
            .reason = clean(a, json_get_str(item, "reason")),
            .message = clean(a, json_get_str(item, "message")),
            .field = clean(a, json_get_str(item, "field")),
        };
    }
    ret->causes = causes;
}

char *kube_warning_text(struct arena *a, const char *header) {
    AUTO_BUF struct buf b = {.max = MAX_TEXT};
    const char *s = strchr(header, '"');
    if (!s) return text_clean(a, header, strnlen(header, MAX_TEXT));
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1]) s++;
        buf_addc(&b, *s);
    }
    return text_clean(a, buf_str(&b), b.len);
}

static enum err_code code_of(int status) {
    switch (status) {
        case 400:
        case 415:
        case 422: return ERR_INVALID;
        case 401: return ERR_UNAUTHENTICATED;
        case 403: return ERR_DENIED;
        case 404:
        case 410: return ERR_NOT_FOUND;
        case 405:
        case 406: return ERR_UNSUPPORTED;
        case 409: return ERR_CONFLICT;
        case 413: return ERR_LIMIT;
        case 429: return ERR_THROTTLED;
        case 502:
        case 503:
        case 504: return ERR_UNAVAILABLE;
        default: return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
    }
}

static int fail(const struct kube *k, struct arena *a, const struct http_response *resp, const struct kube_reply *r, struct err *err) {
    const char *text = r->message;
    if (str_empty(text)) text = text_tail(a, resp->body, 5, 500);
    enum err_code code = code_of(resp->status);
    int rc = err_set(err, code, "%s answers %d%s%s%s%s", kube_server(k), resp->status, r->reason ? " " : "", r->reason ? r->reason : "",
                     *text ? ": " : "", text);
    if (!err) return rc;
    err->http_status = resp->status;
    err->retryable = code == ERR_THROTTLED || code == ERR_UNAVAILABLE;
    err->request_id = mem_strdup(http_header_get(resp, "Audit-Id"));
    int64_t ms = http_retry_after(resp), s = json_int(json_at(r->json, "details", "retryAfterSeconds", NULL), 0);
    if (ms >= 0) s = (ms + 999) / 1000;
    err->retry_after = s > 0 && s < 3600 ? (int) s : 0;
    return rc;
}

int kube_reply_fill(const struct kube *k, struct arena *a, const struct http_response *resp, struct kube_reply *ret, struct err *err) {
    ret->status = resp->status;
    ret->text = resp->body ? resp->body : "";
    ret->text_len = resp->body_len;
    for (size_t i = 0; i < resp->n_headers; i++)
        if (strcasecmp(resp->headers[i].name, "Warning") == 0)
            strs_add(a, &ret->warnings, kube_warning_text(a, resp->headers[i].value));
    const char *type = http_header_get(resp, "Content-Type");
    bool is_json = type && strncasecmp(type, "application/json", 16) == 0;
    bool ok = resp->status >= 200 && resp->status < 300;
    if (is_json && resp->body_len) {
        ret->json = json_parse(resp->body, resp->body_len, ok ? err : NULL);
        if (!ret->json && ok) return err_wrap(err, "%s", kube_server(k));
        if (!ok) kube_status_take(a, ret->json, ret);
    }
    return ok ? 0 : fail(k, a, resp, ret, err);
}
