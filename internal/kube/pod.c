#include "kube/pod.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "kube/when.h"

enum { MAX_CONTAINERS = 200, MAX_TEXT = 2000 };

static const char *text(struct arena *a, const struct json *obj, const char *key) {
    const char *s = json_get_str(obj, key);
    return s ? text_clean(a, s, strnlen(s, MAX_TEXT)) : "";
}

static int64_t when(const struct json *obj, const char *key) {
    int64_t ms = kube_time_parse(json_get_str(obj, key));
    return ms > 0 ? ms : 0;
}

static const struct json *by_name(const struct json *list, const char *name) {
    json_each(item, list) {
        if (str_eq(json_get_str(item, "name"), name)) return item;
    }
    return NULL;
}

static void read_end(struct arena *a, const struct json *terminated, struct kube_end *e) {
    e->any = json_is_obj(terminated);
    e->reason = text(a, terminated, "reason");
    e->message = text(a, terminated, "message");
    e->exit_code = (int) json_get_int(terminated, "exitCode", 0);
    e->signal = (int) json_get_int(terminated, "signal", 0);
}

static void read_state(struct arena *a, const struct json *status, struct kube_container *c) {
    const struct json *state = json_get(status, "state"), *waiting = json_get(state, "waiting"), *running = json_get(state, "running");
    c->reason = text(a, waiting, "reason");
    c->message = text(a, waiting, "message");
    read_end(a, json_get(state, "terminated"), &c->now);
    read_end(a, json_at(status, "lastState", "terminated", NULL), &c->last);
    c->state = json_is_obj(waiting) ? KUBE_WAITING : json_is_obj(running) ? KUBE_RUNNING : c->now.any ? KUBE_TERMINATED : KUBE_NO_STATE;
    c->running_since = when(running, "startedAt");
    c->ready = json_true(json_get(status, "ready"));
    c->started = json_true(json_get(status, "started"));
    c->restarts = json_get_int(status, "restartCount", 0);
    c->image_id = text(a, status, "imageID");
}

static void read_containers(struct kube_pod *p, const struct json *specs, const struct json *statuses, bool init,
                            size_t max) {
    struct arena *a = p->arena;
    json_each(spec, specs) {
        if (p->n_containers == max) return;
        struct kube_container *c = &p->containers[p->n_containers++];
        const char *limit = json_str(json_at(spec, "resources", "limits", "memory", NULL));
        c->name = text(a, spec, "name");
        c->image = text(a, spec, "image");
        c->memory_limit = limit ? text_clean(a, limit, strnlen(limit, 100)) : NULL;
        c->init = init;
        c->sidecar = init && str_eq(json_get_str(spec, "restartPolicy"), "Always");
        c->readiness_probe = json_is_obj(json_get(spec, "readinessProbe"));
        read_state(a, by_name(statuses, json_get_str(spec, "name")), c);
    }
}

static void read_conditions(struct kube_pod *p, const struct json *list) {
    json_each(c, list) {
        const char *type = json_get_str(c, "type");
        bool yes = str_eq(json_get_str(c, "status"), "True");
        if (str_eq(type, "Ready")) {
            p->ready = yes;
            p->ready_since = yes ? when(c, "lastTransitionTime") : 0;
        } else if (str_eq(type, "PodScheduled")) {
            p->scheduled = yes;
            if (yes) continue;
            p->unscheduled = text(p->arena, c, "message");
            p->unscheduled_reason = text(p->arena, c, "reason");
        } else if (str_eq(type, "PodReadyToStartContainers")) {
            p->sandbox = yes;
        }
    }
}

struct kube_pod *kube_pod_read(const struct json *object) {
    const struct json *meta = json_get(object, "metadata"), *spec = json_get(object, "spec"), *status = json_get(object, "status");
    if (!json_get_str(meta, "uid") || !json_is_obj(spec)) return NULL;
    struct kube_pod *p = NEW(struct kube_pod);
    struct arena *a = p->arena = arena_new();
    p->uid = text(a, meta, "uid");
    p->name = text(a, meta, "name");
    p->hash = text(a, json_get(meta, "labels"), "controller-revision-hash");
    p->owner_uid = "";
    json_each(owner, json_get(meta, "ownerReferences")) {
        if (json_true(json_get(owner, "controller"))) p->owner_uid = text(a, owner, "uid");
    }
    p->created = when(meta, "creationTimestamp");
    p->deleting = json_get_str(meta, "deletionTimestamp") != NULL;
    p->node = text(a, spec, "nodeName");
    p->scheduled = *p->node != 0;
    p->phase = text(a, status, "phase");
    p->reason = text(a, status, "reason");
    p->message = text(a, status, "message");
    size_t max = json_len(json_get(spec, "initContainers")) + json_len(json_get(spec, "containers"));
    if (max > MAX_CONTAINERS) max = MAX_CONTAINERS;
    p->containers = arena_array(a, max + 1, sizeof *p->containers);
    read_conditions(p, json_get(status, "conditions"));
    read_containers(p, json_get(spec, "initContainers"), json_get(status, "initContainerStatuses"), true, max);
    read_containers(p, json_get(spec, "containers"), json_get(status, "containerStatuses"), false, max);
    return p;
}

void kube_pod_free(struct kube_pod *p) {
    if (!p) return;
    arena_free(p->arena);
    mem_free(p);
}
