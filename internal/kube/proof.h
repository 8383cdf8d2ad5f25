#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct ctx;
struct json;
struct kube_outcome;
struct kube_view;
struct kube_wait;

/* Whether what runs is what was asked for. */

/* 10 s where a container has no readiness probe and there is no minReadySeconds: then "available" means no more than
 * "started". Else 0. */
int64_t kube_settle_default(const struct json *object);
/* Pods and restarts of the new revision as a text to compare; mem_free. */
char *kube_restarts_text(const struct kube_view *v);
/* The pods that the status counts as updated are there and ready, as far as we see. */
bool kube_pods_caught_up(const struct kube_view *v);
/* "3/5 updated, 2 pulling, 1 waiting for a node" */
char *kube_progress_text(const struct kube_view *v, struct arena *a);
/* Fills ret->digests. */
void kube_digests(const struct kube_view *v, struct arena *a, const struct kube_wait *w, struct kube_outcome *ret);
/* Compares them with the asked images; what isn't proven becomes a warning. */
void kube_prove(const struct kube_view *v, struct ctx *ctx, const struct kube_wait *w, struct kube_outcome *ret);
