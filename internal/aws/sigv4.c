#include "aws/sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "aws/cred.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "http/http.h"

struct pair {
    const char *name, *value;
};

static int compare_pairs(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    int r = strcmp(x->name, y->name);
    return r ? r : strcmp(x->value, y->value);
}

/* Proxies and libraries change these on the way. */
static bool is_unsigned(const char *name) {
    static const char *const names[] = {"authorization",
                                        "connection",
                                        "expect",
                                        "keep-alive",
                                        "proxy-authenticate",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "proxy-authorization",
                                        "transfer-encoding",
                                        "user-agent",
                                        "x-amzn-trace-id"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

/* Trimmed, inner runs of spaces folded to one. */
static const char *fold(struct arena *a, const char *value) {
    char *text = str_trim(a, value), *o = text;
    for (char *p = text; *p; p++)
        if (*p != ' ' || p[1] != ' ') *o++ = *p;
    *o = 0;
    return text;
}

struct canonical {
    struct pair *headers; /* sorted, names in lower case */
    size_t n;
    const char *signed_headers;
};

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct pair *) a)->name, ((const struct pair *) b)->name);
}

static void canonical_headers(struct arena *a, const struct sigv4_request *req, const char *date, const char *token,
                              struct canonical *ret) {
    struct pair *list = arena_array(a, req->n_headers + 3, sizeof *list);
    size_t n = 0;
    list[n++] = (struct pair){"host", req->host};
    if (date) list[n++] = (struct pair){"x-amz-date", date};
    if (token) list[n++] = (struct pair){"x-amz-security-token", token};
    for (size_t i = 0; i < req->n_headers; i++) {
        if (is_unsigned(req->headers[i].name)) continue;
        list[n++] = (struct pair){str_lower(a, req->headers[i].name), fold(a, req->headers[i].value ? req->headers[i].value : "")};
    }
    qsort(list, n, sizeof *list, compare_names);
    AUTO_BUF struct buf names = {0};
    for (size_t i = 0; i < n; i++) buf_addf(&names, "%s%s", i ? ";" : "", list[i].name);
    *ret = (struct canonical){.headers = list, .n = n, .signed_headers = arena_strdup(a, buf_str(&names))};
}

/* Sorted by name, then by value: sorting the joined strings would put "a=b" behind "a-b=c". */
static void add_canonical_query(struct buf *b, struct arena *a, const char *query) {
    if (str_empty(query)) return;
    struct pair *list = NULL;
    size_t n = 0, cap = 0;
    for (const char *p = query; *p;) {
        size_t len = strcspn(p, "&"), name_len = strcspn(p, "&=");
        ARENA_GROW(a, list, n, cap);
        list[n].name = arena_strndup(a, p, name_len);
        list[n++].value = name_len < len ? arena_strndup(a, p + name_len + 1, len - name_len - 1) : "";
        p += len + (p[len] == '&');
    }
    qsort(list, n, sizeof *list, compare_pairs);
    for (size_t i = 0; i < n; i++) buf_addf(b, "%s%s=%s", i ? "&" : "", list[i].name, list[i].value);
}

static void add_canonical_request(struct buf *b, struct arena *a, const struct sigv4_request *req, const struct canonical *c,
                                  const char *query) {
    buf_addf(b, "%s\n%s\n", req->method, http_encode(a, str_empty(req->path) ? "/" : req->path, true));
    add_canonical_query(b, a, query);
    buf_addc(b, '\n');
    for (size_t i = 0; i < c->n; i++) buf_addf(b, "%s:%s\n", c->headers[i].name, c->headers[i].value);
    char hash[SHA256_HEX];
    sha256_hex(req->body, req->body_len, hash);
    buf_addf(b, "\n%s\n%s", c->signed_headers, hash);
}

static void format_date(int64_t seconds, char out[SIGV4_DATE]) {
    time_t t = (time_t) seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, SIGV4_DATE, "%Y%m%dT%H%M%SZ", &tm);
}

static void derive_key(const struct sigv4_request *req, const struct aws_creds *creds, const char *date,
                       unsigned char out[SHA256_LEN]) {
    struct buf key = {0};
    buf_adds(&key, "AWS4");
    buf_add(&key, secret_bytes(creds->secret_key), secret_len(creds->secret_key));
    hmac_sha256(key.data, key.len, date, 8, out);
    buf_wipe(&key);
    const char *const steps[] = {req->region, req->service, "aws4_request"};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        unsigned char next[SHA256_LEN];
        hmac_sha256(out, SHA256_LEN, steps[i], strlen(steps[i]), next);
        memcpy(out, next, sizeof next);
        mem_wipe(next, sizeof next);
    }
}

static const char *scope(struct arena *a, const struct sigv4_request *req, const char *date) {
    return arena_printf(a, "%.8s/%s/%s/aws4_request", date, req->region, req->service);
}

static void sign(struct arena *a, const struct sigv4_request *req, const struct aws_creds *creds, const char *date,
                 const struct buf *canonical, char out[65]) {
    char hash[SHA256_HEX];
    sha256_hex(canonical->data, canonical->len, hash);
    const char *text = arena_printf(a, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope(a, req, date), hash);
    unsigned char key[SHA256_LEN], mac[SHA256_LEN];
    derive_key(req, creds, date, key);
    hmac_sha256(key, sizeof key, text, strlen(text), mac);
    mem_wipe(key, sizeof key);
    hex_encode(mac, sizeof mac, out);
}

void sigv4_sign(struct arena *a, const struct sigv4_request *req, const struct aws_creds *creds, struct sigv4_signature *ret) {
    format_date(req->time, ret->date);
    struct canonical c;
    canonical_headers(a, req, ret->date, creds->token ? secret_bytes(creds->token) : NULL, &c);
    struct buf text = {0};
    add_canonical_request(&text, a, req, &c, req->query);
    sign(a, req, creds, ret->date, &text, ret->hex);
    buf_wipe(&text);
    ret->signed_headers = c.signed_headers;
    ret->authorization = arena_printf(a, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", creds->access_key,
                                      scope(a, req, ret->date), c.signed_headers, ret->hex);
}

/* http_encode would leave the token in the arena. */
static void add_encoded(struct buf *b, const char *secret) {
    for (; *secret; secret++) {
        unsigned char c = (unsigned char) *secret;
        if (isalnum(c) || strchr("-._~", c))
            buf_addc(b, (char) c);
        else
            buf_addf(b, "%%%02X", c);
    }
}

struct secret *sigv4_presign(struct arena *a, const struct sigv4_request *req, const char *scheme, const struct aws_creds *creds,
                             int expires) {
    char date[SIGV4_DATE], signature[65];
    format_date(req->time, date);
    struct canonical c;
    canonical_headers(a, req, NULL, NULL, &c);
    struct buf query = {0}, text = {0}, url = {0};
    bool has_query = !str_empty(req->query);
    buf_addf(&query,
             "%s%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%d&X-Amz-SignedHeaders=%s",
             has_query ? req->query : "", has_query ? "&" : "",
             http_encode(a, arena_printf(a, "%s/%s", creds->access_key, scope(a, req, date)), false), date, expires,
             http_encode(a, c.signed_headers, false));
    if (creds->token) {
        buf_adds(&query, "&X-Amz-Security-Token=");
        add_encoded(&query, secret_bytes(creds->token));
    }
    AUTO_ARENA struct arena *scratch = arena_new();
    add_canonical_request(&text, scratch, req, &c, query.data);
    sign(a, req, creds, date, &text, signature);
    buf_addf(&url, "%s://%s%s?", scheme, req->host, str_empty(req->path) ? "/" : req->path);
    buf_add(&url, query.data, query.len);
    buf_addf(&url, "&X-Amz-Signature=%s", signature);
    struct secret *ret = secret_new(url.data, url.len);
    buf_wipe(&query);
    buf_wipe(&text);
    buf_wipe(&url);
    return ret;
}
