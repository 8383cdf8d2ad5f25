#pragma once

/* An environment, files and a service that a test makes up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/internal.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

struct fake_reply {
    int fail; /* negative: no reply, but this error (retryable) */
    int status;
    const char *body;
    const char *header, *value; /* one more header */
};

struct fake {
    struct arena *arena;
    struct ctx ctx;
    struct err err;
    struct aws *aws;
    const struct kv *env; /* ended by a NULL key */
    char dir[64];
    const char *config, *credentials; /* the files' names */
    const struct fake_reply *replies; /* in order; the last one stays */
    int n_replies, n_requests;
    struct buf log; /* a line a request: METHOD URL TARGET BODY */
    char date[32], authorization[512], token[64], ca_file[128];
    int64_t wall; /* ms since the epoch */
    struct clock clock;
};

static inline const char *fake_env(void *self, const char *name) {
    struct fake *f = self;
    if (str_eq(name, "AWS_CONFIG_FILE")) return f->config;
    if (str_eq(name, "AWS_SHARED_CREDENTIALS_FILE")) return f->credentials;
    for (const struct kv *e = f->env; e && e->key; e++)
        if (str_eq(e->key, name)) return e->value;
    return NULL;
}

static inline const char *fake_header(const struct http_request *req, const char *name) {
    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq(req->headers[i].name, name)) return req->headers[i].value;
    return "";
}

static inline int fake_send(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret,
                            struct err *err) {
    struct fake *f = self;
    const struct fake_reply *r = &f->replies[f->n_requests < f->n_replies ? f->n_requests : f->n_replies - 1];
    f->n_requests++;
    const char *target = strrchr(fake_header(req, "X-Amz-Target"), '.');
    buf_addf(&f->log, "%s %s %s %.*s\n", req->method, req->url, target ? target + 1 : "-", (int) req->body_len,
             (const char *) req->body);
    snprintf(f->date, sizeof f->date, "%s", fake_header(req, "X-Amz-Date"));
    snprintf(f->authorization, sizeof f->authorization, "%s", fake_header(req, "Authorization"));
    snprintf(f->ca_file, sizeof f->ca_file, "%s", req->tls && req->tls->ca_file ? req->tls->ca_file : "");
    f->token[0] = 0;
    for (size_t i = 0; i < req->n_headers; i++)
        if (str_eq(req->headers[i].name, "X-Amz-Security-Token"))
            snprintf(f->token, sizeof f->token, "%s", secret_bytes(req->headers[i].secret));
    if (r->fail) {
        int e = err_set(err, (enum err_code) - r->fail, "no reply");
        if (err) err->retryable = r->fail != -ERR_CANCELLED;
        return e;
    }
    struct http_header *h = arena_array(ctx->arena, 2, sizeof *h);
    h[0] = (struct http_header){"x-amzn-RequestId", "req-1", NULL};
    if (r->header) h[1] = (struct http_header){r->header, r->value, NULL};
    *ret = (struct http_response){.status = r->status,
                                  .headers = h,
                                  .n_headers = r->header ? 2 : 1,
                                  .body = arena_strdup(ctx->arena, r->body),
                                  .body_len = strlen(r->body)};
    return 0;
}

static inline int64_t fake_now(void *self) {
    struct fake *f = self;
    return f->wall;
}

static inline void fake_file(struct fake *f, const char *path, const char *text) {
    (void) f;
    if (fs_write_atomic(path, text, strlen(text), 0600, NULL) < 0) abort();
}

static inline struct fake *fake_new(void) {
    struct fake *f = NEW(struct fake);
    f->arena = arena_new();
    snprintf(f->dir, sizeof f->dir, "/tmp/gpudev-test-aws-XXXXXX");
    if (!mkdtemp(f->dir)) abort();
    f->config = arena_printf(f->arena, "%s/config", f->dir);
    f->credentials = arena_printf(f->arena, "%s/credentials", f->dir);
    f->wall = 1767323045000; /* 2026-01-02T03:04:05Z */
    f->clock = (struct clock){.now = clock_system.now, .wall = fake_now, .self = f};
    f->ctx = (struct ctx){.arena = f->arena, .clock = &f->clock};
    return f;
}

static inline double fake_no_delay(void) { return 0; }

/* Options beyond those that make the fake: region and keys and so on. */
static inline void fake_open(struct fake *f, struct aws_options opt) {
    aws_free(f->aws);
    opt.getenv = fake_env;
    opt.getenv_self = f;
    struct http_sender http = {.send = fake_send, .self = f};
    f->aws = aws_new(&opt, &http);
    f->aws->random = fake_no_delay;
    f->n_requests = 0;
    buf_reset(&f->log);
}

static inline void fake_answer(struct fake *f, const struct fake_reply *replies, int n) {
    f->replies = replies;
    f->n_replies = n;
    f->n_requests = 0;
    buf_reset(&f->log);
}

static inline void fake_free(struct fake *f) {
    aws_free(f->aws);
    unlink(f->config);
    unlink(f->credentials);
    rmdir(f->dir);
    buf_done(&f->log);
    err_done(&f->err);
    arena_free(f->arena);
    mem_free(f);
}
