#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "json/json.h"
#include "kube/client.h"
#include "kube/exec.h"
#include "kube/when.h"
#include "kube/fake.h"

static struct arena *arena;
static struct ctx ctx;

static int get(struct kube *k, const char *path, struct err *err) {
    AUTO_JSON struct json *j = NULL;
    return kube_get(k, &ctx, path, &j, err);
}

static void test_statuses(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/ok", .status = 200, .body = "{\"kind\":\"Pod\"}"},
        {.match = "/absent", .status = 404, .body = "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"pods \\\"x\\\" not found\"}"},
        {.match = "/proxy", .status = 404, .body = "<html>", .type = "text/html"},
        {.match = "/denied", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"User \\u001b[1mx cannot\"}"},
        {.match = "/junk", .status = 200, .body = "hello"},
        {.match = "/list", .status = 200, .body = "[]"},
        {.match = "/broken", .status = 500, .body = "failed to create typed patch object", .type = "text/plain"},
    };
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, ARRAY_SIZE(answers), NULL);
    AUTO_ERR struct err err = {0};
    assert_int_equal(get(k, "/ok", &err), 0);
    assert_int_equal(get(k, "/absent", &err), 1);
    assert_int_equal(get(k, "/proxy", &err), -ERR_NOT_FOUND);
    assert_int_equal(get(k, "/denied", &err), -ERR_DENIED);
    assert_string_equal(err_text(&err), "https://k answers 403 Forbidden: User x cannot");
    assert_int_equal(err.http_status, 403);
    assert_int_equal(get(k, "/junk", &err), -ERR_PROTOCOL);
    assert_int_equal(get(k, "/list", &err), -ERR_PROTOCOL);
    assert_int_equal(get(k, "/broken", &err), -ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(&err), "typed patch"));
    assert_int_equal(fake_count(&f, "/broken"), 1);
    fake_done(&f);
}

static void test_retries(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/away", .status = 0, .times = 2},
        {.match = "/away", .status = 200, .body = "{}"},
        {.match = "/gone", .status = 0, .times = -1},
        {.match = "/busy", .status = 429, .body = "slow down", .type = "text/plain", .header = "Retry-After", .value = "0"},
        {.match = "/busy", .status = 200, .body = "{}"},
        {.match = "/502", .status = 502, .body = ""},
        {.match = "/502", .status = 200, .body = "{}"},
    };
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, ARRAY_SIZE(answers), NULL);
    AUTO_ERR struct err err = {0};
    assert_int_equal(get(k, "/away", &err), 0);
    assert_int_equal(get(k, "/gone", &err), -ERR_UNAVAILABLE);
    assert_int_equal(fake_count(&f, "/gone"), 3);
    assert_int_equal(get(k, "/busy", &err), 0);
    assert_int_equal(get(k, "/502", &err), 0);
    struct ctx hurried = ctx_with_timeout(&ctx, 20);
    struct fake_answer limited[] = {{.match = "/x", .status = 429, .body = "", .times = -1}};
    struct fake g;
    AUTO_KUBE struct kube *l = fake_open(&g, limited, 1, NULL);
    AUTO_JSON struct json *j = NULL;
    assert_int_equal(kube_get(l, &hurried, "/x", &j, &err), -ERR_THROTTLED);
    fake_done(&f);
    fake_done(&g);
}

struct tokens {
    int made;
};

static int make_token(void *self, struct ctx *c, bool refresh, struct secret **ret, struct err *err) {
    struct tokens *t = self;
    (void) c;
    (void) err;
    if (refresh || !t->made) t->made++;
    AUTO_FREE char *text = mem_printf("t%d", t->made);
    *ret = secret_new(text, strlen(text));
    return 0;
}

static void test_refused_token(void **state) {
    (void) state;
    struct tokens t = {0};
    struct kube_options o = {.host = "https://k", .token_source = {.get = make_token, .self = &t}};
    struct fake_answer answers[] = {
        {.match = "/a", .status = 401, .body = "{\"kind\":\"Status\",\"reason\":\"Unauthorized\"}"},
        {.match = "/a", .status = 200, .body = "{}"},
        {.match = "/b", .status = 401, .body = "{\"kind\":\"Status\",\"reason\":\"Unauthorized\"}", .times = -1},
    };
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, ARRAY_SIZE(answers), &o);
    AUTO_ERR struct err err = {0};
    assert_int_equal(get(k, "/a", &err), 0);
    assert_string_equal(buf_str(&f.log), "GET https://k/a [Authorization: Bearer t1]\nGET https://k/a [Authorization: Bearer t2]\n");
    assert_int_equal(get(k, "/b", &err), -ERR_UNAUTHENTICATED);
    assert_non_null(err.hint);
    assert_int_equal(fake_count(&f, "/b"), 2);
    fake_done(&f);
}

static void test_credentials(void **state) {
    (void) state;
    AUTO_SECRET struct secret *password = secret_new("open:sesame", 11), *token = secret_new("tok", 3);
    struct fake_answer answers[] = {{.match = "/", .status = 200, .body = "{}", .times = -1}};
    struct fake f;
    struct kube_options basic = {.host = "https://k", .username = "aladdin", .password = password};
    AUTO_KUBE struct kube *k = fake_open(&f, answers, 1, &basic);
    assert_int_equal(get(k, "/x", NULL), 0);
    assert_string_equal(buf_str(&f.log), "GET https://k/x [Authorization: Basic YWxhZGRpbjpvcGVuOnNlc2FtZQ==]\n");
    fake_done(&f);
    struct kube_options plain = {.host = "http://k", .token = token};
    AUTO_KUBE struct kube *p = fake_open(&f, answers, 1, &plain);
    assert_int_equal(get(p, "/x", NULL), 0);
    assert_string_equal(buf_str(&f.log), "GET http://k/x\n");
    fake_done(&f);
}

static int64_t wall;
static int64_t fixed_wall(void *self) {
    (void) self;
    return wall;
}
static int64_t fixed_now(void *self) {
    (void) self;
    return wall;
}

/* A plugin that counts its calls in a file. */
static void test_exec(void **state) {
    (void) state;
    char dir[] = "/tmp/gpudev-exec.XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *script = fs_join(arena, dir, "plugin"), *calls = fs_join(arena, dir, "calls");
    const char *text = arena_printf(arena,
                                    "#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO $EXTRA $*\" >>%s\n"
                                    "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":"
                                    "{\"token\":\"t'$(wc -l <%s)'\",\"expirationTimestamp\":\"1970-01-01T01:00:00Z\"}}'\n",
                                    calls, calls);
    assert_int_equal(fs_write_atomic(script, text, strlen(text), 0700, NULL), 0);
    struct kv env = {"EXTRA", "more"};
    const char *args[] = {"-a", "b c"};
    struct kube_exec exec = {.api_version = "client.authentication.k8s.io/v1", .command = script, .args = args, .n_args = 2, .env = &env, .n_env = 1};
    struct kube_options o = {.host = "https://k", .exec = &exec};
    struct fake_answer answers[] = {{.match = "/401", .status = 401, .body = "{}"}, {.match = "/", .status = 200, .body = "{}", .times = -1}};
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, 2, &o);
    AUTO_ERR struct err err = {0};
    const struct clock clock = {.now = fixed_now, .wall = fixed_wall};
    struct ctx timed = ctx;
    AUTO_JSON struct json *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    timed.clock = &clock;
    wall = 1000;
    assert_int_equal(kube_get(k, &timed, "/1", &a, &err), 0);
    assert_int_equal(kube_get(k, &timed, "/2", &b, &err), 0);
    wall = 3600 * 1000;
    assert_int_equal(kube_get(k, &timed, "/3", &c, &err), 0);
    wall = 1000;
    assert_int_equal(kube_get(k, &timed, "/401", &d, &err), 0);
    assert_non_null(strstr(buf_str(&f.log), "/1 [Authorization: Bearer t1]"));
    assert_non_null(strstr(buf_str(&f.log), "/2 [Authorization: Bearer t1]"));
    assert_non_null(strstr(buf_str(&f.log), "/3 [Authorization: Bearer t2]"));
    assert_non_null(strstr(buf_str(&f.log), "/401 [Authorization: Bearer t2]\nGET https://k/401 [Authorization: Bearer t3]"));
    char *log = NULL;
    assert_int_equal(fs_read(arena, calls, 10000, &log, NULL, NULL), 0);
    assert_non_null(strstr(log, "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}} more -a b c\n"));
    fake_done(&f);
    unlink(script);
    unlink(calls);
    rmdir(dir);
}

static void plugin_fails(const char *code, enum err_code want, const char *part) {
    const char *args[] = {"-c", code};
    struct kube_exec exec = {.api_version = "client.authentication.k8s.io/v1", .command = "sh", .args = args, .n_args = 2};
    struct kube_options o = {.host = "https://k", .exec = &exec};
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, NULL, 0, &o);
    AUTO_ERR struct err err = {0};
    struct ctx limited = ctx_with_timeout(&ctx, 300);
    AUTO_JSON struct json *j = NULL;
    assert_int_equal(kube_get(k, &limited, "/", &j, &err), -(int) want);
    const char *all = arena_printf(arena, "%s|%s", err_text(&err), err.detail ? err.detail : "");
    if (!strstr(all, part)) fail_msg("\"%s\" is not in \"%s\"", part, all);
    assert_null(strstr(all, "hunter2"));
    fake_done(&f);
}

static void test_exec_failures(void **state) {
    (void) state;
    plugin_fails("echo please log in >&2; exit 3", ERR_FAILED, "exit status 3|please log in");
    plugin_fails("kill -9 $$", ERR_FAILED, "signal 9");
    plugin_fails("echo hunter2", ERR_PROTOCOL, "not JSON");
    plugin_fails(":", ERR_PROTOCOL, "prints nothing");
    plugin_fails("echo '{}'", ERR_PROTOCOL, "no ExecCredential");
    plugin_fails("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"v0\"}'", ERR_PROTOCOL, "answers in v0");
    plugin_fails("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{}}'", ERR_PROTOCOL, "neither a token");
    plugin_fails("sleep 20 & sleep 20", ERR_TIMEOUT, "timed out");
    plugin_fails("yes hunter2", ERR_LIMIT, "writes more than");
    struct kube_exec exec = {.api_version = "client.authentication.k8s.io/v1", .command = "gpudev-no-such-plugin"};
    struct kube_options o = {.host = "https://k", .exec = &exec};
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, NULL, 0, &o);
    AUTO_ERR struct err err = {0};
    assert_int_equal(get(k, "/", &err), -ERR_NOT_FOUND);
    fake_done(&f);
}

static void *cancel_soon(void *arg) {
    struct ctx c = {0};
    ctx_sleep(&c, 50, NULL);
    cancel_request(arg);
    return NULL;
}

static void test_exec_cancelled(void **state) {
    (void) state;
    const char *args[] = {"-c", "sleep 20"};
    struct kube_exec exec = {.api_version = "client.authentication.k8s.io/v1", .command = "sh", .args = args, .n_args = 2};
    struct kube_options o = {.host = "https://k", .exec = &exec};
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, NULL, 0, &o);
    struct ctx c = ctx;
    pthread_t t;
    c.cancel = cancel_new(NULL);
    pthread_create(&t, NULL, cancel_soon, c.cancel);
    int64_t start = ctx_now(&c);
    AUTO_JSON struct json *j = NULL;
    assert_int_equal(kube_get(k, &c, "/", &j, NULL), -ERR_CANCELLED);
    assert_true(ctx_now(&c) - start < 1000);
    pthread_join(t, NULL);
    cancel_unref(c.cancel);
    fake_done(&f);
}

static void test_times(void **state) {
    (void) state;
    assert_int_equal(kube_time_parse("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(kube_time_parse("2026-11-24T10:16:51.250000Z"), 1795515411250);
    assert_int_equal(kube_time_parse("2000-02-29T23:59:59+01:00"), 951865199000);
    static const char *const bad[] = {"", "2026", "2026-11-24T10:16:51", "2026-13-24T10:16:51Z", "2026-11-24 10:16:51Z", "2026-11-24T10:16:51Zx"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) assert_int_equal(kube_time_parse(bad[i]), -1);
    assert_string_equal(kube_time_text(arena, 1795515411000), "2026-11-24T10:16:51Z");
    assert_string_equal(kube_span_text(arena, 130000), "2m10s");
    assert_string_equal(kube_warning_text(arena, "299 - \"would \\\"violate\\\" x\""), "would \"violate\" x");
}

static void test_kinds(void **state) {
    (void) state;
    enum kube_kind kind;
    assert_int_equal(kube_kind_parse("Deploy", &kind), 0);
    assert_int_equal(kind, KUBE_DEPLOYMENT);
    assert_int_equal(kube_kind_parse("statefulsets.apps", &kind), 0);
    assert_int_equal(kind, KUBE_STATEFUL_SET);
    assert_int_equal(kube_kind_parse("daemon_set", &kind), 0);
    assert_int_equal(kind, KUBE_DAEMON_SET);
    assert_int_equal(kube_kind_parse("cronjob", &kind), -1);
    assert_int_equal(kube_kind_parse("deployments.extensions", &kind), -1);
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
        cmocka_unit_test(test_statuses), cmocka_unit_test(test_retries), cmocka_unit_test(test_refused_token), cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_exec), cmocka_unit_test(test_exec_failures), cmocka_unit_test(test_exec_cancelled), cmocka_unit_test(test_times),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
