#pragma once

struct ctx;
struct err;
struct kube_config;
struct kube_token_source;
struct secret;

/* What proves who we are, made once and made again when it expires or is refused: static values, a token file (read
 * again each minute), a plugin, or a source of tokens. Thread-safe; one thread at a time runs a plugin, the others
 * wait for it. */
struct kube_credential;

/* config is borrowed and must outlive it. */
struct kube_credential *kube_credential_new(const struct kube_config *config, struct kube_token_source source);
void kube_credential_free(struct kube_credential *c);

struct kube_identity {
    struct secret *bearer;
    struct secret *basic;     /* base64 of user:password */
    const char *cert_pem;     /* in ctx->arena, or the config's */
    struct secret *key_pem;
};
void kube_identity_done(struct kube_identity *id);

/* refused: the bearer token that the server answered 401 to (when it is still the current one, a new one is made), or
 * NULL. *ret holds references. */
int kube_credential_get(struct kube_credential *c, struct ctx *ctx, const struct kube_identity *refused, struct kube_identity *ret,
                        struct err *err);
