/* What an apply would do, and whether the cluster would let it. */
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "kube/status.h"
#include "kube/when.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

static const char *now_text(struct tf_req *req) {
    const struct clock *clock = ctx_clock(req->ctx);
    return kube_time_text(req->ctx->arena, clock->wall(clock->self));
}

/* The whole rollout's limit, where the user set one. */
static int64_t asked_timeout(const struct rollout *r, bool create) {
    const struct rollout_timeouts *t = r->timeouts.state == TF_KNOWN ? r->timeouts.v : NULL;
    return t ? rollout_ms(create ? t->create : t->update, -1) : -1;
}

static void warn_of_strategy(struct tf_req *req, const struct rollout *planned, const struct kube_workload *w, const char *path,
                             const struct json *live, bool create) {
    struct arena *a = req->ctx->arena;
    struct kube_status s;
    kube_status_read(a, w->kind, live, &s);
    const char *text = kube_workload_text(a, w);
    if (s.on_delete)
        tf_warning(req->diags, path, "The pods change only when they are deleted",
                   "The %s has the update strategy OnDelete: the apply ends when the new template is known to its controller, and says which "
                   "pods are still to be deleted.", text);
    if (s.paused)
        tf_warning(req->diags, path, "The Deployment is paused",
                   "The rollout of %s won't begin before it is resumed: kubectl -n %s rollout resume deployment/%s.", text, w->ns, w->name);
    int64_t timeout = asked_timeout(planned, create);
    if (s.progress_deadline_s && timeout > s.progress_deadline_s * 1000)
        tf_warning(req->diags, "timeouts", "The Deployment gives up earlier",
                   "The %s has progressDeadlineSeconds %lld, after which it counts as failed; the timeout here is %s. Raise the former for slow "
                   "pulls or nodes that come late.", text, (long long) s.progress_deadline_s, kube_span_text(a, timeout));
}

/* The very patch, not kept: permissions, admission and conflicts show now. */
static void dry_run(struct tf_req *req, struct kube *k, const struct rollout *planned, const struct kube_workload *w, const char *path,
                    const struct json *live, bool restarts) {
    struct arena *a = req->ctx->arena;
    struct kube_change change;
    if (!rollout_change(req, planned, w, live, restarts ? now_text(req) : NULL, &change)) return;
    change.dry_run = true;
    struct kube_applied applied;
    AUTO_ERR struct err err = {0};
    int r = kube_apply(k, req->ctx, &change, &applied, &err);
    for (size_t i = 0; i < applied.warnings.n; i++)
        tf_warning(req->diags, path, "The API server warns", "%s", applied.warnings.v[i]);
    if (r < 0)
        tf_error_from(req->diags, rollout_image_path(a, planned, applied.container, path),
                      arena_printf(a, "The %s can't be changed so", kube_workload_text(a, w)), &err);
    json_free(applied.object);
}

static void check_live(struct tf_req *req, const struct rollout *planned, const struct kube_workload *w, const char *path, bool create,
                       bool restarts) {
    struct arena *a = req->ctx->arena;
    struct kube *k = NULL;
    if (rollout_kube(req, &k) != 0) return;
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *live = NULL;
    int r = kube_get(k, req->ctx, kube_workload_path(a, w), &live, &err);
    if (r < 0) {
        tf_error_from(req->diags, path, arena_printf(a, "The %s can't be read", kube_workload_text(a, w)), &err);
    } else if (r == 1) {
        tf_warning(req->diags, path, "The workload isn't there yet",
                   "There is no %s in %s. If nothing in this configuration creates it before, the apply will fail: gpudev_rollout changes a "
                   "workload, it doesn't create one.", kube_workload_text(a, w), kube_server(k));
    } else if (rollout_check_containers(req, planned, live, w)) {
        warn_of_strategy(req, planned, w, path, live, create);
        dry_run(req, k, planned, w, path, live, restarts);
    }
}

void rollout_plan(struct tf_req *req, struct tf_plan *p) {
    struct arena *a = req->ctx->arena;
    const struct rollout *prior = p->prior;
    struct rollout *planned = p->planned;
    struct kube_workload w = {0};
    const char *path = NULL;
    struct rollout_private private;
    rollout_private_read(a, p->private.in, &private);
    bool known = rollout_workload(planned, &w, &path);
    if (prior && private.unfinished && !p->changed) {
        tf_plan_unknown(&rollout_resource.table, p);
        tf_warning(req->diags, path, "The last rollout isn't complete", "%s. It is planned again: the apply waits for it to complete.", private.unfinished);
    }
    if (!p->changed) return;
    bool moved = prior && (!tf_string_equal(planned->ns, prior->ns) || !tf_string_equal(planned->deployment, prior->deployment) ||
                           !tf_string_equal(planned->stateful_set, prior->stateful_set) ||
                           !tf_string_equal(planned->daemon_set, prior->daemon_set));
    bool restarts = prior ? !private.imported && !tf_map_equal(&planned->triggers, &prior->triggers) : planned->triggers.state != TF_NULL;
    if (!known)
        planned->id = TF_UNKNOWN_STRING;
    else
        planned->id = tf_str(rollout_id(a, &w, path));
    if (restarts || !prior || moved) planned->restarted_at = TF_UNKNOWN_STRING;
    if (!prior || moved || !tf_map_equal(&planned->images, &prior->images)) planned->previous_images = (struct tf_map){.state = TF_UNKNOWN};
    if (known) check_live(req, planned, &w, path, !prior || moved, restarts && prior);
}
