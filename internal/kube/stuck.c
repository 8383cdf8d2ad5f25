/* https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback */
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/pod.h"
#include "kube/rollout.h"
#include "kube/view.h"

static int delete_pod(struct kube *k, struct ctx *ctx, const char *ns, const struct kube_pod *p, struct err *err) {
    struct arena *a = ctx->arena;
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    /* Only the pod that was looked at, not its successor of the same name. */
    struct kube_request req = {
        .method = "DELETE", .content_type = "application/json",
        .body = arena_printf(a, "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":\"%s\"}}", p->uid),
        .path = arena_printf(a, "/api/v1/namespaces/%s/pods/%s", http_encode(a, ns, false), http_encode(a, p->name, false)),
    };
    int r = kube_send(k, ctx, &req, &reply, err);
    return r == -ERR_NOT_FOUND || r == -ERR_CONFLICT ? 0 : r;
}

int kube_delete_stuck(struct kube *k, struct ctx *ctx, const struct kube_workload *w, const struct json *object, size_t *ret_n, struct err *err) {
    struct arena *a = ctx->arena;
    const char *revision = json_str(json_at(object, "status", "updateRevision", NULL));
    *ret_n = 0;
    if (w->kind != KUBE_STATEFUL_SET || !revision) return 0;
    const char *path = arena_printf(a, "/api/v1/namespaces/%s/pods?labelSelector=%s", http_encode(a, w->ns, false),
                                    http_encode(a, kube_selector(a, object), false));
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    int r = kube_send(k, ctx, &(struct kube_request){.path = path}, &reply, err);
    json_each(item, json_get(reply.json, "items")) {
        struct kube_pod *p = r < 0 ? NULL : kube_pod_read(item);
        if (p && !p->ready && !p->deleting && str_eq(p->hash, revision) && str_eq(p->owner_uid, kube_uid(object))) {
            r = delete_pod(k, ctx, w->ns, p, err);
            *ret_n += r == 0;
        }
        kube_pod_free(p);
    }
    return r;
}
