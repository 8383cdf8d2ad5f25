#pragma once

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct err;

/* The flags that an instruction knows, and what was given for each. */
struct df_flag {
    const char *name;
    enum { FLAG_STRING, FLAG_BOOL, FLAG_LIST } type;
    const char **text; /* FLAG_STRING: preset to the default */
    bool *on;          /* FLAG_BOOL */
    struct strs *list; /* FLAG_LIST */
};

int df_flags(struct arena *a, const struct strs *given, const struct df_flag *known, size_t n, struct err *err);
