/* What an apply would do: build, retag or nothing. */
#include <string.h>

#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build.h"
#include "provider/image/image.h"
#include "provider/provider.h"

static void unknown_result(struct image *i) {
    i->digest = i->image = i->pushed_at = TF_UNKNOWN_STRING;
    i->size = (struct tf_int){.state = TF_UNKNOWN};
}

static void plan_uri(struct arena *a, struct image *i) {
    if (i->repository_url.state == TF_UNKNOWN || tf_strings_unknown(&i->tags))
        i->uri = TF_UNKNOWN_STRING;
    else if (i->repository_url.state == TF_KNOWN && i->tags.n)
        i->uri = tf_str(arena_printf(a, "%s:%s", i->repository_url.v, i->tags.v[0].v));
}

static void plan_source(struct tf_req *req, struct image *planned) {
    if (image_source_unknown(planned)) {
        planned->source_hash = TF_UNKNOWN_STRING;
        planned->sources = (struct tf_map){.state = TF_UNKNOWN};
    } else {
        image_source(req, planned);
    }
}

/* The digest that the tags will be on, as far as it is known before the build: the image's own, or that of an image with
 * the same input. NULL: not known. */
static const char *digest_to_be(struct tf_req *req, const struct image_place *place, const struct image *planned) {
    struct ecr_image there = {0};
    bool content = planned->content_tag.state == TF_KNOWN && planned->content_tag.v;
    if (planned->digest.state == TF_KNOWN) return planned->digest.v;
    if (!content || planned->source_hash.state != TF_KNOWN) return NULL;
    const char *tag = image_content_tag(req->ctx->arena, planned->source_hash.v);
    int r = ecr_describe_image(place->ecr, req->ctx, place->registry_id, place->name, NULL, tag, &there, NULL);
    return r == 0 ? there.digest : NULL;
}

/* A tag of an immutable repository that is there already can't be put on another image. */
static void check_tag(struct tf_req *req, const struct image_place *place, const char *tag, size_t index, const char *digest) {
    struct ecr_image there = {0};
    AUTO_ERR struct err err = {0};
    const char *path = arena_printf(req->ctx->arena, "tags[%zu]", index);
    int r = ecr_describe_image(place->ecr, req->ctx, place->registry_id, place->name, NULL, tag, &there, &err);
    if (r == 0 && !str_eq(there.digest, digest))
        tf_error(req->diags, path, "The tag can't be moved",
                 "The ECR repository %s has immutable tags, and its tag \"%s\" is on %s already. Use a tag that is new with each build, or "
                 "make the repository's tags mutable.",
                 place->name, tag, there.digest);
    else if (r == 1 && str_eq(tag, "latest"))
        tf_warning(req->diags, path, "The tag can be put once only",
                   "The ECR repository %s has immutable tags: \"latest\" can be put on this image, but the next build can't move it.",
                   place->name);
    else if (r < 0)
        log_debug(req->ctx, "the tag %s of %s can't be looked up: %s", tag, place->name, err_text(&err));
}

static bool in_state(const struct image *prior, const char *tag) {
    for (size_t i = 0; prior && i < prior->tags.n; i++)
        if (str_eq(tf_text(prior->tags.v[i]), tag)) return true;
    return false;
}

/* What can be known before the apply about the place where the image goes. */
static void check_place(struct tf_req *req, const struct image *prior, struct image *planned, bool builds) {
    AUTO_ERR struct err err = {0};
    struct image_place place = {0};
    if (image_place_parse(req, planned->repository.v, &place, &err) < 0) {
        tf_error_from(req->diags, "repository", "The repository can't be reached", &err);
        return;
    }
    if (!place.ecr) return;
    if (!place.registry_id) place.registry_id = tf_text(planned->registry_id);
    int r = image_place_find(req, &place, &err);
    if (r == -ERR_DENIED || r == -ERR_UNAVAILABLE || r == -ERR_THROTTLED || r == -ERR_TIMEOUT) {
        tf_warning_from(req->diags, "repository", "The repository can't be looked at now; the apply will need it", &err);
        return;
    }
    if (r < 0) tf_error_from(req->diags, "repository", "The repository can't be reached", &err);
    if (r != 0 || !place.immutable) return;
    const char *digest = digest_to_be(req, &place, planned);
    for (size_t i = 0; i < planned->tags.n; i++) {
        const char *tag = tf_text(planned->tags.v[i]);
        if (tag && (builds || !in_state(prior, tag))) check_tag(req, &place, tag, i, digest);
    }
}

static void check_builder(struct tf_req *req) {
    AUTO_ERR struct err err = {0};
    struct builder *b = NULL;
    if (builder_open(req->ctx, provider_builder_config(req->provider), &b, &err) < 0)
        tf_warning_from(req->diags, NULL, "No builder can be reached from here; the apply will need one", &err);
    builder_free(b);
}

static bool differs(struct tf_string planned, struct tf_string prior) { return !tf_string_equal(planned, prior); }

/* A name and its URL are the same repository: after an import by the one, the configuration may have the other. */
static bool moves(struct tf_req *req, const struct image *prior, const struct image *planned) {
    const char *url = tf_text(prior->repository_url), *name = tf_text(planned->repository);
    if (!differs(planned->repository, prior->repository)) return false;
    if (!url || !name || str_eq(name, url)) return !url || !name;
    const char *slash = strchr(url, '/');
    if (!slash || !str_eq(slash + 1, name)) return true;
    AUTO_ERR struct err err = {0};
    struct image_place place = {0};
    int r = image_place_parse(req, name, &place, &err);
    if (r == 0) r = image_place_find(req, &place, &err);
    /* Where nobody can tell now, the apply compares again. */
    return r == 1 || (r == 0 && !str_eq(image_place_url(req->ctx->arena, &place), url));
}

void image_plan(struct tf_req *req, struct tf_plan *p) {
    const struct image *prior = p->prior;
    struct image *planned = p->planned;
    plan_source(req, planned);
    if (tf_failed(req->diags)) return;
    bool moved = prior && moves(req, prior, planned);
    if (moved && prior->repository.state == TF_KNOWN) p->replace[0] = "repository"; /* unless it was a null_resource before */
    bool builds = !prior || moved || differs(planned->source_hash, prior->source_hash) || prior->digest.state != TF_KNOWN;
    if (!image_planned_same(req, planned)) return;
    if (builds) image_planned_keep(req, planned);
    if (builds) unknown_result(planned);
    if (moved) planned->id = planned->registry_id = planned->repository_arn = planned->repository_url = TF_UNKNOWN_STRING;
    plan_uri(req->ctx->arena, planned);
    if (!prior && planned->repository.state == TF_KNOWN) planned->uri = TF_UNKNOWN_STRING;
    bool retags = !builds && !tf_strings_equal(&planned->tags, &prior->tags);
    if (builds || retags) p->changed = true;
    if (planned->repository.state == TF_KNOWN && (builds || retags)) {
        check_place(req, prior, planned, builds);
        if (builds && !tf_failed(req->diags)) check_builder(req);
    }
}
