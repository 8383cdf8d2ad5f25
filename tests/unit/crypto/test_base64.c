#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"

static void test_rfc_vectors(void **state) {
    (void) state;
    static const struct {
        const char *plain, *padded, *raw;
    } cases[] = {
        /* RFC 4648 10 */
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "+//+"},
    };
    AUTO_ARENA struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t n = strlen(cases[i].plain), got = 99;
        assert_string_equal(base64_encode(a, cases[i].plain, n), cases[i].padded);
        assert_string_equal(base64_encode_raw(a, cases[i].plain, n), cases[i].raw);
        assert_string_equal(base64_decode(a, cases[i].padded, strlen(cases[i].padded), &got), cases[i].plain);
        assert_int_equal(got, n);
        assert_string_equal(base64_decode(a, cases[i].raw, strlen(cases[i].raw), NULL), cases[i].plain);
    }
    assert_string_equal(base64url_encode(a, "\xfb\xff\xfe", 3, true), "-__-");
    assert_string_equal(base64url_encode(a, "f", 1, false), "Zg");
    assert_string_equal(base64url_encode(a, "f", 1, true), "Zg==");
    assert_memory_equal(base64_decode(a, "-__-", 4, NULL), "\xfb\xff\xfe", 3);
    assert_string_equal(base64_decode(a, "Zm9v\r\n YmFy\n", 12, NULL), "foobar");
}

static void test_malformed(void **state) {
    (void) state;
    static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zg==Zg==", "Zm9v=", "Zm9v====", "Zm8==", "Z*==", "=", "\xc3\xa4"};
    AUTO_ARENA struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (base64_decode(a, bad[i], strlen(bad[i]), NULL)) fail_msg("%s was accepted", bad[i]);
        assert_null(base64_decode_secret(bad[i], strlen(bad[i])));
    }
}

static void test_secret(void **state) {
    (void) state;
    AUTO_SECRET struct secret *s = base64_decode_secret("QVdTOnBhc3M=", 12);
    assert_string_equal(secret_bytes(s), "AWS:pass");
    assert_int_equal(secret_len(s), 8);
    AUTO_SECRET struct secret *back = base64_encode_secret("AWS:pass", 8);
    assert_string_equal(secret_bytes(back), "QVdTOnBhc3M=");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc_vectors), cmocka_unit_test(test_malformed),
                                       cmocka_unit_test(test_secret)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
