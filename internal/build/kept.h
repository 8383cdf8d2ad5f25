#pragma once

#include <stddef.h>

struct bk_source;
struct bk_sync_result;
struct context_filter;
struct ctx;

/* A BuildKit daemon keeps what was sent and later asks only for files whose stat differs. This is the client's record
 * of what it keeps, so that a file which was rewritten with an equal stat is sent all the same: see
 * docs/internals/build.md. A record belongs to one builder, context, Dockerfile and target; it is locked while a build
 * uses it. Without a usable cache folder every build sends everything. */

struct kept;

struct kept_options {
    const char *builder;                       /* names the daemon's store */
    const char *context, *dockerfile, *target; /* absolute; target may be NULL */
    const struct bk_source *sources;           /* where the names of the record lie */
    size_t n_sources;
    const char *cache_dir; /* NULL: fs_cache_dir */
};

/* Never fails: at worst the key is a new one. Looks at the files of the record. */
struct kept *kept_open(struct ctx *ctx, const struct kept_options *opt);
const char *kept_key(const struct kept *k); /* the session's shared key */
/* As bk_session_options.synced. */
void kept_synced(void *kept, const struct bk_source *src, const struct context_filter *asked, const struct bk_sync_result *result);
/* A file that the builder may have used in an older form, since it changed behind its stat just now; NULL: none. */
const char *kept_stale(struct kept *k);
/* Writes the record, if every sync that began has ended well, and frees. */
void kept_close(struct kept *k);
