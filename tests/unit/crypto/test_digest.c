#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/crypto.h"

static void test_sha256(void **state) {
    (void) state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        /* FIPS 180-4 examples */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    struct sha256 *h = sha256_new();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char hex[SHA256_HEX];
        sha256_hex(cases[i].text, strlen(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
        unsigned char raw[SHA256_LEN];
        sha256_reset(h);
        for (const char *p = cases[i].text; *p; p++) sha256_add(h, p, 1);
        sha256_end(h, raw);
        hex_encode(raw, sizeof raw, hex);
        assert_string_equal(hex, cases[i].hex);
    }
    sha256_free(h);
    sha256_free(NULL);
    AUTO_ARENA struct arena *a = arena_new();
    assert_string_equal(sha256_digest(a, "abc", 3), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_sha1_and_sha512(void **state) {
    (void) state;
    char hex[41];
    sha1_hex("abc", 3, hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    char wide[129];
    sha512_hex("abc", 3, wide);
    assert_true(strncmp(wide, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a", 64) == 0);
}

static void check_hmac(const char *key, size_t key_len, const char *text, const char *want) {
    unsigned char raw[SHA256_LEN];
    char hex[SHA256_HEX];
    hmac_sha256(key, key_len, text, strlen(text), raw);
    hex_encode(raw, sizeof raw, hex);
    assert_string_equal(hex, want);
}

static void test_hmac(void **state) {
    (void) state;
    /* RFC 4231, cases 1, 2 and 6; then an empty key */
    char key[131];
    memset(key, 0x0b, 20);
    check_hmac(key, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_hmac("Jefe", 4, "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    check_hmac(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check_hmac(NULL, 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_random(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    char *x = random_hex(a, 300), *y = random_hex(a, 300);
    assert_int_equal(strlen(x), 600);
    assert_string_not_equal(x, y);
    assert_string_not_equal(x + 512, "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000");
}

static void *hash_much(void *arg) {
    for (int i = 0; i < 200; i++) sha256_hex("abc", 3, arg);
    return NULL;
}

static void test_threads(void **state) {
    (void) state;
    pthread_t t[4];
    char hex[4][SHA256_HEX];
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) pthread_create(&t[i], NULL, hash_much, hex[i]);
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        pthread_join(t[i], NULL);
        assert_string_equal(hex[i], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads), cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha1_and_sha512),
        cmocka_unit_test(test_hmac),    cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
