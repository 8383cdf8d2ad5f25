#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/kube.h"

/* A workload's status, judged as `kubectl rollout status` judges it (k8s.io/kubectl/pkg/polymorphichelpers,
 * rollout_status.go), with one addition: a StatefulSet with minReadySeconds must be available too. */
struct kube_status {
    int64_t generation, observed;
    int64_t desired, updated, ready, available, total;
    int64_t partition;            /* StatefulSet */
    bool seen;                    /* the controller has seen this generation */
    bool done;
    bool on_delete;               /* pods change when somebody deletes them: never done */
    bool paused;                  /* Deployment: never done */
    const char *text;             /* what is missing or "3/3 updated, 3 available", for people */
    const char *deadline;         /* Deployment: message of Progressing=False ProgressDeadlineExceeded, cleaned; else NULL */
    const char *deadline_since;   /* that condition's lastUpdateTime */
    const char *replica_failure;  /* Deployment: message of ReplicaFailure=True, cleaned; else NULL */
    int64_t min_ready_seconds;
    int64_t progress_deadline_s; /* Deployment; 0: none */
    bool recreate;               /* Deployment, strategy Recreate */
};

/* Texts live in the arena or in the object. */
void kube_status_read(struct arena *a, enum kube_kind kind, const struct json *object, struct kube_status *ret);
