#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"

static void test_self_signed(void **state) {
    (void) state;
    struct cert c = {0};
    AUTO_ERR struct err err = {0};
    assert_int_equal(cert_self_signed(&c, &err), 0);
    const unsigned char *p = c.der;
    X509 *x = d2i_X509(NULL, &p, (long) c.der_len);
    assert_non_null(x);
    assert_true(p == c.der + c.der_len);
    assert_int_equal(X509_check_ca(x), 1);
    assert_int_equal(X509_check_host(x, "localhost", 9, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "elsewhere", 9, 0, NULL), 0);
    BIO *b = BIO_new_mem_buf(secret_bytes(c.key_pem), (int) secret_len(c.key_pem));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(X509_check_private_key(x, key), 1);
    assert_int_equal(X509_verify(x, key), 1);
    char curve[64];
    assert_int_equal(EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL), 1);
    assert_string_equal(curve, "prime256v1");
    assert_true(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
    int64_t left = cert_not_after(c.cert_pem, &err) - time(NULL);
    assert_true(left > 360 * 86400 && left < 370 * 86400);
    EVP_PKEY_free(key);
    BIO_free(b);
    X509_free(x);
    cert_done(&c);
    cert_done(&c);
}

static void test_not_a_certificate(void **state) {
    (void) state;
    AUTO_ERR struct err err = {0};
    assert_int_equal(cert_not_after("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &err), -ERR_INVALID);
    assert_int_equal(cert_not_after("", &err), -ERR_INVALID);
    assert_string_equal(err.message, "not a PEM certificate");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_self_signed), cmocka_unit_test(test_not_a_certificate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
