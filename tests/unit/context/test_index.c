/* The index saves reading; it must never be believed too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "context/digests.h"
#include "context/index.h"
#include "context/snapshot.h"
#include "tree.h"

struct fixture {
    struct arena *a;
    char *dir;
    struct ctx ctx;
    int64_t now; /* what the index takes for the time; 0: the clock's */
};

static const char *const key[] = {"a key", NULL};

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->dir = tree_new(f->a);
    f->ctx = (struct ctx){.arena = f->a};
    setenv("XDG_CACHE_HOME", fs_join(f->a, f->dir, "cache"), 1);
    tree_file(f->a, f->dir, "c/a", "one");
    tree_file(f->a, f->dir, "c/b/x", "two");
    tree_file(f->a, f->dir, "c/b-", "three");
    tree_link(f->a, f->dir, "c/l", "a");
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

/* Later than anything that the test wrote: what is saved now is trusted next time. */
static int64_t later(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ((int64_t) ts.tv_sec + 60) * 1000000000;
}

struct outcome {
    size_t vouched, all;
    unsigned char digest[SHA256_LEN]; /* of c/a */
};

/* One plan's worth: how many entries the index vouched for, and the digest of a. */
static struct outcome run(struct fixture *f, const char *const *with) {
    struct outcome o = {0};
    struct snap s;
    struct index *ix = index_open(&f->ctx, with);
    if (f->now) index_set_time(ix, f->now);
    assert_int_equal(snap_open(&s, &f->ctx, fs_join(f->a, f->dir, "c"), NULL, NULL), 0);
    assert_int_equal(snap_load_all(&s, &s.root, NULL), 0);
    for (struct snap_node *n = NULL; (n = snap_next(&s.root, n));) n->counted = true;
    index_vouch(ix, &s);
    for (struct snap_node *n = NULL; (n = snap_next(&s.root, n));) {
        o.all += n->parent != NULL;
        o.vouched += n->hashed;
    }
    assert_int_equal(digests_fill(&s, ix, NULL), 0);
    memcpy(o.digest, snap_child(&s.root, "a", 1)->digest, SHA256_LEN);
    snap_done(&s);
    index_free(ix);
    return o;
}

static void test_vouches(void **state) {
    struct fixture *f = *state;
    f->now = later();
    assert_int_equal(run(f, key).vouched, 0);
    struct outcome second = run(f, key);
    assert_int_equal(second.all, 5);
    assert_int_equal(second.vouched, 5);
    const char *const other[] = {"another", NULL};
    assert_int_equal(run(f, other).vouched, 0);
}

/* Each part of the stat counts. */
static void test_changes(void **state) {
    struct fixture *f = *state;
    f->now = later();
    const char *a = tree_path(f->a, f->dir, "c/a");
    struct outcome before = run(f, key), after;
    struct stat st;
    assert_int_equal(stat(a, &st), 0);

    int fd = open(a, O_WRONLY); /* the same size, and the mtime put back */
    assert_int_equal(write(fd, "ONE", 3), 3);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    f->now = later();
    after = run(f, key);
    assert_int_equal(after.vouched, 4);
    assert_memory_not_equal(before.digest, after.digest, SHA256_LEN);
    assert_int_equal(run(f, key).vouched, 5);

    assert_int_equal(chmod(a, 0600), 0);
    f->now = later();
    assert_int_equal(run(f, key).vouched, 4);

    tree_file(f->a, f->dir, "c/new", "x"); /* another file of that name: another inode */
    assert_int_equal(rename(fs_join(f->a, f->dir, "c/new"), a), 0);
    f->now = later();
    assert_int_equal(run(f, key).vouched, 4);

    tree_file(f->a, f->dir, "c/b/y", "x");
    assert_int_equal(unlink(fs_join(f->a, f->dir, "c/b-")), 0);
    f->now = later();
    assert_int_equal(run(f, key).vouched, 3); /* a, b/x and l; not b itself, whose ctime is new */
}

/* What was changed within the clock's granularity of the index's own time is read again. */
static void test_racy(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, key).vouched, 0);
    assert_int_equal(run(f, key).vouched, 0);
    f->now = later();
    assert_int_equal(run(f, key).vouched, 0); /* the file still has the old time */
    assert_int_equal(run(f, key).vouched, 5);
    f->now = 1; /* the clock jumps back by decades: all is in its future */
    tree_file(f->a, f->dir, "c/new", "");
    assert_int_equal(run(f, key).vouched, 5);
    assert_int_equal(run(f, key).vouched, 0);
}

/* On a file system with whole seconds the margin is wider. */
static void test_coarse(void **state) {
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(tree_path(f->a, f->dir, "c/a"), &st), 0);
    if (st.st_ctim.tv_nsec == 0) skip();
    struct timespec whole[2] = {{.tv_sec = st.st_mtim.tv_sec + 30}, {.tv_sec = st.st_mtim.tv_sec + 30}};
    assert_int_equal(utimensat(AT_FDCWD, tree_path(f->a, f->dir, "c/a"), whole, 0), 0);
    f->now = (int64_t) whole[1].tv_sec * 1000000000 + 40000000; /* 40 ms after its mtime: too near even for nanoseconds */
    run(f, key);
    assert_int_equal(run(f, key).vouched, 4);
    f->now += 20000000;
    run(f, key);
    assert_int_equal(run(f, key).vouched, 5);
}

static void spoil(struct fixture *f, const char *path, size_t at) {
    char *data;
    size_t len;
    assert_int_equal(fs_read(f->a, path, 1 << 20, &data, &len, NULL), 0);
    data[at < len ? at : len - 1] ^= 0x40;
    assert_int_equal(fs_write_atomic(path, data, len, 0600, NULL), 0);
}

static void test_damage(void **state) {
    struct fixture *f = *state;
    f->now = later();
    struct outcome good = run(f, key);
    struct index *ix = index_open(&f->ctx, key);
    const char *path = arena_strdup(f->a, index_path(ix));
    index_free(ix);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (size_t at = 0; at < (size_t) st.st_size; at++) { /* any byte */
        if (at >= 40 && at < 48) continue;                /* its time: a matter of trust in the clock, not of damage */
        spoil(f, path, at);
        struct outcome o = run(f, key);
        assert_int_equal(o.vouched, 0);
        assert_memory_equal(o.digest, good.digest, SHA256_LEN);
        assert_int_equal(run(f, key).vouched, 5);
    }
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    assert_int_equal(run(f, key).vouched, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* can't be read, can't be replaced */
    assert_int_equal(run(f, key).vouched, 0);
    assert_memory_equal(run(f, key).digest, good.digest, SHA256_LEN);
}

/* Somebody else writes: nothing waits, nothing fails. */
static void test_lock(void **state) {
    struct fixture *f = *state;
    f->now = later();
    struct index *ix = index_open(&f->ctx, key);
    const char *lock = arena_printf(f->a, "%s.lock", index_path(ix));
    index_free(ix);
    tree_file(f->a, "/", lock, "");
    int fd = open(lock, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    run(f, key);
    assert_int_equal(run(f, key).vouched, 0);
    close(fd);
    run(f, key);
    assert_int_equal(run(f, key).vouched, 5);
}

int main(void) {
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_vouches), CASE(test_changes), CASE(test_racy), CASE(test_coarse), CASE(test_damage), CASE(test_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
