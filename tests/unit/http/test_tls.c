#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "http/http.h"
#include "http/server.h"

struct fixture {
    struct server server;
    struct http *http;
    struct arena *arena;
    struct ctx ctx;
    struct err err;
    char other_name[64]; /* the server's URL under the name of its certificate */
};

static void serve_h1(struct conn *c) {
    AUTO_BUF struct buf head = {0};
    while (conn_read_head(c, &head)) {
        AUTO_FREE char *extra =
            mem_printf("X-Sni: %s\r\nX-Client: %s\r\n", c->sni, SSL_get0_peer_certificate(c->ssl) ? "yes" : "no");
        conn_reply(c, 200, extra, head.data);
    }
}

/* ---- HTTP/2 (RFC 9113), as little as a client needs: every HEADERS frame is a request, and all are answered once
 * BATCH of them are open on one connection. ---- */

enum { BATCH = 6, DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

static bool read_exactly(struct conn *c, void *to, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t n = conn_read(c, (char *) to + at, len - at);
        if (n <= 0) return false;
        at += (size_t) n;
    }
    return true;
}

static void frame(struct conn *c, int type, int flags, uint32_t stream, const void *payload, size_t len) {
    unsigned char head[9] = {0,
                             (unsigned char) (len >> 8),
                             (unsigned char) len,
                             (unsigned char) type,
                             (unsigned char) flags,
                             (unsigned char) (stream >> 24),
                             (unsigned char) (stream >> 16),
                             (unsigned char) (stream >> 8),
                             (unsigned char) stream};
    conn_write(c, head, sizeof head);
    conn_write(c, payload, len);
}

static void serve_h2(struct conn *c) {
    unsigned char preface[24], head[9], payload[1 << 14];
    uint32_t open[BATCH];
    int n_open = 0;
    if (!read_exactly(c, preface, sizeof preface) || memcmp(preface, "PRI * HTTP/2.0", 14) != 0) return;
    frame(c, SETTINGS, 0, 0, "", 0);
    while (read_exactly(c, head, sizeof head)) {
        size_t len = (size_t) head[0] << 16 | (size_t) head[1] << 8 | head[2];
        uint32_t stream = (uint32_t) head[5] << 24 | (uint32_t) head[6] << 16 | (uint32_t) head[7] << 8 | head[8];
        if (len > sizeof payload || !read_exactly(c, payload, len)) return;
        if (head[3] == SETTINGS && !(head[4] & ACK)) frame(c, SETTINGS, ACK, 0, "", 0);
        if (head[3] == PING && !(head[4] & ACK)) frame(c, PING, ACK, 0, payload, len);
        if (head[3] == HEADERS) open[n_open++] = stream;
        if (n_open < BATCH) continue;
        for (n_open = 0; n_open < BATCH; n_open++) {
            frame(c, HEADERS, END_HEADERS, open[n_open], "\x88", 1); /* HPACK's indexed ":status: 200" */
            frame(c, DATA, END_STREAM, open[n_open], "multiplexed", 11);
        }
        n_open = 0;
    }
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
                     void *arg) {
    (void) ssl;
    (void) arg;
    static const unsigned char h2[] = "\x02h2";
    return SSL_select_next_proto((unsigned char **) out, out_len, h2, 3, in, in_len) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    server_start(&f->server, serve_h1, true);
    f->http = http_new(NULL);
    f->arena = arena_new();
    f->ctx = (struct ctx){.arena = f->arena};
    snprintf(f->other_name, sizeof f->other_name, "https://localhost:%d/", f->server.port);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    http_unref(f->http);
    server_stop(&f->server);
    arena_free(f->arena);
    err_done(&f->err);
    mem_free(f);
    return 0;
}

static int get(struct fixture *f, const char *url, const struct http_tls *tls, struct http_response *ret) {
    struct http_request req = {.url = url, .tls = tls};
    return http_send(f->http, &f->ctx, &req, ret, &f->err);
}

static void test_given_ca(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem};
    assert_int_equal(get(f, f->other_name, &tls, &r), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(http_header_get(&r, "X-Client"), "no");
    /* Another CA, and the address instead of the name. */
    struct cert other = {0};
    assert_int_equal(cert_self_signed(&other, NULL), 0);
    tls.ca_pem = other.cert_pem;
    assert_int_equal(get(f, f->other_name, &tls, &r), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.message, "the certificate of localhost:"));
    assert_non_null(strstr(f->err.hint, "didn't sign"));
    assert_false(f->err.retryable);
    cert_done(&other);
    tls.ca_pem = f->server.cert.cert_pem;
    assert_int_equal(get(f, f->server.url, &tls, &r), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.hint, "another name than 127.0.0.1"));
}

static void test_server_name(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem, .server_name = "localhost"};
    const char *url = arena_printf(f->arena, "%s/a%%2Fb?x=%%20y", f->server.url);
    assert_int_equal(get(f, url, &tls, &r), 0);
    assert_string_equal(http_header_get(&r, "X-Sni"), "localhost");
    assert_true(str_starts(r.body, "GET /a%2Fb?x=%20y HTTP/1.1\r\n"));
    assert_non_null(strstr(r.body, arena_printf(f->arena, "Host: 127.0.0.1:%d\r\n", f->server.port)));
    tls.server_name = "elsewhere";
    assert_int_equal(get(f, url, &tls, &r), -ERR_PROTOCOL);
}

static void test_trust_store(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    assert_int_equal(get(f, f->other_name, NULL, &r), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.hint, "proxy that inspects TLS"));
    char path[64];
    snprintf(path, sizeof path, "/tmp/gpudev-test-ca-%d.pem", (int) getpid());
    assert_int_equal(fs_write_atomic(path, f->server.cert.cert_pem, strlen(f->server.cert.cert_pem), 0600, NULL), 0);
    setenv("SSL_CERT_FILE", path, 1);
    assert_int_equal(get(f, f->other_name, NULL, &r), 0);
    unsetenv("SSL_CERT_FILE");
    struct http_tls tls = {.ca_file = path};
    assert_int_equal(get(f, f->other_name, &tls, &r), 0);
    assert_int_equal(get(f, f->other_name, NULL, &r), -ERR_PROTOCOL); /* no connection made with other trust is reused */
    unlink(path);
    struct http *fresh = http_new(NULL);
    struct http_request req = {.url = f->other_name, .tls = &tls};
    assert_int_equal(http_send(fresh, &f->ctx, &req, &r, &f->err), -ERR_INVALID);
    assert_non_null(strstr(f->err.message, path));
    http_unref(fresh);
}

static void test_client_certificate(void **state) {
    struct fixture *f = *state;
    struct cert client = {0};
    assert_int_equal(cert_self_signed(&client, NULL), 0);
    BIO *b = BIO_new_mem_buf(client.cert_pem, -1);
    X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(f->server.tls), x);
    SSL_CTX_set_verify(f->server.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem, .client_cert_pem = client.cert_pem, .client_key_pem = client.key_pem};
    struct http_response r;
    assert_int_equal(get(f, f->other_name, &tls, &r), 0);
    assert_string_equal(http_header_get(&r, "X-Client"), "yes");
    tls.client_cert_pem = NULL;
    assert_true(get(f, f->other_name, &tls, &r) < 0);
    tls.client_cert_pem = "not a certificate";
    assert_int_equal(get(f, f->other_name, &tls, &r), -ERR_INVALID);
    assert_non_null(strstr(f->err.message, "client certificate"));
    X509_free(x);
    BIO_free(b);
    cert_done(&client);
}

static void serve_plain(struct conn *c) {
    conn_puts(c, "HTTP/1.1 400 Bad Request\r\n\r\n");
    conn_wait_close(c);
}

static void test_plain_port(void **state) {
    struct fixture *f = *state;
    struct server plain = {0};
    server_start(&plain, serve_plain, false);
    struct http_response r;
    assert_int_equal(get(f, arena_printf(f->arena, "https://127.0.0.1:%d/", plain.port), NULL, &r), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.message, "doesn't speak TLS"));
    assert_non_null(strstr(f->err.hint, "plain http"));
    server_stop(&plain);
}

static void *get_one(void *arg) {
    struct fixture *f = arg;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx base = {.arena = a}, ctx = ctx_with_timeout(&base, 10000);
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem};
    struct http_request req = {.url = f->other_name, .tls = &tls};
    struct http_response r;
    return http_send(f->http, &ctx, &req, &r, NULL) == 0 && str_eq(r.body, "multiplexed") ? f : NULL;
}

/* The server answers nobody before BATCH requests are open on one connection. */
static void test_multiplexing(void **state) {
    struct fixture *f = *state;
    f->server.serve = serve_h2;
    SSL_CTX_set_alpn_select_cb(f->server.tls, choose_h2, NULL);
    for (int round = 0; round < 2; round++) {
        pthread_t t[BATCH];
        for (int i = 0; i < BATCH; i++) pthread_create(&t[i], NULL, get_one, f);
        for (int i = 0; i < BATCH; i++) {
            void *ok;
            pthread_join(t[i], &ok);
            assert_ptr_equal(ok, f);
        }
    }
    assert_int_equal(atomic_load(&f->server.n_conns), 1);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_given_ca),           T(test_server_name), T(test_trust_store),
        T(test_client_certificate), T(test_plain_port),  T(test_multiplexing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
