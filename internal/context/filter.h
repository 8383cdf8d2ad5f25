#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct context_filter;
struct err;
struct patterns;

/* Which entries of a folder are sent: the state that goes down a walk with it (fsutil's FilterFS). */
struct filter {
    struct patterns *include, *exclude; /* NULL: no such rule */
    const char *const *exclude_list;    /* as given, for messages */
    int words_in, words_ex;             /* of the bits below */
    bool exceptions;                    /* "!" somewhere: only then filter_opens can say no */
};

/* Hits of a folder and those above it. A folder without parents has NULL for both. */
struct filter_hits {
    uint64_t *in, *ex;
};

enum filter_verdict {
    FILTER_KEEP,
    FILTER_SKIP,  /* not itself, but a folder's content may be kept (and then the folder with it) */
    FILTER_PRUNE, /* neither it nor anything below */
};

/* Follow-paths are resolved at once, relative to root_fd. The filter lives in the arena. */
int filter_init(struct arena *a, int root_fd, const struct context_filter *from, struct filter *ret, struct err *err);

/* Space for the hits of one folder. */
struct filter_hits filter_hits_new(struct arena *a, const struct filter *f);
/* The verdict on path, whose folder has the hits `parent`; its own go to `hits` (may be the same space). Negative when
 * a pattern turns out to be malformed. */
int filter_step(const struct filter *f, const char *path, bool is_dir, const struct filter_hits *parent, struct filter_hits *hits,
                enum filter_verdict *ret, struct err *err);
/* Whether BuildKit's client sends the content of a kept file: it opens by another rule than it walks by. */
bool filter_opens(const struct filter *f, const char *path);
