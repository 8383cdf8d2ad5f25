#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "kube/status.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

bool rollout_workload(const struct rollout *r, struct kube_workload *ret, const char **ret_path) {
    const struct {
        struct tf_string name;
        enum kube_kind kind;
        const char *path;
    } all[] = {
        {r->deployment, KUBE_DEPLOYMENT, "deployment"},
        {r->stateful_set, KUBE_STATEFUL_SET, "stateful_set"},
        {r->daemon_set, KUBE_DAEMON_SET, "daemon_set"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].name.state == TF_NULL) continue;
        *ret_path = all[i].path;
        if (all[i].name.state != TF_KNOWN || r->ns.state != TF_KNOWN) return false;
        *ret = (struct kube_workload){.kind = all[i].kind, .ns = r->ns.v, .name = all[i].name.v};
        return true;
    }
    return false;
}

const char *rollout_id(struct arena *a, const struct kube_workload *w, const char *attribute) {
    return arena_printf(a, "%s/%s/%s", w->ns, attribute, w->name);
}

int rollout_kube(struct tf_req *req, struct kube **ret) {
    AUTO_ERR struct err err = {0};
    int r = provider_kube(req->provider, req->ctx, ret, &err);
    if (r < 0) tf_error_from(req->diags, NULL, "The cluster isn't known", &err);
    return r;
}

bool rollout_pairs(struct arena *a, const struct tf_map *m, const struct kv **ret, size_t *ret_n) {
    *ret = NULL;
    *ret_n = 0;
    if (m->state == TF_NULL) return true;
    if (tf_map_unknown(m)) return false;
    struct kv *pairs = arena_array(a, m->n + 1, sizeof *pairs);
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].value.state == TF_KNOWN) pairs[(*ret_n)++] = (struct kv){m->v[i].key, m->v[i].value.v};
    *ret = pairs;
    return true;
}

const char *rollout_image_path(struct arena *a, const struct rollout *r, const char *container, const char *fallback) {
    for (size_t i = 0; container && r->images.state == TF_KNOWN && i < r->images.n; i++)
        if (str_eq(r->images.v[i].key, container) && !strpbrk(container, "\"\\")) return arena_printf(a, "images[\"%s\"]", container);
    return fallback;
}

bool rollout_check_containers(struct tf_req *req, const struct rollout *r, const struct json *live, const struct kube_workload *w) {
    struct arena *a = req->ctx->arena;
    bool good = true;
    for (size_t i = 0; r->images.state == TF_KNOWN && i < r->images.n; i++) {
        const char *name = r->images.v[i].key;
        if (kube_container(live, name, NULL)) continue;
        good = false;
        tf_error(req->diags, rollout_image_path(a, r, name, "images"), "No such container", "The %s has no container \"%s\". Its containers: %s.",
                 kube_workload_text(a, w), name, kube_container_names(a, live));
    }
    return good;
}

bool rollout_change(struct tf_req *req, const struct rollout *r, const struct kube_workload *w, const struct json *live,
                    const char *restarted_at, struct kube_change *ret) {
    struct arena *a = req->ctx->arena;
    struct kube_change c = {.w = *w, .live = live};
    if (!rollout_pairs(a, &r->images, &c.images, &c.n_images) || !rollout_pairs(a, &r->annotations, &c.annotations, &c.n_annotations))
        return false;
    if (r->image_pull_policy.state == TF_UNKNOWN || r->field_manager.state == TF_UNKNOWN || r->force_conflicts.state == TF_UNKNOWN) return false;
    c.pull_policy = tf_text(r->image_pull_policy);
    c.manager = r->field_manager.state == TF_KNOWN ? r->field_manager.v : "gpudev";
    c.force = r->force_conflicts.state != TF_KNOWN || r->force_conflicts.v;
    /* An old restart stays as it is: leaving it out would restart once more. */
    c.restarted_at = restarted_at ? restarted_at : kube_template_annotation(live, KUBE_RESTARTED_AT);
    *ret = c;
    return true;
}

void rollout_observe(struct arena *a, struct rollout *r, const struct kube_workload *w, const struct json *object) {
    struct kube_status s;
    kube_status_read(a, w->kind, object, &s);
    const char *revision = w->kind == KUBE_DEPLOYMENT
                               ? json_str(json_at(object, "metadata", "annotations", "deployment.kubernetes.io/revision", NULL))
                           : w->kind == KUBE_STATEFUL_SET ? json_str(json_at(object, "status", "updateRevision", NULL))
                                                          : NULL;
    r->revision = tf_str(revision ? text_clean(a, revision, strnlen(revision, 300)) : NULL);
    r->generation = tf_integer(s.generation);
    r->replicas = tf_integer(s.desired);
    r->ready_replicas = tf_integer(s.ready);
    const char *restarted = kube_template_annotation(object, KUBE_RESTARTED_AT);
    r->restarted_at = tf_str(restarted ? text_clean(a, restarted, strnlen(restarted, 300)) : NULL);
}

int64_t rollout_ms(struct tf_string s, int64_t fallback) {
    int64_t ms = s.state == TF_KNOWN ? duration_parse(s.v) : -1;
    return ms >= 0 ? ms : fallback;
}

void rollout_private_read(struct arena *a, const char *text, struct rollout_private *ret) {
    *ret = (struct rollout_private){0};
    if (!text) return;
    AUTO_JSON struct json *j = json_parse(text, strlen(text), NULL);
    ret->uid = arena_strdup(a, json_get_str(j, "uid"));
    ret->proven = arena_strdup(a, json_get_str(j, "proven"));
    ret->unfinished = arena_strdup(a, json_get_str(j, "unfinished"));
    ret->imported = json_true(json_get(j, "imported"));
    struct kv *good = arena_array(a, json_len(json_get(j, "good")) + 1, sizeof *good);
    json_each(image, json_get(j, "good")) {
        if (json_str(image)) good[ret->n_good++] = (struct kv){arena_strdup(a, json_key(image)), arena_strdup(a, json_str(image))};
    }
    ret->good = good;
}

void rollout_private_prove(struct arena *a, struct rollout_private *p, const struct rollout *r, const struct json *object) {
    struct kv *good = arena_array(a, r->images.n + 1, sizeof *good);
    size_t n = 0;
    for (size_t i = 0; r->images.state == TF_KNOWN && i < r->images.n; i++) {
        const char *image = json_get_str(kube_container(object, r->images.v[i].key, NULL), "image");
        if (image) good[n++] = (struct kv){r->images.v[i].key, arena_strdup(a, image)};
    }
    *p = (struct rollout_private){
        .uid = arena_strdup(a, kube_uid(object)), .proven = kube_template_hash(a, object), .good = good, .n_good = n,
        .imported = p->imported,
    };
}

const char *rollout_private_text(struct arena *a, const struct rollout_private *p) {
    AUTO_JSON struct json *j = json_obj();
    json_set_str(j, "uid", p->uid);
    json_set_str(j, "proven", p->proven);
    json_set_str(j, "unfinished", p->unfinished);
    if (p->imported) json_set_bool(j, "imported", true);
    struct json *good = json_set(j, "good", json_obj());
    for (size_t i = 0; i < p->n_good; i++) json_set_str(good, p->good[i].key, p->good[i].value);
    return json_text(a, j);
}
