/* gpudev_rollout on a StatefulSet that changes as it is told: an image named "bad" never runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "json/json.h"
#include "kube/fake.h"
#include "progress/progress.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

static struct cluster {
    pthread_mutex_t lock;
    char image[64], policy[64], uid[8];
    int generation, patches;
} cluster;

static struct kube *kube;

int provider_kube(struct provider_data *p, struct ctx *ctx, struct kube **ret, struct err *err) {
    (void) p, (void) ctx, (void) err;
    *ret = kube;
    return 0;
}

struct progress *provider_progress(struct provider_data *p, const char *title) {
    (void) p;
    return progress_new(PROGRESS_OFF, title);
}

static bool works(void) { return !strstr(cluster.image, "bad") && !str_eq(cluster.policy, "Never"); }

static const char *object_text(struct arena *a, bool later) {
    return arena_printf(a,
                        "{\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"db\",\"uid\":\"%s\",\"generation\":%d,\"resourceVersion\":\"%d\"},"
                        "\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"db\"}},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{}},"
                        "\"template\":{\"spec\":{\"containers\":[{\"name\":\"api\",\"image\":\"%s\",\"imagePullPolicy\":\"%s\",\"readinessProbe\":{}}]}}},"
                        "\"status\":{\"observedGeneration\":%d,\"replicas\":1,\"readyReplicas\":%d,\"updatedReplicas\":1,\"updateRevision\":\"h%d\"}}",
                        cluster.uid, cluster.generation, 2 * cluster.generation + later, cluster.image, cluster.policy, cluster.generation, works(),
                        cluster.generation);
}

static const char *pod_text(struct arena *a) {
    return arena_printf(a,
                        "{\"metadata\":{\"uid\":\"p%d\",\"name\":\"db-0\",\"resourceVersion\":\"9\",\"labels\":{\"controller-revision-hash\":\"h%d\"},"
                        "\"ownerReferences\":[{\"uid\":\"%s\",\"controller\":true}]},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"api\"}]},"
                        "\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}],\"containerStatuses\":[{\"name\":\"api\","
                        "\"ready\":%s,\"restartCount\":0,\"imageID\":\"i\",\"state\":{%s}}]}}",
                        cluster.generation, cluster.generation, cluster.uid, works() ? "True" : "False", works() ? "true" : "false",
                        works() ? "\"running\":{}" : "\"waiting\":{\"reason\":\"InvalidImageName\"}");
}

static void patch(const struct http_request *req) {
    AUTO_JSON struct json *j = json_parse(req->body, req->body_len, NULL);
    const struct json *c = json_first(json_at(j, "spec", "template", "spec", "containers", NULL));
    if (strstr(req->url, "dryRun")) return;
    cluster.patches++;
    bool same = str_eq(cluster.image, json_get_str(c, "image")) && str_eq(cluster.policy, json_get_str(c, "imagePullPolicy"));
    cluster.generation += !same;
    if (json_get_str(c, "image")) snprintf(cluster.image, sizeof cluster.image, "%s", json_get_str(c, "image"));
    if (json_get_str(c, "imagePullPolicy")) snprintf(cluster.policy, sizeof cluster.policy, "%s", json_get_str(c, "imagePullPolicy"));
}

#define SYNCED "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"10\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"

static int serve(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    (void) self;
    struct arena *a = ctx->arena;
    pthread_mutex_lock(&cluster.lock);
    if (str_eq(req->method, "PATCH")) patch(req);
    bool pods = strstr(req->url, "/pods?") != NULL, known = pods || strstr(req->url, "/statefulsets");
    const char *object = pods ? pod_text(a) : object_text(a, req->on_body != NULL);
    pthread_mutex_unlock(&cluster.lock);
    struct http_header *type = arena_alloc(a, sizeof *type);
    *type = (struct http_header){.name = "Content-Type", .value = "application/json"};
    *ret = (struct http_response){.status = known ? 200 : 404, .headers = type, .n_headers = 1};
    if (known && req->on_body) {
        const char *text = arena_printf(a, "{\"type\":\"%s\",\"object\":%s}\n%s", pods ? "ADDED" : "MODIFIED", object, pods ? SYNCED : "");
        if (req->on_headers) req->on_headers(req->arg, 200, err);
        int r = req->on_body(req->arg, text, strlen(text), err);
        return r < 0 ? r : ctx_sleep(ctx, 60000, err);
    }
    ret->body = arena_strdup(a, !known ? "{\"kind\":\"Status\",\"message\":\"none\"}" : pods ? "{\"items\":[]}" : object);
    ret->body_len = strlen(ret->body);
    return 0;
}

/* What OpenTofu has of the resource. */
struct core {
    struct arena *arena;
    struct ctx ctx;
    struct rollout state;
    bool there;
    const char *private, *said;
};

static int setup(void **state) {
    struct core *c = NEW(struct core);
    c->arena = c->ctx.arena = arena_new();
    cluster = (struct cluster){.image = "old", .policy = "Always", .uid = "w", .generation = 1};
    pthread_mutex_init(&cluster.lock, NULL);
    AUTO_ERR struct err err = {0};
    assert_int_equal(kube_open_sender(&(struct kube_options){.host = "https://k"}, (struct http_sender){serve, NULL}, &kube, &err), 0);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    struct core *c = *state;
    kube_unref(kube);
    arena_free(c->arena);
    mem_free(c);
    return 0;
}

/* The diagnostics' summaries, "E " or "W " before each. */
static const char *said(struct arena *a, const struct tf_diags *d) {
    AUTO_BUF struct buf b = {0};
    for (size_t i = 0; i < d->n; i++)
        buf_addf(&b, "%s%s %s", b.len ? "; " : "", d->v[i].severity == TF_ERROR ? "E" : "W", d->v[i].summary);
    return arena_dup(a, buf_str(&b), b.len + 1);
}

static bool apply_with(struct core *c, const char *image, const char *policy, bool rolls_back) {
    struct rollout next = c->state;
    if (!c->there) next = (struct rollout){.ns = tf_str("ns"), .stateful_set = tf_str("db")};
    next.images = (struct tf_map){.state = TF_KNOWN};
    tf_map_put(c->arena, &next.images, "api", tf_str(image));
    next.image_pull_policy = tf_str(policy);
    next.rollback_on_failure = tf_boolean(rolls_back);
    next.previous_images.state = next.running_digests.state = TF_UNKNOWN;
    struct rollout planned = next;
    struct tf_diags diags = {.arena = c->arena};
    struct tf_req req = {.ctx = &c->ctx, .diags = &diags};
    struct tf_apply a = {.config = &planned, .prior = c->there ? &c->state : NULL, .planned = &planned, .state = &next,
                         .private = {c->private, c->private}};
    (c->there ? rollout_resource.update : rollout_resource.create)(&req, &a);
    c->said = said(c->arena, &diags);
    bool good = !tf_failed(&diags);
    if (good || a.keep) {
        c->state = next;
        c->there = true;
        c->private = a.private.out;
    }
    return good;
}

static bool apply(struct core *c, const char *image, bool rolls_back) { return apply_with(c, image, "Always", rolls_back); }

static void test_rollback(void **state) {
    struct core *c = *state;
    assert_true(apply(c, "one", false));
    assert_false(apply(c, "bad", true));
    assert_string_equal(cluster.image, "one");
    assert_string_equal(tf_map_get(&c->state.images, "api"), "one");
    assert_int_equal(cluster.patches, 3);
    assert_true(apply(c, "two", true));
    assert_string_equal(cluster.image, "two");
}

/* What failed before isn't gone back to. */
static void test_back_past_a_failure(void **state) {
    struct core *c = *state;
    assert_true(apply(c, "one", false));
    assert_false(apply(c, "bad", false));
    assert_false(apply(c, "bad2", true));
    assert_string_equal(cluster.image, "one");
    /* of a create, too: the tainted object is replaced, with what is remembered of it */
    c->there = false;
    c->private = NULL;
    assert_false(apply(c, "bad", false));
    c->there = false;
    assert_false(apply(c, "bad2", true));
    assert_string_equal(cluster.image, "one");
}

/* Somebody's fix since the last apply is what the next one goes back to. */
static void test_back_to_a_fix(void **state) {
    struct core *c = *state;
    assert_true(apply(c, "one", false));
    strcpy(cluster.image, "fix");
    cluster.generation++;
    assert_false(apply(c, "bad", true));
    assert_string_equal(cluster.image, "fix");
}

/* The create of a replacement comes with what is remembered of the old workload. */
static void test_replacement(void **state) {
    struct core *c = *state;
    assert_true(apply(c, "one", false));
    assert_false(apply(c, "bad", false));
    c->there = false;
    strcpy(cluster.uid, "x");
    strcpy(cluster.image, "its own");
    cluster.generation++;
    assert_false(apply(c, "bad2", true));
    assert_string_equal(cluster.image, "its own");
    assert_false(c->there);
}

static void test_policy_goes_back(void **state) {
    struct core *c = *state;
    assert_true(apply(c, "one", false));
    assert_false(apply_with(c, "one", "Never", true));
    assert_string_equal(cluster.policy, "Always");
}

static void test_nothing_to_go_back_to(void **state) {
    struct core *c = *state;
    strcpy(cluster.image, "bad");
    assert_false(apply(c, "bad", true));
    assert_non_null(strstr(c->said, "W Nothing to roll back to"));
    assert_int_equal(cluster.patches, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rollback),    TEST(test_back_past_a_failure), TEST(test_back_to_a_fix),
        TEST(test_replacement), TEST(test_policy_goes_back),    TEST(test_nothing_to_go_back_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
