#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "aws/ecr.h"
#include "aws/fake.h"

static const struct kv keys[] = {{"AWS_ACCESS_KEY_ID", "AKTEST"}, {"AWS_SECRET_ACCESS_KEY", "hidden"}, {NULL, NULL}};

struct fixture {
    struct fake *f;
    struct ecr *ecr;
};

static void reopen(struct fixture *x, struct aws_options opt) {
    ecr_free(x->ecr);
    opt.region = "us-east-2";
    fake_open(x->f, opt);
    assert_int_equal(ecr_open(x->f->aws, &x->f->ctx, NULL, &x->ecr, &x->f->err), 0);
}

static int setup(void **state) {
    struct fixture *x = NEW(struct fixture);
    x->f = fake_new();
    x->f->env = keys;
    reopen(x, (struct aws_options){.max_retries = -1});
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct fixture *x = *state;
    ecr_free(x->ecr);
    fake_free(x->f);
    mem_free(x);
    return 0;
}

#define ANSWER(x, ...)                                                                                                             \
    fake_answer((x)->f, (const struct fake_reply[]){__VA_ARGS__}, ARRAY_SIZE(((const struct fake_reply[]){__VA_ARGS__})))
#define TYPE(name, text) "{\"__type\":\"" name "\",\"message\":\"" text "\"}"
#define REPOSITORY                                                                                                                 \
    "{\"repositoryArn\":\"arn:aws:ecr:us-east-2:123456789012:repository/"                                                          \
    "app\",\"registryId\":\"123456789012\",\"repositoryName\":\"app\","                                                            \
    "\"repositoryUri\":\"123456789012.dkr.ecr.us-east-2.amazonaws.com/"                                                            \
    "app\",\"createdAt\":1.767323044E9,\"imageTagMutability\":\"IMMUTABLE\"}"

static void test_repositories(void **state) {
    struct fixture *x = *state;
    struct ecr_repository repo;
    ANSWER(x, {.status = 200, .body = "{\"repository\":" REPOSITORY "}"});
    const struct kv tags[] = {{"team", "x"}, {"empty", NULL}};
    assert_int_equal(ecr_create_repository(x->ecr, &x->f->ctx, "app", tags, 2, &repo, &x->f->err), 0);
    assert_string_equal(
        x->f->log.data,
        "POST https://api.ecr.us-east-2.amazonaws.com/ CreateRepository "
        "{\"repositoryName\":\"app\",\"tags\":[{\"Key\":\"team\",\"Value\":\"x\"},{\"Key\":\"empty\",\"Value\":\"\"}]}\n");
    assert_true(str_starts(x->f->authorization, "AWS4-HMAC-SHA256 Credential=AKTEST/20260102/us-east-2/ecr/aws4_request, "
                                                "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="));
    assert_string_equal(repo.uri, "123456789012.dkr.ecr.us-east-2.amazonaws.com/app");
    assert_string_equal(repo.registry_id, "123456789012");
    assert_string_equal(repo.tag_mutability, "IMMUTABLE");
    ANSWER(x, {.status = 400, .body = TYPE("RepositoryAlreadyExistsException", "exists")});
    assert_int_equal(ecr_create_repository(x->ecr, &x->f->ctx, "app", NULL, 0, &repo, &x->f->err), 1);
    ANSWER(x, {.status = 200, .body = "{\"repositories\":[" REPOSITORY "]}"});
    assert_int_equal(ecr_describe_repository(x->ecr, &x->f->ctx, "210987654321", "app", &repo, &x->f->err), 0);
    assert_non_null(strstr(x->f->log.data, "{\"registryId\":\"210987654321\",\"repositoryNames\":[\"app\"]}"));
    ANSWER(x, {.status = 400, .body = TYPE("com.amazonaws.ecr#RepositoryNotFoundException", "none")});
    assert_int_equal(ecr_describe_repository(x->ecr, &x->f->ctx, NULL, "app", &repo, &x->f->err), 1);
    assert_int_equal(x->f->err.code, ERR_NONE);
    assert_int_equal(ecr_delete_repository(x->ecr, &x->f->ctx, NULL, "app", false, &x->f->err), 1);
    ANSWER(x, {.status = 400,
               .body = "{\"message\":\"not empty\"}",
               .header = "X-Amzn-Errortype",
               .value = "RepositoryNotEmptyException:http://x"});
    assert_int_equal(ecr_delete_repository(x->ecr, &x->f->ctx, NULL, "app", false, &x->f->err), 2);
    ANSWER(x, {.status = 200, .body = "{\"repositories\":[{\"repositoryName\":\"app\"}]}"});
    assert_int_equal(ecr_describe_repository(x->ecr, &x->f->ctx, NULL, "app", &repo, &x->f->err), -ERR_PROTOCOL);
}

/* The reply to a create is lost: the repository that the second attempt finds is ours, if it is that young. */
static void test_create_again(void **state) {
    struct fixture *x = *state;
    struct ecr_repository repo = {0};
    ANSWER(x, {.fail = -ERR_UNAVAILABLE}, {.status = 400, .body = TYPE("RepositoryAlreadyExistsException", "exists")},
           {.status = 200, .body = "{\"repositories\":[" REPOSITORY "]}"});
    assert_int_equal(ecr_create_repository(x->ecr, &x->f->ctx, "app", NULL, 0, &repo, &x->f->err), 0);
    assert_string_equal(repo.name, "app");
    assert_int_equal(x->f->n_requests, 3);
    x->f->wall += 3600 * 1000;
    x->f->n_requests = 0;
    assert_int_equal(ecr_create_repository(x->ecr, &x->f->ctx, "app", NULL, 0, &repo, &x->f->err), 1);
}

static void test_images(void **state) {
    struct fixture *x = *state;
    struct ecr_image image;
    ANSWER(x,
           {.status = 200,
            .body = "{\"imageDetails\":[{\"imageDigest\":\"sha256:1\",\"imageTags\":[\"a\",\"b\"],\"imageSizeInBytes\":12345678901,"
                    "\"imagePushedAt\":1.767323045E9,\"imageManifestMediaType\":\"m\"}]}"});
    assert_int_equal(ecr_describe_image(x->ecr, &x->f->ctx, NULL, "app", NULL, "a", &image, &x->f->err), 0);
    assert_non_null(strstr(x->f->log.data, "\"imageIds\":[{\"imageTag\":\"a\"}]"));
    assert_string_equal(image.digest, "sha256:1");
    assert_int_equal(image.n_tags, 2);
    assert_string_equal(image.tags[1], "b");
    assert_true(image.size == 12345678901u);
    assert_int_equal(image.pushed_at, 1767323045);
    ANSWER(x, {.status = 400, .body = TYPE("ImageNotFoundException", "x")});
    assert_int_equal(ecr_describe_image(x->ecr, &x->f->ctx, NULL, "app", "sha256:1", NULL, &image, &x->f->err), 1);
    ANSWER(x, {.status = 400, .body = TYPE("RepositoryNotFoundException", "x")});
    assert_int_equal(ecr_describe_image(x->ecr, &x->f->ctx, NULL, "app", "sha256:1", NULL, &image, &x->f->err), 2);
    assert_int_equal(ecr_delete_tag(x->ecr, &x->f->ctx, NULL, "app", "a", &x->f->err), 1);
    ANSWER(x, {.status = 200, .body = "{\"imageIds\":[{\"imageTag\":\"a\"}],\"failures\":[]}"});
    assert_int_equal(ecr_delete_tag(x->ecr, &x->f->ctx, NULL, "app", "a", &x->f->err), 0);
    ANSWER(x, {.status = 200, .body = "{\"failures\":[{\"failureCode\":\"ImageNotFound\"}]}"});
    assert_int_equal(ecr_delete_tag(x->ecr, &x->f->ctx, NULL, "app", "a", &x->f->err), 1);
    ANSWER(x, {.status = 200,
               .body = "{\"failures\":[{\"failureCode\":\"ImageReferencedByManifestList\",\"failureReason\":\"used\"}]}"});
    assert_int_equal(ecr_delete_tag(x->ecr, &x->f->ctx, NULL, "app", "a", &x->f->err), -ERR_CONFLICT);
    assert_non_null(strstr(x->f->err.message, "used (ImageReferencedByManifestList)"));
}

static void test_policies_and_tags(void **state) {
    struct fixture *x = *state;
    const char *policy;
    ANSWER(x, {.status = 200, .body = "{\"lifecyclePolicyText\":\"{\\\"rules\\\":[]}\"}"});
    assert_int_equal(ecr_get_lifecycle_policy(x->ecr, &x->f->ctx, NULL, "app", &policy, &x->f->err), 0);
    assert_string_equal(policy, "{\"rules\":[]}");
    assert_int_equal(ecr_put_lifecycle_policy(x->ecr, &x->f->ctx, "app", policy, &x->f->err), 0);
    assert_non_null(strstr(x->f->log.data, "\"lifecyclePolicyText\":\"{\\\"rules\\\":[]}\""));
    ANSWER(x, {.status = 400, .body = TYPE("LifecyclePolicyNotFoundException", "x")});
    assert_int_equal(ecr_get_lifecycle_policy(x->ecr, &x->f->ctx, NULL, "app", &policy, &x->f->err), 1);
    const struct kv *tags;
    size_t n;
    ANSWER(x, {.status = 200, .body = "{\"tags\":[{\"Key\":\"k\",\"Value\":\"v\"},{\"Value\":\"no key\"}]}"});
    assert_int_equal(ecr_repository_tags(x->ecr, &x->f->ctx, "arn", &tags, &n, &x->f->err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(tags[0].value, "v");
}

static int describe(struct fixture *x) {
    struct ecr_repository repo;
    return ecr_describe_repository(x->ecr, &x->f->ctx, NULL, "app", &repo, &x->f->err);
}

#define OK                                                                                                                         \
    { .status = 200, .body = "{\"repositories\":[" REPOSITORY "]}" }

static void test_retries(void **state) {
    struct fixture *x = *state;
    ANSWER(x, {.status = 503, .body = "<html>busy</html>"}, {.fail = -ERR_TIMEOUT}, OK);
    assert_int_equal(describe(x), 0);
    assert_int_equal(x->f->n_requests, 3);
    ANSWER(x, {.status = 500, .body = TYPE("ServerException", "broken")});
    assert_int_equal(describe(x), -ERR_UNAVAILABLE);
    assert_int_equal(x->f->n_requests, 3);
    assert_true(x->f->err.retryable);
    ANSWER(x, {.status = 400, .body = TYPE("ThrottlingException", "Rate exceeded")}, OK);
    assert_int_equal(describe(x), 0);
    ANSWER(x, {.status = 429, .body = ""});
    assert_int_equal(describe(x), -ERR_THROTTLED);
    ANSWER(x, {.status = 400, .body = TYPE("LimitExceededException", "quota")}, OK);
    assert_int_equal(describe(x), -ERR_LIMIT);
    assert_int_equal(x->f->n_requests, 1);
    ANSWER(x, {.status = 400, .body = TYPE("InvalidParameterException", "bad name")}, OK);
    assert_int_equal(describe(x), -ERR_INVALID);
    assert_int_equal(x->f->n_requests, 1);
    ANSWER(x, {.fail = -ERR_CANCELLED}, OK);
    assert_int_equal(describe(x), -ERR_CANCELLED);
    assert_int_equal(x->f->n_requests, 1);
    reopen(x, (struct aws_options){.max_retries = 0});
    ANSWER(x, {.status = 503, .body = ""}, OK);
    assert_int_equal(describe(x), -ERR_UNAVAILABLE);
    x->f->env =
        (const struct kv[]){{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_MAX_ATTEMPTS", "5"}, {NULL, NULL}};
    reopen(x, (struct aws_options){.max_retries = -1});
    ANSWER(x, {.status = 503, .body = ""});
    assert_int_equal(describe(x), -ERR_UNAVAILABLE);
    assert_int_equal(x->f->n_requests, 5);
}

static void test_retry_after(void **state) {
    struct fixture *x = *state;
    ANSWER(x, {.status = 429, .body = "", .header = "Retry-After", .value = "30"}, OK);
    struct ctx ctx = ctx_with_timeout(&x->f->ctx, 50);
    struct ecr_repository repo;
    assert_int_equal(ecr_describe_repository(x->ecr, &ctx, NULL, "app", &repo, &x->f->err), -ERR_TIMEOUT);
    assert_int_equal(x->f->n_requests, 1); /* it waits for longer than the deadline leaves */
}

static void test_clock_skew(void **state) {
    struct fixture *x = *state;
    const struct fake_reply late = {.status = 403,
                                    .body = TYPE("InvalidSignatureException", "Signature expired"),
                                    .header = "Date",
                                    .value = "Fri, 02 Jan 2026 04:04:05 GMT"};
    ANSWER(x, late, OK);
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->date, "20260102T040405Z");
    ANSWER(x, OK); /* remembered */
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->date, "20260102T040405Z");
    ANSWER(x, late); /* the clock isn't the reason any more */
    assert_int_equal(describe(x), -ERR_UNAUTHENTICATED);
    assert_int_equal(x->f->n_requests, 1);
}

static void test_expired_token(void **state) {
    struct fixture *x = *state;
    x->f->env = NULL;
    fake_file(x->f, x->f->credentials, "[default]\naws_access_key_id=OLD\naws_secret_access_key=s\naws_session_token=old\n");
    reopen(x, (struct aws_options){.max_retries = -1});
    ANSWER(x, OK);
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->token, "old");
    const struct fake_reply expired = {
        .status = 400, .body = TYPE("ExpiredTokenException", "The security token included in the request is expired")};
    ANSWER(x, expired, OK);
    assert_int_equal(describe(x), -ERR_UNAUTHENTICATED); /* the file has nothing newer */
    assert_int_equal(x->f->n_requests, 1);
    assert_non_null(strstr(x->f->err.message, "The security token included in the request is expired"));
    assert_non_null(strstr(x->f->err.hint, "profile default of "));
    fake_file(x->f, x->f->credentials, "[default]\naws_access_key_id=NEW\naws_secret_access_key=s\naws_session_token=new\n");
    ANSWER(x, expired, OK);
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->token, "new");
}

static void test_errors(void **state) {
    struct fixture *x = *state;
    ANSWER(x, {.status = 400,
               .body = TYPE("AccessDeniedException",
                            "User: arn:aws:iam::1:user/x is not authorized to perform: ecr:DescribeRepositories")});
    assert_int_equal(describe(x), -ERR_DENIED);
    assert_string_equal(x->f->err.message,
                        "ecr:DescribeRepositories in us-east-2: User: arn:aws:iam::1:user/x is not authorized to perform: "
                        "ecr:DescribeRepositories (AccessDeniedException, HTTP 400)");
    assert_string_equal(x->f->err.hint,
                        "The credentials (access key AKTEST, from the environment) need the permission ecr:DescribeRepositories.");
    assert_string_equal(x->f->err.request_id, "req-1");
    assert_int_equal(x->f->err.http_status, 400);
    ANSWER(x,
           {.status = 400, .body = TYPE("UnrecognizedClientException", "The security token included in the request is invalid.")});
    assert_int_equal(describe(x), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(x->f->err.hint, "The access key AKTEST (from the environment) is not accepted"));
    assert_null(strstr(x->f->err.hint, "hidden"));
    ANSWER(x, {.status = 403, .body = "<html>\x1b[31mblocked by the proxy</html>"});
    assert_int_equal(describe(x), -ERR_DENIED);
    assert_non_null(strstr(x->f->err.message, "blocked by the proxy"));
    assert_null(strchr(x->f->err.message, '\x1b'));
    ANSWER(x, {.status = 200, .body = "not json"});
    assert_int_equal(describe(x), -ERR_PROTOCOL);
}

static void test_caller_identity(void **state) {
    struct fixture *x = *state;
    struct aws_identity id;
    ANSWER(x, {.status = 200,
               .body = "<R><GetCallerIdentityResult><Arn>arn:x</Arn><UserId>U</UserId><Account>123456789012</Account></"
                       "GetCallerIdentityResult></R>"});
    assert_int_equal(aws_caller_identity(x->f->aws, &x->f->ctx, &id, &x->f->err), 0);
    assert_string_equal(id.account, "123456789012");
    assert_string_equal(id.arn, "arn:x");
    assert_string_equal(x->f->log.data,
                        "POST https://sts.us-east-2.amazonaws.com/ - Action=GetCallerIdentity&Version=2011-06-15\n");
    ANSWER(x, {.status = 403,
               .body = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>invalid</Message></Error><RequestId>r</"
                       "RequestId></ErrorResponse>"});
    assert_int_equal(aws_caller_identity(x->f->aws, &x->f->ctx, &id, &x->f->err), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(x->f->err.message, "invalid (InvalidClientTokenId, HTTP 403)"));
}

/* base64("AWS:first"), base64("AWS:second") */
#define TOKEN(text, expires)                                                                                                       \
    { .status = 200, .body = "{\"authorizationData\":[{\"authorizationToken\":\"" text "\",\"expiresAt\":" expires "}]}" }

static void check_password(struct fixture *x, bool renew, const char *want) {
    const char *user = NULL;
    AUTO_SECRET struct secret *password = NULL;
    assert_int_equal(ecr_auth(x->ecr, &x->f->ctx, renew, &user, &password, &x->f->err), 0);
    assert_string_equal(user, "AWS");
    assert_string_equal(secret_bytes(password), want);
}

static void test_auth(void **state) {
    struct fixture *x = *state;
    ANSWER(x, TOKEN("QVdTOmZpcnN0", "1.767366245E9"), TOKEN("QVdTOnNlY29uZA==", "1.7674E9"));
    check_password(x, false, "first");
    check_password(x, false, "first");
    check_password(x, true, "first"); /* it has just come: another caller was refused the one before */
    assert_int_equal(x->f->n_requests, 1);
    x->f->wall += 11 * 3600 * 1000; /* it is good for twelve hours */
    check_password(x, false, "first");
    x->f->wall += 35 * 60 * 1000;
    check_password(x, false, "second");
    x->f->wall += 60 * 1000;
    check_password(x, false, "second");
    check_password(x, true, "second");
    assert_int_equal(x->f->n_requests, 3);
    const char *user = NULL;
    struct secret *password = NULL;
    x->f->wall += 24 * 3600 * 1000;
    ANSWER(x, TOKEN("bm8gY29sb24=", "0"));
    assert_int_equal(ecr_auth(x->ecr, &x->f->ctx, false, &user, &password, &x->f->err), -ERR_PROTOCOL);
    assert_null(password);
}

static void *auth(void *arg) {
    struct fixture *x = arg;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = ctx_with_arena(&x->f->ctx, a);
    const char *user;
    AUTO_SECRET struct secret *password = NULL;
    return ecr_auth(x->ecr, &ctx, false, &user, &password, NULL) == 0 && str_eq(secret_bytes(password), "first") ? x : NULL;
}

static void test_auth_is_shared(void **state) {
    struct fixture *x = *state;
    ANSWER(x, TOKEN("QVdTOmZpcnN0", "1.767366245E9"));
    pthread_t t[8];
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) pthread_create(&t[i], NULL, auth, x);
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        void *ok;
        pthread_join(t[i], &ok);
        assert_ptr_equal(ok, x);
    }
    assert_int_equal(x->f->n_requests, 1);
}

static void test_ca_bundle(void **state) {
    struct fixture *x = *state;
    fake_file(x->f, x->f->config, "[default]\nca_bundle = /profile.pem\n");
    reopen(x, (struct aws_options){0});
    ANSWER(x, OK);
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->ca_file, "/profile.pem");
    x->f->env = (const struct kv[]){
        {"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_CA_BUNDLE", "/env.pem"}, {NULL, NULL}};
    assert_int_equal(describe(x), 0);
    assert_string_equal(x->f->ca_file, "/env.pem");
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_repositories), T(test_create_again),    T(test_images),     T(test_policies_and_tags),
        T(test_retries),      T(test_retry_after),     T(test_clock_skew), T(test_expired_token),
        T(test_errors),       T(test_caller_identity), T(test_auth),       T(test_auth_is_shared),
        T(test_ca_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
