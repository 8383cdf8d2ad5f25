#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "aws/ecr.h"
#include "aws/fake.h"

static const struct {
    const char *service, *region, *usual, *dual, *fips, *both;
} hosts[] = {
    {"ecr", "us-east-2", "api.ecr.us-east-2.amazonaws.com", "ecr.us-east-2.api.aws", "api.ecr-fips.us-east-2.amazonaws.com",
     "ecr-fips.us-east-2.api.aws"},
    {"ecr", "us-gov-west-1", "api.ecr.us-gov-west-1.amazonaws.com", "ecr.us-gov-west-1.api.aws",
     "api.ecr-fips.us-gov-west-1.amazonaws.com", "ecr-fips.us-gov-west-1.api.aws"},
    {"ecr", "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn", "ecr.cn-north-1.api.amazonwebservices.com.cn",
     "api.ecr-fips.cn-north-1.amazonaws.com.cn", "ecr-fips.cn-north-1.api.amazonwebservices.com.cn"},
    {"ecr", "us-iso-east-1", "api.ecr.us-iso-east-1.c2s.ic.gov", "ecr.us-iso-east-1.api.aws.ic.gov",
     "api.ecr-fips.us-iso-east-1.c2s.ic.gov", "ecr-fips.us-iso-east-1.api.aws.ic.gov"},
    {"ecr", "eusc-de-east-1", "api.ecr.eusc-de-east-1.amazonaws.eu", "ecr.eusc-de-east-1.api.amazonwebservices.eu",
     "api.ecr-fips.eusc-de-east-1.amazonaws.eu", "ecr-fips.eusc-de-east-1.api.amazonwebservices.eu"},
    {"eks", "us-east-2", "eks.us-east-2.amazonaws.com", "eks.us-east-2.api.aws", "fips.eks.us-east-2.amazonaws.com",
     "eks-fips.us-east-2.api.aws"},
    {"eks", "us-gov-west-1", "eks.us-gov-west-1.amazonaws.com", "eks.us-gov-west-1.api.aws", "eks.us-gov-west-1.amazonaws.com",
     "eks-fips.us-gov-west-1.api.aws"},
    {"eks", "cn-north-1", "eks.cn-north-1.amazonaws.com.cn", "eks.cn-north-1.api.amazonwebservices.com.cn",
     "eks-fips.cn-north-1.amazonaws.com.cn", "eks-fips.cn-north-1.api.amazonwebservices.com.cn"},
    {"sts", "us-east-2", "sts.us-east-2.amazonaws.com", "sts.us-east-2.api.aws", "sts-fips.us-east-2.amazonaws.com",
     "sts-fips.us-east-2.api.aws"},
    {"sts", "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.api.aws", "sts.us-gov-west-1.amazonaws.com",
     "sts-fips.us-gov-west-1.api.aws"},
    {"sts", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.api.amazonwebservices.com.cn",
     "sts-fips.cn-north-1.amazonaws.com.cn", "sts-fips.cn-north-1.api.amazonwebservices.com.cn"},
};

static const char *endpoint(struct fake *f, const char *service, const char *region) {
    const char *url = NULL;
    if (aws_endpoint(f->aws, &f->ctx, service, region, &url, &f->err) < 0) return err_text(&f->err);
    return url;
}

static void test_hosts(void **state) {
    (void) state;
    static const struct kv none[] = {{NULL, NULL}}, dual[] = {{"AWS_USE_DUALSTACK_ENDPOINT", "true"}, {NULL, NULL}},
                           fips[] = {{"AWS_USE_FIPS_ENDPOINT", "true"}, {NULL, NULL}},
                           both[] = {{"AWS_USE_FIPS_ENDPOINT", "TRUE"}, {"AWS_USE_DUALSTACK_ENDPOINT", "true"}, {NULL, NULL}};
    struct fake *f = fake_new();
    fake_open(f, (struct aws_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        const struct kv *const envs[] = {none, dual, fips, both};
        const char *const want[] = {hosts[i].usual, hosts[i].dual, hosts[i].fips, hosts[i].both};
        for (int j = 0; j < 4; j++) {
            f->env = envs[j];
            assert_string_equal(endpoint(f, hosts[i].service, hosts[i].region), arena_printf(f->arena, "https://%s", want[j]));
        }
    }
    static const char *const bad[] = {"", "us", "US-EAST-2", "us-east-2.evil.example", "us-east-2/", "us east-2"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) assert_non_null(strstr(endpoint(f, "ecr", bad[i]), "not an AWS region"));
    fake_free(f);
}

#define PROFILE                                                                                                                    \
    "[default]\nendpoint_url = http://profile\nservices = local\n[services local]\necr =\n  endpoint_url = "                       \
    "http://services-ecr\nsts =\n  other = 1\n"

static void test_overrides(void **state) {
    (void) state;
    static const struct {
        struct aws_endpoints block;
        struct kv env[4];
        const char *config, *service, *want;
    } cases[] = {
        {.block = {.ecr = "http://block/"},
         .env = {{"AWS_ENDPOINT_URL_ECR", "http://env-ecr"}},
         .config = PROFILE,
         .service = "ecr",
         .want = "http://block"},
        {.env = {{"AWS_ENDPOINT_URL_ECR", "http://env-ecr"}, {"AWS_ENDPOINT_URL", "http://env"}},
         .config = PROFILE,
         .service = "ecr",
         .want = "http://env-ecr"},
        {.env = {{"AWS_ENDPOINT_URL_ECR", "http://env-ecr"}, {"AWS_ENDPOINT_URL", "http://env"}},
         .config = PROFILE,
         .service = "sts",
         .want = "http://env"},
        {.env = {{"AWS_ENDPOINT_URL", "http://env"}}, .config = PROFILE, .service = "ecr", .want = "http://env"},
        {.config = PROFILE, .service = "ecr", .want = "http://services-ecr"},
        {.config = PROFILE, .service = "sts", .want = "http://profile"},
        {.config = PROFILE, .service = "eks", .want = "http://profile"},
        {.env = {{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}, {"AWS_ENDPOINT_URL_ECR", "http://env-ecr"}},
         .config = PROFILE,
         .service = "ecr",
         .want = "https://api.ecr.us-east-2.amazonaws.com"},
        {.block = {.ecr = "http://block"},
         .env = {{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}},
         .service = "ecr",
         .want = "http://block"},
        {.config = "[default]\nignore_configured_endpoint_urls = true\nendpoint_url = http://profile\n",
         .service = "ecr",
         .want = "https://api.ecr.us-east-2.amazonaws.com"},
        {.config = "[default]\nuse_fips_endpoint = true\n",
         .service = "ecr",
         .want = "https://api.ecr-fips.us-east-2.amazonaws.com"},
        {.env = {{"AWS_ENDPOINT_URL", "localhost:5000"}},
         .service = "ecr",
         .want = "the endpoint \"localhost:5000\" for ecr (AWS_ENDPOINT_URL) is no URL: it must start with https:// or http://"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fake *f = fake_new();
        f->env = cases[i].env;
        if (cases[i].config) fake_file(f, f->config, cases[i].config);
        fake_open(f, (struct aws_options){.endpoints = cases[i].block});
        assert_string_equal(endpoint(f, cases[i].service, "us-east-2"), cases[i].want);
        fake_free(f);
    }
}

static void test_region(void **state) {
    (void) state;
    static const struct {
        const char *block;
        struct kv env[3];
        const char *config, *want;
    } cases[] = {
        {.block = "a-1", .env = {{"AWS_REGION", "b-1"}}, .want = "a-1"},
        {.env = {{"AWS_REGION", "b-1"}, {"AWS_DEFAULT_REGION", "c-1"}}, .config = "[default]\nregion = d-1\n", .want = "b-1"},
        {.env = {{"AWS_DEFAULT_REGION", "c-1"}}, .config = "[default]\nregion = d-1\n", .want = "c-1"},
        {.config = "[default]\nregion = d-1\n[profile dev]\nregion = e-1\n", .want = "d-1"},
        {.env = {{"AWS_PROFILE", "dev"}}, .config = "[default]\nregion = d-1\n[profile dev]\nregion = e-1\n", .want = "e-1"},
        {.want = NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fake *f = fake_new();
        f->env = cases[i].env;
        if (cases[i].config) fake_file(f, f->config, cases[i].config);
        fake_open(f, (struct aws_options){.region = cases[i].block});
        const char *region = "?";
        assert_int_equal(aws_region(f->aws, &f->ctx, &region, &f->err), 0);
        if (!str_eq(region, cases[i].want)) fail_msg("case %zu: %s", i, region);
        struct ecr *e = NULL;
        if (!cases[i].want) {
            assert_int_equal(ecr_open(f->aws, &f->ctx, NULL, &e, &f->err), -ERR_INVALID);
            assert_string_equal(f->err.message, "no AWS region is configured");
            assert_non_null(strstr(f->err.hint, "AWS_REGION"));
        } else {
            assert_int_equal(ecr_open(f->aws, &f->ctx, NULL, &e, &f->err), 0);
            assert_string_equal(ecr_region(e), cases[i].want);
            ecr_free(e);
        }
        fake_free(f);
    }
}

static void test_registry_hosts(void **state) {
    (void) state;
    static const struct {
        const char *host, *region;
    } cases[] = {
        {"123456789012.dkr.ecr.us-east-2.amazonaws.com", "us-east-2"},
        {"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
        {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {"123456789012.dkr-ecr.us-east-2.on.aws", "us-east-2"},
        {"123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2"},
        {"123456789012.dkr.ecr.us-east-2.amazonaws.com.cn", NULL},
        {"123456789012.dkr.ecr.us-east-2.amazonaws.com.evil.example", NULL},
        {"123456789012.dkr.ecr.us-east-2.evil.example", NULL},
        {"123456789012.dkr.ecr.amazonaws.com", NULL},
        {"12345678901.dkr.ecr.us-east-2.amazonaws.com", NULL},
        {"1234567890123.dkr.ecr.us-east-2.amazonaws.com", NULL},
        {"123456789012.dkr-ecr.us-east-2.amazonaws.com", NULL},
        {"public.ecr.aws", NULL},
        {"127.0.0.1:5000", NULL},
        {"", NULL},
    };
    AUTO_ARENA struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *account = NULL, *region = NULL;
        bool is = ecr_parse_host(a, cases[i].host, &account, &region);
        if (is != (cases[i].region != NULL)) fail_msg("%s", cases[i].host);
        if (!is) continue;
        assert_string_equal(account, "123456789012");
        assert_string_equal(region, cases[i].region);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_overrides),
                                       cmocka_unit_test(test_region), cmocka_unit_test(test_registry_hosts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
