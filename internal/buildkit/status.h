#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* What a build tells while it runs: StatusResponse messages folded into one line for each finished step. */

struct bk_status_sink {                         /* called in the thread that adds; all may be NULL */
    void (*line)(void *self, const char *text); /* "[build 4/9] RUN make 12.3s" */
    void (*output)(void *self, const char *step, const char *data, size_t len);
    void *self;
};

struct bk_status;
struct bk_status *bk_status_new(const struct bk_status_sink *sink); /* copied */
void bk_status_free(struct bk_status *s);

/* One StatusResponse. Negative only if it can't be decoded. */
int bk_status_add(struct bk_status *s, const void *msg, size_t len, struct err *err);
void bk_status_end(struct bk_status *s); /* gives the lines that were held back */

struct bk_step {
    const char *name;  /* "[build 4/9] RUN make", cleaned, one line */
    const char *error; /* the daemon's text, cleaned */
    const char *tail;  /* the last lines of its output, cleaned */
};
/* The step that failed (not those that were only stopped because of it): 1, 0 if there is none. In the arena. */
int bk_status_failed(const struct bk_status *s, struct arena *a, size_t tail_lines, struct bk_step *ret);

struct bk_counts {
    size_t steps, cached;   /* of the Dockerfile's own steps, those that finished */
    uint64_t context_bytes; /* of the build context, sent in this build */
};
struct bk_counts bk_status_counts(const struct bk_status *s);
