#include "build/build.h"

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "build/builder.h"

const struct builder_ops *const builders[] = {
    &builder_docker,
    NULL,
};

int builder_open(struct ctx *ctx, const struct builder_config *config, struct builder **ret, struct err *err) {
    for (const struct builder_ops *const *ops = builders; *ops; ops++) {
        int r = (*ops)->open(ctx, config, ret, err);
        if (r <= 0) return r;
    }
    err_set(err, ERR_NOT_FOUND, "no builder was found: there is no Docker engine's socket in any of the usual places");
    err_hint(err,
             "Start Docker (Docker Desktop, Colima, OrbStack and rootless Docker are found by themselves), or name an engine by "
             "docker.host in the provider block or by DOCKER_HOST.");
    return -ERR_NOT_FOUND;
}

int builder_build(struct builder *b, struct ctx *ctx, const struct build_request *req, struct build_result *ret, struct err *err) {
    return b->ops->build(b, ctx, req, ret, err);
}

void builder_free(struct builder *b) {
    if (b) b->ops->free(b);
}
