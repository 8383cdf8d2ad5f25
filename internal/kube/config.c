#include "kube/config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"

/* The pod's own account: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static bool is_in_cluster(void) {
    return !str_empty(getenv("KUBERNETES_SERVICE_HOST")) && !str_empty(getenv("KUBERNETES_SERVICE_PORT"));
}

static int take_in_cluster(struct kube_config *c, struct err *err) {
    if (!is_in_cluster()) {
        return err_set(err, ERR_INVALID, "not inside of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    }
    /* The variable is there for tests of what runs in a pod; in one it isn't set. */
    const char *dir = getenv("GPUDEV_SERVICE_ACCOUNT_DIR"), *host = getenv("KUBERNETES_SERVICE_HOST");
    if (str_empty(dir)) dir = ACCOUNT_DIR;
    c->origin = "the pod's service account";
    c->server = arena_printf(c->arena, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, getenv("KUBERNETES_SERVICE_PORT"));
    c->token_file = fs_join(c->arena, dir, "token");
    AUTO_SECRET struct secret *token = kube_read_secret(c->token_file, 1 << 20, true, err);
    if (!token) return err_wrap(err, "in-cluster credentials");
    AUTO_SECRET struct secret *ca = kube_read_secret(fs_join(c->arena, dir, "ca.crt"), 1 << 20, false, err);
    if (!ca) return err_wrap(err, "in-cluster credentials");
    c->ca_pem = arena_strdup(c->arena, secret_bytes(ca));
    AUTO_SECRET struct secret *ns = kube_read_secret(fs_join(c->arena, dir, "namespace"), 1000, true, NULL);
    if (ns && secret_len(ns)) c->ns = arena_strdup(c->arena, secret_bytes(ns));
    return 0;
}

static int nothing_found(const struct kube_files *files, struct err *err) {
    int r = err_set(err, ERR_NOT_FOUND, "no cluster is configured: %s %s", files->n ? files->paths[0] : "$KUBECONFIG",
                    files->n > 1 ? "and the other files of $KUBECONFIG have no current-context" : "has no current-context or isn't there");
    err_hint(err, "Set kubernetes = { config_path = …, context = … } (or eks_cluster, or host and token) in the provider block, or "
                  "KUBECONFIG in the environment.");
    return r;
}

static int take_files(const struct kube_options *o, struct kube_config *c, struct err *err) {
    struct kube_files files;
    if (o->n_config_paths) {
        const char **paths = arena_array(c->arena, o->n_config_paths, sizeof *paths);
        for (size_t i = 0; i < o->n_config_paths; i++)
            paths[i] = fs_abs(c->arena, fs_expand_home(c->arena, o->config_paths[i]));
        files = (struct kube_files){.paths = paths, .n = o->n_config_paths, .must_exist = true};
    } else {
        files = kube_files_default(c->arena);
    }
    int r = kube_config_load(&files, o->context, c, err);
    if (r <= 0) return r;
    if (o->host) return 0; /* a cluster is given without the file */
    if (!o->n_config_paths && is_in_cluster()) return take_in_cluster(c, err);
    return nothing_found(&files, err);
}

static bool has_credentials(const struct kube_options *o) {
    return o->token || o->username || o->client_cert_pem || o->exec || o->token_source.get;
}

static void drop_credentials(struct kube_config *c) {
    secret_unref(TAKE_PTR(c->token));
    secret_unref(TAKE_PTR(c->password));
    secret_unref(TAKE_PTR(c->client_key_pem));
    c->token_file = c->username = c->client_cert_pem = NULL;
    c->exec = (struct kube_exec){0};
    c->exec_hint = NULL;
}

static void copy_exec(struct kube_config *c, const struct kube_exec *e) {
    struct arena *a = c->arena;
    const char **args = arena_array(a, e->n_args + 1, sizeof *args);
    struct kv *env = arena_array(a, e->n_env + 1, sizeof *env);
    for (size_t i = 0; i < e->n_args; i++) args[i] = arena_strdup(a, e->args[i]);
    for (size_t i = 0; i < e->n_env; i++) env[i] = (struct kv){arena_strdup(a, e->env[i].key), arena_strdup(a, e->env[i].value)};
    c->exec = (struct kube_exec){
        .api_version = arena_strdup(a, e->api_version), .command = arena_strdup(a, e->command),
        .args = args, .n_args = e->n_args, .env = env, .n_env = e->n_env,
    };
}

static int override(const struct kube_options *o, struct kube_config *c, struct err *err) {
    struct arena *a = c->arena;
    if (o->host) c->server = arena_strdup(a, o->host);
    if (o->ca_pem) c->ca_pem = arena_strdup(a, o->ca_pem);
    if (o->tls_server_name) c->tls_server_name = arena_strdup(a, o->tls_server_name);
    if (o->proxy_url) c->proxy_url = arena_strdup(a, o->proxy_url);
    if (!has_credentials(o)) return 0;
    if (!o->client_cert_pem != !o->client_key_pem)
        return err_set(err, ERR_INVALID, "a client certificate needs its key, and a key its certificate");
    drop_credentials(c);
    c->token = secret_ref(o->token);
    c->username = arena_strdup(a, o->username);
    c->password = secret_ref(o->password);
    c->client_cert_pem = arena_strdup(a, o->client_cert_pem);
    c->client_key_pem = secret_ref(o->client_key_pem);
    if (o->exec) copy_exec(c, o->exec);
    return 0;
}

static int check_server(struct kube_config *c, struct err *err) {
    struct arena *a = c->arena;
    const char *s = c->server;
    if (!strstr(s, "://")) s = arena_printf(a, "https://%s", s);
    const char *rest = strstr(s, "://") + 3;
    if ((strncasecmp(s, "https://", 8) != 0 && strncasecmp(s, "http://", 7) != 0) || strcspn(rest, "/ \t?#@") == 0 ||
        strpbrk(rest, " \t?#@\r\n"))
        return err_set(err, ERR_INVALID, "\"%s\" is no address of an API server; it should look like https://10.0.0.1:6443", c->server);
    char *copy = arena_strdup(a, s);
    size_t n = strlen(copy);
    while (n && copy[n - 1] == '/') copy[--n] = 0;
    c->server = copy;
    return 0;
}

static int check_exec(const struct kube_config *c, struct err *err) {
    if (!c->exec.command) return 0;
    const char *v = c->exec.api_version;
    if (str_eq(v, "client.authentication.k8s.io/v1") || str_eq(v, "client.authentication.k8s.io/v1beta1")) return 0;
    int r = err_set(err, ERR_INVALID, "%s: the credential plugin %s has api version \"%s\"", c->origin, c->exec.command, v ? v : "");
    err_hint(err, "It must be client.authentication.k8s.io/v1 or /v1beta1; v1alpha1 was removed. Write the kubeconfig again with a newer "
                  "version of your cloud's tool.");
    return r;
}

static int resolve(const struct kube_options *o, struct kube_config *c, struct err *err) {
    bool files = o->n_config_paths || o->context || (!o->host && !o->in_cluster);
    int r = o->in_cluster ? take_in_cluster(c, err) : files ? take_files(o, c, err) : 0;
    if (!r) r = override(o, c, err);
    if (r < 0) return r;
    if (!c->origin) c->origin = "the provider's configuration";
    if (!c->ns) c->ns = "default";
    r = check_server(c, err);
    return r < 0 ? r : check_exec(c, err);
}

int kube_config_resolve(const struct kube_options *o, struct kube_config *ret, struct err *err) {
    struct kube_config c = {.arena = arena_new()};
    int r = resolve(o, &c, err);
    if (r < 0)
        kube_config_done(&c);
    else
        *ret = c;
    return r;
}

void kube_config_done(struct kube_config *c) {
    if (!c) return;
    secret_unref(c->token);
    secret_unref(c->password);
    secret_unref(c->client_key_pem);
    arena_free(c->arena);
    *c = (struct kube_config){0};
}
