#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

void err_done(struct err *err) {
    if (!err) return;
    mem_free(err->message);
    mem_free(err->hint);
    mem_free(err->detail);
    mem_free(err->file);
    mem_free(err->request_id);
    *err = (struct err){0};
}

void err_move(struct err *to, struct err *from) {
    if (to) {
        err_done(to);
        *to = *from;
        *from = (struct err){0};
    } else {
        err_done(from);
    }
}

int err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap) {
    if (!err) return -(int) code;
    char *message = mem_vprintf(fmt, ap); /* before the old texts go: they may be arguments */
    err_done(err);
    err->code = code;
    err->message = message;
    return -(int) code;
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int r = err_vset(err, code, fmt, ap);
    va_end(ap);
    return r;
}

static enum err_code code_of_errno(int errnum) {
    switch (errnum) {
        case ENOENT:
        case ENOTDIR: return ERR_NOT_FOUND;
        case EACCES:
        case EPERM: return ERR_DENIED;
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE: return ERR_UNAVAILABLE;
        case ETIMEDOUT: return ERR_TIMEOUT;
        case ECANCELED: return ERR_CANCELLED;
        default: return ERR_IO;
    }
}

int err_errno(struct err *err, int errnum, const char *fmt, ...) {
    enum err_code code = code_of_errno(errnum);
    if (!err) return -(int) code;
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    char *what = mem_vprintf(fmt, ap);
    va_end(ap);
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *why = strerror_r(errnum, text, sizeof text);
#else
    const char *why = strerror_r(errnum, text, sizeof text) == 0 ? text : "unknown error";
#endif
    int r = err_set(err, code, "%s: %s", what, why);
    mem_free(what);
    return r;
}

int err_wrap(struct err *err, const char *fmt, ...) {
    if (!err) return -(int) ERR_INTERNAL;
    va_list ap;
    va_start(ap, fmt);
    char *context = mem_vprintf(fmt, ap);
    va_end(ap);
    char *message = mem_printf("%s: %s", context, err_text(err));
    mem_free(context);
    mem_free(err->message);
    err->message = message;
    return -(int) (err->code ? err->code : ERR_INTERNAL);
}

void err_hint(struct err *err, const char *fmt, ...) {
    if (!err) return;
    va_list ap;
    va_start(ap, fmt);
    char *hint = mem_vprintf(fmt, ap);
    va_end(ap);
    mem_free(err->hint);
    err->hint = hint;
}

void err_detail(struct err *err, const char *text) {
    if (!err) return;
    char *copy = mem_strdup(text);
    mem_free(err->detail);
    err->detail = copy;
}

void err_at(struct err *err, const char *file, int line) {
    if (!err) return;
    char *copy = mem_strdup(file);
    mem_free(err->file);
    err->file = copy;
    err->line = line;
}

const char *err_text(const struct err *err) { return err && err->message ? err->message : "unknown error"; }

const char *err_code_name(enum err_code code) {
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not found",
        [ERR_EXISTS] = "exists",
        [ERR_CONFLICT] = "conflict",
        [ERR_UNAUTHENTICATED] = "unauthenticated",
        [ERR_DENIED] = "denied",
        [ERR_LIMIT] = "limit",
        [ERR_THROTTLED] = "throttled",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_TIMEOUT] = "timeout",
        [ERR_CANCELLED] = "cancelled",
        [ERR_IO] = "io",
        [ERR_PROTOCOL] = "protocol",
        [ERR_UNSUPPORTED] = "unsupported",
        [ERR_FAILED] = "failed",
        [ERR_INTERNAL] = "internal",
    };
    return (size_t) code < ARRAY_SIZE(names) ? names[code] : "unknown";
}
