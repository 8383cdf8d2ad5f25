/* X.509 certificates (RFC 5280). */
#include "crypto/crypto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

static void bio_free_p(BIO **b) { BIO_free(*b); }
static void x509_free_p(X509 **x) { X509_free(*x); }
#define AUTO_BIO CLEANUP(bio_free_p)
#define AUTO_X509 CLEANUP(x509_free_p)

static int openssl_failed(struct err *err, const char *what) {
    char why[256] = "unknown reason";
    unsigned long code = ERR_get_error();
    if (code) ERR_error_string_n(code, why, sizeof why);
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "cannot %s: %s", what, why);
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
