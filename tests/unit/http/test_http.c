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
    struct http *http;
    struct arena *arena;
    struct cancel *cancel;
    struct ctx ctx;
    struct err err;
    int gate[2]; /* a byte in here lets /steps go on */
};

static void answer_chunks(struct conn *c, int n, size_t size) {
    char *piece = mem_alloc(size + 32);
    int head = snprintf(piece, 32, "%zx\r\n", size);
    memset(piece + head, 'x', size);
    memcpy(piece + (size_t) head + size, "\r\n", 2);
    conn_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    bool ok = true;
    for (int i = 0; i < n && ok; i++) ok = conn_write(c, piece, (size_t) head + size + 2);
    if (ok) conn_puts(c, "0\r\n\r\n");
    mem_free(piece);
}

/* Each chunk waits until the client has had the one before. */
static void answer_steps(struct conn *c) {
    struct fixture *f = c->s->arg;
    conn_puts(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "6\r\nstep %d\r\n", i);
        char go;
        if (!conn_puts(c, text) || read(f->gate[0], &go, 1) != 1) return;
    }
    conn_puts(c, "0\r\nX-Trailer: dropped\r\n\r\n");
}

static void read_body(struct conn *c, const char *head, struct buf *body) {
    char value[256];
    for (long n = strtol(head_get(head, "Content-Length", value), NULL, 10); n > 0; n--) {
        char ch;
        if (conn_read(c, &ch, 1) != 1) return;
        buf_addc(body, ch);
    }
    if (!strstr(head_get(head, "Transfer-Encoding", value), "chunked")) return;
    while (!str_ends(buf_str(body), "0\r\n\r\n")) {
        char ch;
        if (conn_read(c, &ch, 1) != 1) return;
        buf_addc(body, ch);
    }
}

static void serve(struct conn *c) {
    AUTO_BUF struct buf head = {0}, body = {0};
    while (conn_read_head(c, &head)) {
        buf_reset(&body);
        read_body(c, head.data, &body);
        if (str_starts(head.data, "CONNECT ")) {
            conn_reply(c, 407, "Proxy-Authenticate: Basic realm=\"p\"\r\n", "who are you?");
            return;
        }
        char *path = strchr(head.data, ' ') + 1;
        if (str_starts(path, "http://peer.example")) path += strlen("http://peer.example"); /* as a proxy gets it */
        if (str_starts(path, "/echo")) {
            buf_add(&head, body.data, body.len);
            conn_reply(c, 200, "X-One: 1\r\nx-two:  zwei \r\nX-One: again\r\n", head.data);
        } else if (str_starts(path, "/early")) {
            conn_puts(c, "HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n");
            conn_reply(c, 201, "X-Late: yes\r\n", "made");
        } else if (str_starts(path, "/teapot")) {
            conn_reply(c, 418, "", "short and stout");
        } else if (str_starts(path, "/megabytes")) {
            answer_chunks(c, 64, 1 << 20);
        } else if (str_starts(path, "/steps")) {
            answer_steps(c);
        } else if (str_starts(path, "/drop")) {
            return;
        } else if (str_starts(path, "/garbage")) {
            conn_puts(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
            return;
        } else {
            conn_wait_close(c);
            return;
        }
    }
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    if (pipe(f->gate) < 0) return -1;
    f->server.arg = f;
    server_start(&f->server, serve, false);
    f->http = http_new("gpudev-test/1");
    f->arena = arena_new();
    f->cancel = cancel_new(NULL);
    f->ctx = (struct ctx){.arena = f->arena, .cancel = f->cancel};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    http_unref(f->http);
    close(f->gate[1]);
    server_stop(&f->server);
    close(f->gate[0]);
    arena_free(f->arena);
    cancel_unref(f->cancel);
    err_done(&f->err);
    mem_free(f);
    return 0;
}

static const char *url(struct fixture *f, const char *path) { return arena_printf(f->arena, "%s%s", f->server.url, path); }

static int get(struct fixture *f, const char *path, struct http_response *ret) {
    struct http_request req = {.url = url(f, path)};
    return http_send(f->http, &f->ctx, &req, ret, &f->err);
}

static void test_get(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    assert_int_equal(get(f, "/echo/a?b=c", &r), 0);
    assert_int_equal(r.status, 200);
    assert_true(str_starts(r.body, "GET /echo/a?b=c HTTP/1.1\r\n"));
    assert_int_equal(strlen(r.body), r.body_len);
    assert_non_null(strstr(r.body, "User-Agent: gpudev-test/1\r\n"));
    assert_string_equal(http_header_get(&r, "x-one"), "1");
    assert_string_equal(http_header_get(&r, "X-TWO"), "zwei");
    assert_null(http_header_get(&r, "X-Three"));
    assert_int_equal(get(f, "/early", &r), 0);
    assert_int_equal(r.status, 201);
    assert_string_equal(http_header_get(&r, "X-Late"), "yes");
    assert_null(http_header_get(&r, "X-Early"));
    assert_int_equal(get(f, "/teapot", &r), 0);
    assert_int_equal(r.status, 418);
    assert_string_equal(r.body, "short and stout");
    assert_int_equal(atomic_load(&f->server.n_conns), 1); /* all by one connection */
}

static void test_methods_and_bodies(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *method, *body;
        bool length;
    } cases[] = {{"POST", "{}", true},  {"POST", "", true},    {"PUT", "x", true},     {"PATCH", "", true},
                 {"DELETE", "", false}, {"DELETE", "x", true}, {"OPTIONS", "", false}, {"GET", "", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_request req = {
            .url = url(f, "/echo"), .method = cases[i].method, .body = cases[i].body, .body_len = strlen(cases[i].body)};
        struct http_response r;
        assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
        assert_true(str_starts(r.body, arena_printf(f->arena, "%s /echo", cases[i].method)));
        assert_true(str_ends(r.body, arena_printf(f->arena, "\r\n\r\n%s", cases[i].body)));
        char value[256];
        assert_string_equal(head_get(r.body, "Content-Length", value),
                            cases[i].length ? arena_printf(f->arena, "%zu", strlen(cases[i].body)) : "");
        assert_string_equal(head_get(r.body, "Expect", value), "");
        assert_string_equal(head_get(r.body, "Content-Type", value), "");
    }
    struct http_request req = {.url = url(f, "/echo"), .method = "HEAD"};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
}

static void test_headers(void **state) {
    struct fixture *f = *state;
    AUTO_SECRET struct secret *token = secret_new("tok3n", 5);
    const struct http_header headers[] = {
        {"Authorization", "Bearer ", token}, {"X-Empty", "", NULL}, {"Content-Type", "text/plain", NULL}, {"X-Only", NULL, token}};
    struct http_request req = {
        .url = url(f, "/echo"), .headers = headers, .n_headers = 4, .method = "POST", .body = "b", .body_len = 1};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_non_null(strstr(r.body, "\r\nAuthorization: Bearer tok3n\r\n"));
    assert_non_null(strstr(r.body, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(r.body, "\r\nX-Only: tok3n\r\n"));
    assert_non_null(strstr(r.body, "\r\nContent-Type: text/plain\r\n"));
    const struct http_header bad[] = {{"X-Evil", "a\r\nHost: elsewhere", NULL}};
    req.headers = bad;
    req.n_headers = 1;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_INVALID);
    assert_string_equal(f->err.message, "a line break in the header X-Evil");
}

static int64_t three_pieces(void *arg, void *to, size_t cap) {
    int *n = arg;
    (void) cap;
    if (*n < 0) return -1;
    if (*n == 3) return 0;
    memcpy(to, "piece", 5);
    ++*n;
    return 5;
}

static void test_streamed_upload(void **state) {
    struct fixture *f = *state;
    int n = 0;
    struct http_request req = {
        .url = url(f, "/echo"), .method = "PUT", .read_body = three_pieces, .read_arg = &n, .read_body_len = 15};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_true(str_ends(r.body, "\r\n\r\npiecepiecepiece"));
    n = 0;
    req.method = "POST";
    req.read_body_len = -1;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_true(str_starts(r.body, "POST "));
    assert_true(str_ends(r.body, "0\r\n\r\n"));
    assert_non_null(strstr(r.body, "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n"));
    n = -1;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_IO);
}

static void test_limits(void **state) {
    struct fixture *f = *state;
    struct http_request req = {.url = url(f, "/megabytes"), .max_body = 1000};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_LIMIT);
    assert_non_null(strstr(f->err.message, "larger than 1000 bytes"));
    assert_int_equal(get(f, "/megabytes", &r), -ERR_LIMIT); /* the default is 16 MiB */
    assert_int_equal(get(f, "/echo", &r), 0);
}

static void test_failures(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    assert_int_equal(bind(fd, (void *) &in, sizeof in), 0); /* bound but not listening: refuses */
    getsockname(fd, (void *) &in, &len);
    struct http_request req = {.url = arena_printf(f->arena, "http://127.0.0.1:%d/x?secret=1", ntohs(in.sin_port))};
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_UNAVAILABLE);
    assert_string_equal(f->err.message,
                        arena_printf(f->arena, "cannot reach 127.0.0.1:%d: Connection refused", ntohs(in.sin_port)));
    assert_true(f->err.retryable);
    close(fd);
    assert_int_equal(get(f, "/drop", &r), -ERR_UNAVAILABLE);
    assert_true(f->err.retryable);
    assert_int_equal(get(f, "/garbage", &r), -ERR_PROTOCOL);
    assert_non_null(strstr(f->err.message, "doesn't speak HTTP"));
    static const char *const bad[] = {"ftp://127.0.0.1/", "127.0.0.1", "", "http://", "http://127.0.0.1:99999/?sig=abc"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        req.url = bad[i];
        assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_INVALID);
        assert_null(strstr(f->err.message, "abc"));
    }
}

static int64_t elapsed(int64_t since) { return clock_system.now(NULL) - since; }

static void *cancel_soon(void *arg) {
    usleep(50000);
    cancel_request(arg);
    return NULL;
}

static void test_cancel_and_time(void **state) {
    struct fixture *f = *state;
    struct http_response r;
    int64_t start = clock_system.now(NULL);
    struct ctx short_ctx = ctx_with_timeout(&f->ctx, 60);
    struct http_request req = {.url = url(f, "/silence")};
    assert_int_equal(http_send(f->http, &short_ctx, &req, &r, &f->err), -ERR_TIMEOUT);
    req.idle_timeout = 60;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_TIMEOUT);
    assert_non_null(strstr(f->err.message, "no byte came for"));
    assert_true(f->err.retryable);
    pthread_t t;
    pthread_create(&t, NULL, cancel_soon, f->cancel);
    req.idle_timeout = -1;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_CANCELLED);
    pthread_join(t, NULL);
    assert_true(elapsed(start) < 1000);
    assert_int_equal(get(f, "/echo", &r), -ERR_CANCELLED);
}

struct seen {
    struct fixture *f;
    struct buf text;
    int chunks, fail_at, status;
    int fail_headers;
};

static int on_headers(void *arg, int status, struct err *err) {
    (void) err;
    struct seen *s = arg;
    assert_int_equal(s->chunks, 0);
    s->status = status;
    return s->fail_headers;
}

static int on_step(void *arg, const char *data, size_t len, struct err *err) {
    struct seen *s = arg;
    buf_add(&s->text, data, len);
    if (++s->chunks == s->fail_at) return err_set(err, ERR_FAILED, "enough");
    return write(s->f->gate[1], "", 1) == 1 ? 0 : -ERR_IO;
}

static void test_stream(void **state) {
    struct fixture *f = *state;
    struct seen seen = {.f = f};
    struct http_request req = {
        .url = url(f, "/steps"), .on_body = on_step, .on_headers = on_headers, .arg = &seen, .idle_timeout = 5000};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_int_equal(seen.status, 200);
    assert_int_equal(seen.chunks, 5);
    assert_string_equal(seen.text.data, "step 0step 1step 2step 3step 4");
    assert_string_equal(r.body, "");
    assert_null(http_header_get(&r, "X-Trailer"));
    buf_done(&seen.text);

    seen = (struct seen){.f = f, .fail_at = 2};
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_FAILED);
    assert_string_equal(f->err.message, "enough");
    assert_int_equal(seen.chunks, 2);
    buf_done(&seen.text);

    seen = (struct seen){.f = f, .fail_headers = -ERR_CONFLICT};
    err_done(&f->err);
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_CONFLICT);
    assert_int_equal(f->err.code, ERR_CONFLICT);

    /* What isn't 2xx is collected. */
    seen = (struct seen){.f = f};
    req.url = url(f, "/teapot");
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_int_equal(seen.status, 418);
    assert_int_equal(seen.chunks, 0);
    assert_string_equal(r.body, "short and stout");
}

struct slow {
    struct server *server;
    size_t got;
    long sent_while_slow;
};

static int on_slow(void *arg, const char *data, size_t len, struct err *err) {
    (void) data;
    (void) err;
    struct slow *s = arg;
    if (!s->got) {
        usleep(300000);
        s->sent_while_slow = atomic_load(&s->server->sent);
    }
    s->got += len;
    return 0;
}

static void test_backpressure(void **state) {
    struct fixture *f = *state;
    struct slow slow = {.server = &f->server};
    struct http_request req = {.url = url(f, "/megabytes"), .on_body = on_slow, .arg = &slow};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_int_equal(slow.got, 64 << 20);
    assert_true(slow.sent_while_slow < 32 << 20); /* queue and socket buffers; without a stop it would be all 64 MiB */
}

static void *get_echo(void *arg) {
    struct fixture *f = arg;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    long bad = 0;
    for (int i = 0; i < 20; i++) {
        struct http_request req = {.url = arena_printf(a, "%s/echo/%d", f->server.url, i)};
        struct http_response r;
        bad += http_send(f->http, &ctx, &req, &r, NULL) < 0 || r.status != 200 ||
               !str_starts(r.body, arena_printf(a, "GET /echo/%d HTTP", i));
    }
    return (void *) bad;
}

static void test_threads(void **state) {
    struct fixture *f = *state;
    pthread_t t[8];
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) pthread_create(&t[i], NULL, get_echo, f);
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    assert_true(atomic_load(&f->server.n_conns) <= 8);
}

static void test_unix_socket(void **state) {
    struct fixture *f = *state;
    struct server s = {0};
    snprintf(s.socket_path, sizeof s.socket_path, "/tmp/gpudev-test-%d.sock", (int) getpid());
    unlink(s.socket_path);
    server_start(&s, serve, false);
    struct http_request req = {.url = "http://docker/echo", .unix_socket = s.socket_path};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_non_null(strstr(r.body, "Host: docker\r\n"));
    req.unix_socket = "/tmp/gpudev-test-no-such.sock";
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_NOT_FOUND);
    assert_string_equal(f->err.message, "cannot reach unix:///tmp/gpudev-test-no-such.sock: No such file or directory");
    server_stop(&s);
}

static void test_proxy(void **state) {
    struct fixture *f = *state;
    setenv("http_proxy", f->server.url, 1);
    struct http_request req = {.url = "http://peer.example/echo"};
    struct http_response r;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_true(str_starts(r.body, "GET http://peer.example/echo HTTP/1.1\r\n"));
    unsetenv("http_proxy");
    setenv("HTTP_PROXY", f->server.url, 1);
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), 0);
    assert_true(str_starts(r.body, "GET http://peer.example/echo HTTP/1.1\r\n"));
    assert_int_equal(get(f, "/echo", &r), 0); /* loopback goes directly */
    assert_true(str_starts(r.body, "GET /echo HTTP/1.1\r\n"));
    unsetenv("HTTP_PROXY");
    setenv("https_proxy", f->server.url, 1);
    req.url = "https://peer.example/echo";
    assert_int_equal(http_send(f->http, &f->ctx, &req, &r, &f->err), -ERR_UNAVAILABLE);
    assert_string_equal(f->err.message, "cannot reach peer.example: the proxy refuses to connect to it: HTTP 407");
    assert_non_null(strstr(f->err.hint, "user name and a password"));
    assert_false(f->err.retryable);
    unsetenv("https_proxy");
}

static void test_text(void **state) {
    struct fixture *f = *state;
    assert_string_equal(http_encode(f->arena, "a b/c~é+", false), "a%20b%2Fc~%C3%A9%2B");
    assert_string_equal(http_encode(f->arena, "a/b", true), "a/b");
    struct http_header h = {"retry-after", "7", NULL};
    struct http_response r = {.headers = &h, .n_headers = 1};
    assert_int_equal(http_retry_after(&r), 7000);
    h.value = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_int_equal(http_retry_after(&r), 0);
    h.value = "soon";
    assert_int_equal(http_retry_after(&r), -1);
    r.n_headers = 0;
    assert_int_equal(http_retry_after(&r), -1);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_get),    T(test_methods_and_bodies), T(test_headers),      T(test_streamed_upload), T(test_limits),
        T(test_stream), T(test_failures),           T(test_backpressure), T(test_threads),         T(test_unix_socket),
        T(test_proxy),  T(test_cancel_and_time),    T(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
