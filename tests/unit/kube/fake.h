#pragma once

/* An API server of prepared answers, in the place of HTTP. */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "http/http.h"
#include "kube/kube.h"

struct fake_answer {
    const char *match;  /* a part of "METHOD URL" */
    int status;         /* 0: the connection fails */
    const char *body;   /* of a watch: lines */
    bool hold;          /* a watch stays open until it is cancelled */
    bool cut;           /* a watch breaks off after its body */
    int times;          /* how often it is given; 0: once; -1: always */
    const char *type;   /* Content-Type; NULL: application/json */
    const char *header, *value;
};

struct fake {
    struct fake_answer *answers;
    size_t n;
    int used[64];
    pthread_mutex_t lock;
    struct buf log; /* "METHOD URL [Authorization] body\n" */
};

static struct fake_answer *fake_pick(struct fake *f, const char *line) {
    for (size_t i = 0; i < f->n; i++) {
        struct fake_answer *a = &f->answers[i];
        if (!strstr(line, a->match)) continue;
        if (a->times >= 0 && f->used[i] > (a->times ? a->times - 1 : 0)) continue;
        f->used[i]++;
        return a;
    }
    return NULL;
}

static void fake_log(struct fake *f, const struct http_request *req, const char *line) {
    buf_adds(&f->log, line);
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct http_header *h = &req->headers[i];
        if (str_eq(h->name, "Accept") || str_eq(h->name, "Content-Type")) continue;
        buf_addf(&f->log, " [%s: %s%s]", h->name, h->value, secret_bytes(h->secret));
    }
    if (req->body) buf_addf(&f->log, " %s", (const char *) req->body);
    buf_addc(&f->log, '\n');
}

static int fake_stream(const struct fake_answer *a, struct ctx *ctx, const struct http_request *req, struct err *err) {
    size_t len = strlen(a->body), half = len / 2;
    if (req->on_headers) req->on_headers(req->arg, a->status, err);
    /* In two pieces, so that lines are put together. */
    int r = half ? req->on_body(req->arg, a->body, half, err) : 0;
    if (!r && len > half) r = req->on_body(req->arg, a->body + half, len - half, err);
    if (r < 0) return r;
    if (a->cut) return err_set(err, ERR_UNAVAILABLE, "the connection broke");
    return a->hold ? ctx_sleep(ctx, 60000, err) : 0;
}

static int fake_send(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    struct fake *f = self;
    AUTO_FREE char *line = mem_printf("%s %s", req->method ? req->method : "GET", req->url);
    pthread_mutex_lock(&f->lock);
    fake_log(f, req, line);
    struct fake_answer *a = fake_pick(f, line);
    pthread_mutex_unlock(&f->lock);
    if (!a) return err_set(err, ERR_INTERNAL, "no answer is prepared for %s", line);
    if (!a->status) return err_set(err, ERR_UNAVAILABLE, "connection refused");
    struct http_header *h = arena_array(ctx->arena, 2, sizeof *h);
    h[0] = (struct http_header){.name = "Content-Type", .value = a->type ? a->type : "application/json"};
    h[1] = (struct http_header){.name = a->header, .value = a->value};
    *ret = (struct http_response){.status = a->status, .headers = h, .n_headers = a->header ? 2 : 1, .body = ""};
    if (req->on_body && a->status == 200) return fake_stream(a, ctx, req, err);
    ret->body = arena_strdup(ctx->arena, a->body ? a->body : "");
    ret->body_len = strlen(ret->body);
    return 0;
}

static inline struct kube *fake_open(struct fake *f, struct fake_answer *answers, size_t n, const struct kube_options *o) {
    *f = (struct fake){.answers = answers, .n = n};
    pthread_mutex_init(&f->lock, NULL);
    struct kube *k = NULL;
    const struct kube_options usual = {.host = "https://k"};
    AUTO_ERR struct err err = {0};
    kube_open_sender(o ? o : &usual, (struct http_sender){fake_send, f}, &k, &err);
    return k;
}

static inline void fake_done(struct fake *f) {
    buf_done(&f->log);
    pthread_mutex_destroy(&f->lock);
}

static inline int fake_count(const struct fake *f, const char *part) {
    int n = 0;
    for (const char *s = buf_str(&f->log); (s = strstr(s, part)); s++) n++;
    return n;
}
