#pragma once

/* One ECR repository, its registry and a builder, in memory: what gpudev_image calls, in the place of the real ones. */

#include <stdio.h>
#include <string.h>

#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build.h"
#include "oci/oci.h"
#include "progress/progress.h"
#include "provider/provider.h"

struct ecr {
    int unused;
};

enum { FAKE_IMAGES = 32 };

static struct fake_registry {
    struct ecr ecr;
    bool repository, immutable, marked; /* marked: carries gpudev's tag */
    bool policy;
    const char *account; /* of the credentials */
    struct {
        char tag[64], digest[80]; /* tag "": an image without any */
    } v[FAKE_IMAGES];
    size_t n;
    int builds;
    /* what fails */
    bool no_policy, no_builder, no_network, get_fails, build_fails;
    const char *put_fails; /* tag */
} fake;

static void fake_reset(void) { fake = (struct fake_registry){.account = "111122223333"}; }

static const char *fake_digest(const char *tag) {
    for (size_t i = 0; i < fake.n; i++)
        if (str_eq(fake.v[i].tag, tag)) return fake.v[i].digest;
    return NULL;
}

static bool fake_has(const char *digest) {
    for (size_t i = 0; i < fake.n; i++)
        if (str_eq(fake.v[i].digest, digest)) return true;
    return false;
}

static void fake_put(const char *tag, const char *digest) {
    size_t i = 0;
    while (i < fake.n && !str_eq(fake.v[i].tag, tag)) i++;
    if (i == fake.n) fake.n++;
    snprintf(fake.v[i].tag, sizeof fake.v[i].tag, "%s", tag);
    snprintf(fake.v[i].digest, sizeof fake.v[i].digest, "%s", digest);
}

static bool fake_drop(const char *tag) {
    for (size_t i = 0; i < fake.n; i++) {
        if (!str_eq(fake.v[i].tag, tag)) continue;
        fake.v[i] = fake.v[--fake.n];
        return true;
    }
    return false;
}

/* "a b c" */
static const char *fake_tags(struct arena *a) {
    const char *sorted[FAKE_IMAGES];
    for (size_t i = 0; i < fake.n; i++) {
        size_t k = i;
        for (; k > 0 && strcmp(sorted[k - 1], fake.v[i].tag) > 0; k--) sorted[k] = sorted[k - 1];
        sorted[k] = fake.v[i].tag;
    }
    const char *text = "";
    for (size_t i = 0; i < fake.n; i++) text = arena_printf(a, "%s%s%s", text, i ? " " : "", str_starts(sorted[i], "src-") ? "src" : sorted[i]);
    return text;
}

static int fake_unreachable(struct err *err) { return err_set(err, ERR_UNAVAILABLE, "no network"); }

/* ---- ECR ---- */

const char *ecr_region(const struct ecr *e) {
    (void) e;
    return "us-east-2";
}

bool ecr_parse_host(struct arena *a, const char *host, const char **ret_account, const char **ret_region) {
    if (!str_ends(host, ".dkr.ecr.us-east-2.amazonaws.com")) return false;
    *ret_account = arena_strndup(a, host, 12);
    *ret_region = "us-east-2";
    return true;
}

static struct ecr_repository fake_repository(struct ctx *ctx, const char *account, const char *name) {
    return (struct ecr_repository){
        .name = name, .registry_id = account, .tag_mutability = fake.immutable ? "IMMUTABLE" : "MUTABLE",
        .arn = arena_printf(ctx->arena, "arn:aws:ecr:us-east-2:%s:repository/%s", account, name),
        .uri = arena_printf(ctx->arena, "%s.dkr.ecr.us-east-2.amazonaws.com/%s", account, name),
    };
}

int ecr_describe_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct ecr_repository *ret,
                            struct err *err) {
    (void) e;
    int r = ctx_check(ctx, err);
    if (r < 0) return r;
    if (fake.no_network) return fake_unreachable(err);
    if (registry_id && !str_eq(registry_id, fake.account)) return err_set(err, ERR_DENIED, "another account");
    if (!fake.repository) return 1;
    *ret = fake_repository(ctx, fake.account, name);
    return 0;
}

int ecr_create_repository(struct ecr *e, struct ctx *ctx, const char *name, const struct kv *tags, size_t n_tags,
                          struct ecr_repository *ret, struct err *err) {
    (void) e;
    (void) err;
    fake.repository = true;
    fake.marked = n_tags == 1 && str_eq(tags[0].key, "gpudev") && str_eq(tags[0].value, "created");
    *ret = fake_repository(ctx, fake.account, name);
    return 0;
}

int ecr_delete_repository(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, bool force, struct err *err) {
    (void) e, (void) ctx, (void) registry_id, (void) name, (void) force, (void) err;
    if (!fake.repository) return 1;
    if (fake.n) return 2;
    fake.repository = fake.marked = fake.policy = false;
    return 0;
}

int ecr_put_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *name, const char *policy_json, struct err *err) {
    (void) e, (void) ctx, (void) name, (void) policy_json;
    if (fake.no_policy) return err_set(err, ERR_DENIED, "no right to put a policy");
    fake.policy = true;
    return 0;
}

int ecr_get_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char **ret_json,
                             struct err *err) {
    (void) e, (void) ctx, (void) registry_id, (void) name, (void) err;
    *ret_json = "{}";
    return fake.policy ? 0 : 1;
}

int ecr_delete_lifecycle_policy(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, struct err *err) {
    (void) e, (void) ctx, (void) registry_id, (void) name, (void) err;
    bool had = fake.policy;
    fake.policy = false;
    return had ? 0 : 1;
}

int ecr_repository_tags(struct ecr *e, struct ctx *ctx, const char *arn, const struct kv **ret, size_t *ret_n, struct err *err) {
    (void) e, (void) arn;
    static const struct kv mark = {"gpudev", "created"};
    int r = ctx_check(ctx, err);
    *ret = &mark;
    *ret_n = fake.marked;
    return r;
}

int ecr_describe_image(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *digest, const char *tag,
                       struct ecr_image *ret, struct err *err) {
    (void) e, (void) registry_id, (void) name;
    if (fake.no_network) return fake_unreachable(err);
    if (!fake.repository) return 2;
    const char *found = tag ? fake_digest(tag) : fake_has(digest) ? digest : NULL;
    if (!found) return 1;
    const char **tags = arena_array(ctx->arena, fake.n, sizeof *tags);
    size_t n = 0;
    for (size_t i = 0; i < fake.n; i++)
        if (str_eq(fake.v[i].digest, found)) tags[n++] = arena_strdup(ctx->arena, fake.v[i].tag);
    *ret = (struct ecr_image){.digest = arena_strdup(ctx->arena, found), .tags = tags, .n_tags = n, .size = 1000, .pushed_at = 1700000000};
    return 0;
}

int ecr_delete_tag(struct ecr *e, struct ctx *ctx, const char *registry_id, const char *name, const char *tag, struct err *err) {
    (void) e, (void) ctx, (void) registry_id, (void) name;
    if (fake.no_network) return fake_unreachable(err);
    return fake_drop(tag) ? 0 : 1;
}

/* ---- the registry ---- */

int oci_head(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
             struct err *err) {
    (void) o, (void) host, (void) name;
    if (fake.no_network) return fake_unreachable(err);
    const char *digest = str_starts(reference, "sha256:") ? (fake_has(reference) ? reference : NULL) : fake_digest(reference);
    if (!digest) return 1;
    *ret = (struct oci_manifest){.digest = arena_strdup(ctx->arena, digest), .media_type = "m", .body = "{}", .len = 2};
    return 0;
}

int oci_get(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, struct oci_manifest *ret,
            struct err *err) {
    if (fake.get_fails && fake.builds) return fake_unreachable(err);
    return oci_head(o, ctx, host, name, reference, ret, err);
}

int oci_put(struct oci *o, struct ctx *ctx, const char *host, const char *name, const char *reference, const struct oci_manifest *m,
            struct err *err) {
    (void) o, (void) ctx, (void) host, (void) name;
    if (str_eq(fake.put_fails, reference)) return err_set(err, ERR_DENIED, "no right to put %s", reference);
    if (fake.immutable && fake_digest(reference) && !str_eq(fake_digest(reference), m->digest))
        return err_set(err, ERR_CONFLICT, "%s is immutable", reference);
    fake_put(reference, m->digest);
    return 0;
}

int oci_size(struct oci *o, struct ctx *ctx, const char *host, const char *name, const struct oci_manifest *m, uint64_t *ret,
             struct err *err) {
    (void) o, (void) ctx, (void) host, (void) name, (void) m, (void) err;
    *ret = 1000;
    return 0;
}

/* ---- the builder ---- */

int builder_open(struct ctx *ctx, const struct builder_config *config, struct builder **ret, struct err *err) {
    (void) ctx, (void) config;
    if (fake.no_builder) return err_set(err, ERR_UNAVAILABLE, "no engine");
    *ret = NULL;
    return 0;
}

int builder_build(struct builder *b, struct ctx *ctx, const struct build_request *req, struct build_result *ret, struct err *err) {
    (void) b;
    if (fake.build_fails) return err_set(err, ERR_FAILED, "RUN false failed");
    char *digest = arena_printf(ctx->arena, "sha256:%064d", ++fake.builds);
    fake_put(req->push_tag, digest);
    *ret = (struct build_result){.digest = digest, .media_type = "m"};
    return 0;
}

void builder_free(struct builder *b) { (void) b; }

/* ---- the provider ---- */

int provider_ecr(struct provider_data *p, struct ctx *ctx, const char *region, struct ecr **ret, struct err *err) {
    (void) p, (void) ctx, (void) region, (void) err;
    *ret = &fake.ecr;
    return 0;
}

struct oci *provider_oci(struct provider_data *p) {
    (void) p;
    return NULL;
}

const struct oci_auth *provider_auth(struct provider_data *p) {
    (void) p;
    return NULL;
}

const struct builder_config *provider_builder_config(const struct provider_data *p) {
    (void) p;
    return NULL;
}

struct progress *provider_progress(struct provider_data *p, const char *title) {
    (void) p, (void) title;
    return NULL;
}

void progress_free(struct progress *p) { (void) p; }

const char *progress_log_path(const struct progress *p) {
    (void) p;
    return NULL;
}

void progress_line(struct progress *p, const char *fmt, ...) {
    (void) p, (void) fmt;
}
