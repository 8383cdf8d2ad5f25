#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;
struct aws_creds;
struct http_header;
struct secret;

/* AWS Signature Version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html), for every service but
 * S3: paths are encoded twice, and the payload's hash is in no header. */

struct sigv4_request {
    const char *method;
    const char *host;                  /* as it will be sent: with a port that isn't the scheme's own */
    const char *path;                  /* as it will be sent: percent-encoded; "" is "/" */
    const char *query;                 /* as it will be sent, without "?"; NULL or "" for none */
    const struct http_header *headers; /* without Host and those that signing adds */
    size_t n_headers;
    const void *body;
    size_t body_len;
    const char *service, *region;
    int64_t time; /* seconds since the epoch */
};

enum { SIGV4_DATE = 17 }; /* "20260102T030405Z" and the NUL */

struct sigv4_signature {
    char date[SIGV4_DATE];      /* X-Amz-Date */
    const char *authorization;  /* Authorization, in the arena */
    const char *signed_headers; /* "host;x-amz-date" */
    char hex[65];
};

/* The headers to add are X-Amz-Date, Authorization and, if the credentials have a token, X-Amz-Security-Token. */
void sigv4_sign(struct arena *a, const struct sigv4_request *req, const struct aws_creds *creds, struct sigv4_signature *ret);

/* The URL that carries its own signature, good for `expires` seconds: a secret. scheme: "https" or "http". */
struct secret *sigv4_presign(struct arena *a, const struct sigv4_request *req, const char *scheme, const struct aws_creds *creds,
                             int expires);
