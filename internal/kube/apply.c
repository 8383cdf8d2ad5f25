/* Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/rollout.h"

static struct json *skeleton(const struct kube_change *c) {
    struct json *o = json_obj();
    json_set_str(o, "apiVersion", "apps/v1");
    json_set_str(o, "kind", kube_kind_name(c->w.kind));
    struct json *meta = json_set(o, "metadata", json_obj());
    json_set_str(meta, "name", c->w.name);
    json_set_str(meta, "uid", kube_uid(c->live));
    return o;
}

static void add_container(struct json *spec, bool init, const char *name, const char *image, const char *policy) {
    const char *list = init ? "initContainers" : "containers";
    struct json *arr = (struct json *) json_get(spec, list);
    if (!arr) arr = json_set(spec, list, json_arr());
    struct json *c = json_add(arr, json_obj());
    json_set_str(c, "name", name);
    json_set_str(c, "image", image);
    json_set_str(c, "imagePullPolicy", policy);
}

static struct json *set_of(const struct kube_change *c) {
    struct json *o = skeleton(c);
    if (c->n_annotations) {
        struct json *meta = (struct json *) json_get(o, "metadata"), *ann = json_set(meta, "annotations", json_obj());
        for (size_t i = 0; i < c->n_annotations; i++) json_set_str(ann, c->annotations[i].key, c->annotations[i].value);
    }
    if (!c->restarted_at && !c->n_images) return o;
    struct json *template = json_set(json_set(o, "spec", json_obj()), "template", json_obj());
    if (c->restarted_at) {
        struct json *meta = json_set(template, "metadata", json_obj());
        json_set_str(json_set(meta, "annotations", json_obj()), KUBE_RESTARTED_AT, c->restarted_at);
    }
    if (!c->n_images) return o;
    struct json *spec = json_set(template, "spec", json_obj());
    for (size_t i = 0; i < c->n_images; i++) {
        bool init = false;
        kube_container(c->live, c->images[i].key, &init);
        const struct json *as = c->policies ? kube_container(c->policies, c->images[i].key, NULL) : NULL;
        add_container(spec, init, c->images[i].key, c->images[i].value, as ? json_get_str(as, "imagePullPolicy") : c->pull_policy);
    }
    return o;
}

static bool is_in(const struct kube_change *c, const char *container) {
    for (size_t i = 0; i < c->n_images; i++)
        if (str_eq(c->images[i].key, container)) return true;
    return false;
}

/* The name in a key of fieldsV1, k:{"name":"api"}, in the arena. */
static const char *name_of_key(struct arena *a, const char *key) {
    if (!str_starts(key, "k:")) return NULL;
    AUTO_JSON struct json *j = json_parse(key + 2, strlen(key + 2), NULL);
    return arena_strdup(a, json_get_str(j, "name"));
}

static void owned_in(struct arena *a, const struct kube_change *c, const struct json *fields, const char *list, struct strs *ret) {
    json_each(entry, json_at(fields, "f:spec", "f:template", "f:spec", list, NULL)) {
        const char *name = name_of_key(a, json_key(entry));
        if (name && json_get(entry, "f:image") && !is_in(c, name) && kube_container(c->live, name, NULL)) strs_add(a, ret, name);
    }
}

/* Containers whose image the manager has applied and that the change doesn't name. */
static void owned_by(struct arena *a, const struct kube_change *c, const char *manager, struct strs *ret) {
    json_each(entry, json_at(c->live, "metadata", "managedFields", NULL)) {
        if (!str_eq(json_get_str(entry, "manager"), manager) || !str_eq(json_get_str(entry, "operation"), "Apply")) continue;
        owned_in(a, c, json_get(entry, "fieldsV1"), "f:containers", ret);
        owned_in(a, c, json_get(entry, "fieldsV1"), "f:initContainers", ret);
    }
}

/* conflict with "kubectl" …: .spec.template.spec.containers[name="api"].image → api */
static const char *container_of_field(struct arena *a, const char *field) {
    const char *at = field ? strstr(field, "ontainers[name=\"") : NULL;
    if (!at) return NULL;
    at += strlen("ontainers[name=\"");
    return arena_strndup(a, at, strcspn(at, "\""));
}

static int explain_conflict(struct ctx *ctx, const struct kube_change *c, const struct kube_reply *reply, struct kube_applied *ret,
                            struct err *err) {
    AUTO_BUF struct buf b = {.max = 4000};
    for (size_t i = 0; i < reply->n_causes; i++) {
        const struct kube_cause *cause = &reply->causes[i];
        if (!ret->container) ret->container = container_of_field(ctx->arena, cause->field);
        buf_addf(&b, "%s  %s: %s", b.len ? "\n" : "", cause->field ? cause->field : "", cause->message ? cause->message : "");
    }
    err_set(err, ERR_CONFLICT, "%s: another manager holds what is to be changed", kube_workload_text(ctx->arena, &c->w));
    err_hint(err, "Set force_conflicts = true to take these fields over, or let their manager leave them.");
    err_detail(err, buf_str(&b));
    return -ERR_CONFLICT;
}

static int gone(struct ctx *ctx, const struct kube_change *c, const char *how, struct err *err) {
    int r = err_set(err, ERR_NOT_FOUND, "%s %s", kube_workload_text(ctx->arena, &c->w), how);
    err_hint(err, "gpudev_rollout changes a workload that exists, it never creates one.");
    return r;
}

static int explain(struct ctx *ctx, const struct kube_change *c, const struct kube_reply *reply, int r, struct kube_applied *ret,
                   struct err *err) {
    const char *message = reply->message ? reply->message : "";
    if (reply->status == 404 || (reply->status == 409 && strstr(message, "no existing object was found"))) return gone(ctx, c, "is not there (any more)", err);
    if (reply->status == 409 && reply->n_causes) return explain_conflict(ctx, c, reply, ret, err);
    for (size_t i = 0; i < reply->n_causes; i++) {
        if (reply->status == 422 && str_eq(reply->causes[i].field, "metadata.uid")) return gone(ctx, c, "was deleted and made anew meanwhile", err);
        if (!ret->container) ret->container = container_of_field(ctx->arena, reply->causes[i].field);
    }
    if (reply->status == 403 && str_eq(reply->reason, "Forbidden") && strstr(message, "cannot patch"))
        err_hint(err, "The credentials need the verb patch on %s (apps) in the namespace %s.", kube_kind_plural(c->w.kind), c->w.ns);
    return r;
}

static int patch(struct kube *k, struct ctx *ctx, const struct kube_change *c, const struct json *body, const char *manager, bool force,
                 struct kube_applied *ret, struct err *err) {
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    struct arena *a = ctx->arena;
    struct kube_request req = {
        .method = "PATCH", .content_type = "application/apply-patch+yaml", .body = json_text(a, body),
        .path = arena_printf(a, "%s?fieldManager=%s&force=%s%s", kube_workload_path(a, &c->w), http_encode(a, manager, false),
                             force ? "true" : "false", c->dry_run ? "&dryRun=All" : ""),
    };
    int r = kube_send(k, ctx, &req, &reply, err);
    for (size_t i = 0; i < reply.warnings.n; i++) strs_add(a, &ret->warnings, reply.warnings.v[i]);
    if (r < 0) return explain(ctx, c, &reply, r, ret, err);
    if (!json_is_obj(json_get(reply.json, "metadata"))) return err_set(err, ERR_PROTOCOL, "%s answers a patch without an object", kube_server(k));
    json_free(ret->object);
    ret->object = TAKE_PTR(reply.json);
    return 0;
}

/* Somebody must own a required field: another manager of ours owns what leaves, so that dropping it changes nothing. */
static int hand_over(struct kube *k, struct ctx *ctx, const struct kube_change *c, const struct strs *leaving, struct err *err) {
    const char *heir = arena_printf(ctx->arena, "%s-left", c->manager);
    struct strs names = *leaving;
    owned_by(ctx->arena, c, heir, &names); /* its full set, as for every manager */
    AUTO_JSON struct json *o = skeleton(c);
    struct json *spec = json_set(json_set(json_set(o, "spec", json_obj()), "template", json_obj()), "spec", json_obj());
    for (size_t i = 0; i < names.n; i++) {
        bool init = false, twice = false;
        for (size_t j = 0; j < i; j++) twice = twice || str_eq(names.v[i], names.v[j]);
        const struct json *live = kube_container(c->live, names.v[i], &init);
        if (!twice) add_container(spec, init, names.v[i], json_get_str(live, "image"), json_get_str(live, "imagePullPolicy"));
    }
    struct kube_applied ignored = {0};
    int r = patch(k, ctx, c, o, heir, true, &ignored, err);
    json_free(ignored.object);
    return r < 0 ? err_wrap(err, "giving up containers") : 0;
}

/* A dry run leaves nothing behind that the next request could build on: leaving containers are sent along as they are. */
static struct json *set_with(struct arena *a, const struct kube_change *c, const struct strs *leaving) {
    struct kube_change all = *c;
    struct kv *images = arena_array(a, c->n_images + leaving->n, sizeof *images);
    for (size_t i = 0; i < c->n_images; i++) images[i] = c->images[i];
    for (size_t i = 0; i < leaving->n; i++)
        images[c->n_images + i] = (struct kv){leaving->v[i], json_get_str(kube_container(c->live, leaving->v[i], NULL), "image")};
    all.images = images;
    all.n_images += leaving->n;
    return set_of(&all);
}

int kube_apply(struct kube *k, struct ctx *ctx, const struct kube_change *c, struct kube_applied *ret, struct err *err) {
    *ret = (struct kube_applied){0};
    struct strs leaving = {0};
    owned_by(ctx->arena, c, c->manager, &leaving);
    if (leaving.n && !c->dry_run) {
        int r = hand_over(k, ctx, c, &leaving, err);
        if (r < 0) return r;
    }
    AUTO_JSON struct json *body = leaving.n && c->dry_run ? set_with(ctx->arena, c, &leaving) : set_of(c);
    return patch(k, ctx, c, body, c->manager, c->force, ret, err);
}
