#pragma once

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct err;

/* The value of RUN --mount. */

enum df_mount_type { MOUNT_BIND, MOUNT_CACHE, MOUNT_TMPFS, MOUNT_SECRET, MOUNT_SSH };

struct df_mount {
    enum df_mount_type type;
    const char *from, *source, *target; /* "" without; from as given */
    bool open;                          /* type, from or source took a value that can't be known */
};

/* Expands one word; *ret_open is set, never cleared, when what comes out can't be known. */
typedef int df_word_fn(void *arg, const char *word, const char **ret, bool *ret_open, struct err *err);

/* What BuildKit checks of every mount, reached or not: the form, and that `from` has no variable. *ret_from is "". */
int df_mount_check(struct arena *a, const char *value, const char **ret_from, struct err *err);
int df_mount_parse(struct arena *a, const char *value, df_word_fn *expand, void *arg, struct df_mount *ret, struct err *err);

/* --device has the same form of list. */
int df_device_check(struct arena *a, const char *value, struct err *err);
