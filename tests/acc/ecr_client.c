/* The ECR, STS and registry clients against the local ECR of tests/env, without a provider around them. TAP; run by
 * tests/acc/test_ecr_client.sh within the test environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ecr.h"
#include "aws/ecr_internal.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "oci/oci.h"

#define OCI_TYPE "application/vnd.oci.image.manifest.v1+json"

struct fixture {
    struct http *http;
    struct http_sender sender;
    struct arena *arena;
    struct ctx ctx;
    struct err err;
    struct aws *aws;
    struct ecr *ecr;
    struct oci *oci;
    const char *profile; /* NULL: the environment's keys */
    const char *repo, *host;
};

static const char *env(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "%s is not set: run this by tests/acc/test_ecr_client.sh\n", name);
        exit(2);
    }
    return value;
}

/* Talks to the front's own side: faults, clock. */
static void control(struct fixture *f, const char *path, const char *body) {
    struct http_request req = {.method = "POST",
                               .url = arena_printf(f->arena, "%s%s", env("GPUDEV_TEST_ECR_CONTROL"), path),
                               .body = body,
                               .body_len = strlen(body)};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    if (r.status / 100 != 2) fail_msg("%s: HTTP %d %s", path, r.status, r.body);
}

static int seen(struct fixture *f, const char *query) {
    struct http_request req = {.url = arena_printf(f->arena, "%s/requests?%s", env("GPUDEV_TEST_ECR_CONTROL"), query)};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    int n = 0;
    for (const char *p = r.body; *p; p++) n += *p == '\n';
    return n;
}

static int auth(void *self, struct ctx *ctx, const char *host, bool renew, const char **ret_user, struct secret **ret_password,
                struct err *err) {
    struct fixture *f = self;
    const char *account, *region;
    if (!ecr_parse_host(ctx->arena, host, &account, &region)) return 1;
    return ecr_auth(f->ecr, ctx, renew, ret_user, ret_password, err);
}

static void open_clients(struct fixture *f, const char *profile) {
    oci_free(f->oci);
    ecr_free(f->ecr);
    aws_free(f->aws);
    struct aws_options opt = {.profile = profile, .max_retries = -1};
    f->aws = aws_new(&opt, &f->sender);
    assert_int_equal(ecr_open(f->aws, &f->ctx, NULL, &f->ecr, &f->err), 0);
    struct oci_auth from = {.get = auth, .self = f};
    f->oci = oci_new(&f->sender, &from);
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->http = http_new("gpudev-test");
    f->sender = http_sender(f->http);
    f->arena = arena_new();
    struct ctx plain = {.arena = f->arena};
    f->ctx = ctx_with_timeout(&plain, 60000);
    f->repo = arena_printf(f->arena, "client-%s/app", random_hex(f->arena, 4));
    f->host = env("GPUDEV_TEST_ECR_HOST");
    open_clients(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    oci_free(f->oci);
    ecr_free(f->ecr);
    aws_free(f->aws);
    http_unref(f->http);
    err_done(&f->err);
    arena_free(f->arena);
    mem_free(f);
    return 0;
}

static void ok(struct fixture *f, int r) {
    if (r != 0) fail_msg("%d: %s", r, err_text(&f->err));
}

static void create(struct fixture *f) {
    struct ecr_repository repo;
    ok(f, ecr_create_repository(f->ecr, &f->ctx, f->repo, NULL, 0, &repo, &f->err));
    assert_string_equal(repo.uri, arena_printf(f->arena, "%s/%s", f->host, f->repo));
}

/* Pushes an image of one layer that holds this text. */
static struct oci_manifest push(struct fixture *f, const char *text, const char *tag) {
    static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    const char *layer = sha256_digest(f->arena, text, strlen(text)),
               *config_digest = sha256_digest(f->arena, config, strlen(config));
    ok(f, oci_blob_put(f->oci, &f->ctx, f->host, f->repo, text, strlen(text), layer, &f->err));
    ok(f, oci_blob_put(f->oci, &f->ctx, f->host, f->repo, config, strlen(config), config_digest, &f->err));
    const char *body = arena_printf(
        f->arena,
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE
        "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
        "\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
        "\"size\":%zu}]}",
        config_digest, strlen(config), layer, strlen(text));
    struct oci_manifest m = {
        .body = body, .len = strlen(body), .media_type = OCI_TYPE, .digest = sha256_digest(f->arena, body, strlen(body))};
    ok(f, oci_put(f->oci, &f->ctx, f->host, f->repo, tag, &m, &f->err));
    return m;
}

static void test_identity(void **state) {
    struct fixture *f = *state;
    struct aws_identity id;
    ok(f, aws_caller_identity(f->aws, &f->ctx, &id, &f->err));
    assert_string_equal(id.account, env("GPUDEV_TEST_ECR_ACCOUNT"));
    open_clients(f, "session");
    ok(f, aws_caller_identity(f->aws, &f->ctx, &id, &f->err));
    assert_non_null(strstr(id.arn, "assumed-role"));
}

static void test_repository(void **state) {
    struct fixture *f = *state;
    struct ecr_repository repo;
    const struct kv tag = {"team", "x y/+="};
    assert_int_equal(ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err), 1);
    ok(f, ecr_create_repository(f->ecr, &f->ctx, f->repo, &tag, 1, &repo, &f->err));
    assert_int_equal(ecr_create_repository(f->ecr, &f->ctx, f->repo, NULL, 0, &repo, &f->err), 1);
    ok(f, ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err));
    assert_string_equal(repo.name, f->repo);
    assert_string_equal(repo.tag_mutability, "MUTABLE");
    const struct kv *tags;
    size_t n;
    ok(f, ecr_repository_tags(f->ecr, &f->ctx, repo.arn, &tags, &n, &f->err));
    assert_int_equal(n, 1);
    assert_string_equal(tags[0].value, "x y/+=");
    const char *policy;
    assert_int_equal(ecr_get_lifecycle_policy(f->ecr, &f->ctx, NULL, f->repo, &policy, &f->err), 1);
    static const char keep[] =
        "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\","
        "\"countNumber\":10},\"action\":{\"type\":\"expire\"}}]}";
    ok(f, ecr_put_lifecycle_policy(f->ecr, &f->ctx, f->repo, keep, &f->err));
    ok(f, ecr_get_lifecycle_policy(f->ecr, &f->ctx, NULL, f->repo, &policy, &f->err));
    assert_non_null(strstr(policy, "imageCountMoreThan"));
    ok(f, ecr_delete_repository(f->ecr, &f->ctx, NULL, f->repo, false, &f->err));
    assert_int_equal(ecr_delete_repository(f->ecr, &f->ctx, NULL, f->repo, false, &f->err), 1);
}

static void test_image(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m, got;
    struct ecr_image image;
    assert_int_equal(ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, NULL, "v1", &image, &f->err), 2);
    create(f);
    assert_int_equal(ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, NULL, "v1", &image, &f->err), 1);
    assert_int_equal(oci_head(f->oci, &f->ctx, f->host, f->repo, "v1", &got, &f->err), 1);
    m = push(f, "layer one", "v1");
    ok(f, oci_head(f->oci, &f->ctx, f->host, f->repo, "v1", &got, &f->err));
    assert_string_equal(got.digest, m.digest);
    ok(f, oci_get(f->oci, &f->ctx, f->host, f->repo, m.digest, &got, &f->err));
    assert_string_equal(got.body, m.body);
    assert_string_equal(got.media_type, OCI_TYPE);
    ok(f, oci_put(f->oci, &f->ctx, f->host, f->repo, "v2", &got, &f->err)); /* retag */
    ok(f, ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, m.digest, NULL, &image, &f->err));
    assert_int_equal(image.n_tags, 2);
    ok(f, ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, NULL, "v2", &image, &f->err));
    assert_string_equal(image.digest, m.digest);
    assert_true(image.pushed_at > 1700000000);
    const char *const *tags;
    size_t n;
    ok(f, oci_tags(f->oci, &f->ctx, f->host, f->repo, &tags, &n, &f->err));
    assert_int_equal(n, 2);
    uint64_t size;
    ok(f, oci_size(f->oci, &f->ctx, f->host, f->repo, &got, &size, &f->err));
    assert_true(size > 9 && size < 1000);
    assert_int_equal(ecr_delete_repository(f->ecr, &f->ctx, NULL, f->repo, false, &f->err), 2);
    ok(f, ecr_delete_tag(f->ecr, &f->ctx, NULL, f->repo, "v1", &f->err));
    assert_int_equal(ecr_delete_tag(f->ecr, &f->ctx, NULL, f->repo, "v1", &f->err), 1);
    ok(f, ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, m.digest, NULL, &image, &f->err));
    ok(f, ecr_delete_repository(f->ecr, &f->ctx, NULL, f->repo, true, &f->err));
}

static void test_immutable_tag(void **state) {
    struct fixture *f = *state;
    create(f);
    AUTO_JSON struct json *body = json_obj();
    json_set_str(body, "repositoryName", f->repo);
    json_set_str(body, "imageTagMutability", "IMMUTABLE");
    AUTO_REPLY struct ecr_reply reply;
    ok(f, ecr_call(f->ecr, &f->ctx, "PutImageTagMutability", body, &reply, &f->err));
    struct oci_manifest first = push(f, "first", "v1"), second = push(f, "second", "other");
    ok(f, oci_put(f->oci, &f->ctx, f->host, f->repo, "v1", &first, &f->err)); /* it is there already */
    assert_int_equal(oci_put(f->oci, &f->ctx, f->host, f->repo, "v1", &second, &f->err), -ERR_CONFLICT);
    assert_non_null(strstr(f->err.message, "is immutable"));
    assert_non_null(strstr(f->err.message, first.digest));
    assert_non_null(strstr(f->err.message, second.digest));
}

static void test_missing_repository(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m = {.body = "{}", .len = 2, .media_type = OCI_TYPE};
    int r = oci_put(f->oci, &f->ctx, f->host, f->repo, "v1", &m, &f->err);
    assert_int_equal(r, -ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.message, "NAME_UNKNOWN"));
    assert_int_equal(oci_get(f->oci, &f->ctx, f->host, f->repo, "v1", &m, &f->err), 1);
}

static void test_rights(void **state) {
    struct fixture *f = *state;
    struct ecr_repository repo;
    open_clients(f, "denied");
    assert_int_equal(ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err), -ERR_DENIED);
    assert_non_null(strstr(f->err.message, "not authorized"));
    assert_non_null(strstr(f->err.hint, "ecr:DescribeRepositories"));
    open_clients(f, "expired");
    assert_int_equal(ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(f->err.hint, "have expired"));
    open_clients(f, "session");
    assert_int_equal(ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err), 1);
    AUTO_SECRET struct secret *wrong = secret_new("wrong", 5);
    struct aws_options opt = {.access_key = "AKIATESTADMIN0000001", .secret_key = wrong, .region = "us-east-2", .max_retries = -1};
    struct aws *a = aws_new(&opt, &f->sender);
    struct aws_identity id;
    assert_int_equal(aws_caller_identity(a, &f->ctx, &id, &f->err), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(f->err.hint, "is not accepted"));
    aws_free(a);
}

static void test_faults(void **state) {
    struct fixture *f = *state;
    create(f);
    /* Other tests use this ECR at the same time: faults are for this repository's paths. */
    control(f, "/faults",
            arena_printf(
                f->arena,
                "[{\"op\":\"PutManifest\",\"path\":\"%s\",\"times\":2,\"action\":\"status\",\"status\":503},"
                "{\"op\":\"PutUpload\",\"path\":\"%s\",\"times\":1,\"action\":\"eof\"},"
                "{\"op\":\"DescribeImages\",\"times\":1,\"action\":\"status\",\"status\":400,\"code\":\"ThrottlingException\"}]",
                f->repo, f->repo));
    struct oci_manifest m = push(f, "through faults", "v1");
    struct ecr_image image;
    ok(f, ecr_describe_image(f->ecr, &f->ctx, NULL, f->repo, m.digest, NULL, &image, &f->err));
    /* The registry says that the password has ended: a new one is fetched, once. */
    control(f, "/faults",
            arena_printf(f->arena, "{\"op\":\"GetManifest\",\"path\":\"%s\",\"times\":1,\"action\":\"expired-token\"}", f->repo));
    struct oci_manifest got;
    ok(f, oci_get(f->oci, &f->ctx, f->host, f->repo, "v1", &got, &f->err));
}

static void test_clock(void **state) {
    struct fixture *f = *state;
    struct ecr_repository repo;
    control(f, "/clock", "{\"offset\":3600}");
    int r = ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err);
    control(f, "/clock", "{\"offset\":0}");
    assert_int_equal(r, 1);
    assert_int_equal(ecr_describe_repository(f->ecr, &f->ctx, NULL, f->repo, &repo, &f->err), 1); /* and back */
}

static void *look(void *arg) {
    struct fixture *f = arg;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = ctx_with_arena(&f->ctx, a);
    struct oci_manifest m;
    return oci_head(f->oci, &ctx, f->host, f->repo, "v1", &m, NULL) == 0 ? f : NULL;
}

/* Many resources ask at once: one password serves them all. */
static void test_one_password(void **state) {
    struct fixture *f = *state;
    create(f);
    push(f, "shared", "v1");
    open_clients(f, "session");
    static const char mine[] = "op=GetAuthorizationToken&key=ASIATESTSESSION00001";
    int before = seen(f, mine);
    pthread_t t[12];
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) pthread_create(&t[i], NULL, look, f);
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        void *good;
        pthread_join(t[i], &good);
        assert_ptr_equal(good, f);
    }
    assert_int_equal(seen(f, mine), before + 1);
}

static void test_plain_registry(void **state) {
    struct fixture *f = *state;
    f->host = env("GPUDEV_TEST_REGISTRY");
    struct oci_manifest m = push(f, "plain", "v1"), got;
    ok(f, oci_get(f->oci, &f->ctx, f->host, f->repo, "v1", &got, &f->err));
    assert_string_equal(got.digest, m.digest);
    ok(f, oci_delete(f->oci, &f->ctx, f->host, f->repo, m.digest, &f->err));
    assert_int_equal(oci_head(f->oci, &f->ctx, f->host, f->repo, "v1", &got, &f->err), 1);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_identity), T(test_repository), T(test_image), T(test_immutable_tag), T(test_missing_repository),
        T(test_rights),   T(test_faults),     T(test_clock), T(test_one_password),  T(test_plain_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
