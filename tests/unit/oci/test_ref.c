#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/internal.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_good(void **state) {
    (void) state;
    static const struct {
        const char *text;
        struct oci_ref want;
    } cases[] = {
        {"127.0.0.1:5000/app", {"127.0.0.1:5000", "app", NULL, NULL}},
        {"127.0.0.1:5000/app:v1", {"127.0.0.1:5000", "app", "v1", NULL}},
        {"1.dkr.ecr.us-east-2.amazonaws.com/team/api-service@sha256:" HEX64,
         {"1.dkr.ecr.us-east-2.amazonaws.com", "team/api-service", NULL, "sha256:" HEX64}},
        {"localhost/a.b/c__d/e---f:T_1.x-y@sha512:" HEX64 HEX64, {"localhost", "a.b/c__d/e---f", "T_1.x-y", "sha512:" HEX64 HEX64}},
        {"[::1]:5000/app:v1", {"[::1]:5000", "app", "v1", NULL}},
        {"docker.io/nginx", {"docker.io", "nginx", NULL, NULL}},
    };
    AUTO_ARENA struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct oci_ref got;
        AUTO_ERR struct err err = {0};
        if (oci_parse_ref(a, cases[i].text, &got, &err) < 0) fail_msg("%s", err.message);
        const struct oci_ref *want = &cases[i].want;
        assert_true(str_eq(got.host, want->host) && str_eq(got.name, want->name) && str_eq(got.tag, want->tag) &&
                    str_eq(got.digest, want->digest));
    }
}

static void test_bad(void **state) {
    (void) state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "host is missing"},
        {"app", "host is missing"},
        {"app:v1", "host is missing"},
        {"team/app", "no host"},
        {"h.example/", "a repository's name"},
        {"h.example/App", "lower case"},
        {"h.example/app:", "a tag has"},
        {"h.example/app:-x", "a tag has"},
        {"h.example/app:a/b", "a tag has"},
        {"h.example/a//b", "a repository's name"},
        {"h.example/-a", "a repository's name"},
        {"h.example/a___b", "a repository's name"},
        {"h.example/a..b", "a repository's name"},
        {"h.example/a b", "a repository's name"},
        {"h.example/app@sha256:abc", "64 hex digits"},
        {"h.example/app@md5:" HEX64, "64 hex digits"},
        {"h.example:x/app", "host is malformed"},
        {"h.example:123456/app", "host is malformed"},
        {"user@h.example/app", "64 hex digits"},
        {"https://h.example/app", "host is malformed"},
        {"h_x.example/app", "host is malformed"},
    };
    AUTO_ARENA struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct oci_ref got;
        AUTO_ERR struct err err = {0};
        if (oci_parse_ref(a, cases[i].text, &got, &err) != -ERR_INVALID) fail_msg("%s was accepted", cases[i].text);
        if (!strstr(err.message, cases[i].words)) fail_msg("%s", err.message);
    }
    char tag[130];
    memset(tag, 'a', sizeof tag);
    tag[128] = 0;
    assert_true(oci_valid_tag(tag));
    tag[128] = 'a';
    tag[129] = 0;
    assert_false(oci_valid_tag(tag));
    assert_false(oci_valid_tag(NULL));
    assert_false(oci_valid_digest("sha256:" HEX64 "0"));
    assert_false(oci_valid_digest(NULL));
}

static void test_plain_http(void **state) {
    (void) state;
    static const char *const http[] = {"127.0.0.1",      "127.0.0.1:5000", "127.1.2.3", "localhost",
                                       "localhost:5000", "[::1]",          "[::1]:5000"};
    static const char *const https[] = {
        "127.0.0.1.evil.example", "localhost.evil.example", "h.example", "10.0.0.1:5000", "[::2]:5000", "127.evil.example"};
    for (size_t i = 0; i < ARRAY_SIZE(http); i++) assert_string_equal(oci_scheme_of(http[i]), "http");
    for (size_t i = 0; i < ARRAY_SIZE(https); i++) assert_string_equal(oci_scheme_of(https[i]), "https");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_plain_http)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
