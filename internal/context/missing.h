#pragma once

#include <stdbool.h>

struct ctx;
struct df_source;
struct err;
struct ignore;

/* Why a source isn't there, and where it would be found. path is absolute within the context. Returns a negative code. */
int missing_explain(struct ctx *ctx, const char *dir, const struct ignore *ignore, const struct df_source *s, const char *path,
                    bool dangling, struct err *err);
