#pragma once

#include "aws/aws.h"
#include "aws/cred.h"
#include "base/ctx.h"
#include "http/http.h"

/* Shared by the files of this folder only. */

struct registry_token { /* of one region */
    char *region, *user;
    struct secret *password;
    int64_t fetched, expires; /* ms since the epoch */
    struct registry_token *next;
};

struct aws {
    /* the provider block's, immutable */
    char *region, *profile;
    char *ecr_endpoint, *sts_endpoint, *eks_endpoint;
    int max_retries;
    const char *(*getenv)(void *self, const char *name);
    void *getenv_self;
    struct http_sender http;
    struct cred_source creds;
    double (*random)(void); /* 0 to 1, for the delays between attempts; a test's may be constant */

    pthread_mutex_t lock;
    struct aws_config *config; /* NULL until the first use */
    int64_t skew;              /* ms that AWS's clock is ahead of ours */

    struct waiter token_wait;
    bool token_fetching;
    struct registry_token *tokens;
};

const char *aws_env(const struct aws *a, const char *name); /* NULL if unset or empty */

/* What the files say about the selected profile; without the keys, which are read when they are needed. */
struct aws_config {
    const char *profile;      /* its name */
    const char *profile_from; /* "AWS_PROFILE", …; NULL: nobody asked for it, it is the default */
    const char *config_file, *credentials_file;
    bool found; /* in one of the files */
    const char *region, *ca_bundle, *endpoint_url, *max_attempts, *use_fips, *use_dualstack, *ignore_endpoints;
    const char *services;                                   /* name of the [services …] section */
    const char *services_ecr, *services_sts, *services_eks; /* its endpoint_url of each */
    struct arena *arena;
};
/* Loaded once; immutable afterwards. */
int aws_config(struct aws *a, struct ctx *ctx, const struct aws_config **ret, struct err *err);
void aws_config_free(struct aws_config *c);

/* Both files as they are now: secrets are in *text, which profile_files_done wipes. A file that is missing is empty. */
struct profile_file {
    char *path;
    char *text;
    size_t len;
    struct ini *ini;
    bool exists;
};
struct profile_files {
    struct arena *arena;
    struct profile_file config, credentials;
};
int profile_files_read(const struct aws *a, struct profile_files *ret, struct err *err);
void profile_files_done(struct profile_files *f);
struct ini_section;
const struct ini_section *profile_in_config(const struct profile_files *f, const char *name);
const struct ini_section *profile_in_credentials(const struct profile_files *f, const char *name);
/* The profile's name and who asked for it (NULL: nobody). */
const char *profile_name(const struct aws *a, const char **ret_from);

/* "https://api.ecr.us-east-2.amazonaws.com", in ctx->arena. service: "ecr", "sts" or "eks". */
int aws_endpoint(struct aws *a, struct ctx *ctx, const char *service, const char *region, const char **ret, struct err *err);

struct aws_request {
    const char *service; /* "ecr" */
    const char *region;
    const char *action; /* "CreateRepository" */
    const char *method; /* NULL: POST */
    const char *path;   /* percent-encoded; NULL: "/" */
    const char *target; /* X-Amz-Target, or NULL */
    const char *content_type;
    const char *body; /* text; NULL: "" */
    bool sensitive;   /* the reply holds secrets */
};

struct aws_reply {
    struct http_response http;
    const char *code; /* of AWS, where the call failed with one ("RepositoryNotFoundException"); else NULL */
    int attempts;
};

/* Signs, sends, and retries what can be retried (standard mode). 0: a 2xx reply; negative with err and ret->code set. */
int aws_call(struct aws *a, struct ctx *ctx, const struct aws_request *req, struct aws_reply *ret, struct err *err);

/* What an error reply means: fills err and the code (in ctx->arena). Returns negative. */
int aws_error(struct ctx *ctx, const struct aws_request *req, const struct http_response *r, const struct aws_creds *creds,
              const char **ret_code, struct err *err);
const char *aws_xml_text(struct arena *a, const char *body, const char *name); /* of the first such element, or NULL */
int64_t aws_skew(struct aws *a);
bool aws_code_throttles(const char *service, const char *code);
bool aws_code_expired(const char *code);
bool aws_code_skewed(const char *code);
