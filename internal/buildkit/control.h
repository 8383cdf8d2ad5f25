#pragma once

#include <stddef.h>

#include "base/str.h"

struct bk_status;
struct ctx;
struct err;

/* BuildKit's control service. */

struct bk_control;
/* Over an open connection that speaks h2 (POST /grpc was upgraded, or a daemon with prior knowledge); owns fd. */
int bk_control_new(int fd, struct bk_control **ret, struct err *err);
void bk_control_free(struct bk_control *c);

struct bk_worker {
    const char *id;          /* names the daemon's store: another one has other kept sources */
    const char *platform;    /* "linux/amd64", its first */
    const char *snapshotter; /* NULL where the daemon has none to name (graph drivers) */
};
/* The first worker. In ctx->arena. */
int bk_control_worker(struct bk_control *c, struct ctx *ctx, struct bk_worker *ret, struct err *err);

struct bk_solve {
    const char *session;
    const char *frontend; /* "dockerfile.v0" */
    const struct kv *attrs;
    size_t n_attrs;
    const char *exporter;
    const struct kv *exporter_attrs;
    size_t n_exporter_attrs;
};

struct bk_solved { /* what the exporter says: "containerimage.digest" and the like */
    const struct kv *response;
    size_t n_response;
};
const char *bk_solved_get(const struct bk_solved *s, const char *key); /* NULL if absent */

/* Builds; status gets what the daemon tells meanwhile, in another thread, which has ended on return. A cancel stops the
 * running step. Errors carry the daemon's text; see bk_status_failed for the step. Results in ctx->arena. */
int bk_control_solve(struct bk_control *c, struct ctx *ctx, const struct bk_solve *req, struct bk_status *status,
                     struct bk_solved *ret, struct err *err);
