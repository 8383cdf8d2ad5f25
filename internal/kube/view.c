#include "kube/view.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "kube/rollout.h"
#include "kube/when.h"

enum { MAX_PODS = 20000, MAX_NOTES = 400, INHERITED_MS = 60000, NAME_PART = 40 };

void kube_view_init(struct kube_view *v, const struct kube_workload *w, int64_t now, int64_t wall) {
    *v = (struct kube_view){.w = *w, .started = now, .started_wall = wall, .status_arena = arena_new()};
}

static void seen_free(struct kube_seen *s) {
    for (size_t i = 0; i < s->n_marks; i++) mem_free(s->marks[i].cause);
    mem_free(s->marks);
    kube_pod_free(s->pod);
    mem_free(s);
}

static void note_done(struct kube_note *n) {
    mem_free(n->uid);
    mem_free(n->name);
    mem_free(n->type);
    mem_free(n->reason);
    mem_free(n->message);
}

void kube_view_done(struct kube_view *v) {
    for (size_t i = 0; i < v->n_pods; i++) seen_free(v->pods[i]);
    for (size_t i = 0; i < v->n_notes; i++) note_done(&v->notes[i]);
    mem_free(v->pods);
    mem_free(v->notes);
    mem_free(v->revision);
    mem_free(v->owner_uid);
    mem_free(v->hash);
    mem_free((char *) v->old_deadline);
    arena_free(v->status_arena);
    json_free(v->object);
    *v = (struct kube_view){0};
}

void kube_view_object(struct kube_view *v, struct json *object) {
    arena_free(v->status_arena);
    json_free(v->object);
    v->status_arena = arena_new();
    v->object = object;
    kube_status_read(v->status_arena, v->w.kind, object, &v->status);
}

void kube_view_reset(struct kube_view *v) {
    for (size_t i = 0; i < v->n_pods; i++) v->pods[i]->stale = true;
}

static void drop_pod(struct kube_view *v, size_t i) {
    seen_free(v->pods[i]);
    v->pods[i] = v->pods[--v->n_pods];
}

void kube_view_synced(struct kube_view *v) {
    for (size_t i = v->n_pods; i > 0; i--)
        if (v->pods[i - 1]->stale) drop_pod(v, i - 1);
    v->pods_synced = true;
}

static size_t find_pod(const struct kube_view *v, const char *uid) {
    size_t i = 0;
    while (i < v->n_pods && !str_eq(v->pods[i]->pod->uid, uid)) i++;
    return i;
}

static bool backs_off(const struct kube_container *c) {
    return c->state == KUBE_WAITING && (str_eq(c->reason, "ImagePullBackOff") || str_eq(c->reason, "ErrImagePull"));
}

static struct kube_seen *seen_new(struct kube_view *v, struct kube_pod *pod) {
    struct kube_seen *s = NEW(struct kube_seen);
    s->pod = pod;
    s->n_marks = pod->n_containers + 1;
    s->marks = mem_array(s->n_marks, sizeof *s->marks);
    bool old = pod->created && pod->created < v->started_wall - INHERITED_MS;
    for (size_t i = 0; i < pod->n_containers; i++) {
        s->marks[i].base = pod->containers[i].restarts;
        s->marks[i].inherited = old && backs_off(&pod->containers[i]);
        s->marks[i].in_err = s->marks[i].inherited;
    }
    MEM_GROW(v->pods, v->n_pods, v->cap_pods);
    v->pods[v->n_pods++] = s;
    return s;
}

/* The first ErrImagePull counts, and each that follows another state. */
static void count_pulls(struct kube_seen *s) {
    for (size_t i = 0; i < s->pod->n_containers && i + 1 < s->n_marks; i++) {
        const struct kube_container *c = &s->pod->containers[i];
        struct kube_mark *m = &s->marks[i];
        bool err = c->state == KUBE_WAITING && str_eq(c->reason, "ErrImagePull");
        if (err && !m->in_err) m->pulls++;
        m->in_err = err;
        if (!err || str_empty(c->message)) continue;
        mem_free(m->cause);
        m->cause = mem_strdup(c->message);
    }
}

static enum kube_phase phase_of(const struct kube_pod *p) {
    if (p->ready || p->deleting) return KUBE_PHASE_NONE;
    if (!p->scheduled) return KUBE_PHASE_SCHEDULE;
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct kube_container *c = &p->containers[i];
        bool never_ran = !c->restarts && !c->last.any && (c->state == KUBE_WAITING || c->state == KUBE_NO_STATE);
        if (!never_ran) {
            if (c->init && !c->sidecar && c->state != KUBE_TERMINATED) return KUBE_PHASE_READY; /* it works, the rest waits for it */
            continue;
        }
        return KUBE_PHASE_PULL;
    }
    return KUBE_PHASE_READY;
}

void kube_view_pod(struct kube_view *v, const struct json *object, bool deleted, int64_t now) {
    struct kube_pod *pod = kube_pod_read(object);
    if (!pod) return;
    size_t i = find_pod(v, pod->uid);
    if (deleted) {
        if (i < v->n_pods) drop_pod(v, i);
        kube_pod_free(pod);
        return;
    }
    if (i == v->n_pods && v->n_pods == MAX_PODS) {
        kube_pod_free(pod);
        return;
    }
    struct kube_seen *s = i < v->n_pods ? v->pods[i] : seen_new(v, pod);
    if (s->pod != pod) {
        kube_pod_free(s->pod);
        s->pod = pod;
    }
    s->stale = false;
    count_pulls(s);
    enum kube_phase phase = phase_of(pod);
    if (phase == s->phase && s->phase_since) return;
    s->phase = phase;
    s->phase_since = now;
}

static int64_t when_of(const struct json *event) {
    const char *keys[] = {"lastTimestamp", "eventTime", "firstTimestamp"};
    int64_t ms = kube_time_parse(json_str(json_at(event, "series", "lastObservedTime", NULL)));
    for (size_t i = 0; ms < 0 && i < ARRAY_SIZE(keys); i++) ms = kube_time_parse(json_get_str(event, keys[i]));
    return ms > 0 ? ms : 0;
}

static char *cleaned(const struct json *obj, const char *key) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *s = json_get_str(obj, key);
    return mem_strdup(s ? text_clean(a, s, strnlen(s, 2000)) : "");
}

static struct kube_note *note_slot(struct kube_view *v, const struct kube_note *like) {
    struct kube_note *oldest = NULL;
    for (size_t i = 0; i < v->n_notes; i++) {
        struct kube_note *n = &v->notes[i];
        if (str_eq(n->uid, like->uid) && str_eq(n->reason, like->reason) && str_eq(n->message, like->message)) return n;
        if (!oldest || n->order < oldest->order) oldest = n;
    }
    if (v->n_notes == MAX_NOTES) return oldest;
    MEM_GROW(v->notes, v->n_notes, v->cap_notes);
    v->notes[v->n_notes] = (struct kube_note){0};
    return &v->notes[v->n_notes++];
}

void kube_view_note(struct kube_view *v, const struct json *event) {
    const struct json *about = json_get(event, "involvedObject");
    const char *name = json_get_str(about, "name"), *uid = json_get_str(about, "uid");
    /* Pods and ReplicaSets of a workload are named after it; long names are cut. */
    if (!name || !uid || strncmp(name, v->w.name, strnlen(v->w.name, NAME_PART)) != 0) return;
    int64_t count = json_get_int(event, "count", 0), series = json_int(json_at(event, "series", "count", NULL), 0);
    struct kube_note n = {
        .uid = mem_strdup(uid), .name = cleaned(about, "name"), .type = cleaned(event, "type"),
        .reason = cleaned(event, "reason"), .message = cleaned(event, "message"), .last = when_of(event),
        .count = count > series ? count : series, .order = ++v->note_order,
    };
    /* What was there before counts if it is recent: the server's clock may differ from ours. */
    n.live = v->notes_synced || n.last > v->started_wall - 2000;
    struct kube_note *slot = note_slot(v, &n);
    n.live = n.live || slot->live;
    note_done(slot);
    *slot = n;
}

static bool images_match(const struct kube_view *v, const struct kube_pod *p) {
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct json *c = kube_container(v->object, p->containers[i].name, NULL);
        if (c && !str_eq(json_get_str(c, "image"), p->containers[i].image)) return false;
    }
    return true;
}

static bool is_fresh(const struct kube_view *v, const struct kube_pod *p) {
    if (!v->status.seen || p->deleting) return false;
    if (v->by_image) return images_match(v, p);
    if (v->w.kind == KUBE_DEPLOYMENT) return v->owner_uid && str_eq(p->owner_uid, v->owner_uid);
    return v->hash && str_eq(p->hash, v->hash) && str_eq(p->owner_uid, kube_uid(v->object));
}

void kube_view_refresh(struct kube_view *v) {
    for (size_t i = 0; i < v->n_pods; i++) v->pods[i]->fresh = is_fresh(v, v->pods[i]->pod);
}

size_t kube_view_fresh(const struct kube_view *v) {
    size_t n = 0;
    for (size_t i = 0; i < v->n_pods; i++) n += v->pods[i]->fresh;
    return n;
}

static void add_requirement(struct buf *b, const struct json *e) {
    const char *key = json_get_str(e, "key"), *op = json_get_str(e, "operator");
    if (!key || !op) return;
    if (b->len) buf_addc(b, ',');
    if (str_eq(op, "Exists")) {
        buf_adds(b, key);
    } else if (str_eq(op, "DoesNotExist")) {
        buf_addf(b, "!%s", key);
    } else {
        buf_addf(b, "%s %s (", key, str_eq(op, "NotIn") ? "notin" : "in");
        const char *comma = "";
        json_each(value, json_get(e, "values")) {
            buf_addf(b, "%s%s", comma, json_str(value) ? json_str(value) : "");
            comma = ",";
        }
        buf_addc(b, ')');
    }
}

char *kube_selector(struct arena *a, const struct json *object) {
    AUTO_BUF struct buf b = {.max = 64 << 10};
    const struct json *selector = json_at(object, "spec", "selector", NULL);
    json_each(label, json_get(selector, "matchLabels")) {
        buf_addf(&b, "%s%s=%s", b.len ? "," : "", json_key(label), json_str(label) ? json_str(label) : "");
    }
    json_each(e, json_get(selector, "matchExpressions")) add_requirement(&b, e);
    return arena_strdup(a, buf_str(&b));
}
