/* Which pods are the new ones: the ReplicaSet with the Deployment's revision, the StatefulSet's updateRevision, the
 * DaemonSet's ControllerRevision of the highest number. */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/rollout.h"
#include "kube/view.h"

#define REVISION "deployment.kubernetes.io/revision"

static void replace(char **to, const char *with) {
    char *copy = mem_strdup(with);
    mem_free(*to);
    *to = copy;
}

static bool owned_by(const struct json *object, const char *uid) {
    json_each(owner, json_at(object, "metadata", "ownerReferences", NULL)) {
        if (str_eq(json_get_str(owner, "uid"), uid) && json_true(json_get(owner, "controller"))) return true;
    }
    return false;
}

static int list(struct kube_view *v, struct kube *k, struct ctx *ctx, const char *plural, struct json **ret, struct err *err) {
    struct arena *a = ctx->arena;
    const char *path = arena_printf(a, "/apis/apps/v1/namespaces/%s/%s?labelSelector=%s", http_encode(a, v->w.ns, false), plural,
                                    http_encode(a, kube_selector(a, v->object), false));
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    int r = kube_send(k, ctx, &(struct kube_request){.path = path}, &reply, err);
    if (!r) *ret = TAKE_PTR(reply.json);
    return r;
}

static const struct json *replica_set_of(const struct kube_view *v, const struct json *sets, const char *revision) {
    json_each(rs, json_get(sets, "items")) {
        const char *own = json_str(json_at(rs, "metadata", "annotations", REVISION, NULL));
        if (str_eq(own, revision) && owned_by(rs, kube_uid(v->object))) return rs;
    }
    return NULL;
}

static const struct json *latest_of(const struct kube_view *v, const struct json *revisions) {
    const struct json *latest = NULL;
    int64_t highest = -1;
    json_each(cr, json_get(revisions, "items")) {
        int64_t n = json_get_int(cr, "revision", 0);
        if (n <= highest || !owned_by(cr, kube_uid(v->object))) continue;
        latest = cr;
        highest = n;
    }
    return latest;
}

static int look_up(struct kube_view *v, struct kube *k, struct ctx *ctx, const char *revision, struct err *err) {
    bool deployment = v->w.kind == KUBE_DEPLOYMENT;
    AUTO_JSON struct json *all = NULL;
    AUTO_ERR struct err own = {0};
    int r = list(v, k, ctx, deployment ? "replicasets" : "controllerrevisions", &all, &own);
    if (r == -ERR_DENIED || r == -ERR_UNAUTHENTICATED) {
        log_debug(ctx, "%s: %s", v->w.name, err_text(&own));
        v->by_image = true;
        return 0;
    }
    if (r < 0 && ctx_check(ctx, err) < 0) return r;
    if (r < 0) return 0; /* again upon the next change */
    const struct json *found = deployment ? replica_set_of(v, all, revision) : latest_of(v, all);
    if (!found) return 0;
    if (deployment)
        replace(&v->owner_uid, kube_uid(found));
    else
        replace(&v->hash, json_str(json_at(found, "metadata", "labels", "controller-revision-hash", NULL)));
    replace(&v->revision, revision);
    return 0;
}

int kube_view_revision(struct kube_view *v, struct kube *k, struct ctx *ctx, struct err *err) {
    if (!v->status.seen || v->by_image) return 0;
    const struct json *o = v->object;
    if (v->w.kind == KUBE_STATEFUL_SET) {
        replace(&v->hash, json_str(json_at(o, "status", "updateRevision", NULL)));
        return 0;
    }
    AUTO_ARENA struct arena *a = arena_new();
    const char *revision = v->w.kind == KUBE_DEPLOYMENT ? json_str(json_at(o, "metadata", "annotations", REVISION, NULL))
                                                        : arena_printf(a, "%lld", (long long) v->status.observed);
    if (!revision || str_eq(revision, v->revision)) return 0;
    struct ctx c = ctx_with_arena(ctx, a);
    return look_up(v, k, &c, revision, err);
}
