/* Builds on real engines: tests/acc/test_builder_engine*.sh run it by `test_engine 20` and `test_engine 29` where
 * GPUDEV_TEST_ENGINE20, GPUDEV_TEST_ENGINE29 and GPUDEV_TEST_REGISTRY say what tests/env has started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <utime.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "build/build.h"
#include "context/context.h"
#include "context/tree.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "progress/progress.h"
#include "json/json.h"

struct fixture {
    struct arena *a;
    struct ctx ctx;
    char *dir;
    struct builder *builder;
    struct build_request req;
    struct build_result result;
    struct err err;
    struct http *http;
    struct progress *progress;
};

static const char *engine, *registry;
static struct builder *shared;

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->ctx = (struct ctx){.arena = f->a, .cancel = cancel_new(NULL)};
    f->ctx = ctx_with_timeout(&f->ctx, 120000);
    f->dir = tree_new(f->a);
    f->builder = shared;
    f->http = http_new("gpudev-test");
    f->req = (struct build_request){
        .context = f->dir,
        .dockerfile = fs_join(f->a, f->dir, "Dockerfile"),
        .repository = arena_printf(f->a, "%s/test-%s", registry, random_hex(f->a, 6)),
        .push_tag = "t",
    };
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tree_remove(f->dir);
    http_unref(f->http);
    cancel_unref(f->ctx.cancel);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int build(struct fixture *f) { return builder_build(f->builder, &f->ctx, &f->req, &f->result, &f->err); }

static void build_ok(struct fixture *f) {
    if (build(f) < 0) fail_msg("%s\n%s\n%s", err_text(&f->err), f->err.hint ? f->err.hint : "", f->err.detail ? f->err.detail : "");
    assert_true(str_starts(f->result.digest, "sha256:"));
}

static void file(struct fixture *f, const char *path, const char *text) { tree_file(f->a, f->dir, path, text); }

static void busybox(struct fixture *f) {
    char *bin;
    size_t len;
    assert_int_equal(fs_read(f->a, "/bin/busybox", 8 << 20, &bin, &len, NULL), 0);
    tree_write(f->a, f->dir, "busybox", bin, len, 0755);
}

/* ---- What is in the registry ---- */

static const char *fetch(struct fixture *f, const char *kind, const char *reference, size_t *ret_len) {
    const char *name = strchr(f->req.repository, '/') + 1;
    const struct http_header accept = {.name = "Accept",
                                       .value =
                                           "application/vnd.docker.distribution.manifest.v2+json, "
                                           "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"};
    const char *url = arena_printf(f->a, "http://%s/v2/%s/%s/%s", registry, name, kind, reference);
    struct http_request req = {.url = url, .headers = &accept, .n_headers = 1, .proxy = "", .max_body = 256 << 20};
    struct http_response reply;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &reply, &f->err), 0);
    if (reply.status != 200) fail_msg("%s: %d %s", url, reply.status, reply.body);
    *ret_len = reply.body_len;
    return reply.body;
}

static struct json *fetch_json(struct fixture *f, const char *kind, const char *reference) {
    size_t len;
    const char *text = fetch(f, kind, reference, &len);
    struct json *j = json_parse(text, len, &f->err);
    assert_non_null(j);
    return j;
}

/* Lists the files of the last layer as tar sees them, and their contents below dir. */
static char *unpack(struct fixture *f, const char *dir) {
    AUTO_JSON struct json *m = fetch_json(f, "manifests", f->result.digest);
    const char *digest = NULL;
    json_each(l, json_get(m, "layers")) digest = json_get_str(l, "digest");
    assert_non_null(digest);
    size_t len;
    const char *blob = fetch(f, "blobs", digest, &len);
    tree_write(f->a, dir, "layer.tar", blob, len, 0600);
    char *tar = fs_join(f->a, dir, "layer.tar"), *list = fs_join(f->a, dir, "list");
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(list, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        execlp("tar", "tar", "-C", dir, "-xvvpzf", tar, "--numeric-owner", (char *) NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char *text;
    assert_int_equal(fs_read(f->a, list, 1 << 24, &text, &len, NULL), 0);
    return text;
}

static void expect_content(struct fixture *f, const char *dir, const char *path, const char *want) {
    char *text;
    size_t len;
    if (fs_read(f->a, fs_join(f->a, dir, path), 1 << 20, &text, &len, &f->err) < 0) fail_msg("%s", err_text(&f->err));
    assert_string_equal(text, want);
}

/* ---- Cases ---- */

static void test_copy(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY hello /hello\nLABEL a=b\n");
    file(f, "hello", "hello, world");
    const struct kv label = {"org.example.made-by", "gpudev"};
    f->req.labels = &label;
    f->req.n_labels = 1;
    build_ok(f);
    AUTO_JSON struct json *m = fetch_json(f, "manifests", f->result.digest);
    AUTO_JSON struct json *config = fetch_json(f, "blobs", json_str(json_at(m, "config", "digest", NULL)));
    assert_string_equal(json_str(json_at(config, "config", "Labels", "org.example.made-by", NULL)), "gpudev");
    assert_string_equal(json_str(json_at(config, "config", "Labels", "a", NULL)), "b");
    char *dir = tree_new(f->a);
    unpack(f, dir);
    expect_content(f, dir, "hello", "hello, world");
    tree_remove(dir);
}

static void test_tree(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY d /d\n");
    file(f, "d/plain", "1");
    tree_write(f->a, f->dir, "d/run", "#!", 2, 0755);
    tree_write(f->a, f->dir, "d/setuid", "s", 1, 04755);
    tree_write(f->a, f->dir, "d/secret", "k", 1, 0400);
    tree_dir(f->a, f->dir, "d/empty");
    tree_link(f->a, f->dir, "d/link", "plain");
    tree_link(f->a, f->dir, "d/dangling", "/nowhere/at/all");
    assert_int_equal(link(fs_join(f->a, f->dir, "d/plain"), fs_join(f->a, f->dir, "d/zhard")), 0);
    file(f, "d/h\xc3\xa9 llo", "utf8");
    build_ok(f);
    char *dir = tree_new(f->a), *list = unpack(f, dir);
    static const char *const want[] = {"-rw-r--r-- 0/0", "-rwxr-xr-x 0/0",  "-rwsr-xr-x 0/0",
                                       "-r-------- 0/0", "d/link -> plain", "d/dangling -> /nowhere/at/all",
                                       "d/empty/"};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        if (!strstr(list, want[i])) fail_msg("\"%s\" is not in\n%s", want[i], list);
    expect_content(f, dir, "d/plain", "1");
    expect_content(f, dir, "d/zhard", "1");
    expect_content(f, dir, "d/h\xc3\xa9 llo", "utf8");
    tree_remove(dir);
}

static void test_ignore(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY . /\n");
    file(f, ".dockerignore", "# comment\n*.log\nnode_modules\n!keep.log\n.dockerignore\nDockerfile\n");
    file(f, "a.log", "no");
    file(f, "keep.log", "yes");
    file(f, "node_modules/x/y", "no");
    file(f, "src/main", "yes");
    file(f, "src/notes.md", "no");
    const char *const own[] = {"**/*.md"};
    f->req.ignore = own;
    f->req.n_ignore = 1;
    build_ok(f);
    char *dir = tree_new(f->a), *list = unpack(f, dir);
    assert_non_null(strstr(list, "keep.log"));
    assert_non_null(strstr(list, "src/main"));
    static const char *const unwanted[] = {"a.log", "node_modules", "notes.md", ".dockerignore", "Dockerfile"};
    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        if (strstr(list, unwanted[i])) fail_msg("%s is in\n%s", unwanted[i], list);
    tree_remove(dir);
}

static void test_own_ignore_file_and_folder(void **state) {
    struct fixture *f = *state;
    file(f, "svc/Dockerfile", "FROM scratch\nARG WHAT\nCOPY shared/${WHAT} svc/ /x/\n");
    file(f, "svc/Dockerfile.dockerignore", "**/*.tmp\nsvc/Dockerfile*\n");
    file(f, ".dockerignore", "shared\n");
    file(f, "shared/lib", "lib");
    file(f, "svc/a.tmp", "no");
    file(f, "svc/main", "main");
    f->req.dockerfile = fs_join(f->a, f->dir, "svc/Dockerfile");
    const struct kv arg = {"WHAT", "lib"};
    f->req.build_args = &arg;
    f->req.n_build_args = 1;
    build_ok(f);
    char *dir = tree_new(f->a), *list = unpack(f, dir);
    expect_content(f, dir, "x/lib", "lib");
    expect_content(f, dir, "x/main", "main");
    assert_null(strstr(list, "a.tmp"));
    tree_remove(dir);
}

static void test_links_in_sources(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY lnk/one.txt /one\n");
    file(f, "real/one.txt", "one");
    tree_link(f->a, f->dir, "lnk", "real");
    build_ok(f);
    char *dir = tree_new(f->a);
    unpack(f, dir);
    expect_content(f, dir, "one", "one");
    tree_remove(dir);
}

static void test_run_and_rebuild(void **state) {
    struct fixture *f = *state;
    busybox(f);
    file(f, "Dockerfile",
         "FROM scratch AS build\nCOPY busybox /bin/sh\nRUN echo made > /made\nCOPY data /data\nRUN cat /data >> /made\n"
         "FROM scratch\nCOPY --from=build /made /made\n");
    file(f, "data", "one");
    build_ok(f);
    const char *first = f->result.digest;
    build_ok(f);
    assert_string_equal(f->result.digest, first); /* all cached: the same image */
    file(f, "data", "two, longer");
    build_ok(f);
    assert_string_not_equal(f->result.digest, first);
    char *dir = tree_new(f->a);
    unpack(f, dir);
    expect_content(f, dir, "made", "made\ntwo, longer");
    tree_remove(dir);
}

static void test_failed_run(void **state) {
    struct fixture *f = *state;
    busybox(f);
    file(f, "Dockerfile",
         "# about\nFROM scratch AS base\nCOPY busybox /bin/sh\n\nFROM base AS build\nRUN echo fine\n# why\nRUN echo line one; \\\n"
         "  echo line two >&2; \\\n  exit 3\nFROM scratch\nCOPY --from=build /bin/sh /sh\n");
    assert_int_equal(build(f), -ERR_FAILED);
    assert_non_null(strstr(err_text(&f->err), "RUN echo line one"));
    assert_non_null(strstr(err_text(&f->err), "exit code: 3"));
    assert_string_equal(f->err.file, f->req.dockerfile);
    assert_int_equal(f->err.line, 8);
    assert_non_null(f->err.detail);
    assert_non_null(strstr(f->err.detail, "line one"));
    assert_non_null(strstr(f->err.detail, "line two"));
}

static void test_syntax_error(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY a /a\nFOO bar\n");
    file(f, "a", "");
    assert_int_equal(build(f), -ERR_FAILED);
    assert_non_null(strstr(err_text(&f->err), "FOO"));
    assert_int_equal(f->err.line, 3);
}

static void test_missing_source(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY a /a\nCOPY nothere /b\n");
    file(f, "a", "");
    assert_int_equal(build(f), -ERR_FAILED);
    assert_non_null(strstr(err_text(&f->err), "nothere"));
    assert_int_equal(f->err.line, 3);
}

static void test_missing_dockerfile(void **state) {
    struct fixture *f = *state;
    assert_true(build(f) < 0);
    if (!strstr(err_text(&f->err), "Dockerfile")) fail_msg("%s", err_text(&f->err));
}

/* Whether a process of this machine has the word among its arguments. */
static bool runs(const char *word) {
    AUTO_FREE char *look = mem_printf("grep -qsz '^%s$' /proc/[0-9]*/cmdline", word);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("sh", "sh", "-c", look, (char *) NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status) == 0;
}

struct canceller {
    struct cancel *cancel;
    const char *word;
    bool seen;
    int64_t at;
};

static void *cancel_when_it_runs(void *arg) {
    struct canceller *c = arg;
    struct ctx ctx = {0};
    for (int i = 0; i < 300 && !(c->seen = runs(c->word)); i++) ctx_sleep(&ctx, 50, NULL);
    c->at = ctx_now(&ctx);
    cancel_request(c->cancel);
    return NULL;
}

/* A cancelled build ends within a second, and its RUN is gone from the machine soon after. */
static void test_cancel(void **state) {
    struct fixture *f = *state;
    struct ctx ctx = {0};
    busybox(f);
    struct canceller c = {.cancel = f->ctx.cancel, .word = arena_printf(f->a, "98%u", (unsigned) getpid())};
    file(f, "Dockerfile",
         arena_printf(f->a, "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/sleep\nRUN [\"/bin/sleep\", \"%s\"]\n", c.word));
    pthread_t t;
    pthread_create(&t, NULL, cancel_when_it_runs, &c);
    int r = build(f);
    int64_t ended = ctx_now(&ctx);
    pthread_join(t, NULL);
    assert_true(c.seen);
    assert_int_equal(r, -ERR_CANCELLED);
    assert_true(ended - c.at < 1000);
    while (runs(c.word) && ctx_now(&ctx) - c.at < 3000) ctx_sleep(&ctx, 50, NULL);
    assert_false(runs(c.word));
}

static void test_many_files(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY . /data\n");
    for (int i = 0; i < 1000; i++)
        file(f, arena_printf(f->a, "d%d/e%d/file-%d", i % 7, i % 31, i), arena_printf(f->a, "content %d", i));
    build_ok(f);
    const char *first = f->result.digest;
    file(f, "d0/e0/file-0", "changed");
    build_ok(f);
    assert_string_not_equal(f->result.digest, first);
    char *dir = tree_new(f->a);
    unpack(f, dir);
    expect_content(f, dir, "data/d0/e0/file-0", "changed");
    expect_content(f, dir, arena_printf(f->a, "data/d%d/e%d/file-999", 999 % 7, 999 % 31), "content 999");
    tree_remove(dir);
}

static void same_times(struct fixture *f, const char *path) {
    const struct timespec at[2] = {{1500000000, 123456789}, {1500000000, 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, fs_join(f->a, f->dir, path), at, 0), 0);
}

static void expect_image_file(struct fixture *f, const char *path, const char *want) {
    char *dir = tree_new(f->a);
    build_ok(f);
    unpack(f, dir);
    expect_content(f, dir, path, want);
    tree_remove(dir);
}

/* facts: two Dockerfiles of equal length and time were taken for one another. */
static void test_two_dockerfiles(void **state) {
    struct fixture *f = *state;
    file(f, "one/Dockerfile", "FROM scratch\nCOPY 1 /x\n");
    file(f, "two/Dockerfile", "FROM scratch\nCOPY 2 /x\n");
    file(f, "Dockerfile.a", "FROM scratch\nCOPY 1 /y\n");
    file(f, "Dockerfile.b", "FROM scratch\nCOPY 2 /y\n");
    file(f, "1", "first");
    file(f, "2", "other");
    static const char *const files[] = {"one/Dockerfile", "two/Dockerfile", "Dockerfile.a", "Dockerfile.b", "1", "2"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) same_times(f, files[i]);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 4; i++) {
            f->req.dockerfile = fs_join(f->a, f->dir, files[i]);
            expect_image_file(f, i < 2 ? "x" : "y", i % 2 ? "other" : "first");
        }
}

/* facts: a file rewritten with equal size and time was never sent again. */
static void test_equal_stat(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY data /data\n");
    for (int i = 0; i < 4; i++) {
        const char *text = arena_printf(f->a, "content %d", i % 3);
        file(f, "data", text);
        same_times(f, "data");
        expect_image_file(f, "data", text);
    }
    /* The Dockerfile itself. */
    file(f, "e", "E");
    for (int i = 0; i < 4; i++) {
        file(f, "Dockerfile", i % 2 ? "FROM scratch\nCOPY data /d\n" : "FROM scratch\nCOPY data /e\n");
        same_times(f, "Dockerfile");
        expect_image_file(f, i % 2 ? "d" : "e", "content 0");
    }
}

/* facts: a warm builder takes no notice of these. */
static void test_changes_of_metadata_alone(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY src /src\n");
    file(f, "src/d/f", "1");
    build_ok(f);
    const char *first = f->result.digest;
    assert_int_equal(chmod(fs_join(f->a, f->dir, "src/d"), 0700), 0);
    char *dir = tree_new(f->a);
    build_ok(f);
    char *list = unpack(f, dir);
    if (!strstr(list, "drwx------ 0/0")) fail_msg("the folder's mode is lost:\n%s", list);
    assert_int_equal(chmod(fs_join(f->a, f->dir, "src/d/f"), 0600), 0);
    build_ok(f);
    list = unpack(f, dir);
    if (!strstr(list, "-rw------- 0/0")) fail_msg("the file's mode is lost:\n%s", list);
    assert_string_not_equal(f->result.digest, first);
    tree_remove(dir);
}

static void test_xattr_alone(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY src /src\n");
    file(f, "src/f", "1");
    file(f, "src/g", "2");
    const char *path = fs_join(f->a, f->dir, "src/f"), *folder = fs_join(f->a, f->dir, "src");
    if (setxattr(path, "user.gpudev", "one", 3, 0) < 0) skip();
    build_ok(f);
    const char *first = f->result.digest;
    assert_int_equal(setxattr(path, "user.gpudev", "two", 3, 0), 0);
    build_ok(f);
    assert_string_not_equal(f->result.digest, first);
    const char *second = f->result.digest;
    assert_int_equal(setxattr(folder, "user.gpudev", "three", 5, 0), 0);
    build_ok(f);
    assert_string_not_equal(f->result.digest, second);
}

static void test_changed_since_the_plan(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY data /data\n");
    file(f, "data", "planned");
    struct context_input in = {.dir = f->dir, .dockerfile = f->req.dockerfile};
    struct context_result plan;
    assert_int_equal(context_hash(&f->ctx, &in, &plan, &f->err), 0);
    f->req.source_hash = plan.hash;
    build_ok(f);
    file(f, "data", "another");
    assert_int_equal(build(f), -ERR_CONFLICT);
    assert_non_null(strstr(err_text(&f->err), "changed since the plan"));
    assert_non_null(strstr(err_text(&f->err), "data"));
}

struct parallel {
    struct fixture *f;
    int index;
    char *digest;
};

static void *build_one(void *arg) {
    struct parallel *p = arg;
    struct fixture *f = p->f;
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = ctx_with_arena(&f->ctx, a);
    struct build_request req = f->req;
    req.repository = arena_printf(a, "%s-%d", f->req.repository, p->index);
    const struct kv arg_n = {"N", arena_printf(a, "%d", p->index % 5)};
    req.build_args = &arg_n;
    req.n_build_args = 1;
    struct build_result result;
    AUTO_ERR struct err err = {0};
    if (builder_build(f->builder, &ctx, &req, &result, &err) == 0)
        p->digest = mem_strdup(result.digest);
    else
        print_message("# %d: %s\n", p->index, err_text(&err));
    return NULL;
}

/* Ten at once over one context and Dockerfile, which is one record: each must be right. */
static void test_ten_at_once(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nARG N\nCOPY d$N /d\n");
    for (int i = 0; i < 5; i++) {
        file(f, arena_printf(f->a, "d%d/f", i), arena_printf(f->a, "%d", i));
        file(f, arena_printf(f->a, "d%d/new", i), random_hex(f->a, 8)); /* nothing is cached */
    }
    pthread_t t[10];
    struct parallel p[10];
    for (int i = 0; i < 10; i++) {
        p[i] = (struct parallel){f, i, NULL};
        pthread_create(&t[i], NULL, build_one, &p[i]);
    }
    for (int i = 0; i < 10; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 10; i++) assert_non_null(p[i].digest);
    for (int i = 0; i < 5; i++) {
        struct fixture sub = *f;
        sub.req.repository = arena_printf(f->a, "%s-%d", f->req.repository, i);
        sub.result.digest = p[i].digest;
        char *dir = tree_new(f->a);
        unpack(&sub, dir);
        expect_content(&sub, dir, "d/f", arena_printf(f->a, "%d", i));
        tree_remove(dir);
    }
    for (int i = 0; i < 10; i++) mem_free(p[i].digest);
}

/* No name of ours stays in the engine, also not after a failure. */
static void test_no_names_stay(void **state) {
    struct fixture *f = *state;
    file(f, "Dockerfile", "FROM scratch\nCOPY Dockerfile /x\n");
    build_ok(f);
    f->req.repository = "127.0.0.1:1/nobody";
    assert_int_equal(build(f), -ERR_UNAVAILABLE);
    struct http_request req = {.url = "http://docker/images/json?all=true", .unix_socket = engine + strlen("unix://"), .proxy = ""};
    struct http_response reply;
    assert_int_equal(http_send(f->http, &f->ctx, &req, &reply, &f->err), 0);
    assert_int_equal(reply.status, 200);
    assert_null(strstr(reply.body, "/test-"));
    assert_null(strstr(reply.body, "127.0.0.1:1/"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_all(const char *name) {
    const struct CMUnitTest tests[] = {
        CASE(test_copy),
        CASE(test_tree),
        CASE(test_ignore),
        CASE(test_own_ignore_file_and_folder),
        CASE(test_links_in_sources),
        CASE(test_run_and_rebuild),
        CASE(test_failed_run),
        CASE(test_syntax_error),
        CASE(test_missing_source),
        CASE(test_missing_dockerfile),
        CASE(test_cancel),
        CASE(test_many_files),
        CASE(test_two_dockerfiles),
        CASE(test_equal_stat),
        CASE(test_changes_of_metadata_alone),
        CASE(test_xattr_alone),
        CASE(test_changed_since_the_plan),
        CASE(test_ten_at_once),
        CASE(test_no_names_stay),
    };
    if (getenv("GPUDEV_TEST_CASE")) cmocka_set_test_filter(getenv("GPUDEV_TEST_CASE")); /* one, by its name */
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    AUTO_ERR struct err err = {0};
    if (builder_open(&ctx, &(struct builder_config){.docker_host = engine}, &shared, &err) < 0) {
        print_error("# %s: %s\n", engine, err_text(&err));
        return 1;
    }
    int r = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    builder_free(shared);
    return r;
}

/* test_engine 20 | 29 */
int main(int argc, char **argv) {
    const char *version = argc > 1 ? argv[1] : "";
    engine = getenv(strcmp(version, "29") == 0 ? "GPUDEV_TEST_ENGINE29" : "GPUDEV_TEST_ENGINE20");
    registry = getenv("GPUDEV_TEST_REGISTRY");
    if (!*version || !engine || !registry) {
        print_message("1..0 # SKIP no engine is given\n");
        return 0;
    }
    return run_all(strcmp(version, "29") == 0 ? "engine29" : "engine20");
}
