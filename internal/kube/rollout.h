#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "kube/kube.h"

/* The rollout of a workload: what it is made of now, the server-side apply of the fields we own, the wait until it is
 * done or hopeless. Texts live in ctx->arena. */

/* --- the live object --- */

/* The annotation of the pod template by which we restart. kubectl's own is not touched: forcing an older value of it
 * would restart once more. */
#define KUBE_RESTARTED_AT "gpudev/restarted-at"

/* A container or init container of the object's template; NULL if there is none of this name. */
const struct json *kube_container(const struct json *object, const char *name, bool *ret_init);
/* "api, worker (init)" */
char *kube_container_names(struct arena *a, const struct json *object);
const char *kube_template_annotation(const struct json *object, const char *key);
/* sha256:… of the pod template: what a proven rollout is recorded by. */
char *kube_template_hash(struct arena *a, const struct json *object);
/* Who else writes the container's image (of managedFields, the latest but `except`), or NULL. */
const char *kube_image_manager(struct arena *a, const struct json *object, const char *container, const char *except);
const char *kube_uid(const struct json *object); /* "" if it has none */

/* --- apply --- */

struct kube_change { /* the full set of what we own */
    struct kube_workload w;
    const struct json *live; /* the object that the change is meant for: its uid guards the apply */
    const struct kv *images; /* container → image */
    size_t n_images;
    const char *pull_policy; /* of these containers; NULL: not ours */
    const struct json *policies; /* in place of pull_policy: each container's is the one that it has in this object */
    const struct kv *annotations; /* of the workload itself */
    size_t n_annotations;
    const char *restarted_at; /* KUBE_RESTARTED_AT of the template; NULL: not ours */
    const char *manager;
    bool force;
    bool dry_run;
};
struct kube_applied {
    struct json *object; /* json_free */
    struct strs warnings;
    const char *container; /* on failure: the container that the refusal is about, or NULL */
};
/* Never creates the workload: ERR_NOT_FOUND when it isn't there (any more), ERR_CONFLICT when another manager holds a
 * field and force is off. A container that we owned and that is not in the change keeps its image: it is handed to the
 * manager "<manager>-left" first. */
int kube_apply(struct kube *k, struct ctx *ctx, const struct kube_change *c, struct kube_applied *ret, struct err *err);

/* Deletes a StatefulSet's pods that are not ready and of the revision that the object's status calls the update: an
 * OrderedReady one would wait for them for ever, also after its template is put right. *ret_n: how many. */
int kube_delete_stuck(struct kube *k, struct ctx *ctx, const struct kube_workload *w, const struct json *object, size_t *ret_n, struct err *err);

/* --- wait --- */

struct progress;

struct kube_wait {
    struct kube_workload w;
    const struct json *object; /* as the apply answered */
    const struct kv *images;   /* whose running digests are to be proven, and which nobody else may change meanwhile */
    size_t n_images;
    const char *manager;
    int64_t timeout;  /* ms; 0: none */
    int64_t settle;   /* ms; negative: 10 s where a pod can't say that it is ready, else 0 */
    int64_t schedule, pull, ready; /* ms for these phases of a pod; 0: bounded by timeout alone */
    struct progress *progress;     /* may be NULL */
    /* Whether the running digest stands for the asked image (the index holds the manifest). May be NULL; asked only
     * where the digests differ. */
    bool (*same_image)(void *arg, struct ctx *ctx, const char *image, const char *running_digest);
    void *arg;
};

struct kube_problem { /* one distinct failure */
    const char *rule;      /* id of its row in the table of verdicts */
    const char *container; /* NULL: the workload or its pods as a whole */
    const char *summary;   /* one sentence */
    const char *detail;    /* pods, reason, message, events, log lines, what to try */
};

struct kube_outcome { /* filled as far as known, also on failure */
    struct json *object; /* the latest; json_free */
    struct strs warnings;
    struct kv *digests; /* container → sha256:… that its pods run */
    size_t n_digests;
    const struct kube_problem *problems; /* why it failed */
    size_t n_problems;
};

/* 0: done and proven as far as it can be (warnings say what couldn't). ERR_FAILED: hopeless, see the problems;
 * ERR_TIMEOUT: what it still waited for is in the problems; ERR_CONFLICT: somebody else changed the workload;
 * ERR_NOT_FOUND: it was deleted; ERR_CANCELLED. */
int kube_rollout_wait(struct kube *k, struct ctx *ctx, const struct kube_wait *w, struct kube_outcome *ret, struct err *err);

/* Looks once: 1 if the live object's rollout is complete and has been so for `settle` (as above), 0 if it isn't (or
 * can't be told: *ret_why says what is missing). One request for the pods, made only where the object looks done. */
int kube_rollout_look(struct kube *k, struct ctx *ctx, const struct kube_workload *w, const struct json *object, int64_t settle,
                      const char **ret_why, struct err *err);
