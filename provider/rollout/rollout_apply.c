#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "kube/when.h"
#include "progress/progress.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

/* One create or update. */
struct job {
    struct tf_req *req;
    struct tf_apply *a;
    struct rollout *state;
    const struct rollout *prior;
    struct kube *k;
    struct kube_workload w;
    const char *path;
    struct progress *progress;
    struct rollout_private private;
    struct json *before; /* the live object before the change */
};

static const char *image_of(const struct json *object, const char *container) {
    return json_get_str(kube_container(object, container, NULL), "image");
}

/* What the containers ran before; after an apply that was cut off the live image is the new one already, and the state
 * knows better. */
static void take_previous(struct job *j, const struct json *live) {
    struct arena *a = j->req->ctx->arena;
    struct tf_map previous = {.state = TF_KNOWN};
    for (size_t i = 0; i < j->state->images.n; i++) {
        const struct tf_map_entry *e = &j->state->images.v[i];
        const char *image = image_of(live, e->key);
        if (str_eq(image, tf_text(e->value)) && j->prior && tf_map_get(&j->prior->images, e->key)) image = tf_map_get(&j->prior->images, e->key);
        if (image) tf_map_put(a, &previous, arena_strdup(a, e->key), tf_str(text_clean(a, image, strlen(image))));
    }
    j->state->previous_images = previous;
}

static bool same_images(const struct rollout *r, const struct json *live) {
    for (size_t i = 0; r->images.state == TF_KNOWN && i < r->images.n; i++)
        if (!str_eq(image_of(live, r->images.v[i].key), tf_text(r->images.v[i].value))) return false;
    return true;
}

/* Now, if this apply has to restart the pods; NULL if not. A new resource with triggers restarts what its images don't
 * change: that is what it was written for. */
static const char *restart_at(struct job *j, const struct json *live) {
    const struct rollout *planned = j->a->planned;
    bool triggers = planned->triggers.state == TF_KNOWN && planned->triggers.n;
    bool restarts = j->prior ? planned->restarted_at.state == TF_UNKNOWN : triggers && same_images(planned, live);
    const struct clock *clock = ctx_clock(j->req->ctx);
    return restarts ? kube_time_text(j->req->ctx->arena, clock->wall(clock->self)) : NULL;
}

static void remember(struct job *j, const struct json *object, const char *unfinished) {
    struct arena *a = j->req->ctx->arena;
    j->private.imported = false;
    j->private.uid = arena_strdup(a, kube_uid(object));
    j->private.unfinished = unfinished;
    if (!unfinished) rollout_private_prove(a, &j->private, j->state, object);
    j->a->private.out = rollout_private_text(a, &j->private);
}

static int read_live(struct job *j, struct json **ret) {
    struct arena *a = j->req->ctx->arena;
    AUTO_ERR struct err err = {0};
    int r = kube_get(j->k, j->req->ctx, kube_workload_path(a, &j->w), ret, &err);
    if (r == 1) {
        err_set(&err, ERR_NOT_FOUND, "there is no %s in %s", kube_workload_text(a, &j->w), kube_server(j->k));
        err_hint(&err, "gpudev_rollout changes a workload that exists. Create it before (depends_on), or correct namespace and name.");
        r = -ERR_NOT_FOUND;
    }
    if (r < 0) tf_error_from(j->req->diags, j->path, arena_printf(a, "The %s can't be read", kube_workload_text(a, &j->w)), &err);
    return r;
}

/* What a rollback goes back to: what runs now, or, after an apply of this workload that didn't complete, what ran before
 * that one. The create of a replacement comes with what is remembered of another workload. */
static void take_good(struct job *j) {
    struct arena *a = j->req->ctx->arena;
    if (j->private.unfinished && str_eq(j->private.uid, kube_uid(j->before))) return;
    struct kv *good = arena_array(a, j->state->images.n + 1, sizeof *good);
    j->private.n_good = 0;
    for (size_t i = 0; i < j->state->images.n; i++) {
        const char *container = j->state->images.v[i].key, *image = image_of(j->before, container);
        if (image) good[j->private.n_good++] = (struct kv){container, arena_strdup(a, image)};
    }
    j->private.good = good;
}

/* 0 with the object as it is then; reported otherwise. */
static int change(struct job *j, struct json **ret) {
    struct tf_req *req = j->req;
    struct arena *a = req->ctx->arena;
    struct kube_change c;
    struct kube_applied applied;
    AUTO_ERR struct err err = {0};
    if (read_live(j, &j->before) < 0 || !rollout_check_containers(req, j->state, j->before, &j->w)) return -1;
    const struct json *live = j->before;
    take_good(j);
    if (!rollout_change(req, j->state, &j->w, live, restart_at(j, live), &c)) {
        tf_error(req->diags, j->path, "A value is still unknown", "An argument of this resource has no value although it is being applied.");
        return -1;
    }
    if (j->state->previous_images.state == TF_UNKNOWN) take_previous(j, live);
    int r = kube_apply(j->k, req->ctx, &c, &applied, &err);
    for (size_t i = 0; i < applied.warnings.n; i++) tf_warning(req->diags, j->path, "The API server warns", "%s", applied.warnings.v[i]);
    if (r < 0) {
        tf_error_from(req->diags, rollout_image_path(a, j->state, applied.container, j->path),
                      arena_printf(a, "The %s can't be changed", kube_workload_text(a, &j->w)), &err);
        return r;
    }
    bool new_template = !str_eq(kube_template_hash(a, live), kube_template_hash(a, applied.object));
    progress_line(j->progress, new_template ? "changed, waiting for its pods" : "as it should be, looking at its pods");
    *ret = applied.object;
    return 0;
}

static struct kube_wait wait_of(struct job *j, const struct json *object) {
    const struct rollout *s = j->state;
    static const struct rollout_timeouts none;
    const struct rollout_timeouts *t = s->timeouts.state == TF_KNOWN ? s->timeouts.v : &none;
    struct kube_wait w = {
        .w = j->w, .object = object, .manager = s->field_manager.state == TF_KNOWN ? s->field_manager.v : "gpudev",
        .timeout = rollout_ms(j->prior ? t->update : t->create, ROLLOUT_TIMEOUT_MS), .settle = rollout_ms(s->settle, -1),
        .schedule = rollout_ms(t->schedule, 0), .pull = rollout_ms(t->pull, 0), .ready = rollout_ms(t->ready, 0), .progress = j->progress,
    };
    rollout_pairs(j->req->ctx->arena, &s->images, &w.images, &w.n_images);
    return w;
}

static void take_digests(struct job *j, const struct kube_outcome *out) {
    struct tf_map digests = {.state = TF_KNOWN};
    for (size_t i = 0; i < out->n_digests; i++)
        tf_map_put(j->req->ctx->arena, &digests, out->digests[i].key, tf_str(out->digests[i].value));
    j->state->running_digests = digests;
}

/* The image that a container last ran in a complete rollout; else the one before this apply. */
static const char *good_image(const struct job *j, const char *container) {
    for (size_t i = 0; i < j->private.n_good; i++)
        if (str_eq(j->private.good[i].key, container)) return j->private.good[i].value;
    return image_of(j->before, container);
}

static bool is_good(const struct job *j, const struct json *object) {
    for (size_t i = 0; i < j->state->images.n; i++) {
        const char *name = j->state->images.v[i].key;
        const struct json *now = kube_container(object, name, NULL), *before = kube_container(j->before, name, NULL);
        if (!str_eq(good_image(j, name), json_get_str(now, "image"))) return false;
        if (!str_eq(json_get_str(before, "imagePullPolicy"), json_get_str(now, "imagePullPolicy"))) return false;
    }
    return str_eq(kube_template_annotation(j->before, KUBE_RESTARTED_AT), kube_template_annotation(object, KUBE_RESTARTED_AT));
}

/* What the workload was, as a change from what it is. */
static struct kube_change back_to(struct job *j, const struct json *now) {
    struct arena *a = j->req->ctx->arena;
    struct kv *images = arena_array(a, j->state->images.n + 1, sizeof *images);
    struct kv *annotations = arena_array(a, j->state->annotations.n + 1, sizeof *annotations);
    struct kube_change c = {.w = j->w, .live = now, .policies = j->before, .images = images, .annotations = annotations, .force = true};
    for (size_t i = 0; i < j->state->images.n; i++) {
        const char *image = good_image(j, j->state->images.v[i].key);
        if (image) images[c.n_images++] = (struct kv){j->state->images.v[i].key, image};
    }
    for (size_t i = 0; i < j->state->annotations.n; i++) {
        const char *key = j->state->annotations.v[i].key, *value = json_str(json_at(j->before, "metadata", "annotations", key, NULL));
        if (value) annotations[c.n_annotations++] = (struct kv){key, value};
    }
    c.restarted_at = kube_template_annotation(j->before, KUBE_RESTARTED_AT);
    c.manager = j->state->field_manager.state == TF_KNOWN ? j->state->field_manager.v : "gpudev";
    return c;
}

static int put_back(struct job *j, const struct json *now, struct kube_wait w, struct err *err) {
    enum { LIMIT_MS = 10 * 60 * 1000 };
    struct kube_change c = back_to(j, now);
    struct kube_applied applied;
    struct kube_outcome out = {0};
    size_t deleted = 0;
    int r = kube_apply(j->k, j->req->ctx, &c, &applied, err);
    if (r < 0) return r;
    AUTO_JSON struct json *object = applied.object;
    r = kube_delete_stuck(j->k, j->req->ctx, &j->w, now, &deleted, err);
    if (r == -ERR_DENIED)
        err_hint(err, "A StatefulSet waits for its stuck pod for ever, and the right to delete pods is missing: delete it by hand.");
    if (r < 0) return r;
    w.object = object;
    w.images = c.images;
    w.n_images = c.n_images;
    if (!w.timeout || w.timeout > LIMIT_MS) w.timeout = LIMIT_MS;
    r = kube_rollout_wait(j->k, j->req->ctx, &w, &out, err);
    json_free(out.object);
    return r;
}

/* rollback_on_failure. When it succeeds nothing of this apply is stored: the next plan tries again. */
static void roll_back(struct job *j, const struct json *now, const struct kube_wait *w) {
    struct arena *a = j->req->ctx->arena;
    AUTO_ERR struct err err = {0};
    const char *text = kube_workload_text(a, &j->w);
    if (is_good(j, now)) {
        tf_warning(j->req->diags, j->path, "Nothing to roll back to", "The %s had these images before: there are no others to put back.", text);
        return;
    }
    progress_line(j->progress, "failed, the prior images are put back");
    if (put_back(j, now, *w, &err) < 0) {
        tf_error_from(j->req->diags, j->path, arena_printf(a, "The rollback of %s isn't complete", text), &err);
        return;
    }
    j->a->keep = false;
    j->a->private.out = j->a->private.in;
    tf_warning(j->req->diags, j->path, "Rolled back", "The %s runs its prior images again; the next plan tries the change again.", text);
}

static void wait_for(struct job *j, const struct json *object) {
    struct arena *a = j->req->ctx->arena;
    struct kube_wait w = wait_of(j, object);
    struct kube_outcome out;
    AUTO_ERR struct err err = {0};
    int r = kube_rollout_wait(j->k, j->req->ctx, &w, &out, &err);
    AUTO_JSON struct json *last = out.object;
    for (size_t i = 0; i < out.warnings.n; i++)
        tf_warning(j->req->diags, j->path, arena_printf(a, "About the rollout of %s", kube_workload_text(a, &j->w)), "%s", out.warnings.v[i]);
    take_digests(j, &out);
    rollout_observe(a, j->state, &j->w, last ? last : object);
    if (r == 0) {
        remember(j, last ? last : object, NULL);
        progress_line(j->progress, "complete");
        return;
    }
    remember(j, object, arena_printf(a, "%s", err_text(&err)));
    progress_line(j->progress, "%s", err_text(&err));
    rollout_report(j->req, j->state, &j->w, j->path, &out, &err, progress_log_path(j->progress));
    bool failed = err.code == ERR_FAILED || err.code == ERR_TIMEOUT;
    if (failed && j->state->rollback_on_failure.state == TF_KNOWN && j->state->rollback_on_failure.v) roll_back(j, last ? last : object, &w);
}

static void run(struct job *j) {
    struct arena *a = j->req->ctx->arena;
    AUTO_JSON struct json *object = NULL;
    if (change(j, &object) < 0) return;
    /* From here on the cluster is changed: whatever comes, the state says so. */
    j->a->keep = true;
    j->state->id = tf_str(rollout_id(a, &j->w, j->path));
    rollout_observe(a, j->state, &j->w, object);
    if (j->state->wait.state == TF_KNOWN && !j->state->wait.v) {
        j->state->running_digests = (struct tf_map){.state = TF_KNOWN};
        remember(j, object, NULL);
        return;
    }
    remember(j, object, "The wait for it was cut off");
    wait_for(j, object);
}

static void roll_out(struct tf_req *req, struct tf_apply *a) {
    struct job j = {.req = req, .a = a, .state = a->state, .prior = a->prior};
    rollout_private_read(req->ctx->arena, a->private.in, &j.private);
    if (!rollout_workload(j.state, &j.w, &j.path)) {
        tf_error(req->diags, j.path, "No workload", "Exactly one of deployment, stateful_set and daemon_set must name one.");
        return;
    }
    int r = rollout_kube(req, &j.k);
    if (r == 1) tf_error(req->diags, NULL, "The cluster isn't known", "The provider's kubernetes block still waits for values of other resources.");
    if (r != 0) return;
    j.progress = provider_progress(req->provider, arena_printf(req->ctx->arena, "%s/%s", j.w.ns, j.w.name));
    run(&j);
    json_free(j.before);
    progress_free(j.progress);
}

void rollout_create(struct tf_req *req, struct tf_apply *a) { roll_out(req, a); }
void rollout_update(struct tf_req *req, struct tf_apply *a) { roll_out(req, a); }

/* on_destroy = "restore". A workload that is gone has nothing to restore. */
static void restore(struct tf_req *req, const struct rollout *prior, const struct kube_workload *w, const char *path) {
    struct arena *a = req->ctx->arena;
    struct kube *k = NULL;
    int r = rollout_kube(req, &k);
    if (r == 1) tf_error(req->diags, NULL, "The cluster isn't known", "Without it the previous images can't be put back.");
    if (r != 0) return;
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *live = NULL;
    r = kube_get(k, req->ctx, kube_workload_path(a, w), &live, &err);
    if (r == 1) return;
    struct rollout back = *prior;
    back.images = (struct tf_map){.state = TF_KNOWN};
    for (size_t i = 0; r == 0 && i < prior->previous_images.n; i++) { /* naming one that is gone would add it */
        const struct tf_map_entry *e = &prior->previous_images.v[i];
        if (kube_container(live, e->key, NULL)) tf_map_put(a, &back.images, e->key, e->value);
    }
    struct kube_change c;
    struct kube_applied applied = {0};
    if (r == 0 && rollout_change(req, &back, w, live, NULL, &c)) r = kube_apply(k, req->ctx, &c, &applied, &err);
    json_free(applied.object);
    if (r < 0 && r != -ERR_NOT_FOUND) tf_error_from(req->diags, path, arena_printf(a, "The previous images of %s can't be put back", kube_workload_text(a, w)), &err);
}

void rollout_destroy(struct tf_req *req, struct tf_apply *a) {
    const struct rollout *prior = a->prior;
    struct kube_workload w;
    const char *path = NULL;
    if (!str_eq(tf_text(prior->on_destroy), "restore") || prior->previous_images.state != TF_KNOWN || !prior->previous_images.n) return;
    if (rollout_workload(prior, &w, &path)) restore(req, prior, &w, path);
}
