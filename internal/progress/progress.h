#pragma once

#include <stdint.h>

struct arena;
struct ctx;

/* What a running build or rollout tells: one line for each thing that finished, on the controlling terminal when there
 * is one (OpenTofu hides a provider's stdout and stderr), and always one JSON object a line in a log file. Lines of
 * several resources never tear. Text is cleaned here. */
struct progress;

enum progress_mode { PROGRESS_AUTO, PROGRESS_OFF };

/* One per resource operation. title: "api-service:latest". The log lies at
 * $GPUDEV_LOG_DIR or STATE_DIR/logs/<time>-<title>-<random>.jsonl, readable by the user only; the 200 newest are kept. A log
 * that can't be written costs the log, not the build. */
struct progress *progress_new(enum progress_mode mode, const char *title);
void progress_free(struct progress *p);
const char *progress_log_path(const struct progress *p); /* NULL when there is no log */

/* A finished step, shown and logged. p may be NULL everywhere. */
void progress_line(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Logged only: event name and a JSON object's members as text ("\"a\":1"), without braces; may be NULL. */
void progress_event(struct progress *p, const char *event, const char *json_members);
/* Output of a step: logged whole, kept for progress_tail (the last 64 KiB). */
void progress_output(struct progress *p, const char *step, const char *data, uint64_t len);
/* The last lines of output (of one step, or of all for NULL), cleaned, in the arena. */
char *progress_tail(struct progress *p, struct arena *a, const char *step, int lines);
