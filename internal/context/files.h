#pragma once

#include <stddef.h>

#include "context/context.h"
#include "dockerfile/ignore.h"

struct arena;
struct err;

/* The two texts that say what a build reads. */

struct dockerfile_text {
    const char *path; /* as opened */
    const char *data; /* NUL-terminated */
    size_t len;
};

/* DIR/Dockerfile or the given path; where a file named Dockerfile is missing, `dockerfile` beside it. */
int dockerfile_load(struct arena *a, const struct context_input *in, struct dockerfile_text *ret, struct err *err);

/* <Dockerfile>.dockerignore beside the Dockerfile, else .dockerignore in the context, then the patterns on top. An empty
 * specific file counts unless a frontend from an image (`gateway`) reads it. */
int ignore_load(struct arena *a, const struct context_input *in, bool gateway, struct ignore *ret, struct err *err);
/* .dockerignore in the context alone: of a named context. */
int ignore_load_root(struct arena *a, const struct context_input *in, struct ignore *ret, struct err *err);
/* Patterns that are malformed on sight, with file and line. */
int ignore_check(const struct ignore *ignore, struct err *err);
