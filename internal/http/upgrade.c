/* Raw byte streams: a connection by curl (proxies, unix sockets, TLS), with or without an Upgrade request. curl only
 * connects; what is sent and read is done here, so that no byte behind the blank line is taken from the peer's next
 * protocol. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "http/stream.h"

enum { REPLY_MAX = 64 * 1024, REPLY_TIMEOUT = 60000 };

static void wake(void *multi) { curl_multi_wakeup(multi); }

void stream_free(struct stream *s) {
    if (!s) return;
    if (s->multi && s->easy.curl) curl_multi_remove_handle(s->multi, s->easy.curl);
    easy_done(&s->easy);
    if (s->multi) curl_multi_cleanup(s->multi);
    mem_free(s);
}

static void stream_free_p(struct stream **s) { stream_free(*s); }
#define AUTO_STREAM CLEANUP(stream_free_p)

/* Waits for the socket (events of poll, 0: only what curl itself waits for) or a cancel. */
static int wait_socket(struct stream *s, const struct ctx *ctx, short events, struct err *err) {
    int r = ctx_check(ctx, err);
    if (r < 0) return err_wrap(err, "waiting for %s", s->easy.target.label);
    int64_t left = ctx_left(ctx), own = s->give_up - clock_system.now(NULL);
    if (events && own <= 0) return err_set(err, ERR_TIMEOUT, "%s doesn't answer", s->easy.target.label);
    if (left < 0 || left > 1000) left = 1000;
    struct curl_waitfd fd = {.fd = s->sock, .events = events};
    curl_multi_poll(s->multi, &fd, events ? 1 : 0, (int) left, NULL);
    return 0;
}

static int run_connect(struct stream *s, const struct ctx *ctx, struct err *err) {
    for (;;) {
        int running, left;
        curl_multi_perform(s->multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
            if (m->msg != CURLMSG_DONE) continue;
            return m->data.result == CURLE_OK ? 0 : easy_failed(&s->easy, m->data.result, err);
        }
        int r = wait_socket(s, ctx, 0, err);
        if (r < 0) return r;
    }
}

static int stream_open(struct ctx *ctx, const struct http_request *req, struct stream **ret, struct err *err) {
    AUTO_STREAM struct stream *s = NEW(struct stream);
    int r = easy_init(&s->easy, req, NULL, err);
    if (r < 0) return r;
    curl_easy_setopt(s->easy.curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(s->easy.curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(s->easy.curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    s->multi = curl_multi_init();
    if (!s->multi || curl_multi_add_handle(s->multi, s->easy.curl) != CURLM_OK) mem_abort();
    uint64_t id = cancel_on(ctx->cancel, wake, s->multi);
    r = run_connect(s, ctx, err);
    cancel_off(ctx->cancel, id);
    if (r < 0) return r;
    if (curl_easy_getinfo(s->easy.curl, CURLINFO_ACTIVESOCKET, &s->sock) != CURLE_OK || s->sock == CURL_SOCKET_BAD)
        return err_set(err, ERR_UNAVAILABLE, "the connection to %s is gone", s->easy.target.label);
    s->give_up = clock_system.now(NULL) + (req->idle_timeout > 0 ? req->idle_timeout : REPLY_TIMEOUT);
    *ret = TAKE_PTR(s);
    return 0;
}

static int broken(const struct stream *s, struct err *err) {
    int r = err_set(err, ERR_UNAVAILABLE, "%s closed the connection", s->easy.target.label);
    if (err) err->retryable = true;
    return r;
}

static int send_all(struct stream *s, const struct ctx *ctx, const char *data, size_t len, struct err *err) {
    while (len) {
        size_t n = 0;
        CURLcode code = curl_easy_send(s->easy.curl, data, len, &n);
        if (code != CURLE_OK && code != CURLE_AGAIN) return broken(s, err);
        data += n;
        len -= n;
        int r = n ? 0 : wait_socket(s, ctx, CURL_WAIT_POLLOUT, err);
        if (r < 0) return r;
    }
    return 0;
}

/* 0 with at least one byte, 1 at the end. */
static int receive(struct stream *s, const struct ctx *ctx, char *to, size_t cap, size_t *ret_n, struct err *err) {
    for (;;) {
        CURLcode code = curl_easy_recv(s->easy.curl, to, cap, ret_n);
        if (code == CURLE_OK) return *ret_n ? 0 : 1;
        if (code != CURLE_AGAIN) return broken(s, err);
        int r = wait_socket(s, ctx, CURL_WAIT_POLLIN, err);
        if (r < 0) return r;
    }
}

/* Byte by byte: the peer's first bytes in the new protocol can follow at once. */
static int read_head(struct stream *s, const struct ctx *ctx, struct buf *head, struct err *err) {
    while (!str_ends(buf_str(head), "\r\n\r\n")) {
        char c;
        size_t n;
        int r = receive(s, ctx, &c, 1, &n, err);
        if (r > 0) return broken(s, err);
        if (r < 0) return r;
        if (!c || head->len >= REPLY_MAX) return err_set(err, ERR_PROTOCOL, "%s doesn't speak HTTP", s->easy.target.label);
        buf_addc(head, c);
    }
    return 0;
}

static const char *head_value(const char *head, const char *name) {
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':') continue;
        const char *value = line + 3 + len;
        return value + strspn(value, " \t");
    }
    return NULL;
}

static enum err_code code_of(int status) {
    switch (status) {
        case 401: return ERR_UNAUTHENTICATED;
        case 403: return ERR_DENIED;
        case 404: return ERR_NOT_FOUND;
        case 409: return ERR_CONFLICT;
        case 429: return ERR_THROTTLED;
        default: return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
    }
}

/* The reply wasn't 101: its body says why. */
static int refused(struct stream *s, struct ctx *ctx, const char *head, int status, const char *protocol, struct err *err) {
    AUTO_BUF struct buf body = {.max = REPLY_MAX};
    const char *length = head_value(head, "Content-Length");
    long left = length ? strtol(length, NULL, 10) : 0;
    while (left > 0 && !body.overflow) {
        char piece[1024];
        size_t n;
        if (receive(s, ctx, piece, left < (long) sizeof piece ? (size_t) left : sizeof piece, &n, NULL) != 0) break;
        buf_add(&body, piece, n);
        left -= (long) n;
    }
    int r = err_set(err, code_of(status), "%s doesn't switch to %s: HTTP %d", s->easy.target.label, protocol, status);
    if (err) {
        err->http_status = status;
        err->retryable = status >= 500;
        if (body.len) err_detail(err, text_tail(ctx->arena, text_clean(ctx->arena, body.data, body.len), 20, 4096));
    }
    return r;
}

static int write_request(struct buf *b, const struct stream *s, const struct http_request *req, const char *protocol,
                         struct err *err) {
    AUTO_FREE char *host = target_authority(&s->easy.target);
    buf_addf(b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n", req->method ? req->method : "POST",
             s->easy.target.path, host, protocol);
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_header *h = &req->headers[i];
        int r = header_check(h, err);
        if (r < 0) return r;
        buf_addf(b, "%s: %s", h->name, h->value ? h->value : "");
        buf_adds(b, secret_bytes(h->secret));
        buf_adds(b, "\r\n");
    }
    buf_addf(b, "Content-Length: %zu\r\n\r\n", req->body_len);
    buf_add(b, req->body, req->body_len);
    return 0;
}

static int handshake(struct stream *s, struct ctx *ctx, const struct http_request *req, const char *protocol, struct err *err) {
    struct buf request = {0};
    AUTO_BUF struct buf head = {0};
    int r = write_request(&request, s, req, protocol, err);
    if (r == 0) r = send_all(s, ctx, request.data, request.len, err);
    buf_wipe(&request);
    if (r == 0) r = read_head(s, ctx, &head, err);
    if (r < 0) return r;
    int status = str_starts(head.data, "HTTP/1.") && head.len > 12 ? (int) strtol(head.data + 9, NULL, 10) : 0;
    if (status < 100) return err_set(err, ERR_PROTOCOL, "%s doesn't speak HTTP", s->easy.target.label);
    return status == 101 ? 0 : refused(s, ctx, head.data, status, protocol, err);
}

/* The socket itself, in blocking mode, where nothing lies between it and the bytes; else the end of a pump. */
static int give_fd(struct stream **s, int *ret_fd, struct err *err) {
    if ((*s)->easy.target.tls) return stream_pump(s, ret_fd, err);
    int fd = fcntl((*s)->sock, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return err_errno(err, errno, "cannot keep the connection to %s", (*s)->easy.target.label);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    *ret_fd = fd;
    return 0;
}

int http_upgrade(struct ctx *ctx, const struct http_request *req, const char *protocol, int *ret_fd, struct err *err) {
    AUTO_STREAM struct stream *s = NULL;
    int r = stream_open(ctx, req, &s, err);
    if (r < 0) return r;
    uint64_t id = cancel_on(ctx->cancel, wake, s->multi);
    r = handshake(s, ctx, req, protocol, err);
    cancel_off(ctx->cancel, id);
    return r < 0 ? r : give_fd(&s, ret_fd, err);
}

int http_connect(struct ctx *ctx, const struct http_request *req, int *ret_fd, struct err *err) {
    AUTO_STREAM struct stream *s = NULL;
    int r = stream_open(ctx, req, &s, err);
    return r < 0 ? r : give_fd(&s, ret_fd, err);
}
