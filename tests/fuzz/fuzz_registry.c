/* What registries and AWS say: references, challenges, errors, base64. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ecr.h"
#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "oci/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reference(struct arena *a, const char *text) {
    struct oci_ref ref = {0};
    AUTO_ERR struct err err = {0};
    if (oci_parse_ref(a, text, &ref, &err) < 0) return;
    if (str_empty(ref.host) || str_empty(ref.name)) abort();
    const char *again = arena_printf(a, "%s/%s%s%s%s%s", ref.host, ref.name, ref.tag ? ":" : "", ref.tag ? ref.tag : "",
                                     ref.digest ? "@" : "", ref.digest ? ref.digest : "");
    if (!str_eq(again, text)) abort();
}

static void check_base64(struct arena *a, const char *text, size_t len) {
    size_t n;
    char *plain = base64_decode(a, text, len, &n);
    if (!plain) return;
    size_t again_len;
    const char *encoded = base64_encode(a, plain, n), *again = base64_decode(a, encoded, strlen(encoded), &again_len);
    if (!again || again_len != n || memcmp(plain, again, n) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA struct arena *a = arena_new();
    char *text = arena_dup(a, data, size);
    const char *account, *region;
    check_reference(a, text);
    check_base64(a, text, size);
    ecr_parse_host(a, text, &account, &region);
    struct http_header h = {.name = "WWW-Authenticate", .value = text};
    struct http_response r = {.status = 401, .headers = &h, .n_headers = 1, .body = text, .body_len = size};
    struct oci_challenge c = {0};
    if (oci_parse_challenge(a, &r, &c) && c.scheme == AUTH_BEARER && !c.realm) abort();
    struct ctx ctx = {.arena = a};
    AUTO_ERR struct err err = {0};
    struct oci_request req = {.host = "h", .name = "n", .method = "PUT", .path = ""};
    if (oci_error(&ctx, &req, &r, "try", &err) >= 0) abort();
    struct aws_request call = {.service = "ecr", .region = "r", .action = "A"};
    const char *code;
    if (aws_error(&ctx, &call, &r, NULL, &code, &err) >= 0 || !err.message) abort();
    size_t bad;
    if (utf8_check(err.message, strlen(err.message), &bad) < 0) abort();
    return 0;
}
