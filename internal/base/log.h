#pragma once

#include <stdbool.h>

struct ctx;

/* Log lines in the form that OpenTofu reads from a provider's stderr (hclog JSON: @level, @message, @timestamp with
 * six fraction digits, all three strings). Levels come from TF_LOG_PROVIDER_GPUDEV, TF_LOG_PROVIDER, TF_LOG (the first
 * that is set); without any, nothing is written. Library code logs at most debug. */
enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

struct log_scope { /* fields that every line of one call carries; NULL is left out */
    const char *rpc;           /* tf_rpc */
    const char *req_id;        /* tf_req_id */
    const char *resource_type; /* tf_resource_type */
};

void log_init(void); /* reads the environment; without it the level is LOG_OFF */
bool log_enabled(enum log_level level);
/* ctx may be NULL. Never pass a secret. */
void log_write(const struct ctx *ctx, enum log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_trace(ctx, ...) (log_enabled(LOG_TRACE) ? log_write((ctx), LOG_TRACE, __VA_ARGS__) : (void) 0)
#define log_debug(ctx, ...) (log_enabled(LOG_DEBUG) ? log_write((ctx), LOG_DEBUG, __VA_ARGS__) : (void) 0)
#define log_info(ctx, ...) (log_enabled(LOG_INFO) ? log_write((ctx), LOG_INFO, __VA_ARGS__) : (void) 0)
#define log_warn(ctx, ...) (log_enabled(LOG_WARN) ? log_write((ctx), LOG_WARN, __VA_ARGS__) : (void) 0)
#define log_error(ctx, ...) (log_enabled(LOG_ERROR) ? log_write((ctx), LOG_ERROR, __VA_ARGS__) : (void) 0)
