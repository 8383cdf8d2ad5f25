#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ctx.h"
#include "base/err.h"
#include "http/http.h"
#include "http/server.h"

struct fixture {
    struct server server;
    struct arena *arena;
    struct cancel *cancel;
    struct ctx ctx;
    struct err err;
};

static void echo(struct conn *c) {
    char piece[4096];
    for (ssize_t n; (n = conn_read(c, piece, sizeof piece)) > 0;)
        if (!conn_write(c, piece, (size_t) n)) return;
}

static void serve(struct conn *c) {
    AUTO_BUF struct buf head = {0};
    if (!conn_read_head(c, &head)) return;
    char value[256];
    if (str_starts(head.data, "POST /grpc ") && str_eq(head_get(head.data, "Upgrade", value), "h2c") &&
        str_eq(head_get(head.data, "Connection", value), "Upgrade") && str_eq(head_get(head.data, "Content-Length", value), "0") &&
        str_eq(head_get(head.data, "X-Token", value), "a secret")) {
        /* The next protocol's first bytes come with the head. */
        conn_puts(c, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nfirst bytes");
        echo(c);
    } else if (str_starts(head.data, "GET /raw")) {
        conn_puts(c, "raw reply");
        echo(c);
    } else if (str_starts(head.data, "POST /silence")) {
        conn_wait_close(c);
    } else {
        conn_reply(c, 404, "", "{\"message\":\"page not found\"}\n");
    }
}

static int start(void **state, bool tls) {
    struct fixture *f = NEW(struct fixture);
    server_start(&f->server, serve, tls);
    f->arena = arena_new();
    f->cancel = cancel_new(NULL);
    f->ctx = (struct ctx){.arena = f->arena, .cancel = f->cancel};
    *state = f;
    return 0;
}

static int setup(void **state) { return start(state, false); }

static int setup_tls(void **state) { return start(state, true); }

static int teardown(void **state) {
    struct fixture *f = *state;
    server_stop(&f->server);
    arena_free(f->arena);
    cancel_unref(f->cancel);
    err_done(&f->err);
    mem_free(f);
    return 0;
}

static int upgrade(struct fixture *f, const char *path, int *ret_fd) {
    AUTO_SECRET struct secret *secret = secret_new("secret", 6);
    const struct http_header headers[] = {{"X-Token", "a ", secret}};
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem, .server_name = "localhost"};
    struct http_request req = {.method = "POST",
                               .url = arena_printf(f->arena, "%s%s", f->server.url, path),
                               .headers = headers,
                               .n_headers = 1,
                               .tls = &tls};
    return http_upgrade(&f->ctx, &req, "h2c", ret_fd, &f->err);
}

static void expect(int fd, const char *text) {
    char got[64] = "";
    for (size_t n = 0, want = strlen(text); n < want;) {
        ssize_t k = read(fd, got + n, want - n);
        if (k <= 0) break;
        n += (size_t) k;
    }
    assert_string_equal(got, text);
}

struct writer {
    int fd;
    size_t total;
};

static char pattern(size_t i) { return (char) (i * 2654435761u >> 13); }

static void *write_pattern(void *arg) {
    struct writer *w = arg;
    char piece[1000];
    for (size_t at = 0; at < w->total;) {
        size_t n = w->total - at < sizeof piece ? w->total - at : sizeof piece;
        for (size_t i = 0; i < n; i++) piece[i] = pattern(at + i);
        ssize_t k = write(w->fd, piece, n);
        if (k <= 0) break;
        at += (size_t) k;
    }
    return NULL;
}

/* Both directions at once, more than any buffer on the way holds. */
static void exchange(int fd) {
    struct writer w = {.fd = fd, .total = 4 << 20};
    pthread_t t;
    pthread_create(&t, NULL, write_pattern, &w);
    size_t at = 0;
    char piece[8192];
    for (ssize_t n; at < w.total && (n = read(fd, piece, sizeof piece)) > 0;)
        for (ssize_t i = 0; i < n; i++, at++)
            if (piece[i] != pattern(at)) fail_msg("byte %zu differs", at);
    assert_int_equal(at, w.total);
    pthread_join(t, NULL);
}

static void test_upgrade(void **state) {
    struct fixture *f = *state;
    int fd = -1;
    assert_int_equal(upgrade(f, "/grpc", &fd), 0);
    expect(fd, "first bytes");
    exchange(fd);
    close(fd);
}

/* When one side closes, the other sees it. */
static void test_close(void **state) {
    struct fixture *f = *state;
    int fd = -1;
    assert_int_equal(upgrade(f, "/grpc", &fd), 0);
    expect(fd, "first bytes");
    while (!atomic_load(&f->server.n_conns)) usleep(1000);
    shutdown(f->server.conns[0].fd, SHUT_RDWR);
    char c;
    assert_int_equal(read(fd, &c, 1), 0);
    close(fd);
    assert_int_equal(upgrade(f, "/grpc", &fd), 0);
    close(fd);
    for (int i = 0; i < 500 && atomic_load(&f->server.n_ended) < 2; i++) usleep(10000);
    assert_int_equal(atomic_load(&f->server.n_ended), 2);
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    int fd = -1;
    assert_int_equal(upgrade(f, "/nowhere", &fd), -ERR_NOT_FOUND);
    assert_int_equal(f->err.http_status, 404);
    assert_non_null(strstr(f->err.message, "doesn't switch to h2c: HTTP 404"));
    assert_string_equal(f->err.detail, "{\"message\":\"page not found\"}");
    assert_int_equal(fd, -1);
}

static void *cancel_soon(void *arg) {
    usleep(50000);
    cancel_request(arg);
    return NULL;
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    int fd = -1;
    int64_t start_ms = clock_system.now(NULL);
    pthread_t t;
    pthread_create(&t, NULL, cancel_soon, f->cancel);
    assert_int_equal(upgrade(f, "/silence", &fd), -ERR_CANCELLED);
    pthread_join(t, NULL);
    assert_true(clock_system.now(NULL) - start_ms < 1000);
}

static void test_connect(void **state) {
    struct fixture *f = *state;
    struct http_tls tls = {.ca_pem = f->server.cert.cert_pem, .server_name = "localhost"};
    struct http_request req = {.url = f->server.url, .tls = &tls};
    int fd = -1;
    assert_int_equal(http_connect(&f->ctx, &req, &fd, &f->err), 0);
    assert_int_equal(write(fd, "GET /raw\r\n\r\n", 12), 12);
    expect(fd, "raw reply");
    exchange(fd);
    close(fd);
    req.url = "http://127.0.0.1:1/";
    assert_int_equal(http_connect(&f->ctx, &req, &fd, &f->err), -ERR_UNAVAILABLE);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TLS(name)                                                                                                                  \
    { #name " over TLS", name, setup_tls, teardown, NULL }
    const struct CMUnitTest tests[] = {
        T(test_upgrade),   T(test_close),   T(test_refused),   T(test_cancel),   T(test_connect),
        TLS(test_upgrade), TLS(test_close), TLS(test_refused), TLS(test_cancel), TLS(test_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
