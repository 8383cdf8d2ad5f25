#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "aws/cred.h"
#include "aws/sigv4.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "json/json.h"

struct vectors {
    struct arena *arena;
    struct json *json;
};

static int setup(void **state) {
    struct vectors *v = NEW(struct vectors);
    char *text;
    size_t len;
    v->arena = arena_new();
    if (fs_read(v->arena, "tests/fixtures/sigv4.json", 1 << 20, &text, &len, NULL) < 0) return -1;
    v->json = json_parse(text, len, NULL);
    *state = v;
    return v->json ? 0 : -1;
}

static int teardown(void **state) {
    struct vectors *v = *state;
    json_free(v->json);
    arena_free(v->arena);
    mem_free(v);
    return 0;
}

static struct secret *secret_of(const char *s) { return s ? secret_new(s, strlen(s)) : NULL; }

static void read_creds(const struct json *j, struct aws_creds *ret) {
    *ret = (struct aws_creds){
        .access_key = mem_strdup(json_get_str(j, "access_key_id")),
        .secret_key = secret_of(json_get_str(j, "secret_access_key")),
        .token = secret_of(json_get_str(j, "session_token")),
    };
}

static void read_request(struct arena *a, const struct json *vector, struct sigv4_request *ret) {
    const struct json *r = json_get(vector, "request"), *headers = json_get(r, "headers");
    struct http_header *list = arena_array(a, json_len(headers) + 1, sizeof *list);
    size_t n = 0;
    json_each(h, headers) list[n++] = (struct http_header){json_str(json_first(h)), json_str(json_next(json_first(h))), NULL};
    const char *body64 = json_get_str(r, "body_base64");
    *ret = (struct sigv4_request){
        .method = json_get_str(r, "method"),
        .host = json_get_str(r, "host"),
        .path = json_get_str(r, "path"),
        .query = json_get_str(r, "query"),
        .headers = list,
        .n_headers = n,
        .service = json_get_str(vector, "service"),
        .region = json_get_str(vector, "region"),
        .time = json_int(json_at(vector, "time", "unix", NULL), 0),
    };
    ret->body = base64_decode(a, body64, strlen(body64), &ret->body_len);
}

static void test_vectors(void **state) {
    struct vectors *v = *state;
    int headers = 0, presigned = 0;
    json_each(vector, json_get(v->json, "sigv4")) {
        AUTO_CREDS struct aws_creds creds;
        struct sigv4_request req;
        read_creds(json_get(vector, "credentials"), &creds);
        read_request(v->arena, vector, &req);
        const struct json *want = json_get(vector, "expected");
        if (strcmp(json_get_str(vector, "kind"), "presign") == 0) {
            int expires = (int) json_get_int(vector, "expires", 0);
            AUTO_SECRET struct secret *url =
                sigv4_presign(v->arena, &req, json_str(json_at(vector, "request", "scheme", NULL)), &creds, expires);
            assert_string_equal(secret_bytes(url), json_get_str(want, "presigned_url"));
            presigned++;
        } else {
            struct sigv4_signature s;
            sigv4_sign(v->arena, &req, &creds, &s);
            assert_string_equal(s.authorization, json_get_str(want, "authorization"));
            assert_string_equal(s.date, json_str(json_at(vector, "time", "amz_date", NULL)));
            headers++;
        }
    }
    assert_int_equal(headers, 6);
    assert_int_equal(presigned, 2);
}

/* The same but for how names and values are put together: their order, folding, duplicates. */
static void test_canonical_forms(void **state) {
    struct vectors *v = *state;
    struct aws_creds creds = {.access_key = (char *) "AK", .secret_key = secret_of("SK")};
    const struct http_header a[] = {{"X-B", "  two   words ", NULL}, {"x-a", "1", NULL}, {"User-Agent", "x", NULL}};
    const struct http_header b[] = {{"x-A", "1", NULL}, {"X-b", "two words", NULL}};
    struct sigv4_request req = {
        .method = "GET", .host = "h", .path = "", .service = "s", .region = "r", .headers = a, .n_headers = 3};
    struct sigv4_signature x, y;
    req.query = "a-b=c&a=b&a=a";
    sigv4_sign(v->arena, &req, &creds, &x);
    req.query = "a=a&a=b&a-b=c";
    req.path = "/";
    req.headers = b;
    req.n_headers = 2;
    sigv4_sign(v->arena, &req, &creds, &y);
    assert_string_equal(x.hex, y.hex);
    assert_string_equal(x.signed_headers, "host;x-a;x-amz-date;x-b");
    req.query = "a=a&a=c&a-b=c";
    sigv4_sign(v->arena, &req, &creds, &y);
    assert_string_not_equal(x.hex, y.hex);
    secret_unref(creds.secret_key);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_canonical_forms)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
