/* tests/fixtures/context: what BuildKit's own frontend, transfer and content hash say of each case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <string.h>
#include <sys/time.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "tree.h"
#include "json/json.h"

struct vector {
    struct arena *a;
    const struct json *j;
    const char *top, *dir; /* the context is in a folder of its own, for "../x" */
    struct context_input in;
    struct ctx ctx;
};

static mode_t mode_of(const struct json *entry, mode_t absent) {
    const char *text = json_get_str(entry, "mode");
    return text ? (mode_t) strtoul(text, NULL, 8) : absent;
}

static void make_entry(struct vector *v, const char *path, const struct json *e) {
    char *full = tree_path(v->a, v->dir, path);
    const char *content = json_get_str(e, "content"), *link = json_get_str(e, "link"), *hard = json_get_str(e, "hardlink");
    if (content)
        tree_write(v->a, v->dir, path, content, strlen(content), mode_of(e, 0644));
    else if (link)
        tree_link(v->a, v->dir, path, link);
    else if (hard)
        assert_int_equal(linkat(AT_FDCWD, fs_join(v->a, v->dir, hard), AT_FDCWD, full, 0), 0);
    else if (json_true(json_get(e, "fifo")))
        assert_int_equal(mkfifo(full, mode_of(e, 0644)), 0);
    else
        tree_dir(v->a, v->dir, path);
}

static void make(struct vector *v) {
    const struct json *files = json_get(v->j, "files");
    v->top = tree_new(v->a);
    v->dir = fs_join(v->a, v->top, "context");
    tree_dir(v->a, v->top, "context");
    json_each(e, files) if (!json_get_str(e, "hardlink")) make_entry(v, json_key(e), e);
    json_each(e, files) if (json_get_str(e, "hardlink")) make_entry(v, json_key(e), e);
    json_each(e, files) { /* folders may forbid what is put into them */
        if (json_true(json_get(e, "dir"))) assert_int_equal(chmod(fs_join(v->a, v->dir, json_key(e)), mode_of(e, 0755)), 0);
    }
    const char *file = json_get_str(v->j, "file"), *ignore = json_get_str(v->j, "ignore");
    tree_file(v->a, v->dir, file ? file : "Dockerfile", json_get_str(v->j, "dockerfile"));
    if (ignore) tree_file(v->a, v->dir, ".dockerignore", ignore);
    v->in.dir = v->dir;
    v->in.dockerfile = file ? fs_join(v->a, v->dir, file) : NULL;
    v->in.target = json_get_str(v->j, "target");
    const char **platform = arena_array(v->a, 1, sizeof *platform);
    *platform = json_get_str(v->j, "platform");
    v->in.platforms = platform;
    v->in.n_platforms = *platform != NULL;
    const struct json *args = json_get(v->j, "args");
    struct kv *pairs = arena_array(v->a, json_len(args), sizeof *pairs);
    v->in.n_build_args = 0;
    json_each(arg, args) pairs[v->in.n_build_args++] = (struct kv){json_key(arg), json_str(arg)};
    v->in.build_args = pairs;
}

static bool has_file(const struct context_result *res, const char *path, const struct json *want) {
    for (size_t i = 0; i < res->n_files; i++) {
        const struct context_file *f = &res->files[i];
        if (strcmp(f->path, path) != 0) continue;
        if (!want) return true;
        char mode[8];
        snprintf(mode, sizeof mode, "%04o", (unsigned) f->mode);
        if (strcmp(f->type, json_get_str(want, "type")) != 0 || strcmp(mode, json_get_str(want, "mode")) != 0) return false;
        return strcmp(f->type, "file") != 0 || (int64_t) f->size == json_get_int(want, "size", -1);
    }
    return false;
}

static int check_files(const char *name, const struct context_result *res, const struct json *want) {
    int bad = 0;
    json_each(f, want) {
        if (has_file(res, json_get_str(f, "path"), f)) continue;
        print_error("%s: %s is missing, or not as it should be\n", name, json_get_str(f, "path"));
        bad = 1;
    }
    for (size_t i = 0; i < res->n_files; i++) {
        bool found = !strcmp(res->files[i].type, "symlink"); /* one that is merely followed may be listed */
        json_each(f, want) found = found || !strcmp(json_get_str(f, "path"), res->files[i].path);
        if (i && strcmp(res->files[i - 1].path, res->files[i].path) >= 0) found = false;
        if (found) continue;
        print_error("%s: %s counts too, or is out of order\n", name, res->files[i].path);
        bad = 1;
    }
    return bad;
}

static int check_result(const char *name, const struct context_result *res, const struct json *expect) {
    int bad = check_files(name, res, json_get(expect, "files"));
    const char *ignore = json_get_str(expect, "ignore_file");
    if (!str_eq(ignore, res->ignore_file ? fs_base(res->ignore_file) : NULL)) {
        print_error("%s: the ignore file is %s\n", name, res->ignore_file);
        bad = 1;
    }
    if (json_true(json_get(expect, "widened")) != (res->widened != NULL)) {
        print_error("%s: widened: %s\n", name, res->widened ? res->widened : "no");
        bad = 1;
    }
    return bad;
}

static int group_write(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void) type, (void) ftw;
    return S_ISLNK(st->st_mode) ? 0 : chmod(path, (st->st_mode | 020) & 07777);
}

static void rewrite(struct vector *v, const char *full, const struct json *change) {
    struct stat st;
    assert_int_equal(stat(full, &st), 0);
    char *data;
    size_t len;
    assert_int_equal(fs_read(v->a, full, 1 << 20, &data, &len, NULL), 0);
    bool other = !strcmp(json_get_str(change, "kind"), "samestat");
    if (other) data[0] ^= 1;
    int fd = open(full, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, data, len), (ssize_t) len);
    close(fd);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (other) assert_int_equal(utimensat(AT_FDCWD, full, times, 0), 0);
}

static void apply(struct vector *v, const struct json *change) {
    const char *kind = json_get_str(change, "kind"), *to = json_get_str(change, "to"), *path = json_get_str(change, "path");
    char *full = fs_join(v->a, v->dir, path ? path : "");
    int r = 0;
    if (!strcmp(kind, "append")) {
        int fd = open(full, O_WRONLY | O_APPEND);
        r = write(fd, "more\n", 5) == 5 ? 0 : -1;
        close(fd);
    } else if (!strcmp(kind, "touch")) {
        struct timeval times[2] = {{1000000000, 0}, {1000000000, 0}};
        r = utimes(full, times);
    } else if (!strcmp(kind, "rewrite") || !strcmp(kind, "samestat")) {
        rewrite(v, full, change);
    } else if (!strcmp(kind, "chmod")) {
        r = chmod(full, (mode_t) strtoul(to, NULL, 8));
    } else if (!strcmp(kind, "chmodroot")) {
        r = chmod(v->dir, (mode_t) strtoul(to, NULL, 8));
    } else if (!strcmp(kind, "groupwrite")) {
        r = nftw(v->dir, group_write, 16, FTW_PHYS);
    } else if (!strcmp(kind, "rename")) {
        r = rename(full, fs_join(v->a, v->dir, to));
    } else if (!strcmp(kind, "delete")) {
        r = remove(full);
    } else if (!strcmp(kind, "retarget")) {
        r = unlink(full) < 0 ? -1 : symlink(to, full);
    } else {
        fail_msg("unknown change %s", kind);
    }
    assert_int_equal(r, 0);
}

static int check_change(struct vector *v, const char *name, const struct json *change, bool index) {
    struct context_result before, after;
    AUTO_ERR struct err err = {0};
    make(v);
    v->in.no_index = !index;
    assert_int_equal(context_hash(&v->ctx, &v->in, &before, &err), 0);
    apply(v, change);
    bool same = context_hash(&v->ctx, &v->in, &after, &err) == 0 && !strcmp(before.hash, after.hash);
    tree_remove(v->top);
    if (same == !strcmp(json_get_str(change, "hash"), "same")) return 0;
    print_error("%s: %s %s leaves the hash %s%s\n", name, json_get_str(change, "kind"), json_get_str(change, "path"),
                same ? "as it is" : "changed", index ? " (with the index)" : "");
    return 1;
}

static int check_vector(const char *name, const struct json *j) {
    AUTO_ARENA struct arena *a = arena_new();
    struct vector v = {.a = a, .j = j, .ctx = {.arena = a}};
    const struct json *expect = json_get(j, "expect");
    struct context_result res;
    AUTO_ERR struct err err = {0};
    make(&v);
    v.in.no_index = true;
    int r = context_hash(&v.ctx, &v.in, &res, &err), bad = 0;
    tree_remove(v.top);
    if (json_true(json_get(expect, "error"))) {
        if (r >= 0) print_error("%s: should fail\n", name);
        return r >= 0;
    }
    if (r < 0) {
        print_error("%s: %s:%d: %s\n", name, err.file ? err.file : "", err.line, err_text(&err));
        return 1;
    }
    bad |= check_result(name, &res, expect);
    json_each(change, json_get(expect, "changes")) {
        bad |= check_change(&v, name, change, false);
        bad |= check_change(&v, name, change, true);
    }
    return bad;
}

static void test_vectors(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct dirent **list;
    int n = scandir("tests/fixtures/context", &list, NULL, alphasort), cases = 0, bad = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        if (str_ends(list[i]->d_name, ".json")) {
            char *text;
            size_t len;
            assert_int_equal(fs_read(a, fs_join(a, "tests/fixtures/context", list[i]->d_name), 1 << 20, &text, &len, NULL), 0);
            AUTO_JSON struct json *j = json_parse(text, len, NULL);
            assert_non_null(j);
            bad += check_vector(list[i]->d_name, j);
            cases++;
        }
        free(list[i]);
    }
    free(list);
    assert_true(cases >= 66);
    assert_int_equal(bad, 0);
}

int main(void) {
    umask(022);
    AUTO_ARENA struct arena *a = arena_new();
    char *cache = tree_new(a);
    setenv("XDG_CACHE_HOME", cache, 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    tree_remove(cache);
    return r;
}
