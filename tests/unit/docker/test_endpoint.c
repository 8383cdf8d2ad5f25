#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "context/tree.h"
#include "crypto/crypto.h"
#include "docker/docker.h"
#include "docker/endpoint.h"

struct fixture {
    struct arena *a;
    char *home;
    struct kv env[8];
    size_t n_env;
    struct docker_endpoints found;
    struct err err;
};

static const char *get_env(void *self, const char *name) {
    struct fixture *f = self;
    for (size_t i = 0; i < f->n_env; i++)
        if (strcmp(f->env[i].key, name) == 0) return f->env[i].value;
    return NULL;
}

static void put_env(struct fixture *f, const char *name, const char *value) { f->env[f->n_env++] = (struct kv){name, value}; }

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->home = tree_new(f->a);
    put_env(f, "HOME", f->home);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < f->found.n; i++) secret_unref((struct secret *) f->found.v[i].tls.client_key_pem);
    tree_remove(f->home);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

static int find(struct fixture *f, const char *host) {
    struct docker_options opt = {.host = host, .getenv = get_env, .getenv_self = f};
    return docker_find(f->a, &opt, &f->found, &f->err);
}

static void expect_one(struct fixture *f, const char *socket, const char *url, const char *source) {
    assert_int_equal(f->found.n, 1);
    assert_true(f->found.asked_for);
    assert_true(str_eq(f->found.v[0].socket, socket));
    assert_string_equal(f->found.v[0].url, url);
    assert_string_equal(f->found.v[0].source, source);
}

static void test_explicit(void **state) {
    struct fixture *f = *state;
    put_env(f, "DOCKER_HOST", "tcp://elsewhere:1");
    assert_int_equal(find(f, "unix:///x/y.sock"), 0);
    expect_one(f, "/x/y.sock", "http://docker", "docker.host of the provider block");
    assert_int_equal(find(f, "/x/y.sock"), 0);
    expect_one(f, "/x/y.sock", "http://docker", "docker.host of the provider block");
    assert_int_equal(find(f, "tcp://box"), 0);
    expect_one(f, NULL, "http://box:2375", "docker.host of the provider block");
    assert_int_equal(find(f, "tcp://[::1]:77/"), 0);
    expect_one(f, NULL, "http://[::1]:77", "docker.host of the provider block");
    assert_int_equal(find(f, "tcp://[::1]"), 0);
    expect_one(f, NULL, "http://[::1]:2375", "docker.host of the provider block");
    assert_int_equal(find(f, "https://box:1"), 0);
    expect_one(f, NULL, "https://box:1", "docker.host of the provider block");
    assert_int_equal(find(f, NULL), 0);
    expect_one(f, NULL, "http://elsewhere:1", "DOCKER_HOST");
}

static void test_tls(void **state) {
    struct fixture *f = *state;
    put_env(f, "DOCKER_HOST", "tcp://box");
    put_env(f, "DOCKER_TLS_VERIFY", "1");
    put_env(f, "DOCKER_CERT_PATH", f->home);
    tree_file(f->a, f->home, "ca.pem", "CA");
    tree_file(f->a, f->home, "cert.pem", "CERT");
    assert_int_equal(find(f, NULL), -ERR_NOT_FOUND); /* a certificate without its key */
    tree_file(f->a, f->home, "key.pem", "KEY");
    assert_int_equal(find(f, NULL), 0);
    expect_one(f, NULL, "https://box:2376", "DOCKER_HOST");
    assert_true(f->found.v[0].has_tls);
    assert_string_equal(f->found.v[0].tls.client_cert_pem, "CERT");
    assert_string_equal(secret_bytes(f->found.v[0].tls.client_key_pem), "KEY");
    assert_string_equal(f->found.v[0].tls.ca_file, fs_join(f->a, f->home, "ca.pem"));
}

static void test_bad_hosts(void **state) {
    struct fixture *f = *state;
    assert_int_equal(find(f, "ssh://me@box"), -ERR_UNSUPPORTED);
    assert_non_null(strstr(f->err.hint, "ssh -nNT -L"));
    assert_int_equal(find(f, "box:2375"), -ERR_INVALID);
    assert_int_equal(find(f, "unix://relative"), -ERR_INVALID);
    assert_int_equal(find(f, "tcp:///x"), -ERR_INVALID);
}

static void write_context(struct fixture *f, const char *name, const char *meta) {
    unsigned char digest[SHA256_LEN];
    char id[SHA256_HEX];
    sha256_once(name, strlen(name), digest);
    hex_encode(digest, sizeof digest, id);
    tree_file(f->a, f->home, arena_printf(f->a, ".docker/contexts/meta/%s/meta.json", id), meta);
}

static void test_docker_context(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->home, ".docker/config.json", "{\"auths\":{},\"currentContext\":\"colima\"}");
    assert_int_equal(find(f, NULL), -ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(&f->err), "\"colima\" doesn't exist"));
    write_context(f, "colima",
                  "{\"Name\":\"colima\",\"Endpoints\":{\"docker\":{\"Host\":\"unix:///c.sock\",\"SkipTLSVerify\":false}}}");
    assert_int_equal(find(f, NULL), 0);
    expect_one(f, "/c.sock", "http://docker", "the docker context colima");
    put_env(f, "DOCKER_CONTEXT", "default");
    assert_int_equal(find(f, NULL), 0);
    assert_false(f->found.asked_for);
}

static void test_broken_config(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->home, ".docker/config.json", "{");
    assert_true(find(f, NULL) < 0);
    assert_non_null(strstr(err_text(&f->err), "config.json"));
}

static void test_usual_sockets(void **state) {
    struct fixture *f = *state;
    put_env(f, "XDG_RUNTIME_DIR", "/run/user/77");
    tree_file(f->a, f->home, ".docker/config.json", "{\"currentContext\":\"default\"}");
    assert_int_equal(find(f, NULL), 0);
    assert_false(f->found.asked_for);
    assert_string_equal(f->found.v[0].socket, "/var/run/docker.sock");
    assert_string_equal(f->found.v[1].socket, "/run/user/77/docker.sock");
    assert_string_equal(f->found.v[f->found.n - 1].socket, "/run/podman/podman.sock");
    bool desktop = false;
    for (size_t i = 0; i < f->found.n; i++)
        desktop |= strcmp(f->found.v[i].socket, fs_join(f->a, f->home, ".docker/run/docker.sock")) == 0;
    assert_true(desktop);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_explicit),       CASE(test_tls),           CASE(test_bad_hosts),
        CASE(test_docker_context), CASE(test_broken_config), CASE(test_usual_sockets),
    };
    return cmocka_run_group_tests_name("docker_endpoint", tests, NULL, NULL);
}
