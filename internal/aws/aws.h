#pragma once

#include <stdint.h>

struct ctx;
struct err;
struct http_sender;
struct secret;

/* One AWS configuration: region, credentials, endpoints, retries. Thread-safe; credentials are fetched by the first
 * request that needs them and cached until they must be refreshed. */
struct aws;

struct aws_endpoints { /* of the provider block; NULL: as environment and profile say, else the region's own */
    const char *ecr, *sts, *eks;
};

struct aws_options {
    const char *region;  /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's */
    const char *profile; /* NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default" */
    const char *access_key;
    const struct secret *secret_key, *session_token;
    struct aws_endpoints endpoints;
    int max_retries; /* attempts beyond the first; -1: AWS_MAX_ATTEMPTS, the profile's, else 2 */
    const char *(*getenv)(void *self, const char *name); /* NULL: the process's environment */
    void *getenv_self;
};

/* Reads no file and asks nobody: that waits for the first use. */
struct aws *aws_new(const struct aws_options *opt, const struct http_sender *http);
void aws_free(struct aws *a);

/* The region, or NULL if none is configured; negative on a broken profile file. In ctx->arena. */
int aws_region(struct aws *a, struct ctx *ctx, const char **ret, struct err *err);

/* Whose credentials these are (STS GetCallerIdentity). In ctx->arena. */
struct aws_identity {
    const char *account, *arn;
};
int aws_caller_identity(struct aws *a, struct ctx *ctx, struct aws_identity *ret, struct err *err);
