#include "aws/aws.h"

#include <stdlib.h>

#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"

static const char *process_env(void *self, const char *name) {
    (void) self;
    return getenv(name);
}

const char *aws_env(const struct aws *a, const char *name) {
    const char *value = a->getenv(a->getenv_self, name);
    return str_empty(value) ? NULL : value;
}

static double random_unit(void) {
    uint32_t n;
    random_bytes(&n, sizeof n);
    return n / 4294967296.0;
}

static int half_given(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) self;
    (void) ctx;
    (void) ret;
    int r = err_set(err, ERR_INVALID, "the provider block has one of access_key and secret_key, but not the other");
    err_hint(err, "Set both, or neither.");
    return r;
}

static struct cred_source source_of(struct aws *a, const struct aws_options *opt) {
    bool key = !str_empty(opt->access_key), secret = secret_len(opt->secret_key) > 0;
    if (key != secret) return (struct cred_source){.get = half_given};
    return key ? cred_static(opt->access_key, opt->secret_key, secret_len(opt->session_token) ? opt->session_token : NULL,
                             "the provider block")
               : cred_default(a);
}

static char *copy(const char *s) { return str_empty(s) ? NULL : mem_strdup(s); }

struct aws *aws_new(const struct aws_options *opt, const struct http_sender *http) {
    struct aws *a = NEW(struct aws);
    a->region = copy(opt->region);
    a->profile = copy(opt->profile);
    a->ecr_endpoint = copy(opt->endpoints.ecr);
    a->sts_endpoint = copy(opt->endpoints.sts);
    a->eks_endpoint = copy(opt->endpoints.eks);
    a->max_retries = opt->max_retries;
    a->getenv = opt->getenv ? opt->getenv : process_env;
    a->getenv_self = opt->getenv_self;
    a->http = *http;
    a->random = random_unit;
    pthread_mutex_init(&a->lock, NULL);
    waiter_init(&a->token_wait);
    a->creds = cred_cache(source_of(a, opt));
    return a;
}

static void tokens_free(struct registry_token *t) {
    for (struct registry_token *next; t; t = next) {
        next = t->next;
        mem_free(t->region);
        mem_free(t->user);
        secret_unref(t->password);
        mem_free(t);
    }
}

void aws_free(struct aws *a) {
    if (!a) return;
    a->creds.free(a->creds.self);
    tokens_free(a->tokens);
    aws_config_free(a->config);
    mem_free(a->region);
    mem_free(a->profile);
    mem_free(a->ecr_endpoint);
    mem_free(a->sts_endpoint);
    mem_free(a->eks_endpoint);
    waiter_done(&a->token_wait);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}

int aws_region(struct aws *a, struct ctx *ctx, const char **ret, struct err *err) {
    const char *region = a->region;
    if (!region) region = aws_env(a, "AWS_REGION");
    if (!region) region = aws_env(a, "AWS_DEFAULT_REGION");
    if (!region) {
        const struct aws_config *c;
        int r = aws_config(a, ctx, &c, err);
        if (r < 0) return r;
        region = c->region;
    }
    *ret = arena_strdup(ctx->arena, region);
    return 0;
}
