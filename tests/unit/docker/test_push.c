#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "docker/push_stream.h"

static void on_layer(void *self, const char *id, uint64_t bytes, bool existed) {
    buf_addf(self, "%s %llu%s\n", id, (unsigned long long) bytes, existed ? " existed" : "");
}

/* Feeds a fixture in pieces of each size. */
static void test_good(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    char *text;
    size_t len;
    assert_int_equal(fs_read(a, "tests/fixtures/docker/push/good.jsonl", 1 << 20, &text, &len, NULL), 0);
    for (size_t piece = 1; piece < 200; piece += 13) {
        AUTO_BUF struct buf layers = {0};
        struct docker_push req = {.repository = "127.0.0.1:5000/api", .tag = "src-1", .layer = on_layer, .self = &layers};
        struct push_stream s;
        push_stream_init(&s, &req);
        for (size_t i = 0; i < len; i += piece)
            assert_int_equal(push_stream_add(&s, text + i, len - i < piece ? len - i : piece, NULL), 0);
        assert_int_equal(push_stream_end(&s, NULL), 0);
        assert_string_equal(s.digest, "sha256:2d4459143194b2c3b1e0aec0ae1b25d2cd2b0e3fd47c34f0b5be38d1ea21c2a7");
        assert_int_equal(s.size, 738);
        assert_int_equal(s.n_layers, 2);
        assert_int_equal(s.existed, 1);
        assert_int_equal(s.bytes, 1050112);
        assert_string_equal(buf_str(&layers), "77aa11bb22cc 0 existed\n3f2a9c0b1d4e 1050112\n");
        push_stream_done(&s);
    }
}

static int verdict(const char *lines, struct err *err, char **ret_digest) {
    struct docker_push req = {.repository = "r.example/api", .tag = "t"};
    struct push_stream s;
    push_stream_init(&s, &req);
    int r = push_stream_add(&s, lines, strlen(lines), err);
    if (r == 0) r = push_stream_end(&s, err);
    if (ret_digest) *ret_digest = mem_strdup(s.digest);
    push_stream_done(&s);
    return r;
}

static void test_error_inside_a_good_reply(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    char *text;
    size_t len;
    assert_int_equal(fs_read(a, "tests/fixtures/docker/push/denied.jsonl", 1 << 20, &text, &len, NULL), 0);
    assert_int_equal(verdict(text, &err, NULL), -ERR_UNAUTHENTICATED);
    assert_string_equal(err.message, "the push of r.example/api:t failed: no basic auth credentials");
    assert_non_null(strstr(err.hint, "exact host"));
}

static void test_digest_without_aux(void **state) {
    (void) state;
    AUTO_FREE char *digest = NULL;
    assert_int_equal(verdict("{\"status\":\"t: digest: sha256:abc size: 5\",\"id\":\"t\"}", NULL, &digest), 0);
    assert_string_equal(digest, "sha256:abc");
}

static void test_rubbish(void **state) {
    (void) state;
    AUTO_ERR struct err err = {0};
    assert_true(verdict("<html>\n", &err, NULL) < 0);
    assert_true(verdict("{\"status\":", &err, NULL) < 0);
    assert_int_equal(verdict("{}\n[]\n\n\r\n{\"aux\":5,\"status\":7,\"id\":{}}\n", &err, NULL), 0);
    struct buf line = {0};
    for (int i = 0; i < 300000; i++) buf_adds(&line, "12345678");
    assert_int_equal(verdict(line.data, &err, NULL), -ERR_LIMIT);
    buf_done(&line);
}

static void test_meanings(void **state) {
    (void) state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *hint;
        bool retryable;
    } cases[] = {
        {"denied: Your authorization token has expired. Reauthenticate and try again.", ERR_UNAUTHENTICATED, "expired", false},
        {"unauthorized: authentication required", ERR_UNAUTHENTICATED, "refuses", false},
        {"unexpected status from HEAD request to https://r.example/v2/api/manifests/t: 401 Unauthorized", ERR_UNAUTHENTICATED,
         "refuses", false},
        {"denied: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload on resource: y", ERR_DENIED,
         "PutImage", false},
        {"denied: requested access to the resource is denied", ERR_DENIED, "right", false},
        {"error parsing HTTP 403 response body: invalid character 'F': \"Forbidden\"", ERR_DENIED, "quota", false},
        {"name unknown: The repository with name 'api' does not exist in the registry with id '1'", ERR_NOT_FOUND,
         "repository doesn't exist", false},
        {"tag invalid: The image tag 't' already exists in the 'api' repository and cannot be overwritten because the repository "
         "is immutable.",
         ERR_CONFLICT, "immutable", false},
        {"EOF", ERR_UNAVAILABLE, "InitiateLayerUpload", false},
        {"failed to do request: Post \"https://r.example/v2/api/blobs/uploads/\": EOF", ERR_UNAVAILABLE, "repository doesn't exist",
         false},
        {"Get \"https://r.example/v2/\": x509: certificate signed by unknown authority", ERR_UNAVAILABLE, "trust store", false},
        {"http: server gave HTTP response to HTTPS client", ERR_UNAVAILABLE, "insecure-registries", false},
        {"dial tcp: lookup r.example: no such host", ERR_UNAVAILABLE, "DNS", false},
        {"toomanyrequests: Rate exceeded", ERR_THROTTLED, "slow down", true},
        {"received unexpected HTTP status: 500 Internal Server Error", ERR_UNAVAILABLE, "apply again", true},
        {"net/http: TLS handshake timeout", ERR_UNAVAILABLE, "firewall", true},
        {"something new at sha256:e0f403eof401500", ERR_FAILED, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERR struct err err = {0};
        int r = docker_push_error(&err, "r.example/api", "t", cases[i].text);
        if (r != -(int) cases[i].code) fail_msg("%s: %s", cases[i].text, err_code_name(err.code));
        assert_int_equal(err.retryable, cases[i].retryable);
        if (cases[i].hint && !strstr(err.hint ? err.hint : "", cases[i].hint)) fail_msg("%s: hint \"%s\"", cases[i].text, err.hint);
        if (!cases[i].hint) assert_null(err.hint);
    }
}

static void test_plain_text_of_a_registry(void **state) {
    (void) state;
    AUTO_ERR struct err err = {0};
    docker_push_error(&err, "r.example/api", "t",
                      "error parsing HTTP 403 response body: invalid character 'q' looking for beginning of value: \"quota of images reached\"");
    assert_string_equal(err.message, "the push of r.example/api:t failed: HTTP 403: quota of images reached");
    assert_int_equal(err.code, ERR_LIMIT);
    static const char *const odd[] = {"error parsing HTTP 403 response body: ", "error parsing HTTP 4 response body: x: \"", "error parsing HTTP"};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        docker_push_error(&err, "r", "t", odd[i]);
        assert_non_null(strstr(err.message, odd[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_error_inside_a_good_reply),
        cmocka_unit_test(test_digest_without_aux),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_meanings), cmocka_unit_test(test_plain_text_of_a_registry),
    };
    return cmocka_run_group_tests_name("docker_push", tests, NULL, NULL);
}
