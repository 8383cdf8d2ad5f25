#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "oci/oci.h"

static void test_references(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *text, *host, *name, *tag, *digest; /* host NULL: refused */
    } cases[] = {
        {"127.0.0.1:5000/a", "127.0.0.1:5000", "a", NULL, NULL},
        {"localhost/a/b:v1", "localhost", "a/b", "v1", NULL},
        {"[::1]:5000/a", "[::1]:5000", "a", NULL, NULL},
        {"r.example/a__b/c-d--e:X_1.2-3", "r.example", "a__b/c-d--e", "X_1.2-3", NULL},
        {"r.example/a:t@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "r.example", "a", "t",
         "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
        {.text = "library/busybox"},
        {.text = "busybox"},
        {.text = "r.example/"},
        {.text = "r.example/A"},
        {.text = "r.example/a//b"},
        {.text = "r.example/a..b"},
        {.text = "r.example/a___b"},
        {.text = "r.example/-a"},
        {.text = "r.example/a:"},
        {.text = "r.example/a:.x"},
        {.text = "r.example/a@sha256:12"},
        {.text = "r.example:port/a"},
        {.text = "r.example:123456/a"},
        {.text = "r.exa mple/a"},
        {.text = "/a"},
        {.text = ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct oci_ref ref = {0};
        AUTO_ERR struct err err = {0};
        int r = oci_parse_ref(a, cases[i].text, &ref, &err);
        if (!cases[i].host) {
            if (r != -ERR_INVALID) fail_msg("%s was not refused", cases[i].text);
            continue;
        }
        if (r != 0) fail_msg("%s: %s", cases[i].text, err_text(&err));
        assert_string_equal(ref.host, cases[i].host);
        assert_string_equal(ref.name, cases[i].name);
        assert_true(str_eq(ref.tag, cases[i].tag));
        assert_true(str_eq(ref.digest, cases[i].digest));
    }
}

/* A registry of one manifest: what it demands and what it answers is set by each test. */
struct registry {
    struct arena *arena;
    const char *challenge, *wanted; /* the Authorization that is accepted; NULL: any */
    const char *body;
    int refuse_put, times;
    const char *refusal;
    const char *tag_digest; /* what HEAD says of a tag */
    char seen[4096];
};

static void answer(struct registry *g, struct http_response *ret, int status, const char *body, const char *name,
                   const char *value) {
    struct http_header *h = arena_array(g->arena, 1, sizeof *h);
    h[0] = (struct http_header){name, value, NULL};
    *ret = (struct http_response){
        .status = status, .headers = h, .n_headers = name ? 1 : 0, .body = arena_strdup(g->arena, body), .body_len = strlen(body)};
}

static int send_fake(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    (void) ctx;
    (void) err;
    struct registry *g = self;
    AUTO_FREE char *given = NULL;
    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq(req->headers[i].name, "Authorization"))
            given = mem_printf("%s%s", req->headers[i].value, secret_bytes(req->headers[i].secret));
    size_t at = strlen(g->seen);
    snprintf(g->seen + at, sizeof g->seen - at, "%s %s [%s]\n", req->method ? req->method : "GET", req->url, given ? given : "");
    if (strstr(req->url, "/token"))
        answer(g, ret, 200, "{\"token\":\"t1\",\"expires_in\":300}", NULL, NULL);
    else if (g->wanted && !str_eq(given, g->wanted))
        answer(g, ret, 401, "no basic auth credentials", "WWW-Authenticate", g->challenge);
    else if (g->times-- > 0)
        answer(g, ret, g->refuse_put, g->refusal, "Retry-After", "0");
    else if (str_eq(req->method, "HEAD"))
        answer(g, ret, 200, "", "Docker-Content-Digest", g->tag_digest);
    else if (str_eq(req->method, "PUT"))
        answer(g, ret, 201, "", NULL, NULL);
    else
        answer(g, ret, 200, g->body, "Content-Type", "application/vnd.oci.image.manifest.v1+json; charset=x");
    return 0;
}

static int give(void *self, struct ctx *ctx, const char *host, bool renew, const char **ret_user, struct secret **ret_password,
                struct err *err) {
    (void) ctx;
    (void) host;
    (void) err;
    int *calls = self;
    ++*calls;
    *ret_user = "AWS";
    *ret_password = secret_new(renew ? "new" : "old", 3);
    return 0;
}

static struct oci *open_fake(struct registry *g, int *calls) {
    struct http_sender sender = {send_fake, g};
    struct oci_auth auth = {give, calls};
    return oci_new(&sender, &auth);
}

static const char body[] = "{\"config\":{\"size\":10},\"layers\":[{\"size\":100},{\"size\":1000}]}";

static void test_basic_and_renewed(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    int calls = 0;
    struct registry g = {.arena = a, .challenge = "Basic realm=\"x\"", .wanted = "Basic QVdTOm5ldw==", .body = body}; /* AWS:new */
    struct oci *o = open_fake(&g, &calls);
    struct oci_manifest m = {0};
    AUTO_ERR struct err err = {0};
    assert_int_equal(oci_get(o, &ctx, "r.example", "a", "latest", &m, &err), 0);
    assert_string_equal(m.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_string_equal(m.digest, sha256_digest(a, body, strlen(body)));
    assert_string_equal(g.seen, "GET https://r.example/v2/a/manifests/latest []\n"
                                "GET https://r.example/v2/a/manifests/latest [Basic QVdTOm9sZA==]\n"
                                "GET https://r.example/v2/a/manifests/latest [Basic QVdTOm5ldw==]\n");
    uint64_t size = 0;
    assert_int_equal(oci_size(o, &ctx, "r.example", "a", &m, &size, &err), 0);
    assert_int_equal(size, strlen(body) + 1110);
    g.wanted = "nobody";
    assert_int_equal(oci_get(o, &ctx, "r.example", "a", "latest", &m, &err), -ERR_UNAUTHENTICATED);
    assert_non_null(strstr(err_text(&err), "no basic auth credentials"));
    oci_free(o);
}

static void test_bearer(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    int calls = 0;
    struct registry g = {
        .arena = a, .challenge = "Bearer realm=\"https://auth.example/token\",service=\"r\"", .wanted = "Bearer t1", .body = body};
    struct oci *o = open_fake(&g, &calls);
    struct oci_manifest m = {0};
    AUTO_ERR struct err err = {0};
    assert_int_equal(oci_get(o, &ctx, "r.example", "a/b", "latest", &m, &err), 0);
    assert_int_equal(oci_get(o, &ctx, "r.example", "a/b", "latest", &m, &err), 0);
    assert_int_equal(calls, 1); /* the token is kept */
    assert_non_null(strstr(g.seen, "/token?service=r&scope=repository%3Aa%2Fb%3Apull [Basic QVdTOm9sZA==]"));
    oci_free(o);
}

static void test_loopback_is_plain(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    int calls = 0;
    struct registry g = {.arena = a, .body = body};
    struct oci *o = open_fake(&g, &calls);
    struct oci_manifest m = {0};
    assert_int_equal(oci_get(o, &ctx, "127.0.0.1:5000", "a", "x", &m, NULL), 0);
    assert_int_equal(calls, 0);
    assert_true(str_starts(g.seen, "GET http://127.0.0.1:5000/v2/a/manifests/x []"));
    oci_free(o);
}

static void test_lying_registry(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    struct registry g = {.arena = a, .body = body};
    struct oci *o = open_fake(&g, NULL);
    struct oci_manifest m = {0};
    AUTO_ERR struct err err = {0};
    const char *other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    assert_int_equal(oci_get(o, &ctx, "r.example", "a", other, &m, &err), -ERR_PROTOCOL);
    assert_null(m.digest);
    oci_free(o);
}

static void test_immutable_and_repeated(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    const char *mine = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    const char *theirs = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    struct registry g = {.arena = a,
                         .refuse_put = 400,
                         .refusal = "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"no\"}]}",
                         .times = 1,
                         .tag_digest = theirs};
    struct oci *o = open_fake(&g, NULL);
    struct oci_manifest m = {.digest = mine, .media_type = "x/y", .body = "{}", .len = 2};
    AUTO_ERR struct err err = {0};
    assert_int_equal(oci_put(o, &ctx, "r.example", "a", "v1", &m, &err), -ERR_CONFLICT);
    assert_non_null(strstr(err_text(&err), mine));
    assert_non_null(strstr(err_text(&err), theirs));
    g.times = 1;
    g.tag_digest = mine;
    assert_int_equal(oci_put(o, &ctx, "r.example", "a", "v1", &m, &err), 0);
    g.times = 2; /* 503 twice, then well */
    g.refuse_put = 503;
    assert_int_equal(oci_put(o, &ctx, "r.example", "a", "v1", &m, &err), 0);
    g.times = 1; /* a right that is missing is not asked for again */
    g.refuse_put = 403;
    g.refusal = "quota reached";
    assert_int_equal(oci_put(o, &ctx, "r.example", "a", "v1", &m, &err), -ERR_DENIED);
    assert_non_null(strstr(err_text(&err), "quota reached"));
    oci_free(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),     cmocka_unit_test(test_basic_and_renewed),
        cmocka_unit_test(test_bearer),         cmocka_unit_test(test_loopback_is_plain),
        cmocka_unit_test(test_lying_registry), cmocka_unit_test(test_immutable_and_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
