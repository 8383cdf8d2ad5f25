/* Engines that are none, or that hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>

#include "base/ctx.h"
#include "base/err.h"
#include "build/build.h"
#include "context/tree.h"
#include "http/server.h"
#include "rpc/rpc.h"

enum mode { NO_BUILDKIT, PODMAN, HANGS_AT_VERSION, HANGS_AT_UPGRADE, HANGS_AFTER_UPGRADE, DROPS };

struct fixture {
    struct arena *a;
    struct ctx ctx;
    char *dir;
    struct server server;
    enum mode mode;
    struct err err;
};

static void serve(struct conn *c) {
    const struct fixture *f = c->s->arg;
    AUTO_BUF struct buf head = {0};
    while (conn_read_head(c, &head)) {
        const char *text = buf_str(&head);
        if (strstr(text, "/version ")) {
            if (f->mode == HANGS_AT_VERSION)
                conn_wait_close(c);
            else if (f->mode == PODMAN)
                conn_reply(c, 200, "",
                           "{\"Version\":\"4.3\",\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Podman "
                           "Engine\",\"Version\":\"4.3\"}]}");
            else
                conn_reply(c, 200, "",
                           "{\"Version\":\"20.10\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":\"windows\"}");
            if (f->mode == HANGS_AT_VERSION) return;
        } else if (f->mode == HANGS_AT_UPGRADE) {
            conn_wait_close(c);
            return;
        } else if (f->mode == HANGS_AFTER_UPGRADE) {
            conn_puts(c, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
            conn_wait_close(c);
            return;
        } else if (f->mode == DROPS) {
            return;
        } else {
            conn_reply(c, 404, "", "{\"message\":\"page not found\"}");
        }
    }
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->ctx = (struct ctx){.arena = f->a, .cancel = cancel_new(NULL)};
    f->dir = tree_new(f->a);
    snprintf(f->server.socket_path, sizeof f->server.socket_path, "%s/s", f->dir);
    f->server.arg = f;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    server_stop(&f->server);
    tree_remove(f->dir);
    cancel_unref(f->ctx.cancel);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int open_in(struct fixture *f, enum mode mode) {
    f->mode = mode;
    if (!f->server.thread) server_start(&f->server, serve, false);
    struct builder *b = NULL;
    int r = builder_open(&f->ctx, &(struct builder_config){.docker_host = f->server.socket_path}, &b, &f->err);
    builder_free(b);
    return r;
}

static void test_no_buildkit(void **state) {
    struct fixture *f = *state;
    assert_int_equal(open_in(f, NO_BUILDKIT), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&f->err), "Docker Engine 20.10"));
    assert_non_null(strstr(err_text(&f->err), "has no BuildKit"));
    assert_non_null(strstr(f->err.hint, "20.10 or later"));
}

static void test_podman(void **state) {
    struct fixture *f = *state;
    assert_int_equal(open_in(f, PODMAN), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&f->err), "Podman 4.3"));
}

static void test_connection_drops(void **state) {
    struct fixture *f = *state;
    assert_true(open_in(f, DROPS) < 0);
    assert_non_null(strstr(err_text(&f->err), f->server.socket_path));
}

static void *cancel_later(void *arg) {
    struct ctx ctx = {0};
    ctx_sleep(&ctx, 200, NULL);
    cancel_request(arg);
    return NULL;
}

/* StopProvider reaches every wait. */
static void cancelled_in_time(struct fixture *f, enum mode mode) {
    pthread_t t;
    int64_t start = ctx_now(&f->ctx);
    pthread_create(&t, NULL, cancel_later, f->ctx.cancel);
    int r = open_in(f, mode);
    int64_t took = ctx_now(&f->ctx) - start;
    pthread_join(t, NULL);
    assert_int_equal(r, -ERR_CANCELLED);
    assert_true(took < 2000);
}

static void test_hangs_at_version(void **state) { cancelled_in_time(*state, HANGS_AT_VERSION); }
static void test_hangs_at_upgrade(void **state) { cancelled_in_time(*state, HANGS_AT_UPGRADE); }
static void test_hangs_after_upgrade(void **state) { cancelled_in_time(*state, HANGS_AFTER_UPGRADE); }

static void test_deadline(void **state) {
    struct fixture *f = *state;
    f->ctx = ctx_with_timeout(&f->ctx, 300);
    assert_int_equal(open_in(f, HANGS_AT_VERSION), -ERR_TIMEOUT);
    assert_non_null(strstr(f->err.hint, "doesn't answer"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_no_buildkit),      CASE(test_podman),           CASE(test_connection_drops),
        CASE(test_hangs_at_version), CASE(test_hangs_at_upgrade), CASE(test_hangs_after_upgrade),
        CASE(test_deadline),
    };
    signal(SIGPIPE, SIG_IGN);
    int r = cmocka_run_group_tests_name("build_open", tests, NULL, NULL);
    rpc_shutdown();
    return r;
}
