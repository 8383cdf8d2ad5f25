#pragma once

#include <stddef.h>
#include <stdint.h>

struct ctx;
struct err;
struct json;
struct kube;

/* Watches (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). */

enum kube_event_type {
    KUBE_RESET, /* what was seen may be stale: what follows up to KUBE_SYNCED is all that exists */
    KUBE_SYNCED,
    KUBE_ADDED,
    KUBE_MODIFIED,
    KUBE_DELETED,
};

struct kube_watch {
    const char *path; /* of the collection: "/api/v1/namespaces/x/pods" */
    const char *label_selector, *field_selector;
    const char *resource_version; /* only what comes after it; NULL: begins with a KUBE_RESET */
    /* In the caller's thread. tree: for ADDED, MODIFIED and DELETED the event, json_get(tree, "object"), or of a list's
     * items the object itself: see kube_event_object; it goes to the callback. A negative return ends the watch with it,
     * a positive one ends it well. */
    int (*on_event)(void *arg, enum kube_event_type type, struct json *tree, struct err *err);
    void *arg;
    int patience_s; /* how long a server that was reached before may be away or refuse us; 0: 120 s */
};

/* Watches until the callback says so, ctx ends, or it can't go on: ERR_DENIED, ERR_UNAUTHENTICATED, ERR_NOT_FOUND …
 * Dropped connections, expired versions (410) and restarts of the server are resumed. The positive value of the
 * callback, or negative. */
int kube_watch(struct kube *k, struct ctx *ctx, const struct kube_watch *w, struct err *err);

/* The object of an event's tree. */
const struct json *kube_event_object(const struct json *tree);

/* --- several watches for one thread --- */

/* A mailbox that watches, each in a thread of its own, put events into; they wait when it is full. */
struct kube_feed;
struct kube_feed *kube_feed_new(struct kube *k, const struct ctx *ctx); /* ends its watches with ctx's cancel */
void kube_feed_free(struct kube_feed *f);                              /* ends them and waits for that (less than a second) */
static inline void kube_feed_free_p(struct kube_feed **f) { kube_feed_free(*f); }

/* Starts a watch; on_event and arg are the feed's own. tag comes back with each event. Texts are copied. */
int kube_feed_add(struct kube_feed *f, int tag, const struct kube_watch *w, struct err *err);

struct kube_feed_event {
    int tag;
    enum kube_event_type type;
    struct json *tree; /* the receiver's to free */
    int failed;        /* negative: this watch has ended with *err given to kube_feed_next; type means nothing */
};
/* The next event: 0; 1 after ms without one (negative: no limit); negative when ctx ends. */
int kube_feed_next(struct kube_feed *f, struct ctx *ctx, int64_t ms, struct kube_feed_event *ret, struct err *err);
