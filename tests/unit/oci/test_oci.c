#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/internal.h"

/* A registry made of answers in order, and what it was asked. */
struct answer {
    int fail;
    int status;
    const char *body;
    const char *headers[4][2];
};

struct fixture {
    struct arena *arena;
    struct ctx ctx;
    struct err err;
    struct oci *oci;
    const struct answer *answers;
    int n_answers, n;
    struct buf log; /* METHOD URL AUTHORIZATION */
    struct buf body;
    int renewed, asked, no_credentials;
    char accept[512], type[128];
};

static int answer(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    struct fixture *f = self;
    assert_true(f->n < f->n_answers);
    const struct answer *a = &f->answers[f->n++];
    buf_addf(&f->log, "%s %s", req->method ? req->method : "GET", req->url);
    f->accept[0] = f->type[0] = 0;
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_header *h = &req->headers[i];
        if (str_eq(h->name, "Authorization")) buf_addf(&f->log, " %s%s", h->value, secret_bytes(h->secret));
        if (str_eq(h->name, "Accept")) snprintf(f->accept, sizeof f->accept, "%s", h->value);
        if (str_eq(h->name, "Content-Type")) snprintf(f->type, sizeof f->type, "%s", h->value);
    }
    buf_addc(&f->log, '\n');
    buf_reset(&f->body);
    buf_add(&f->body, req->body, req->body_len);
    if (a->fail) {
        int r = err_set(err, (enum err_code) - a->fail, "no reply");
        if (err) err->retryable = true;
        return r;
    }
    struct http_header *list = arena_array(ctx->arena, 4, sizeof *list);
    size_t n = 0;
    for (; n < 4 && a->headers[n][0]; n++) list[n] = (struct http_header){a->headers[n][0], a->headers[n][1], NULL};
    const char *body = a->body ? a->body : "";
    *ret = (struct http_response){
        .status = a->status, .headers = list, .n_headers = n, .body = arena_strdup(ctx->arena, body), .body_len = strlen(body)};
    return 0;
}

static int credentials(void *self, struct ctx *ctx, const char *host, bool renew, const char **ret_user,
                       struct secret **ret_password, struct err *err) {
    (void) ctx;
    (void) err;
    struct fixture *f = self;
    assert_string_equal(host, "r.example");
    f->asked++;
    f->renewed += renew;
    if (f->no_credentials) return 1;
    *ret_user = "AWS";
    *ret_password = secret_new(renew ? "new" : "old", 3);
    return 0;
}

static double no_delay(void) { return 0; }

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->arena = arena_new();
    f->ctx = (struct ctx){.arena = f->arena};
    struct http_sender http = {.send = answer, .self = f};
    struct oci_auth auth = {.get = credentials, .self = f};
    f->oci = oci_new(&http, &auth);
    f->oci->random = no_delay;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    oci_free(f->oci);
    buf_done(&f->log);
    buf_done(&f->body);
    err_done(&f->err);
    arena_free(f->arena);
    mem_free(f);
    return 0;
}

static void script(struct fixture *f, const struct answer *answers, int n) {
    f->answers = answers;
    f->n_answers = n;
    f->n = 0;
    buf_reset(&f->log);
}
#define SCRIPT(f, ...) script((f), (const struct answer[]){__VA_ARGS__}, (int) ARRAY_SIZE(((const struct answer[]){__VA_ARGS__})))
#define BASIC                                                                                                                      \
    {                                                                                                                              \
        .status = 401, .body = "Not Authorized\n", .headers = {                                                                    \
            {"Www-Authenticate", "Basic realm=\"https://r.example/\",service=\"ecr.amazonaws.com\""}                               \
        }                                                                                                                          \
    }
#define BEARER                                                                                                                     \
    {                                                                                                                              \
        .status = 401, .headers = {                                                                                                \
            {"WWW-Authenticate",                                                                                                   \
             "Bearer realm=\"https://auth.example/token\",service=\"reg \\\"x\\\"\",scope=\"repository:app:pull\""}                \
        }                                                                                                                          \
    }
#define MANIFEST                                                                                                                   \
    "{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:c\",\"size\":10},\"layers\":[{\"digest\":\"sha256:l1\",\"size\":100},{"  \
    "\"digest\":\"sha256:l2\",\"size\":1000}]}"
#define OCI_TYPE "application/vnd.oci.image.manifest.v1+json"

static int get(struct fixture *f, const char *reference, struct oci_manifest *m) {
    return oci_get(f->oci, &f->ctx, "r.example", "team/app", reference, m, &f->err);
}

static void test_get(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    const char *digest = sha256_digest(f->arena, MANIFEST, strlen(MANIFEST));
    SCRIPT(f, {.status = 200,
               .body = MANIFEST,
               .headers = {{"Content-Type", OCI_TYPE "; charset=utf-8"}, {"Docker-Content-Digest", digest}}});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_string_equal(f->log.data, "GET https://r.example/v2/team/app/manifests/v1\n");
    assert_string_equal(m.digest, digest);
    assert_string_equal(m.media_type, OCI_TYPE);
    assert_string_equal(m.body, MANIFEST);
    static const char *const types[] = {"oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2",
                                        "distribution.manifest.v2"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) assert_non_null(strstr(f->accept, types[i]));
    SCRIPT(f, {.status = 200, .body = MANIFEST});
    assert_int_equal(get(f, digest, &m), 0);
    assert_string_equal(f->log.data, arena_printf(f->arena, "GET https://r.example/v2/team/app/manifests/%s\n", digest));
    SCRIPT(f, {.status = 200, .body = "{\"mediaType\":\"own/type\"}", .headers = {{"Content-Type", "text/plain"}}});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_string_equal(m.media_type, "own/type");
    SCRIPT(f, {.status = 200, .body = MANIFEST " "});
    assert_int_equal(get(f, digest, &m), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.message, "but sha256:"));
    SCRIPT(f, {.status = 200, .body = MANIFEST " ", .headers = {{"Docker-Content-Digest", digest}}});
    assert_int_equal(get(f, "v1", &m), -ERR_PROTOCOL);
    SCRIPT(f, {.status = 404, .body = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}"});
    assert_int_equal(get(f, "v1", &m), 1);
}

static void test_head(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    const char *digest = sha256_digest(f->arena, MANIFEST, strlen(MANIFEST));
    SCRIPT(f, {.status = 200, .headers = {{"docker-content-digest", digest}, {"content-type", OCI_TYPE}}});
    assert_int_equal(oci_head(f->oci, &f->ctx, "127.0.0.1:5000", "app", "v1", &m, &f->err), 0);
    assert_string_equal(f->log.data, "HEAD http://127.0.0.1:5000/v2/app/manifests/v1\n");
    assert_string_equal(m.digest, digest);
    SCRIPT(f, {.status = 200}, {.status = 200, .body = MANIFEST}); /* some registries don't say the digest */
    assert_int_equal(oci_head(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), 0);
    assert_string_equal(m.digest, digest);
    SCRIPT(f, {.status = 404});
    assert_int_equal(oci_head(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), 1);
    SCRIPT(f, {.status = 403}, {.status = 403, .body = "Forbidden by policy"});
    assert_int_equal(oci_head(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_DENIED);
    assert_string_equal(f->err.message, "cannot read the manifest at r.example/app: Forbidden by policy (HTTP 403)");
}

static void test_basic(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    SCRIPT(f, BASIC, {.status = 200, .body = "{}"}, {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_int_equal(get(f, "v1", &m), 0); /* the challenge is known by now */
    assert_string_equal(f->log.data, "GET https://r.example/v2/team/app/manifests/v1\n"
                                     "GET https://r.example/v2/team/app/manifests/v1 Basic QVdTOm9sZA==\n"
                                     "GET https://r.example/v2/team/app/manifests/v1 Basic QVdTOm9sZA==\n");
    assert_int_equal(f->renewed, 0);
    SCRIPT(f, BASIC, {.status = 200, .body = "{}"}); /* refused: renewed once */
    assert_int_equal(get(f, "v1", &m), 0);
    assert_int_equal(f->renewed, 1);
    assert_non_null(strstr(f->log.data, "Basic QVdTOm5ldw=="));
    SCRIPT(f, {.status = 403, .body = "Your authorization token has expired. Reauthenticate and try again."},
           {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_int_equal(f->renewed, 2);
    SCRIPT(f, {.status = 403, .body = "denied"});
    assert_int_equal(get(f, "v1", &m), -ERR_DENIED);
    SCRIPT(f, BASIC, BASIC);
    assert_int_equal(get(f, "v1", &m), -ERR_UNAUTHENTICATED);
    assert_string_equal(f->err.message, "cannot read the manifest at r.example/team/app: Not Authorized (HTTP 401)");
    assert_non_null(strstr(f->err.hint, "r.example refuses the credentials"));
    f->no_credentials = 1;
    SCRIPT(f, {.status = 500});
    assert_int_equal(get(f, "v1", &m), -ERR_UNAUTHENTICATED);
    assert_string_equal(f->err.message, "no basic auth credentials for the registry r.example");
    assert_int_equal(f->n, 0);
}

static void test_bearer(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    const struct answer token = {.status = 200, .body = "{\"token\":\"T1\",\"expires_in\":300}"};
    SCRIPT(f, BEARER, token, {.status = 200, .body = "{}"}, {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_int_equal(get(f, "v2", &m), 0);
    assert_string_equal(
        f->log.data,
        "GET https://r.example/v2/team/app/manifests/v1\n"
        "GET https://auth.example/token?service=reg%20%22x%22&scope=repository%3Ateam%2Fapp%3Apull Basic QVdTOm9sZA==\n"
        "GET https://r.example/v2/team/app/manifests/v1 Bearer T1\n"
        "GET https://r.example/v2/team/app/manifests/v2 Bearer T1\n");
    /* The token ended early: a new one. */
    SCRIPT(f, BEARER, {.status = 200, .body = "{\"access_token\":\"T2\"}"}, {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_non_null(strstr(f->log.data, "Bearer T2"));
    /* Anonymous, and a scope of its own for pushing. */
    f->no_credentials = 1;
    struct oci_manifest put = {.body = "{}", .len = 2, .media_type = OCI_TYPE};
    SCRIPT(f, token, {.status = 201});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "team/app", "v1", &put, &f->err), 0);
    assert_true(str_starts(
        f->log.data, "GET https://auth.example/token?service=reg%20%22x%22&scope=repository%3Ateam%2Fapp%3Apull%2Cpush\nPUT "));
    SCRIPT(f, BEARER, {.status = 401, .body = "no"});
    assert_int_equal(get(f, "v1", &m), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(f->err.message, "no basic auth credentials"));
}

/* Passwords don't go to a realm without TLS. */
static void test_plain_realm(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    SCRIPT(f, {.status = 401, .headers = {{"WWW-Authenticate", "Bearer realm=\"http://auth.example/token\""}}});
    assert_int_equal(get(f, "v1", &m), -ERR_PROTOCOL);
    assert_int_equal(f->asked, 0);
}

static void test_put(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m = {.body = MANIFEST, .len = strlen(MANIFEST), .media_type = OCI_TYPE};
    const char *digest = sha256_digest(f->arena, MANIFEST, strlen(MANIFEST));
    m.digest = digest;
    SCRIPT(f, {.status = 201, .headers = {{"Docker-Content-Digest", digest}}});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), 0);
    assert_string_equal(f->log.data, "PUT https://r.example/v2/app/manifests/v1\n");
    assert_string_equal(f->body.data, MANIFEST);
    assert_string_equal(f->type, OCI_TYPE);
    static const char other[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    SCRIPT(f, {.status = 201, .headers = {{"Docker-Content-Digest", other}}});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_PROTOCOL);
    const struct answer immutable = {
        .status = 400, .body = "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"the repository is immutable\"}]}"};
    SCRIPT(f, immutable, {.status = 200, .headers = {{"Docker-Content-Digest", digest}}});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), 0);
    SCRIPT(f, immutable, {.status = 200, .headers = {{"Docker-Content-Digest", other}}});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_CONFLICT);
    assert_string_equal(f->err.message,
                        arena_printf(f->arena,
                                     "the tag v1 of r.example/app is immutable and names %s already, so it can't be moved to %s",
                                     other, digest));
    SCRIPT(f, {.status = 404,
               .body = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"The repository with name 'app' does not exist\"}]}"});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_NOT_FOUND);
    assert_string_equal(
        f->err.message,
        "cannot put the manifest as v1 at r.example/app: NAME_UNKNOWN: The repository with name 'app' does not exist (HTTP 404)");
    assert_non_null(strstr(f->err.hint, "The repository app doesn't exist at r.example"));
    SCRIPT(f, {.status = 405, .body = "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"no such\"}]}"});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_UNSUPPORTED);
    assert_non_null(strstr(f->err.message, "UNSUPPORTED: no such"));
    SCRIPT(f, {.status = 403, .body = "quota"});
    assert_int_equal(oci_put(f->oci, &f->ctx, "r.example", "app", "v1", &m, &f->err), -ERR_DENIED);
    assert_non_null(strstr(f->err.hint, "quota of images"));
}

static void test_attempts(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    SCRIPT(f, {.status = 429}, {.fail = -ERR_UNAVAILABLE}, {.status = 503}, {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    SCRIPT(f, {.status = 503}, {.status = 503}, {.status = 503}, {.status = 503, .body = "busy"});
    assert_int_equal(get(f, "v1", &m), -ERR_UNAVAILABLE);
    assert_true(f->err.retryable);
    assert_non_null(strstr(f->err.message, "busy (HTTP 503)"));
    SCRIPT(f, {.fail = -ERR_UNAVAILABLE}, {.fail = -ERR_UNAVAILABLE}, {.fail = -ERR_UNAVAILABLE}, {.fail = -ERR_UNAVAILABLE});
    assert_int_equal(get(f, "v1", &m), -ERR_UNAVAILABLE);
}

/* Credentials don't follow a redirect to another host. */
static void test_redirects(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    SCRIPT(f, BASIC, {.status = 307, .headers = {{"Location", "/v2/elsewhere"}}},
           {.status = 307, .headers = {{"Location", "https://cdn.example/x?sig=1"}}}, {.status = 200, .body = "{}"});
    assert_int_equal(get(f, "v1", &m), 0);
    assert_true(str_ends(f->log.data, "GET https://r.example/v2/elsewhere Basic QVdTOm9sZA==\nGET https://cdn.example/x?sig=1\n"));
    SCRIPT(f, {.status = 307, .headers = {{"Location", "http://cdn.example/x"}}});
    assert_int_equal(get(f, "v1", &m), -ERR_PROTOCOL);
    const struct answer round = {.status = 302, .headers = {{"Location", "/v2/"}}};
    SCRIPT(f, round, round, round, round, round, round);
    assert_int_equal(get(f, "v1", &m), -ERR_PROTOCOL);
}

static void test_delete(void **state) {
    struct fixture *f = *state;
    SCRIPT(f, {.status = 202}, {.status = 404});
    assert_int_equal(oci_delete(f->oci, &f->ctx, "r.example", "app", "v1", &f->err), 0);
    assert_int_equal(oci_delete(f->oci, &f->ctx, "r.example", "app", "v1", &f->err), 1);
    assert_true(str_starts(f->log.data, "DELETE https://r.example/v2/app/manifests/v1\n"));
}

static void test_size(void **state) {
    struct fixture *f = *state;
    uint64_t size = 0;
    struct oci_manifest m = {.body = MANIFEST, .len = strlen(MANIFEST)};
    assert_int_equal(oci_size(f->oci, &f->ctx, "r.example", "app", &m, &size, &f->err), 0);
    assert_int_equal(size, 1110);
    const char *digest = sha256_digest(f->arena, MANIFEST, strlen(MANIFEST));
    static const char second[] =
        "{\"config\":{\"digest\":\"sha256:d\",\"size\":5},\"layers\":[{\"digest\":\"sha256:l1\",\"size\":100}]}";
    const char *index = arena_printf(f->arena, "{\"manifests\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}", digest,
                                     sha256_digest(f->arena, second, strlen(second)));
    m = (struct oci_manifest){.body = index, .len = strlen(index)};
    SCRIPT(f, {.status = 200, .body = MANIFEST}, {.status = 200, .body = second});
    assert_int_equal(oci_size(f->oci, &f->ctx, "r.example", "app", &m, &size, &f->err), 0);
    assert_int_equal(size, 1115); /* the layer of both counts once */
}

static void test_blobs(void **state) {
    struct fixture *f = *state;
    SCRIPT(f, {.status = 200}, {.status = 404});
    assert_int_equal(oci_blob_head(f->oci, &f->ctx, "r.example", "app", "sha256:x", &f->err), 0);
    assert_int_equal(oci_blob_head(f->oci, &f->ctx, "r.example", "app", "sha256:x", &f->err), 1);
    SCRIPT(f, {.status = 202, .headers = {{"Location", "/v2/app/blobs/uploads/1?state=a"}}}, {.status = 201});
    assert_int_equal(oci_blob_put(f->oci, &f->ctx, "r.example", "app", "data", 4, "sha256:x", &f->err), 0);
    assert_string_equal(f->log.data, "POST https://r.example/v2/app/blobs/uploads/\n"
                                     "PUT https://r.example/v2/app/blobs/uploads/1?state=a&digest=sha256%3Ax\n");
    assert_string_equal(f->body.data, "data");
    /* A broken upload starts anew instead of going on in its session. */
    SCRIPT(f, {.status = 202, .headers = {{"Location", "https://r.example/u/1"}}}, {.fail = -ERR_UNAVAILABLE},
           {.status = 202, .headers = {{"Location", "https://r.example/u/2"}}}, {.status = 201});
    assert_int_equal(oci_blob_put(f->oci, &f->ctx, "r.example", "app", "data", 4, "sha256:x", &f->err), 0);
    assert_true(str_ends(f->log.data, "PUT https://r.example/u/2?digest=sha256%3Ax\n"));
    /* A session at another host gets the bytes but not the password. */
    SCRIPT(f, BASIC, {.status = 202, .headers = {{"Location", "https://store.example/u/1"}}}, {.status = 201});
    assert_int_equal(oci_blob_put(f->oci, &f->ctx, "r.example", "app", "data", 4, "sha256:x", &f->err), 0);
    assert_true(str_ends(f->log.data, "PUT https://store.example/u/1?digest=sha256%3Ax\n"));
}

static void test_tags(void **state) {
    struct fixture *f = *state;
    const char *const *tags;
    size_t n;
    SCRIPT(f,
           {.status = 200,
            .body = "{\"tags\":[\"a\",\"b\"]}",
            .headers = {{"Link", "</v2/app/tags/list?n=1000&last=b>; rel=\"next\""}}},
           {.status = 200, .body = "{\"tags\":[\"c\"]}"});
    assert_int_equal(oci_tags(f->oci, &f->ctx, "r.example", "app", &tags, &n, &f->err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(tags[2], "c");
    assert_string_equal(f->log.data,
                        "GET https://r.example/v2/app/tags/list?n=1000\nGET https://r.example/v2/app/tags/list?n=1000&last=b\n");
    SCRIPT(f, {.status = 404});
    assert_int_equal(oci_tags(f->oci, &f->ctx, "r.example", "app", &tags, &n, &f->err), 1);
    SCRIPT(f, {.status = 200, .body = "{\"tags\":null}"});
    assert_int_equal(oci_tags(f->oci, &f->ctx, "r.example", "app", &tags, &n, &f->err), 0);
    assert_int_equal(n, 0);
    SCRIPT(f, {.status = 200, .body = "{\"tags\":[]}", .headers = {{"Link", "<https://evil.example/x>; rel=\"next\""}}});
    assert_int_equal(oci_tags(f->oci, &f->ctx, "r.example", "app", &tags, &n, &f->err), -ERR_PROTOCOL);
}

static void test_docker_hub(void **state) {
    struct fixture *f = *state;
    struct oci_manifest m;
    SCRIPT(f, {.status = 200, .body = "{}"}, {.status = 200, .body = "{}"});
    assert_int_equal(oci_get(f->oci, &f->ctx, "docker.io", "nginx", "1", &m, &f->err), 0);
    assert_int_equal(oci_get(f->oci, &f->ctx, "docker.io", "team/app", "1", &m, &f->err), 0);
    assert_string_equal(f->log.data, "GET https://registry-1.docker.io/v2/library/nginx/manifests/1\n"
                                     "GET https://registry-1.docker.io/v2/team/app/manifests/1\n");
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_get),       T(test_head),   T(test_basic), T(test_bearer), T(test_plain_realm), T(test_put),        T(test_attempts),
        T(test_redirects), T(test_delete), T(test_size),  T(test_blobs),  T(test_tags),        T(test_docker_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
