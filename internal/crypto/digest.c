/* Digests over OpenSSL's EVP (FIPS 180-4, RFC 2104), hex and random bytes. */
#include "crypto/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "base/mem.h"

/* Fetching an algorithm takes a lock and a search each time, so it is done once, by the first use. */
static EVP_MD *md_sha256;

static void fetch(void) { md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); }

/* OpenSSL's digests fail for lack of memory only, or when its library is broken. */
static void must(bool ok) {
    if (!ok) mem_abort();
}

static const EVP_MD *sha256_md(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch);
    must(md_sha256 != NULL);
    return md_sha256;
}

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void) {
    struct sha256 *h = NEW(struct sha256);
    h->ctx = EVP_MD_CTX_new();
    must(h->ctx && EVP_DigestInit_ex2(h->ctx, sha256_md(), NULL));
    return h;
}

void sha256_reset(struct sha256 *h) { must(EVP_DigestInit_ex2(h->ctx, NULL, NULL)); }

void sha256_add(struct sha256 *h, const void *p, size_t len) { must(EVP_DigestUpdate(h->ctx, p, len)); }

void sha256_end(struct sha256 *h, unsigned char out[SHA256_LEN]) { must(EVP_DigestFinal_ex(h->ctx, out, NULL)); }

void sha256_free(struct sha256 *h) {
    if (!h) return;
    EVP_MD_CTX_free(h->ctx);
    mem_free(h);
}

void sha256_once(const void *p, size_t len, unsigned char out[SHA256_LEN]) {
    must(EVP_Digest(p, len, out, NULL, sha256_md(), NULL));
}

void sha256_hex(const void *p, size_t len, char out[SHA256_HEX]) {
    unsigned char digest[SHA256_LEN];
    sha256_once(p, len, digest);
    hex_encode(digest, sizeof digest, out);
}

char *sha256_digest(struct arena *a, const void *p, size_t len) {
    char hex[SHA256_HEX];
    sha256_hex(p, len, hex);
    return arena_printf(a, "sha256:%s", hex);
}

void sha1_hex(const void *p, size_t len, char out[41]) {
    unsigned char digest[20];
    must(EVP_Digest(p, len, digest, NULL, EVP_sha1(), NULL));
    hex_encode(digest, sizeof digest, out);
}

void sha512_hex(const void *p, size_t len, char out[129]) {
    unsigned char digest[64];
    must(EVP_Digest(p, len, digest, NULL, EVP_sha512(), NULL));
    hex_encode(digest, sizeof digest, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *p, size_t len, unsigned char out[SHA256_LEN]) {
    /* A NULL key means "the key of the last call" to OpenSSL. */
    must(HMAC(EVP_sha256(), key_len ? key : "", (int) key_len, p, len, out, NULL) != NULL);
}

void hex_encode(const void *p, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *s = p;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[s[i] >> 4];
        *out++ = digits[s[i] & 15];
    }
    *out = 0;
}

void random_bytes(void *p, size_t len) {
    enum { PIECE = 256 }; /* getentropy's limit */
    for (char *c = p; len;) {
        size_t n = len < PIECE ? len : PIECE;
        must(getentropy(c, n) == 0);
        c += n;
        len -= n;
    }
}

char *random_hex(struct arena *a, size_t bytes) {
    unsigned char *raw = arena_alloc(a, bytes);
    char *hex = arena_alloc(a, 2 * bytes + 1);
    random_bytes(raw, bytes);
    hex_encode(raw, bytes, hex);
    return hex;
}
