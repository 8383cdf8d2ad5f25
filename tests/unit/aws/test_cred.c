#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "aws/fake.h"

#define CREDENTIALS                                                                                                                \
    "[default]\naws_access_key_id = FILE\naws_secret_access_key = "                                                                \
    "s\n[dev]\naws_access_key_id=DEV\naws_secret_access_key=s\naws_session_token=t # note\n"

struct rule {
    const char *name;
    struct aws_options options;
    struct kv env[5];
    const char *config, *credentials;
    const char *key; /* access key that is used, or NULL for an error: */
    int code;
    const char *words; /* in its message */
};

static const struct rule rules[] = {
    {.name = "the environment",
     .env = {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}},
     .credentials = CREDENTIALS,
     .key = "ENV"},
    {.name = "a key id without its secret",
     .env = {{"AWS_ACCESS_KEY_ID", "ENV"}},
     .credentials = CREDENTIALS,
     .code = ERR_INVALID,
     .words = "AWS_SECRET_ACCESS_KEY is not"},
    {.name = "AWS_PROFILE and keys in the environment",
     .env = {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_PROFILE", "dev"}},
     .credentials = CREDENTIALS,
     .key = "ENV"},
    {.name = "the provider's profile and keys in the environment",
     .options = {.profile = "dev"},
     .env = {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}},
     .credentials = CREDENTIALS,
     .key = "DEV"},
    {.name = "AWS_PROFILE",
     .env = {{"AWS_PROFILE", "dev"}, {"AWS_DEFAULT_PROFILE", "default"}},
     .credentials = CREDENTIALS,
     .key = "DEV"},
    {.name = "AWS_DEFAULT_PROFILE", .env = {{"AWS_DEFAULT_PROFILE", "dev"}}, .credentials = CREDENTIALS, .key = "DEV"},
    {.name = "an empty AWS_PROFILE is none", .env = {{"AWS_PROFILE", ""}}, .credentials = CREDENTIALS, .key = "FILE"},
    {.name = "the default profile", .credentials = CREDENTIALS, .key = "FILE"},
    {.name = "the credentials file wins",
     .config = "[default]\naws_access_key_id = CONFIG\naws_secret_access_key = s\n",
     .credentials = CREDENTIALS,
     .key = "FILE"},
    {.name = "the config file",
     .config = "[profile dev]\naws_access_key_id = CONFIG\naws_secret_access_key = s\n",
     .env = {{"AWS_PROFILE", "dev"}},
     .key = "CONFIG"},
    {.name = "[profile default] before [default]",
     .config = "[default]\naws_access_key_id = B\naws_secret_access_key = s\n[profile default]\naws_access_key_id = "
               "A\naws_secret_access_key = s\n",
     .key = "A"},
    {.name = "a section of the config file without \"profile\"",
     .config = "[dev]\naws_access_key_id = A\naws_secret_access_key = s\n",
     .env = {{"AWS_PROFILE", "dev"}},
     .code = ERR_INVALID,
     .words = "the AWS profile dev (AWS_PROFILE) is in neither"},
    {.name = "a profile that isn't there",
     .options = {.profile = "nope"},
     .credentials = CREDENTIALS,
     .code = ERR_INVALID,
     .words = "the AWS profile nope (the provider's profile) is in neither"},
    {.name = "half a key in a file",
     .credentials = "[default]\naws_access_key_id = A\n",
     .code = ERR_INVALID,
     .words = "but no aws_secret_access_key"},
    {.name = "a profile without keys",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nregion = x\n",
     .code = ERR_UNAUTHENTICATED,
     .words = "the profile dev (AWS_PROFILE) has no keys"},
    {.name = "nothing", .code = ERR_UNAUTHENTICATED, .words = "no AWS credentials found"},
    {.name = "web identity beats the default keys",
     .env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"}, {"AWS_ROLE_ARN", "arn"}},
     .credentials = CREDENTIALS,
     .code = ERR_UNSUPPORTED,
     .words = "AWS_WEB_IDENTITY_TOKEN_FILE"},
    {.name = "web identity without a role",
     .env = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"}},
     .credentials = CREDENTIALS,
     .code = ERR_INVALID,
     .words = "AWS_ROLE_ARN is not"},
    {.name = "a container's role and default keys in a file",
     .env = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/"}},
     .credentials = CREDENTIALS,
     .key = "FILE"},
    {.name = "a container's role",
     .env = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"}},
     .code = ERR_UNSUPPORTED,
     .words = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
    {.name = "a role, and keys in the credentials file",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nrole_arn = arn:x\nsource_profile = default\n",
     .credentials = CREDENTIALS,
     .code = ERR_UNSUPPORTED,
     .words = "role_arn (profile dev of "},
    {.name = "a role without a source",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nrole_arn = arn:x\n",
     .code = ERR_INVALID,
     .words = "neither source_profile nor credential_source"},
    {.name = "a role with both sources",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nrole_arn = arn:x\nsource_profile=dev\ncredential_source = Environment\n",
     .code = ERR_INVALID,
     .words = "both source_profile and credential_source"},
    {.name = "a role with a source that isn't there",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nrole_arn = arn:x\nsource_profile = gone\n",
     .code = ERR_INVALID,
     .words = "source_profile = gone"},
    {.name = "a role that wants a code",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nrole_arn = arn:x\nsource_profile = dev\nmfa_serial = arn:y\n",
     .code = ERR_INVALID,
     .words = "mfa_serial"},
    {.name = "identity center",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\nsso_session = s\n",
     .code = ERR_UNSUPPORTED,
     .words = "sso_session"},
    {.name = "a process",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\ncredential_process = /bin/x\n",
     .code = ERR_UNSUPPORTED,
     .words = "credential_process (profile dev"},
    {.name = "the credentials file before a process",
     .env = {{"AWS_PROFILE", "dev"}},
     .config = "[profile dev]\ncredential_process = /bin/x\n",
     .credentials = CREDENTIALS,
     .key = "DEV"},
    {.name = "half of the provider's keys",
     .options = {.access_key = "A"},
     .credentials = CREDENTIALS,
     .code = ERR_INVALID,
     .words = "one of access_key and secret_key"},
    {.name = "a file that can't be read as one",
     .credentials = "[default]\naws_access_key_id FILE\n",
     .code = ERR_INVALID,
     .words = "credentials:2: expected [section] or key = value"},
};

static void test_rules(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        const struct rule *rule = &rules[i];
        struct fake *f = fake_new();
        f->env = rule->env;
        if (rule->config) fake_file(f, f->config, rule->config);
        if (rule->credentials) fake_file(f, f->credentials, rule->credentials);
        fake_open(f, rule->options);
        struct aws_creds creds = {0};
        int r = f->aws->creds.get(f->aws->creds.self, &f->ctx, &creds, &f->err);
        if (r != -rule->code) fail_msg("%s: %d, %s", rule->name, r, err_text(&f->err));
        if (rule->key && !str_eq(creds.access_key, rule->key)) fail_msg("%s: %s", rule->name, creds.access_key);
        if (rule->words && !strstr(err_text(&f->err), rule->words)) fail_msg("%s: %s", rule->name, err_text(&f->err));
        if (r < 0 && strstr(err_text(&f->err), "=s")) fail_msg("%s: a secret in the message", rule->name);
        aws_creds_done(&creds);
        fake_free(f);
    }
}

static void test_provider_keys(void **state) {
    (void) state;
    struct fake *f = fake_new();
    AUTO_SECRET struct secret *secret = secret_new("s3", 2), *token = secret_new("t", 1);
    f->env = (const struct kv[]){{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {NULL, NULL}};
    fake_open(f, (struct aws_options){.access_key = "BLOCK", .secret_key = secret, .session_token = token});
    AUTO_CREDS struct aws_creds creds = {0};
    assert_int_equal(f->aws->creds.get(f->aws->creds.self, &f->ctx, &creds, &f->err), 0);
    assert_string_equal(creds.access_key, "BLOCK");
    assert_string_equal(secret_bytes(creds.secret_key), "s3");
    assert_string_equal(secret_bytes(creds.token), "t");
    fake_free(f);
}

/* Tokens are far longer than the lines that some parsers take. */
static void test_file_details(void **state) {
    (void) state;
    struct fake *f = fake_new();
    char token[3000];
    memset(token, 'x', sizeof token);
    token[sizeof token - 1] = 0;
    fake_file(
        f, f->credentials,
        arena_printf(f->arena,
                     "\xef\xbb\xbf# comment\r\n ; another\r\n[ dev ]\r\nAWS_Access_Key_Id =  A#;B \r\naws_secret_access_key=a=b\r\n"
                     "aws_session_token = %s\t; why\r\n[dev]\r\nregion = eu-west-1\r\n",
                     token));
    fake_open(f, (struct aws_options){.profile = "dev"});
    AUTO_CREDS struct aws_creds creds = {0};
    assert_int_equal(f->aws->creds.get(f->aws->creds.self, &f->ctx, &creds, &f->err), 0);
    assert_string_equal(creds.access_key, "A#;B");
    assert_string_equal(secret_bytes(creds.secret_key), "a=b");
    assert_string_equal(secret_bytes(creds.token), token);
    assert_string_equal(creds.origin, arena_printf(f->arena, "profile dev of %s", f->credentials));
    const char *region;
    assert_int_equal(aws_region(f->aws, &f->ctx, &region, &f->err), 0);
    assert_string_equal(region, "eu-west-1");
    fake_free(f);
}

struct counting {
    int calls;
    int64_t expires;
    int fail;
};

static int counted(void *self, struct ctx *ctx, struct aws_creds *ret, struct err *err) {
    struct counting *c = self;
    (void) ctx;
    c->calls++;
    if (c->fail) return err_set(err, ERR_UNAVAILABLE, "not now");
    *ret = (struct aws_creds){.access_key = mem_printf("K%d", c->calls), .expires = c->expires};
    return 0;
}

static void test_cache(void **state) {
    (void) state;
    struct fake *f = fake_new();
    struct counting from = {.expires = f->wall + 3600 * 1000};
    struct cred_source cache = cred_cache((struct cred_source){.get = counted, .self = &from});
    struct aws_creds c = {0};
    for (int i = 0; i < 3; i++) {
        aws_creds_done(&c);
        assert_int_equal(cache.get(cache.self, &f->ctx, &c, &f->err), 0);
        assert_string_equal(c.access_key, "K1");
    }
    f->wall += 51 * 60 * 1000; /* nine minutes are left */
    aws_creds_done(&c);
    from.fail = 1;
    assert_int_equal(cache.get(cache.self, &f->ctx, &c, &f->err), -ERR_UNAVAILABLE);
    from.fail = 0;
    from.expires = 0;
    assert_int_equal(cache.get(cache.self, &f->ctx, &c, &f->err), 0);
    assert_string_equal(c.access_key, "K3");
    cred_cache_drop(&cache, &(struct aws_creds){.access_key = (char *) "K1"}); /* an older one: no effect */
    aws_creds_done(&c);
    assert_int_equal(cache.get(cache.self, &f->ctx, &c, &f->err), 0);
    assert_int_equal(from.calls, 3);
    cred_cache_drop(&cache, &c);
    aws_creds_done(&c);
    assert_int_equal(cache.get(cache.self, &f->ctx, &c, &f->err), 0);
    assert_string_equal(c.access_key, "K4");
    aws_creds_done(&c);
    cache.free(cache.self);
    fake_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_provider_keys),
                                       cmocka_unit_test(test_file_details), cmocka_unit_test(test_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
