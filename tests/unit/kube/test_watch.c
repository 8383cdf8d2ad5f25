#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "json/json.h"
#include "kube/fake.h"
#include "kube/watch.h"

static struct arena *arena;
static struct ctx ctx;

struct heard {
    struct buf text;
    int stop_after; /* events; 0: never */
    int n;
};

static int on_event(void *arg, enum kube_event_type type, struct json *tree, struct err *err) {
    static const char *const names[] = {"reset", "synced", "+", "*", "-"};
    struct heard *h = arg;
    (void) err;
    buf_adds(&h->text, names[type]);
    if (tree) buf_adds(&h->text, json_str(json_at(kube_event_object(tree), "metadata", "name", NULL)));
    buf_addc(&h->text, ' ');
    json_free(tree);
    return ++h->n == h->stop_after ? 7 : 0;
}

#define EVENT(type, name, rv) \
    "{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" rv "\"}}}\n"
#define INITIAL_END "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"10\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define BOOKMARK(rv) "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" rv "\"}}}\n"
#define EXPIRED "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}}\n"

static int watch(struct fake_answer *answers, size_t n, const char *rv, int stop_after, const char *want, struct fake *f, struct err *err) {
    AUTO_KUBE struct kube *k = fake_open(f, answers, n, NULL);
    struct heard h = {.stop_after = stop_after};
    struct kube_watch w = {
        .path = "/api/v1/namespaces/x/pods", .label_selector = "a=b", .resource_version = rv, .on_event = on_event, .arg = &h, .patience_s = 1,
    };
    struct ctx limited = ctx_with_timeout(&ctx, 5000);
    int r = kube_watch(k, &limited, &w, err);
    assert_string_equal(buf_str(&h.text), want);
    buf_done(&h.text);
    return r;
}

static void test_initial_then_resumed(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "sendInitialEvents=true", .status = 200, .body = EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4") INITIAL_END EVENT("MODIFIED", "a", "11")},
        {.match = "resourceVersion=11&", .status = 200, .body = EVENT("DELETED", "b", "12") BOOKMARK("20"), .cut = true},
        {.match = "resourceVersion=20&", .status = 0},
        {.match = "resourceVersion=20&", .status = 200, .body = EVENT("ADDED", "c", "21")},
    };
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(watch(answers, ARRAY_SIZE(answers), NULL, 7, "reset +a +b synced *a -b +c ", &f, &err), 7);
    assert_int_equal(fake_count(&f, "labelSelector=a%3Db"), 4);
    assert_int_equal(fake_count(&f, "allowWatchBookmarks=true"), 4);
    fake_done(&f);
}

static void test_from_a_version(void **state) {
    (void) state;
    struct fake_answer answers[] = {{.match = "resourceVersion=5&", .status = 200, .body = EVENT("MODIFIED", "a", "6") "\n" EVENT("MODIFIED", "b", "7")}};
    struct fake f;
    assert_int_equal(watch(answers, 1, "5", 2, "*a *b ", &f, NULL), 7);
    fake_done(&f);
}

static void test_expired(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "resourceVersion=5&", .status = 200, .body = EVENT("MODIFIED", "a", "6")},
        {.match = "resourceVersion=6&", .status = 200, .body = EXPIRED},
        {.match = "sendInitialEvents=true", .status = 200, .body = EVENT("ADDED", "b", "7") INITIAL_END},
        {.match = "resourceVersion=10&", .status = 410, .body = "{\"kind\":\"Status\",\"reason\":\"Expired\"}"},
        {.match = "sendInitialEvents=true", .status = 200, .body = INITIAL_END},
    };
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(watch(answers, ARRAY_SIZE(answers), "5", 6, "*a reset +b synced reset synced ", &f, &err), 7);
    fake_done(&f);
}

/* Cut inside of the initial set: all of it again. */
static void test_cut_initial(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "sendInitialEvents=true", .status = 200, .body = EVENT("ADDED", "a", "3"), .cut = true},
        {.match = "sendInitialEvents=true", .status = 200, .body = EVENT("ADDED", "a", "3") EVENT("ADDED", "b", "4") INITIAL_END},
    };
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(watch(answers, ARRAY_SIZE(answers), NULL, 6, "reset +a reset +a +b synced ", &f, &err), 7);
    fake_done(&f);
}

static void test_older_server(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "sendInitialEvents=true", .status = 422, .body = "{\"kind\":\"Status\",\"reason\":\"Invalid\"}"},
        {.match = "limit=500&labelSelector", .status = 200,
         .body = "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"more\"},\"items\":[{\"metadata\":{\"name\":\"a\"}}]}"},
        {.match = "continue=more", .status = 200, .body = "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{\"metadata\":{\"name\":\"b\"}}]}"},
        {.match = "resourceVersion=9&", .status = 200, .body = EVENT("MODIFIED", "b", "11")},
    };
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(watch(answers, ARRAY_SIZE(answers), NULL, 6, "reset reset +a +b synced *b ", &f, &err), 7);
    fake_done(&f);
}

static void test_final_errors(void **state) {
    (void) state;
    struct fake_answer denied[] = {{.match = "/", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\"}"}};
    struct fake f;
    AUTO_ERR struct err err = {0};
    assert_int_equal(watch(denied, 1, "5", 0, "", &f, &err), -ERR_DENIED);
    fake_done(&f);
    /* One that was let in is patient with a server that starts anew, but not for ever. */
    struct fake_answer later[] = {
        {.match = "/", .status = 200, .body = EVENT("MODIFIED", "a", "6")},
        {.match = "/", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"not yet\"}", .times = 2},
        {.match = "/", .status = 200, .body = EVENT("MODIFIED", "b", "7")},
    };
    assert_int_equal(watch(later, 3, "5", 2, "*a *b ", &f, &err), 7);
    fake_done(&f);
    struct fake_answer away[] = {{.match = "/", .status = 0, .times = -1}};
    assert_int_equal(watch(away, 1, "5", 0, "", &f, &err), -ERR_UNAVAILABLE);
    fake_done(&f);
}

static void test_junk(void **state) {
    (void) state;
    static const char *const bodies[] = {"hello\n", "{\"type\":\"NEWS\",\"object\":{\"metadata\":{}}}\n", "{\"type\":\"ADDED\"}\n", "[]\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct fake_answer answers[] = {{.match = "/", .status = 200, .body = bodies[i]}, {.match = "/", .status = 200, .body = EVENT("MODIFIED", "b", "7")}};
        struct fake f;
        AUTO_ERR struct err err = {0};
        assert_int_equal(watch(answers, 2, "5", 1, "*b ", &f, &err), 7);
        fake_done(&f);
    }
}

static void test_feed(void **state) {
    (void) state;
    struct fake_answer answers[] = {
        {.match = "/one", .status = 200, .body = EVENT("MODIFIED", "a", "6"), .hold = true},
        {.match = "/two", .status = 403, .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\"}"},
    };
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, 2, NULL);
    AUTO_ERR struct err err = {0};
    struct kube_feed *feed = kube_feed_new(k, &ctx);
    struct kube_watch one = {.path = "/one", .resource_version = "5"}, two = {.path = "/two", .resource_version = "5"};
    struct kube_feed_event e;
    assert_int_equal(kube_feed_add(feed, 1, &one, &err), 0);
    assert_int_equal(kube_feed_next(feed, &ctx, 5000, &e, &err), 0);
    assert_int_equal(e.tag, 1);
    assert_int_equal(e.type, KUBE_MODIFIED);
    json_free(e.tree);
    assert_int_equal(kube_feed_next(feed, &ctx, 10, &e, &err), 1);
    assert_int_equal(kube_feed_add(feed, 2, &two, &err), 0);
    assert_int_equal(kube_feed_next(feed, &ctx, 5000, &e, &err), 0);
    assert_int_equal(e.tag, 2);
    assert_int_equal(e.failed, -ERR_DENIED);
    assert_int_equal(err.code, ERR_DENIED);
    int64_t start = ctx_now(&ctx);
    kube_feed_free(feed);
    assert_true(ctx_now(&ctx) - start < 1000);
    fake_done(&f);
}

/* A full mailbox doesn't keep a feed from ending. */
static void test_full_feed(void **state) {
    (void) state;
    struct buf many = {0};
    for (int i = 0; i < 200; i++) buf_adds(&many, EVENT("MODIFIED", "a", "6"));
    struct fake_answer answers[] = {{.match = "/", .status = 200, .body = buf_str(&many), .hold = true}};
    struct fake f;
    AUTO_KUBE struct kube *k = fake_open(&f, answers, 1, NULL);
    struct kube_feed *feed = kube_feed_new(k, &ctx);
    struct kube_watch w = {.path = "/one", .resource_version = "5"};
    struct kube_feed_event e;
    assert_int_equal(kube_feed_add(feed, 1, &w, NULL), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(kube_feed_next(feed, &ctx, 5000, &e, NULL), 0);
        json_free(e.tree);
    }
    kube_feed_free(feed);
    buf_done(&many);
    fake_done(&f);
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
        cmocka_unit_test(test_initial_then_resumed), cmocka_unit_test(test_from_a_version), cmocka_unit_test(test_expired),
        cmocka_unit_test(test_cut_initial), cmocka_unit_test(test_older_server), cmocka_unit_test(test_final_errors),
        cmocka_unit_test(test_junk), cmocka_unit_test(test_feed), cmocka_unit_test(test_full_feed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
