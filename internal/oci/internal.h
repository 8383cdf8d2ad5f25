#pragma once

#include <pthread.h>

#include "base/ctx.h"
#include "http/http.h"
#include "oci/oci.h"

/* Shared by the files of this folder only. */

enum oci_scheme { AUTH_UNKNOWN, AUTH_BASIC, AUTH_BEARER };

struct oci_challenge { /* of a WWW-Authenticate header (RFC 7235, RFC 6750); in an arena or, in struct oci_host, mem_* */
    enum oci_scheme scheme;
    char *realm, *service, *scope; /* NULL where absent */
};

struct oci_host { /* what is known about a registry */
    char *name;
    struct oci_challenge challenge;
    struct oci_host *next;
};

struct oci_token { /* a bearer token for one scope of one host */
    char *host, *scope;
    struct secret *token;
    int64_t until; /* on the ctx's clock */
    struct oci_token *next;
};

struct oci {
    struct http_sender http;
    struct oci_auth auth;
    double (*random)(void); /* 0 to 1, for delays between attempts */
    pthread_mutex_t lock;
    struct oci_host *hosts;
    struct oci_token *tokens;
};

struct oci_request {
    const char *host, *name;
    const char *actions; /* of the scope: "pull", "pull,push" */
    const char *method;
    const char *path; /* behind /v2/NAME/: "manifests/latest"; or absolute ("/v2/…", "https://…") as a Location or Link says */
    const char *accept, *content_type;
    const void *body;
    size_t body_len;
    bool once; /* can't be sent twice */
    size_t max_body;
};

/* Sends with authentication, retries and redirects (of GET and HEAD). 0 with any status but 401; negative without one. */
int oci_send(struct oci *o, struct ctx *ctx, const struct oci_request *req, struct http_response *ret, struct err *err);

/* The first challenge that can be answered, Bearer before Basic. False: none. */
bool oci_parse_challenge(struct arena *a, const struct http_response *r, struct oci_challenge *ret);

/* The Authorization header for this request as far as the host's challenge is known. 0; 1 for none; negative on failure.
 * *ret_secret is the caller's to unref. */
int oci_authorize(struct oci *o, struct ctx *ctx, const struct oci_request *req, bool renew, const char **ret_kind,
                  struct secret **ret_secret, struct err *err);
void oci_remember(struct oci *o, const char *host, const struct oci_challenge *c);

/* What a reply that isn't a success means; `doing` is "read the manifest". Returns negative. */
int oci_error(struct ctx *ctx, const struct oci_request *req, const struct http_response *r, const char *doing, struct err *err);
const char *oci_error_code(struct arena *a, const struct http_response *r); /* "NAME_UNKNOWN", or NULL */

const char *oci_scheme_of(const char *host); /* "https", or "http" for loopback */
