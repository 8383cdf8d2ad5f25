/* Where keys are looked for, in botocore's order as far as it is supported; what isn't supported yet says so where it
 * is configured, and never lets the search go on to other keys. */
#include <string.h>

#include "aws/ini.h"
#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

static struct secret *secret_of(const char *text) { return text ? secret_new(text, strlen(text)) : NULL; }

static int not_yet(struct err *err, const char *what, const char *where) {
    int r = err_set(err, ERR_UNSUPPORTED, "%s (%s) is not supported yet as a source of AWS credentials", what, where);
    err_hint(err, "Give keys by the environment, for example with: eval \"$(aws configure export-credentials --format env)\"");
    return r;
}

/* ---- the environment ---- */

static int env_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) ctx;
    const struct aws *a = self;
    const char *id = aws_env(a, "AWS_ACCESS_KEY_ID"), *secret = aws_env(a, "AWS_SECRET_ACCESS_KEY");
    if (!id) return 1;
    if (!secret) {
        int r = err_set(err, ERR_INVALID, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
        err_hint(err, "Set both, or neither to use a profile.");
        return r;
    }
    *ret = (struct aws_creds){.access_key = mem_strdup(id),
                              .secret_key = secret_of(secret),
                              .token = secret_of(aws_env(a, "AWS_SESSION_TOKEN")),
                              .origin = mem_strdup("the environment")};
    return 0;
}

struct cred_source cred_env(struct aws *a) {
    return (struct cred_source){.get = env_get, .self = a};
}

/* ---- web identity ---- */

static int web_identity_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) ctx;
    (void) ret;
    const struct aws *a = self;
    if (!aws_env(a, "AWS_WEB_IDENTITY_TOKEN_FILE")) return 1;
    if (!aws_env(a, "AWS_ROLE_ARN"))
        return err_set(err, ERR_INVALID, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    return not_yet(err, "a web identity token", "AWS_WEB_IDENTITY_TOKEN_FILE");
}

struct cred_source cred_web_identity(struct aws *a) {
    return (struct cred_source){.get = web_identity_get, .self = a};
}

/* ---- profiles ---- */

static const char *where(struct arena *arena, const struct profile_file *f, const char *profile) {
    return arena_printf(arena, "profile %s of %s", profile, f->path);
}

/* 1: this section has no keys. */
static int keys_of(struct arena *arena, const struct profile_file *f, const struct ini_section *s, const char *profile,
                   struct aws_creds *ret, struct err *err) {
    const char *id = ini_get(s, "aws_access_key_id"), *secret = ini_get(s, "aws_secret_access_key");
    if (!id && !secret) return 1;
    const char *origin = where(arena, f, profile);
    if (!id || !secret)
        return err_set(err, ERR_INVALID, "%s has %s, but no %s", origin, id ? "aws_access_key_id" : "aws_secret_access_key",
                       id ? "aws_secret_access_key" : "aws_access_key_id");
    *ret = (struct aws_creds){.access_key = mem_strdup(id),
                              .secret_key = secret_of(secret),
                              .token = secret_of(ini_get(s, "aws_session_token")),
                              .origin = mem_strdup(origin)};
    return 0;
}

/* role_arn and what goes with it; checked as botocore does, so that a wrong profile is named now already. */
static int check_role(const struct profile_files *f, const struct ini_section *s, const char *profile, struct err *err) {
    const char *at = where(f->arena, &f->config, profile);
    const char *source = ini_get(s, "source_profile"), *from = ini_get(s, "credential_source");
    if (ini_get(s, "web_identity_token_file")) return not_yet(err, "web_identity_token_file", at);
    if (!source == !from)
        return err_set(err, ERR_INVALID, "%s has role_arn, and %s source_profile %s credential_source: one of them is needed", at,
                       source ? "both" : "neither", source ? "and" : "nor");
    if (ini_get(s, "mfa_serial")) {
        int r = err_set(err, ERR_INVALID, "%s has mfa_serial: a provider can't ask for the code", at);
        err_hint(err, "Take a session by hand, and give its keys by the environment.");
        return r;
    }
    if (source && !profile_in_config(f, source) && !profile_in_credentials(f, source))
        return err_set(err, ERR_INVALID, "%s has source_profile = %s, which is in neither file", at, source);
    return not_yet(err, "role_arn", at);
}

static int from_files(const struct profile_files *f, const char *profile, struct aws_creds *ret, struct err *err) {
    const struct ini_section *config = profile_in_config(f, profile), *keys = profile_in_credentials(f, profile);
    if (ini_get(config, "role_arn")) return check_role(f, config, profile, err);
    if (ini_get(config, "sso_session") || ini_get(config, "sso_start_url"))
        return not_yet(err, "IAM Identity Center (sso_session)", where(f->arena, &f->config, profile));
    int r = keys_of(f->arena, &f->credentials, keys, profile, ret, err);
    if (r <= 0) return r;
    if (ini_get(config, "credential_process")) return not_yet(err, "credential_process", where(f->arena, &f->config, profile));
    return keys_of(f->arena, &f->config, config, profile, ret, err);
}

static int profile_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    struct aws *a = self;
    const struct aws_config *c;
    int r = aws_config(a, ctx, &c, err);
    if (r < 0) return r;
    struct profile_files f; /* read again at each fetch: keys may have been renewed since */
    r = profile_files_read(a, &f, err);
    if (r < 0) return r;
    r = from_files(&f, c->profile, ret, err);
    profile_files_done(&f);
    return r;
}

struct cred_source cred_profile(struct aws *a) {
    return (struct cred_source){.get = profile_get, .self = a};
}

/* ---- containers ---- */

static int container_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) ctx;
    (void) ret;
    static const char *const names[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (aws_env(self, names[i])) return not_yet(err, "the container's role", names[i]);
    return 1;
}

struct cred_source cred_container(struct aws *a) {
    return (struct cred_source){.get = container_get, .self = a};
}

/* ---- nothing found ---- */

static int none_get(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    (void) ret;
    const struct aws_config *c;
    int r = aws_config(self, ctx, &c, err);
    if (r < 0) return r;
    if (c->profile_from) {
        r = err_set(err, ERR_UNAUTHENTICATED, "no AWS credentials found: the profile %s (%s) has no keys in %s and %s", c->profile,
                    c->profile_from, c->credentials_file, c->config_file);
        err_hint(err, "Add aws_access_key_id and aws_secret_access_key to it: aws configure --profile %s", c->profile);
        return r;
    }
    r = err_set(
        err, ERR_UNAUTHENTICATED,
        "no AWS credentials found: not in the provider block, not in the environment (AWS_ACCESS_KEY_ID), and no profile %s in %s "
        "or %s has keys",
        c->profile, c->credentials_file, c->config_file);
    err_hint(err,
             "Run `aws configure`, set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Roles of EC2 instances "
             "are not supported yet.");
    return r;
}

struct cred_source cred_none(struct aws *a) {
    return (struct cred_source){.get = none_get, .self = a};
}

/* A profile that the provider block names beats keys in the environment; one that AWS_PROFILE names doesn't. */
struct cred_source cred_default(struct aws *a) {
    struct cred_source by_profile[] = {cred_profile(a), cred_container(a), cred_none(a)};
    struct cred_source by_env[] = {cred_env(a), cred_web_identity(a), cred_profile(a), cred_container(a), cred_none(a)};
    return a->profile ? cred_chain(by_profile, ARRAY_SIZE(by_profile)) : cred_chain(by_env, ARRAY_SIZE(by_env));
}
