#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct secret;

/* Digests, encodings and certificates over OpenSSL, the only user of it. */

enum { SHA256_LEN = 32, SHA256_HEX = 65 };

struct sha256; /* incremental */
struct sha256 *sha256_new(void);
void sha256_reset(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t len);
void sha256_end(struct sha256 *h, unsigned char out[SHA256_LEN]); /* reset before the next use */
void sha256_free(struct sha256 *h);
void sha256_once(const void *p, size_t len, unsigned char out[SHA256_LEN]);
void sha256_hex(const void *p, size_t len, char out[SHA256_HEX]);
char *sha256_digest(struct arena *a, const void *p, size_t len); /* "sha256:<hex>" */
void sha1_hex(const void *p, size_t len, char out[41]);

void sha512_hex(const void *p, size_t len, char out[129]);

void hmac_sha256(const void *key, size_t key_len, const void *p, size_t len, unsigned char out[SHA256_LEN]);

void hex_encode(const void *p, size_t len, char *out); /* lower case; 2 * len + 1 bytes */

char *base64_encode(struct arena *a, const void *p, size_t len);              /* RFC 4648 4, padded */
char *base64_encode_raw(struct arena *a, const void *p, size_t len);          /* without padding */
char *base64url_encode(struct arena *a, const void *p, size_t len, bool pad); /* RFC 4648 5 */
/* Standard or URL alphabet, padding optional, white space skipped; NULL if malformed. NUL-terminated. */
char *base64_decode(struct arena *a, const char *s, size_t len, size_t *ret_len);
struct secret *base64_decode_secret(const char *s, size_t len); /* NULL if malformed; no copy is left behind */

struct secret *base64_encode_secret(const void *p, size_t len); /* padded; no copy is left behind */

void random_bytes(void *p, size_t len);
char *random_hex(struct arena *a, size_t bytes);

/* A self-signed P-256 server certificate for go-plugin's AutoMTLS: CA:TRUE, DNS SAN localhost, valid from an hour ago
 * for a year. */
struct cert {
    char *cert_pem;         /* mem_free */
    struct secret *key_pem; /* secret_unref */
    unsigned char *der;     /* mem_free */
    size_t der_len;
};
int cert_self_signed(struct cert *ret, struct err *err);
void cert_done(struct cert *c);

/* When the first certificate of a PEM text ends, in seconds since the epoch; negative on failure. */
int64_t cert_not_after(const char *pem, struct err *err);
