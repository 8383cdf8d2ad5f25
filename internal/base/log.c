#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const names[] = {"trace", "debug", "info", "warn", "error"};
static enum log_level threshold = LOG_OFF;

void log_init(void) {
    static const char *const variables[] = {"TF_LOG_PROVIDER_GPUDEV", "TF_LOG_PROVIDER", "TF_LOG"};
    const char *value = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(variables) && str_empty(value); i++) value = getenv(variables[i]);
    if (str_empty(value) || strcasecmp(value, "off") == 0) return;
    threshold = LOG_TRACE; /* as OpenTofu does for JSON and for words that it doesn't know */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(value, names[i]) == 0) threshold = (enum log_level) i;
}

bool log_enabled(enum log_level level) { return level >= threshold && level < LOG_OFF; }

static void field(struct buf *b, const char *name, const char *value) {
    if (!value) return;
    buf_addf(b, ",\"%s\":", name);
    buf_add_json(b, value, strlen(value));
}

void log_write(const struct ctx *ctx, enum log_level level, const char *fmt, ...) {
    if (!log_enabled(level)) return;
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = mem_vprintf(fmt, ap);
    va_end(ap);
    struct timeval tv;
    gettimeofday(&tv, NULL);
    struct tm tm;
    gmtime_r(&tv.tv_sec, &tm);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    AUTO_BUF struct buf line = {0};
    buf_addf(&line, "{\"@level\":\"%s\",\"@module\":\"gpudev\",\"@timestamp\":\"%s.%06ldZ\",\"@message\":", names[level], stamp,
             (long) tv.tv_usec);
    buf_add_json(&line, message, strlen(message));
    if (ctx && ctx->log) {
        field(&line, "tf_rpc", ctx->log->rpc);
        field(&line, "tf_req_id", ctx->log->req_id);
        field(&line, "tf_resource_type", ctx->log->resource_type);
    }
    buf_adds(&line, "}\n");
    (void) !write(STDERR_FILENO, line.data, line.len); /* one write: lines of several threads don't mix */
}
