/* Manifests and indexes (OCI Image Format 1.1, Docker Image Manifest V2.2). */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/internal.h"
#include "json/json.h"

enum { MANIFEST_MAX = 4 << 20, INDEX_MAX = 128 };

/* Every kind, since a registry may convert a manifest into one that is asked for, which has another digest. */
static const char accept_all[] = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
                                 "application/vnd.docker.distribution.manifest.list.v2+json, "
                                 "application/vnd.docker.distribution.manifest.v2+json, "
                                 "application/vnd.oci.artifact.manifest.v1+json";

static struct oci_request request(struct arena *a, const char *host, const char *name, const char *reference, const char *method,
                                  const char *actions) {
    return (struct oci_request){
        .host = host,
        .name = name,
        .actions = actions,
        .method = method,
        .path = arena_printf(a, "manifests/%s", http_encode(a, reference, false)),
        .accept = accept_all,
        .max_body = MANIFEST_MAX,
    };
}

/* A colon in a digest is fine in a path, and some registries take it only as it is. */
static void plain_colon(struct oci_request *req, struct arena *a, const char *reference) {
    if (oci_valid_digest(reference)) req->path = arena_printf(a, "manifests/%s", reference);
}

static const char *digest_like(struct arena *a, const char *like, const void *p, size_t len) {
    if (!like || !str_starts(like, "sha512:")) return sha256_digest(a, p, len);
    char hex[129];
    sha512_hex(p, len, hex);
    return arena_printf(a, "sha512:%s", hex);
}

static const char *media_type(struct arena *a, const struct http_response *r) {
    const char *type = http_header_get(r, "Content-Type");
    return type ? str_trim(a, arena_strndup(a, type, strcspn(type, ";"))) : NULL;
}

/* The type that the manifest itself names counts more than the header, which a proxy may have changed. */
static const char *type_of(struct arena *a, const struct http_response *r) {
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    const char *type = json_get_str(j, "mediaType");
    return type ? arena_strdup(a, type) : media_type(a, r);
}

static int mismatch(const char *host, const char *name, const char *want, const char *got, struct err *err) {
    return err_set(err, ERR_PROTOCOL, "%s/%s: the manifest's digest is %s, but %s was expected", host, name, got, want);
}

int oci_get(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
            struct err *err) {
    struct oci_request req = request(ctx->arena, host, name, reference, "GET", "pull");
    plain_colon(&req, ctx->arena, reference);
    struct http_response r;
    int e = oci_send(o, ctx, &req, &r, err);
    if (e < 0) return e;
    if (r.status == 404) return 1;
    if (r.status != 200) return oci_error(ctx, &req, &r, "read the manifest", err);
    const char *said = http_header_get(&r, "Docker-Content-Digest");
    const char *want = oci_valid_digest(reference) ? reference : oci_valid_digest(said) ? said : NULL;
    const char *digest = digest_like(ctx->arena, want, r.body, r.body_len);
    if (want && !str_eq(want, digest)) return mismatch(host, name, want, digest, err);
    *ret = (struct oci_manifest){.digest = digest, .media_type = type_of(ctx->arena, &r), .body = r.body, .len = r.body_len};
    return 0;
}

int oci_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
             struct err *err) {
    struct oci_request req = request(ctx->arena, host, name, reference, "HEAD", "pull");
    plain_colon(&req, ctx->arena, reference);
    struct http_response r;
    int e = oci_send(o, ctx, &req, &r, err);
    if (e < 0) return e;
    if (r.status == 404) return 1;
    const char *digest = http_header_get(&r, "Docker-Content-Digest");
    if (r.status == 200 && oci_valid_digest(digest)) {
        if (oci_valid_digest(reference) && !str_eq(reference, digest)) return mismatch(host, name, reference, digest, err);
        *ret = (struct oci_manifest){.digest = arena_strdup(ctx->arena, digest), .media_type = media_type(ctx->arena, &r)};
        return 0;
    }
    /* No digest, or a refusal whose words only a GET brings. */
    struct oci_manifest m;
    e = oci_get(o, ctx, host, name, reference, &m, err);
    if (e == 0) *ret = (struct oci_manifest){.digest = m.digest, .media_type = m.media_type};
    return e;
}

/* A tag that can't be moved is as good as put if it is where it should be. */
static int immutable(struct oci *o, struct ctx *ctx, const struct oci_request *req, const char *tag, const char *digest,
                     struct err *err) {
    struct oci_manifest there;
    AUTO_ERR struct err ignored = {0};
    int r = oci_head(o, ctx, req->host, req->name, tag, &there, &ignored);
    if (r != 0) return -1;
    if (str_eq(there.digest, digest)) return 0;
    r = err_set(err, ERR_CONFLICT, "the tag %s of %s/%s is immutable and names %s already, so it can't be moved to %s", tag,
                req->host, req->name, there.digest, digest);
    err_hint(err, "Use another tag, or let the repository's tags be mutable.");
    return r;
}

static bool says_immutable(struct arena *a, const struct http_response *r) {
    const char *code = oci_error_code(a, r);
    return r->status == 409 || r->status == 412 ||
           (r->status == 400 && (str_eq(code, "TAG_INVALID") || strstr(r->body, "immutable")));
}

int oci_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, const struct oci_manifest *m,
            struct err *err) {
    struct oci_request req = request(ctx->arena, host, name, reference, "PUT", "pull,push");
    plain_colon(&req, ctx->arena, reference);
    req.accept = NULL;
    req.content_type = m->media_type;
    req.body = m->body;
    req.body_len = m->len;
    struct http_response r;
    int e = oci_send(o, ctx, &req, &r, err);
    if (e < 0) return e;
    const char *digest = digest_like(ctx->arena, m->digest, m->body, m->len);
    if (r.status == 200 || r.status == 201 || r.status == 202) {
        const char *said = http_header_get(&r, "Docker-Content-Digest");
        return said && str_starts(said, "sha256:") && str_starts(digest, "sha256:") && !str_eq(said, digest)
                   ? mismatch(host, name, digest, said, err)
                   : 0;
    }
    if (says_immutable(ctx->arena, &r)) {
        AUTO_ERR struct err why = {0};
        e = immutable(o, ctx, &req, reference, digest, &why);
        if (e == 0) return 0;
        if (why.code) {
            err_move(err, &why);
            return e;
        }
    }
    return oci_error(ctx, &req, &r, arena_printf(ctx->arena, "put the manifest as %s", reference), err);
}

int oci_delete(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct err *err) {
    struct oci_request req = request(ctx->arena, host, name, reference, "DELETE", "pull,push,delete");
    plain_colon(&req, ctx->arena, reference);
    req.accept = NULL;
    struct http_response r;
    int e = oci_send(o, ctx, &req, &r, err);
    if (e < 0) return e;
    if (r.status == 404) return 1;
    if (r.status / 100 == 2) return 0;
    return oci_error(ctx, &req, &r, arena_printf(ctx->arena, "delete %s", reference), err);
}

/* ---- sizes ---- */

struct sum {
    struct arena *arena;
    struct strs seen; /* digests: images of an index share layers */
    uint64_t bytes;
};

static void add(struct sum *s, const struct json *descriptor) {
    const char *digest = json_get_str(descriptor, "digest");
    int64_t size = json_get_int(descriptor, "size", 0);
    if (!digest || size <= 0) return;
    for (size_t i = 0; i < s->seen.n; i++)
        if (str_eq(s->seen.v[i], digest)) return;
    strs_add(s->arena, &s->seen, arena_strdup(s->arena, digest));
    s->bytes += (uint64_t) size;
}

static void add_manifest(struct sum *s, const struct json *j) {
    add(s, json_get(j, "config"));
    json_each(layer, json_get(j, "layers")) add(s, layer);
}

int oci_size(struct oci *o, struct ctx *ctx, const char *host, const char *name, const struct oci_manifest *m, uint64_t *ret,
             struct err *err) {
    struct sum sum = {.arena = ctx->arena};
    AUTO_JSON struct json *j = json_parse(m->body, m->len, err);
    if (!j) return err_wrap(err, "the manifest of %s/%s", host, name);
    add_manifest(&sum, j);
    const struct json *children = json_get(j, "manifests");
    if (json_len(children) > INDEX_MAX)
        return err_set(err, ERR_LIMIT, "the index of %s/%s has more than %d manifests", host, name, INDEX_MAX);
    json_each(child, children) {
        const char *digest = json_get_str(child, "digest");
        struct oci_manifest image;
        if (!oci_valid_digest(digest))
            return err_set(err, ERR_PROTOCOL, "the index of %s/%s has a manifest without a digest", host, name);
        int r = oci_get(o, ctx, host, name, digest, &image, err);
        if (r < 0) return r;
        AUTO_JSON struct json *of_child = r == 0 ? json_parse(image.body, image.len, NULL) : NULL;
        add_manifest(&sum, of_child);
    }
    *ret = sum.bytes;
    return 0;
}
