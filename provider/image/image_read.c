/* Read, import and move: what of an image is still true. */
#include <string.h>

#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "oci/oci.h"
#include "provider/image/image.h"
#include "provider/provider.h"

/* The digest that a tag is on now: 0, 1 if there is no such tag, negative if nobody can tell. */
static int digest_of_tag(struct tf_req *req, const struct image_place *place, const char *tag, const char **ret, struct err *err) {
    if (place->ecr) {
        struct ecr_image there = {0};
        int r = ecr_describe_image(place->ecr, req->ctx, place->registry_id, place->name, NULL, tag, &there, err);
        if (r == 0) *ret = there.digest;
        return r > 0 ? 1 : r;
    }
    struct oci_manifest m = {0};
    int r = oci_head(provider_oci(req->provider), req->ctx, place->host, place->name, tag, &m, err);
    if (r == 0) *ret = m.digest;
    return r;
}

/* Does the image exist, and which tags are on it? In ECR one request answers both. */
static int look(struct tf_req *req, const struct image_place *place, const char *digest, struct ecr_image *ret, struct err *err) {
    if (place->ecr) {
        int r = ecr_describe_image(place->ecr, req->ctx, place->registry_id, place->name, digest, NULL, ret, err);
        return r > 0 ? 1 : r;
    }
    struct oci_manifest m = {0};
    return oci_head(provider_oci(req->provider), req->ctx, place->host, place->name, digest, &m, err);
}

static bool listed(const struct ecr_image *image, const char *tag) {
    for (size_t i = 0; i < image->n_tags; i++)
        if (str_eq(image->tags[i], tag)) return true;
    return false;
}

/* Keeps in the state the tags that are on the image, so that the plan shows those that are missing as a change. */
static int read_tags(struct tf_req *req, const struct image_place *place, const struct ecr_image *there, struct image *i, struct err *err) {
    struct arena *a = req->ctx->arena;
    struct tf_strings kept = {.state = TF_KNOWN, .v = arena_array(a, i->tags.n, sizeof *kept.v)};
    for (size_t k = 0; k < i->tags.n; k++) {
        const char *tag = tf_text(i->tags.v[k]), *now = NULL;
        if (!tag) continue;
        int r = place->ecr && listed(there, tag) ? 0 : digest_of_tag(req, place, tag, &now, err);
        if (r < 0) return r;
        if (r == 0 && (!now || str_eq(now, i->digest.v))) {
            kept.v[kept.n++] = i->tags.v[k];
            continue;
        }
        const char *path = arena_printf(a, "tags[%zu]", k);
        if (r == 1)
            tf_warning(req->diags, path, "A tag is gone", "The tag \"%s\" of %s was on %s and has been removed. An apply puts it back.", tag,
                       i->repository_url.v, i->digest.v);
        else
            tf_warning(req->diags, path, "A tag was moved", "The tag \"%s\" of %s was on %s and is now on %s. An apply puts it back.", tag,
                       i->repository_url.v, i->digest.v, now);
    }
    i->tags = kept;
    return 0;
}

/* An import knows repository and tags only. */
static int complete(struct tf_req *req, struct image_place *place, struct image *i, struct err *err) {
    struct arena *a = req->ctx->arena;
    const char *digest = NULL;
    int r = image_place_find(req, place, err);
    if (r != 0) return r;
    r = digest_of_tag(req, place, i->tags.v[0].v, &digest, err);
    if (r != 0) return r;
    const char *url = image_place_url(a, place);
    i->id = i->repository_url = tf_str(url);
    i->registry_id = tf_str(place->registry_id);
    i->repository_arn = tf_str(place->arn);
    i->uri = tf_str(arena_printf(a, "%s:%s", url, i->tags.v[0].v));
    i->digest = tf_str(digest);
    i->image = tf_str(arena_printf(a, "%s@%s", url, digest));
    return 0;
}

void image_read(struct tf_req *req, struct tf_read *r) {
    struct image *i = r->state;
    AUTO_ERR struct err err = {0};
    struct image_place place = {0};
    struct ecr_image there = {0};
    if (i->repository.state != TF_KNOWN) return; /* moved here from another resource, not applied yet */
    int result = image_place_parse(req, i->repository.v, &place, &err);
    if (result == 0 && !place.registry_id) place.registry_id = tf_text(i->registry_id);
    if (result == 0 && i->digest.state != TF_KNOWN) result = i->tags.n ? complete(req, &place, i, &err) : 1;
    if (result == 0) result = look(req, &place, i->digest.v, &there, &err);
    if (result == 0) result = read_tags(req, &place, &there, i, &err);
    if (result == 1) r->gone = true;
    if (result >= 0) return;
    /* Not to know is not to be gone: the state stays as it is. A mistake in the configuration won't mend itself, though. */
    bool mistake = err.code == ERR_INVALID || err.code == ERR_NOT_FOUND || err.code == ERR_UNSUPPORTED;
    if (mistake)
        tf_error_from(req->diags, "repository", "The image can't be looked at", &err);
    else
        tf_warning_from(req->diags, "repository", "The image could not be looked at; its last known state is kept", &err);
}

void image_import(struct tf_req *req, struct tf_import *im) {
    struct arena *a = req->ctx->arena;
    struct image *i = im->state;
    const char *colon = strrchr(im->id, ':');
    if (!colon || strchr(colon, '/') || !oci_valid_tag(colon + 1) || strchr(im->id, '@')) {
        tf_error(req->diags, NULL, "The import's id can't be used",
                 "\"%s\" is not NAME:TAG or REPOSITORY_URL:TAG. For example: tofu import gpudev_image.api_service api-service:latest", im->id);
        return;
    }
    char *repository = arena_strndup(a, im->id, (size_t) (colon - im->id));
    struct tf_strings tags = {.state = TF_KNOWN, .n = 1, .v = arena_alloc(a, sizeof(struct tf_string))};
    tags.v[0] = tf_str(arena_strdup(a, colon + 1));
    i->repository = tf_str(repository);
    i->tags = tags;
    AUTO_ERR struct err err = {0};
    struct image_place place = {0};
    const char *digest = NULL;
    int r = image_place_parse(req, repository, &place, &err);
    if (r == 0) r = digest_of_tag(req, &place, colon + 1, &digest, &err);
    if (r < 0) tf_error_from(req->diags, NULL, "The image can't be imported", &err);
    if (r == 1)
        tf_error(req->diags, NULL, "The image can't be imported", "There is no tag \"%s\" in the repository %s%s%s.", colon + 1, repository,
                 place.ecr ? " of region " : "", place.ecr ? ecr_region(place.ecr) : "");
}

/* null_resource and terraform_data carry nothing that an image needs: the plan builds, or finds the image by its content. */
void image_move(struct tf_req *req, struct tf_move *m) {
    bool null = str_ends(m->source_provider, "/hashicorp/null") && str_eq(m->source_type, "null_resource");
    bool data = str_ends(m->source_provider, "terraform.io/builtin/terraform") && str_eq(m->source_type, "terraform_data");
    if (!null && !data) {
        tf_error(req->diags, NULL, "This resource can't become an image",
                 "%s of %s can't be moved to gpudev_image: only null_resource and terraform_data can.", m->source_type, m->source_provider);
        return;
    }
    AUTO_JSON struct json *j = json_parse(m->source_json, strlen(m->source_json), NULL);
    struct image *i = m->state;
    const char *id = json_get_str(j, "id");
    i->id = tf_str(arena_strdup(req->ctx->arena, id ? id : "moved"));
    i->keep_on_destroy = tf_boolean(true);
}
