/* What the daemon keeps is played here: kept_synced is told what was sent, as the session would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/xattr.h>

#include "base/ctx.h"
#include "base/str.h"
#include "build/kept.h"
#include "buildkit/filesync.h"
#include "context/context.h"
#include "context/xattr.h"
#include "context/tree.h"
#include "crypto/crypto.h"

struct fixture {
    struct arena *a;
    struct ctx ctx;
    char *dir, *cache;
    struct bk_source source;
    struct kept_options opt;
};

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->ctx = (struct ctx){.arena = f->a};
    f->dir = tree_new(f->a);
    f->cache = tree_new(f->a);
    f->source = (struct bk_source){.name = "context", .dir = f->dir};
    f->opt = (struct kept_options){.builder = "b",
                                   .context = f->dir,
                                   .dockerfile = "/d/Dockerfile",
                                   .sources = &f->source,
                                   .n_sources = 1,
                                   .cache_dir = f->cache};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tree_remove(f->dir);
    tree_remove(f->cache);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

/* Announces an entry; a file's bytes are sent or not. */
static struct bk_synced announce(struct fixture *f, const char *path, bool sent) {
    const char *full = fs_join(f->a, f->dir, path);
    struct stat st;
    assert_int_equal(stat(full, &st), 0);
    struct xattrs x = {0};
    int dir = open(f->dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(xattrs_read(f->a, dir, path, &x, NULL), 0);
    close(dir);
    struct bk_synced s = {
        .path = path,
        .is_dir = S_ISDIR(st.st_mode),
        .mode = st.st_mode & 07777,
        .xattrs = bk_xattr_digest(x.v, x.lens, x.n),
        .mtime_ns = (int64_t) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .ctime_ns = (int64_t) st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
        .ino = (uint64_t) st.st_ino,
        .read_ms = clock_system.wall(clock_system.self),
    };
    if (s.is_dir) return s;
    char *text;
    size_t len;
    assert_int_equal(fs_read(f->a, full, 1 << 20, &text, &len, NULL), 0);
    unsigned char digest[SHA256_LEN];
    sha256_once(text, len, digest);
    s.size = len;
    if (sent) s.sha256 = arena_dup(f->a, digest, sizeof digest);
    return s;
}

static void sync_file(struct fixture *f, struct kept *k, const char *path, bool sent) {
    static const struct context_filter all = {0};
    struct bk_synced s = announce(f, path, sent);
    kept_synced(k, &f->source, &all, NULL);
    kept_synced(k, &f->source, &all, &(struct bk_sync_result){.files = &s, .n_files = 1});
}

/* One build that sends (or only announces) a file; returns its key. */
static const char *build(struct fixture *f, const char *path, bool sent) {
    struct kept *k = kept_open(&f->ctx, &f->opt);
    const char *key = arena_strdup(f->a, kept_key(k));
    sync_file(f, k, path, sent);
    assert_null(kept_stale(k));
    kept_close(k);
    return key;
}

static void put(struct fixture *f, const char *path, const char *text) {
    const struct timespec at[2] = {{1500000000, 5}, {1500000000, 5}};
    tree_file(f->a, f->dir, path, text);
    assert_int_equal(utimensat(AT_FDCWD, fs_join(f->a, f->dir, path), at, 0), 0);
}

static void test_stable(void **state) {
    struct fixture *f = *state;
    put(f, "a file\nwith %25 in it", "one");
    const char *key = build(f, "a file\nwith %25 in it", true);
    assert_string_equal(build(f, "a file\nwith %25 in it", false), key);
    assert_string_equal(build(f, "a file\nwith %25 in it", false), key);
    tree_file(f->a, f->dir, "a file\nwith %25 in it", "a usual edit");
    assert_string_equal(build(f, "a file\nwith %25 in it", true), key);
}

static void test_rewritten_behind_its_stat(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    put(f, "a", "one"); /* the same bytes again */
    assert_string_equal(build(f, "a", false), key);
    put(f, "a", "two");
    const char *other = build(f, "a", true);
    assert_string_not_equal(other, key);
    assert_string_equal(build(f, "a", false), other);
    put(f, "a", "one"); /* and back */
    assert_string_not_equal(build(f, "a", true), other);
}

static void test_a_folders_mode(void **state) {
    struct fixture *f = *state;
    tree_dir(f->a, f->dir, "d");
    const char *path = fs_join(f->a, f->dir, "d"), *key = build(f, "d", false);
    tree_file(f->a, f->dir, "d/new", "");
    assert_string_equal(build(f, "d", false), key);
    assert_int_equal(chmod(path, 0700), 0);
    const char *other = build(f, "d", false);
    assert_string_not_equal(other, key);
    assert_string_equal(build(f, "d", false), other);
}

/* The daemon asks for a file whose mode differs. */
static void test_a_files_mode(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    assert_int_equal(chmod(fs_join(f->a, f->dir, "a"), 0600), 0);
    assert_string_equal(build(f, "a", true), key);
}

static void test_attributes(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *path = fs_join(f->a, f->dir, "a");
    if (setxattr(path, "user.x", "1", 1, 0) < 0) skip();
    const char *key = build(f, "a", true);
    assert_string_equal(build(f, "a", false), key);
    assert_int_equal(setxattr(path, "user.x", "2", 1, 0), 0);
    assert_string_not_equal(build(f, "a", true), key);
}

/* Not asked for, and never sent under this record: nothing vouches for what the daemon has. */
static void test_unknown_content(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *key = build(f, "a", false);
    put(f, "a", "one");
    assert_string_not_equal(build(f, "a", true), key);
}

static void test_changed_between_look_and_listing(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    build(f, "a", true);
    struct kept *k = kept_open(&f->ctx, &f->opt);
    const char *key = arena_strdup(f->a, kept_key(k));
    put(f, "a", "two");
    sync_file(f, k, "a", false);
    assert_string_equal(kept_stale(k), "a");
    kept_close(k);
    assert_string_not_equal(build(f, "a", true), key);
}

static void test_a_build_that_dies(void **state) {
    struct fixture *f = *state;
    static const struct context_filter all = {0};
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    struct kept *k = kept_open(&f->ctx, &f->opt);
    assert_string_equal(kept_key(k), key);
    kept_synced(k, &f->source, &all, NULL); /* begins, never ends */
    kept_close(k);
    assert_string_not_equal(build(f, "a", true), key);
}

static void test_no_sync_at_all(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    kept_close(kept_open(&f->ctx, &f->opt));
    assert_string_equal(build(f, "a", false), key);
}

static void test_two_at_once(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    struct kept *k1 = kept_open(&f->ctx, &f->opt), *k2 = kept_open(&f->ctx, &f->opt);
    assert_string_not_equal(kept_key(k1), kept_key(k2));
    const char *first = arena_strdup(f->a, kept_key(k1)), *second = arena_strdup(f->a, kept_key(k2));
    sync_file(f, k1, "a", true);
    sync_file(f, k2, "a", true);
    kept_close(k1);
    kept_close(k2);
    k1 = kept_open(&f->ctx, &f->opt);
    k2 = kept_open(&f->ctx, &f->opt);
    assert_string_equal(kept_key(k1), first);
    assert_string_equal(kept_key(k2), second);
    kept_close(k1);
    kept_close(k2);
}

static void test_identity(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    struct kept_options same = f->opt;
    f->opt.target = "t";
    assert_string_not_equal(build(f, "a", true), key);
    f->opt = same;
    f->opt.dockerfile = "/d/Other";
    assert_string_not_equal(build(f, "a", true), key);
    f->opt = same;
    f->opt.builder = "another engine";
    assert_string_not_equal(build(f, "a", true), key);
    f->opt = same;
    assert_string_equal(build(f, "a", false), key);
}

static const char *record_of(struct fixture *f) {
    char *list = fs_join(f->a, f->cache, "kept"), *found = NULL;
    DIR *d = opendir(list);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (*e->d_name != '.' && !str_ends(e->d_name, ".lock")) found = fs_join(f->a, list, e->d_name);
    closedir(d);
    return found;
}

static void test_damaged_records(void **state) {
    struct fixture *f = *state;
    static const char *const texts[] = {"",
                                        "gpudev-kept 2\n",
                                        "gpudev-kept 2\nname x\nsection\nend\n",
                                        "gpudev-kept 2\nname x\n1 2 3\nend\n",
                                        "gpudev-kept 1\nname x\nend\n",
                                        "gpudev-kept 2\nname x\nsection s c\nx 644 0 1 2 3 4 5 - a\nend\n",
                                        "gpudev-kept 2\nname x\nsection s c\n1 2 3 4 5 - a"};
    put(f, "a", "one");
    const char *key = build(f, "a", true);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *record = record_of(f);
        assert_non_null(record);
        assert_int_equal(fs_write_atomic(record, texts[i], strlen(texts[i]), 0600, NULL), 0);
        const char *next = build(f, "a", true);
        assert_string_not_equal(next, key);
        assert_string_equal(build(f, "a", false), next);
    }
}

static void test_no_cache(void **state) {
    struct fixture *f = *state;
    put(f, "a", "one");
    f->opt.cache_dir = "/proc/nowhere";
    assert_string_not_equal(build(f, "a", true), build(f, "a", true));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_stable),
        CASE(test_rewritten_behind_its_stat),
        CASE(test_a_folders_mode),
        CASE(test_a_files_mode),
        CASE(test_attributes),
        CASE(test_unknown_content),
        CASE(test_changed_between_look_and_listing),
        CASE(test_a_build_that_dies),
        CASE(test_no_sync_at_all),
        CASE(test_two_at_once),
        CASE(test_identity),
        CASE(test_damaged_records),
        CASE(test_no_cache),
    };
    return cmocka_run_group_tests_name("build_kept", tests, NULL, NULL);
}
