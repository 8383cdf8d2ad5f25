/* Where an image goes: an ECR repository that is found, adopted or created, or a repository of another registry. */
#include <string.h>

#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "provider/image/image.h"
#include "provider/provider.h"

/* Marks the repositories that gpudev made, so that one whose first build failed is still known as ours. */
static const struct kv made_by = {"gpudev", "created"};

int image_place_parse(struct tf_req *req, const char *repository, struct image_place *ret, struct err *err) {
    struct arena *a = req->ctx->arena;
    struct image_place place = {.name = repository};
    const char *slash = strchr(repository, '/'), *region = NULL;
    if (slash) {
        char *first = arena_strndup(a, repository, (size_t) (slash - repository));
        if (strpbrk(first, ".:") || str_eq(first, "localhost")) {
            place.host = first;
            place.name = arena_strdup(a, slash + 1);
        }
    }
    if (!place.host || ecr_parse_host(a, place.host, &place.registry_id, &region)) {
        int r = provider_ecr(req->provider, req->ctx, region, &place.ecr, err);
        if (r < 0) return r;
    }
    *ret = place;
    return 0;
}

static void take(struct arena *a, struct image_place *place, const struct ecr_repository *found) {
    const char *slash = strchr(found->uri, '/');
    /* A host that the user wrote stays: it may be the dual-stack or FIPS name of the same registry. */
    if (!place->host) place->host = slash ? arena_strndup(a, found->uri, (size_t) (slash - found->uri)) : found->uri;
    place->registry_id = found->registry_id;
    place->arn = found->arn;
    place->immutable = str_starts(found->tag_mutability ? found->tag_mutability : "", "IMMUTABLE");
}

int image_place_find(struct tf_req *req, struct image_place *place, struct err *err) {
    if (!place->ecr) return 0;
    struct ecr_repository found = {0};
    int r = ecr_describe_repository(place->ecr, req->ctx, place->registry_id, place->name, &found, err);
    if (r == 0) take(req->ctx->arena, place, &found);
    return r;
}

int image_place_ours(struct tf_req *req, const struct image_place *place, bool *ret, struct err *err) {
    const struct kv *tags = NULL;
    size_t n = 0;
    AUTO_ERR struct err own = {0};
    *ret = false;
    int r = ecr_repository_tags(place->ecr, req->ctx, place->arn, &tags, &n, &own);
    if (r == -ERR_CANCELLED) err_move(err, &own);
    /* Without the right to list tags the repository counts as somebody else's: it is left alone then. */
    else if (r < 0)
        log_debug(req->ctx, "the tags of %s can't be listed: %s", place->arn, err_text(&own));
    if (r < 0) return r == -ERR_CANCELLED ? r : 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(tags[i].key, made_by.key) && str_eq(tags[i].value, made_by.value)) *ret = true;
    return 0;
}

int image_place_keep_last(struct tf_req *req, const struct image_place *place, long keep_last, struct err *err) {
    if (keep_last <= 0) {
        int r = ecr_delete_lifecycle_policy(place->ecr, req->ctx, place->registry_id, place->name, err);
        return r < 0 ? r : 0;
    }
    const char *policy = arena_printf(req->ctx->arena,
                                      "{\"rules\":[{\"rulePriority\":1,\"description\":\"keep the last %ld images\",\"selection\":"
                                      "{\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":%ld},"
                                      "\"action\":{\"type\":\"expire\"}}]}",
                                      keep_last, keep_last);
    return ecr_put_lifecycle_policy(place->ecr, req->ctx, place->name, policy, err);
}

/* A repository of ours that is there already has its policy, unless what made it was cut off in between. */
static int adopt(struct tf_req *req, const struct image_place *place, long keep_last, bool *ret_ours, struct err *err) {
    const char *there;
    int r = image_place_ours(req, place, ret_ours, err);
    if (r < 0 || !*ret_ours || keep_last <= 0) return r;
    bool lacks = ecr_get_lifecycle_policy(place->ecr, req->ctx, place->registry_id, place->name, &there, NULL) == 1;
    return lacks ? image_place_keep_last(req, place, keep_last, err) : 0;
}

int image_place_ensure(struct tf_req *req, struct image_place *place, long keep_last, bool *ret_ours, struct err *err) {
    *ret_ours = false;
    if (!place->ecr) return 0;
    int r = image_place_find(req, place, err);
    if (r < 0) return r;
    if (r == 0) return adopt(req, place, keep_last, ret_ours, err);
    struct ecr_repository made = {0};
    r = ecr_create_repository(place->ecr, req->ctx, place->name, &made_by, 1, &made, err);
    if (r < 0) return r;
    if (r == 1) { /* another resource of this apply was faster, or the reply to a first attempt was lost */
        r = image_place_find(req, place, err);
        if (r == 1) return err_set(err, ERR_CONFLICT, "the ECR repository %s was created and deleted by somebody else meanwhile", place->name);
        return r < 0 ? r : adopt(req, place, keep_last, ret_ours, err);
    }
    take(req->ctx->arena, place, &made);
    *ret_ours = true;
    r = keep_last > 0 ? image_place_keep_last(req, place, keep_last, err) : 0;
    /* One that exists is adopted as it is: without its policy it must not stay behind. */
    if (r < 0) ecr_delete_repository(place->ecr, req->ctx, place->registry_id, place->name, false, NULL);
    return r;
}

const char *image_place_url(struct arena *a, const struct image_place *place) { return arena_printf(a, "%s/%s", place->host, place->name); }
