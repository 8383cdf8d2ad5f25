#include "provider/image/image.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Amazon ECR CreateRepository, repositoryName: 2 to 256 characters. */
static bool valid_name(const char *s) {
    size_t n = strlen(s);
    if (n < 2 || n > 256) return false;
    bool separator = true; /* a separator may not come first, last or doubled */
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (islower((unsigned char) c) || isdigit((unsigned char) c)) {
            separator = false;
        } else if (c == '.' || c == '/' || c == '-' || c == '_') {
            bool run = i && !separator ? false : !(i && c == '-' && s[i - 1] == '-') && !(i && c == '_' && s[i - 1] == '_');
            if (run) return false;
            separator = true;
        } else {
            return false;
        }
    }
    return !separator;
}

static const char *check_repository(struct arena *a, const char *text) {
    const char *slash = strchr(text, '/');
    const char *name = text;
    if (slash) {
        char *first = arena_strndup(a, text, (size_t) (slash - text));
        if (strpbrk(first, ".:") || str_eq(first, "localhost")) name = slash + 1;
        struct oci_ref ref;
        if (name != text && oci_parse_ref(a, arena_printf(a, "%s/name", first), &ref, NULL) < 0)
            return arena_printf(a, "\"%s\" is not the host of a registry: it needs HOST or HOST:PORT, without https:// and without a user.", first);
    }
    if (strchr(name, ':') || strchr(name, '@'))
        return arena_printf(a, "\"%s\" holds a tag or a digest. Name the repository alone and put tags into `tags`.", text);
    if (!valid_name(name))
        return arena_printf(a,
                            "\"%s\" is not a repository name: it needs 2 to 256 lower-case letters, digits and the separators "
                            "'.', '_', '-' and '/', each between letters or digits.",
                            name);
    return NULL;
}

static const char *check_tag(struct arena *a, const char *text) {
    if (oci_valid_tag(text)) return NULL;
    return arena_printf(a,
                        "\"%s\" is not a tag: it needs 1 to 128 letters, digits, '_', '.' or '-', and must not begin with '.' or '-' "
                        "(OCI Distribution Specification, \"Pulling manifests\").",
                        text);
}

static const char *check_keep_last(struct arena *a, const char *text) {
    (void) a;
    return *text == '-' || strlen(text) > 4 ? "keep_last is the number of images that the lifecycle policy keeps: 0 (no policy) to 9999."
                                            : NULL;
}

static const char *check_duration(struct arena *a, const char *text) {
    if (duration_parse(text) >= 0) return NULL;
    return arena_printf(a, "\"%s\" is not a duration. Write it as \"30s\", \"10m\" or \"1h30m\".", text);
}

static const char *check_not_empty(struct arena *a, const char *text) {
    (void) a;
    return *text ? NULL : "An empty text can't be used here. Leave the argument out for its default.";
}

#define AT(field) offsetof(struct image_timeouts, field)
static const struct tf_attr timeout_attrs[] = {
    {"create", TF_STRING, TF_OPTIONAL, AT(create), "For the first build and push. Default `60m`.", .check = check_duration},
    {"update", TF_STRING, TF_OPTIONAL, AT(update), "For each later build and push. Default `60m`.", .check = check_duration},
    {"delete", TF_STRING, TF_OPTIONAL, AT(destroy), "For removing tags and repository. Default `10m`.", .check = check_duration},
    {0},
};
#undef AT
static const struct tf_table timeouts_table = {timeout_attrs, sizeof(struct image_timeouts), NULL};

#define AT(field) offsetof(struct image, field)
enum { INPUT = TF_OPTIONAL, DEFAULTED = TF_OPTIONAL | TF_COMPUTED, RESULT = TF_COMPUTED | TF_STABLE };
static const struct tf_attr attrs[] = {
    {"repository", TF_STRING, TF_REQUIRED, AT(repository),
     "Name of the ECR repository, in the provider's region and the credentials' account; created when it doesn't exist, otherwise "
     "adopted with its settings and images untouched. Or `HOST/NAME` of any OCI registry. A change replaces the resource.",
     .check = check_repository},
    {"keep_last", TF_INT, DEFAULTED, AT(keep_last),
     "The lifecycle policy of a repository that this resource creates keeps this many images. `0`: no policy.", .fallback = "10",
     .check = check_keep_last},
    {"tags", TF_LIST_STRING, DEFAULTED, AT(tags), "Tags of the image. A change of tags alone builds nothing.", .fallback = "[\"latest\"]",
     .check = check_tag},
    {"context", TF_STRING, DEFAULTED, AT(context),
     "The folder that is the build's context, relative to the working directory. For Dockerfiles that copy from a sibling such as "
     "`shared/` use the parent: `path.module`.",
     .fallback = ".", .check = check_not_empty},
    {"dockerfile", TF_STRING, DEFAULTED, AT(dockerfile), "The Dockerfile, relative to the context.", .fallback = "Dockerfile",
     .check = check_not_empty},
    {"target", TF_STRING, INPUT, AT(target), "The stage to build. Default: the last one.", .check = check_not_empty},
    {"build_args", TF_MAP_STRING, INPUT, AT(build_args), "Values for the Dockerfile's `ARG`s."},
    {"labels", TF_MAP_STRING, INPUT, AT(labels), "Labels of the image's configuration."},
    {"ignore", TF_LIST_STRING, INPUT, AT(ignore), "Patterns that are added to those of the ignore file (`.dockerignore`)."},
    {"triggers", TF_MAP_STRING, INPUT, AT(triggers),
     "Any values; a change rebuilds. A file that another resource writes in the same apply belongs here, by its hash."},
    {"content_tag", TF_BOOL, DEFAULTED, AT(content_tag),
     "Also tag the image `src-` and the first 16 digits of `source_hash`. A hash that the registry already holds is tagged, not built: "
     "on another machine, after a revert, in a fresh CI runner.",
     .fallback = "true"},
    {"keep_on_destroy", TF_BOOL, DEFAULTED, AT(keep_on_destroy), "Leave tags, images and repository in place when the resource is destroyed.",
     .fallback = "false"},
    {"timeouts", TF_OBJECT, INPUT, AT(timeouts), "How long an operation may take, as `\"30s\"`, `\"10m\"` or `\"1h30m\"`.",
     .nested = &timeouts_table},
    {"id", TF_STRING, RESULT, AT(id), "The repository's URL."},
    {"registry_id", TF_STRING, RESULT, AT(registry_id), "The AWS account that the repository is in; null for other registries."},
    {"repository_arn", TF_STRING, RESULT, AT(repository_arn), "ARN of the ECR repository; null for other registries."},
    {"repository_url", TF_STRING, RESULT, AT(repository_url), "`ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`."},
    {"uri", TF_STRING, RESULT, AT(uri), "`repository_url:TAG` with the first tag."},
    {"digest", TF_STRING, RESULT, AT(digest), "Digest of the pushed manifest or index, as the registry confirmed it."},
    {"image", TF_STRING, RESULT, AT(image), "`repository_url@DIGEST`: what a workload should run."},
    {"source_hash", TF_STRING, RESULT, AT(source_hash), "Hash over everything that the build reads. A change rebuilds."},
    {"sources", TF_MAP_STRING, RESULT, AT(sources), "Each source of the build (`COPY` and `ADD` sources, Dockerfile, ignore file) and its hash."},
    {"pushed_at", TF_STRING, RESULT, AT(pushed_at), "When the image was pushed (RFC 3339)."},
    {"size", TF_INT, RESULT, AT(size), "Bytes that the image takes in the registry."},
    {0},
};
#undef AT

static void validate(struct tf_req *req, struct tf_validate *v) {
    const struct image *config = v->config;
    const struct tf_strings *tags = &config->tags;
    if (tags->state != TF_KNOWN) return;
    if (!tags->n) tf_error(req->diags, "tags", "An image needs a tag", "Name at least one tag, or leave `tags` out for [\"latest\"].");
    for (size_t i = 0; i < tags->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (tags->v[i].state != TF_KNOWN || !tf_string_equal(tags->v[i], tags->v[j])) continue;
            tf_error(req->diags, "tags", "A tag stands twice", "\"%s\" is named more than once. Remove one of them.", tags->v[i].v);
        }
    }
}

const struct tf_resource image_resource = {
    .name = "gpudev_image",
    .description = "An image that is built from a folder by the Docker Engine's BuildKit, pushed to ECR and verified by digest. It is rebuilt "
                   "when what the build reads has changed, and only then.",
    .table = {attrs, sizeof(struct image), NULL},
    .validate = validate,
    .plan = image_plan,
    .create = image_create,
    .update = image_update,
    .destroy = image_destroy,
    .read = image_read,
    .import = image_import,
    .move = image_move,
};
