/* Destroy: the tags that this resource put there, then the repository if gpudev made it and nothing else is in it. */
#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "provider/image/image.h"
#include "provider/provider.h"

static int64_t timeout_of(const struct image *i) {
    const struct image_timeouts *t = i->timeouts.state == TF_KNOWN ? i->timeouts.v : NULL;
    const char *text = t ? tf_text(t->destroy) : NULL;
    return text ? duration_parse(text) : 10 * 60 * 1000;
}

/* A tag that was moved meanwhile is somebody else's now. Never a digest is deleted: other tags may use it. */
static int remove_tag(struct ctx *ctx, const struct image_place *place, const char *tag, const char *digest, struct err *err) {
    struct ecr_image there = {0};
    int r = ecr_describe_image(place->ecr, ctx, place->registry_id, place->name, NULL, tag, &there, err);
    if (r < 0) return err_wrap(err, "cannot look up the tag %s of %s", tag, place->name);
    if (r > 0 || (digest && !str_eq(there.digest, digest))) return 0;
    r = ecr_delete_tag(place->ecr, ctx, place->registry_id, place->name, tag, err);
    return r < 0 ? err_wrap(err, "cannot remove the tag %s of %s", tag, place->name) : 0;
}

/* The private bytes can be lost (a tainted resource is replaced, a provider has crashed): state and repository know too. */
static int recall(struct tf_req *req, const struct image *i, struct image_place *place, struct image_private *private, struct err *err) {
    if (tf_text(i->source_hash) && i->content_tag.state == TF_KNOWN && i->content_tag.v)
        image_private_add(private, image_content_tag(req->ctx->arena, i->source_hash.v));
    if (private->ours) return 0;
    int r = image_place_find(req, place, err);
    return r ? r : image_place_ours(req, place, &private->ours, err);
}

static int remove_all(struct ctx *ctx, const struct image *i, const struct image_place *place, const struct image_private *private,
                      struct err *err) {
    for (size_t k = 0; k < i->tags.n; k++) {
        const char *tag = tf_text(i->tags.v[k]);
        int r = tag ? remove_tag(ctx, place, tag, tf_text(i->digest), err) : 0;
        if (r < 0) return r;
    }
    for (size_t k = 0; k < private->content_tags.n; k++) {
        int r = remove_tag(ctx, place, private->content_tags.v[k], NULL, err);
        if (r < 0) return r;
    }
    if (!private->ours) return 0;
    int r = ecr_delete_repository(place->ecr, ctx, place->registry_id, place->name, false, err);
    return r < 0 ? err_wrap(err, "cannot delete the repository %s", place->name) : 0;
}

void image_destroy(struct tf_req *req, struct tf_apply *a) {
    const struct image *i = a->prior;
    struct ctx ctx = ctx_with_timeout(req->ctx, timeout_of(i));
    struct tf_req limited = *req;
    limited.ctx = &ctx;
    struct image_private private;
    image_private_read(ctx.arena, a->private.in, &private);
    if (i->keep_on_destroy.state == TF_KNOWN && i->keep_on_destroy.v) return;
    if (i->repository.state != TF_KNOWN || i->digest.state != TF_KNOWN) return; /* nothing was put anywhere */
    AUTO_ERR struct err err = {0};
    struct image_place place = {0};
    int r = image_place_parse(&limited, i->repository.v, &place, &err);
    if (r == 0 && !place.ecr) {
        tf_warning(req->diags, "repository", "The tags stay in the registry",
                   "%s: registries other than ECR have no way to remove a tag without its image, which other tags may use.", i->repository.v);
        return;
    }
    if (r == 0 && !place.registry_id) place.registry_id = tf_text(i->registry_id);
    if (r == 0) r = recall(&limited, i, &place, &private, &err);
    if (r == 0) r = remove_all(&ctx, i, &place, &private, &err);
    if (r < 0) tf_error_from(req->diags, "repository", "The image could not be removed from the registry", &err);
}
