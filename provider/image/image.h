#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "oci/oci.h"
#include "tf/resource.h"

struct ctx;
struct ecr;
struct err;
struct provider_data;

/* gpudev_image: an image that is built from a folder, pushed to a repository and known by its digest. */

extern const struct tf_resource image_resource;

struct image_timeouts {
    struct tf_string create, update, destroy;
};

struct image {
    struct tf_string repository;
    struct tf_int keep_last;
    struct tf_strings tags;
    struct tf_string context, dockerfile, target;
    struct tf_map build_args, labels;
    struct tf_strings ignore;
    struct tf_map triggers;
    struct tf_bool content_tag, keep_on_destroy;
    struct tf_object timeouts; /* struct image_timeouts */

    struct tf_string id, registry_id, repository_arn, repository_url, uri, digest, image, source_hash;
    struct tf_map sources;
    struct tf_string pushed_at;
    struct tf_int size;

    const char *context_hash; /* of image_source; no attribute: the part of source_hash that a builder can check */
};

/* ---- image_source.c: what is built ---- */

/* The inputs hold something that is known only at apply. */
bool image_source_unknown(const struct image *i);
/* Sets source_hash and sources. Reports at the attribute that is wrong; false then. */
bool image_source(struct tf_req *req, struct image *i);

/* ---- image_planned.c: what the plan saw ---- */

/* Leaves the note for the plan that is asked for again in the apply; removes it once it is built. */
void image_planned_keep(struct tf_req *req, const struct image *i);
void image_planned_forget(struct tf_req *req, const struct image *i);
/* False, and reported, if this command has planned another source hash for the same arguments. */
bool image_planned_same(struct tf_req *req, const struct image *i);
void image_changed_error(struct tf_req *req, const struct image *now, const struct tf_map *planned_sources);

/* ---- image_repository.c: where it goes ---- */

struct image_place {
    const char *host;        /* NULL until found: a bare name's account is known to ECR only */
    const char *name;
    const char *registry_id; /* account as the host says, or as ECR said; NULL: not ECR, or not asked yet */
    const char *arn;         /* NULL: as above */
    bool immutable;          /* tags can't be moved */
    struct ecr *ecr;         /* NULL: not ECR */
};
/* Splits `repository` and opens ECR's client for its region; asks nobody. */
int image_place_parse(struct tf_req *req, const char *repository, struct image_place *ret, struct err *err);
/* Asks ECR: 1 if there is no such repository. Other registries are taken at their word. */
int image_place_find(struct tf_req *req, struct image_place *place, struct err *err);
/* Whether gpudev made a repository that image_place_find has found: the repository itself says so. */
int image_place_ours(struct tf_req *req, const struct image_place *place, bool *ret, struct err *err);
/* Finds or creates the repository. *ret_ours: gpudev made it (now or earlier), so that destroy may remove it. */
int image_place_ensure(struct tf_req *req, struct image_place *place, long keep_last, bool *ret_ours, struct err *err);
int image_place_keep_last(struct tf_req *req, const struct image_place *place, long keep_last, struct err *err);
const char *image_place_url(struct arena *a, const struct image_place *place);

/* ---- image_private.c: what is remembered beside the state ---- */

struct image_private {
    bool ours;                 /* the repository was made by gpudev */
    struct {
        const char *v[100];
        size_t n;
    } content_tags; /* that this resource has put, oldest first */
};
void image_private_read(struct arena *a, const char *json, struct image_private *ret);
const char *image_private_text(struct arena *a, const struct image_private *p);
void image_private_add(struct image_private *p, const char *content_tag);
/* "src-" and the first 16 hex digits of the source hash. */
const char *image_content_tag(struct arena *a, const char *source_hash);

/* ---- the operations ---- */

void image_plan(struct tf_req *req, struct tf_plan *p);
void image_create(struct tf_req *req, struct tf_apply *a);
void image_update(struct tf_req *req, struct tf_apply *a);
void image_destroy(struct tf_req *req, struct tf_apply *a);
void image_read(struct tf_req *req, struct tf_read *r);
void image_import(struct tf_req *req, struct tf_import *i);
void image_move(struct tf_req *req, struct tf_move *m);
