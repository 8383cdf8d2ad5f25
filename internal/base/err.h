#pragma once

#include <stdarg.h>
#include <stdbool.h>

/* Errors. A fallible function takes `struct err *err` last, returns 0 or a negative `-enum err_code`, and fills err
 * on failure only. An expected "not found" is a documented positive return, not an error. Errors never hold secrets.
 * err may be NULL where the caller needs no text. */

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,         /* what the user gave can't be used */
    ERR_NOT_FOUND,       /* the thing isn't there */
    ERR_EXISTS,          /* the thing is there already */
    ERR_CONFLICT,        /* somebody else's change is in the way */
    ERR_UNAUTHENTICATED, /* no or bad credentials (401, expired token) */
    ERR_DENIED,          /* credentials are good, the right is missing (403) */
    ERR_LIMIT,           /* a quota, or a size that is capped here */
    ERR_THROTTLED,       /* 429 and the like */
    ERR_UNAVAILABLE,     /* no connection, 5xx */
    ERR_TIMEOUT,         /* a deadline passed */
    ERR_CANCELLED,       /* the user stopped it */
    ERR_IO,              /* files, pipes, disk */
    ERR_PROTOCOL,        /* the peer says what it must not say */
    ERR_UNSUPPORTED,     /* the peer is too old or lacks the feature */
    ERR_FAILED,          /* the asked work itself failed (a build step, a rollout) */
    ERR_INTERNAL,
};

struct err {
    enum err_code code;
    char *message;    /* one sentence: what failed, on what, why */
    char *hint;       /* what to do, or NULL */
    char *detail;     /* further lines: log tail, events; or NULL */
    char *file;       /* the file the message is about, or NULL */
    int line;         /* in file; 0 unknown */
    int http_status;  /* 0 when no HTTP reply is behind it */
    char *request_id; /* the peer's name for the request, or NULL */
    int retry_after;  /* seconds the peer asks to wait; 0 none */
    bool retryable;   /* the same call may succeed later */
};

#define AUTO_ERR __attribute__((cleanup(err_done)))

void err_done(struct err *err); /* frees the texts and zeroes; safe twice */
void err_move(struct err *to, struct err *from);

/* Sets code and message (an earlier content is dropped); returns -code. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* ": strerror(errnum)" is added; ENOENT and EACCES get their codes, the rest is ERR_IO. */
int err_errno(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the message; returns -code, so that `return err_wrap(…)` forwards. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_detail(struct err *err, const char *text);
void err_at(struct err *err, const char *file, int line);
const char *err_text(const struct err *err); /* the message, never NULL */
const char *err_code_name(enum err_code code);
