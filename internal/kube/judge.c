/* From pods, conditions and events to findings of the table of verdicts. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "kube/rollout.h"
#include "kube/view.h"

struct judge {
    struct kube_view *v;
    struct arena *a;
    int64_t now;
    struct kube_finding *found;
    size_t n, cap;
    int64_t next; /* ms; -1: none */
};

static void sooner(struct judge *j, int64_t ms) {
    if (ms >= 0 && (j->next < 0 || ms < j->next)) j->next = ms;
}

static void find(struct judge *j, struct kube_mark *m, struct kube_sign *sign, const struct kube_pod *pod, const struct kube_container *c) {
    const struct kube_rule *rule = kube_rule_find(sign);
    if (m->rule != rule) {
        m->rule = rule;
        m->since = j->now;
    }
    sign->stands = j->now - m->since;
    int64_t ms = -1;
    bool hopeless = kube_judge(rule, sign, &ms) == KUBE_HOPELESS;
    /* A pull that has been backing off since before this rollout may be minutes from its next try: that one counts. */
    if (m->inherited && sign->kind == KUBE_SIGN_PULL && rule->after_s != KUBE_NEVER) {
        hopeless = m->pulls > 0;
        ms = -1;
    }
    if (!hopeless) sooner(j, ms);
    ARENA_GROW(j->a, j->found, j->n, j->cap);
    j->found[j->n++] = (struct kube_finding){
        .rule = rule, .hopeless = hopeless, .pod = pod, .container = c,
        .reason = arena_strdup(j->a, sign->reason), .message = arena_strdup(j->a, sign->message), .stands = sign->stands,
    };
}

static const struct kube_note *note_of(const struct kube_view *v, const char *uid, const char *reason, const char *part) {
    const struct kube_note *latest = NULL;
    for (size_t i = 0; i < v->n_notes; i++) {
        const struct kube_note *n = &v->notes[i];
        if (!str_eq(n->uid, uid) || !str_eq(n->reason, reason) || (part && !strstr(n->message, part))) continue;
        if (!latest || n->order > latest->order) latest = n;
    }
    return latest;
}

static bool killed_by_probe(const struct kube_view *v, const struct kube_pod *p, const char *container) {
    for (size_t i = 0; i < v->n_notes; i++) {
        const struct kube_note *n = &v->notes[i];
        if (!str_eq(n->uid, p->uid) || !str_eq(n->reason, "Killing")) continue;
        if (strstr(n->message, "probe") && strstr(n->message, container)) return true;
    }
    return false;
}

static struct kube_sign pull_sign(const struct kube_container *c, const struct kube_mark *m) {
    /* The back-off repeats the cause since Kubernetes 1.32; before, only ErrImagePull had it. */
    bool has_cause = strstr(c->message, "ErrImagePull:") || str_eq(c->reason, "ErrImagePull");
    return (struct kube_sign){
        .kind = KUBE_SIGN_PULL, .reason = c->reason, .message = has_cause || !m->cause ? c->message : m->cause, .count = m->pulls,
    };
}

static struct kube_sign crash_sign(const struct judge *j, const struct kube_pod *p, const struct kube_container *c, const struct kube_mark *m) {
    const struct kube_end *e = c->now.any ? &c->now : &c->last;
    const char *reason = e->any ? e->reason : c->reason;
    if (!str_eq(reason, "OOMKilled") && killed_by_probe(j->v, p, c->name)) reason = "Probe";
    AUTO_BUF struct buf b = {.max = 4000};
    if (e->any) buf_addf(&b, "exit code %d", e->exit_code);
    int signal = e->signal ? e->signal : e->exit_code > 128 && e->exit_code < 160 ? e->exit_code - 128 : 0;
    if (signal) buf_addf(&b, " (signal %d)", signal);
    if (str_eq(reason, "OOMKilled") && c->memory_limit) buf_addf(&b, ", memory limit %s", c->memory_limit);
    buf_addf(&b, "%s%lld restart%s", b.len ? ", " : "", (long long) c->restarts, c->restarts == 1 ? "" : "s");
    if (!str_empty(e->message)) buf_addf(&b, ": %s", e->message);
    else if (!e->any && !str_empty(c->message)) buf_addf(&b, ": %s", c->message);
    /* Restarts from before we looked prove nothing about now: one more has to follow. */
    bool new_ones = c->restarts > m->base || !m->base;
    return (struct kube_sign){
        .kind = KUBE_SIGN_CRASH, .reason = reason, .message = arena_strdup(j->a, buf_str(&b)), .count = new_ones ? c->restarts : 0,
    };
}

static bool mount_sign(const struct judge *j, const struct kube_pod *p, struct kube_sign *ret) {
    static const char *const reasons[] = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"};
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        const struct kube_note *n = note_of(j->v, p->uid, reasons[i], NULL);
        if (!n) continue;
        *ret = (struct kube_sign){.kind = KUBE_SIGN_MOUNT, .reason = n->reason, .message = n->message};
        return true;
    }
    return false;
}

static bool waiting_sign(const struct judge *j, const struct kube_pod *p, const struct kube_container *c, const struct kube_mark *m,
                         struct kube_sign *ret) {
    if (str_eq(c->reason, "ErrImagePull") || str_eq(c->reason, "ImagePullBackOff")) {
        *ret = pull_sign(c, m);
    } else if (str_eq(c->reason, "CrashLoopBackOff") || str_eq(c->reason, "PostStartHookError") || str_eq(c->reason, "PreStartHookError")) {
        *ret = crash_sign(j, p, c, m);
    } else if (str_eq(c->reason, "PodInitializing")) {
        return false; /* an init container has the sign */
    } else if ((str_eq(c->reason, "ContainerCreating") || !*c->reason) && mount_sign(j, p, ret)) {
        return true;
    } else {
        *ret = (struct kube_sign){.kind = KUBE_SIGN_WAITING, .reason = c->reason, .message = c->message};
    }
    return true;
}

static bool unready_sign(const struct judge *j, const struct kube_pod *p, const struct kube_container *c, struct kube_sign *ret) {
    if (c->init ? !c->sidecar || c->started : c->ready) return false;
    const struct kube_note *n = note_of(j->v, p->uid, "Unhealthy", NULL);
    *ret = (struct kube_sign){.kind = KUBE_SIGN_UNREADY, .reason = n ? "Unhealthy" : "NotReady", .message = n ? n->message : ""};
    return true;
}

static bool container_sign(const struct judge *j, const struct kube_pod *p, const struct kube_container *c, const struct kube_mark *m,
                           struct kube_sign *ret) {
    switch (c->state) {
        case KUBE_WAITING: return waiting_sign(j, p, c, m, ret);
        case KUBE_RUNNING: return unready_sign(j, p, c, ret);
        case KUBE_TERMINATED:
            if (c->init && !c->sidecar && c->now.exit_code == 0) return false; /* as it should */
            *ret = crash_sign(j, p, c, m);
            return true;
        default: return false;
    }
}

static bool pod_sign(const struct judge *j, const struct kube_pod *p, struct kube_sign *ret) {
    if (str_eq(p->phase, "Failed")) {
        *ret = (struct kube_sign){.kind = KUBE_SIGN_POD, .reason = p->reason, .message = p->message};
        return true;
    }
    if (p->scheduled || !p->unscheduled) return false;
    const struct kube_note *n = note_of(j->v, p->uid, "TriggeredScaleUp", NULL);
    const char *message = n ? arena_printf(j->a, "%s; a scale-up was triggered: %s", p->unscheduled, n->message) : p->unscheduled;
    *ret = (struct kube_sign){.kind = KUBE_SIGN_UNSCHEDULED, .reason = p->unscheduled_reason, .message = message};
    return true;
}

static void phase_sign(struct judge *j, struct kube_seen *s, const struct kube_limits *l) {
    static const char *const names[] = {"", "schedule", "pull", "ready"};
    const int64_t limits[] = {0, l->schedule, l->pull, l->ready};
    int64_t limit = limits[s->phase], stands = j->now - s->phase_since;
    if (!limit) return;
    if (stands < limit) {
        sooner(j, limit - stands);
        return;
    }
    struct kube_mark own = {0};
    struct kube_sign sign = {.kind = KUBE_SIGN_PHASE, .reason = names[s->phase], .message = s->pod->unscheduled ? s->pod->unscheduled : ""};
    find(j, &own, &sign, s->pod, NULL);
}

static void judge_pod(struct judge *j, struct kube_seen *s, const struct kube_limits *limits) {
    struct kube_sign sign;
    struct kube_mark *last = &s->marks[s->n_marks - 1];
    if (pod_sign(j, s->pod, &sign)) {
        find(j, last, &sign, s->pod, NULL);
        if (sign.kind == KUBE_SIGN_POD) return;
    } else {
        last->rule = NULL;
    }
    for (size_t i = 0; i < s->pod->n_containers && i + 1 < s->n_marks; i++) {
        const struct kube_container *c = &s->pod->containers[i];
        if (container_sign(j, s->pod, c, &s->marks[i], &sign))
            find(j, &s->marks[i], &sign, s->pod, c);
        else
            s->marks[i].rule = NULL;
    }
    phase_sign(j, s, limits);
}

/* OrderedReady: the controller replaces nothing while a pod isn't ready. */
static void judge_blocking(struct judge *j, struct kube_seen *s) {
    struct kube_mark *last = &s->marks[s->n_marks - 1];
    const struct json *policy = json_at(j->v->object, "spec", "podManagementPolicy", NULL);
    bool ordered = j->v->w.kind == KUBE_STATEFUL_SET && !str_eq(json_str(policy), "Parallel") && j->v->status.seen;
    if (!ordered || s->pod->ready || s->pod->deleting) return;
    for (size_t i = 0; i < s->pod->n_containers && i + 1 < s->n_marks; i++) {
        const struct kube_container *c = &s->pod->containers[i];
        struct kube_sign sign;
        /* In a crash loop it runs now and then: that doesn't end the sign. */
        if (c->state == KUBE_RUNNING && !c->ready && c->restarts && c->last.any)
            sign = crash_sign(j, s->pod, c, &s->marks[i]);
        else if (!container_sign(j, s->pod, c, &s->marks[i], &sign))
            continue;
        const struct kube_rule *rule = kube_rule_find(&sign);
        if (rule->after_s == KUBE_NEVER && !rule->count) continue;
        sign = (struct kube_sign){.kind = KUBE_SIGN_BLOCKED, .reason = sign.reason, .message = sign.message};
        find(j, last, &sign, s->pod, c);
        return;
    }
    last->rule = NULL;
}

/* Pods that can't be created: the Deployment's condition, or an event about the workload or its new ReplicaSet. */
static bool create_sign(const struct judge *j, struct kube_sign *ret) {
    const struct kube_view *v = j->v;
    const char *message = v->status.replica_failure;
    if (!message) {
        const struct kube_note *n = note_of(v, kube_uid(v->object), "FailedCreate", NULL);
        if (!n && v->owner_uid) n = note_of(v, v->owner_uid, "FailedCreate", NULL);
        if (n && n->live) message = n->message;
    }
    *ret = (struct kube_sign){.kind = KUBE_SIGN_CREATE, .reason = "FailedCreate", .message = message};
    return message != NULL;
}

static void judge_creation(struct judge *j) {
    struct kube_view *v = j->v;
    struct kube_sign sign;
    size_t fresh = kube_view_fresh(v);
    int64_t wanted = v->status.desired - (v->w.kind == KUBE_STATEFUL_SET ? v->status.partition : 0);
    bool progress = fresh > v->fresh_before;
    v->fresh_before = fresh;
    if (!v->status.seen || v->status.done || (int64_t) fresh >= wanted || progress || !create_sign(j, &sign)) {
        v->create.rule = NULL;
        if (progress && create_sign(j, &sign)) sooner(j, 1000);
        return;
    }
    find(j, &v->create, &sign, NULL, NULL);
}

static void judge_deadline(struct judge *j) {
    const struct kube_status *s = &j->v->status;
    /* One from before this rollout stands until there is progress: it says nothing about now. */
    if (!s->deadline || str_eq(s->deadline_since, j->v->old_deadline)) return;
    struct kube_mark own = {0};
    find(j, &own, &(struct kube_sign){.kind = KUBE_SIGN_DEADLINE, .reason = "ProgressDeadlineExceeded", .message = s->deadline}, NULL, NULL);
}

size_t kube_view_judge(struct kube_view *v, struct arena *a, const struct kube_limits *limits, int64_t now,
                       const struct kube_finding **ret, int64_t *ret_ms) {
    struct judge j = {.v = v, .a = a, .now = now, .next = -1};
    for (size_t i = 0; i < v->n_pods; i++) {
        if (v->pods[i]->fresh)
            judge_pod(&j, v->pods[i], limits);
        else
            judge_blocking(&j, v->pods[i]);
    }
    judge_creation(&j);
    judge_deadline(&j);
    *ret = j.found;
    *ret_ms = j.next;
    return j.n;
}
