#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct ctx;
struct err;
struct http_sender;
struct secret;

/* A Docker Engine (https://docs.docker.com/reference/api/engine/): where it is, and what gpudev asks of it. */

struct docker_options {
    const char *host; /* unix://…, tcp://…, http(s)://…; NULL: DOCKER_HOST, docker context, the usual sockets */
    const char *(*getenv)(void *self, const char *name); /* NULL: the process's environment */
    void *getenv_self;
    const struct http_sender *http; /* NULL: its own client */
};

struct docker; /* immutable once open: any thread may use it */

/* Finds an engine that answers. 0; 1 when there is no place to look at (nothing configured, no socket exists); negative
 * with what is wrong and what to do (not running, permission, too old). */
int docker_open(struct ctx *ctx, const struct docker_options *opt, struct docker **ret, struct err *err);
void docker_free(struct docker *d);

struct docker_info {
    const char *endpoint; /* "unix:///var/run/docker.sock" */
    const char *source;   /* what named it: "docker.host of the provider block", "DOCKER_HOST", "the docker context colima", "the usual sockets" */
    const char *server;   /* "Docker Engine 20.10.24", "Podman Engine 4.3.1" */
    const char *api;      /* the negotiated version, "1.41" */
    const char *os, *arch;
};
const struct docker_info *docker_info(const struct docker *d);

/* The engine's own id (GET /info): two engines have two, whatever their addresses. In ctx->arena; "" if it has none. */
int docker_engine_id(struct docker *d, struct ctx *ctx, const char **ret, struct err *err);

/* Sends an Upgrade request for protocol "h2c"; the descriptor is the caller's. ERR_UNSUPPORTED where the engine has no
 * such thing, which means that it has no BuildKit. */
int docker_upgrade(struct docker *d, struct ctx *ctx, const char *path, const struct kv *headers, size_t n_headers, int *ret_fd,
                   struct err *err);

struct docker_image {
    const char *id;            /* sha256:…: of the config, or of the manifest where images lie in containerd's store */
    struct strs tags, digests; /* name:tag, name@sha256:… */
};
/* name: a reference or an id. 1: not there. In ctx->arena. */
int docker_image_inspect(struct docker *d, struct ctx *ctx, const char *name, struct docker_image *ret, struct err *err);
int docker_image_tag(struct docker *d, struct ctx *ctx, const char *name, const char *repository, const char *tag, struct err *err);
/* Takes the name away; the image goes with its last name, its layers stay as long as the build cache uses them. 1: not
 * there. */
int docker_image_remove(struct docker *d, struct ctx *ctx, const char *name, struct err *err);

struct docker_push {
    const char *repository; /* host/name */
    const char *tag;
    const char *user; /* NULL: no credentials */
    const struct secret *password;
    const char *server; /* the registry's host */
    /* A layer is there: bytes 0 and existed when the registry had it before. May be NULL. */
    void (*layer)(void *self, const char *id, uint64_t bytes, bool existed);
    void *self;
};

struct docker_pushed {
    const char *digest; /* as the registry has it; in ctx->arena; NULL if the engine didn't say */
    uint64_t size;      /* of the manifest */
    size_t layers, existed;
    uint64_t bytes; /* of the layers that were sent */
};
/* Errors are classified (see docker_push_error) and say what to do about them. */
int docker_image_push(struct docker *d, struct ctx *ctx, const struct docker_push *req, struct docker_pushed *ret, struct err *err);

/* The engine's text about a failed push → code and hint. Returns -code. */
int docker_push_error(struct err *err, const char *repository, const char *tag, const char *text);
