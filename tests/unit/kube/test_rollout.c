#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "json/json.h"
#include "kube/fake.h"
#include "kube/rollout.h"

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct arena *arena;
static struct ctx ctx;

static struct json *parse(const char *text) {
    AUTO_ERR struct err err = {0};
    struct json *j = json_parse(text, strlen(text), &err);
    if (!j) fail_msg("%s: %s", err_text(&err), text);
    return j;
}

/* A StatefulSet: its pods are known by a label, so nothing else has to be listed. */
static char *object_with(const char *image, int generation, int observed, int ready, int updated, const char *rv) {
    return arena_printf(arena,
                        "{\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"db\",\"uid\":\"w\",\"generation\":%d,\"resourceVersion\":\"%s\","
                        "\"managedFields\":[{\"manager\":\"kubectl-set\",\"operation\":\"Update\",\"time\":\"2026\",\"fieldsV1\":"
                        "{\"f:spec\":{\"f:template\":{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"api\\\"}\":{\"f:image\":{}}}}}}}}]},"
                        "\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"db\"},\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"In\","
                        "\"values\":[\"a\",\"b\"]},{\"key\":\"x\",\"operator\":\"DoesNotExist\"}]},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{}},"
                        "\"template\":{\"metadata\":{\"annotations\":{\"gpudev/restarted-at\":\"T0\"}},\"spec\":{\"containers\":[{\"name\":\"api\",\"image\":\"%s\","
                        "\"imagePullPolicy\":\"Always\",\"readinessProbe\":{}}],\"initContainers\":[{\"name\":\"setup\",\"image\":\"s:1\"}]}}},"
                        "\"status\":{\"observedGeneration\":%d,\"replicas\":1,\"readyReplicas\":%d,\"updatedReplicas\":%d,\"updateRevision\":\"h%d\"}}",
                        generation, rv, image, observed, ready, updated, generation);
}

static char *pod_of(int generation, const char *state, bool ready, const char *image_id) {
    return arena_printf(arena,
                        "{\"metadata\":{\"uid\":\"p%d\",\"name\":\"db-0\",\"resourceVersion\":\"9\",\"labels\":{\"controller-revision-hash\":\"h%d\"},"
                        "\"ownerReferences\":[{\"uid\":\"w\",\"controller\":true}]},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"api\",\"image\":\"i\"}]},"
                        "\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}],"
                        "\"containerStatuses\":[{\"name\":\"api\",\"ready\":%s,\"restartCount\":0,\"imageID\":\"%s\",\"state\":{%s}}]}}",
                        generation, generation, ready ? "True" : "False", ready ? "true" : "false", image_id, state);
}

static char *event(const char *type, const char *object) { return arena_printf(arena, "{\"type\":\"%s\",\"object\":%s}\n", type, object); }
#define SYNCED "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"10\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"

static const char *joined(const char *a, const char *b) { return arena_printf(arena, "%s%s", a, b); }

struct result {
    struct fake f;
    struct kube_outcome out;
    struct err err;
    int r;
};

static void run(struct result *res, struct fake_answer *answers, size_t n, struct kube_wait *w) {
    AUTO_KUBE struct kube *k = fake_open(&res->f, answers, n, NULL);
    AUTO_JSON struct json *object = parse(object_with("r/x@" DIGEST, 2, 1, 1, 1, "5"));
    static const struct kv images[] = {{"api", "r/x@" DIGEST}};
    w->w = (struct kube_workload){KUBE_STATEFUL_SET, "ns", "db"};
    w->object = object;
    w->images = images;
    w->n_images = 1;
    w->manager = "gpudev";
    if (!w->timeout) w->timeout = 4000;
    res->err = (struct err){0};
    res->r = kube_rollout_wait(k, &ctx, w, &res->out, &res->err);
}

static void finish(struct result *res) {
    json_free(res->out.object);
    err_done(&res->err);
    fake_done(&res->f);
}

static void test_done_and_proven(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 1, 1, "6")), .hold = true},
        {.match = "/pods?", .status = 200, .body = joined(event("ADDED", pod_of(2, "\"running\":{}", true, "r/x@" DIGEST)), SYNCED), .hold = true},
    };
    struct result res;
    struct kube_wait w = {.settle = -1};
    run(&res, answers, 2, &w);
    if (res.r) fail_msg("%s", err_text(&res.err));
    assert_int_equal(res.out.n_digests, 1);
    assert_string_equal(res.out.digests[0].value, DIGEST);
    assert_int_equal(res.out.warnings.n, 0);
    assert_int_equal(fake_count(&res.f, "fieldSelector=metadata.name%3Ddb"), 1);
    assert_int_equal(fake_count(&res.f, "labelSelector=app%3Ddb%2Ctier%20in%20%28a%2Cb%29%2C%21x"), 1);
    assert_int_equal(fake_count(&res.f, "resourceVersion=5&"), 1);
    finish(&res);
}

static bool knows(void *arg, struct ctx *c, const char *image, const char *running) {
    (void) c;
    return str_eq(image, "r/x@" DIGEST) && str_eq(running, OTHER) && *(bool *) arg;
}

static void test_other_digest(void **state) {
    (void) state;
    for (int same = 0; same < 2; same++) {
        bool known = same;
        struct fake_answer answers[] = {
            {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 1, 1, "6")), .hold = true},
            {.match = "/pods?", .status = 200, .body = joined(event("ADDED", pod_of(2, "\"running\":{}", true, "r/y@" OTHER)), SYNCED), .hold = true},
        };
        struct result res;
        struct kube_wait w = {.settle = 0, .same_image = knows, .arg = &known};
        run(&res, answers, 2, &w);
        assert_int_equal(res.r, 0);
        assert_int_equal(res.out.warnings.n, !same);
        if (!same) assert_non_null(strstr(res.out.warnings.v[0], OTHER));
        finish(&res);
    }
}

static void test_settles(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 1, 1, "6")), .hold = true},
        {.match = "/pods?", .status = 200, .body = joined(event("ADDED", pod_of(2, "\"running\":{}", true, "r/x@" DIGEST)), SYNCED), .hold = true},
    };
    struct result res;
    struct kube_wait w = {.settle = 300};
    int64_t start = ctx_now(&ctx);
    run(&res, answers, 2, &w);
    assert_int_equal(res.r, 0);
    assert_true(ctx_now(&ctx) - start >= 300);
    finish(&res);
}

static void test_hopeless(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 0, 1, "6")), .hold = true},
        {.match = "/pods?watch", .status = 200,
         .body = joined(event("ADDED", pod_of(2, "\"terminated\":{\"reason\":\"StartError\",\"exitCode\":128,\"message\":\"exec: /nope\"}", false, "")), SYNCED),
         .hold = true},
        {.match = "/events?", .status = 200, .body = "{\"items\":[{\"reason\":\"Failed\",\"message\":\"Error: \\u001b[31mx\",\"count\":4,\"involvedObject\":{\"uid\":\"p2\",\"name\":\"db-0\"}}]}"},
        {.match = "/pods/db-0/log?container=api&previous=false", .status = 200, .body = "one\ntwo\xff\n", .type = "text/plain"},
    };
    struct result res;
    struct kube_wait w = {.settle = -1};
    run(&res, answers, 4, &w);
    assert_int_equal(res.r, -ERR_FAILED);
    assert_int_equal(res.out.n_problems, 1);
    const struct kube_problem *p = &res.out.problems[0];
    assert_string_equal(p->rule, "start");
    assert_string_equal(p->container, "api");
    static const char *const parts[] = {"Pod db-0 on node n", "StartError: exit code 128", "exec: /nope", "Failed (x4): Error: x", "  one\n  two\xef\xbf\xbd", "To try: "};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (!strstr(p->detail, parts[i])) fail_msg("\"%s\" is not in \"%s\"", parts[i], p->detail);
    finish(&res);
}

static void test_too_late(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 0, 1, "6")), .hold = true},
        {.match = "/pods?watch", .status = 200, .body = joined(event("ADDED", pod_of(2, "\"running\":{}", false, "")), SYNCED), .hold = true},
        {.match = "/events", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}", .times = -1},
        {.match = "/log", .status = 403, .body = "{}", .times = -1},
    };
    struct result res;
    struct kube_wait w = {.settle = -1, .timeout = 200};
    run(&res, answers, 4, &w);
    assert_int_equal(res.r, -ERR_TIMEOUT);
    assert_non_null(strstr(err_text(&res.err), "0 of 1 pods ready"));
    assert_string_equal(res.out.problems[0].rule, "unready");
    assert_non_null(strstr(res.out.problems[0].detail, "the right to list events is missing"));
    finish(&res);
}

static void test_overtaken(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x:evil", 3, 2, 0, 1, "6")), .hold = true},
        {.match = "/pods?", .status = 200, .body = SYNCED, .hold = true},
    };
    struct result res;
    struct kube_wait w = {.settle = -1};
    run(&res, answers, 2, &w);
    assert_int_equal(res.r, -ERR_CONFLICT);
    assert_non_null(strstr(err_text(&res.err), "\"kubectl-set\""));
    assert_non_null(strstr(err_text(&res.err), "r/x:evil instead of r/x@" DIGEST));
    finish(&res);
    answers[0].body = event("DELETED", object_with("r/x@" DIGEST, 2, 2, 0, 1, "6"));
    run(&res, answers, 2, &w);
    assert_int_equal(res.r, -ERR_NOT_FOUND);
    assert_null(res.out.object);
    finish(&res);
}

/* Without the right to see pods the status has to do, and that is said. */
static void test_pods_denied(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 1, 1, "6")), .hold = true},
        {.match = "/pods?", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no pods for you\"}"},
    };
    struct result res;
    struct kube_wait w = {.settle = -1};
    run(&res, answers, 2, &w);
    assert_int_equal(res.r, 0);
    assert_int_equal(res.out.warnings.n, 1);
    assert_non_null(strstr(res.out.warnings.v[0], "no pods for you"));
    finish(&res);
}

static void *cancel_soon(void *arg) {
    struct ctx c = {0};
    ctx_sleep(&c, 100, NULL);
    cancel_request(arg);
    return NULL;
}

static void test_cancelled(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/statefulsets?", .status = 200, .body = event("MODIFIED", object_with("r/x@" DIGEST, 2, 2, 0, 1, "6")), .hold = true},
        {.match = "/pods?", .status = 200, .body = SYNCED, .hold = true},
    };
    struct result res;
    struct kube_wait w = {.settle = -1};
    pthread_t t;
    ctx.cancel = cancel_new(NULL);
    pthread_create(&t, NULL, cancel_soon, ctx.cancel);
    int64_t start = ctx_now(&ctx);
    run(&res, answers, 2, &w);
    assert_int_equal(res.r, -ERR_CANCELLED);
    assert_true(ctx_now(&ctx) - start < 1000);
    pthread_join(t, NULL);
    cancel_unref(ctx.cancel);
    ctx.cancel = NULL;
    finish(&res);
}

/* --- apply --- */

static const struct kv two_images[] = {{"api", "r/x:2"}, {"setup", "s:2"}};

static int apply(struct fake *f, struct fake_answer *answers, size_t n, struct kube_change *c, struct kube_applied *out, struct err *err) {
    AUTO_KUBE struct kube *k = fake_open(f, answers, n, NULL);
    c->w = (struct kube_workload){KUBE_STATEFUL_SET, "ns", "db"};
    c->manager = "gpudev";
    return kube_apply(k, &ctx, c, out, err);
}

static void test_patch(void **state) {
    (void) state;
    AUTO_JSON struct json *live = parse(object_with("r/x:1", 1, 1, 1, 1, "5"));
    struct fake_answer answers[] = {{.match = "PATCH", .status = 200, .body = object_with("r/x:2", 2, 1, 1, 1, "6"),
                                     .header = "Warning", .value = "299 - \"would violate PodSecurity\""}};
    struct kv note = {"kubernetes.io/change-cause", "v2"};
    struct kube_change c = {.live = live, .images = two_images, .n_images = 2, .pull_policy = "Always", .annotations = &note, .n_annotations = 1,
                            .restarted_at = "T1", .force = true, .dry_run = true};
    struct kube_applied out;
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(apply(&f, answers, 1, &c, &out, &err), 0);
    assert_string_equal(buf_str(&f.log),
                        "PATCH https://k/apis/apps/v1/namespaces/ns/statefulsets/db?fieldManager=gpudev&force=true&dryRun=All "
                        "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"db\",\"uid\":\"w\",\"annotations\":"
                        "{\"kubernetes.io/change-cause\":\"v2\"}},\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"gpudev/restarted-at\":\"T1\"}},"
                        "\"spec\":{\"containers\":[{\"name\":\"api\",\"image\":\"r/x:2\",\"imagePullPolicy\":\"Always\"}],\"initContainers\":"
                        "[{\"name\":\"setup\",\"image\":\"s:2\",\"imagePullPolicy\":\"Always\"}]}}}}\n");
    assert_string_equal(out.warnings.v[0], "would violate PodSecurity");
    json_free(out.object);
    fake_done(&f);
}

static void test_refusals(void **state) {
    (void) state;
    static const struct {
        int status;
        const char *body;
        enum err_code code;
        const char *part, *container;
    } cases[] = {
        {409, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\",\"message\":\"conflict with \\\"argocd\\\"\","
              "\"field\":\".spec.template.spec.containers[name=\\\"api\\\"].image\"}]}}", ERR_CONFLICT, "argocd", "api"},
        {409, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"uid mismatch: the provided object specified uid w, and no existing object was found\"}",
         ERR_NOT_FOUND, "not there", NULL},
        {422, "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"x\",\"details\":{\"causes\":[{\"field\":\"metadata.uid\"}]}}", ERR_NOT_FOUND, "made anew", NULL},
        {404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}", ERR_NOT_FOUND, "not there", NULL},
        {403, "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"User cannot patch resource\"}", ERR_DENIED, "verb patch", NULL},
        {422, "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"bad image\",\"details\":{\"causes\":[{\"field\":\"spec.template.spec.containers[0].image\"}]}}",
         ERR_INVALID, "bad image", NULL},
        {500, "{\"kind\":\"Status\",\"message\":\"failed to create typed patch object\"}", ERR_UNAVAILABLE, "typed patch", NULL},
    };
    AUTO_JSON struct json *live = parse(object_with("r/x:1", 1, 1, 1, 1, "5"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fake_answer answers[] = {{.match = "PATCH", .status = cases[i].status, .body = cases[i].body}};
        struct kube_change c = {.live = live, .images = two_images, .n_images = 1};
        struct kube_applied out;
        struct fake f;
        AUTO_ERR struct err err = {0};
        assert_int_equal(apply(&f, answers, 1, &c, &out, &err), -(int) cases[i].code);
        const char *all = arena_printf(arena, "%s|%s|%s", err_text(&err), err.hint ? err.hint : "", err.detail ? err.detail : "");
        if (!strstr(all, cases[i].part)) fail_msg("\"%s\" is not in \"%s\"", cases[i].part, all);
        assert_true(str_eq(out.container, cases[i].container));
        fake_done(&f);
    }
}

/* What we owned and don't name any more is given to another manager of ours first. */
static void test_leaving_container(void **state) {
    (void) state;
    AUTO_JSON struct json *live = parse(object_with("r/x:1", 1, 1, 1, 1, "5"));
    AUTO_JSON struct json *fields = parse("[{\"manager\":\"gpudev\",\"operation\":\"Apply\",\"fieldsV1\":{\"f:spec\":{\"f:template\":{\"f:spec\":"
                                          "{\"f:containers\":{\"k:{\\\"name\\\":\\\"api\\\"}\":{\"f:image\":{}}},"
                                          "\"f:initContainers\":{\"k:{\\\"name\\\":\\\"setup\\\"}\":{\"f:image\":{}}}}}}}}]");
    json_set((struct json *) json_get(live, "metadata"), "managedFields", json_copy(fields));
    struct fake_answer answers[] = {{.match = "PATCH", .status = 200, .body = object_with("r/x:2", 2, 1, 1, 1, "6"), .times = -1}};
    struct kube_change c = {.live = live, .images = two_images, .n_images = 1};
    struct kube_applied out;
    struct fake f;
    assert_int_equal(apply(&f, answers, 1, &c, &out, NULL), 0);
    json_free(out.object);
    const char *second = strchr(buf_str(&f.log), '\n') + 1;
    assert_non_null(strstr(buf_str(&f.log), "fieldManager=gpudev-left&force=true "));
    assert_true(strstr(buf_str(&f.log), "{\"initContainers\":[{\"name\":\"setup\",\"image\":\"s:1\"}]}") < second);
    assert_non_null(strstr(second, "fieldManager=gpudev&"));
    assert_null(strstr(second, "setup"));
    fake_done(&f);
    c.dry_run = true; /* in one request, since nothing of a dry run stays */
    assert_int_equal(apply(&f, answers, 1, &c, &out, NULL), 0);
    json_free(out.object);
    assert_int_equal(fake_count(&f, "PATCH"), 1);
    assert_int_equal(fake_count(&f, "\"setup\",\"image\":\"s:1\""), 1);
    fake_done(&f);
}

static void test_template(void **state) {
    (void) state;
    AUTO_JSON struct json *a = parse("{\"spec\":{\"template\":{\"a\":1,\"b\":[{\"c\":\"x\",\"d\":null}]}}}");
    AUTO_JSON struct json *b = parse("{\"spec\":{\"template\":{\"b\":[{\"d\":null,\"c\":\"x\"}],\"a\":1}},\"status\":1}");
    AUTO_JSON struct json *c = parse("{\"spec\":{\"template\":{\"a\":1,\"b\":[{\"c\":\"y\",\"d\":null}]}}}");
    assert_string_equal(kube_template_hash(arena, a), kube_template_hash(arena, b));
    assert_string_not_equal(kube_template_hash(arena, a), kube_template_hash(arena, c));
    AUTO_JSON struct json *live = parse(object_with("r/x:1", 1, 1, 1, 1, "5"));
    bool init = false;
    assert_non_null(kube_container(live, "setup", &init));
    assert_true(init);
    assert_null(kube_container(live, "nobody", NULL));
    assert_string_equal(kube_container_names(arena, live), "api, setup (init)");
    assert_string_equal(kube_image_manager(arena, live, "api", "gpudev"), "kubectl-set");
    assert_null(kube_image_manager(arena, live, "api", "kubectl-set"));
    assert_string_equal(kube_template_annotation(live, KUBE_RESTARTED_AT), "T0");
}

static void test_look(void **state) {
    (void) state;
    static const struct kube_workload w = {KUBE_STATEFUL_SET, "ns", "db"};
    const char *recent = "\"running\":{\"startedAt\":\"2999-01-01T00:00:00Z\"}", *old = "\"running\":{\"startedAt\":\"2020-01-01T00:00:00Z\"}";
    const struct {
        int ready;
        const char *pod;
        int want;
    } cases[] = {
        {0, NULL, 0},
        {1, pod_of(2, old, true, ""), 1},
        {1, pod_of(2, recent, true, ""), 0},
        {1, pod_of(2, old, false, ""), 0},
        {1, pod_of(1, old, true, ""), 0},
        {1, "denied", 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool denied = str_eq(cases[i].pod, "denied");
        struct fake_answer answers[] = {{.match = "/pods?labelSelector", .status = denied ? 403 : 200,
                                         .body = denied ? "{}" : arena_printf(arena, "{\"items\":[%s]}", cases[i].pod ? cases[i].pod : "")}};
        struct fake f;
        AUTO_KUBE struct kube *k = fake_open(&f, answers, 1, NULL);
        AUTO_JSON struct json *o = parse(object_with("r/x", 2, 2, cases[i].ready, 1, "5"));
        AUTO_ERR struct err err = {0};
        const char *why = NULL;
        assert_int_equal(kube_rollout_look(k, &ctx, &w, o, 10000, &why, &err), cases[i].want);
        assert_true(cases[i].want || why);
        fake_done(&f);
    }
}

static int set_up(void **state) {
    (void) state;
    arena = arena_new();
    ctx.arena = arena;
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_and_proven), cmocka_unit_test(test_other_digest), cmocka_unit_test(test_settles), cmocka_unit_test(test_hopeless),
        cmocka_unit_test(test_too_late), cmocka_unit_test(test_overtaken), cmocka_unit_test(test_pods_denied), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_patch), cmocka_unit_test(test_refusals), cmocka_unit_test(test_leaving_container), cmocka_unit_test(test_template),
        cmocka_unit_test(test_look),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
