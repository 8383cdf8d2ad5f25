#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a sign of trouble means: can waiting help? One table (verdict.c), in the order in which it is searched. */

enum kube_sign_kind {
    KUBE_SIGN_PULL,        /* a container waits for its image: ErrImagePull, ImagePullBackOff */
    KUBE_SIGN_WAITING,     /* a container waits for another reason */
    KUBE_SIGN_CRASH,       /* a container ended and is started again; reason: of its end, "Probe" when a probe had it killed */
    KUBE_SIGN_UNREADY,     /* it runs, but isn't ready */
    KUBE_SIGN_UNSCHEDULED, /* no node takes the pod */
    KUBE_SIGN_POD,         /* the pod failed as a whole: Evicted, NodeLost … */
    KUBE_SIGN_MOUNT,       /* an event: volumes or the sandbox can't be had */
    KUBE_SIGN_CREATE,      /* pods are not created at all */
    KUBE_SIGN_BLOCKED,     /* a StatefulSet's old pod that can't get ready is in the way */
    KUBE_SIGN_DEADLINE,    /* the Deployment's own progressDeadlineSeconds passed */
    KUBE_SIGN_PHASE,       /* one of timeouts.{schedule,pull,ready} passed; reason: its name */
};

struct kube_sign {
    enum kube_sign_kind kind;
    const char *reason, *message;
    int64_t count;  /* PULL: failed pulls seen; CRASH: restarts */
    int64_t stands; /* ms since it was first seen */
};

enum kube_verdict { KUBE_PATIENT, KUBE_HOPELESS };

struct kube_rule {
    const char *id;
    enum kube_sign_kind kind;
    const char *reasons; /* alternatives split by '|'; NULL: any */
    const char *parts;   /* of the message, any case, alternatives split by '|'; NULL: any */
    int after_s;         /* hopeless once it stands for so long; 0: at once; KUBE_NEVER: patient */
    int count;           /* … or once the count reaches this; 0: the count doesn't matter */
    const char *words;   /* the summary: "the image isn't there" */
    const char *advice;  /* what to try */
};
enum { KUBE_NEVER = -1 };

extern const struct kube_rule kube_rules[]; /* ended by an id of NULL */

/* The first rule that fits; every kind has a last one that fits all. */
const struct kube_rule *kube_rule_find(const struct kube_sign *sign);
/* *ret_ms: when it turns hopeless if nothing changes, in ms from now; -1: never. */
enum kube_verdict kube_judge(const struct kube_rule *rule, const struct kube_sign *sign, int64_t *ret_ms);
