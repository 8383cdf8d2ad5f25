/* The shared files and the profile that is selected in them. */
#include <string.h>

#include "aws/ini.h"
#include "aws/internal.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

enum { FILE_MAX = 4 << 20 };

static const char *expand_home(struct arena *arena, const struct aws *a, const char *path) {
    const char *home = aws_env(a, "HOME");
    return home && str_starts(path, "~/") ? fs_join(arena, home, path + 2) : fs_expand_home(arena, path);
}

static int read_file(const struct aws *a, struct arena *arena, const char *variable, const char *usual, struct profile_file *ret,
                     struct err *err) {
    const char *named = aws_env(a, variable);
    ret->path = (char *) expand_home(arena, a, named ? named : usual);
    ret->ini = arena_alloc(arena, sizeof *ret->ini);
    ret->ini->file = ret->path;
    AUTO_ERR struct err why = {0};
    int r = fs_read(arena, ret->path, FILE_MAX, &ret->text, &ret->len, &why);
    if (r == -ERR_NOT_FOUND) return 0;
    if (r < 0) {
        err_move(err, &why);
        return err_wrap(err, "AWS profiles (%s)", named ? variable : "the usual file");
    }
    ret->exists = true;
    return ini_parse_text(arena, ret->path, ret->text, ret->ini, err);
}

int profile_files_read(const struct aws *a, struct profile_files *ret, struct err *err) {
    struct profile_files f = {.arena = arena_new()};
    int r = read_file(a, f.arena, "AWS_CONFIG_FILE", "~/.aws/config", &f.config, err);
    if (r == 0) r = read_file(a, f.arena, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", &f.credentials, err);
    if (r < 0)
        profile_files_done(&f);
    else
        *ret = f;
    return r;
}

void profile_files_done(struct profile_files *f) {
    if (f->config.text) mem_wipe(f->config.text, f->config.len);
    if (f->credentials.text) mem_wipe(f->credentials.text, f->credentials.len);
    arena_free(f->arena);
    *f = (struct profile_files){0};
}

/* [profile default] beats [default]. */
const struct ini_section *profile_in_config(const struct profile_files *f, const char *name) {
    const struct ini_section *s = ini_section(f->config.ini, arena_printf(f->arena, "profile %s", name));
    return s || !str_eq(name, "default") ? s : ini_section(f->config.ini, "default");
}

const struct ini_section *profile_in_credentials(const struct profile_files *f, const char *name) {
    return ini_section(f->credentials.ini, name);
}

const char *profile_name(const struct aws *a, const char **ret_from) {
    static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};
    *ret_from = "the provider's profile";
    if (a->profile) return a->profile;
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *name = aws_env(a, variables[i]);
        *ret_from = variables[i];
        if (name) return name;
    }
    *ret_from = NULL;
    return "default";
}

/* The credentials file's entries win over the config file's. */
static const char *setting(const struct aws_config *c, const struct ini_section *credentials, const struct ini_section *config,
                           const char *key) {
    const char *value = ini_get(credentials, key);
    return arena_strdup(c->arena, value ? value : ini_get(config, key));
}

static void read_services(struct aws_config *c, const struct profile_files *f) {
    const struct ini_section *s = ini_section(f->config.ini, arena_printf(f->arena, "services %s", c->services));
    c->services_ecr = arena_strdup(c->arena, ini_get(s, "ecr.endpoint_url"));
    c->services_sts = arena_strdup(c->arena, ini_get(s, "sts.endpoint_url"));
    c->services_eks = arena_strdup(c->arena, ini_get(s, "eks.endpoint_url"));
}

static int load(const struct aws *a, struct aws_config **ret, struct err *err) {
    struct profile_files f;
    int r = profile_files_read(a, &f, err);
    if (r < 0) return r;
    struct aws_config *c = NEW(struct aws_config);
    c->arena = arena_new();
    c->profile = arena_strdup(c->arena, profile_name(a, &c->profile_from));
    const struct ini_section *config = profile_in_config(&f, c->profile), *keys = profile_in_credentials(&f, c->profile);
    c->found = config || keys;
    c->config_file = arena_strdup(c->arena, f.config.path);
    c->credentials_file = arena_strdup(c->arena, f.credentials.path);
    c->region = setting(c, keys, config, "region");
    c->ca_bundle = setting(c, keys, config, "ca_bundle");
    c->endpoint_url = setting(c, keys, config, "endpoint_url");
    c->max_attempts = setting(c, keys, config, "max_attempts");
    c->use_fips = setting(c, keys, config, "use_fips_endpoint");
    c->use_dualstack = setting(c, keys, config, "use_dualstack_endpoint");
    c->ignore_endpoints = setting(c, keys, config, "ignore_configured_endpoint_urls");
    c->services = setting(c, keys, config, "services");
    if (c->services) read_services(c, &f);
    profile_files_done(&f);
    *ret = c;
    return 0;
}

void aws_config_free(struct aws_config *c) {
    if (!c) return;
    arena_free(c->arena);
    mem_free(c);
}

static int unknown_profile(const struct aws_config *c, struct err *err) {
    int r = err_set(err, ERR_INVALID, "the AWS profile %s (%s) is in neither %s nor %s", c->profile, c->profile_from,
                    c->config_file, c->credentials_file);
    err_hint(err, "Check the name: `aws configure list-profiles` shows the ones there are.");
    return r;
}

int aws_config(struct aws *a, struct ctx *ctx, const struct aws_config **ret, struct err *err) {
    (void) ctx;
    pthread_mutex_lock(&a->lock);
    int r = a->config ? 0 : load(a, &a->config, err);
    const struct aws_config *c = a->config;
    pthread_mutex_unlock(&a->lock);
    if (r < 0) return r;
    if (!c->found && c->profile_from) return unknown_profile(c, err);
    *ret = c;
    return 0;
}
