#pragma once

#include <stdint.h>

struct arena;

/* RFC 3339 times, as the API writes them. */
int64_t kube_time_parse(const char *text); /* ms since the epoch; -1 if NULL or malformed */
char *kube_time_text(struct arena *a, int64_t ms); /* "2026-01-02T03:04:05Z" */
char *kube_span_text(struct arena *a, int64_t ms); /* "2m10s", "45s" */
