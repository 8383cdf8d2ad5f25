#pragma once

#include <stdbool.h>
#include <stdint.h>

struct aws;
struct ctx;
struct err;
struct secret;

/* Credentials and where they come from. */

struct aws_creds { /* plain data that owns its members; aws_creds_done */
    char *access_key;
    struct secret *secret_key;
    struct secret *token; /* NULL: none */
    int64_t expires;      /* ms since the epoch; 0: not known to end */
    char *origin;         /* for messages: "the environment", "profile dev of ~/.aws/credentials" */
};
void aws_creds_done(struct aws_creds *c);
void aws_creds_copy(struct aws_creds *to, const struct aws_creds *from);
bool aws_creds_equal(const struct aws_creds *a, const struct aws_creds *b);
#define AUTO_CREDS __attribute__((cleanup(aws_creds_done)))

/* A source is a function and what it needs. The chain and the cache are sources themselves. */
struct cred_source {
    /* 0 with *ret filled (the caller calls aws_creds_done), 1: nothing here, ask the next; negative: it should be here
     * but can't be used, which ends the search. */
    int (*get)(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err);
    void (*free)(void *self); /* may be NULL */
    void *self;
};

/* Takes the ownership of secrets' references by taking new ones. */
struct cred_source cred_static(const char *access_key, const struct secret *secret_key, const struct secret *token,
                               const char *origin);
struct cred_source cred_env(struct aws *a);
struct cred_source cred_web_identity(struct aws *a); /* by the environment */
struct cred_source cred_profile(struct aws *a);
struct cred_source cred_container(struct aws *a);
struct cred_source cred_none(struct aws *a); /* says what was looked at */

/* Asks each in turn; takes them. */
struct cred_source cred_chain(const struct cred_source *sources, int n);

/* Keeps what `from` gives until it is about to end; several callers wait for one fetch. Takes `from`. */
struct cred_source cred_cache(struct cred_source from);
/* The service has refused what the cache gives: fetched anew by the next get, unless somebody has done so since. */
void cred_cache_drop(struct cred_source *cache, const struct aws_creds *refused);

/* What the provider block, the environment and the profile say, in order. */
struct cred_source cred_default(struct aws *a);
