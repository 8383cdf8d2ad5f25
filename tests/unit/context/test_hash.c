/* The hash beyond the vectors: what errors say, what roots say, what can go wrong with files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "tree.h"

struct fixture {
    struct arena *a;
    char *dir;
    struct ctx ctx;
    struct context_input in;
    struct context_result res;
    struct err err;
};

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->dir = tree_new(f->a);
    f->ctx = (struct ctx){.arena = f->a};
    f->in = (struct context_input){.dir = f->dir, .no_index = true};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tree_remove(f->dir);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static const char *hash(struct fixture *f) {
    if (context_hash(&f->ctx, &f->in, &f->res, &f->err) < 0) fail_msg("%s", err_text(&f->err));
    return f->res.hash;
}

/* "FILE:LINE: text; hint", FILE without its folder. */
static const char *failure(struct fixture *f) {
    assert_true(context_hash(&f->ctx, &f->in, &f->res, &f->err) < 0);
    return arena_printf(f->a, "%s:%d: %s%s%s", f->err.file ? fs_base(f->err.file) : "", f->err.line, err_text(&f->err),
                        f->err.hint ? "; " : "", f->err.hint ? f->err.hint : "");
}

static void test_missing(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "api-service/Dockerfile", "FROM scratch\nCOPY shared/ /o/\n");
    tree_dir(f->a, f->dir, "shared");
    f->in.dir = fs_join(f->a, f->dir, "api-service");
    assert_string_equal(failure(f), "Dockerfile:2: COPY shared/ needs shared, which is not in the context api-service; "
                                    "it exists one folder up: set context = path.module");
    tree_file(f->a, f->dir, "a/b/c/Dockerfile", "FROM scratch\nRUN --mount=source=shared,target=/m x\n");
    f->in.dir = fs_join(f->a, f->dir, "a/b/c");
    assert_string_equal(failure(f), arena_printf(f->a,
                                                 "Dockerfile:2: RUN --mount shared needs shared, which is not in the context c; "
                                                 "it exists three folders up: set context to %s",
                                                 f->dir));
    tree_file(f->a, f->dir, "a/b/c/Dockerfile", "FROM scratch\nCOPY l /o/\n");
    tree_link(f->a, f->dir, "a/b/c/l", "gone");
    assert_string_equal(failure(f), "Dockerfile:2: COPY l needs l, which is not in the context c");
    tree_file(f->a, f->dir, "a/b/c/Dockerfile", "FROM scratch\nCOPY l* /o/\n");
    assert_string_equal(failure(f), "Dockerfile:2: COPY l*: the link l leads to nothing in the context c");
    tree_file(f->a, f->dir, "a/b/c/Dockerfile", "FROM scratch\nCOPY d/x /o/\n");
    tree_file(f->a, f->dir, "a/b/c/d/x", "");
    tree_file(f->a, f->dir, "a/b/c/.dockerignore", "# c\nq\nd\n");
    assert_string_equal(failure(f),
                        "Dockerfile:2: COPY d/x needs d/x, which .dockerignore leaves out of the context (d); see line 3 of it");
    tree_file(f->a, f->dir, "a/b/c/Dockerfile", "FROM scratch\nCOPY k/x k/y /o/\n");
    tree_file(f->a, f->dir, "a/b/c/t/x", "");
    tree_file(f->a, f->dir, "a/b/c/t/y", "");
    tree_link(f->a, f->dir, "a/b/c/k", "t");
    assert_non_null(strstr(failure(f), "sends only the first"));
}

static void test_bad_input(void **state) {
    struct fixture *f = *state;
    assert_non_null(strstr(failure(f), "there is no Dockerfile at"));
    tree_dir(f->a, f->dir, "Dockerfile");
    assert_non_null(strstr(failure(f), "is a folder, not a file"));
    f->in.dockerfile = fs_join(f->a, f->dir, "-");
    tree_file(f->a, f->dir, "-", "FROM scratch\nCOPY . /\n");
    hash(f);
    tree_dir(f->a, f->dir, ".dockerignore");
    assert_non_null(strstr(failure(f), ".dockerignore is a folder"));
    assert_int_equal(rmdir(fs_join(f->a, f->dir, ".dockerignore")), 0);
    tree_file(f->a, f->dir, ".dockerignore", "x\n\n[\n");
    assert_string_equal(failure(f), ".dockerignore:3: syntax error in the pattern \"[\"");
    tree_file(f->a, f->dir, ".dockerignore", "x\nx\\y\n");
    assert_string_equal(failure(f), ".dockerignore:2: syntax error in the pattern \"x\\y\"");
    tree_file(f->a, f->dir, ".dockerignore", "");
    tree_file(f->a, f->dir, "-", "FROM scratch\nCOPY [z-a] /\n");
    assert_string_equal(failure(f), "-:2: [z-a]: syntax error in the pattern \"[z-a]\"");
    f->in.dir = fs_join(f->a, f->dir, "-");
    assert_non_null(strstr(failure(f), "is not a folder"));
    f->in.dir = fs_join(f->a, f->dir, "none");
    f->in.dockerfile = NULL;
    assert_non_null(strstr(failure(f), "the context"));
}

static void test_fallback_name(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "dockerfile", "FROM scratch\nCOPY a /\n");
    tree_file(f->a, f->dir, "Dockerfile.dockerignore", "b\n");
    tree_file(f->a, f->dir, "a", "");
    hash(f);
    assert_string_equal(fs_base(f->res.dockerfile), "dockerfile");
    assert_string_equal(fs_base(f->res.ignore_file), "Dockerfile.dockerignore");
    tree_file(f->a, f->dir, "Dockerfile.dockerignore", "");
    tree_file(f->a, f->dir, ".dockerignore", "a");
    hash(f); /* an empty specific file counts */
    tree_file(f->a, f->dir, "dockerfile", "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY a /\n");
    assert_non_null(strstr(failure(f), ".dockerignore leaves out")); /* not where a frontend image reads it */
}

static const char *root_hash(const struct fixture *f, const char *from) {
    for (size_t i = 0; i < f->res.n_roots; i++)
        if (!strcmp(f->res.roots[i].from, from)) return f->res.roots[i].hash;
    fail_msg("no root from %s", from);
    return NULL;
}

static void test_roots(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\n# c\nCOPY a b/ /o/\nRUN --mount=source=c,target=/c x\n");
    tree_file(f->a, f->dir, ".dockerignore", "z\n");
    tree_file(f->a, f->dir, "a", "1");
    tree_file(f->a, f->dir, "b/x", "2");
    tree_file(f->a, f->dir, "c", "3");
    const char *first = hash(f);
    assert_int_equal(f->res.n_roots, 5);
    assert_string_equal(f->res.roots[2].source, "b/");
    const char *mount = root_hash(f, "RUN --mount line 4"), *text = root_hash(f, "Dockerfile"),
               *ignore = root_hash(f, ".dockerignore");
    tree_file(f->a, f->dir, "c", "4");
    tree_file(f->a, f->dir, ".dockerignore", "z\ny\n");
    assert_string_not_equal(hash(f), first);
    assert_string_not_equal(root_hash(f, "RUN --mount line 4"), mount);
    assert_string_equal(root_hash(f, "Dockerfile"), text);
    assert_string_not_equal(root_hash(f, ".dockerignore"), ignore);
    tree_file(f->a, f->dir, "c", "3");
    assert_string_equal(hash(f), first); /* the ignore file counts by what it leaves out alone */
}

/* What changes the result counts, and what can't doesn't. */
static void test_text(void **state) {
    struct fixture *f = *state;
    static const char *const same[] = {
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY a /o/\nFROM scratch AS y\nRUN y\n",
        "# comment\nARG A=1\n\nfrom scratch AS x\nARG A\nCOPY \\\n a \\\n# c\n /o/\nFROM scratch AS y\nRUN other\n",
    };
    static const char *const differs[] = {
        "ARG A=2\nFROM scratch AS x\nARG A\nCOPY a /o/\nFROM scratch AS y\n",
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY a /p/\nFROM scratch AS y\n",
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY --link a /o/\nFROM scratch AS y\n",
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY a /o/\nLABEL b=c\nFROM scratch AS y\n",
        "ARG A=1\nFROM other AS x\nARG A\nCOPY a /o/\nFROM scratch AS y\n",
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY <<E a /o/\n1\nE\nFROM scratch AS y\n",
        "ARG A=1\nFROM scratch AS x\nARG A\nCOPY <<E a /o/\n2\nE\nFROM scratch AS y\n",
    };
    const char *seen[16];
    size_t n = 0;
    f->in.target = "x";
    tree_file(f->a, f->dir, "a", "1");
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        tree_file(f->a, f->dir, "Dockerfile", same[i]);
        seen[n++] = hash(f);
    }
    assert_string_equal(seen[0], seen[1]);
    for (size_t i = 0; i < ARRAY_SIZE(differs); i++) {
        tree_file(f->a, f->dir, "Dockerfile", differs[i]);
        seen[n++] = hash(f);
        for (size_t k = 0; k + 1 < n; k++) assert_string_not_equal(seen[n - 1], seen[k]);
    }
    tree_file(f->a, f->dir, "Dockerfile", same[0]);
    const struct kv unused[] = {{"B", "1"}}, used[] = {{"A", "3"}};
    f->in.build_args = unused;
    f->in.n_build_args = 1;
    assert_string_equal(hash(f), seen[0]);
    f->in.build_args = used;
    assert_string_not_equal(hash(f), seen[0]);
    f->in.n_build_args = 0;
    const char *const platforms[] = {"linux/amd64", "linux/arm64"};
    f->in.platforms = platforms;
    f->in.n_platforms = 1;
    const char *one = hash(f);
    f->in.n_platforms = 2;
    assert_string_not_equal(hash(f), one);
    assert_string_not_equal(one, seen[0]);
}

static void test_platform_union(void **state) {
    struct fixture *f = *state;
    const char *const platforms[] = {"linux/amd64", "linux/arm64"};
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY bin-$TARGETARCH /\n");
    tree_file(f->a, f->dir, "bin-amd64", "1");
    tree_file(f->a, f->dir, "bin-arm64", "2");
    tree_file(f->a, f->dir, "bin-s390x", "3");
    f->in.platforms = platforms;
    f->in.n_platforms = 2;
    hash(f);
    assert_null(f->res.widened);
    assert_int_equal(f->res.n_files, 2);
    assert_string_equal(f->res.files[0].path, "bin-amd64");
    f->in.n_platforms = 0;
    hash(f);
    assert_non_null(f->res.widened);
    assert_int_equal(f->res.n_files, 4);
}

static void test_named_contexts(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "ctx/Dockerfile", "FROM scratch\nCOPY --from=lib a /\nCOPY b /\n");
    tree_file(f->a, f->dir, "ctx/b", "");
    tree_file(f->a, f->dir, "lib/a", "1");
    tree_file(f->a, f->dir, "lib/c", "1");
    const struct kv contexts[] = {{"lib", fs_join(f->a, f->dir, "lib")}};
    f->in.dir = fs_join(f->a, f->dir, "ctx");
    f->in.build_contexts = contexts;
    f->in.n_build_contexts = 1;
    const char *first = hash(f);
    tree_file(f->a, f->dir, "lib/c", "2");
    assert_string_equal(hash(f), first);
    tree_file(f->a, f->dir, "lib/a", "2");
    assert_string_not_equal(hash(f), first);
    tree_file(f->a, f->dir, "lib/.dockerignore", "a");
    assert_non_null(strstr(failure(f), "needs a, which .dockerignore leaves out of the context (a)"));
}

static void test_odd_files(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\nCOPY d /\n");
    tree_file(f->a, f->dir, "d/bad-\xFF\xFE", "x");
    tree_file(f->a, f->dir, "d/new\nline", "x");
    assert_int_equal(mkfifo(tree_path(f->a, f->dir, "d/fifo"), 0644), 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/d/s", f->dir);
    assert_int_equal(bind(s, (struct sockaddr *) &at, sizeof at), 0);
    tree_link(f->a, f->dir, "d/loop", "loop");
    const char *first = hash(f);
    assert_int_equal(f->res.n_files, 6);
    assert_string_equal(f->res.files[2].type, "fifo");
    close(s);
    assert_int_equal(unlink(at.sun_path), 0);
    assert_string_not_equal(hash(f), first);
}

static void test_xattrs(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\nCOPY a /\n");
    tree_file(f->a, f->dir, "a", "x");
    const char *before = hash(f), *a = fs_join(f->a, f->dir, "a");
    if (setxattr(a, "user.k", "v", 1, 0) < 0) skip();
    const char *with = hash(f);
    assert_string_not_equal(with, before);
    setxattr(a, "user.k", "w", 1, 0);
    assert_string_not_equal(hash(f), with);
    removexattr(a, "user.k");
    assert_string_equal(hash(f), before);
}

/* Under "a", "!a/b", "a" BuildKit's client sends a/b without its content: its size counts, its bytes don't. */
static void test_without_content(void **state) {
    struct fixture *f = *state;
    setenv("XDG_CACHE_HOME", fs_join(f->a, f->dir, "cache"), 1);
    f->in.no_index = false;
    tree_file(f->a, f->dir, "c/Dockerfile", "FROM scratch\nCOPY a /\n");
    tree_file(f->a, f->dir, "c/.dockerignore", "a\n!a/b\na\n");
    tree_file(f->a, f->dir, "c/a/b", "1");
    f->in.dir = fs_join(f->a, f->dir, "c");
    const char *first = hash(f);
    tree_file(f->a, f->dir, "c/a/b", "2");
    assert_string_equal(hash(f), first);
    tree_file(f->a, f->dir, "c/a/b", "22");
    assert_string_not_equal(hash(f), first);
    tree_file(f->a, f->dir, "c/.dockerignore", "");
    tree_file(f->a, f->dir, "c/a/b", "2");
    assert_string_not_equal(hash(f), first);
}

static void *keep_changing(void *arg) {
    const char *path = arg;
    for (int i = 0; i < 100000; i++) {
        int fd = open(path, O_WRONLY | O_TRUNC);
        if (fd < 0) break;
        for (int k = 0; k < 200; k++)
            if (write(fd, "0123456789", 10) != 10) break;
        close(fd);
    }
    return NULL;
}

/* A file that changes while it is read is an error or a hash of one moment, never a hang or a crash. */
static void test_changing(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\nCOPY a /\n");
    tree_file(f->a, f->dir, "a", "x");
    pthread_t t;
    char *path = fs_join(f->a, f->dir, "a");
    assert_int_equal(pthread_create(&t, NULL, keep_changing, path), 0);
    for (int i = 0; i < 50; i++) {
        int r = context_hash(&f->ctx, &f->in, &f->res, &f->err);
        if (r < 0) assert_non_null(strstr(err_text(&f->err), "/a: it changes while it is read"));
    }
    assert_int_equal(unlink(path), 0);
    pthread_join(t, NULL);
}

static void test_cancel(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "Dockerfile", "FROM scratch\nCOPY a /\n");
    tree_file(f->a, f->dir, "a", "x");
    f->ctx.cancel = cancel_new(NULL);
    cancel_request(f->ctx.cancel);
    assert_int_equal(context_hash(&f->ctx, &f->in, &f->res, &f->err), -ERR_CANCELLED);
    cancel_unref(f->ctx.cancel);
}

int main(void) {
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_missing), CASE(test_bad_input),       CASE(test_fallback_name),  CASE(test_roots),
        CASE(test_text),    CASE(test_platform_union),  CASE(test_named_contexts), CASE(test_odd_files),
        CASE(test_xattrs),  CASE(test_without_content), CASE(test_changing),       CASE(test_cancel),
    };
    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
