#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct aws;
struct ctx;
struct err;
struct secret;

/* Amazon ECR's API (AmazonEC2ContainerRegistry_V20150921) in one region. Results are in ctx->arena. registry_id NULL is
 * the caller's own account. Retries are done here. */
struct ecr;

/* region NULL: the configured one; ERR_INVALID with a hint if there is none. */
int ecr_open(struct aws *a, struct ctx *ctx, const char *region, struct ecr **ret, struct err *err);
void ecr_free(struct ecr *e);
const char *ecr_region(const struct ecr *e);

struct ecr_repository {
    const char *name, *arn, *registry_id, *uri; /* uri: HOST/NAME */
    const char *tag_mutability;                 /* "MUTABLE", "IMMUTABLE", … */
};
int ecr_describe_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct ecr_repository *ret,
                            struct err *err); /* 1: not found */
int ecr_create_repository(struct ecr *e, struct ctx *ctx, const char *name, const struct kv *tags, size_t n_tags,
                          struct ecr_repository *ret, struct err *err); /* 1: exists already (ret not set) */
int ecr_delete_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, bool force,
                          struct err *err); /* 1: not found; 2: not empty */
int ecr_put_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *name, const char *policy_json, struct err *err);
int ecr_get_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char **ret_json,
                             struct err *err); /* 1: it has none; 2: repository not found */
int ecr_delete_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name,
                                struct err *err); /* 1: there was none */
int ecr_repository_tags(struct ecr *e, struct ctx *ctx, const char *arn, const struct kv **ret, size_t *ret_n, struct err *err);

struct ecr_image {
    const char *digest;
    const char *const *tags;
    size_t n_tags;
    uint64_t size;     /* bytes, compressed */
    int64_t pushed_at; /* seconds since the epoch */
    const char *media_type;
};
/* By digest or by tag (the other is NULL). */
int ecr_describe_image(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *digest, const char *tag,
                       struct ecr_image *ret, struct err *err); /* 1: image not found; 2: repository not found */
/* Removes one tag; ECR removes the image with its last tag. */
int ecr_delete_tag(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *tag,
                   struct err *err); /* 1: not there */

/* Basic credentials for the registry host of this account and region (GetAuthorizationToken), cached for all callers
 * until half an hour before they end; renew: a registry has refused the cached ones. The caller unrefs *ret_password. */
int ecr_auth(struct ecr *e, struct ctx *ctx, bool renew, const char **ret_user, struct secret **ret_password, struct err *err);

/* "123456789012.dkr.ecr.us-east-2.amazonaws.com" → account and region (also FIPS, dual-stack, China); false for other hosts. */
struct arena;
bool ecr_parse_host(struct arena *a, const char *host, const char **ret_account, const char **ret_region);
