#include "kube/proof.h"

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/rollout.h"
#include "kube/view.h"

enum { SETTLE_MS = 10000 };

int64_t kube_settle_default(const struct json *object) {
    const struct json *spec = json_get(object, "spec");
    if (json_get_int(spec, "minReadySeconds", 0) > 0) return 0;
    json_each(c, json_at(spec, "template", "spec", "containers", NULL)) {
        if (!json_is_obj(json_get(c, "readinessProbe"))) return SETTLE_MS;
    }
    return 0;
}

char *kube_restarts_text(const struct kube_view *v) {
    struct buf b = {0};
    for (size_t i = 0; i < v->n_pods; i++) {
        const struct kube_pod *p = v->pods[i]->pod;
        if (!v->pods[i]->fresh) continue;
        for (size_t c = 0; c < p->n_containers; c++) buf_addf(&b, "%lld,", (long long) p->containers[c].restarts);
    }
    return buf_take(&b);
}

bool kube_pods_caught_up(const struct kube_view *v) {
    int64_t ready = 0, wanted = v->status.updated;
    if (!v->pods_synced) return false;
    for (size_t i = 0; i < v->n_pods; i++) ready += v->pods[i]->fresh && v->pods[i]->pod->ready;
    return ready >= wanted;
}

char *kube_progress_text(const struct kube_view *v, struct arena *a) {
    const struct kube_status *s = &v->status;
    if (!s->seen || s->on_delete) return arena_strdup(a, s->text);
    size_t pulling = 0, unscheduled = 0, failing = 0, starting = 0;
    for (size_t i = 0; i < v->n_pods; i++) {
        const struct kube_seen *p = v->pods[i];
        if (!p->fresh || p->pod->ready) continue;
        bool trouble = false;
        for (size_t m = 0; m < p->n_marks; m++)
            trouble = trouble || (p->marks[m].rule && (p->marks[m].rule->kind == KUBE_SIGN_CRASH || p->marks[m].rule->kind == KUBE_SIGN_PULL));
        if (trouble) failing++;
        else if (p->phase == KUBE_PHASE_SCHEDULE) unscheduled++;
        else if (p->phase == KUBE_PHASE_PULL) pulling++;
        else starting++;
    }
    AUTO_BUF struct buf b = {0};
    buf_addf(&b, "%lld/%lld updated, %lld available", (long long) s->updated, (long long) s->desired, (long long) s->available);
    if (unscheduled) buf_addf(&b, ", %zu waiting for a node", unscheduled);
    if (pulling) buf_addf(&b, ", %zu pulling", pulling);
    if (starting) buf_addf(&b, ", %zu starting", starting);
    if (failing) buf_addf(&b, ", %zu failing", failing);
    if (s->total > s->updated && v->w.kind == KUBE_DEPLOYMENT) buf_addf(&b, ", %lld old", (long long) (s->total - s->updated));
    if (s->done) buf_adds(&b, ", watching that it stays so");
    return arena_strdup(a, buf_str(&b));
}

/* "host/repo@sha256:…" and "docker-pullable://…@sha256:…" → "sha256:…"; NULL if there is none. */
static const char *digest_in(const char *text) {
    const char *at = strstr(text, "sha256:");
    return at && strlen(at) >= 7 + 64 ? at : NULL;
}

static const struct kube_container *container_of(const struct kube_pod *p, const char *name) {
    for (size_t i = 0; i < p->n_containers; i++)
        if (str_eq(p->containers[i].name, name)) return &p->containers[i];
    return NULL;
}

/* The n-th distinct digest that pods of the new revision run. */
static const char *running(const struct kube_view *v, const char *container, size_t n) {
    const char *seen[8];
    size_t found = 0;
    for (size_t i = 0; i < v->n_pods && found <= n && found < ARRAY_SIZE(seen); i++) {
        const struct kube_container *c = v->pods[i]->fresh ? container_of(v->pods[i]->pod, container) : NULL;
        const char *digest = c ? digest_in(c->image_id) : NULL;
        bool known = !digest;
        for (size_t k = 0; k < found && !known; k++) known = str_eq(seen[k], digest);
        if (!known) seen[found++] = digest;
    }
    return n < found ? seen[n] : NULL;
}

void kube_digests(const struct kube_view *v, struct arena *a, const struct kube_wait *w, struct kube_outcome *ret) {
    ret->digests = arena_array(a, w->n_images + 1, sizeof *ret->digests);
    for (size_t i = 0; i < w->n_images; i++) {
        const char *digest = running(v, w->images[i].key, 0);
        if (digest) ret->digests[ret->n_digests++] = (struct kv){w->images[i].key, arena_strdup(a, digest)};
    }
}

static bool proven(struct ctx *ctx, const struct kube_wait *w, const struct kv *image, const char *running_digest) {
    if (str_eq(digest_in(image->value), running_digest)) return true;
    return w->same_image && w->same_image(w->arg, ctx, image->value, running_digest);
}

static void prove_one(const struct kube_view *v, struct ctx *ctx, const struct kube_wait *w, const struct kv *image, struct kube_outcome *ret) {
    struct arena *a = ctx->arena;
    if (!digest_in(image->value)) return; /* a tag: whatever the nodes have pulled */
    if (!running(v, image->key, 0)) {
        if (kube_view_fresh(v))
            strs_add(a, &ret->warnings, arena_printf(a, "What container %s runs isn't proven: its pods don't tell an image digest.", image->key));
        return;
    }
    for (size_t n = 0; n < 4; n++) {
        const char *digest = running(v, image->key, n);
        if (!digest || proven(ctx, w, image, digest)) continue;
        strs_add(a, &ret->warnings,
                 arena_printf(a, "Container %s should run %s, and its pods say %s. That may be the same image under another name: a node "
                                 "names an image by the first name that it pulled it under.",
                              image->key, image->value, digest));
    }
}

void kube_prove(const struct kube_view *v, struct ctx *ctx, const struct kube_wait *w, struct kube_outcome *ret) {
    if (v->pods_denied || v->status.on_delete) return;
    if (!v->status.desired) {
        strs_add(ctx->arena, &ret->warnings,
                 arena_printf(ctx->arena, "%s asks for 0 pods: nothing has run the new images yet.", kube_workload_text(ctx->arena, &w->w)));
        return;
    }
    if (!kube_pods_caught_up(v))
        strs_add(ctx->arena, &ret->warnings, arena_printf(ctx->arena, "%s is complete by its status, but not all of its new pods were seen ready.",
                                                          kube_workload_text(ctx->arena, &w->w)));
    for (size_t i = 0; i < w->n_images; i++) prove_one(v, ctx, w, &w->images[i], ret);
}
