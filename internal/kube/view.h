#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/kube.h"
#include "kube/pod.h"
#include "kube/status.h"
#include "kube/verdict.h"

/* What a waiting rollout has seen so far. Used by one thread; nothing here asks the server, except revision.c. */

struct kube_mark { /* of a container, or of the pod itself: what outlives an update */
    const struct kube_rule *rule;
    int64_t since;    /* when this rule began to fit */
    int64_t base;     /* restarts when it was first seen */
    int64_t pulls;    /* failed pulls seen */
    bool in_err;      /* in ErrImagePull now */
    bool inherited;   /* was backing off when it was first seen, from before this rollout */
    char *cause;      /* text of the last ErrImagePull */
};

enum kube_phase { KUBE_PHASE_NONE, KUBE_PHASE_SCHEDULE, KUBE_PHASE_PULL, KUBE_PHASE_READY };

struct kube_seen {
    struct kube_pod *pod;
    bool stale; /* not confirmed since the last KUBE_RESET */
    bool fresh; /* of the new revision */
    struct kube_mark *marks; /* one for each container, then one for the pod */
    size_t n_marks;
    enum kube_phase phase;
    int64_t phase_since;
};

struct kube_note { /* an event of the API */
    char *uid, *name; /* of what it is about */
    char *type, *reason, *message;
    int64_t count, last; /* last: ms since the epoch; 0 unknown */
    bool live;           /* it happened while we watched */
    uint64_t order;
};

struct kube_view {
    struct kube_workload w;
    struct json *object;
    struct arena *status_arena;
    struct kube_status status;
    bool deleted;

    struct kube_seen **pods;
    size_t n_pods, cap_pods;
    bool pods_synced, pods_denied;

    char *revision;   /* for which the next was found: annotation or generation */
    char *owner_uid;  /* Deployment: of the new ReplicaSet */
    char *hash;       /* StatefulSet, DaemonSet: the new controller-revision-hash */
    bool by_image;    /* ReplicaSets can't be listed: pods are known by their images */

    struct kube_note *notes;
    size_t n_notes, cap_notes;
    uint64_t note_order;
    bool notes_synced, notes_denied;

    int64_t started, started_wall; /* ms, ctx's clocks */
    struct kube_mark create;       /* pods aren't created */
    size_t fresh_before;           /* pods of the new revision when `create` was last judged */
    const char *old_deadline;      /* lastUpdateTime of a ProgressDeadlineExceeded from before this rollout; owned */
};

void kube_view_init(struct kube_view *v, const struct kube_workload *w, int64_t now, int64_t wall);
void kube_view_done(struct kube_view *v);
void kube_view_object(struct kube_view *v, struct json *object); /* takes it */
void kube_view_reset(struct kube_view *v);                       /* KUBE_RESET of the pods */
void kube_view_synced(struct kube_view *v);
void kube_view_pod(struct kube_view *v, const struct json *object, bool deleted, int64_t now);
void kube_view_note(struct kube_view *v, const struct json *event);
/* Marks the pods of the new revision; call after object, pods or revision changed. */
void kube_view_refresh(struct kube_view *v);
size_t kube_view_fresh(const struct kube_view *v); /* how many of them there are, without those that end */

/* The label selector of the workload's pods, in the arena. */
char *kube_selector(struct arena *a, const struct json *object);

/* revision.c: finds the new revision when it isn't known for the object as it is. 0, also when it isn't there yet; ctx
 * errors. */
int kube_view_revision(struct kube_view *v, struct kube *k, struct ctx *ctx, struct err *err);

/* --- judge.c --- */

struct kube_finding {
    const struct kube_rule *rule;
    bool hopeless;
    const struct kube_pod *pod;             /* NULL: the workload as a whole */
    const struct kube_container *container; /* NULL: the pod as a whole */
    const char *reason, *message;
    int64_t stands; /* ms */
};
struct kube_limits { /* ms; 0: none */
    int64_t schedule, pull, ready;
};
/* All signs that there are now, in the arena. *ret_ms: when to judge again at the latest, -1: when something changes. */
size_t kube_view_judge(struct kube_view *v, struct arena *a, const struct kube_limits *limits, int64_t now,
                       const struct kube_finding **ret, int64_t *ret_ms);

/* --- report.c --- */

struct kube_problem;
/* Distinct failures of findings (all, or the hopeless only), with events and log lines as far as they can be had. */
size_t kube_report(struct kube_view *v, struct kube *k, struct ctx *ctx, const struct kube_finding *f, size_t n, bool hopeless_only,
                   const struct kube_problem **ret);
