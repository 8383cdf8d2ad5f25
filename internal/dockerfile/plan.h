#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dockerfile/stages.h"

struct arena;
struct err;

/* What a Dockerfile reads of its contexts, for one target and platform. */

struct df_source {
    const char *written; /* as in the Dockerfile */
    const char *from;    /* "COPY line 3", "RUN --mount line 7" */
    int line;
    int context;          /* -1: the build context; else an index of df_input.named */
    const char *path;     /* clean and absolute within the context: "/a/b" */
    bool wildcard;        /* path has one that counts */
    const char *include;  /* --parents: a pattern relative to path; NULL without */
    const char *required; /* --parents without wildcards: must be there, absolute */
    struct strs excludes; /* --exclude */
    bool filtered;        /* include or excludes are given, be they empty */
};

struct df_plan {
    struct df_source *sources;
    size_t n_sources, cap;
    struct df_paths paths;        /* what is asked for of the build context */
    struct df_paths *named_paths; /* and of each named one */
    const char *widened;          /* why the whole context counts; NULL */
    int widened_line;
    struct strs text; /* what else decides about the result: instructions and values, in a fixed order */
};

/* syntax_given: a frontend image reads the Dockerfile, so that what isn't known here widens instead of failing. */
int df_plan(struct arena *a, const struct df_input *in, const struct df_file *file, bool syntax_given, struct df_plan *ret,
            struct err *err);

/* Whether a frontend image is one of Docker's own, whose meaning this is. */
bool df_official_frontend(const char *syntax);
