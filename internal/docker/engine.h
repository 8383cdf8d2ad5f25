#pragma once

#include "docker/docker.h"
#include "docker/endpoint.h"
#include "http/http.h"

/* Between the files of this folder. */

struct docker {
    struct arena *arena;
    struct docker_endpoint endpoint;
    struct docker_info info;
    struct http *own_http; /* NULL when a sender was given */
    struct http_sender http;
};

/* A request to path (without the version, which is put before it). 0 with any status; the error says which engine. */
int engine_send(struct docker *d, struct ctx *ctx, struct http_request *req, const char *path, struct http_response *ret,
                struct err *err);
/* A reply of 400 and more as an error: what failed, and the engine's own words. */
int engine_error(struct err *err, const struct http_response *r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
