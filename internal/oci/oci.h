#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct ctx;
struct err;
struct http_sender;
struct secret;

/* Registries (OCI Distribution Specification 1.1): manifests by tag and digest. Thread-safe. Plain http is spoken to
 * loopback hosts only. Results are in ctx->arena. */

struct oci_ref { /* host[:port]/name[:tag][@digest] */
    const char *host, *name, *tag, *digest; /* NULL where absent */
};
/* A name without a host (no "." or ":" and not "localhost" in the first part) fails with ERR_INVALID. */
int oci_parse_ref(struct arena *a, const char *text, struct oci_ref *ret, struct err *err);
bool oci_valid_tag(const char *tag);
bool oci_valid_digest(const char *digest); /* sha256 or sha512 with the right number of hex digits */

struct oci_auth {
    /* 0 with user and password (the caller unrefs it), 1: none for this host, negative on failure. renew: the registry
     * has refused the ones given before. */
    int (*get)(void *self, struct ctx *ctx, const char *host, bool renew, const char **ret_user, struct secret **ret_password,
               struct err *err);
    void *self;
};

struct oci;
struct oci *oci_new(const struct http_sender *http, const struct oci_auth *auth); /* both copied */
void oci_free(struct oci *o);

struct oci_manifest {
    const char *digest; /* of body; checked */
    const char *media_type;
    const char *body;
    size_t len;
};

/* reference: a tag or a digest. 1: not there (neither manifest nor repository). */
int oci_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
             struct err *err); /* body and len stay unset; digest as the registry says it */
int oci_get(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
            struct err *err);
/* Puts the manifest under a tag (or its digest). A tag that is immutable and has this digest already is success; with
 * another one ERR_CONFLICT naming both. */
int oci_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, const struct oci_manifest *m,
            struct err *err);
int oci_delete(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct err *err); /* 1: not there */
/* Bytes that the image takes in the registry: config and layers of a manifest, of an index all its manifests. */
int oci_size(struct oci *o, struct ctx *ctx, const char *host, const char *name, const struct oci_manifest *m, uint64_t *ret,
             struct err *err);

/* The layers and the config of an image, for those who push by themselves. */
int oci_blob_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *digest, struct err *err); /* 1: not there */
/* In one piece; the digest is of data. */
int oci_blob_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const void *data, size_t len, const char *digest,
                 struct err *err);

/* All tags. 1: no such repository. */
int oci_tags(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *const **ret, size_t *ret_n,
             struct err *err);
