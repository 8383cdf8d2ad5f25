#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct err;
struct secret;

/* HTTP/1.1 and HTTP/2 (RFC 9110) over libcurl, the only user of it. One struct http is one event-loop thread (started
 * by the first request) with one connection pool: requests of many threads to one host share connections, multiplexed
 * where the peer speaks h2. Certificates are always verified. */
struct http;

struct http *http_new(const char *user_agent);
struct http *http_ref(struct http *h);
void http_unref(struct http *h); /* the last one stops the thread; no request may be running */

struct http_header {
    const char *name;
    const char *value;
    const struct secret *secret; /* appended to value (may be NULL) when the request is made: "Bearer " + secret */
};

struct http_tls { /* NULL members: the system's trust store, no client certificate, the URL's host */
    const char *ca_file;
    const char *ca_pem; /* replaces the system's store, as ca_file does */
    const char *client_cert_pem;
    const struct secret *client_key_pem;
    const char *server_name; /* name to verify (and SNI) instead of the URL's host */
};

struct http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const struct http_header *headers;
    size_t n_headers;
    const void *body; /* sent as it is, with Content-Length */
    size_t body_len;
    /* Or a streamed body: called in the loop's thread; returns bytes written to buf, 0 at the end, -1 to abort. */
    int64_t (*read_body)(void *arg, void *buf, size_t cap);
    int64_t read_body_len; /* -1: chunked */
    void *read_arg;
    const struct http_tls *tls;
    const char *unix_socket; /* connect here; the URL's host is only a name */
    const char *proxy;       /* NULL: as the environment says (http_proxy …); "": none */
    bool sensitive;          /* the reply holds secrets: its copies here are wiped; the caller wipes the one in the arena */
    size_t max_body;         /* cap of a collected reply body; 0: 16 MiB */
    int64_t connect_timeout; /* ms; 0: 10 s */
    int64_t idle_timeout;    /* ms without a byte; 0: 60 s; -1: none (watches) */
    /* When set, a 2xx body is given away piece by piece, in the caller's thread, instead of being collected; a
     * negative return ends the request with that error. The peer is slowed down when the caller is slow. */
    int (*on_body)(void *arg, const char *data, size_t len, struct err *err);
    /* Called in the caller's thread once status and headers are in, before any body. May be NULL. */
    int (*on_headers)(void *arg, int status, struct err *err);
    void *arg;
};

struct http_response {
    int status;
    const struct http_header *headers; /* in order, names as sent */
    size_t n_headers;
    const char *body; /* NUL-terminated, in ctx->arena; "" when streamed */
    size_t body_len;
};

/* 0 with any status when a reply came; negative when none did (no host, refused, TLS, timeout, cancel, too large). No
 * redirects are followed, nothing is retried. The error names the host and says why. */
int http_send(struct http *h, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err);

/* What clients call, so that tests can put a function in its place. */
struct http_sender {
    int (*send)(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err);
    void *self;
};
struct http_sender http_sender(struct http *h);

const char *http_header_get(const struct http_response *r, const char *name); /* case-insensitive; NULL if absent */
int64_t http_retry_after(const struct http_response *r);                       /* Retry-After in ms; -1 if absent */

int64_t http_date(const char *text); /* RFC 9110 5.6.7, in seconds since the epoch; -1 if malformed */

/* Sends an Upgrade request (RFC 9110 7.8) and gives the socket after "101": what the peer sent behind the blank line
 * is still unread in it. For TLS the descriptor is one end of a socketpair that a thread pumps. The caller closes it.
 * A reply other than 101 fails with its status in err->http_status. */
int http_upgrade(struct ctx *ctx, const struct http_request *req, const char *protocol, int *ret_fd, struct err *err);

/* A full-duplex byte stream to the URL's host (TLS if https), as http_upgrade without the request. */
int http_connect(struct ctx *ctx, const struct http_request *req, int *ret_fd, struct err *err);

/* RFC 3986 percent-encoding of everything but unreserved characters (and "/" if keep_slash), in the arena. */
struct arena;
char *http_encode(struct arena *a, const char *s, bool keep_slash);
