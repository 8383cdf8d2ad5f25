#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tf/resource.h"

struct aws;
struct builder_config;
struct ctx;
struct ecr;
struct err;
struct http;
struct kube;
struct oci;
struct oci_auth;
struct progress;

extern const struct tf_provider provider_gpudev;

/* provider/registry.c: one line each. */
extern const struct tf_resource *const provider_resources[];
extern const struct tf_data_source *const provider_data_sources[];

/* What a configured provider holds: immutable settings and clients that are opened by the first call which needs them
 * and shared by all resources. Every function may be called from any thread. */
struct provider_data;

struct http *provider_http(struct provider_data *p);

/* The ECR client of a region (NULL: the configured one). Fails with ERR_INVALID where no region is known; credentials
 * are looked up by its first request. */
int provider_ecr(struct provider_data *p, struct ctx *ctx, const char *region, struct ecr **ret, struct err *err);

/* The registry client; credentials of ECR hosts come from GetAuthorizationToken. */
struct oci *provider_oci(struct provider_data *p);

/* The same credentials for a builder. */
const struct oci_auth *provider_auth(struct provider_data *p);

const struct builder_config *provider_builder_config(const struct provider_data *p);

/* The cluster of the block's `kubernetes`; opened once, owned by p. 1: the block holds values that are known only at
 * apply (plan calls only). */
int provider_kube(struct provider_data *p, struct ctx *ctx, struct kube **ret, struct err *err);

/* A progress channel in the configured mode; never NULL. */
struct progress *provider_progress(struct provider_data *p, const char *title);
