#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ctx;
struct err;
struct oci_auth;
struct progress;

/* Building and pushing an image, whatever builds it. */

struct build_request {
    const char *context;    /* folder, absolute */
    const char *dockerfile; /* absolute */
    const char *target;     /* NULL: the last stage */
    const struct kv *build_args;
    size_t n_build_args;
    const struct kv *labels;
    size_t n_labels;
    const char *const *ignore; /* on top of the ignore file */
    size_t n_ignore;
    const char *source_hash;     /* context_result.hash of what was planned: the content sent must give it; NULL: not checked */
    const char *repository;      /* host/name to push to */
    const char *push_tag;        /* tag that carries the push; tags proper are put by the caller, after verification */
    const struct oci_auth *auth; /* credentials per registry host, see oci/oci.h */
    struct progress *progress;
};

struct build_result {
    const char *digest;     /* of the manifest or index that was pushed */
    const char *media_type; /* NULL where the builder doesn't say it */
    uint64_t size;          /* bytes that the registry says it takes, 0 unknown */
};

struct builder_config;
struct builder; /* an open connection to something that builds */

struct builder_ops {
    const char *name;
    /* Finds and opens it: 0, 1 if there is none to be found, negative with a clear error (unreachable, too old). */
    int (*open)(struct ctx *ctx, const struct builder_config *config, struct builder **ret, struct err *err);
    /* Builds and pushes; cancel comes by ctx. err->detail has the last lines of the failed step's output, err->file
     * and err->line the Dockerfile's place, as far as they are known. */
    int (*build)(struct builder *b, struct ctx *ctx, const struct build_request *req, struct build_result *ret, struct err *err);
    void (*free)(struct builder *b);
};

struct builder_config {
    const char *docker_host; /* unix://… or tcp://…; NULL: DOCKER_HOST, docker context, the usual sockets */
};

extern const struct builder_ops *const builders[]; /* ended by NULL, tried in order */

int builder_open(struct ctx *ctx, const struct builder_config *config, struct builder **ret, struct err *err);
int builder_build(struct builder *b, struct ctx *ctx, const struct build_request *req, struct build_result *ret, struct err *err);
void builder_free(struct builder *b);
