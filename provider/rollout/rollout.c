#include "provider/rollout/rollout.h"

#include <ctype.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/str.h"

static const char *check_duration(struct arena *a, const char *text) {
    if (duration_parse(text) >= 0) return NULL;
    return arena_printf(a, "\"%s\" is not a duration. Write it as \"30s\", \"10m\" or \"1h30m\".", text);
}

/* RFC 1123 subdomains; a namespace has no dots, which the API server will say. */
static const char *check_name(struct arena *a, const char *text) {
    size_t n = strlen(text);
    bool good = n && n <= 253 && isalnum((unsigned char) text[0]) && isalnum((unsigned char) text[n - 1]);
    for (const char *p = text; *p && good; p++) good = islower((unsigned char) *p) || isdigit((unsigned char) *p) || *p == '-' || *p == '.';
    if (good) return NULL;
    if (strchr(text, '/')) return arena_printf(a, "\"%s\" holds a slash: name the workload alone, and its namespace in `namespace`.", text);
    return arena_printf(a, "\"%s\" is not a name in Kubernetes: it needs lower-case letters, digits, '-' and '.'.", text);
}

/* What Kubernetes' own reference grammar takes for sure to be wrong; the rest is the kubelet's to judge. */
static const char *check_image(struct arena *a, const char *text) {
    if (!*text) return "An empty text is no image. Leave the container out to keep its image.";
    for (const char *p = text; *p; p++)
        if (isspace((unsigned char) *p) || iscntrl((unsigned char) *p)) return arena_printf(a, "\"%s\" is no image: it holds white space.", text);
    if (strstr(text, "://")) return arena_printf(a, "\"%s\" is a URL. An image is named host/repository:tag or host/repository@sha256:…", text);
    return NULL;
}

static const char *check_policy(struct arena *a, const char *text) {
    if (str_eq(text, "Always") || str_eq(text, "IfNotPresent") || str_eq(text, "Never")) return NULL;
    return arena_printf(a, "\"%s\" is not a pull policy: Always, IfNotPresent or Never.", text);
}

static const char *check_on_destroy(struct arena *a, const char *text) {
    if (str_eq(text, "leave") || str_eq(text, "restore")) return NULL;
    return arena_printf(a, "\"%s\" is neither \"leave\" nor \"restore\".", text);
}

static const char *check_manager(struct arena *a, const char *text) {
    size_t n = strlen(text);
    if (n && n <= 120) return NULL; /* the API's 128, less what "-left" takes */
    return arena_printf(a, "A field manager's name has 1 to 120 characters; this one has %zu.", n);
}

#define AT(field) offsetof(struct rollout_timeouts, field)
static const struct tf_attr timeout_attrs[] = {
    {"schedule", TF_STRING, TF_OPTIONAL, AT(schedule), "How long a pod may wait for a node. Default: as long as the whole may take.",
     .check = check_duration},
    {"pull", TF_STRING, TF_OPTIONAL, AT(pull), "How long a pod's containers may take to start on their node (volumes, image pull). Default: as above.",
     .check = check_duration},
    {"ready", TF_STRING, TF_OPTIONAL, AT(ready), "How long a started pod may take to get ready. Default: as above.", .check = check_duration},
    {"create", TF_STRING, TF_OPTIONAL, AT(create), "For the first rollout as a whole. Default `30m`.", .check = check_duration},
    {"update", TF_STRING, TF_OPTIONAL, AT(update), "For each later rollout as a whole. Default `30m`.", .check = check_duration},
    {0},
};
#undef AT
static const struct tf_table timeouts_table = {timeout_attrs, sizeof(struct rollout_timeouts), NULL};

#define AT(field) offsetof(struct rollout, field)
enum { INPUT = TF_OPTIONAL, DEFAULTED = TF_OPTIONAL | TF_COMPUTED, NAME = TF_OPTIONAL | TF_REPLACE, LASTING = TF_COMPUTED | TF_STABLE };
static const struct tf_attr attrs[] = {
    {"namespace", TF_STRING, DEFAULTED | TF_REPLACE, AT(ns), "The workload's namespace.", .fallback = "default", .check = check_name},
    {"deployment", TF_STRING, NAME, AT(deployment), "Name of the Deployment. It must exist: gpudev never creates one.", .check = check_name},
    {"stateful_set", TF_STRING, NAME, AT(stateful_set), "Name of the StatefulSet.", .check = check_name},
    {"daemon_set", TF_STRING, NAME, AT(daemon_set), "Name of the DaemonSet.", .check = check_name},
    {"images", TF_MAP_STRING, INPUT, AT(images),
     "Container (or init container) → image, best `repository@sha256:…`, the `image` of a `gpudev_image`. Other containers stay as they are.",
     .check = check_image},
    {"image_pull_policy", TF_STRING, DEFAULTED, AT(image_pull_policy), "Pull policy of the containers in `images`.", .fallback = "Always",
     .check = check_policy},
    {"triggers", TF_MAP_STRING, INPUT, AT(triggers), "Any values; a change restarts the pods even when the images are the same."},
    {"annotations", TF_MAP_STRING, INPUT, AT(annotations), "Annotations of the workload itself (`kubernetes.io/change-cause`); they restart nothing."},
    {"wait", TF_BOOL, DEFAULTED, AT(wait), "Wait until the rollout is complete.", .fallback = "true"},
    {"settle", TF_STRING, INPUT, AT(settle),
     "How long the complete rollout must stay so, without restarts. Default `10s` where a container has no readiness probe and the workload "
     "no `minReadySeconds`, else `0s`.",
     .check = check_duration},
    {"timeouts", TF_OBJECT, INPUT, AT(timeouts), "How long a rollout and its phases may take, as `\"30s\"`, `\"10m\"` or `\"1h30m\"`.",
     .nested = &timeouts_table},
    {"rollback_on_failure", TF_BOOL, DEFAULTED, AT(rollback_on_failure),
     "Put the prior images back when a rollout fails, and wait for them. The state keeps the prior images, so that the next plan tries again.",
     .fallback = "false"},
    {"field_manager", TF_STRING, DEFAULTED, AT(field_manager), "Name under which the fields are owned (server-side apply).", .fallback = "gpudev",
     .check = check_manager},
    {"force_conflicts", TF_BOOL, DEFAULTED, AT(force_conflicts), "Take fields over that another manager holds.", .fallback = "true"},
    {"on_destroy", TF_STRING, DEFAULTED, AT(on_destroy),
     "`leave`: the workload stays as it is. `restore`: `previous_images` are put back, which is not waited for.", .fallback = "leave",
     .check = check_on_destroy},
    {"id", TF_STRING, LASTING, AT(id), "`NAMESPACE/KIND/NAME`."},
    {"revision", TF_STRING, TF_COMPUTED, AT(revision), "The Deployment's revision, or the StatefulSet's `updateRevision`; null for a DaemonSet."},
    {"generation", TF_INT, TF_COMPUTED, AT(generation), "The workload's `metadata.generation`."},
    {"replicas", TF_INT, TF_COMPUTED, AT(replicas), "How many pods are asked for."},
    {"ready_replicas", TF_INT, TF_COMPUTED, AT(ready_replicas), "How many pods are ready."},
    {"previous_images", TF_MAP_STRING, LASTING, AT(previous_images), "Container → image before the last change of images."},
    {"running_digests", TF_MAP_STRING, TF_COMPUTED, AT(running_digests), "Container → digest that the pods run, as the nodes tell it."},
    {"restarted_at", TF_STRING, LASTING, AT(restarted_at), "When `triggers` last restarted the pods (RFC 3339), or null."},
    {0},
};
#undef AT

static void validate(struct tf_req *req, struct tf_validate *v) {
    const struct rollout *r = v->config;
    for (size_t i = 0; r->images.state == TF_KNOWN && i < r->images.n; i++) {
        if (r->images.v[i].value.state != TF_NULL) continue;
        tf_error(req->diags, rollout_image_path(req->ctx->arena, r, r->images.v[i].key, "images"), "A container without an image",
                 "The image of \"%s\" is null. Leave the container out to keep its image.", r->images.v[i].key);
    }
}

const struct tf_resource rollout_resource = {
    .name = "gpudev_rollout",
    .description = "Sets the images of a workload that exists, restarts it when asked, and waits until its pods run what was asked for. A "
                   "rollout that can't succeed is told apart from one that only takes long, and says why with events and log lines.",
    .table = {attrs, sizeof(struct rollout), "deployment stateful_set daemon_set"},
    .validate = validate,
    .plan = rollout_plan,
    .create = rollout_create,
    .update = rollout_update,
    .destroy = rollout_destroy,
    .read = rollout_read,
    .import = rollout_import,
};
