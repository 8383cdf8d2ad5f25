#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/http.h"

struct arena;
struct docker_options;
struct err;

/* Where an engine may be. */

struct docker_endpoint {
    const char *text;   /* as shown: unix:///var/run/docker.sock */
    const char *source; /* what named it */
    const char *socket; /* NULL for TCP */
    const char *url;    /* scheme and host, no slash at the end */
    struct http_tls tls;
    bool has_tls;
};

struct docker_endpoints {
    struct docker_endpoint *v;
    size_t n;
    bool asked_for; /* the user named it: one, and a failure is final */
};

/* In the arena, but for tls.client_key_pem, which the caller unrefs. Nothing is contacted. */
int docker_find(struct arena *a, const struct docker_options *opt, struct docker_endpoints *ret, struct err *err);
