#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/ctx.h"
#include "context/context.h"
#include "context/tree.h"
#include "crypto/crypto.h"
#include "receiver.h"

struct fixture {
    struct arena *a;
    char *dir;
    struct ctx ctx;
    struct bk_source src;
    struct receiver *r;
    struct bk_sync_result result;
    struct err err;
};

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->dir = tree_new(f->a);
    f->ctx = (struct ctx){.arena = f->a, .cancel = cancel_new(NULL)};
    f->src = (struct bk_source){.name = "context", .dir = f->dir};
    f->r = receiver_new();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tree_remove(f->dir);
    receiver_free(f->r);
    cancel_unref(f->ctx.cancel);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int sync_it(struct fixture *f, const struct context_filter *filter) {
    static const struct context_filter all = {0};
    struct bk_link link = receiver_link(f->r);
    return bk_sync_send(&f->ctx, &f->src, filter ? filter : &all, &link, &f->result, &f->err);
}

static void expect_ok(struct fixture *f, const struct context_filter *filter) {
    if (sync_it(f, filter) < 0) fail_msg("%s", err_text(&f->err));
    assert_true(f->r->fin);
    assert_null(f->r->error);
}

static void expect_failure(struct fixture *f, const struct context_filter *filter, int code, const char *words) {
    assert_int_equal(sync_it(f, filter), -code);
    if (!strstr(err_text(&f->err), words)) fail_msg("\"%s\" lacks \"%s\"", err_text(&f->err), words);
    assert_false(f->r->fin);
    assert_non_null(f->r->error);
}

static struct got *get(struct fixture *f, const char *path) {
    for (size_t i = 0; i < f->r->n; i++)
        if (strcmp(f->r->v[i].path, path) == 0) return &f->r->v[i];
    return NULL;
}

static const char *paths(struct fixture *f) {
    struct buf b = {0};
    for (size_t i = 0; i < f->r->n; i++) buf_addf(&b, "%s%s", i ? " " : "", f->r->v[i].path);
    const char *s = arena_strdup(f->a, buf_str(&b));
    buf_done(&b);
    return s;
}

static void test_modes(void **state) {
    (void) state;
    assert_int_equal(bk_go_mode(S_IFREG | 0644), 0644);
    assert_int_equal(bk_go_mode(S_IFDIR | 0755), 1u << 31 | 0755);
    assert_int_equal(bk_go_mode(S_IFDIR | S_ISVTX | 0777), 1u << 31 | 1u << 20 | 0777);
    assert_int_equal(bk_go_mode(S_IFLNK | 0777), 1u << 27 | 0777);
    assert_int_equal(bk_go_mode(S_IFREG | S_ISUID | S_ISGID | 0755), 1u << 23 | 1u << 22 | 0755);
    assert_int_equal(bk_go_mode(S_IFIFO | 0600), 1u << 25 | 0600);
    assert_int_equal(bk_go_mode(S_IFSOCK | 0600), 0600);
    assert_int_equal(bk_go_mode(S_IFBLK | 0600), 1u << 26 | 0600);
    assert_int_equal(bk_go_mode(S_IFCHR | 0600), 1u << 26 | 1u << 21 | 0600);
}

static void make_tree(struct fixture *f) {
    tree_file(f->a, f->dir, "a/one.txt", "one");
    tree_write(f->a, f->dir, "a/run.sh", "#!", 2, 0755);
    tree_file(f->a, f->dir, "b.txt", "");
    tree_dir(f->a, f->dir, "empty");
    tree_link(f->a, f->dir, "lnk", "a/one.txt");
    tree_link(f->a, f->dir, "out", "/etc/passwd");
    assert_int_equal(link(fs_join(f->a, f->dir, "a/one.txt"), fs_join(f->a, f->dir, "z-hard")), 0);
}

static void test_tree(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    expect_ok(f, NULL);
    assert_string_equal(paths(f), "a a/one.txt a/run.sh b.txt empty lnk out z-hard");
    assert_int_equal(get(f, "a")->mode, 1u << 31 | 0755);
    assert_int_equal(get(f, "a/run.sh")->mode, 0755);
    assert_string_equal(buf_str(&get(f, "a/one.txt")->data), "one");
    assert_true(get(f, "b.txt")->done);
    assert_string_equal(get(f, "lnk")->link, "a/one.txt");
    assert_string_equal(get(f, "out")->link, "/etc/passwd");
    assert_string_equal(get(f, "z-hard")->link, "a/one.txt");
    assert_int_equal(get(f, "z-hard")->size, 3);
    for (size_t i = 0; i < f->r->n; i++) assert_int_equal(f->r->v[i].uid | f->r->v[i].gid, 0);
}

static void test_result(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    expect_ok(f, NULL);
    assert_int_equal(f->result.n_files, 5); /* of hard links the first only, no symbolic ones */
    assert_int_equal(f->result.bytes, 5);
    unsigned char want[SHA256_LEN];
    sha256_once("one", 3, want);
    assert_string_equal(f->result.files[0].path, "a");
    assert_true(f->result.files[0].is_dir);
    assert_int_equal(f->result.files[0].mode, 0755);
    const struct bk_synced *one = &f->result.files[1];
    assert_string_equal(one->path, "a/one.txt");
    assert_memory_equal(one->sha256, want, sizeof want);
    struct stat st;
    assert_int_equal(stat(fs_join(f->a, f->dir, "a/one.txt"), &st), 0);
    assert_int_equal(one->mtime_ns, (int64_t) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    assert_int_equal(one->ino, st.st_ino);
}

static bool leave_all(struct receiver *r, const struct got *g) {
    (void) r, (void) g;
    return true;
}

static void test_nothing_asked(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    f->r->leave = leave_all;
    expect_ok(f, NULL);
    assert_int_equal(f->result.bytes, 0);
    assert_null(f->result.files[1].sha256);
}

static void test_big_file_in_small_messages(void **state) {
    struct fixture *f = *state;
    size_t len = 5 * 1024 * 1024 + 17;
    char *data = arena_alloc(f->a, len);
    for (size_t i = 0; i < len; i++) data[i] = (char) (i * 7 + i / 251);
    tree_write(f->a, f->dir, "big", data, len, 0600);
    expect_ok(f, NULL);
    assert_int_equal(get(f, "big")->data.len, len);
    assert_memory_equal(get(f, "big")->data.data, data, len);
    assert_true(f->r->largest < 512 * 1024);
}

static void test_asked_during_the_listing(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++) tree_file(f->a, f->dir, arena_printf(f->a, "d%d/f%d", i % 10, i), arena_printf(f->a, "%d", i));
    f->r->eager = true;
    expect_ok(f, NULL);
    assert_int_equal(f->r->n, 1010);
    assert_string_equal(buf_str(&get(f, "d7/f777")->data), "777");
}

static void test_filters(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    tree_file(f->a, f->dir, ".dockerignore", "b.txt\n");
    const char *const exclude[] = {"b.txt"}, *const own[] = {"empty", ".dockerignore"};
    f->src.ignore = own;
    f->src.n_ignore = 2;
    expect_ok(f, &(struct context_filter){.exclude = exclude, .n_exclude = 1});
    assert_string_equal(paths(f), "a a/one.txt a/run.sh lnk out z-hard");
}

static void test_ignore_file_alone(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, ".dockerignore", "*\n");
    const char *const follow[] = {".dockerignore"}, *const own[] = {".*"};
    f->src.ignore = own;
    f->src.n_ignore = 1;
    expect_ok(f, &(struct context_filter){.follow = follow, .n_follow = 1});
    assert_string_equal(paths(f), ".dockerignore");
}

static void test_only(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    const char *const only[] = {"b.txt"};
    f->src.only = only;
    f->src.n_only = 1;
    expect_ok(f, NULL);
    assert_string_equal(paths(f), "b.txt");
}

/* Docker's client sends such a file without its content. */
static void test_kept_but_not_opened(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a/b", "content");
    const char *const exclude[] = {"a", "!a/b", "a"};
    expect_ok(f, &(struct context_filter){.exclude = exclude, .n_exclude = 3});
    struct got *g = get(f, "a/b");
    if (!g) return; /* the filter may drop it altogether */
    assert_int_equal(g->data.len, 0);
}

static void test_sockets(void **state) {
    struct fixture *f = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", f->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &addr, sizeof addr), 0);
    expect_ok(f, NULL);
    close(fd);
    assert_int_equal(get(f, "s")->mode & ~0777u, 0);
    assert_true(get(f, "s")->done);
}

/* ---- A daemon that asks for what it must not have ---- */

static void ask_for_dir(struct receiver *r) { receiver_packet(r, REQ, 0, NULL); }
static void ask_far(struct receiver *r) { receiver_packet(r, REQ, 4000000000u, NULL); }
static void ask_twice(struct receiver *r) {
    r->v[1].asked = true;
    receiver_packet(r, REQ, 1, NULL);
    receiver_packet(r, REQ, 1, NULL);
    r->left += 2;
}
static void say_stat(struct receiver *r) { receiver_packet(r, STAT, 0, NULL); }
static void say_error(struct receiver *r) { receiver_packet(r, ERR, 0, "disk \033[1mfull"); }
static void hang_up(struct receiver *r) {
    r->eof = true;
    pthread_cond_broadcast(&r->cond);
}
static void say_rubbish(struct receiver *r) {
    buf_add(&r->queue[r->tail++], "\xff\xff\xff", 3);
    pthread_cond_broadcast(&r->cond);
}

static void test_bad_peers(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    static const struct {
        void (*at_end)(struct receiver *r);
        int code;
        const char *words;
    } cases[] = {
        {ask_for_dir, ERR_PROTOCOL, "no regular file"}, {ask_far, ERR_PROTOCOL, "asked for file 4000000000"},
        {ask_twice, ERR_PROTOCOL, "asked twice"},       {say_stat, ERR_PROTOCOL, "packet of type 0"},
        {say_error, ERR_FAILED, "disk full"},           {hang_up, ERR_PROTOCOL, "ended the file sync early"},
        {say_rubbish, ERR_PROTOCOL, "broken"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        receiver_free(f->r);
        f->r = receiver_new();
        f->r->at_end = cases[i].at_end;
        f->r->leave = leave_all;
        f->r->left = 1; /* no FIN of its own */
        expect_failure(f, NULL, cases[i].code, cases[i].words);
    }
}

/* ---- A context that changes meanwhile ---- */

static void rewrite(struct receiver *r) {
    struct fixture *f = r->arg;
    tree_file(f->a, f->dir, "a/one.txt", "uno");
}
static void vanish(struct receiver *r) {
    struct fixture *f = r->arg;
    unlink(fs_join(f->a, f->dir, "a/one.txt"));
}
static void file_to_link(struct receiver *r) {
    vanish(r);
    struct fixture *f = r->arg;
    tree_link(f->a, f->dir, "a/one.txt", "/etc/passwd");
}
static void dir_to_link(struct receiver *r) {
    struct fixture *f = r->arg;
    tree_file(f->a, f->dir, "other/one.txt", "two");
    rename(fs_join(f->a, f->dir, "a"), fs_join(f->a, f->dir, "moved"));
    tree_link(f->a, f->dir, "a", "other");
}
static void file_to_fifo(struct receiver *r) {
    vanish(r);
    struct fixture *f = r->arg;
    mkfifo(fs_join(f->a, f->dir, "a/one.txt"), 0600);
}

static void test_changes(void **state) {
    struct fixture *f = *state;
    void (*const cases[])(struct receiver *) = {rewrite, vanish, file_to_link, dir_to_link, file_to_fifo};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        tree_remove(f->dir);
        mkdir(f->dir, 0700);
        tree_file(f->a, f->dir, "a/one.txt", "one");
        receiver_free(f->r);
        f->r = receiver_new();
        f->r->at_end = cases[i];
        f->r->arg = f;
        assert_true(sync_it(f, NULL) < 0);
        assert_non_null(f->r->error);
        assert_null(f->r->v[1].data.data);
        assert_non_null(strstr(err_text(&f->err), "one.txt"));
    }
}

static void cancel_it(struct receiver *r) {
    struct fixture *f = r->arg;
    cancel_request(f->ctx.cancel);
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    make_tree(f);
    f->r->leave = leave_all;
    f->r->left = 1;
    f->r->at_end = cancel_it;
    f->r->arg = f;
    assert_int_equal(sync_it(f, NULL), -ERR_CANCELLED);
}

static void test_no_folder(void **state) {
    struct fixture *f = *state;
    f->src.dir = "/nonexistent/gpudev";
    expect_failure(f, NULL, ERR_NOT_FOUND, "/nonexistent/gpudev");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_result, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_big_file_in_small_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked_during_the_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignore_file_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_but_not_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
    };
    return cmocka_run_group_tests_name("buildkit_filesync", tests, NULL, NULL);
}
