#pragma once

#include <pthread.h>

#include "http/http.h"
#include "oci/oci.h"

/* Inside oci: requests with the authentication that a host asks for. */

struct oci_host; /* what a host has asked for so far */

struct oci {
    struct http_sender http;
    struct oci_auth auth;
    pthread_mutex_t lock;
    struct oci_host *hosts;
};

struct oci_call {
    const char *method, *host, *name;
    const char *path; /* below /v2/NAME/ */
    const char *accept, *content_type;
    const char *body;
    size_t body_len;
    bool push; /* the scope needed */
};

/* Sends with credentials, renews refused ones once, tries again what may succeed later. Any status but 401, 429 and 5xx
 * is success here. */
int oci_send(struct oci *o, struct ctx *ctx, const struct oci_call *call, struct http_response *ret, struct err *err);
/* Turns a reply that isn't wanted into an error with the registry's own words; returns its code. */
int oci_refused(struct ctx *ctx, const struct oci_call *call, const struct http_response *r, struct err *err);
/* Code and text of the first error of a reply ("" where there is none); plain text counts as message. */
void oci_reason(struct arena *a, const struct http_response *r, const char **ret_code, const char **ret_message);

void oci_hosts_free(struct oci *o);

/* auth.c: the Authorization of a request, as scheme and secret (unref it): 0; 1: none is needed as far as is known. */
struct oci_credential {
    const char *scheme; /* "Basic " or "Bearer " */
    struct secret *secret;
};
int oci_authorize(struct oci *o, struct ctx *ctx, const struct oci_call *call, bool renew, struct oci_credential *ret,
                  struct err *err);
/* Remembers what a 401 asks for: true if that is news. */
bool oci_learn(struct oci *o, struct ctx *ctx, const char *host, const struct http_response *r);
const char *oci_scheme(const char *host); /* "http" for loopback, else "https" */
