#pragma once

#include <stddef.h>
#include <stdint.h>

struct ctx;
struct err;
struct kube_config;
struct secret;

/* What a credential plugin gave (https://kubernetes.io/docs/reference/config-api/client-authentication.v1/). */
struct kube_exec_result {
    struct secret *token;
    char *cert_pem; /* mem_free */
    struct secret *key_pem;
    int64_t expires; /* ms since the epoch; 0: never */
};
void kube_exec_result_done(struct kube_exec_result *r);

/* Runs the plugin of c->exec: no shell, stdin empty, at most 60 s. What it writes to stderr is part of the error. */
int kube_exec_run(const struct kube_config *c, struct ctx *ctx, struct kube_exec_result *ret, struct err *err);

/* Runs a program; its stdout (at most max bytes) goes to *ret, the end of its stderr to stderr_tail. env: complete
 * "K=V" list. 0, or negative: not started, ended by a signal or another status than 0, too much output, cancelled. */
int kube_run_program(struct ctx *ctx, char *const *argv, char *const *env, size_t max, struct secret **ret, char **stderr_tail,
                     struct err *err);
