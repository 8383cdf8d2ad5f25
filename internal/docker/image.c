/* Images by name: inspect, tag, remove. */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "docker/engine.h"
#include "json/json.h"

static void fill(struct arena *a, const struct json *list, struct strs *ret) {
    json_each(item, list) if (json_is_str(item)) strs_add(a, ret, arena_strdup(a, json_str(item)));
}

int docker_image_inspect(struct docker *d, struct ctx *ctx, const char *name, struct docker_image *ret, struct err *err) {
    struct http_request req = {0};
    struct http_response reply;
    int r =
        engine_send(d, ctx, &req, arena_printf(ctx->arena, "/images/%s/json", http_encode(ctx->arena, name, true)), &reply, err);
    if (r < 0) return r;
    if (reply.status == 404) return 1;
    if (reply.status != 200) return engine_error(err, &reply, "can't inspect the local image %s", name);
    AUTO_JSON struct json *j = json_parse(reply.body, reply.body_len, err);
    if (!j) return err_wrap(err, "the engine's answer about the image %s", name);
    const char *id = json_get_str(j, "Id");
    if (!id) return err_set(err, ERR_PROTOCOL, "the engine names no id for the image %s", name);
    *ret = (struct docker_image){.id = arena_strdup(ctx->arena, id)};
    fill(ctx->arena, json_get(j, "RepoTags"), &ret->tags);
    fill(ctx->arena, json_get(j, "RepoDigests"), &ret->digests);
    return 0;
}

int docker_image_tag(struct docker *d, struct ctx *ctx, const char *name, const char *repository, const char *tag,
                     struct err *err) {
    struct arena *a = ctx->arena;
    struct http_request req = {.method = "POST"};
    struct http_response reply;
    const char *path = arena_printf(a, "/images/%s/tag?repo=%s&tag=%s", http_encode(a, name, true),
                                    http_encode(a, repository, false), http_encode(a, tag, false));
    int r = engine_send(d, ctx, &req, path, &reply, err);
    if (r < 0) return r;
    return reply.status == 201 ? 0 : engine_error(err, &reply, "can't tag the local image %s as %s:%s", name, repository, tag);
}

int docker_image_remove(struct docker *d, struct ctx *ctx, const char *name, struct err *err) {
    struct http_request req = {.method = "DELETE"};
    struct http_response reply;
    int r = engine_send(d, ctx, &req, arena_printf(ctx->arena, "/images/%s?noprune=true", http_encode(ctx->arena, name, true)),
                        &reply, err);
    if (r < 0) return r;
    if (reply.status == 404) return 1;
    return reply.status == 200 ? 0 : engine_error(err, &reply, "can't remove the local name %s", name);
}
