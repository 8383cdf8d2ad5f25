#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dockerfile/command.h"
#include "dockerfile/vars.h"

struct arena;
struct err;

/* The stages of a Dockerfile and what they build on. */

struct df_named { /* a named context: --build-context NAME=… */
    const char *name;
    bool local; /* a folder; else an image or a URL */
};

struct df_input {
    const char *file;   /* for messages */
    const char *target; /* NULL: the last stage */
    const struct kv *build_args;
    size_t n_build_args;
    const char *platform;         /* the one to build for; NULL: the builder's own, which isn't known */
    const char *builder_platform; /* NULL: not known */
    const struct df_named *named;
    size_t n_named;
};

struct df_paths { /* what is asked for of a context */
    struct strs list;
    bool all;
};

struct df_step { /* a command in a stage */
    struct df_command command;
    struct df_stage **from; /* the stage that each source comes from: one for COPY --from, one per mount of RUN */
    bool *from_used;        /* and whether its content is taken */
    size_t n_from;
    int line; /* of the FROM for a trigger */
};

struct df_stage {
    const char *name; /* lower case; "" */
    const char *base; /* expanded; the image, where base_stage is NULL */
    bool base_open;   /* which that is can't be known */
    const char *base_written, *platform;
    int line;
    struct df_stage *base_stage;
    int named;     /* the named context that it is, or that its base image is; -1 */
    bool is_named; /* the former: its commands don't run */
    bool implied;  /* not in the Dockerfile: an image that a --from names */
    bool reached, needed, done, triggered;
    struct df_step *steps;
    size_t n_steps, cap_steps;
    struct vars vars;
    struct df_paths *paths; /* of the named context at the bottom; shared with the base */
    const char *workdir;    /* NULL: not known */
    size_t mark;            /* for walks over the graph */
};

struct df_stages {
    struct df_stage **v; /* implied ones at the end */
    size_t n, cap;
    struct vars globals; /* what FROM sees */
    struct df_stage *target;
    char escape;
};

/* Everything up to knowing which stages are reached. Errors have file and line; ERR_UNSUPPORTED when an instruction or a
 * flag isn't known. */
int df_stages(struct arena *a, const struct df_input *in, const struct df_file *file, struct df_stages *ret, struct err *err);

const char *df_build_arg(const struct df_input *in, const char *key); /* the last one given; NULL */
