#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct ctx;
struct err;
struct http;
struct http_sender;
struct json;
struct secret;

/* A Kubernetes API server: where it is, how to prove who we are, and requests to it. One struct kube is shared by all
 * resources of a provider configuration; every function may be called from any thread. Certificates are always
 * verified. */
struct kube;

struct kube_exec {           /* a credential plugin, client.authentication.k8s.io */
    const char *api_version; /* …/v1 or …/v1beta1 */
    const char *command;     /* with a slash: a path, else looked up in PATH; run without a shell */
    const char *const *args;
    size_t n_args;
    const struct kv *env; /* added to the environment */
    size_t n_env;
};

/* Bearer tokens made by somebody else (EKS). get is called for every request and should cache; refresh: the last
 * token was refused (401), make a new one. The token's reference goes to the caller. */
struct kube_token_source {
    int (*get)(void *self, struct ctx *ctx, bool refresh, struct secret **ret, struct err *err);
    void (*free)(void *self); /* called by kube_unref; may be NULL */
    void *self;
};

/* What the user configured. Everything is copied. NULL and zero mean "not given".
 *
 * Nothing given: $KUBECONFIG, ~/.kube/config, else in-cluster. `host` alone: no kubeconfig is read. `config_paths` or
 * `context`: the kubeconfig's values, each overridden by what else is given here; any credential given here replaces
 * all of the kubeconfig's. */
struct kube_options {
    const char *const *config_paths; /* merged as a KUBECONFIG list; "~/" is expanded; each must exist */
    size_t n_config_paths;
    const char *context;
    bool in_cluster;  /* the pod's service account, nothing else */
    const char *host; /* URL, or host[:port] for https */
    const char *ca_pem;
    const char *tls_server_name;
    const char *proxy_url;
    const struct secret *token;
    const char *username;
    const struct secret *password;
    const char *client_cert_pem;
    const struct secret *client_key_pem;
    const struct kube_exec *exec;
    struct kube_token_source token_source;
};

/* Reads files, does no request. Errors: ERR_NOT_FOUND (no such file, context, cluster, user), ERR_INVALID. */
int kube_open(const struct kube_options *o, struct http *http, struct kube **ret, struct err *err);
/* The same with a function in the place of HTTP. */
int kube_open_sender(const struct kube_options *o, struct http_sender sender, struct kube **ret, struct err *err);
struct kube *kube_ref(struct kube *k);
void kube_unref(struct kube *k);
static inline void kube_unref_p(struct kube **k) { kube_unref(*k); }
#define AUTO_KUBE __attribute__((cleanup(kube_unref_p)))

const char *kube_server(const struct kube *k);    /* the URL, for messages */
const char *kube_namespace(const struct kube *k); /* the context's, else "default" */

/* --- requests --- */

struct kube_request {
    const char *method; /* NULL: GET */
    const char *path;   /* "/apis/apps/v1/…?query", already encoded */
    const char *content_type;
    const char *body; /* NULL: none */
    size_t max_body;  /* cap of the reply; 0: 64 MiB */
};

struct kube_cause {
    const char *reason, *message, *field;
};

/* Texts live in ctx->arena and are cleaned. Filled as far as known also when the call failed. */
struct kube_reply {
    int status;        /* HTTP; 0: no reply came */
    struct json *json; /* NULL unless the body is JSON; owned */
    const char *text;  /* the body as it came */
    size_t text_len;
    const char *reason, *message; /* of a Status */
    const struct kube_cause *causes;
    size_t n_causes;
    struct strs warnings; /* of the Warning headers */
};
void kube_reply_done(struct kube_reply *r);
#define AUTO_KUBE_REPLY __attribute__((cleanup(kube_reply_done)))

/* Sends with credentials, refreshed once upon 401; waits and repeats upon 429 and, for a few tries, when the server
 * can't be reached. Any status but 2xx is an error with its code. */
int kube_send(struct kube *k, struct ctx *ctx, const struct kube_request *req, struct kube_reply *ret, struct err *err);

/* GET of one object: 0 with *ret (json_free), 1 if it isn't there. */
int kube_get(struct kube *k, struct ctx *ctx, const char *path, struct json **ret, struct err *err);

/* The last lines of a container's log, cleaned, in the arena; NULL when the server has none to give. Never fails for
 * want of a right: logs help, they are not needed. */
char *kube_logs(struct kube *k, struct ctx *ctx, const char *ns, const char *pod, const char *container, bool previous, int lines);

/* --- workloads --- */

enum kube_kind { KUBE_DEPLOYMENT, KUBE_STATEFUL_SET, KUBE_DAEMON_SET };

struct kube_workload {
    enum kube_kind kind;
    const char *ns;
    const char *name;
};

const char *kube_kind_name(enum kube_kind kind);   /* "Deployment" */
const char *kube_kind_plural(enum kube_kind kind); /* "deployments" */
/* As kubectl spells it (deployment, deploy, deployments.apps, sts …) or as the attribute (stateful_set); any case. */
int kube_kind_parse(const char *text, enum kube_kind *ret);
/* "deployment ns/name" for messages. */
char *kube_workload_text(struct arena *a, const struct kube_workload *w);
char *kube_workload_path(struct arena *a, const struct kube_workload *w);
