#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "kube/kube.h"

/* Where a cluster is and how to get in, resolved from options, kubeconfig files or the pod's service account
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/). */
struct kube_config {
    struct arena *arena; /* owns the texts */
    const char *origin;  /* "context prod of /home/u/.kube/config", for messages */
    const char *server;  /* URL without a slash at its end */
    const char *ns;      /* the context's namespace, else "default" */
    const char *ca_pem, *tls_server_name, *proxy_url;
    struct secret *token;
    const char *token_file; /* beats token */
    const char *username;
    struct secret *password;
    const char *client_cert_pem;
    struct secret *client_key_pem;
    struct kube_exec exec; /* command NULL: none */
    const char *exec_hint; /* the kubeconfig's installHint */
    bool exec_cluster_info;
    const char *exec_cluster_config; /* JSON that provideClusterInfo hands on, or NULL */
    const char *as_user, *as_uid;    /* impersonation */
    struct strs as_groups;
    struct kv *as_extra;
    size_t n_as_extra;
};

int kube_config_resolve(const struct kube_options *o, struct kube_config *ret, struct err *err);
void kube_config_done(struct kube_config *c);

/* kubeconfig files (config_file.c): the values of one context, those of the first file that names a thing. context
 * NULL: current-context. 1: there is no context to be had (no file, or none with a current-context). */
struct kube_files {
    const char *const *paths;
    size_t n;
    bool must_exist; /* the user named them */
};
int kube_config_load(const struct kube_files *files, const char *context, struct kube_config *c, struct err *err);
/* The list of $KUBECONFIG, else ~/.kube/config, in the arena. */
struct kube_files kube_files_default(struct arena *a);

/* A file's content as a secret, at most max bytes; trim: without white space around it. */
struct secret *kube_read_secret(const char *path, size_t max, bool trim, struct err *err);
