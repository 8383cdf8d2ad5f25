/* X.509 certificates (RFC 5280): the one that go-plugin's AutoMTLS wants, and when one ends. */
#include "crypto/crypto.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

static void bio_free_p(BIO **b) { BIO_free(*b); }
static void x509_free_p(X509 **x) { X509_free(*x); }
static void pkey_free_p(EVP_PKEY **k) { EVP_PKEY_free(*k); }
#define AUTO_BIO CLEANUP(bio_free_p)
#define AUTO_X509 CLEANUP(x509_free_p)
#define AUTO_PKEY CLEANUP(pkey_free_p)

static int openssl_failed(struct err *err, const char *what) {
    char why[256] = "unknown reason";
    unsigned long code = ERR_get_error();
    if (code) ERR_error_string_n(code, why, sizeof why);
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "cannot %s: %s", what, why);
}

static bool set_serial(X509 *x) {
    unsigned char raw[16];
    random_bytes(raw, sizeof raw);
    raw[0] = (unsigned char) ((raw[0] & 0x7f) | 0x40); /* positive, and never short */
    BIGNUM *n = BN_bin2bn(raw, sizeof raw, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok;
}

static bool add_extension(X509 *x, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *key) {
    enum { HOUR = 3600, YEAR = 365 * 24 * HOUR };
    X509_NAME *name = X509_get_subject_name(x);
    return X509_set_version(x, X509_VERSION_3) && set_serial(x) && X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) &&
           X509_gmtime_adj(X509_getm_notAfter(x), YEAR) &&
           X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *) "gpudev", -1, -1, 0) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "localhost", -1, -1, 0) &&
           X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
           add_extension(x, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(x, NID_key_usage, "critical,digitalSignature,keyAgreement,keyCertSign") &&
           add_extension(x, NID_ext_key_usage, "serverAuth,clientAuth") && add_extension(x, NID_subject_key_identifier, "hash") &&
           add_extension(x, NID_subject_alt_name, "DNS:localhost") && X509_sign(x, key, EVP_sha256()) > 0;
}

static bool write_out(X509 *x, EVP_PKEY *key, struct cert *ret) {
    AUTO_BIO BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_secmem());
    if (!cert_bio || !key_bio || !PEM_write_bio_X509(cert_bio, x)) return false;
    if (!PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL)) return false;
    unsigned char *der = NULL;
    int der_len = i2d_X509(x, &der);
    if (der_len <= 0) return false;
    char *text, *secret;
    long text_len = BIO_get_mem_data(cert_bio, &text), secret_len = BIO_get_mem_data(key_bio, &secret);
    *ret = (struct cert){
        .cert_pem = mem_dup(text, (size_t) text_len),
        .key_pem = secret_new(secret, (size_t) secret_len),
        .der = mem_dup(der, (size_t) der_len),
        .der_len = (size_t) der_len,
    };
    mem_wipe(secret, (size_t) secret_len);
    OPENSSL_free(der);
    return true;
}

int cert_self_signed(struct cert *ret, struct err *err) {
    AUTO_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO_X509 X509 *x = X509_new();
    if (!key || !x) return openssl_failed(err, "make a key");
    if (!fill(x, key) || !write_out(x, key, ret)) return openssl_failed(err, "make a certificate");
    return 0;
}

void cert_done(struct cert *c) {
    if (!c) return;
    mem_free(c->cert_pem);
    secret_unref(c->key_pem);
    mem_free(c->der);
    *c = (struct cert){0};
}

int64_t cert_not_after(const char *pem, struct err *err) {
    AUTO_BIO BIO *bio = BIO_new_mem_buf(pem, -1);
    AUTO_X509 X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (!x) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "not a PEM certificate");
    }
    struct tm tm = {0};
    if (!ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm)) return openssl_failed(err, "read the certificate's end");
    return timegm(&tm);
}
