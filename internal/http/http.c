/* Requests: what the loop's callbacks collect, and the caller's side of it. */
#include "http/http.h"

#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "http/internal.h"

enum {
    QUEUE_MAX = 4 << 20, /* a streamed body waits in at most this much memory before the peer is slowed down */
    HEADERS_MAX = 256 * 1024,
    BODY_MAX = 16 << 20,
    IDLE_TIMEOUT = 60000,
};

struct http *http_new(const char *user_agent) {
    struct http *h = NEW(struct http);
    atomic_init(&h->refs, 1);
    h->user_agent = mem_strdup(user_agent);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

struct http *http_ref(struct http *h) {
    if (h) atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void http_unref(struct http *h) {
    if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) return;
    loop_stop(h);
    pthread_mutex_destroy(&h->lock);
    mem_free(h->user_agent);
    mem_free(h);
}

/* ---- in the loop's thread ---- */

static int64_t now(void) { return clock_system.now(NULL); }

static int parse_status(const char *line, size_t len) {
    const char *space = memchr(line, ' ', len);
    if (!space || len - (size_t) (space - line) < 4) return 0;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (!isdigit((unsigned char) space[i])) return 0;
        status = status * 10 + (space[i] - '0');
    }
    return status;
}

/* One line a call. Replies 1xx come first and are dropped; trailers come after the body and are dropped too. */
static size_t on_header_line(char *line, size_t size, size_t n, void *arg) {
    struct xfer *x = arg;
    size_t len = size * n;
    pthread_mutex_lock(&x->w.lock);
    if (!x->headers_done) {
        if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
            buf_reset(&x->headers);
            x->status = parse_status(line, len);
        } else if (len <= 2) {
            x->headers_done = x->status >= 200 || x->status == 101;
            x->streaming = x->want_stream && x->status / 100 == 2;
            if (x->headers_done) waiter_wake(&x->w);
        } else {
            buf_add(&x->headers, line, len);
        }
    }
    bool overflow = x->headers.overflow;
    x->too_large |= overflow;
    pthread_mutex_unlock(&x->w.lock);
    return overflow ? 0 : len;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    struct xfer *x = arg;
    size_t len = size * n, taken = len;
    pthread_mutex_lock(&x->w.lock);
    if (x->streaming && x->body.len && x->body.len + len > QUEUE_MAX) {
        x->paused = true;
        taken = CURL_WRITEFUNC_PAUSE;
    } else if (!x->streaming && x->body.len + len > x->max_body) {
        x->too_large = true;
        taken = 0;
    } else {
        buf_add(&x->body, data, len);
        if (x->streaming) waiter_wake(&x->w);
    }
    pthread_mutex_unlock(&x->w.lock);
    return taken;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg) {
    struct xfer *x = arg;
    int64_t got = x->req->read_body(x->req->read_arg, to, size * n);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t) got;
}

static int on_progress(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total, curl_off_t ul) {
    (void) dl_total;
    (void) ul_total;
    struct xfer *x = arg;
    if (dl + ul != x->moved) {
        x->moved = dl + ul;
        atomic_store(&x->active, now());
    }
    return 0;
}

/* ---- in the caller's thread ---- */

static int xfer_init(struct xfer *x, const struct http *h, const struct http_request *req, struct err *err) {
    waiter_init(&x->w);
    x->req = req;
    x->max_body = req->max_body ? req->max_body : BODY_MAX;
    x->want_stream = req->on_body != NULL;
    x->headers.max = HEADERS_MAX;
    atomic_init(&x->active, now());
    int r = easy_init(&x->easy, req, h->user_agent, err);
    if (r == 0) r = easy_set_request(&x->easy, req, err);
    if (r < 0) return r;
    CURL *c = x->easy.curl;
    curl_easy_setopt(c, CURLOPT_PRIVATE, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header_line);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    if (req->read_body) {
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
    }
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    return 0;
}

static void xfer_done(struct xfer *x) {
    easy_done(&x->easy);
    buf_wipe(&x->headers);
    if (x->req->sensitive)
        buf_wipe(&x->body);
    else
        buf_done(&x->body);
    waiter_done(&x->w);
}

/* Waits for news with x->w.lock held. */
static int wait_news(struct xfer *x, const struct ctx *ctx, struct err *err) {
    int64_t limit = x->req->idle_timeout ? x->req->idle_timeout : IDLE_TIMEOUT;
    if (limit < 0) return waiter_wait(&x->w, ctx, err);
    int64_t left = atomic_load(&x->active) + limit - now();
    if (left > 0) return waiter_wait_ms(&x->w, ctx, left, err);
    int r = err_set(err, ERR_TIMEOUT, "no byte came for %lld s", (long long) (limit + 999) / 1000);
    if (err) err->retryable = true;
    return r;
}

/* A callback of the caller that fails without a word still ends the request. */
static int spoken(int r, struct err *err) {
    if (r < 0 && err && !err->code) err_set(err, (enum err_code) - r, "the reply was refused");
    return r;
}

/* Takes what is queued and gives it away without the lock. */
static int hand_over(struct http *h, struct xfer *x, struct buf *chunk, struct err *err) {
    struct buf empty = *chunk;
    *chunk = x->body;
    x->body = empty;
    buf_reset(&x->body);
    bool resume = x->paused;
    x->paused = false;
    pthread_mutex_unlock(&x->w.lock);
    if (resume) loop_resume(h, x);
    int r = spoken(x->req->on_body(x->req->arg, chunk->data, chunk->len, err), err);
    atomic_store(&x->active, now()); /* a slow caller is not a silent peer */
    pthread_mutex_lock(&x->w.lock);
    return r;
}

static int consume(struct http *h, struct xfer *x, struct ctx *ctx, bool *ret_refused, struct err *err) {
    struct buf chunk = {0};
    bool told = x->req->on_headers == NULL;
    int r = 0;
    pthread_mutex_lock(&x->w.lock);
    while (r >= 0) {
        if (x->headers_done && !told) {
            told = true;
            pthread_mutex_unlock(&x->w.lock);
            r = spoken(x->req->on_headers(x->req->arg, x->status, err), err);
            pthread_mutex_lock(&x->w.lock);
            *ret_refused = r < 0;
        } else if (x->streaming && x->body.len) {
            r = ctx_check(ctx, err);
            if (r == 0) *ret_refused = (r = hand_over(h, x, &chunk, err)) < 0;
        } else if (x->done) {
            break;
        } else {
            r = wait_news(x, ctx, err);
        }
    }
    pthread_mutex_unlock(&x->w.lock);
    if (x->req->sensitive)
        buf_wipe(&chunk);
    else
        buf_done(&chunk);
    return r < 0 ? r : 0;
}

/* The loop answers at once, so no context interrupts this. */
static void drop(struct http *h, struct xfer *x) {
    loop_remove(h, x);
    pthread_mutex_lock(&x->w.lock);
    while (!x->done) pthread_cond_wait(&x->w.cond, &x->w.lock);
    pthread_mutex_unlock(&x->w.lock);
}

static size_t count_lines(const struct buf *b) {
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++) n += b->data[i] == '\n';
    return n;
}

static void read_headers(struct arena *a, const struct buf *raw, struct http_response *ret) {
    struct http_header *list = arena_array(a, count_lines(raw) + 1, sizeof *list);
    size_t n = 0;
    for (const char *line = buf_str(raw), *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (!end) break;
        const char *colon = memchr(line, ':', (size_t) (end - line));
        if (!colon) continue;
        list[n].name = str_trim(a, arena_strndup(a, line, (size_t) (colon - line)));
        list[n++].value = str_trim(a, arena_strndup(a, colon + 1, (size_t) (end - colon - 1)));
    }
    ret->headers = list;
    ret->n_headers = n;
}

static int conclude(const struct xfer *x, struct ctx *ctx, struct http_response *ret, struct err *err) {
    if (x->too_large) return err_set(err, ERR_LIMIT, "the reply of %s is larger than %zu bytes", x->easy.target.label, x->max_body);
    if (x->result != CURLE_OK) return easy_failed(&x->easy, x->result, err);
    if (!x->status) return err_set(err, ERR_PROTOCOL, "%s doesn't speak HTTP", x->easy.target.label);
    if (!ret) return 0;
    *ret = (struct http_response){.status = x->status, .body = ""};
    read_headers(ctx->arena, &x->headers, ret);
    if (x->streaming) return 0;
    ret->body = arena_dup(ctx->arena, x->body.data, x->body.len);
    ret->body_len = x->body.len;
    return 0;
}

int http_send(struct http *h, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    int r = ctx_check(ctx, err);
    if (r < 0) return r;
    struct xfer x = {0};
    bool refused = false;
    r = xfer_init(&x, h, req, err);
    if (r == 0) r = loop_add(h, &x, err);
    if (r == 0) {
        uint64_t id = waiter_bind(&x.w, ctx);
        r = consume(h, &x, ctx, &refused, err);
        if (r < 0) drop(h, &x);
        waiter_unbind(ctx, id);
        if (r == 0)
            r = conclude(&x, ctx, ret, err);
        else if (!refused)
            err_wrap(err, "waiting for %s", x.easy.target.label);
    }
    log_debug(ctx, "HTTP %s %s: %d", req->method ? req->method : "GET", x.easy.target.label ? x.easy.target.label : "?",
              r < 0 ? r : x.status);
    xfer_done(&x);
    return r;
}

static int send_by(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    return http_send(self, ctx, req, ret, err);
}

struct http_sender http_sender(struct http *h) {
    return (struct http_sender){.send = send_by, .self = h};
}
