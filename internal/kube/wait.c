/* Waiting for a rollout: one watch on the object, one on its pods, one on events when it takes longer. */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/proof.h"
#include "kube/rollout.h"
#include "kube/view.h"
#include "kube/watch.h"
#include "kube/when.h"
#include "progress/progress.h"

enum { TAG_OBJECT, TAG_PODS, TAG_EVENTS };
enum {
    EVENTS_AFTER_MS = 3000, /* most rollouts are done by then and need no events */
    CATCH_UP_MS = 10000,    /* how long the pods' watch may lag behind a status that says "done" */
    SAY_EACH_MS = 1000,
    MAX_AT_ONCE = 500,
};

struct wait {
    struct kube *k;
    struct ctx *ctx;
    const struct kube_wait *o;
    struct kube_outcome *out;
    struct kube_view view;
    struct kube_feed *feed;
    struct kube_limits limits;
    bool events_on;
    int64_t done_since; /* 0: not done */
    char *settled_as;   /* the restarts that settling began with */
    int64_t say_at;
    char *said;
};

static void warn(struct wait *w, const char *text) { strs_add(w->ctx->arena, &w->out->warnings, text); }

static char *collection(struct arena *a, const struct kube_workload *w) {
    return arena_printf(a, "/apis/apps/v1/namespaces/%s/%s", http_encode(a, w->ns, false), kube_kind_plural(w->kind));
}

static int start_watches(struct wait *w, struct err *err) {
    struct arena *a = w->ctx->arena;
    const struct json *object = w->o->object;
    struct kube_watch on_object = {
        .path = collection(a, &w->o->w), .field_selector = arena_printf(a, "metadata.name=%s", w->o->w.name),
        .resource_version = json_str(json_at(object, "metadata", "resourceVersion", NULL)),
    };
    struct kube_watch on_pods = {
        .path = arena_printf(a, "/api/v1/namespaces/%s/pods", http_encode(a, w->o->w.ns, false)), .label_selector = kube_selector(a, object),
    };
    int r = kube_feed_add(w->feed, TAG_OBJECT, &on_object, err);
    return r < 0 ? r : kube_feed_add(w->feed, TAG_PODS, &on_pods, err);
}

static void want_events(struct wait *w) {
    if (w->events_on) return;
    w->events_on = true;
    struct arena *a = w->ctx->arena;
    struct kube_watch on_events = {.path = arena_printf(a, "/api/v1/namespaces/%s/events", http_encode(a, w->o->w.ns, false))};
    if (kube_feed_add(w->feed, TAG_EVENTS, &on_events, NULL) < 0) w->view.notes_denied = true;
}

/* --- changes by others --- */

static int overtaken(struct wait *w, const struct kv *image, const char *live, struct err *err) {
    struct arena *a = w->ctx->arena;
    const char *who = kube_image_manager(a, w->view.object, image->key, w->o->manager);
    int r = err_set(err, ERR_CONFLICT, "%s was changed by %s during the rollout: container %s now has %s instead of %s",
                    kube_workload_text(a, &w->o->w), who ? arena_printf(a, "\"%s\"", who) : "somebody else", image->key,
                    live ? live : "no image", image->value);
    err_hint(err, "Let one of the two own the image. The next plan shows what there is.");
    return r;
}

static int check_object(struct wait *w, struct err *err) {
    struct kube_view *v = &w->view;
    if (v->deleted || !str_eq(kube_uid(v->object), kube_uid(w->o->object))) {
        return err_set(err, ERR_NOT_FOUND, "%s was deleted%s during the rollout", kube_workload_text(w->ctx->arena, &w->o->w),
                       v->deleted ? "" : " and made anew");
    }
    for (size_t i = 0; i < w->o->n_images; i++) {
        const char *live = json_get_str(kube_container(v->object, w->o->images[i].key, NULL), "image");
        if (!str_eq(live, w->o->images[i].value)) return overtaken(w, &w->o->images[i], live, err);
    }
    return 0;
}

/* --- events of the watches --- */

static int on_object(struct wait *w, struct kube_feed_event *e, struct err *err) {
    const struct json *object = kube_event_object(e->tree);
    if (!str_eq(json_str(json_at(object, "metadata", "name", NULL)), w->o->w.name)) return 0;
    if (e->type == KUBE_DELETED)
        w->view.deleted = true;
    else
        kube_view_object(&w->view, json_copy(object));
    return check_object(w, err);
}

static int failed_watch(struct wait *w, const struct kube_feed_event *e, struct err *err) {
    struct arena *a = w->ctx->arena;
    if (e->tag == TAG_OBJECT) {
        if (e->failed == -ERR_DENIED)
            err_hint(err, "The credentials need the verbs list and watch on %s (apps) in the namespace %s, at least for this name.",
                     kube_kind_plural(w->o->w.kind), w->o->w.ns);
        return err_wrap(err, "watching %s", kube_workload_text(a, &w->o->w));
    }
    if (e->tag == TAG_PODS) {
        w->view.pods_denied = true;
        warn(w, arena_printf(a, "The pods of %s can't be watched, so only its status was waited for and what its pods run is not proven: %s",
                             kube_workload_text(a, &w->o->w), err_text(err)));
    } else {
        w->view.notes_denied = true;
    }
    err_done(err);
    return 0;
}

static int take(struct wait *w, struct kube_feed_event *e, struct err *err) {
    struct kube_view *v = &w->view;
    if (e->failed) return failed_watch(w, e, err);
    bool thing = e->type == KUBE_ADDED || e->type == KUBE_MODIFIED || e->type == KUBE_DELETED;
    if (e->tag == TAG_OBJECT) return thing ? on_object(w, e, err) : 0;
    if (e->tag == TAG_EVENTS) {
        if (thing && e->type != KUBE_DELETED) kube_view_note(v, kube_event_object(e->tree));
        if (e->type == KUBE_SYNCED) v->notes_synced = true;
        return 0;
    }
    if (e->type == KUBE_RESET) kube_view_reset(v);
    if (e->type == KUBE_SYNCED) kube_view_synced(v);
    if (thing) kube_view_pod(v, kube_event_object(e->tree), e->type == KUBE_DELETED, ctx_now(w->ctx));
    return 0;
}

/* Takes all that has come, so that a flood is judged once. */
static int take_all(struct wait *w, int64_t ms, struct err *err) {
    for (int n = 0; n < MAX_AT_ONCE; n++) {
        struct kube_feed_event e = {0};
        int r = kube_feed_next(w->feed, w->ctx, ms, &e, err);
        if (r) return r < 0 ? r : 0;
        r = take(w, &e, err);
        json_free(e.tree);
        if (r < 0) return r;
        ms = 0;
    }
    return 0;
}

/* --- done? --- */

static int64_t settle_of(const struct wait *w) { return w->o->settle >= 0 ? w->o->settle : kube_settle_default(w->o->object); }

/* ms still to wait before it counts as done; 0: done; -1: not done. */
static int64_t done_in(struct wait *w) {
    struct kube_view *v = &w->view;
    int64_t now = ctx_now(w->ctx);
    if (!v->status.done) {
        w->done_since = 0;
        return -1;
    }
    char *restarts = kube_restarts_text(v);
    bool changed = !w->done_since || !str_eq(restarts, w->settled_as);
    mem_free(w->settled_as);
    w->settled_as = restarts;
    if (changed) w->done_since = now;
    int64_t stood = now - w->done_since, need = settle_of(w);
    if (!v->pods_denied && !kube_pods_caught_up(v) && need < CATCH_UP_MS) need = CATCH_UP_MS;
    return stood < need ? need - stood : 0;
}

static int on_delete_done(struct wait *w) {
    struct kube_view *v = &w->view;
    AUTO_BUF struct buf b = {.max = 1000};
    for (size_t i = 0; i < v->n_pods; i++)
        if (!v->pods[i]->fresh) buf_addf(&b, "%s%s", b.len ? ", " : "", v->pods[i]->pod->name);
    warn(w, arena_printf(w->ctx->arena, "%s has the update strategy OnDelete: its pods get the new template when they are deleted. Still to "
                                        "be deleted: %s.",
                         kube_workload_text(w->ctx->arena, &w->o->w), b.len ? buf_str(&b) : "none"));
    return 1;
}

static void say(struct wait *w, int64_t now) {
    if (!w->o->progress || now < w->say_at) return;
    char *line = kube_progress_text(&w->view, w->ctx->arena);
    if (str_eq(line, w->said)) return;
    mem_free(w->said);
    w->said = mem_strdup(line);
    w->say_at = now + SAY_EACH_MS;
    progress_line(w->o->progress, "%s", line);
}

/* --- the loop --- */

static int hopeless(struct wait *w, const struct kube_finding *f, size_t n, struct err *err) {
    w->out->n_problems = kube_report(&w->view, w->k, w->ctx, f, n, true, &w->out->problems);
    const char *first = w->out->n_problems ? w->out->problems[0].summary : "";
    return err_set(err, ERR_FAILED, "the rollout of %s can't succeed: %s", kube_workload_text(w->ctx->arena, &w->o->w), first);
}

static int too_late(struct wait *w, const struct kube_finding *f, size_t n, struct err *err) {
    w->out->n_problems = kube_report(&w->view, w->k, w->ctx, f, n, false, &w->out->problems);
    int r = err_set(err, ERR_TIMEOUT, "the rollout of %s isn't complete after %s: %s", kube_workload_text(w->ctx->arena, &w->o->w),
                    kube_span_text(w->ctx->arena, w->o->timeout), w->view.status.text);
    err_hint(err, "It goes on in the cluster; the next apply waits for it again. Raise timeouts if it only needs longer.");
    return r;
}

static int paused(struct wait *w, struct err *err) {
    int r = err_set(err, ERR_FAILED, "%s is paused, so its rollout never ends", kube_workload_text(w->ctx->arena, &w->o->w));
    err_hint(err, "Resume it: kubectl -n %s rollout resume deployment/%s.", w->o->w.ns, w->o->w.name);
    return r;
}

static int64_t least(int64_t a, int64_t b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

/* 1: done. 0: go on, at the latest after *ret_ms. */
static int look(struct wait *w, int64_t *ret_ms, struct err *err) {
    struct kube_view *v = &w->view;
    int64_t now = ctx_now(w->ctx), next = -1;
    int r = kube_view_revision(v, w->k, w->ctx, err);
    if (r < 0) return r;
    kube_view_refresh(v);
    say(w, now);
    if (v->status.paused) return paused(w, err);
    bool listed = v->pods_synced || v->pods_denied;
    if (v->status.on_delete && v->status.seen && listed) return on_delete_done(w);
    int64_t ms = done_in(w);
    if (ms == 0) return 1;
    next = least(next, ms);
    AUTO_ARENA struct arena *scratch = arena_new();
    const struct kube_finding *f = NULL;
    size_t n = kube_view_judge(v, scratch, &w->limits, now, &f, &ms);
    next = least(next, ms);
    for (size_t i = 0; i < n; i++)
        if (f[i].hopeless) return hopeless(w, f, n, err);
    if (w->o->timeout) {
        int64_t left = v->started + w->o->timeout - now;
        if (left <= 0) return too_late(w, f, n, err);
        next = least(next, left);
    }
    if (!w->events_on) {
        int64_t left = v->started + EVENTS_AFTER_MS - now;
        if (left <= 0) want_events(w);
        else next = least(next, left);
    }
    *ret_ms = next;
    return 0;
}

static int loop(struct wait *w, struct err *err) {
    int r = start_watches(w, err);
    while (r >= 0) {
        int64_t ms = -1;
        r = look(w, &ms, err);
        if (r) return r < 0 ? r : 0;
        /* One line of progress may be held back: it comes with the next look. */
        if (w->o->progress) ms = least(ms, 5000);
        r = take_all(w, ms, err);
    }
    return r;
}

static void remember_old_deadline(struct wait *w) {
    struct kube_status s;
    AUTO_ARENA struct arena *a = arena_new();
    kube_status_read(a, w->o->w.kind, w->o->object, &s);
    if (s.deadline) w->view.old_deadline = mem_strdup(s.deadline_since ? s.deadline_since : "");
}

int kube_rollout_wait(struct kube *k, struct ctx *ctx, const struct kube_wait *o, struct kube_outcome *ret, struct err *err) {
    const struct clock *clock = ctx_clock(ctx);
    *ret = (struct kube_outcome){0};
    struct wait w = {.k = k, .ctx = ctx, .o = o, .out = ret, .limits = {o->schedule, o->pull, o->ready}};
    AUTO_ERR struct err own = {0};
    kube_view_init(&w.view, &o->w, ctx_now(ctx), clock->wall(clock->self));
    kube_view_object(&w.view, json_copy(o->object));
    remember_old_deadline(&w);
    w.feed = kube_feed_new(k, ctx);
    int r = loop(&w, &own);
    kube_feed_free(w.feed);
    kube_view_refresh(&w.view);
    kube_digests(&w.view, ctx->arena, o, ret);
    if (!r) kube_prove(&w.view, ctx, o, ret);
    if (!w.view.deleted) ret->object = TAKE_PTR(w.view.object);
    kube_view_done(&w.view);
    mem_free(w.settled_as);
    mem_free(w.said);
    if (r < 0) err_move(err, &own);
    return r;
}
