#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/xattr.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "context/follow.h"
#include "tree.h"

struct fixture {
    struct arena *a;
    char *dir;
    struct ctx ctx;
};

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->dir = tree_new(f->a);
    f->ctx = (struct ctx){.arena = f->a};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tree_remove(f->dir);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int note(void *arg, const struct context_entry *e, struct err *err) {
    (void) err;
    struct buf *b = arg;
    if (b->len) buf_addc(b, ' ');
    buf_adds(b, e->path);
    if (S_ISDIR(e->mode)) buf_addc(b, '/');
    if (e->link) buf_addf(b, ">%s", e->link);
    if (!e->opens) buf_addc(b, '-');
    for (size_t i = 0; i < e->n_xattrs; i++) buf_addf(b, "{%s=%.*s}", e->xattrs[i].key, (int) e->xattr_lens[i], e->xattrs[i].value);
    return 0;
}

static void expect(struct fixture *f, const struct context_filter *filter, const char *want) {
    AUTO_BUF struct buf got = {0};
    AUTO_ERR struct err err = {0};
    int r = context_walk(&f->ctx, f->dir, filter, note, &got, &err);
    if (r < 0) fail_msg("%s", err_text(&err));
    assert_string_equal(buf_str(&got), want);
}

#define LIST(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
static struct context_filter excluding(const char *const *list, size_t n) {
    return (struct context_filter){.exclude = list, .n_exclude = n};
}
static struct context_filter following(const char *const *list, size_t n) {
    return (struct context_filter){.follow = list, .n_follow = n};
}

static void test_order(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a/b", "");
    tree_file(f->a, f->dir, "a-", "");
    tree_file(f->a, f->dir, "a.b/c", "");
    tree_file(f->a, f->dir, "B", "");
    tree_link(f->a, f->dir, "l", "nowhere");
    expect(f, NULL, "B a/ a/b a- a.b/ a.b/c l>nowhere");
}

static void test_exclude(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a/b/c", "");
    tree_file(f->a, f->dir, "a/d", "");
    tree_dir(f->a, f->dir, "e");
    tree_file(f->a, f->dir, "n/x/y", "");
    struct context_filter all = excluding(LIST("a", "!a/b/c", "n"));
    expect(f, &all, "a/ a/b/ a/b/c e/");
    struct context_filter go = excluding(LIST("*", "!**/c"));
    expect(f, &go, "a/ a/b/ a/b/c");
    struct context_filter wart = excluding(LIST("a", "!a/d", "a"));
    expect(f, &wart, "a/ a/d- e/ n/ n/x/ n/x/y");
}

/* Ignored folders aren't even opened. */
static void test_unreadable(void **state) {
    struct fixture *f = *state;
    tree_dir(f->a, f->dir, "locked");
    tree_file(f->a, f->dir, "x", "");
    chmod(fs_join(f->a, f->dir, "locked"), 0);
    chmod(f->dir, 0755);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf got = {0};
    int r = context_walk(&f->ctx, f->dir, NULL, note, &got, &err);
    assert_true(r < 0);
    assert_non_null(strstr(err_text(&err), "locked"));
    struct context_filter pruned = excluding(LIST("locked")), passed = excluding(LIST("locked", "!locked/*x"));
    expect(f, &pruned, "x");
    expect(f, &passed, "x");
    if (root) assert_int_equal(seteuid(0), 0);
}

static void test_follow(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "real/sub/one", "");
    tree_file(f->a, f->dir, "real/two", "");
    tree_link(f->a, f->dir, "lnk", "real");
    tree_link(f->a, f->dir, "real/abs", "/other");
    tree_link(f->a, f->dir, "up", "../../../other");
    tree_link(f->a, f->dir, "loop", "loop");
    tree_file(f->a, f->dir, "other", "");
    struct context_filter one = following(LIST("lnk/sub/one")), twice = following(LIST("lnk/sub/one", "lnk/two"));
    expect(f, &one, "lnk>real real/ real/sub/ real/sub/one");
    expect(f, &twice, "lnk>real real/ real/sub/ real/sub/one");
    struct context_filter up = following(LIST("up")), absolute = following(LIST("real/abs")), loop = following(LIST("loop/x"));
    expect(f, &up, "other up>../../../other");
    expect(f, &absolute, "other real/ real/abs>/other");
    expect(f, &loop, "loop>loop");
    struct context_filter glob = following(LIST("l*k/two")), root = following(LIST("real", "."));
    expect(f, &glob, "lnk>real real/ real/two");
    expect(f, &root, "lnk>real loop>loop other real/ real/abs>/other real/sub/ real/sub/one real/two up>../../../other");
}

static void test_xattrs(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "x", "");
    const char *path = fs_join(f->a, f->dir, "x");
    if (setxattr(path, "user.b", "2", 1, 0) < 0) skip();
    setxattr(path, "user.a", "one", 3, 0);
    expect(f, NULL, "x{user.a=one}{user.b=2}");
}

static void test_bad(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "x5", "");
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf got = {0};
    struct context_filter bad = excluding(LIST("x\\y"));
    assert_true(context_walk(&f->ctx, f->dir, &bad, note, &got, &err) < 0);
    assert_true(context_walk(&f->ctx, fs_join(f->a, f->dir, "x5"), NULL, note, &got, &err) < 0);
    assert_non_null(strstr(err_text(&err), "not a folder"));
    assert_int_equal(context_walk(&f->ctx, fs_join(f->a, f->dir, "none"), NULL, note, &got, &err), -ERR_NOT_FOUND);
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "x", "");
    struct cancel *c = cancel_new(NULL);
    cancel_request(c);
    f->ctx.cancel = c;
    AUTO_BUF struct buf got = {0};
    assert_int_equal(context_walk(&f->ctx, f->dir, NULL, note, &got, NULL), -ERR_CANCELLED);
    cancel_unref(c);
}

int main(void) {
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_order),  CASE(test_exclude), CASE(test_unreadable), CASE(test_follow),
        CASE(test_xattrs), CASE(test_bad),     CASE(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
