#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "docker/docker.h"

struct err;

/* The body of POST /images/NAME/push: one JSON object a line, cut anywhere. A failed push is a 200 whose stream holds
 * an errorDetail. */

struct push_layer {
    char id[72];
    uint64_t total;
    bool done;
};

struct push_stream {
    const struct docker_push *req;
    struct buf line;
    struct push_layer *layers;
    size_t n_layers, cap_layers;
    size_t existed;
    uint64_t bytes, size;
    char *digest, *error; /* NULL until said */
};

void push_stream_init(struct push_stream *s, const struct docker_push *req);
void push_stream_done(struct push_stream *s);
int push_stream_add(struct push_stream *s, const char *data, size_t len, struct err *err);
/* The rest behind the last newline, and the verdict. */
int push_stream_end(struct push_stream *s, struct err *err);
