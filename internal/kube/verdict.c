/* The table of verdicts. A row: which sign, how long it may stand, what the user reads. Texts of the kubelet, its
 * runtimes and the controllers differ between versions: rows match parts of them. */
#include "kube/verdict.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

/* A pull is tried again after 10 s, 20 s, 40 s …: who has failed twice, or stands for 30 s, won't succeed by itself. */
#define PULL_TWICE .after_s = 30, .count = 2
#define THIRD_RESTART .after_s = KUBE_NEVER, .count = 3
#define AT_ONCE .after_s = 0
#define PATIENT .after_s = KUBE_NEVER

const struct kube_rule kube_rules[] = {
    /* images */
    {"pull-platform", KUBE_SIGN_PULL, NULL, "no match for platform|no matching manifest for|does not match the specified platform", PULL_TWICE,
     .words = "the image has no variant for the node's platform",
     .advice = "Build it for the nodes' architecture too (platforms = [\"linux/amd64\", \"linux/arm64\"]), or choose nodes by nodeSelector."},
    {"pull-access", KUBE_SIGN_PULL, NULL,
     "401 unauthorized|403 forbidden|no basic auth|pull access denied|authorization failed|authentication required|access denied|"
     "unauthorized:|denied:",
     .after_s = 60, .words = "the registry doesn't let the node pull the image",
     .advice = "Give the nodes (or the pod's imagePullSecrets) the right to pull; the repository may also not exist: some registries "
               "answer the same for both."},
    {"pull-missing", KUBE_SIGN_PULL, NULL, ": not found|manifest unknown|name unknown|does not exist|404 not found", PULL_TWICE,
     .words = "the image isn't in the registry",
     .advice = "Check the name, the tag or digest and the registry's region; a lifecycle policy may have removed it."},
    {"pull-trust", KUBE_SIGN_PULL, NULL, "x509:|server gave http response to https", .after_s = 60,
     .words = "the node doesn't trust the registry's certificate",
     .advice = "Let the node's container runtime trust the registry's CA."},
    {"pull-retry", KUBE_SIGN_PULL, NULL, NULL, PATIENT,
     .words = "the image can't be pulled for the moment",
     .advice = "The node can't reach the registry, or the registry limits or fails it: look at the message above."},

    /* containers that aren't started */
    {"image-name", KUBE_SIGN_WAITING, "InvalidImageName", NULL, AT_ONCE,
     .words = "the image's name is not valid", .advice = "An image is named host/repository:tag or host/repository@sha256:…, in lower case."},
    {"image-never", KUBE_SIGN_WAITING, "ErrImageNeverPull", NULL, AT_ONCE,
     .words = "the image isn't on the node and the pull policy is Never",
     .advice = "Set image_pull_policy to Always or IfNotPresent, or load the image onto the nodes."},
    {"config-missing", KUBE_SIGN_WAITING, "CreateContainerConfigError", "secret |configmap |couldn't find key|references non-existent",
     .after_s = 30, .words = "something that the container's configuration names isn't there",
     .advice = "Create the Secret, ConfigMap or key that the message names, in the same namespace."},
    {"config-root", KUBE_SIGN_WAITING, "CreateContainerConfigError", "runAsNonRoot|non-root", .after_s = 30,
     .words = "the image wants to run as root, which the pod forbids",
     .advice = "Set USER to a number other than 0 in the Dockerfile, or runAsUser in the pod."},
    {"config", KUBE_SIGN_WAITING, "CreateContainerConfigError", NULL, .after_s = 30, .words = "the container's configuration is wrong",
     .advice = "Correct what the message names."},
    {"create-busy", KUBE_SIGN_WAITING, "CreateContainerError", "deadline exceeded|is reserved for|already in use", PATIENT,
     .words = "the node's container runtime is busy", .advice = "Look at the node's load and its container runtime's log."},
    {"create", KUBE_SIGN_WAITING, "CreateContainerError", NULL, .after_s = 60, .words = "the container can't be made",
     .advice = "Correct what the message names (command, mounts, security context)."},
    {"run", KUBE_SIGN_WAITING, "RunContainerError", NULL, AT_ONCE, .words = "the container can't be started",
     .advice = "Is the command in the image, executable, and built for the node's architecture?"},
    {"pulling", KUBE_SIGN_WAITING, NULL, NULL, PATIENT, .words = "the container isn't started yet",
     .advice = "The node pulls the image, mounts volumes or waits for init containers: look at the events."},

    /* containers that end */
    {"start", KUBE_SIGN_CRASH, "StartError|ContainerCannotRun", NULL, AT_ONCE, .words = "the container can't be started",
     .advice = "Is the command in the image, executable, and built for the node's architecture?"},
    {"oom", KUBE_SIGN_CRASH, "OOMKilled", NULL, THIRD_RESTART, .words = "the container is killed because it takes more memory than its limit",
     .advice = "Raise resources.limits.memory, or let it take less."},
    {"probe", KUBE_SIGN_CRASH, "Probe", NULL, THIRD_RESTART, .words = "the container is killed because its liveness or startup probe fails",
     .advice = "Look at the probe's output in the events; a slow start wants a startupProbe with a larger failureThreshold."},
    {"completed", KUBE_SIGN_CRASH, "Completed", NULL, THIRD_RESTART, .words = "the container ends by itself (exit code 0) again and again",
     .advice = "Its main process must stay in the foreground."},
    {"crash", KUBE_SIGN_CRASH, NULL, NULL, THIRD_RESTART, .words = "the container crashes again and again",
     .advice = "Its last log lines are below; kubectl logs --previous shows all."},

    /* pods */
    {"unready", KUBE_SIGN_UNREADY, NULL, NULL, PATIENT, .words = "the container runs, but isn't ready",
     .advice = "Look at the readiness probe's output in the events and at the log."},
    {"claim-missing", KUBE_SIGN_UNSCHEDULED, NULL, "persistentvolumeclaim \"", .after_s = 60,
     .words = "the pod needs a volume claim that isn't there", .advice = "Create the PersistentVolumeClaim that the message names."},
    {"gated", KUBE_SIGN_UNSCHEDULED, "SchedulingGated", NULL, PATIENT, .words = "the pod waits for its scheduling gates",
     .advice = "Whoever set the gates must remove them."},
    {"unscheduled", KUBE_SIGN_UNSCHEDULED, NULL, NULL, PATIENT, .words = "no node takes the pod",
     .advice = "A node may still be added; timeouts.schedule bounds this wait. With maxUnavailable = 0 an old pod may hold what the new "
               "one needs (a GPU): let the strategy replace it first."},
    {"pod-lost", KUBE_SIGN_POD, NULL, NULL, PATIENT, .words = "the pod failed and is being replaced",
     .advice = "Evictions and lost nodes are the node's trouble: look at its memory, disk and state."},
    {"mount-missing", KUBE_SIGN_MOUNT, "FailedMount", "secret \"|configmap \"|not found", .after_s = 60,
     .words = "a volume names something that isn't there",
     .advice = "Create the Secret or ConfigMap that the message names, in the same namespace."},
    {"mount", KUBE_SIGN_MOUNT, NULL, NULL, PATIENT, .words = "the pod's volumes or network aren't there yet",
     .advice = "Look at the events: the volume may still be attached to another node."},

    /* no pods */
    {"create-webhook-down", KUBE_SIGN_CREATE, NULL, "failed calling webhook|internal error", PATIENT,
     .words = "pods aren't created: an admission webhook doesn't answer", .advice = "Look at the webhook's own pods."},
    {"create-quota", KUBE_SIGN_CREATE, NULL, "exceeded quota", .after_s = 30, .words = "pods aren't created: the namespace's quota is used up",
     .advice = "Raise the ResourceQuota, ask for less, or let the strategy end old pods first (maxUnavailable)."},
    {"create-security", KUBE_SIGN_CREATE, NULL, "violates PodSecurity", .after_s = 30,
     .words = "pods aren't created: they violate the namespace's Pod Security level",
     .advice = "Set what the message names in the pod's securityContext."},
    {"create-account", KUBE_SIGN_CREATE, NULL, "service account|serviceaccount", .after_s = 30,
     .words = "pods aren't created: their service account isn't there", .advice = "Create the ServiceAccount, or correct serviceAccountName."},
    {"create-priority", KUBE_SIGN_CREATE, NULL, "PriorityClass", .after_s = 30,
     .words = "pods aren't created: their priority class isn't there", .advice = "Create the PriorityClass, or correct priorityClassName."},
    {"create-denied", KUBE_SIGN_CREATE, NULL, "admission webhook|forbidden|denied|is invalid", .after_s = 30,
     .words = "pods aren't created: the API server refuses them", .advice = "Correct what the message names."},
    {"create-other", KUBE_SIGN_CREATE, NULL, NULL, PATIENT, .words = "pods aren't created", .advice = "Look at the message and the events."},

    {"blocked", KUBE_SIGN_BLOCKED, NULL, NULL, .after_s = 15,
     .words = "an old pod that can't get ready holds the StatefulSet back",
     .advice = "A StatefulSet with podManagementPolicy OrderedReady waits for it for ever: delete that pod (kubectl delete pod), its "
               "successor gets the new image."},

    /* limits */
    {"deadline", KUBE_SIGN_DEADLINE, NULL, NULL, AT_ONCE, .words = "the Deployment made no progress for its progressDeadlineSeconds",
     .advice = "If it only needs longer, raise spec.progressDeadlineSeconds of the Deployment."},
    {"phase-schedule", KUBE_SIGN_PHASE, "schedule", NULL, AT_ONCE, .words = "no node takes the pod within timeouts.schedule",
     .advice = "Add nodes or ask for less; raise timeouts.schedule if nodes come later."},
    {"phase-pull", KUBE_SIGN_PHASE, "pull", NULL, AT_ONCE, .words = "the container isn't started within timeouts.pull",
     .advice = "Raise timeouts.pull for large images; look at the events for what it waits for."},
    {"phase-ready", KUBE_SIGN_PHASE, "ready", NULL, AT_ONCE, .words = "the pod isn't ready within timeouts.ready",
     .advice = "Look at the readiness probe's output in the events and at the log; raise timeouts.ready for slow starts."},
    {0},
};

static bool part_in(const char *text, const char *part, size_t len) {
    for (; *text; text++)
        if (strncasecmp(text, part, len) == 0) return true;
    return false;
}

/* Whether one of the alternatives is (whole) or is in (else) the text. */
static bool matches(const char *alternatives, const char *text, bool whole) {
    if (!alternatives) return true;
    if (!text) return false;
    for (const char *s = alternatives; *s;) {
        size_t n = strcspn(s, "|");
        if (whole ? strlen(text) == n && strncmp(text, s, n) == 0 : part_in(text, s, n)) return true;
        s += n + (s[n] == '|');
    }
    return false;
}

const struct kube_rule *kube_rule_find(const struct kube_sign *sign) {
    const struct kube_rule *r = kube_rules;
    for (; r->id; r++)
        if (r->kind == sign->kind && matches(r->reasons, sign->reason, true) && matches(r->parts, sign->message, false)) return r;
    return r - 1;
}

enum kube_verdict kube_judge(const struct kube_rule *rule, const struct kube_sign *sign, int64_t *ret_ms) {
    *ret_ms = -1;
    if (rule->count && sign->count >= rule->count) return KUBE_HOPELESS;
    if (rule->after_s == KUBE_NEVER) return KUBE_PATIENT;
    int64_t left = rule->after_s * 1000LL - sign->stands;
    if (left <= 0) return KUBE_HOPELESS;
    *ret_ms = left;
    return KUBE_PATIENT;
}
