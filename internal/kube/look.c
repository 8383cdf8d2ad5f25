/* One look at a rollout that nobody waited for to the end. */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/proof.h"
#include "kube/rollout.h"
#include "kube/view.h"

static int read_pods(struct kube_view *v, struct kube *k, struct ctx *ctx, struct err *err) {
    struct arena *a = ctx->arena;
    const char *path = arena_printf(a, "/api/v1/namespaces/%s/pods?labelSelector=%s", http_encode(a, v->w.ns, false),
                                    http_encode(a, kube_selector(a, v->object), false));
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    int r = kube_send(k, ctx, &(struct kube_request){.path = path}, &reply, err);
    if (r < 0) return r;
    json_each(item, json_get(reply.json, "items")) kube_view_pod(v, item, false, ctx_now(ctx));
    kube_view_synced(v);
    return 0;
}

/* What speaks against it, or NULL. */
static const char *doubt(const struct kube_view *v, struct arena *a, int64_t settle, int64_t wall) {
    if (!kube_pods_caught_up(v)) return "not all of its new pods are ready";
    for (size_t i = 0; i < v->n_pods; i++) {
        const struct kube_pod *p = v->pods[i]->pod;
        if (!v->pods[i]->fresh) continue;
        for (size_t c = 0; c < p->n_containers; c++) {
            const struct kube_container *own = &p->containers[c];
            if (own->init) continue;
            if (own->state != KUBE_RUNNING) return arena_printf(a, "container %s of pod %s isn't running", own->name, p->name);
            if (settle && own->running_since > wall - settle)
                return arena_printf(a, "container %s of pod %s runs for a few seconds only", own->name, p->name);
        }
    }
    return NULL;
}

int kube_rollout_look(struct kube *k, struct ctx *ctx, const struct kube_workload *w, const struct json *object, int64_t settle,
                      const char **ret_why, struct err *err) {
    const struct clock *clock = ctx_clock(ctx);
    struct kube_view v;
    AUTO_ERR struct err own = {0};
    kube_view_init(&v, w, ctx_now(ctx), clock->wall(clock->self));
    kube_view_object(&v, json_copy(object));
    const char *why = NULL;
    int r = 0;
    if (!v.status.done && !(v.status.on_delete && v.status.seen)) {
        why = v.status.deadline ? "its progress deadline is exceeded" : v.status.text;
    } else if (!v.status.on_delete) {
        r = read_pods(&v, k, ctx, &own);
        if (!r) r = kube_view_revision(&v, k, ctx, &own);
        kube_view_refresh(&v);
        if (!r) why = doubt(&v, ctx->arena, settle >= 0 ? settle : kube_settle_default(object), v.started_wall);
        if (r == -ERR_DENIED) r = 0; /* the status alone has to do */
    }
    if (!r && why) *ret_why = arena_strdup(ctx->arena, why);
    kube_view_done(&v);
    if (r < 0) {
        err_move(err, &own);
        return r;
    }
    return why ? 0 : 1;
}
