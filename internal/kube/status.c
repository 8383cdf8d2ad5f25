#include "kube/status.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

static int64_t field(const struct json *obj, const char *key) { return json_get_int(obj, key, 0); }

static const char *clean(struct arena *a, const char *s) { return text_clean(a, s ? s : "", s ? strnlen(s, 2000) : 0); }

static const struct json *condition(const struct json *status, const char *type) {
    json_each(c, json_get(status, "conditions")) {
        if (str_eq(json_get_str(c, "type"), type)) return c;
    }
    return NULL;
}

static const char *deployment(struct arena *a, const struct json *spec, const struct json *status, struct kube_status *s) {
    const struct json *progressing = condition(status, "Progressing"), *failure = condition(status, "ReplicaFailure");
    s->paused = json_true(json_get(spec, "paused"));
    s->recreate = str_eq(json_str(json_at(spec, "strategy", "type", NULL)), "Recreate");
    s->progress_deadline_s = json_get_int(spec, "progressDeadlineSeconds", 0);
    if (s->progress_deadline_s >= INT32_MAX) s->progress_deadline_s = 0; /* the API's way of saying "none" */
    s->available = field(status, "availableReplicas");
    s->updated = field(status, "updatedReplicas");
    if (str_eq(json_get_str(failure, "status"), "True")) s->replica_failure = clean(a, json_get_str(failure, "message"));
    if (!s->seen) return NULL;
    if (str_eq(json_get_str(progressing, "reason"), "ProgressDeadlineExceeded")) {
        s->deadline = clean(a, json_get_str(progressing, "message"));
        s->deadline_since = json_get_str(progressing, "lastUpdateTime");
    }
    if (s->updated < s->desired)
        return arena_printf(a, "%lld of %lld pods updated", (long long) s->updated, (long long) s->desired);
    if (s->total > s->updated)
        return arena_printf(a, "%lld old pods still to end", (long long) (s->total - s->updated));
    if (s->available < s->updated)
        return arena_printf(a, "%lld of %lld updated pods available", (long long) s->available, (long long) s->updated);
    s->done = !s->deadline;
    return NULL;
}

static const char *stateful_set(struct arena *a, const struct json *spec, const struct json *status, struct kube_status *s) {
    const struct json *strategy = json_get(spec, "updateStrategy");
    s->on_delete = str_eq(json_get_str(strategy, "type"), "OnDelete");
    s->partition = json_int(json_at(strategy, "rollingUpdate", "partition", NULL), 0);
    s->updated = field(status, "updatedReplicas");
    s->available = json_get_int(status, "availableReplicas", s->ready);
    int64_t wanted = s->desired > s->partition ? s->desired - s->partition : 0;
    if (!s->seen) return NULL;
    if (s->updated < wanted) return arena_printf(a, "%lld of %lld pods updated", (long long) s->updated, (long long) wanted);
    if (s->ready < s->desired) return arena_printf(a, "%lld of %lld pods ready", (long long) s->ready, (long long) s->desired);
    if (s->min_ready_seconds > 0 && s->available < s->desired)
        return arena_printf(a, "%lld of %lld pods available", (long long) s->available, (long long) s->desired);
    bool rolling = json_is_obj(json_get(strategy, "rollingUpdate"));
    s->done = rolling || str_eq(json_get_str(status, "updateRevision"), json_get_str(status, "currentRevision"));
    return s->done ? NULL : "the new revision is not the current one yet";
}

static const char *daemon_set(struct arena *a, const struct json *spec, const struct json *status, struct kube_status *s) {
    s->on_delete = str_eq(json_str(json_at(spec, "updateStrategy", "type", NULL)), "OnDelete");
    s->desired = field(status, "desiredNumberScheduled");
    s->updated = field(status, "updatedNumberScheduled");
    s->available = field(status, "numberAvailable");
    s->ready = field(status, "numberReady");
    s->total = field(status, "currentNumberScheduled");
    if (!s->seen) return NULL;
    if (s->updated < s->desired)
        return arena_printf(a, "%lld of %lld pods updated", (long long) s->updated, (long long) s->desired);
    if (s->available < s->desired)
        return arena_printf(a, "%lld of %lld updated pods available", (long long) s->available, (long long) s->desired);
    s->done = true;
    return NULL;
}

void kube_status_read(struct arena *a, enum kube_kind kind, const struct json *object, struct kube_status *ret) {
    const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status");
    struct kube_status s = {
        .generation = json_int(json_at(object, "metadata", "generation", NULL), 0),
        .observed = field(status, "observedGeneration"),
        .desired = json_get_int(spec, "replicas", 1),
        .total = field(status, "replicas"),
        .ready = field(status, "readyReplicas"),
        .min_ready_seconds = field(spec, "minReadySeconds"),
    };
    s.seen = s.observed > 0 && s.observed >= s.generation;
    const char *missing = kind == KUBE_DEPLOYMENT     ? deployment(a, spec, status, &s)
                          : kind == KUBE_STATEFUL_SET ? stateful_set(a, spec, status, &s)
                                                      : daemon_set(a, spec, status, &s);
    if (s.on_delete) s.done = false;
    if (!s.seen)
        s.text = "the change is not seen by its controller yet";
    else if (missing)
        s.text = missing;
    else
        s.text = arena_printf(a, "%lld/%lld updated, %lld available", (long long) s.updated, (long long) s.desired, (long long) s.available);
    *ret = s;
}
