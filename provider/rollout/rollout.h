#pragma once

#include <stdbool.h>

#include "kube/kube.h"
#include "kube/rollout.h"
#include "tf/resource.h"

struct err;
struct json;

/* gpudev_rollout: a workload whose images are set and whose rollout is waited for. */

extern const struct tf_resource rollout_resource;

struct rollout_timeouts {
    struct tf_string schedule, pull, ready, create, update;
};

struct rollout {
    struct tf_string ns;
    struct tf_string deployment, stateful_set, daemon_set;
    struct tf_map images;
    struct tf_string image_pull_policy;
    struct tf_map triggers, annotations;
    struct tf_bool wait;
    struct tf_string settle;
    struct tf_object timeouts; /* struct rollout_timeouts */
    struct tf_bool rollback_on_failure;
    struct tf_string field_manager;
    struct tf_bool force_conflicts;
    struct tf_string on_destroy;

    struct tf_string id, revision;
    struct tf_int generation, replicas, ready_replicas;
    struct tf_map previous_images, running_digests;
    struct tf_string restarted_at;
};

/* ---- rollout_common.c ---- */

/* False while namespace or name are unknown. *ret_path: the attribute that names the workload. */
bool rollout_workload(const struct rollout *r, struct kube_workload *ret, const char **ret_path);
const char *rollout_id(struct arena *a, const struct kube_workload *w, const char *attribute);
/* The cluster: 0; 1 while the provider block isn't known yet; negative: reported. */
int rollout_kube(struct tf_req *req, struct kube **ret);
/* Container → image, without nulls. False if something of it is unknown. */
bool rollout_pairs(struct arena *a, const struct tf_map *m, const struct kv **ret, size_t *ret_n);
/* images["api"], in the arena; the fallback where the container isn't among the images. */
const char *rollout_image_path(struct arena *a, const struct rollout *r, const char *container, const char *fallback);
/* Reports each container of `images` that the live object lacks. */
bool rollout_check_containers(struct tf_req *req, const struct rollout *r, const struct json *live, const struct kube_workload *w);
/* The patch for a live object. restarted_at: NULL keeps what is there. False if something is unknown. */
bool rollout_change(struct tf_req *req, const struct rollout *r, const struct kube_workload *w, const struct json *live,
                    const char *restarted_at, struct kube_change *ret);
/* The results that can be read off the object: revision, generation, replicas … */
void rollout_observe(struct arena *a, struct rollout *r, const struct kube_workload *w, const struct json *object);
/* ms of a duration attribute; fallback where it is null. */
int64_t rollout_ms(struct tf_string s, int64_t fallback);
enum { ROLLOUT_TIMEOUT_MS = 30 * 60 * 1000 };

/* What is remembered beside the state: the workload's uid, the template that was proven complete, and whether the last
 * rollout is still to be completed. */
struct rollout_private {
    const char *uid, *proven;
    const char *unfinished; /* why; NULL: it is finished */
    const struct kv *good;  /* container → image of the last template that was complete or there: what a rollback goes back to */
    size_t n_good;
    bool imported; /* its triggers aren't known: those of the configuration are taken as they are, without a restart */
};
void rollout_private_read(struct arena *a, const char *json, struct rollout_private *ret);
/* The object is complete. */
void rollout_private_prove(struct arena *a, struct rollout_private *p, const struct rollout *r, const struct json *object);
const char *rollout_private_text(struct arena *a, const struct rollout_private *p);

/* ---- rollout_fail.c: failures put in words, and what is done about them ---- */

void rollout_report(struct tf_req *req, const struct rollout *r, const struct kube_workload *w, const char *path,
                    const struct kube_outcome *out, const struct err *err, const char *log);

/* ---- the operations ---- */

void rollout_plan(struct tf_req *req, struct tf_plan *p);
void rollout_create(struct tf_req *req, struct tf_apply *a);
void rollout_update(struct tf_req *req, struct tf_apply *a);
void rollout_destroy(struct tf_req *req, struct tf_apply *a);
void rollout_read(struct tf_req *req, struct tf_read *r);
void rollout_import(struct tf_req *req, struct tf_import *i);
