/* https://docs.aws.amazon.com/AmazonECR/latest/APIReference/ */
#include "aws/ecr.h"

#include <string.h>

#include "aws/ecr_internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "json/json.h"

int ecr_open(struct aws *a, struct ctx *ctx, const char *region, struct ecr **ret, struct err *err) {
    if (!region) {
        int r = aws_region(a, ctx, &region, err);
        if (r < 0) return r;
    }
    const char *endpoint; /* only to see that the region can be one */
    if (!region) {
        int r = err_set(err, ERR_INVALID, "no AWS region is configured");
        err_hint(err, "Set region in the provider block, or AWS_REGION, or region in the AWS profile.");
        return r;
    }
    int r = aws_endpoint(a, ctx, "ecr", region, &endpoint, err);
    if (r < 0) return r;
    struct ecr *e = NEW(struct ecr);
    e->aws = a;
    e->region = mem_strdup(region);
    *ret = e;
    return 0;
}

void ecr_free(struct ecr *e) {
    if (!e) return;
    mem_free(e->region);
    mem_free(e);
}

const char *ecr_region(const struct ecr *e) { return e->region; }

bool ecr_expected(const struct ecr_reply *r, const char *code, struct err *err) {
    if (!str_eq(r->code, code)) return false;
    err_done(err);
    return true;
}

int ecr_call(struct ecr *e, struct ctx *ctx, const char *action, const struct json *body, struct ecr_reply *ret, struct err *err) {
    struct aws_request req = {
        .service = "ecr",
        .region = e->region,
        .action = action,
        .target = arena_printf(ctx->arena, "AmazonEC2ContainerRegistry_V20150921.%s", action),
        .content_type = "application/x-amz-json-1.1",
        .body = json_text(ctx->arena, body),
        .sensitive = strcmp(action, "GetAuthorizationToken") == 0,
    };
    struct aws_reply reply;
    *ret = (struct ecr_reply){0};
    int r = aws_call(e->aws, ctx, &req, &reply, err);
    ret->code = reply.code;
    ret->attempts = reply.attempts;
    if (r < 0) return r;
    ret->json = json_parse(reply.http.body, reply.http.body_len, err);
    if (req.sensitive) mem_wipe((char *) reply.http.body, reply.http.body_len); /* our arena's copy */
    return ret->json ? 0 : err_wrap(err, "the reply to ecr:%s", action);
}

int ecr_bad_reply(const char *action, struct err *err) {
    return err_set(err, ERR_PROTOCOL, "the reply to ecr:%s lacks what was asked for", action);
}

static struct json *named(const char *registry_id, const char *name) {
    struct json *body = json_obj();
    json_set_str(body, "registryId", registry_id);
    json_set_str(body, "repositoryName", name);
    return body;
}

/* ---- repositories ---- */

static bool read_repository(struct arena *a, const struct json *j, struct ecr_repository *ret) {
    *ret = (struct ecr_repository){
        .name = arena_strdup(a, json_get_str(j, "repositoryName")),
        .arn = arena_strdup(a, json_get_str(j, "repositoryArn")),
        .registry_id = arena_strdup(a, json_get_str(j, "registryId")),
        .uri = arena_strdup(a, json_get_str(j, "repositoryUri")),
        .tag_mutability = arena_strdup(a, json_get_str(j, "imageTagMutability")),
    };
    if (!ret->tag_mutability) ret->tag_mutability = "MUTABLE";
    return ret->name && ret->arn && ret->registry_id && ret->uri;
}

static int describe(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct ecr_repository *ret,
                    double *ret_created, struct err *err) {
    static const char action[] = "DescribeRepositories";
    AUTO_JSON struct json *body = json_obj();
    json_set_str(body, "registryId", registry_id);
    json_add(json_set(body, "repositoryNames", json_arr()), json_new_str(name));
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, action, body, &reply, err);
    if (r < 0) return ecr_expected(&reply, "RepositoryNotFoundException", err) ? 1 : r;
    const struct json *first = json_first(json_get(reply.json, "repositories"));
    if (!first) return 1;
    if (ret_created) *ret_created = json_num(json_get(first, "createdAt"), 0);
    return read_repository(ctx->arena, first, ret) ? 0 : ecr_bad_reply(action, err);
}

int ecr_describe_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct ecr_repository *ret,
                            struct err *err) {
    return describe(e, ctx, registry_id, name, ret, NULL, err);
}

/* A create whose reply was lost is sent again and then finds the repository: it is ours if it came to be meanwhile. */
static int made_by_us(struct ecr *e, struct ctx *ctx, const char *name, int64_t since, struct ecr_repository *ret,
                      struct err *err) {
    enum { CLOCKS = 5 }; /* seconds */
    double created = 0;
    struct ecr_repository found;
    int r = describe(e, ctx, NULL, name, &found, &created, err);
    if (r < 0) return r;
    if (r > 0 || created < (double) (since / 1000 - CLOCKS)) return 1;
    *ret = found;
    return 0;
}

int ecr_create_repository(struct ecr *e, struct ctx *ctx, const char *name, const struct kv *tags, size_t n_tags,
                          struct ecr_repository *ret, struct err *err) {
    static const char action[] = "CreateRepository";
    AUTO_JSON struct json *body = named(NULL, name);
    struct json *list = n_tags ? json_set(body, "tags", json_arr()) : NULL;
    for (size_t i = 0; i < n_tags; i++) {
        struct json *tag = json_add(list, json_obj());
        json_set_str(tag, "Key", tags[i].key);
        json_set_str(tag, "Value", tags[i].value ? tags[i].value : "");
    }
    int64_t since = ctx_clock(ctx)->wall(ctx_clock(ctx)->self) + aws_skew(e->aws);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, action, body, &reply, err);
    if (r < 0) {
        if (!ecr_expected(&reply, "RepositoryAlreadyExistsException", err)) return r;
        return reply.attempts > 1 ? made_by_us(e, ctx, name, since, ret, err) : 1;
    }
    return read_repository(ctx->arena, json_get(reply.json, "repository"), ret) ? 0 : ecr_bad_reply(action, err);
}

int ecr_delete_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, bool force, struct err *err) {
    AUTO_JSON struct json *body = named(registry_id, name);
    if (force) json_set_bool(body, "force", true);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, "DeleteRepository", body, &reply, err);
    if (r == 0) return 0;
    if (ecr_expected(&reply, "RepositoryNotFoundException", err)) return 1;
    return ecr_expected(&reply, "RepositoryNotEmptyException", err) ? 2 : r;
}

int ecr_put_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *name, const char *policy_json, struct err *err) {
    AUTO_JSON struct json *body = named(NULL, name);
    json_set_str(body, "lifecyclePolicyText", policy_json);
    AUTO_REPLY struct ecr_reply reply;
    return ecr_call(e, ctx, "PutLifecyclePolicy", body, &reply, err);
}

int ecr_get_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char **ret,
                             struct err *err) {
    AUTO_JSON struct json *body = named(registry_id, name);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, "GetLifecyclePolicy", body, &reply, err);
    if (r < 0) {
        if (ecr_expected(&reply, "LifecyclePolicyNotFoundException", err)) return 1;
        return ecr_expected(&reply, "RepositoryNotFoundException", err) ? 2 : r;
    }
    const char *text = json_get_str(reply.json, "lifecyclePolicyText");
    if (!text) return ecr_bad_reply("GetLifecyclePolicy", err);
    *ret = arena_strdup(ctx->arena, text);
    return 0;
}

int ecr_delete_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct err *err) {
    AUTO_JSON struct json *body = named(registry_id, name);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, "DeleteLifecyclePolicy", body, &reply, err);
    return r < 0 && ecr_expected(&reply, "LifecyclePolicyNotFoundException", err) ? 1 : r;
}

int ecr_repository_tags(struct ecr *e, struct ctx *ctx, const char *arn, const struct kv **ret, size_t *ret_n, struct err *err) {
    AUTO_JSON struct json *body = json_obj();
    json_set_str(body, "resourceArn", arn);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, "ListTagsForResource", body, &reply, err);
    if (r < 0) return r;
    const struct json *list = json_get(reply.json, "tags");
    struct kv *tags = arena_array(ctx->arena, json_len(list), sizeof *tags);
    size_t n = 0;
    json_each(tag, list) {
        if (!json_get_str(tag, "Key")) continue;
        const char *value = json_get_str(tag, "Value");
        tags[n++] = (struct kv){arena_strdup(ctx->arena, json_get_str(tag, "Key")), arena_strdup(ctx->arena, value ? value : "")};
    }
    *ret = tags;
    *ret_n = n;
    return 0;
}

/* ---- images ---- */

static void read_image(struct arena *a, const struct json *j, struct ecr_image *ret) {
    const struct json *list = json_get(j, "imageTags");
    const char **tags = arena_array(a, json_len(list), sizeof *tags);
    size_t n = 0;
    json_each(tag, list) if (json_str(tag)) tags[n++] = arena_strdup(a, json_str(tag));
    int64_t size = json_get_int(j, "imageSizeInBytes", 0);
    *ret = (struct ecr_image){
        .digest = arena_strdup(a, json_get_str(j, "imageDigest")),
        .tags = tags,
        .n_tags = n,
        .size = size > 0 ? (uint64_t) size : 0,
        .pushed_at = json_get_int(j, "imagePushedAt", 0),
        .media_type = arena_strdup(a, json_get_str(j, "imageManifestMediaType")),
    };
}

static void set_image_id(struct json *body, const char *digest, const char *tag) {
    struct json *id = json_add(json_set(body, "imageIds", json_arr()), json_obj());
    json_set_str(id, "imageDigest", digest);
    json_set_str(id, "imageTag", tag);
}

int ecr_describe_image(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *digest,
                       const char *tag, struct ecr_image *ret, struct err *err) {
    static const char action[] = "DescribeImages";
    AUTO_JSON struct json *body = named(registry_id, name);
    set_image_id(body, digest, tag);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, action, body, &reply, err);
    if (r < 0) {
        if (ecr_expected(&reply, "ImageNotFoundException", err)) return 1;
        return ecr_expected(&reply, "RepositoryNotFoundException", err) ? 2 : r;
    }
    const struct json *first = json_first(json_get(reply.json, "imageDetails"));
    if (!first) return 1;
    struct ecr_image image;
    read_image(ctx->arena, first, &image);
    if (!image.digest) return ecr_bad_reply(action, err);
    *ret = image;
    return 0;
}

/* Failures of single images come in a 200. */
int ecr_delete_tag(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *tag, struct err *err) {
    static const char action[] = "BatchDeleteImage";
    AUTO_JSON struct json *body = named(registry_id, name);
    set_image_id(body, NULL, tag);
    AUTO_REPLY struct ecr_reply reply;
    int r = ecr_call(e, ctx, action, body, &reply, err);
    if (r < 0) return ecr_expected(&reply, "RepositoryNotFoundException", err) ? 1 : r;
    const struct json *failure = json_first(json_get(reply.json, "failures"));
    if (!failure) return 0;
    const char *code = json_get_str(failure, "failureCode"), *reason = json_get_str(failure, "failureReason");
    if (str_eq(code, "ImageNotFound")) return 1;
    return err_set(err, ERR_CONFLICT, "ecr:%s in %s: %s:%s can't be removed: %s (%s)", action, e->region, name, tag,
                   reason ? reason : "no reason given", code ? code : "no code");
}
