#include "kube/exec.h"

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "kube/config.h"
#include "kube/when.h"

enum { TIMEOUT_MS = 60000, MAX_OUTPUT = 1 << 20 };

extern char **environ;

void kube_exec_result_done(struct kube_exec_result *r) {
    secret_unref(r->token);
    secret_unref(r->key_pem);
    mem_free(r->cert_pem);
    *r = (struct kube_exec_result){0};
}

static char *exec_info(const struct kube_config *c, struct arena *a) {
    AUTO_JSON struct json *info = json_obj();
    json_set_str(info, "apiVersion", c->exec.api_version);
    json_set_str(info, "kind", "ExecCredential");
    struct json *spec = json_set(info, "spec", json_obj());
    json_set_bool(spec, "interactive", false);
    if (c->exec_cluster_info) {
        struct json *cluster = json_set(spec, "cluster", json_obj());
        json_set_str(cluster, "server", c->server);
        json_set_str(cluster, "tls-server-name", c->tls_server_name);
        if (c->ca_pem) json_set_str(cluster, "certificate-authority-data", base64_encode(a, c->ca_pem, strlen(c->ca_pem)));
        json_set_str(cluster, "proxy-url", c->proxy_url);
        AUTO_JSON struct json *config = c->exec_cluster_config ? json_parse(c->exec_cluster_config, strlen(c->exec_cluster_config), NULL) : NULL;
        if (config) json_set(cluster, "config", json_copy(config));
    }
    return json_text(a, info);
}

static bool replaced(const struct kube_config *c, const char *entry) {
    size_t n = strcspn(entry, "=");
    if (n == strlen("KUBERNETES_EXEC_INFO") && strncmp(entry, "KUBERNETES_EXEC_INFO", n) == 0) return true;
    for (size_t i = 0; i < c->exec.n_env; i++)
        if (strlen(c->exec.env[i].key) == n && strncmp(c->exec.env[i].key, entry, n) == 0) return true;
    return false;
}

static char **make_env(const struct kube_config *c, struct arena *a) {
    struct strs env = {0};
    for (char **e = environ; e && *e; e++)
        if (!replaced(c, *e)) strs_add(a, &env, *e);
    for (size_t i = 0; i < c->exec.n_env; i++) strs_add(a, &env, arena_printf(a, "%s=%s", c->exec.env[i].key, c->exec.env[i].value));
    strs_add(a, &env, arena_printf(a, "KUBERNETES_EXEC_INFO=%s", exec_info(c, a)));
    strs_add(a, &env, NULL);
    return (char **) env.v;
}

static char **make_argv(const struct kube_exec *e, struct arena *a) {
    char **argv = arena_array(a, e->n_args + 2, sizeof *argv);
    argv[0] = arena_strdup(a, e->command);
    for (size_t i = 0; i < e->n_args; i++) argv[i + 1] = arena_strdup(a, e->args[i]);
    return argv;
}

static struct secret *take_secret(const struct json *obj, const char *key) {
    const char *s = json_get_str(obj, key);
    if (str_empty(s)) return NULL;
    struct secret *secret = secret_new(s, strlen(s));
    mem_wipe((char *) s, strlen(s)); /* the tree is freed unwiped */
    return secret;
}

static int take_status(const struct kube_config *c, const struct json *reply, struct kube_exec_result *ret, struct err *err) {
    const char *kind = json_get_str(reply, "kind"), *version = json_get_str(reply, "apiVersion");
    const struct json *status = json_get(reply, "status");
    if (!str_eq(kind, "ExecCredential")) return err_set(err, ERR_PROTOCOL, "its output is no ExecCredential");
    if (!str_eq(version, c->exec.api_version)) {
        return err_set(err, ERR_PROTOCOL, "it answers in %s, but is configured for %s", version ? version : "no api version",
                       c->exec.api_version);
    }
    ret->token = take_secret(status, "token");
    ret->key_pem = take_secret(status, "clientKeyData");
    const char *cert = json_get_str(status, "clientCertificateData"), *until = json_get_str(status, "expirationTimestamp");
    if (!str_empty(cert)) ret->cert_pem = mem_strdup(cert);
    if (!ret->token && !ret->cert_pem) return err_set(err, ERR_PROTOCOL, "its output has neither a token nor a client certificate");
    if (!ret->cert_pem != !ret->key_pem) return err_set(err, ERR_PROTOCOL, "its output has only one of client certificate and key");
    if (until) {
        ret->expires = kube_time_parse(until);
        if (ret->expires < 0) return err_set(err, ERR_PROTOCOL, "its expirationTimestamp is not a time");
    }
    return 0;
}

static int parse_reply(const struct kube_config *c, const struct secret *out, struct kube_exec_result *ret, struct err *err) {
    AUTO_JSON struct json *reply = json_parse(secret_bytes(out), secret_len(out), NULL);
    if (!reply) return err_set(err, ERR_PROTOCOL, "%s", secret_len(out) ? "its output is not JSON" : "it prints nothing");
    struct kube_exec_result r = {0};
    int rc = take_status(c, reply, &r, err);
    if (rc < 0)
        kube_exec_result_done(&r);
    else
        *ret = r;
    return rc;
}

int kube_exec_run(const struct kube_config *c, struct ctx *ctx, struct kube_exec_result *ret, struct err *err) {
    struct ctx limited = ctx_with_timeout(ctx, TIMEOUT_MS);
    AUTO_SECRET struct secret *out = NULL;
    char *tail = NULL;
    int r = kube_run_program(&limited, make_argv(&c->exec, ctx->arena), make_env(c, ctx->arena), MAX_OUTPUT, &out, &tail, err);
    if (!r) r = parse_reply(c, out, ret, err);
    if (!r) return 0;
    r = err_wrap(err, "credential plugin %s (%s)", c->exec.command, c->origin);
    if (r == -ERR_NOT_FOUND)
        err_hint(err, "%s", c->exec_hint ? c->exec_hint : "Install it, or put it into the PATH that OpenTofu runs with.");
    else if (r == -ERR_TIMEOUT)
        err_hint(err, "It must end within %d s and may ask nothing: there is no terminal.", TIMEOUT_MS / 1000);
    else if (r != -ERR_CANCELLED)
        err_hint(err, "Run it by hand with the same arguments; log in again if it says so.");
    if (!str_empty(tail)) err_detail(err, tail);
    return r;
}
