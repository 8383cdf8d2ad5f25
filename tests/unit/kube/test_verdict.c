#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "kube/pod.h"
#include "kube/status.h"
#include "kube/verdict.h"
#include "kube/view.h"

static struct arena *arena;

static struct json *parse(const char *text) {
    AUTO_ERR struct err err = {0};
    struct json *j = json_parse(text, strlen(text), &err);
    if (!j) fail_msg("%s: %s", err_text(&err), text);
    return j;
}

/* --- kubectl's rules --- */

static const struct {
    const char *what;
    enum kube_kind kind;
    const char *spec, *status;
    bool done;
    const char *text;
} statuses[] = {
    {"not seen", KUBE_DEPLOYMENT, "\"replicas\":1", "\"observedGeneration\":1,\"replicas\":1,\"updatedReplicas\":1,\"availableReplicas\":1", false, "not seen"},
    {"no status", KUBE_DEPLOYMENT, "\"replicas\":1", "", false, "not seen"},
    {"too few updated", KUBE_DEPLOYMENT, "\"replicas\":3", "\"observedGeneration\":2,\"replicas\":4,\"updatedReplicas\":2,\"availableReplicas\":4", false, "2 of 3 pods updated"},
    {"old ones", KUBE_DEPLOYMENT, "\"replicas\":3", "\"observedGeneration\":2,\"replicas\":4,\"updatedReplicas\":3,\"availableReplicas\":4", false, "1 old pods still to end"},
    {"unavailable", KUBE_DEPLOYMENT, "\"replicas\":3", "\"observedGeneration\":2,\"replicas\":3,\"updatedReplicas\":3,\"availableReplicas\":2", false, "2 of 3 updated pods available"},
    {"done", KUBE_DEPLOYMENT, "\"replicas\":3", "\"observedGeneration\":2,\"replicas\":3,\"updatedReplicas\":3,\"availableReplicas\":3", true, "3/3 updated"},
    {"none asked for", KUBE_DEPLOYMENT, "\"replicas\":0", "\"observedGeneration\":2", true, "0/0 updated"},
    {"deadline", KUBE_DEPLOYMENT, "\"replicas\":1",
     "\"observedGeneration\":2,\"replicas\":1,\"updatedReplicas\":1,\"availableReplicas\":1,\"conditions\":[{\"type\":\"Progressing\",\"status\":\"False\",\"reason\":\"ProgressDeadlineExceeded\"}]",
     false, ""},
    {"sts not ready", KUBE_STATEFUL_SET, "\"replicas\":3,\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}}",
     "\"observedGeneration\":2,\"readyReplicas\":2,\"updatedReplicas\":3", false, "2 of 3 pods ready"},
    {"sts partition", KUBE_STATEFUL_SET, "\"replicas\":3,\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":2}}",
     "\"observedGeneration\":2,\"readyReplicas\":3,\"updatedReplicas\":1", true, "1/3 updated"},
    {"sts partition not reached", KUBE_STATEFUL_SET, "\"replicas\":3,\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":2}}",
     "\"observedGeneration\":2,\"readyReplicas\":3", false, "0 of 1 pods updated"},
    {"sts partition above", KUBE_STATEFUL_SET, "\"replicas\":3,\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":9}}",
     "\"observedGeneration\":2,\"readyReplicas\":3", true, ""},
    {"sts without rollingUpdate", KUBE_STATEFUL_SET, "\"replicas\":1,\"updateStrategy\":{\"type\":\"RollingUpdate\"}",
     "\"observedGeneration\":2,\"readyReplicas\":1,\"updatedReplicas\":1,\"currentRevision\":\"a\",\"updateRevision\":\"b\"", false, "not the current"},
    {"sts minReadySeconds", KUBE_STATEFUL_SET, "\"replicas\":1,\"minReadySeconds\":5,\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{}}",
     "\"observedGeneration\":2,\"readyReplicas\":1,\"updatedReplicas\":1,\"availableReplicas\":0", false, "0 of 1 pods available"},
    {"sts OnDelete", KUBE_STATEFUL_SET, "\"replicas\":1,\"updateStrategy\":{\"type\":\"OnDelete\"}",
     "\"observedGeneration\":2,\"readyReplicas\":1,\"updatedReplicas\":1", false, ""},
    {"ds", KUBE_DAEMON_SET, "\"updateStrategy\":{\"type\":\"RollingUpdate\"}",
     "\"observedGeneration\":2,\"desiredNumberScheduled\":2,\"updatedNumberScheduled\":2,\"numberAvailable\":2", true, "2/2 updated"},
    {"ds not updated", KUBE_DAEMON_SET, "\"updateStrategy\":{\"type\":\"RollingUpdate\"}",
     "\"observedGeneration\":2,\"desiredNumberScheduled\":2,\"updatedNumberScheduled\":1,\"numberAvailable\":2", false, "1 of 2 pods updated"},
    {"ds unavailable", KUBE_DAEMON_SET, "\"updateStrategy\":{\"type\":\"RollingUpdate\"}",
     "\"observedGeneration\":2,\"desiredNumberScheduled\":2,\"updatedNumberScheduled\":2,\"numberAvailable\":1", false, "1 of 2 updated pods available"},
    {"ds without nodes", KUBE_DAEMON_SET, "\"updateStrategy\":{\"type\":\"RollingUpdate\"}", "\"observedGeneration\":2", true, "0/0"},
};

static void test_statuses(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        AUTO_JSON struct json *o = parse(arena_printf(arena, "{\"metadata\":{\"generation\":2},\"spec\":{%s},\"status\":{%s}}", statuses[i].spec, statuses[i].status));
        struct kube_status s;
        kube_status_read(arena, statuses[i].kind, o, &s);
        if (s.done != statuses[i].done || !strstr(s.text, statuses[i].text)) fail_msg("%s: %d \"%s\"", statuses[i].what, s.done, s.text);
    }
}

/* --- the table of verdicts, by pods as the API shows them --- */

/* A pod of one container "api" in a state. */
static char *pod_in(const char *status) {
    return arena_printf(arena,
                        "{\"metadata\":{\"uid\":\"p1\",\"name\":\"web-1\",\"labels\":{\"controller-revision-hash\":\"h\"},"
                        "\"ownerReferences\":[{\"uid\":\"w\",\"controller\":true}]},\"spec\":{\"nodeName\":\"n\",\"containers\":"
                        "[{\"name\":\"api\",\"image\":\"x\",\"resources\":{\"limits\":{\"memory\":\"64Mi\"}}}]},\"status\":{%s}}",
                        status);
}

static char *waiting(const char *reason, const char *message) {
    return pod_in(arena_printf(arena, "\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"api\",\"restartCount\":0,\"state\":{\"waiting\":{\"reason\":\"%s\",\"message\":\"%s\"}}}]",
                               reason, message));
}

static char *crashed(const char *reason, int code, int restarts) {
    return pod_in(arena_printf(arena,
                               "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"api\",\"restartCount\":%d,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
                               "\"lastState\":{\"terminated\":{\"reason\":\"%s\",\"exitCode\":%d,\"message\":\"last words\"}}}]",
                               restarts, reason, code));
}

struct scene {
    struct kube_view v;
    struct kube_limits limits;
    int64_t now;
    const struct kube_finding *found;
    size_t n;
    int64_t next;
};

static void begin_kind(struct scene *s, enum kube_kind kind, const char *spec, const char *status) {
    *s = (struct scene){.now = 1000000};
    kube_view_init(&s->v, &(struct kube_workload){kind, "ns", "web"}, s->now, 1000000);
    kube_view_object(&s->v, parse(arena_printf(arena, "{\"metadata\":{\"uid\":\"w\",\"generation\":2},\"spec\":{\"replicas\":1,%s},"
                                                      "\"status\":{\"observedGeneration\":2,\"updateRevision\":\"h\"%s}}", spec, status)));
    s->v.hash = mem_strdup("h");
    s->v.owner_uid = mem_strdup("w");
}

static void begin(struct scene *s) {
    begin_kind(s, KUBE_STATEFUL_SET, "\"podManagementPolicy\":\"Parallel\",\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{}}", "");
}

static void look(struct scene *s) {
    kube_view_refresh(&s->v);
    s->n = kube_view_judge(&s->v, arena, &s->limits, s->now, &s->found, &s->next);
}

static void see(struct scene *s, const char *pod) {
    AUTO_JSON struct json *j = parse(pod);
    kube_view_pod(&s->v, j, false, s->now);
    look(s);
}

static void later(struct scene *s, int64_t ms) {
    s->now += ms;
    look(s);
}

static void note(struct scene *s, const char *uid, const char *reason, const char *message) {
    AUTO_JSON struct json *j = parse(arena_printf(arena, "{\"type\":\"Warning\",\"reason\":\"%s\",\"message\":\"%s\",\"involvedObject\":{\"uid\":\"%s\",\"name\":\"web-1\"}}",
                                                  reason, message, uid));
    s->v.notes_synced = true;
    kube_view_note(&s->v, j);
    look(s);
}

static void is(const struct scene *s, const char *rule, bool hopeless) {
    for (size_t i = 0; i < s->n; i++) {
        if (!str_eq(s->found[i].rule->id, rule)) continue;
        if (s->found[i].hopeless != hopeless) fail_msg("%s: hopeless is %d", rule, s->found[i].hopeless);
        return;
    }
    fail_msg("%s is not found, but %s", rule, s->n ? s->found[0].rule->id : "nothing");
}

static bool used[100];
static void mark(const char *rule) {
    for (size_t i = 0; kube_rules[i].id; i++)
        if (str_eq(kube_rules[i].id, rule)) used[i] = true;
}

/* A waiting container: patient at once, hopeless after so many seconds (-1: never). */
static const struct {
    const char *rule, *reason, *message;
    int hopeless_after;
} waits[] = {
    {"pull-missing", "ErrImagePull", "failed to resolve reference \\\"r/x:1\\\": r/x:1: not found", 30},
    {"pull-missing", "ImagePullBackOff", "Back-off pulling image \\\"r/x\\\": ErrImagePull: manifest unknown", 30},
    {"pull-platform", "ErrImagePull", "no match for platform in manifest: not found", 30},
    {"pull-access", "ErrImagePull", "unexpected status from HEAD request: 401 Unauthorized", 60},
    {"pull-access", "ErrImagePull", "pull access denied, repository does not exist or may require authorization", 60},
    {"pull-trust", "ErrImagePull", "tls: failed to verify certificate: x509: certificate signed by unknown authority", 60},
    {"pull-retry", "ErrImagePull", "dial tcp 10.0.0.1:443: connect: connection refused", -1},
    {"pull-retry", "ErrImagePull", "429 Too Many Requests", -1},
    {"pull-retry", "ErrImagePull", "pull QPS exceeded", -1},
    {"image-name", "InvalidImageName", "couldn't parse image name", 0},
    {"image-never", "ErrImageNeverPull", "Container image \\\"x\\\" is not present with pull policy of Never", 0},
    {"config-missing", "CreateContainerConfigError", "secret \\\"db\\\" not found", 30},
    {"config-root", "CreateContainerConfigError", "container has runAsNonRoot and image will run as root", 30},
    {"config", "CreateContainerConfigError", "no command specified", 30},
    {"create-busy", "CreateContainerError", "context deadline exceeded", -1},
    {"create", "CreateContainerError", "no command specified", 60},
    {"run", "RunContainerError", "exec: \\\"/nope\\\": stat /nope: no such file or directory", 0},
    {"pulling", "ContainerCreating", "", -1},
};

static void test_waiting(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        struct scene s;
        begin(&s);
        see(&s, waiting(waits[i].reason, waits[i].message));
        mark(waits[i].rule);
        is(&s, waits[i].rule, waits[i].hopeless_after == 0);
        if (waits[i].hopeless_after > 0) {
            assert_int_equal(s.next, waits[i].hopeless_after * 1000);
            later(&s, waits[i].hopeless_after * 1000 - 1);
            is(&s, waits[i].rule, false);
            later(&s, 1);
            is(&s, waits[i].rule, true);
        } else if (waits[i].hopeless_after < 0) {
            later(&s, 3600 * 1000);
            is(&s, waits[i].rule, false);
        }
        kube_view_done(&s.v);
    }
}

static void test_second_pull(void **state) {
    (void) state;
    struct scene s;
    begin(&s);
    see(&s, waiting("ErrImagePull", "r/x: not found"));
    see(&s, waiting("ImagePullBackOff", "Back-off pulling image \\\"x\\\"")); /* an older kubelet keeps the cause to itself */
    is(&s, "pull-missing", false);
    see(&s, waiting("ErrImagePull", "r/x: not found"));
    is(&s, "pull-missing", true);
    kube_view_done(&s.v);
}

/* One that backs off since before this rollout may be minutes from its next try: that one counts. */
static void test_inherited_pull(void **state) {
    (void) state;
    struct scene s;
    begin(&s);
    s.v.started_wall = 1000000000;
    char *old = waiting("ImagePullBackOff", "ErrImagePull: r/x: not found"), *old_err = waiting("ErrImagePull", "r/x: not found");
    AUTO_JSON struct json *a = parse(old), *b = parse(old_err);
    json_set_str((struct json *) json_get(a, "metadata"), "creationTimestamp", "1970-01-05T00:00:00Z");
    json_set_str((struct json *) json_get(b, "metadata"), "creationTimestamp", "1970-01-05T00:00:00Z");
    kube_view_pod(&s.v, a, false, s.now);
    look(&s);
    later(&s, 200000);
    is(&s, "pull-missing", false);
    kube_view_pod(&s.v, b, false, s.now);
    look(&s);
    kube_view_pod(&s.v, a, false, s.now);
    look(&s);
    is(&s, "pull-missing", true);
    kube_view_done(&s.v);
}

static void test_crashes(void **state) {
    (void) state;
    static const struct {
        const char *rule, *reason;
        int code;
        const char *words;
    } cases[] = {
        {"crash", "Error", 3, "exit code 3, 3 restarts: last words"}, {"oom", "OOMKilled", 137, "(signal 9), memory limit 64Mi"},
        {"completed", "Completed", 0, "exit code 0"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene s;
        begin(&s);
        see(&s, crashed(cases[i].reason, cases[i].code, 2));
        is(&s, cases[i].rule, false);
        see(&s, crashed(cases[i].reason, cases[i].code, 3));
        is(&s, cases[i].rule, true);
        if (!strstr(s.found[0].message, cases[i].words)) fail_msg("%s", s.found[0].message);
        mark(cases[i].rule);
        kube_view_done(&s.v);
    }
    struct scene s;
    begin(&s);
    see(&s, crashed("StartError", 128, 0));
    is(&s, "start", true);
    mark("start");
    kube_view_done(&s.v);
    /* Restarts from before we looked: one more has to follow. */
    begin(&s);
    see(&s, crashed("Error", 1, 7));
    is(&s, "crash", false);
    see(&s, crashed("Error", 1, 8));
    is(&s, "crash", true);
    kube_view_done(&s.v);
    begin(&s);
    see(&s, crashed("Error", 137, 0));
    note(&s, "p1", "Killing", "Container api failed liveness probe, will be restarted");
    see(&s, crashed("Error", 137, 3));
    is(&s, "probe", true);
    mark("probe");
    kube_view_done(&s.v);
}

static void test_pods(void **state) {
    (void) state;
    struct scene s;
    begin(&s);
    see(&s, pod_in("\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"api\",\"ready\":false,\"state\":{\"running\":{}}}]"));
    is(&s, "unready", false);
    note(&s, "p1", "Unhealthy", "Readiness probe failed: 503");
    assert_string_equal(s.found[0].message, "Readiness probe failed: 503");
    mark("unready");
    see(&s, pod_in("\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"disk\""));
    is(&s, "pod-lost", false);
    mark("pod-lost");
    see(&s, waiting("ContainerCreating", ""));
    note(&s, "p1", "FailedMount", "MountVolume.SetUp failed: secret \\\"x\\\" not found");
    is(&s, "mount-missing", false);
    later(&s, 60000);
    is(&s, "mount-missing", true);
    mark("mount-missing");
    kube_view_done(&s.v);
    begin(&s);
    see(&s, waiting("ContainerCreating", ""));
    note(&s, "p1", "FailedAttachVolume", "Multi-Attach error");
    later(&s, 600000);
    is(&s, "mount", false);
    mark("mount");
    kube_view_done(&s.v);
}

static void test_unscheduled(void **state) {
    (void) state;
    static const char pod[] = "{\"metadata\":{\"uid\":\"p1\",\"name\":\"web-1\",\"labels\":{\"controller-revision-hash\":\"h\"},\"ownerReferences\":[{\"uid\":\"w\",\"controller\":true}]},"
                              "\"spec\":{\"containers\":[]},\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"reason\":\"%s\",\"message\":\"%s\"}]}}";
    struct scene s;
    begin(&s);
    s.limits.schedule = 600000;
    see(&s, arena_printf(arena, pod, "Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."));
    is(&s, "unscheduled", false);
    note(&s, "p1", "TriggeredScaleUp", "pod triggered scale-up: g5 1->2");
    assert_non_null(strstr(s.found[0].message, "g5 1->2"));
    assert_int_equal(s.next, 600000);
    later(&s, 600000);
    is(&s, "phase-schedule", true);
    mark("unscheduled");
    mark("phase-schedule");
    see(&s, arena_printf(arena, pod, "Unschedulable", "persistentvolumeclaim \\\"data\\\" not found"));
    is(&s, "claim-missing", false);
    later(&s, 60000);
    is(&s, "claim-missing", true);
    mark("claim-missing");
    see(&s, arena_printf(arena, pod, "SchedulingGated", ""));
    is(&s, "gated", false);
    mark("gated");
    kube_view_done(&s.v);
    begin(&s);
    s.limits = (struct kube_limits){.pull = 5000, .ready = 7000};
    see(&s, waiting("ContainerCreating", ""));
    later(&s, 5000);
    is(&s, "phase-pull", true);
    mark("phase-pull");
    see(&s, pod_in("\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"api\",\"state\":{\"running\":{}}}]"));
    later(&s, 6999);
    assert_int_equal(s.next, 1);
    later(&s, 1);
    is(&s, "phase-ready", true);
    mark("phase-ready");
    kube_view_done(&s.v);
}

static void test_no_pods(void **state) {
    (void) state;
    static const struct {
        const char *rule, *message;
        bool hopeless;
    } cases[] = {
        {"create-quota", "pods \\\"web-1\\\" is forbidden: exceeded quota: q, requested: cpu=1", true},
        {"create-security", "violates PodSecurity \\\"restricted:latest\\\"", true},
        {"create-account", "error looking up service account ns/x: serviceaccount \\\"x\\\" not found", true},
        {"create-priority", "no PriorityClass with name high was found", true},
        {"create-denied", "admission webhook \\\"w\\\" denied the request: no", true},
        {"create-webhook-down", "Internal error occurred: failed calling webhook \\\"w\\\": connection refused", false},
        {"create-other", "something new", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene s;
        begin(&s);
        note(&s, "w", "FailedCreate", cases[i].message);
        is(&s, cases[i].rule, false);
        later(&s, 30000);
        is(&s, cases[i].rule, cases[i].hopeless);
        mark(cases[i].rule);
        see(&s, waiting("ContainerCreating", ""));
        assert_string_equal(s.found[0].rule->id, "pulling"); /* a pod came: progress */
        kube_view_done(&s.v);
    }
}

static void test_deployment_conditions(void **state) {
    (void) state;
    static const char failure[] = ",\"conditions\":[{\"type\":\"ReplicaFailure\",\"status\":\"True\",\"message\":\"exceeded quota: q\"}]";
    static const char deadline[] = ",\"conditions\":[{\"type\":\"Progressing\",\"status\":\"False\",\"reason\":\"ProgressDeadlineExceeded\","
                                   "\"message\":\"has timed out progressing\",\"lastUpdateTime\":\"T\"}]";
    struct scene s;
    begin_kind(&s, KUBE_DEPLOYMENT, "\"strategy\":{}", failure);
    look(&s);
    later(&s, 30000);
    is(&s, "create-quota", true);
    kube_view_done(&s.v);
    begin_kind(&s, KUBE_DEPLOYMENT, "\"strategy\":{}", deadline);
    look(&s);
    is(&s, "deadline", true);
    mark("deadline");
    s.v.old_deadline = mem_strdup("T"); /* it was there before this rollout */
    look(&s);
    assert_int_equal(s.n, 0);
    kube_view_done(&s.v);
}

static void test_blocked_stateful_set(void **state) {
    (void) state;
    struct scene s;
    begin_kind(&s, KUBE_STATEFUL_SET, "\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{}}", "");
    mem_free(s.v.hash);
    s.v.hash = mem_strdup("newer");
    see(&s, crashed("Error", 1, 9));
    is(&s, "blocked", false);
    see(&s, pod_in("\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"api\",\"restartCount\":9,\"ready\":false,\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{\"reason\":\"Error\"}}}]"));
    later(&s, 15000);
    is(&s, "blocked", true);
    mark("blocked");
    kube_view_done(&s.v);
}

static void test_init_containers(void **state) {
    (void) state;
    static const char pod[] = "{\"metadata\":{\"uid\":\"p1\",\"name\":\"web-1\",\"labels\":{\"controller-revision-hash\":\"h\"},\"ownerReferences\":[{\"uid\":\"w\",\"controller\":true}]},"
                              "\"spec\":{\"nodeName\":\"n\",\"initContainers\":[{\"name\":\"setup\"},{\"name\":\"side\",\"restartPolicy\":\"Always\"}],\"containers\":[{\"name\":\"api\"}]},"
                              "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"setup\",\"restartCount\":%d,\"state\":{\"terminated\":{\"exitCode\":%d,\"reason\":\"Error\"}}},"
                              "{\"name\":\"side\",\"started\":%s,\"state\":{\"running\":{}}}],"
                              "\"containerStatuses\":[{\"name\":\"api\",\"state\":{\"waiting\":{\"reason\":\"PodInitializing\"}}}]}}";
    struct scene s;
    begin(&s);
    see(&s, arena_printf(arena, pod, 3, 1, "true"));
    is(&s, "crash", false); /* its restarts are from before */
    see(&s, arena_printf(arena, pod, 4, 1, "true"));
    is(&s, "crash", true);
    assert_string_equal(s.found[0].container->name, "setup");
    assert_int_equal(s.n, 1);
    see(&s, arena_printf(arena, pod, 0, 0, "true"));
    assert_int_equal(s.n, 0);
    see(&s, arena_printf(arena, pod, 0, 0, "false"));
    assert_string_equal(s.found[0].container->name, "side");
    kube_view_done(&s.v);
}

/* Pods that aren't of the new revision, that end or whose watch was reset. */
static void test_which_pods(void **state) {
    (void) state;
    struct scene s;
    begin(&s);
    see(&s, waiting("InvalidImageName", ""));
    assert_int_equal(kube_view_fresh(&s.v), 1);
    kube_view_reset(&s.v);
    kube_view_synced(&s.v);
    look(&s);
    assert_int_equal(s.n, 0);
    assert_int_equal(s.v.n_pods, 0);
    AUTO_JSON struct json *old = parse(waiting("InvalidImageName", "")), *ending = parse(waiting("InvalidImageName", ""));
    json_set_str((struct json *) json_at(old, "metadata", "labels", NULL), "controller-revision-hash", "other");
    json_set_str((struct json *) json_get(ending, "metadata"), "deletionTimestamp", "2026-01-01T00:00:00Z");
    kube_view_pod(&s.v, old, false, s.now);
    look(&s);
    assert_int_equal(s.n, 0);
    kube_view_pod(&s.v, ending, false, s.now);
    look(&s);
    assert_int_equal(s.n, 0);
    kube_view_pod(&s.v, ending, true, s.now);
    assert_int_equal(s.v.n_pods, 0);
    kube_view_done(&s.v);
}

/* A row that no case above has reached is dead, or untested. */
static void test_every_row(void **state) {
    (void) state;
    for (size_t i = 0; kube_rules[i].id; i++) {
        if (!used[i]) fail_msg("no case reaches the row %s", kube_rules[i].id);
        assert_non_null(kube_rules[i].words);
        assert_non_null(kube_rules[i].advice);
    }
}

static int set_up(void **state) {
    (void) state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses), cmocka_unit_test(test_waiting), cmocka_unit_test(test_second_pull), cmocka_unit_test(test_inherited_pull),
        cmocka_unit_test(test_crashes), cmocka_unit_test(test_pods), cmocka_unit_test(test_unscheduled), cmocka_unit_test(test_no_pods),
        cmocka_unit_test(test_deployment_conditions), cmocka_unit_test(test_blocked_stateful_set), cmocka_unit_test(test_init_containers),
        cmocka_unit_test(test_which_pods), cmocka_unit_test(test_every_row),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
