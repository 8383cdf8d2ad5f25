#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;

/* What a rollout needs to know of a pod: a few hundred bytes instead of the object. Texts are cleaned. */

enum kube_container_state { KUBE_NO_STATE, KUBE_WAITING, KUBE_RUNNING, KUBE_TERMINATED };

struct kube_end { /* how a container ended */
    bool any;
    const char *reason, *message;
    int exit_code, signal;
};

struct kube_container {
    const char *name, *image; /* of the spec */
    const char *image_id;     /* of the status; "" before it is known */
    const char *memory_limit; /* or NULL */
    bool init, sidecar;       /* sidecar: an init container that stays (restartPolicy Always) */
    bool readiness_probe, ready, started;
    enum kube_container_state state;
    const char *reason, *message; /* of state.waiting */
    int64_t running_since;        /* ms since the epoch; 0 unless running */
    struct kube_end now;          /* state.terminated */
    struct kube_end last;         /* lastState.terminated */
    int64_t restarts;
};

struct kube_pod {
    struct arena *arena;
    const char *uid, *name, *node;
    const char *owner_uid;  /* of the controller */
    const char *hash;       /* label controller-revision-hash, or "" */
    const char *phase, *reason, *message; /* of status: Failed, Evicted … */
    bool deleting, ready;
    bool scheduled;
    const char *unscheduled; /* message of PodScheduled=False, or NULL */
    const char *unscheduled_reason;
    bool sandbox; /* PodReadyToStartContainers */
    int64_t created, ready_since; /* ms since the epoch; 0 unknown */
    struct kube_container *containers; /* init containers first, in the spec's order */
    size_t n_containers;
};

struct kube_pod *kube_pod_read(const struct json *object); /* NULL if it isn't a pod */
void kube_pod_free(struct kube_pod *p);
