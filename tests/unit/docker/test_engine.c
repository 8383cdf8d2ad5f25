/* The engine's client against replies that are played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "context/tree.h"
#include "crypto/crypto.h"
#include "docker/docker.h"
#include "http/http.h"

struct play {
    const char *method, *path; /* what is expected */
    int status;
    const char *body;
};

struct fixture {
    struct arena *a;
    struct ctx ctx;
    const struct play *next;
    size_t left;
    struct http_sender sender;
    struct docker *d;
    struct err err;
    char *auth; /* X-Registry-Auth as sent */
};

static int play(void *self, struct ctx *ctx, const struct http_request *req, struct http_response *ret, struct err *err) {
    struct fixture *f = self;
    (void) ctx;
    assert_true(f->left > 0);
    const struct play *p = f->next++;
    f->left--;
    assert_string_equal(req->unix_socket, "/engine.sock");
    assert_string_equal(req->method ? req->method : "GET", p->method);
    assert_string_equal(req->url, arena_printf(f->a, "http://docker%s", p->path));
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcmp(req->headers[i].name, "X-Registry-Auth") == 0) {
            assert_string_equal(req->headers[i].value, ""); /* nothing of it outside the secret */
            f->auth = arena_strdup(f->a, secret_bytes(req->headers[i].secret));
        }
    if (p->status == 0) return err_set(err, ERR_UNAVAILABLE, "connection lost");
    *ret = (struct http_response){.status = p->status, .body = p->body, .body_len = strlen(p->body)};
    if (req->on_body && p->status == 200) {
        ret->body = "";
        ret->body_len = 0;
        return req->on_body(req->arg, p->body, strlen(p->body), err);
    }
    return 0;
}

#define VERSION20                                                                                                                  \
    "{\"Platform\":{\"Name\":\"\"},\"Components\":[{\"Name\":\"Engine\"}],\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\","       \
    "\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\",\"Arch\":\"amd64\"}"

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->ctx = (struct ctx){.arena = f->a};
    f->sender = (struct http_sender){.send = play, .self = f};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    docker_free(f->d);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int open_with(struct fixture *f, const struct play *plays, size_t n) {
    f->next = plays;
    f->left = n;
    return docker_open(&f->ctx, &(struct docker_options){.host = "unix:///engine.sock", .http = &f->sender}, &f->d, &f->err);
}

/* Opens as 20.10, then plays the rest. */
#define OPENED(f, ...)                                                                                                             \
    const struct play version = {"GET", "/version", 200, VERSION20}, rest[] = {__VA_ARGS__};                                       \
    assert_int_equal(open_with(f, &version, 1), 0);                                                                                \
    (f)->next = rest;                                                                                                              \
    (f)->left = ARRAY_SIZE(rest)

static void test_versions(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *body, *api, *server;
    } cases[] = {
        {VERSION20, "1.41", "Docker Engine 20.10.24"},
        {"{\"Version\":\"29.0.0\",\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", "1.47", "Docker Engine 29.0.0"},
        {"{\"Version\":\"99\",\"ApiVersion\":\"1.90\",\"MinAPIVersion\":\"1.60\"}", "1.60", "Docker Engine 99"},
        {"{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Podman Engine\",\"Version\":\"4.3.1\"}]}",
         "1.41", "Podman 4.3.1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct play p = {"GET", "/version", 200, cases[i].body};
        assert_int_equal(open_with(f, &p, 1), 0);
        assert_string_equal(docker_info(f->d)->api, cases[i].api);
        assert_string_equal(docker_info(f->d)->server, cases[i].server);
        assert_string_equal(docker_info(f->d)->endpoint, "unix:///engine.sock");
        docker_free(f->d);
        f->d = NULL;
    }
}

static void test_no_engine_behind_it(void **state) {
    struct fixture *f = *state;
    static const struct {
        struct play p;
        enum err_code code;
        const char *words;
    } cases[] = {
        {{"GET", "/version", 200, "{\"Version\":\"1\",\"ApiVersion\":\"1.30\"}"}, ERR_UNSUPPORTED, "too old"},
        {{"GET", "/version", 200, "{}"}, ERR_PROTOCOL, "not as a Docker engine"},
        {{"GET", "/version", 200, "<html>"}, ERR_PROTOCOL, "/engine.sock"},
        {{"GET", "/version", 500, "{\"message\":\"on fire\"}"}, ERR_UNAVAILABLE, "on fire"},
        {{"GET", "/version", 0, ""}, ERR_UNAVAILABLE, "from docker.host"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int r = open_with(f, &cases[i].p, 1);
        if (r != -(int) cases[i].code || !strstr(err_text(&f->err), cases[i].words))
            fail_msg("%zu: %d %s", i, r, err_text(&f->err));
    }
}

static void test_images(void **state) {
    struct fixture *f = *state;
    OPENED(f,
           {"GET", "/v1.41/images/r.example%3A5000/a/b%3At/json", 200,
            "{\"Id\":\"sha256:1\",\"RepoTags\":[\"r.example:5000/a/b:t\"],\"RepoDigests\":[\"r.example:5000/a/b@sha256:2\"]}"},
           {"GET", "/v1.41/images/x%3At/json", 404, "{\"message\":\"no such image\"}"},
           {"POST", "/v1.41/images/sha256%3A1/tag?repo=r.example%2Fa&tag=t", 201, ""},
           {"POST", "/v1.41/images/sha256%3A1/tag?repo=r.example%2Fa&tag=t", 404, "{\"message\":\"no such image: sha256:1\"}"},
           {"DELETE", "/v1.41/images/r.example/a%3At?noprune=true", 200, "[]"},
           {"DELETE", "/v1.41/images/r.example/a%3At?noprune=true", 404, "{}"},
           {"DELETE", "/v1.41/images/r.example/a%3At?noprune=true", 409, "{\"message\":\"in use\"}"});
    struct docker_image image;
    assert_int_equal(docker_image_inspect(f->d, &f->ctx, "r.example:5000/a/b:t", &image, &f->err), 0);
    assert_string_equal(image.id, "sha256:1");
    assert_int_equal(image.tags.n, 1);
    assert_string_equal(image.digests.v[0], "r.example:5000/a/b@sha256:2");
    assert_int_equal(docker_image_inspect(f->d, &f->ctx, "x:t", &image, &f->err), 1);
    assert_int_equal(docker_image_tag(f->d, &f->ctx, "sha256:1", "r.example/a", "t", &f->err), 0);
    assert_int_equal(docker_image_tag(f->d, &f->ctx, "sha256:1", "r.example/a", "t", &f->err), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&f->err), "can't tag the local image sha256:1 as r.example/a:t: no such image: sha256:1");
    assert_int_equal(docker_image_remove(f->d, &f->ctx, "r.example/a:t", &f->err), 0);
    assert_int_equal(docker_image_remove(f->d, &f->ctx, "r.example/a:t", &f->err), 1);
    assert_int_equal(docker_image_remove(f->d, &f->ctx, "r.example/a:t", &f->err), -ERR_CONFLICT);
}

static void test_push(void **state) {
    struct fixture *f = *state;
    OPENED(f,
           {"POST", "/v1.41/images/r.example/a/push?tag=t", 200,
            "{\"status\":\"Pushed\",\"id\":\"1234\"}\r\n{\"aux\":{\"Tag\":\"t\",\"Digest\":\"sha256:9\",\"Size\":7}}\r\n"},
           {"POST", "/v1.41/images/r.example/a/push?tag=t", 404, "{\"message\":\"tag does not exist\"}"},
           {"POST", "/v1.41/images/r.example/a/push?tag=t", 200, "{\"errorDetail\":{\"message\":\"EOF\"},\"error\":\"EOF\"}\r\n"});
    AUTO_SECRET struct secret *password = secret_new("p\"w", 3);
    struct docker_push push = {.repository = "r.example/a", .tag = "t", .user = "AWS", .password = password, .server = "r.example"};
    struct docker_pushed pushed;
    assert_int_equal(docker_image_push(f->d, &f->ctx, &push, &pushed, &f->err), 0);
    assert_string_equal(pushed.digest, "sha256:9");
    size_t len;
    assert_string_equal(base64_decode(f->a, f->auth, strlen(f->auth), &len),
                        "{\"username\":\"AWS\",\"password\":\"p\\\"w\",\"serveraddress\":\"r.example\"}");
    push.user = NULL;
    assert_int_equal(docker_image_push(f->d, &f->ctx, &push, &pushed, &f->err), -ERR_NOT_FOUND);
    assert_string_equal(base64_decode(f->a, f->auth, strlen(f->auth), &len), "{}");
    assert_int_equal(docker_image_push(f->d, &f->ctx, &push, &pushed, &f->err), -ERR_UNAVAILABLE);
}

/* ---- Real sockets ---- */

static int open_socket(struct fixture *f, const char *path) {
    return docker_open(&f->ctx, &(struct docker_options){.host = path}, &f->d, &f->err);
}

static void test_no_socket(void **state) {
    struct fixture *f = *state;
    assert_int_equal(open_socket(f, "unix:///nonexistent/docker.sock"), -ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(&f->err), "unix:///nonexistent/docker.sock (from docker.host of the provider block)"));
    assert_non_null(strstr(f->err.hint, "isn't running"));
    AUTO_FREE char *longer = mem_printf("unix:///%0200d", 1);
    assert_int_equal(open_socket(f, longer), -ERR_INVALID);
}

static void test_dead_socket(void **state) {
    struct fixture *f = *state;
    char *dir = tree_new(f->a);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &addr, sizeof addr), 0);
    close(fd);
    assert_int_equal(open_socket(f, addr.sun_path), -ERR_UNAVAILABLE);
    assert_non_null(strstr(f->err.hint, "nothing listens"));
    tree_remove(dir);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_versions), CASE(test_no_engine_behind_it), CASE(test_images),
        CASE(test_push),     CASE(test_no_socket),           CASE(test_dead_socket),
    };
    return cmocka_run_group_tests_name("docker_engine", tests, NULL, NULL);
}
