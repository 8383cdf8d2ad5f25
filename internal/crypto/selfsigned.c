/* The certificate of go-plugin's AutoMTLS (X.509, RFC 5280), written in DER (X.690) by hand: every start of the provider
 * makes one, and OpenSSL's X.509 and PEM writers look for encoders and decoders longer than everything else here takes. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"

enum { PRIVATE_LEN = 32, POINT_LEN = 65, SERIAL_LEN = 16, KEY_ID_LEN = 20, HOUR = 3600, YEAR = 365 * 24 * HOUR };

enum {
    BOOLEAN = 0x01,
    INTEGER,
    BIT_STRING,
    OCTET_STRING,
    OID = 0x06,
    UTF8 = 0x0c,
    UTC_TIME = 0x17,
    GENERALIZED_TIME,
    SEQUENCE = 0x30,
    SET
};
#define CONTEXT(n) (0xa0 | (n)) /* explicit tag */

/* ---- DER ---- */

static void tlv(struct buf *b, int tag, const void *p, size_t len) {
    buf_addc(b, (char) tag);
    if (len >= 0x100) {
        buf_addc(b, (char) 0x82);
        buf_addc(b, (char) (len >> 8));
    } else if (len >= 0x80) {
        buf_addc(b, (char) 0x81);
    }
    buf_addc(b, (char) len);
    buf_add(b, p, len);
}

/* What b holds from `from` on becomes the content of one element. */
static void wrap(struct buf *b, size_t from, int tag) {
    AUTO_BUF struct buf content = {0};
    buf_add(&content, b->data + from, b->len - from);
    b->len = from;
    tlv(b, tag, buf_str(&content), content.len);
    buf_wipe(&content);
}

#define OBJECT(b, ...) tlv((b), OID, (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))
#define P256(b) OBJECT((b), 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07)

static void bits(struct buf *b, int unused, const void *p, size_t len) {
    size_t at = b->len;
    buf_addc(b, (char) unused);
    buf_add(b, p, len);
    wrap(b, at, BIT_STRING);
}

/* ---- The certificate ---- */

static void algorithm(struct buf *b) { /* ecdsa-with-SHA256 */
    size_t at = b->len;
    OBJECT(b, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02);
    wrap(b, at, SEQUENCE);
}

static void name_part(struct buf *b, unsigned char type, const char *value) {
    size_t at = b->len;
    OBJECT(b, 0x55, 0x04, type);
    tlv(b, UTF8, value, strlen(value));
    wrap(b, at, SEQUENCE);
    wrap(b, at, SET);
}

static void name(struct buf *b) {
    size_t at = b->len;
    name_part(b, 10, "gpudev");   /* organization */
    name_part(b, 3, "localhost"); /* common name */
    wrap(b, at, SEQUENCE);
}

static void moment(struct buf *b, time_t t) {
    char text[32];
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm), century = 2;
    if (tm.tm_year < 150) /* RFC 5280 4.1.2.5: through 2049 */
        tlv(b, UTC_TIME, text + century, n - century);
    else
        tlv(b, GENERALIZED_TIME, text, n);
}

static void validity(struct buf *b) {
    size_t at = b->len;
    time_t now = time(NULL);
    moment(b, now - HOUR);
    moment(b, now + YEAR);
    wrap(b, at, SEQUENCE);
}

static void public_key(struct buf *b, const unsigned char *point) {
    size_t at = b->len;
    OBJECT(b, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01); /* ecPublicKey */
    P256(b);
    wrap(b, at, SEQUENCE);
    bits(b, 0, point, POINT_LEN);
    wrap(b, at, SEQUENCE);
}

static void extension(struct buf *b, unsigned char id, bool critical, const struct buf *value) {
    size_t at = b->len;
    OBJECT(b, 0x55, 0x1d, id);
    if (critical) tlv(b, BOOLEAN, "\xff", 1);
    tlv(b, OCTET_STRING, value->data, value->len);
    wrap(b, at, SEQUENCE);
}

static void extensions(struct buf *b, const unsigned char *point) {
    AUTO_BUF struct buf v = {0};
    size_t at = b->len;
    tlv(&v, BOOLEAN, "\xff", 1); /* basicConstraints: CA */
    wrap(&v, 0, SEQUENCE);
    extension(b, 19, true, &v);
    buf_reset(&v);
    bits(&v, 2, "\x8c", 1); /* keyUsage: digitalSignature, keyAgreement, keyCertSign */
    extension(b, 15, true, &v);
    buf_reset(&v);
    OBJECT(&v, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01); /* extendedKeyUsage: serverAuth */
    OBJECT(&v, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02); /* clientAuth */
    wrap(&v, 0, SEQUENCE);
    extension(b, 37, false, &v);
    buf_reset(&v);
    unsigned char digest[SHA256_LEN];
    sha256_once(point, POINT_LEN, digest); /* subjectKeyIdentifier as RFC 7093 (1) */
    tlv(&v, OCTET_STRING, digest, KEY_ID_LEN);
    extension(b, 14, false, &v);
    buf_reset(&v);
    tlv(&v, 0x82, "localhost", strlen("localhost")); /* subjectAltName: dNSName, the only name that Go takes */
    wrap(&v, 0, SEQUENCE);
    extension(b, 17, false, &v);
    wrap(b, at, SEQUENCE);
    wrap(b, at, CONTEXT(3));
}

static void to_be_signed(struct buf *b, const unsigned char *point) {
    unsigned char serial[SERIAL_LEN];
    random_bytes(serial, sizeof serial);
    serial[0] = (unsigned char) ((serial[0] & 0x7f) | 0x40); /* positive, and never short */
    tlv(b, INTEGER, "\x02", 1);                              /* version 3 */
    wrap(b, 0, CONTEXT(0));
    tlv(b, INTEGER, serial, sizeof serial);
    algorithm(b);
    name(b);
    validity(b);
    name(b);
    public_key(b, point);
    extensions(b, point);
    wrap(b, 0, SEQUENCE);
}

static bool sign(struct buf *b, EVP_PKEY *key) {
    unsigned char signature[128];
    size_t len = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
              EVP_DigestSign(ctx, signature, &len, (const unsigned char *) b->data, b->len) > 0;
    EVP_MD_CTX_free(ctx);
    if (!ok) return false;
    algorithm(b);
    bits(b, 0, signature, len);
    wrap(b, 0, SEQUENCE);
    return true;
}

/* ---- PEM ---- */

static void pem(struct buf *out, const char *label, const struct buf *der) {
    size_t len = der->len * 4 / 3 + 8;
    char *text = mem_alloc(len);
    int n = EVP_EncodeBlock((unsigned char *) text, (const unsigned char *) der->data, (int) der->len);
    buf_addf(out, "-----BEGIN %s-----\n", label);
    for (int i = 0; i < n; i += 64) {
        buf_add(out, text + i, (size_t) (n - i < 64 ? n - i : 64));
        buf_addc(out, '\n');
    }
    buf_addf(out, "-----END %s-----\n", label);
    mem_wipe(text, len);
    mem_free(text);
}

/* ECPrivateKey (RFC 5915). */
static struct secret *private_pem(const unsigned char *number, const unsigned char *point) {
    static const char room[512]; /* taken first: growing would leave copies behind */
    struct buf der = {0}, text = {0};
    buf_add(&der, room, sizeof room);
    buf_reset(&der);
    buf_add(&text, room, sizeof room);
    buf_reset(&text);
    tlv(&der, INTEGER, "\x01", 1);
    tlv(&der, OCTET_STRING, number, PRIVATE_LEN);
    size_t at = der.len;
    P256(&der);
    wrap(&der, at, CONTEXT(0));
    at = der.len;
    bits(&der, 0, point, POINT_LEN);
    wrap(&der, at, CONTEXT(1));
    wrap(&der, 0, SEQUENCE);
    pem(&text, "EC PRIVATE KEY", &der);
    struct secret *s = secret_new(text.data, text.len);
    buf_wipe(&der);
    buf_wipe(&text);
    return s;
}

/* ---- Keys ---- */

static bool take_numbers(EVP_PKEY *key, unsigned char number[PRIVATE_LEN], unsigned char point[POINT_LEN]) {
    BIGNUM *n = NULL;
    size_t len = 0;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &n) && BN_bn2binpad(n, number, PRIVATE_LEN) == PRIVATE_LEN &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, POINT_LEN, &len) && len == POINT_LEN;
    BN_clear_free(n);
    return ok;
}

int cert_self_signed(struct cert *ret, struct err *err) {
    unsigned char number[PRIVATE_LEN], point[POINT_LEN];
    AUTO_BUF struct buf der = {0}, text = {0};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool ok = key && take_numbers(key, number, point);
    if (ok) {
        to_be_signed(&der, point);
        ok = sign(&der, key);
    }
    EVP_PKEY_free(key);
    if (!ok) {
        char why[256];
        ERR_error_string_n(ERR_get_error(), why, sizeof why);
        ERR_clear_error();
        mem_wipe(number, sizeof number);
        return err_set(err, ERR_INTERNAL, "cannot make a certificate: %s", why);
    }
    pem(&text, "CERTIFICATE", &der);
    *ret = (struct cert){.cert_pem = buf_take(&text), .key_pem = private_pem(number, point), .der_len = der.len};
    ret->der = (unsigned char *) buf_take(&der);
    mem_wipe(number, sizeof number);
    return 0;
}

void cert_done(struct cert *c) {
    if (!c) return;
    mem_free(c->cert_pem);
    secret_unref(c->key_pem);
    mem_free(c->der);
    *c = (struct cert){0};
}
