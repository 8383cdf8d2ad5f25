/* Host names of AWS's services, and what replaces them. */
#include <string.h>
#include <strings.h>

#include "aws/ecr.h"
#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct partition {
    const char *prefix; /* of its regions; the first that fits counts */
    const char *suffix, *dual_suffix, *registry_dual_suffix;
};

static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "on.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws", "on.aws"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", NULL},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", NULL},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", NULL},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", NULL},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "on.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws", "on.aws"},
};

static const struct partition *partition_of(const char *region) {
    const struct partition *p = partitions;
    while (!str_starts(region, p->prefix)) p++;
    return p;
}

static const char *host_of(struct arena *a, const char *service, const char *region, bool fips, bool dual) {
    const struct partition *p = partition_of(region);
    const char *suffix = dual ? p->dual_suffix : p->suffix;
    bool gov = str_starts(region, "us-gov-");
    if (!fips || (gov && !dual && !str_eq(service, "ecr"))) {
        bool api = str_eq(service, "ecr") && !dual;
        return arena_printf(a, "%s%s.%s.%s", api ? "api." : "", service, region, suffix);
    }
    if (str_eq(service, "ecr") && !dual) return arena_printf(a, "api.ecr-fips.%s.%s", region, suffix);
    bool old_eks = str_eq(service, "eks") && !dual && !*p->prefix;
    return old_eks ? arena_printf(a, "fips.eks.%s.%s", region, suffix) : arena_printf(a, "%s-fips.%s.%s", service, region, suffix);
}

static bool is_true(const char *s) { return s && strcasecmp(s, "true") == 0; }

static bool flag(const struct aws *a, const char *variable, const char *of_profile) {
    const char *value = aws_env(a, variable);
    return is_true(value ? value : of_profile);
}

struct choice {
    const char *url;
    const char *from;
};

/* The provider block > AWS_ENDPOINT_URL_ECR > AWS_ENDPOINT_URL > the profile's [services] > its endpoint_url. */
static struct choice configured(const struct aws *a, const struct aws_config *c, const char *service) {
    bool ecr = str_eq(service, "ecr"), sts = str_eq(service, "sts");
    const char *own = ecr ? a->ecr_endpoint : sts ? a->sts_endpoint : a->eks_endpoint;
    if (own) return (struct choice){own, "the provider's endpoints"};
    if (flag(a, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", c->ignore_endpoints)) return (struct choice){0};
    const char *variable = ecr ? "AWS_ENDPOINT_URL_ECR" : sts ? "AWS_ENDPOINT_URL_STS" : "AWS_ENDPOINT_URL_EKS";
    if (aws_env(a, variable)) return (struct choice){aws_env(a, variable), variable};
    if (aws_env(a, "AWS_ENDPOINT_URL")) return (struct choice){aws_env(a, "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL"};
    const char *of_services = ecr ? c->services_ecr : sts ? c->services_sts : c->services_eks;
    if (of_services) return (struct choice){of_services, c->config_file};
    return (struct choice){c->endpoint_url, c->config_file};
}

static int check_region(const char *region, struct err *err) {
    size_t ok = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (ok && !region[ok] && ok < 64 && strchr(region, '-')) return 0;
    int r = err_set(err, ERR_INVALID, "not an AWS region: \"%.64s\"", region);
    err_hint(err, "A region looks like us-east-2.");
    return r;
}

int aws_endpoint(struct aws *a, struct ctx *ctx, const char *service, const char *region, const char **ret, struct err *err) {
    const struct aws_config *c;
    int r = aws_config(a, ctx, &c, err);
    if (r == 0) r = check_region(region, err);
    if (r < 0) return r;
    struct choice own = configured(a, c, service);
    if (own.url && !str_starts(own.url, "https://") && !str_starts(own.url, "http://"))
        return err_set(err, ERR_INVALID, "the endpoint \"%s\" for %s (%s) is no URL: it must start with https:// or http://",
                       own.url, service, own.from);
    if (own.url) {
        size_t len = strlen(own.url);
        while (len && own.url[len - 1] == '/') len--;
        *ret = arena_strndup(ctx->arena, own.url, len);
        return 0;
    }
    bool fips = flag(a, "AWS_USE_FIPS_ENDPOINT", c->use_fips), dual = flag(a, "AWS_USE_DUALSTACK_ENDPOINT", c->use_dualstack);
    *ret = arena_printf(ctx->arena, "https://%s", host_of(ctx->arena, service, region, fips, dual));
    return 0;
}

/* ---- registry hosts: ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX and ACCOUNT.dkr-ecr[-fips].REGION.on.aws ---- */

static const char *skip(const char *s, const char *prefix) { return s && str_starts(s, prefix) ? s + strlen(prefix) : NULL; }

bool ecr_parse_host(struct arena *a, const char *host, const char **ret_account, const char **ret_region) {
    enum { ACCOUNT = 12 };
    if (strspn(host, "0123456789") != ACCOUNT) return false;
    bool dual = str_starts(host + ACCOUNT, ".dkr-ecr");
    const char *rest = skip(host + ACCOUNT, dual ? ".dkr-ecr" : ".dkr.ecr");
    if (rest && str_starts(rest, "-fips")) rest += strlen("-fips");
    rest = skip(rest, ".");
    size_t len = rest ? strcspn(rest, ".") : 0;
    if (!len || !rest[len]) return false;
    const char *region = arena_strndup(a, rest, len);
    const struct partition *p = partition_of(region);
    if (!str_eq(rest + len + 1, dual ? p->registry_dual_suffix : p->suffix)) return false;
    *ret_account = arena_strndup(a, host, ACCOUNT);
    *ret_region = region;
    return true;
}
