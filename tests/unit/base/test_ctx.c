#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

static void *cancel_later(void *arg) {
    struct ctx ctx = {0};
    ctx_sleep(&ctx, 20, NULL);
    cancel_request(arg);
    return NULL;
}

static void test_cancel_ends_a_sleep(void **state) {
    (void) state;
    struct cancel *parent = cancel_new(NULL), *child = cancel_new(parent);
    struct ctx ctx = {.cancel = child};
    pthread_t t;
    pthread_create(&t, NULL, cancel_later, parent);
    AUTO_ERR struct err err = {0};
    assert_int_equal(ctx_sleep(&ctx, 60000, &err), -ERR_CANCELLED);
    assert_int_equal(err.code, ERR_CANCELLED);
    pthread_join(t, NULL);
    cancel_unref(child);
    cancel_unref(parent);
}

static void test_deadline_ends_a_sleep(void **state) {
    (void) state;
    struct ctx base = {0}, ctx = ctx_with_timeout(&base, 10);
    AUTO_ERR struct err err = {0};
    assert_int_equal(ctx_sleep(&ctx, 60000, &err), -ERR_TIMEOUT);
    assert_int_equal(ctx_sleep(&base, 1, &err), 0);
}

static void count(void *arg) { ++*(int *) arg; }

static void test_hooks(void **state) {
    (void) state;
    struct cancel *c = cancel_new(NULL);
    int a = 0, b = 0, late = 0;
    uint64_t id = cancel_on(c, count, &a);
    cancel_on(c, count, &b);
    cancel_off(c, id);
    cancel_request(c);
    cancel_request(c);
    cancel_on(c, count, &late);
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
    assert_int_equal(late, 1);
    cancel_unref(c);
}

static void test_errors(void **state) {
    (void) state;
    AUTO_ERR struct err err = {0};
    assert_int_equal(err_errno(&err, ENOENT, "cannot open %s", "x"), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&err), "cannot open x: No such file or directory");
    err_hint(&err, "make it");
    assert_int_equal(err_wrap(&err, "plan"), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&err), "plan: cannot open x: No such file or directory");
    assert_string_equal(err.hint, "make it");
    err_set(&err, ERR_INVALID, "again: %s", err_text(&err));
    assert_null(err.hint);
    struct err other = {0};
    err_move(&other, &err);
    assert_null(err.message);
    err_done(&other);
}

static void test_secrets(void **state) {
    (void) state;
    AUTO_SECRET struct secret *a = secret_new("hunter2", 7), *b = secret_take(mem_strdup("hunter2")), *c = secret_new("hunter3", 7);
    assert_true(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    assert_string_equal(secret_print(a), "***");
    assert_string_equal(secret_bytes(NULL), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_ends_a_sleep), cmocka_unit_test(test_deadline_ends_a_sleep), cmocka_unit_test(test_hooks),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
