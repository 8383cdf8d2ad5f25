#include "provider/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tf/resource.h"

static const char *check_url(struct arena *a, const char *text) {
    if (str_starts(text, "https://") || str_starts(text, "http://")) return NULL;
    return arena_printf(a, "\"%s\" is not an http:// or https:// URL.", text);
}

static const char *check_docker_host(struct arena *a, const char *text) {
    if (str_starts(text, "unix://") || str_starts(text, "tcp://")) return NULL;
    return arena_printf(a, "\"%s\" is neither unix:///PATH nor tcp://HOST:PORT.", text);
}

static const char *check_progress(struct arena *a, const char *text) {
    return str_eq(text, "auto") || str_eq(text, "off") ? NULL : arena_printf(a, "\"%s\" is neither \"auto\" nor \"off\".", text);
}

static const char *check_region(struct arena *a, const char *text) {
    size_t n = strlen(text);
    if (n && n < 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && strchr(text, '-')) return NULL;
    return arena_printf(a, "\"%s\" is not the name of an AWS region, such as \"us-east-2\".", text);
}

static const char *check_retries(struct arena *a, const char *text) {
    long n = strtol(text, NULL, 10);
    return n >= 0 && n <= 100 ? NULL : arena_printf(a, "%s is not a number of retries from 0 to 100.", text);
}

static const char *check_exec_version(struct arena *a, const char *text) {
    if (str_eq(text, "client.authentication.k8s.io/v1") || str_eq(text, "client.authentication.k8s.io/v1beta1")) return NULL;
    return arena_printf(a, "\"%s\" is neither \"client.authentication.k8s.io/v1\" nor \"client.authentication.k8s.io/v1beta1\".", text);
}

#define AT(field) offsetof(struct config_endpoints, field)
static const struct tf_attr endpoint_attrs[] = {
    {"ecr", TF_STRING, TF_OPTIONAL, AT(ecr), "URL of the ECR API.", .check = check_url},
    {"sts", TF_STRING, TF_OPTIONAL, AT(sts), "URL of the STS API.", .check = check_url},
    {0},
};
static const struct tf_table endpoints_table = {endpoint_attrs, sizeof(struct config_endpoints), NULL};
#undef AT

#define AT(field) offsetof(struct config_docker, field)
static const struct tf_attr docker_attrs[] = {
    {"host", TF_STRING, TF_OPTIONAL, AT(host),
     "The engine: `unix:///var/run/docker.sock` or `tcp://HOST:PORT`. Default: `DOCKER_HOST`, docker's current context, the usual sockets.",
     .check = check_docker_host},
    {0},
};
static const struct tf_table docker_table = {docker_attrs, sizeof(struct config_docker), NULL};
#undef AT

#define AT(field) offsetof(struct config_exec, field)
static const struct tf_attr exec_attrs[] = {
    {"api_version", TF_STRING, TF_REQUIRED, AT(api_version), "`client.authentication.k8s.io/v1` or `…/v1beta1`.", .check = check_exec_version},
    {"command", TF_STRING, TF_REQUIRED, AT(command), "The program; run without a shell."},
    {"args", TF_LIST_STRING, TF_OPTIONAL, AT(args), "Its arguments."},
    {"env", TF_MAP_STRING, TF_OPTIONAL, AT(env), "Variables added to its environment."},
    {0},
};
static const struct tf_table exec_table = {exec_attrs, sizeof(struct config_exec), NULL};
#undef AT

#define AT(field) offsetof(struct config_kubernetes, field)
static const struct tf_attr kubernetes_attrs[] = {
    {"config_path", TF_STRING, TF_OPTIONAL, AT(config_path), "A kubeconfig. Default: `KUBECONFIG`, then `~/.kube/config`, then the pod's service account.",
     .conflicts = "config_paths host in_cluster"},
    {"config_paths", TF_LIST_STRING, TF_OPTIONAL, AT(config_paths), "Several kubeconfigs, merged as `KUBECONFIG` merges them.",
     .conflicts = "host in_cluster"},
    {"context", TF_STRING, TF_OPTIONAL, AT(context), "The kubeconfig's context. Default: its current one.", .conflicts = "host in_cluster"},
    {"host", TF_STRING, TF_OPTIONAL, AT(host), "URL of the API server, used without any kubeconfig.", .conflicts = "in_cluster"},
    {"token", TF_STRING, TF_OPTIONAL | TF_SENSITIVE, AT(token), "Bearer token."},
    {"cluster_ca_certificate", TF_STRING, TF_OPTIONAL, AT(cluster_ca_certificate), "PEM of the authority that the server's certificate is verified by."},
    {"tls_server_name", TF_STRING, TF_OPTIONAL, AT(tls_server_name), "The name that the server's certificate must have, if not the host's."},
    {"proxy_url", TF_STRING, TF_OPTIONAL, AT(proxy_url), "Proxy for this cluster (`http://`, `https://`, `socks5://`)."},
    {"client_certificate", TF_STRING, TF_OPTIONAL, AT(client_certificate), "PEM of the client certificate."},
    {"client_key", TF_STRING, TF_OPTIONAL | TF_SENSITIVE, AT(client_key), "PEM of its key."},
    {"in_cluster", TF_BOOL, TF_OPTIONAL, AT(in_cluster), "Use the service account of the pod that OpenTofu runs in."},
    {"exec", TF_OBJECT, TF_OPTIONAL, AT(exec), "A credential plugin, such as `aws eks get-token`.", .nested = &exec_table},
    {0},
};
static const struct tf_table kubernetes_table = {kubernetes_attrs, sizeof(struct config_kubernetes), NULL};
#undef AT

#define AT(field) offsetof(struct config, field)
const struct tf_attr config_attrs[] = {
    {"region", TF_STRING, TF_OPTIONAL, AT(region), "AWS region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's.", .check = check_region},
    {"profile", TF_STRING, TF_OPTIONAL, AT(profile),
     "Profile of the shared AWS files. Wins over keys in the environment. Default: `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default`."},
    {"access_key", TF_STRING, TF_OPTIONAL, AT(access_key), "AWS access key id. Better given by environment or profile."},
    {"secret_key", TF_STRING, TF_OPTIONAL | TF_SENSITIVE, AT(secret_key), "AWS secret access key."},
    {"token", TF_STRING, TF_OPTIONAL | TF_SENSITIVE, AT(session_token), "AWS session token."},
    {"endpoints", TF_OBJECT, TF_OPTIONAL, AT(endpoints), "Other URLs of AWS APIs. They win over `AWS_ENDPOINT_URL_ECR`, `AWS_ENDPOINT_URL` and the profile's.",
     .nested = &endpoints_table},
    {"max_retries", TF_INT, TF_OPTIONAL, AT(max_retries), "How often a request to AWS is tried again. Default: 2.", .check = check_retries},
    {"docker", TF_OBJECT, TF_OPTIONAL, AT(docker), "The Docker Engine that builds.", .nested = &docker_table},
    {"kubernetes", TF_OBJECT, TF_OPTIONAL, AT(kubernetes), "The cluster that `gpudev_rollout` works on.", .nested = &kubernetes_table},
    {"progress", TF_STRING, TF_OPTIONAL, AT(progress),
     "`auto`: lines on the controlling terminal while builds and rollouts run; `off`: none. Default: `GPUDEV_PROGRESS`, `auto`.", .check = check_progress},
    {0},
};
#undef AT

static bool set(struct tf_string s) { return s.state != TF_NULL; }

void config_validate(struct tf_req *req, struct tf_validate *v) {
    const struct config *c = v->config;
    if (set(c->access_key) != set(c->secret_key))
        tf_error(req->diags, set(c->access_key) ? "access_key" : "secret_key", "Half a key",
                 "access_key and secret_key belong together: set both, or neither and let the environment or a profile give them.");
    if (set(c->session_token) && !set(c->access_key))
        tf_error(req->diags, "token", "A token without a key", "token is the session token of access_key and secret_key: set them too, or leave it out.");
    const struct config_kubernetes *k = c->kubernetes.state == TF_KNOWN ? c->kubernetes.v : NULL;
    if (k && set(k->client_certificate) != set(k->client_key))
        tf_error(req->diags, "kubernetes", "Half a client certificate", "client_certificate and client_key belong together: set both, or neither.");
    if (k && (set(k->token) + set(k->client_certificate) + (k->exec.state != TF_NULL)) > 1)
        tf_error(req->diags, "kubernetes", "Several credentials", "Set one of token, client_certificate with client_key, and exec.");
}
