#pragma once

#include <stdbool.h>

struct arena;
struct err;

/* Names of images and platforms, as far as a Dockerfile is judged by them. */

/* Whether a name is a valid image reference, Docker's short forms included (distribution/reference). */
int df_image_check(const char *name, struct err *err);
/* The short form that named contexts go by: without "docker.io/library/" or "docker.io/", and without ":latest". */
const char *df_image_familiar(struct arena *a, const char *name);

struct df_platform {
    const char *os, *arch, *variant, *os_version; /* "" without */
    const char *text;                             /* all of it: linux/arm/v7 */
};
/* normalize: also what only a whole platform can lose (linux/arm64/v8 is linux/arm64). */
int df_platform_parse(struct arena *a, const char *text, bool normalize, struct df_platform *ret, struct err *err);
