#pragma once

struct err;

/* Sources that are fetched, not copied from the context. */
enum df_remote {
    DF_LOCAL,
    DF_HTTP,
    DF_GIT,
};

/* What a source of COPY or ADD (expanded) names; negative for a Git URL whose query BuildKit refuses. */
int df_remote_kind(const char *source, struct err *err);
