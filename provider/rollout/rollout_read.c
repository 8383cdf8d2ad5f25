/* Three cases are told apart: gone, drift, and "could not tell", which keeps the state. */
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

static const char *clean(struct arena *a, const char *s) { return s ? text_clean(a, s, strnlen(s, 8192)) : NULL; }

/* The live images of the containers that the state names; true if one differs. */
static bool read_images(struct arena *a, struct rollout *r, const struct json *live) {
    bool differs = false;
    struct tf_map now = {.state = r->images.state};
    if (r->images.state != TF_KNOWN) return false;
    for (size_t i = 0; i < r->images.n; i++) {
        const struct json *c = kube_container(live, r->images.v[i].key, NULL);
        const char *image = clean(a, json_get_str(c, "image")), *policy = clean(a, json_get_str(c, "imagePullPolicy"));
        differs = differs || !str_eq(image, tf_text(r->images.v[i].value));
        if (image) tf_map_put(a, &now, r->images.v[i].key, tf_str(image));
        if (!policy || str_eq(policy, tf_text(r->image_pull_policy))) continue;
        r->image_pull_policy = tf_str(policy);
        differs = true;
    }
    r->images = now;
    return differs;
}

static bool read_annotations(struct arena *a, struct rollout *r, const struct json *live) {
    bool differs = false;
    struct tf_map now = {.state = r->annotations.state};
    if (r->annotations.state != TF_KNOWN) return false;
    for (size_t i = 0; i < r->annotations.n; i++) {
        const char *key = r->annotations.v[i].key, *value = clean(a, json_str(json_at(live, "metadata", "annotations", key, NULL)));
        differs = differs || !str_eq(value, tf_text(r->annotations.v[i].value));
        if (value) tf_map_put(a, &now, key, tf_str(value));
    }
    r->annotations = now;
    return differs;
}

/* A rollout whose end nobody has seen (cancelled, killed, changed by others) is looked at: complete now is as good. */
static void look(struct tf_req *req, struct kube *k, struct tf_read *r, const struct kube_workload *w, const struct json *live) {
    struct arena *a = req->ctx->arena;
    struct rollout *state = r->state;
    struct rollout_private private;
    AUTO_ERR struct err err = {0};
    rollout_private_read(a, r->private.in, &private);
    const char *hash = kube_template_hash(a, live), *why = NULL;
    if (str_eq(private.uid, kube_uid(live)) && str_eq(private.proven, hash) && !private.unfinished) return;
    bool waits = state->wait.state != TF_KNOWN || state->wait.v;
    int done = waits ? kube_rollout_look(k, req->ctx, w, live, rollout_ms(state->settle, -1), &why, &err) : 1;
    if (done < 0) return; /* could not tell */
    private.uid = arena_strdup(a, kube_uid(live));
    private.proven = NULL;
    private.unfinished = done ? NULL : arena_printf(a, "%s: %s", kube_workload_text(a, w), why);
    if (done) rollout_private_prove(a, &private, state, live);
    r->private.out = rollout_private_text(a, &private);
}

static void read_live(struct tf_req *req, struct kube *k, struct tf_read *r, const struct kube_workload *w, const struct json *live) {
    struct arena *a = req->ctx->arena;
    struct rollout *state = r->state;
    bool drift = read_images(a, state, live);
    drift = read_annotations(a, state, live) || drift;
    rollout_observe(a, state, w, live);
    if (!drift) look(req, k, r, w, live); /* drift is a change by itself, and ends in a new wait */
}

void rollout_read(struct tf_req *req, struct tf_read *r) {
    struct arena *a = req->ctx->arena;
    struct rollout *state = r->state;
    struct kube_workload w;
    struct kube *k = NULL;
    const char *path = NULL;
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *live = NULL;
    if (!rollout_workload(state, &w, &path)) return;
    int rc = provider_kube(req->provider, req->ctx, &k, &err);
    if (rc == 1) return;
    if (rc == -ERR_INVALID || rc == -ERR_NOT_FOUND) { /* a mistake in the configuration, which won't mend itself */
        tf_error_from(req->diags, NULL, "The cluster's configuration can't be used", &err);
        return;
    }
    if (rc == 0) rc = kube_get(k, req->ctx, kube_workload_path(a, &w), &live, &err);
    if (rc == 1)
        r->gone = true;
    else if (rc < 0)
        tf_warning_from(req->diags, path, arena_printf(a, "The %s can't be looked at; the state is kept", kube_workload_text(a, &w)), &err);
    else
        read_live(req, k, r, &w, live);
}

/* NAMESPACE/KIND/NAME → w; false if it isn't one. */
static bool parse_id(struct arena *a, const char *id, struct kube_workload *w, const char **ret_bad_kind) {
    const char *slash = strchr(id, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
    *ret_bad_kind = NULL;
    if (!second || slash == id || second == slash + 1 || !second[1] || strchr(second + 1, '/')) return false;
    const char *kind = arena_strndup(a, slash + 1, (size_t) (second - slash - 1));
    w->ns = arena_strndup(a, id, (size_t) (slash - id));
    w->name = arena_strdup(a, second + 1);
    if (kube_kind_parse(kind, &w->kind) == 0) return true;
    *ret_bad_kind = kind;
    return false;
}

/* All containers' images, so that a configuration which names them plans nothing. */
static void import_live(struct arena *a, struct rollout *s, const struct kube_workload *w, const struct json *live) {
    struct tf_string name = tf_str(w->name);
    s->ns = tf_str(w->ns);
    if (w->kind == KUBE_DEPLOYMENT) s->deployment = name;
    if (w->kind == KUBE_STATEFUL_SET) s->stateful_set = name;
    if (w->kind == KUBE_DAEMON_SET) s->daemon_set = name;
    s->images.state = TF_KNOWN;
    s->image_pull_policy = tf_str("Always");
    json_each(c, json_at(live, "spec", "template", "spec", "containers", NULL)) {
        const char *container = clean(a, json_get_str(c, "name")), *image = clean(a, json_get_str(c, "image"));
        const char *policy = clean(a, json_get_str(c, "imagePullPolicy"));
        if (container && image) tf_map_put(a, &s->images, container, tf_str(image));
        if (policy) s->image_pull_policy = tf_str(policy);
    }
    s->wait = tf_boolean(true);
    s->rollback_on_failure = tf_boolean(false);
    s->force_conflicts = tf_boolean(true);
    s->field_manager = tf_str("gpudev");
    s->on_destroy = tf_str("leave");
    s->previous_images.state = s->running_digests.state = TF_KNOWN;
}

void rollout_import(struct tf_req *req, struct tf_import *i) {
    struct arena *a = req->ctx->arena;
    static const char *const attributes[] = {[KUBE_DEPLOYMENT] = "deployment", [KUBE_STATEFUL_SET] = "stateful_set", [KUBE_DAEMON_SET] = "daemon_set"};
    struct rollout *state = i->state;
    struct kube_workload w = {0};
    struct kube *k = NULL;
    const char *kind;
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *live = NULL;
    if (!parse_id(a, i->id, &w, &kind)) {
        tf_error(req->diags, NULL, "Not the id of a rollout", "%s%s%s\"%s\" should be NAMESPACE/KIND/NAME with KIND deployment, statefulset or "
                 "daemonset (or deploy, sts, ds).", kind ? "There is no kind \"" : "", kind ? kind : "", kind ? "\". " : "", i->id);
        return;
    }
    int r = rollout_kube(req, &k);
    if (r == 1) tf_error(req->diags, NULL, "The cluster isn't known", "The provider's kubernetes block waits for values of other resources.");
    if (r != 0) return;
    r = kube_get(k, req->ctx, kube_workload_path(a, &w), &live, &err);
    if (r == 1) tf_error(req->diags, NULL, "Nothing to import", "There is no %s in %s.", kube_workload_text(a, &w), kube_server(k));
    if (r < 0) tf_error_from(req->diags, NULL, arena_printf(a, "The %s can't be read", kube_workload_text(a, &w)), &err);
    if (r != 0) return;
    import_live(a, state, &w, live);
    state->id = tf_str(rollout_id(a, &w, attributes[w.kind]));
    rollout_observe(a, state, &w, live);
    i->private.out = rollout_private_text(a, &(struct rollout_private){.imported = true});
}
