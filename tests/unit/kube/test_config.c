#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "kube/config.h"

static char dir[] = "/tmp/gpudev-kube.XXXXXX";
static struct arena *arena;

static const char *put(const char *name, const char *text) {
    const char *path = fs_join(arena, dir, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
    return path;
}

static int resolve_files(const char *const *paths, size_t n, const char *context, struct kube_config *c, struct err *err) {
    struct kube_options o = {.config_paths = paths, .n_config_paths = n, .context = context};
    return kube_config_resolve(&o, c, err);
}

#define PEM "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
#define PEM64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCng="
static const char first[] = "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
                            "clusters:\n- name: ca\n  cluster: {server: 'https://one:6443/base/', certificate-authority: ca.pem}\n"
                            "contexts:\n- name: a\n  context: {cluster: ca, user: ua, namespace: shop}\n"
                            "- name: b\n  context: {cluster: cb, user: ub}\n"
                            "- {name: lost, context: {cluster: nowhere}}\n"
                            "users:\n- name: ua\n  user: {token: 12345, tokenFile: tok, as: root, as-groups: [g1, g2], as-user-extra: {k: [v, w]}}\n";
static const char second[] = "current-context: b\nclusters:\n- name: cb\n  cluster: {server: '10.0.0.1:6443', tls-server-name: k8s, "
                             "proxy-url: 'socks5://p:1', certificate-authority-data: " PEM64 "}\n"
                             "- name: ca\n  cluster: {server: 'https://never'}\n"
                             "users:\n- name: ub\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./plugin\n"
                             "      args: [a, b]\n      env: [{name: X, value: 1}]\n      provideClusterInfo: true\n      interactiveMode: IfAvailable\n";

static void test_merge(void **state) {
    (void) state;
    put("ca.pem", PEM);
    const char *paths[] = {put("one", first), put("two", second)};
    struct kube_config c;
    AUTO_ERR struct err err = {0};
    assert_int_equal(resolve_files(paths, 2, NULL, &c, &err), 0);
    assert_string_equal(c.server, "https://one:6443/base");
    assert_string_equal(c.ns, "shop");
    assert_string_equal(c.ca_pem, PEM);
    assert_string_equal(secret_bytes(c.token), "12345");
    assert_string_equal(c.token_file, fs_join(arena, dir, "tok"));
    assert_string_equal(c.as_user, "root");
    assert_int_equal(c.as_groups.n, 2);
    assert_int_equal(c.n_as_extra, 2);
    assert_string_equal(c.as_extra[1].value, "w");
    kube_config_done(&c);
    assert_int_equal(resolve_files(paths, 2, "b", &c, &err), 0);
    assert_string_equal(c.server, "https://10.0.0.1:6443");
    assert_string_equal(c.tls_server_name, "k8s");
    assert_string_equal(c.proxy_url, "socks5://p:1");
    assert_string_equal(c.exec.command, fs_join(arena, dir, "./plugin"));
    assert_int_equal(c.exec.n_args, 2);
    assert_string_equal(c.exec.env[0].value, "1");
    assert_true(c.exec_cluster_info);
    assert_string_equal(c.ns, "default");
    kube_config_done(&c);
}

static void refused(const char *text, const char *context, enum err_code code, const char *part) {
    const char *paths[] = {put("bad", text)};
    struct kube_config c;
    AUTO_ERR struct err err = {0};
    assert_int_equal(resolve_files(paths, 1, context, &c, &err), -(int) code);
    const char *all = arena_printf(arena, "%s|%s", err_text(&err), err.hint ? err.hint : "");
    if (!strstr(all, part)) fail_msg("\"%s\" is not in \"%s\"", part, all);
}

#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://h'}}]\n"

static void test_refusals(void **state) {
    (void) state;
    refused("a: [", NULL, ERR_INVALID, "bad");
    refused("- a\n", NULL, ERR_INVALID, "not a kubeconfig");
    refused("", NULL, ERR_NOT_FOUND, "no current-context");
    refused(CONTEXT CLUSTER, NULL, ERR_NOT_FOUND, "no user \"u\"");
    refused(CONTEXT "clusters: [{name: c, cluster: {}}]\n", NULL, ERR_INVALID, "no server");
    refused(CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', insecure-skip-tls-verify: true}}]\n", NULL, ERR_INVALID,
            "always verified");
    refused(CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: x, certificate-authority-data: y}}]\n", NULL,
            ERR_INVALID, "both certificate-authority");
    refused(CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: '*'}}]\n", NULL, ERR_INVALID, "not base64");
    refused(CONTEXT "clusters: [{name: c, cluster: {server: 'ftp://h'}}]\nusers: [{name: u, user: {}}]\n", NULL, ERR_INVALID, "no address");
    refused(CONTEXT CLUSTER "users: [{name: u, user: {client-certificate-data: " PEM64 "}}]\n", NULL, ERR_INVALID, "no client key");
    refused(CONTEXT CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n", NULL, ERR_UNSUPPORTED, "auth-provider");
    refused(CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}}]\n", NULL,
            ERR_INVALID, "v1alpha1 was removed");
    refused(CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: x, interactiveMode: Always}}}]\n", NULL, ERR_INVALID, "needs a terminal");
    refused(CONTEXT CLUSTER "users: [{name: u, user: {exec: {}}}]\n", NULL, ERR_INVALID, "no command");
    const char *missing[] = {"/nowhere/config"};
    struct kube_config c;
    AUTO_ERR struct err err = {0};
    assert_int_equal(resolve_files(missing, 1, NULL, &c, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(&err), "/nowhere/config"));
}

static void test_options_override(void **state) {
    (void) state;
    put("ca.pem", PEM);
    const char *paths[] = {put("one", first)};
    AUTO_SECRET struct secret *token = secret_new("mine", 4);
    struct kube_options o = {.config_paths = paths, .n_config_paths = 1, .host = "h", .token = token, .proxy_url = "http://p"};
    struct kube_config c;
    AUTO_ERR struct err err = {0};
    assert_int_equal(kube_config_resolve(&o, &c, &err), 0);
    assert_string_equal(c.server, "https://h");
    assert_string_equal(c.ca_pem, PEM);
    assert_string_equal(secret_bytes(c.token), "mine");
    assert_null(c.token_file);
    kube_config_done(&c);
    /* A host alone reads no file, whatever the environment says. */
    setenv("KUBECONFIG", "/nowhere/config", 1);
    o = (struct kube_options){.host = "https://[::1]:6443"};
    assert_int_equal(kube_config_resolve(&o, &c, &err), 0);
    assert_string_equal(c.server, "https://[::1]:6443");
    assert_null(c.token);
    kube_config_done(&c);
    o.client_cert_pem = PEM;
    assert_int_equal(kube_config_resolve(&o, &c, &err), -ERR_INVALID);
}

static void test_environment(void **state) {
    (void) state;
    struct kube_options none = {0};
    struct kube_config c;
    AUTO_ERR struct err err = {0};
    put("ca.pem", PEM);
    setenv("KUBECONFIG", arena_printf(arena, "/nowhere/x::%s", put("one", first)), 1);
    assert_int_equal(kube_config_resolve(&none, &c, &err), 0);
    assert_string_equal(c.server, "https://one:6443/base");
    kube_config_done(&c);
    setenv("KUBECONFIG", "/nowhere/x", 1);
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kube_config_resolve(&none, &c, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(&err), "no cluster is configured"));
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    setenv("GPUDEV_SERVICE_ACCOUNT_DIR", dir, 1);
    put("token", " abc\n");
    put("ca.crt", PEM);
    put("namespace", "pods\n");
    assert_int_equal(kube_config_resolve(&none, &c, &err), 0);
    assert_string_equal(c.server, "https://[fd00::1]:443");
    assert_string_equal(c.ns, "pods");
    assert_string_equal(c.token_file, fs_join(arena, dir, "token"));
    kube_config_done(&c);
}

static void test_missing_ca(void **state) {
    (void) state;
    unlink(fs_join(arena, dir, "ca.pem"));
    refused(first, "a", ERR_NOT_FOUND, "ca.pem");
}

static void test_unknown_names(void **state) {
    (void) state;
    put("ca.pem", PEM);
    refused(first, "nobody", ERR_NOT_FOUND, "contexts there: a, b, lost");
    refused(first, "lost", ERR_NOT_FOUND, "no cluster \"nowhere\"");
}

static int set_up(void **state) {
    (void) state;
    arena = arena_new();
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
    (void) state;
    static const char *const names[] = {"one", "two", "bad", "ca.pem", "token", "ca.crt", "namespace"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) unlink(fs_join(arena, dir, names[i]));
    rmdir(dir);
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),         cmocka_unit_test(test_unknown_names), cmocka_unit_test(test_missing_ca),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_options_override), cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
