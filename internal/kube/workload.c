#include <strings.h>

#include "base/mem.h"
#include "http/http.h"
#include "kube/kube.h"

static const struct {
    const char *name, *plural, *attribute, *short_name, *singular;
} kinds[] = {
    [KUBE_DEPLOYMENT] = {"Deployment", "deployments", "deployment", "deploy", "deployment"},
    [KUBE_STATEFUL_SET] = {"StatefulSet", "statefulsets", "stateful_set", "sts", "statefulset"},
    [KUBE_DAEMON_SET] = {"DaemonSet", "daemonsets", "daemon_set", "ds", "daemonset"},
};

const char *kube_kind_name(enum kube_kind kind) { return kinds[kind].name; }
const char *kube_kind_plural(enum kube_kind kind) { return kinds[kind].plural; }

int kube_kind_parse(const char *text, enum kube_kind *ret) {
    AUTO_ARENA struct arena *a = arena_new();
    char *word = str_lower(a, text);
    for (char *p = word; *p; p++)
        if (*p == '.') { /* deployments.apps, deployments.v1.apps */
            if (!str_eq(p, ".apps") && !str_eq(p, ".v1.apps")) return -1;
            *p = 0;
            break;
        }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!str_eq(word, kinds[i].plural) && !str_eq(word, kinds[i].attribute) && !str_eq(word, kinds[i].short_name) &&
            !str_eq(word, kinds[i].singular))
            continue;
        *ret = (enum kube_kind) i;
        return 0;
    }
    return -1;
}

char *kube_workload_text(struct arena *a, const struct kube_workload *w) {
    return arena_printf(a, "%s %s/%s", kinds[w->kind].singular, w->ns, w->name);
}

char *kube_workload_path(struct arena *a, const struct kube_workload *w) {
    return arena_printf(a, "/apis/apps/v1/namespaces/%s/%s/%s", http_encode(a, w->ns, false), kinds[w->kind].plural,
                        http_encode(a, w->name, false));
}
