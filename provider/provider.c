/* The configured provider: immutable settings, and clients that the first call which needs them opens. */
#include "provider/provider.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "build/build.h"
#include "http/http.h"
#include "kube/kube.h"
#include "oci/oci.h"
#include "progress/progress.h"
#include "provider/config.h"

struct region_client {
    struct region_client *next;
    char *region; /* NULL: the configured one */
    struct ecr *ecr;
};

struct provider_data {
    struct arena *arena; /* of what kube_options and builder_config point to */
    struct http *http;
    struct aws *aws;
    struct oci *oci;
    struct oci_auth auth;
    struct builder_config builder;
    enum progress_mode progress;
    struct kube_options kube_options;
    bool kube_unknown; /* the block waits for another resource */
    pthread_mutex_t lock; /* of what follows */
    struct region_client *regions;
    struct kube *kube;
};

static char *keep(struct provider_data *p, struct tf_string s) { return s.state == TF_KNOWN ? arena_strdup(p->arena, s.v) : NULL; }

static struct secret *secret_of(struct tf_string s) { return s.state == TF_KNOWN ? secret_new(s.v, strlen(s.v)) : NULL; }

static const char *const *keep_all(struct provider_data *p, const struct tf_strings *s, size_t *ret_n) {
    const char **v = arena_array(p->arena, s->n, sizeof *v);
    *ret_n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].state == TF_KNOWN) v[(*ret_n)++] = keep(p, s->v[i]);
    return v;
}

static const struct kube_exec *take_exec(struct provider_data *p, const struct config_exec *c) {
    struct kube_exec *e = arena_alloc(p->arena, sizeof *e);
    *e = (struct kube_exec){.api_version = keep(p, c->api_version), .command = keep(p, c->command)};
    e->args = keep_all(p, &c->args, &e->n_args);
    struct kv *env = arena_array(p->arena, c->env.n, sizeof *env);
    for (size_t i = 0; i < c->env.n; i++) {
        if (c->env.v[i].value.state != TF_KNOWN) continue;
        env[e->n_env++] = (struct kv){arena_strdup(p->arena, c->env.v[i].key), keep(p, c->env.v[i].value)};
    }
    e->env = env;
    return e;
}

static bool kubernetes_unknown(const struct config_kubernetes *c) {
    const struct tf_string all[] = {c->config_path, c->context, c->host, c->token, c->cluster_ca_certificate, c->tls_server_name,
                                    c->proxy_url, c->client_certificate, c->client_key};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].state == TF_UNKNOWN) return true;
    const struct config_exec *e = c->exec.state == TF_KNOWN ? c->exec.v : NULL;
    return tf_strings_unknown(&c->config_paths) || c->in_cluster.state == TF_UNKNOWN || c->exec.state == TF_UNKNOWN ||
           (e && (e->api_version.state == TF_UNKNOWN || e->command.state == TF_UNKNOWN || tf_strings_unknown(&e->args) || tf_map_unknown(&e->env)));
}

static void take_kubernetes(struct provider_data *p, const struct tf_object *block) {
    if (block->state == TF_UNKNOWN) p->kube_unknown = true;
    if (block->state != TF_KNOWN) return;
    const struct config_kubernetes *c = block->v;
    struct kube_options *o = &p->kube_options;
    p->kube_unknown = kubernetes_unknown(c);
    if (c->config_path.state == TF_KNOWN) {
        const char **path = arena_alloc(p->arena, sizeof *path);
        *path = keep(p, c->config_path);
        o->config_paths = path;
        o->n_config_paths = 1;
    } else {
        o->config_paths = keep_all(p, &c->config_paths, &o->n_config_paths);
    }
    o->context = keep(p, c->context);
    o->in_cluster = c->in_cluster.state == TF_KNOWN && c->in_cluster.v;
    o->host = keep(p, c->host);
    o->ca_pem = keep(p, c->cluster_ca_certificate);
    o->tls_server_name = keep(p, c->tls_server_name);
    o->proxy_url = keep(p, c->proxy_url);
    o->token = secret_of(c->token);
    o->client_cert_pem = keep(p, c->client_certificate);
    o->client_key_pem = secret_of(c->client_key);
    if (c->exec.state == TF_KNOWN) o->exec = take_exec(p, c->exec.v);
}

static void take_aws(struct provider_data *p, const struct config *c) {
    AUTO_SECRET struct secret *key = secret_of(c->secret_key), *token = secret_of(c->session_token);
    const struct config_endpoints *e = c->endpoints.state == TF_KNOWN ? c->endpoints.v : NULL;
    struct aws_options o = {
        .region = tf_text(c->region),
        .profile = tf_text(c->profile),
        .access_key = tf_text(c->access_key),
        .secret_key = key,
        .session_token = token,
        .max_retries = c->max_retries.state == TF_KNOWN ? (int) c->max_retries.v : -1,
    };
    if (e) o.endpoints = (struct aws_endpoints){.ecr = tf_text(e->ecr), .sts = tf_text(e->sts)};
    struct http_sender sender = http_sender(p->http);
    p->aws = aws_new(&o, &sender);
}

static enum progress_mode progress_mode_of(const struct config *c) {
    const char *mode = tf_text(c->progress);
    if (!mode) mode = getenv("GPUDEV_PROGRESS");
    return str_eq(mode, "off") ? PROGRESS_OFF : PROGRESS_AUTO;
}

/* Credentials of ECR hosts, of any account and region that ours reach. Other registries are asked without any. */
static int auth_get(void *self, struct ctx *ctx, const char *host, bool renew, const char **ret_user, struct secret **ret_password,
                    struct err *err) {
    const char *account = NULL, *region = NULL;
    struct ecr *ecr = NULL;
    if (!ecr_parse_host(ctx->arena, host, &account, &region)) return 1;
    int r = provider_ecr(self, ctx, region, &ecr, err);
    return r < 0 ? r : ecr_auth(ecr, ctx, renew, ret_user, ret_password, err);
}

static void *configure(struct tf_req *req, const void *config) {
    (void) req;
    const struct config *c = config;
    struct provider_data *p = NEW(struct provider_data);
    p->arena = arena_new();
    pthread_mutex_init(&p->lock, NULL);
    p->http = http_new("terraform-provider-gpudev/" GPUDEV_VERSION);
    p->progress = progress_mode_of(c);
    take_aws(p, c);
    p->auth = (struct oci_auth){.get = auth_get, .self = p};
    struct http_sender sender = http_sender(p->http);
    p->oci = oci_new(&sender, &p->auth);
    if (c->docker.state == TF_KNOWN) p->builder.docker_host = keep(p, ((const struct config_docker *) c->docker.v)->host);
    take_kubernetes(p, &c->kubernetes);
    return p;
}

static void done(void *provider) {
    struct provider_data *p = provider;
    if (!p) return;
    kube_unref(p->kube);
    for (struct region_client *r = p->regions, *next; r; r = next) {
        next = r->next;
        ecr_free(r->ecr);
        mem_free(r->region);
        mem_free(r);
    }
    oci_free(p->oci);
    aws_free(p->aws);
    http_unref(p->http);
    secret_unref((struct secret *) p->kube_options.token);
    secret_unref((struct secret *) p->kube_options.client_key_pem);
    pthread_mutex_destroy(&p->lock);
    arena_free(p->arena);
    mem_free(p);
}

struct http *provider_http(struct provider_data *p) { return p->http; }

int provider_ecr(struct provider_data *p, struct ctx *ctx, const char *region, struct ecr **ret, struct err *err) {
    pthread_mutex_lock(&p->lock);
    struct region_client *found = p->regions;
    while (found && !str_eq(found->region, region)) found = found->next;
    int r = 0;
    struct ecr *ecr = NULL;
    if (!found && (r = ecr_open(p->aws, ctx, region, &ecr, err)) == 0) {
        found = NEW(struct region_client);
        *found = (struct region_client){.next = p->regions, .region = mem_strdup(region), .ecr = ecr};
        p->regions = found;
    }
    pthread_mutex_unlock(&p->lock);
    if (r == 0) *ret = found->ecr;
    return r;
}

struct oci *provider_oci(struct provider_data *p) { return p->oci; }

const struct oci_auth *provider_auth(struct provider_data *p) { return &p->auth; }

const struct builder_config *provider_builder_config(const struct provider_data *p) { return &p->builder; }

int provider_kube(struct provider_data *p, struct ctx *ctx, struct kube **ret, struct err *err) {
    (void) ctx;
    if (p->kube_unknown) return 1;
    pthread_mutex_lock(&p->lock);
    int r = p->kube ? 0 : kube_open(&p->kube_options, p->http, &p->kube, err);
    pthread_mutex_unlock(&p->lock);
    if (r == 0) *ret = p->kube;
    return r;
}

struct progress *provider_progress(struct provider_data *p, const char *title) { return progress_new(p->progress, title); }

const struct tf_provider provider_gpudev = {
    .table = {config_attrs, sizeof(struct config), NULL},
    .description = "Builds images where their sources are, puts them into ECR and rolls them out to Kubernetes.",
    .validate = config_validate,
    .configure = configure,
    .done = done,
    .resources = provider_resources,
    .data_sources = provider_data_sources,
};
