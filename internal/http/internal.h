#pragma once

#include <curl/curl.h>
#include <stdatomic.h>

#include "base/ctx.h"
#include "base/str.h"
#include "http/http.h"

/* Shared by the files of this folder only. */

struct target { /* where a request goes; heap memory, target_done */
    char *scheme, *host, *port, *path;
    char *label; /* for messages: "host", "host:port" or "unix:///path" */
    bool tls, loopback;
};
int target_parse(struct target *t, const struct http_request *req, struct err *err);
void target_done(struct target *t);
char *target_authority(const struct target *t); /* "host" or "host:port"; mem_free */

struct easy { /* a curl handle and what must live as long as it */
    CURL *curl;
    struct target target;
    struct curl_slist *headers, *connect_to;
    bool own_trust; /* the request brought its own CA */
    bool proxied;
    char *ca_file; /* that is used, for messages */
    char errbuf[CURL_ERROR_SIZE];
};
/* Everything but callbacks and method. */
int easy_init(struct easy *e, const struct http_request *req, const char *user_agent, struct err *err);
int easy_set_request(struct easy *e, const struct http_request *req, struct err *err);
void easy_done(struct easy *e); /* wipes the header lines */
int header_check(const struct http_header *h, struct err *err); /* refuses line breaks */

/* What curl's failure means. */
int easy_failed(const struct easy *e, CURLcode code, struct err *err);

struct trust { /* where the certificates of the public authorities are; NULL: nowhere */
    const char *file, *dir;
};
/* SSL_CERT_FILE and SSL_CERT_DIR, else what this system has. */
struct trust trust_find(void);

void curl_init_once(void);

/* One request in the loop. Members without a note belong to the caller until it is submitted and to the loop after
 * that. */
struct xfer {
    struct easy easy;
    struct waiter w;
    size_t max_body;
    bool want_stream;
    const struct http_request *req;

    /* under w.lock */
    struct buf headers; /* of the last reply, raw lines; settled once headers_done */
    int status;
    bool headers_done;
    struct buf body; /* collected, or what the caller has not taken yet */
    bool streaming;  /* body is a queue */
    bool paused;     /* curl waits for the queue to shrink */
    bool too_large;
    bool done; /* the loop has let go */
    CURLcode result;

    atomic_int_fast64_t active; /* when a byte last moved, on clock_system */
    curl_off_t moved;

    /* under the loop's lock */
    bool in_loop, pending, want_add, want_remove, want_resume;
    struct xfer *next;
};

struct http {
    atomic_uint refs;
    char *user_agent;
    pthread_mutex_t lock;
    bool started, stop;
    pthread_t thread;
    CURLM *multi;
    struct xfer *pending;
};

int loop_add(struct http *h, struct xfer *x, struct err *err); /* starts the thread if need be */
void loop_resume(struct http *h, struct xfer *x);
void loop_remove(struct http *h, struct xfer *x); /* x->done follows */
void loop_stop(struct http *h);
