/* Create and update: repository, then build or adoption of an equal image, push, verification, tags last. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aws/ecr.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build.h"
#include "oci/oci.h"
#include "progress/progress.h"
#include "provider/image/image.h"
#include "provider/provider.h"

enum { APPEAR_MS = 5000, APPEAR_STEP_MS = 250 }; /* ECR may not show at once what was pushed just now */

/* One apply in work. */
struct work {
    struct tf_req *req, limited; /* limited, with ctx for its own */
    struct ctx ctx;              /* with the operation's timeout */
    struct image *image;
    struct image_place place;
    struct image_private private;
    struct oci_manifest manifest;
    bool pushed; /* a new image is in the registry */
    struct builder *builder;
    struct progress *progress;
};

static const char *title(struct arena *a, const struct image *i) {
    return arena_printf(a, "%s:%s", i->repository.v, i->tags.n && tf_text(i->tags.v[0]) ? i->tags.v[0].v : "");
}

static int64_t timeout_of(const struct image *i, bool create) {
    const struct image_timeouts *t = i->timeouts.state == TF_KNOWN ? i->timeouts.v : NULL;
    const char *text = t ? tf_text(create ? t->create : t->update) : NULL;
    return text ? duration_parse(text) : 60 * 60 * 1000;
}

static void fail(struct work *w, const char *path, const char *summary, struct err *err) {
    if (w->progress && progress_log_path(w->progress)) {
        AUTO_FREE char *hint = mem_strdup(err->hint);
        err_hint(err, "%s%sThe whole log is in %s.", hint ? hint : "", hint ? " " : "", progress_log_path(w->progress));
    }
    tf_error_from(w->req->diags, path, summary, err);
}

/* The plan's hash stands, or is taken now where it was unknown. */
static bool settle_source(struct work *w, const struct image *planned) {
    if (!image_source(w->req, w->image)) return false;
    if (planned->source_hash.state != TF_KNOWN || tf_string_equal(planned->source_hash, w->image->source_hash)) return true;
    image_changed_error(w->req, w->image, &planned->sources);
    return false;
}

/* An image with this very input that the registry holds already: under the content tag, or what this resource built
 * before from the same input. 1: none. */
static int adopt(struct work *w, const struct image *prior, const char *content_tag, struct err *err) {
    const char *reference = content_tag;
    if (!reference && prior && tf_string_equal(prior->source_hash, w->image->source_hash)) reference = tf_text(prior->digest);
    if (!reference) return 1;
    int r = oci_get(provider_oci(w->req->provider), &w->ctx, w->place.host, w->place.name, reference, &w->manifest, err);
    if (r == 0) progress_line(w->progress, "found %s in the registry: nothing to build", reference);
    return r;
}

static int build(struct work *w, const char *content_tag, struct err *err) {
    struct arena *a = w->ctx.arena;
    const struct image *i = w->image;
    const char *context = fs_abs(a, i->context.v);
    struct kv *args = arena_array(a, i->build_args.n, sizeof *args), *labels = arena_array(a, i->labels.n, sizeof *labels);
    const char **ignore = arena_array(a, i->ignore.n, sizeof *ignore);
    for (size_t k = 0; k < i->build_args.n; k++) args[k] = (struct kv){i->build_args.v[k].key, tf_text(i->build_args.v[k].value)};
    for (size_t k = 0; k < i->labels.n; k++) labels[k] = (struct kv){i->labels.v[k].key, tf_text(i->labels.v[k].value)};
    for (size_t k = 0; k < i->ignore.n; k++) ignore[k] = tf_text(i->ignore.v[k]);
    struct build_request request = {
        .context = context,
        .dockerfile = fs_join(a, context, i->dockerfile.v),
        .target = tf_text(i->target),
        .build_args = args,
        .n_build_args = i->build_args.n,
        .labels = labels,
        .n_labels = i->labels.n,
        .ignore = ignore,
        .n_ignore = i->ignore.n,
        .source_hash = i->context_hash,
        .repository = image_place_url(a, &w->place),
        .push_tag = content_tag,
        .auth = provider_auth(w->req->provider),
        .progress = w->progress,
    };
    struct build_result result = {0};
    int r = builder_build(w->builder, &w->ctx, &request, &result, err);
    if (r < 0) return r;
    w->pushed = true;
    w->manifest.digest = result.digest;
    /* Verified by digest, not by tag: what was pushed is what the registry gives out. */
    for (int64_t waited = 0;; waited += APPEAR_STEP_MS) {
        r = oci_get(provider_oci(w->req->provider), &w->ctx, w->place.host, w->place.name, result.digest, &w->manifest, err);
        if (r != 1 || waited >= APPEAR_MS) break;
        if ((r = ctx_sleep(&w->ctx, APPEAR_STEP_MS, err)) < 0) return r;
    }
    if (r == 1)
        return err_set(err, ERR_FAILED, "the builder reports that it pushed %s, but %s/%s doesn't have it", result.digest, w->place.host,
                       w->place.name);
    return r;
}

/* Puts what is missing, takes away what is no longer configured. */
static int put_tags(struct work *w, const struct image *prior, bool all, struct err *err) {
    struct oci *oci = provider_oci(w->req->provider);
    for (size_t i = 0; i < w->image->tags.n; i++) {
        const char *tag = w->image->tags.v[i].v;
        bool there = false;
        for (size_t k = 0; !all && prior && k < prior->tags.n; k++) there |= str_eq(tf_text(prior->tags.v[k]), tag);
        if (there) continue;
        int r = oci_put(oci, &w->ctx, w->place.host, w->place.name, tag, &w->manifest, err);
        if (r < 0) return err_wrap(err, "cannot put the tag %s on %s", tag, w->manifest.digest);
        progress_line(w->progress, "tagged %s", tag);
    }
    return 0;
}

static bool configured(const struct image *i, const char *tag) {
    for (size_t k = 0; k < i->tags.n; k++)
        if (str_eq(tf_text(i->tags.v[k]), tag)) return true;
    return false;
}

/* Tags that were ours and are not configured any more. A failure is a warning: the image itself is in place. */
static void drop_tags(struct work *w, const struct image *prior) {
    if (!prior || !w->place.ecr) return;
    for (size_t i = 0; i < prior->tags.n; i++) {
        const char *tag = tf_text(prior->tags.v[i]);
        AUTO_ERR struct err err = {0};
        struct ecr_image there = {0};
        if (!tag || configured(w->image, tag)) continue;
        int r = ecr_describe_image(w->place.ecr, &w->ctx, w->place.registry_id, w->place.name, NULL, tag, &there, &err);
        if (r == 0 && str_eq(there.digest, tf_text(prior->digest)))
            r = ecr_delete_tag(w->place.ecr, &w->ctx, w->place.registry_id, w->place.name, tag, &err);
        if (r < 0) tf_warning_from(w->req->diags, "tags", arena_printf(w->ctx.arena, "The old tag %s stays in the repository", tag), &err);
    }
}

static const char *rfc3339(struct arena *a, int64_t seconds) {
    time_t t = (time_t) seconds;
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_strdup(a, text);
}

static void describe(struct work *w) {
    struct arena *a = w->ctx.arena;
    struct image *i = w->image;
    AUTO_ERR struct err err = {0};
    struct ecr_image there = {0};
    const struct clock *clock = ctx_clock(&w->ctx);
    int64_t pushed = clock->wall(clock->self) / 1000;
    uint64_t size = 0;
    if (w->place.ecr && ecr_describe_image(w->place.ecr, &w->ctx, w->place.registry_id, w->place.name, w->manifest.digest, NULL, &there, &err) == 0) {
        pushed = there.pushed_at ? there.pushed_at : pushed;
        size = there.size;
    }
    if (!size) oci_size(provider_oci(w->req->provider), &w->ctx, w->place.host, w->place.name, &w->manifest, &size, NULL);
    i->digest = tf_str(w->manifest.digest);
    i->pushed_at = tf_str(rfc3339(a, pushed));
    i->size = tf_integer((int64_t) size);
}

static void fill(struct work *w) {
    struct arena *a = w->ctx.arena;
    struct image *i = w->image;
    const char *url = image_place_url(a, &w->place);
    i->id = i->repository_url = tf_str(url);
    i->registry_id = tf_str(w->place.registry_id);
    i->repository_arn = tf_str(w->place.arn);
    i->uri = tf_str(arena_printf(a, "%s:%s", url, i->tags.v[0].v));
    i->image = tf_str(arena_printf(a, "%s@%s", url, tf_text(i->digest)));
}

static bool open_builder(struct work *w) {
    AUTO_ERR struct err err = {0};
    if (w->builder) return true;
    if (builder_open(&w->ctx, provider_builder_config(w->req->provider), &w->builder, &err) == 0) return true;
    fail(w, NULL, "No builder can be reached", &err);
    return false;
}

static bool ensure_place(struct work *w) {
    AUTO_ERR struct err err = {0};
    bool ours = false;
    if (image_place_ensure(w->req, &w->place, (long) w->image->keep_last.v, &ours, &err) < 0) {
        fail(w, "repository", "The repository can't be had", &err);
        return false;
    }
    w->private.ours |= ours;
    return true;
}

static bool tags_content(const struct image *i) { return i->content_tag.state != TF_KNOWN || i->content_tag.v; }

static bool make(struct work *w, const struct image *prior) {
    AUTO_ERR struct err err = {0};
    const char *content_tag = tags_content(w->image) ? image_content_tag(w->ctx.arena, w->image->source_hash.v) : NULL;
    int r = adopt(w, prior, content_tag, &err);
    if (r == 1) {
        if (!open_builder(w)) return false;
        /* A push needs a name. Without content tags it is the first tag, which then moves before verification. */
        r = build(w, content_tag ? content_tag : w->image->tags.v[0].v, &err);
    }
    if (content_tag && (r == 0 || w->pushed)) image_private_add(&w->private, content_tag);
    if (r == 0) return true;
    fail(w, NULL, w->pushed ? "The image was pushed, but could not be verified" : "The image could not be built and pushed", &err);
    return false;
}

static bool tag_and_fill(struct work *w, const struct image *prior, bool all) {
    AUTO_ERR struct err err = {0};
    if (put_tags(w, prior, all, &err) < 0) {
        fail(w, "tags", "The image is in the registry, but not all of its tags", &err);
        return false;
    }
    describe(w);
    fill(w);
    return true;
}

static void begin(struct work *w, struct tf_req *req, struct tf_apply *a, bool create) {
    *w = (struct work){.limited = *req, .image = a->state, .ctx = ctx_with_timeout(req->ctx, timeout_of(a->planned, create))};
    w->req = &w->limited;
    w->req->ctx = &w->ctx;
    w->progress = provider_progress(req->provider, title(req->ctx->arena, w->image));
    /* In a replacement the create call comes with what is remembered of the object that goes. */
    if (!create) image_private_read(req->ctx->arena, a->private.in, &w->private);
}

static void end(struct work *w, struct tf_apply *a) {
    a->private.out = image_private_text(w->ctx.arena, &w->private);
    builder_free(w->builder);
    progress_free(w->progress);
}

static bool parse_place(struct work *w, const struct image *prior) {
    AUTO_ERR struct err err = {0};
    if (image_place_parse(w->req, w->image->repository.v, &w->place, &err) == 0) {
        if (prior && !w->place.registry_id) w->place.registry_id = tf_text(prior->registry_id);
        return true;
    }
    fail(w, "repository", "The repository can't be reached", &err);
    return false;
}

/* A bare name is looked up with the credentials of today; those of another account would find another repository. */
static bool same_repository(struct work *w, const struct image *planned) {
    const char *url = image_place_url(w->ctx.arena, &w->place);
    if (planned->repository_url.state != TF_KNOWN || str_eq(url, planned->repository_url.v)) return true;
    tf_error(w->req->diags, "repository", "The repository is another one now",
             "The image is in %s, but the provider's region and credentials lead to %s. Use those that the image was made with, or name the "
             "repository by its URL.",
             planned->repository_url.v, url);
    return false;
}

/* The builder is looked for before the repository is made: nothing half-done where there is none. An image that the
 * registry holds already needs no builder, so a repository that exists is asked first. */
static bool builder_or_image(struct work *w) {
    AUTO_ERR struct err err = {0};
    struct image_place place = w->place;
    int r = image_place_find(w->req, &place, &err);
    if (r < 0) {
        fail(w, "repository", "The repository can't be reached", &err);
        return false;
    }
    return r == 0 || open_builder(w);
}

void image_create(struct tf_req *req, struct tf_apply *a) {
    struct work w;
    begin(&w, req, a, true);
    bool ok = settle_source(&w, a->planned) && parse_place(&w, NULL) && builder_or_image(&w) && ensure_place(&w) && make(&w, NULL) &&
              tag_and_fill(&w, NULL, true);
    if (ok) image_planned_forget(w.req, w.image);
    if (!ok && w.pushed && !tags_content(w.image)) {
        /* Nothing else would find the pushed image again. */
        describe(&w);
        fill(&w);
        w.image->tags.n = 1; /* the one that it was pushed under */
        a->keep = true;
    }
    end(&w, a);
}

/* The prior image under other tags. */
static bool retag(struct work *w, const struct image *prior) {
    AUTO_ERR struct err err = {0};
    int r = oci_get(provider_oci(w->req->provider), &w->ctx, w->place.host, w->place.name, prior->digest.v, &w->manifest, &err);
    if (r == 1) r = err_set(&err, ERR_NOT_FOUND, "%s isn't in the registry any more", prior->digest.v);
    if (r < 0) {
        fail(w, "tags", "The image can't be tagged", &err);
        return false;
    }
    if (put_tags(w, prior, false, &err) < 0) {
        fail(w, "tags", "The image can't be tagged", &err);
        return false;
    }
    w->image->digest = prior->digest;
    fill(w);
    return true;
}

static bool update_keep_last(struct work *w, const struct image *prior) {
    if (!w->private.ours || !w->place.ecr || w->image->keep_last.v == prior->keep_last.v) return true;
    AUTO_ERR struct err err = {0};
    if (image_place_keep_last(w->req, &w->place, (long) w->image->keep_last.v, &err) == 0) return true;
    fail(w, "keep_last", "The lifecycle policy can't be changed", &err);
    return false;
}

void image_update(struct tf_req *req, struct tf_apply *a) {
    const struct image *prior = a->prior, *planned = a->planned;
    struct work w;
    begin(&w, req, a, false);
    bool builds = planned->digest.state == TF_UNKNOWN;
    bool ok = settle_source(&w, planned) && parse_place(&w, prior);
    if (ok && builds)
        ok = builder_or_image(&w) && ensure_place(&w) && same_repository(&w, planned) && make(&w, prior) && tag_and_fill(&w, prior, true);
    else if (ok) {
        AUTO_ERR struct err err = {0};
        int r = image_place_find(w.req, &w.place, &err);
        if (r == 1) r = err_set(&err, ERR_NOT_FOUND, "the ECR repository %s isn't there any more", w.place.name);
        if (r < 0) fail(&w, "repository", "The repository can't be reached", &err);
        ok = r == 0 && same_repository(&w, planned) && (tf_strings_equal(&planned->tags, &prior->tags) || retag(&w, prior));
    }
    if (ok) ok = update_keep_last(&w, prior);
    if (ok) drop_tags(&w, prior);
    if (ok) image_planned_forget(w.req, w.image);
    if (!ok && w.pushed) { /* the prior image stays, and destroy removes the new one's tag too */
        *w.image = *prior;
        a->keep = true;
    }
    end(&w, a);
}
