#pragma once

#include "kube/kube.h"

struct http_response;

/* One exchange whose reply may be streamed: what kube_send and the watches are made of. */
struct kube_call {
    struct kube_request req;
    int64_t idle_timeout; /* as http_request */
    int (*on_body)(void *arg, const char *data, size_t len, struct err *err); /* of a 2xx reply, in the caller's thread */
    int (*on_headers)(void *arg, int status, struct err *err);                /* before any body; may be NULL */
    void *arg;
    int tries; /* how often a server that can't be reached is asked; 0: 3 */
};
int kube_exchange(struct kube *k, struct ctx *ctx, const struct kube_call *call, struct kube_reply *ret, struct err *err);

/* reply.c: fills *ret from what came; any status but 2xx becomes an error. */
int kube_reply_fill(const struct kube *k, struct arena *a, const struct http_response *resp, struct kube_reply *ret, struct err *err);
/* The texts of a Status object, cleaned. */
void kube_status_take(struct arena *a, const struct json *status, struct kube_reply *ret);
/* The text of a Warning header (RFC 9111 5.5 of old: 299 - "text"), in the arena. */
char *kube_warning_text(struct arena *a, const char *header);
