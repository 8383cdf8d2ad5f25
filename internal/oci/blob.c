/* Blobs and tag lists. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/internal.h"
#include "json/json.h"

enum { LIST_MAX = 8 << 20, PAGES_MAX = 1000 };

int oci_blob_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *digest, struct err *err) {
    struct oci_request req = {
        .host = host, .name = name, .actions = "pull", .method = "HEAD", .path = arena_printf(ctx->arena, "blobs/%s", digest)};
    struct http_response r;
    int e = oci_send(o, ctx, &req, &r, err);
    if (e < 0) return e;
    if (r.status == 404) return 1;
    return r.status == 200 ? 0 : oci_error(ctx, &req, &r, "look for a layer", err);
}

/* POST opens a session, one PUT fills and closes it. A PUT that broke can't be sent again: its session is spoilt (416). */
static int upload(struct oci *o, struct ctx *ctx, const char *host, const char *name, const void *data, size_t len,
                  const char *digest, struct err *err) {
    struct arena *a = ctx->arena;
    struct oci_request open = {.host = host, .name = name, .actions = "pull,push", .method = "POST", .path = "blobs/uploads/"};
    struct http_response r;
    int e = oci_send(o, ctx, &open, &r, err);
    if (e < 0) return e;
    const char *location = http_header_get(&r, "Location");
    if (r.status != 202 || !location) return oci_error(ctx, &open, &r, "start an upload", err);
    struct oci_request put = {
        .host = host,
        .name = name,
        .actions = "pull,push",
        .method = "PUT",
        .path = arena_printf(a, "%s%sdigest=%s", location, strchr(location, '?') ? "&" : "?", http_encode(a, digest, false)),
        .content_type = "application/octet-stream",
        .body = data,
        .body_len = len,
        .once = true,
    };
    e = oci_send(o, ctx, &put, &r, err);
    if (e < 0) return e;
    return r.status == 201 ? 0 : oci_error(ctx, &put, &r, "upload a layer", err);
}

int oci_blob_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const void *data, size_t len,
                 const char *digest, struct err *err) {
    AUTO_ERR struct err why = {0};
    int r = upload(o, ctx, host, name, data, len, digest, &why);
    if (r < 0 && why.retryable) r = upload(o, ctx, host, name, data, len, digest, &why);
    if (r < 0) err_move(err, &why);
    return r;
}

/* RFC 8288: <URL>; rel="next" */
static const char *next_page(struct arena *a, const struct http_response *r) {
    const char *link = http_header_get(r, "Link");
    if (!link || *link != '<' || !strstr(link, "rel=\"next\"")) return NULL;
    size_t len = strcspn(link + 1, ">");
    return link[len + 1] ? arena_strndup(a, link + 1, len) : NULL;
}

int oci_tags(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *const **ret, size_t *ret_n,
             struct err *err) {
    struct strs tags = {0};
    struct oci_request req = {
        .host = host, .name = name, .actions = "pull", .method = "GET", .path = "tags/list?n=1000", .max_body = LIST_MAX};
    for (int page = 0; req.path; page++) {
        struct http_response r;
        int e = oci_send(o, ctx, &req, &r, err);
        if (e < 0) return e;
        if (r.status == 404) return 1;
        if (r.status != 200) return oci_error(ctx, &req, &r, "list the tags", err);
        if (page == PAGES_MAX) return err_set(err, ERR_LIMIT, "the list of tags of %s/%s has no end", host, name);
        AUTO_JSON struct json *j = json_parse(r.body, r.body_len, err);
        if (!j) return err_wrap(err, "the tags of %s/%s", host, name);
        json_each(tag, json_get(j, "tags")) if (json_str(tag)) strs_add(ctx->arena, &tags, arena_strdup(ctx->arena, json_str(tag)));
        req.path = next_page(ctx->arena, &r);
        if (req.path && strstr(req.path, "://") &&
            !str_starts(req.path, arena_printf(ctx->arena, "%s://%s/", oci_scheme_of(host), host)))
            return err_set(err, ERR_PROTOCOL, "%s continues its list of tags at another host", host);
    }
    *ret = tags.v;
    *ret_n = tags.n;
    return 0;
}
