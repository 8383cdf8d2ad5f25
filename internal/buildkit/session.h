#pragma once

#include <stddef.h>

#include "base/str.h"
#include "buildkit/filesync.h"

struct cancel;
struct context_filter;
struct ctx;
struct err;
struct secret;

/* The client's end of a BuildKit session: what the daemon may ask while it builds. Served are health, file sync of the
 * given folders and registry credentials; no secret is known, everything else is UNIMPLEMENTED. */

struct bk_session;

struct bk_session_options {
    const char *shared_key;          /* names the daemon's kept copy of the sources */
    const struct bk_source *sources; /* borrowed until bk_session_free, as all else */
    size_t n_sources;
    /* 0 with user and password (unref'ed here), 1: none for this host; called from any thread. May be NULL. */
    int (*credentials)(void *self, struct ctx *ctx, const char *host, const char **ret_user, struct secret **ret_password,
                       struct err *err);
    void *credentials_self;
    /* A sync is about to begin (result NULL) or has ended well. Called from any thread; may be NULL. */
    void (*synced)(void *self, const struct bk_source *src, const struct context_filter *asked,
                   const struct bk_sync_result *result);
    void *synced_self;
    struct cancel *cancel; /* ends every call of the daemon; may be NULL */
};

int bk_session_new(const struct bk_session_options *opt, struct bk_session **ret, struct err *err);
/* What the daemon must be told when the connection is made: headers of POST /session, or (lower-cased) metadata. */
const struct kv *bk_session_headers(const struct bk_session *s, size_t *ret_n);
const char *bk_session_id(const struct bk_session *s); /* for SolveRequest.Session */
/* Serves a connection; owns the descriptor from here on. */
int bk_session_serve(struct bk_session *s, int fd, struct err *err);
/* The first failure on our side (a file that changed, credentials that couldn't be got): 1 and the error, else 0. The
 * daemon's own error only quotes its text. */
int bk_session_failure(struct bk_session *s, struct err *ret);
void bk_session_free(struct bk_session *s);

/* The filter that a DiffCopy call's metadata asks for; values are decoded where KEY-encoded says so. In the arena. */
struct rpc_meta;
int bk_parse_sync_meta(struct arena *a, const struct rpc_meta *meta, size_t n, const char **ret_dir_name,
                       struct context_filter *ret, struct err *err);
