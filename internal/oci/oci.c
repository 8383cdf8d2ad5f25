#include "oci/oci.h"

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/client.h"
#include "json/json.h"

enum { INDEX_MAX = 100 }; /* manifests of an index that are looked at */

/* A registry may convert what is not accepted: all types that exist are. */
static const char manifest_types[] = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
                                     "application/vnd.docker.distribution.manifest.v2+json, "
                                     "application/vnd.docker.distribution.manifest.list.v2+json";

struct oci *oci_new(const struct http_sender *http, const struct oci_auth *auth) {
    struct oci *o = NEW(struct oci);
    o->http = *http;
    if (auth) o->auth = *auth;
    pthread_mutex_init(&o->lock, NULL);
    return o;
}

void oci_free(struct oci *o) {
    if (!o) return;
    oci_hosts_free(o);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

static int manifest_call(struct oci *o, struct ctx *ctx, struct oci_call *call, const char *reference, struct http_response *reply,
                         struct err *err) {
    call->path = arena_printf(ctx->arena, "manifests/%s", reference);
    return oci_send(o, ctx, call, reply, err);
}

static const char *media_type(struct arena *a, const struct http_response *r) {
    const char *type = http_header_get(r, "Content-Type");
    return type ? arena_strndup(a, type, strcspn(type, "; ")) : NULL;
}

int oci_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
             struct err *err) {
    struct oci_call call = {.method = "HEAD", .host = host, .name = name, .accept = manifest_types};
    struct http_response reply = {0};
    int r = manifest_call(o, ctx, &call, reference, &reply, err);
    if (r < 0) return r;
    if (reply.status == 404) return 1;
    if (reply.status != 200) return oci_refused(ctx, &call, &reply, err);
    const char *digest = http_header_get(&reply, "Docker-Content-Digest");
    if (!digest || !oci_valid_digest(digest)) return oci_get(o, ctx, host, name, reference, ret, err);
    *ret = (struct oci_manifest){.digest = arena_strdup(ctx->arena, digest), .media_type = media_type(ctx->arena, &reply)};
    return 0;
}

/* The type that the manifest itself names counts more than what a proxy made of the header. */
static const char *type_of_body(struct arena *a, const struct http_response *reply) {
    AUTO_JSON struct json *j = json_parse(reply->body, reply->body_len, NULL);
    const char *type = json_get_str(j, "mediaType");
    return type ? arena_strdup(a, type) : media_type(a, reply);
}

int oci_get(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
            struct err *err) {
    struct oci_call call = {.method = "GET", .host = host, .name = name, .accept = manifest_types};
    struct http_response reply = {0};
    int r = manifest_call(o, ctx, &call, reference, &reply, err);
    if (r < 0) return r;
    if (reply.status == 404) return 1;
    if (reply.status != 200) return oci_refused(ctx, &call, &reply, err);
    const char *digest = sha256_digest(ctx->arena, reply.body, reply.body_len);
    const char *said = strchr(reference, ':') ? reference : http_header_get(&reply, "Docker-Content-Digest");
    if (said && str_starts(said, "sha256:") && !str_eq(said, digest))
        return err_set(err, ERR_PROTOCOL, "%s/%s: the registry gives out %s for %s", host, name, digest, said);
    *ret = (struct oci_manifest){
        .digest = digest, .media_type = type_of_body(ctx->arena, &reply), .body = reply.body, .len = reply.body_len};
    return 0;
}

/* A refused tag: fine if it is on this manifest already, else the words of an immutable tag where that is the reason. */
static int refused_tag(struct oci *o, struct ctx *ctx, const struct oci_call *call, const char *tag, const struct oci_manifest *m,
                       const struct http_response *reply, struct err *err) {
    const char *code = "", *message = "";
    oci_reason(ctx->arena, reply, &code, &message);
    bool immutable = str_eq(code, "TAG_INVALID") || strstr(message, "immutable") || strstr(message, "already exists");
    struct oci_manifest there = {0};
    if (!immutable || oci_head(o, ctx, call->host, call->name, tag, &there, NULL) != 0) return oci_refused(ctx, call, reply, err);
    if (str_eq(there.digest, m->digest)) return 0;
    err_set(err, ERR_CONFLICT, "the tag %s of %s/%s is immutable: it is on %s and can't be put on %s", tag, call->host, call->name,
            there.digest, m->digest);
    err_hint(err, "Use a tag that is new with each build, or make the repository's tags mutable.");
    return -ERR_CONFLICT;
}

int oci_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, const struct oci_manifest *m,
            struct err *err) {
    struct oci_call call = {.method = "PUT",
                            .host = host,
                            .name = name,
                            .content_type = m->media_type,
                            .body = m->body,
                            .body_len = m->len,
                            .push = true};
    struct http_response reply = {0};
    int r = manifest_call(o, ctx, &call, reference, &reply, err);
    if (r < 0) return r;
    if (reply.status == 400 || reply.status == 409 || reply.status == 412)
        return refused_tag(o, ctx, &call, reference, m, &reply, err);
    if (reply.status / 100 != 2) return oci_refused(ctx, &call, &reply, err);
    const char *digest = http_header_get(&reply, "Docker-Content-Digest");
    if (digest && str_starts(digest, "sha256:") && !str_eq(digest, m->digest))
        return err_set(err, ERR_PROTOCOL, "%s/%s: the registry stored %s where %s was put", host, name, digest, m->digest);
    return 0;
}

int oci_delete(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct err *err) {
    struct oci_call call = {.method = "DELETE", .host = host, .name = name, .push = true};
    struct http_response reply = {0};
    int r = manifest_call(o, ctx, &call, reference, &reply, err);
    if (r < 0) return r;
    if (reply.status == 404) return 1;
    return reply.status / 100 == 2 ? 0 : oci_refused(ctx, &call, &reply, err);
}

static uint64_t size_of(const struct json *descriptor) {
    int64_t size = json_get_int(descriptor, "size", 0);
    return size > 0 ? (uint64_t) size : 0;
}

static uint64_t manifest_size(const struct json *j) {
    uint64_t total = size_of(json_get(j, "config"));
    json_each(layer, json_get(j, "layers")) total += size_of(layer);
    return total;
}

int oci_size(struct oci *o, struct ctx *ctx, const char *host, const char *name, const struct oci_manifest *m, uint64_t *ret,
             struct err *err) {
    AUTO_JSON struct json *j = json_parse(m->body, m->len, err);
    if (!j) return err_wrap(err, "the manifest %s of %s/%s", m->digest, host, name);
    uint64_t total = m->len + manifest_size(j);
    size_t seen = 0;
    json_each(child, json_get(j, "manifests")) {
        const char *digest = json_get_str(child, "digest");
        struct oci_manifest part = {0};
        if (!digest || !oci_valid_digest(digest) || ++seen > INDEX_MAX) continue;
        int r = oci_get(o, ctx, host, name, digest, &part, err);
        if (r < 0) return r;
        AUTO_JSON struct json *pj = r == 0 ? json_parse(part.body, part.len, NULL) : NULL;
        total += part.len + manifest_size(pj);
    }
    *ret = total;
    return 0;
}
