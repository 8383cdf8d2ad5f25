#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct err;

/* The grammar of a Dockerfile, as BuildKit 0.34's parser reads it: lines, directives, heredocs, flags, and the words of
 * each instruction. What they mean is command.h's. */

struct df_heredoc {
    const char *name;    /* without quotes; the line that ends it */
    const char *content; /* with its newlines, before tabs are dropped */
    bool expand;         /* variables in it are expanded: no part of the name was quoted */
    bool chomp;          /* "<<-": leading tabs are dropped */
};

enum df_kind {
    DF_UNKNOWN,
    DF_ADD,
    DF_ARG,
    DF_CMD,
    DF_COPY,
    DF_ENTRYPOINT,
    DF_ENV,
    DF_EXPOSE,
    DF_FROM,
    DF_HEALTHCHECK,
    DF_LABEL,
    DF_MAINTAINER,
    DF_ONBUILD,
    DF_RUN,
    DF_SHELL,
    DF_STOPSIGNAL,
    DF_USER,
    DF_VOLUME,
    DF_WORKDIR,
};

struct df_node {
    enum df_kind kind;
    const char *name;    /* as written */
    int line, last_line; /* from 1; of the trigger's stage in an ONBUILD that ran */
    const char *text;    /* the whole instruction on one line */
    struct strs flags;   /* "--name=value", quotes and escapes taken away */
    struct strs args;    /* for ENV and LABEL: name, value, "=" or "" */
    bool json;           /* args come from an array of strings */
    struct df_heredoc *heredocs;
    size_t n_heredocs;
};

struct df_file {
    struct df_node *nodes;
    size_t n;
    char escape; /* backslash or backtick */
};

/* data is NUL-terminated. Errors have file and line. */
int df_parse(struct arena *a, const char *file, const char *data, size_t len, struct df_file *ret, struct err *err);

/* The frontend that a text asks for: the first word of its syntax directive, in any of the forms that BuildKit detects
 * ("#", "//", JSON; after a "#!" line). NULL without one. */
const char *df_syntax(struct arena *a, const char *data, size_t len);

/* A word as the start of a heredoc: true and its parts, without content. */
bool df_heredoc_word(struct arena *a, const char *word, struct df_heredoc *ret);
/* Content without the tabs at the beginning of lines. */
const char *df_chomp(struct arena *a, const char *content);

const char *df_kind_name(enum df_kind kind); /* "COPY" */
