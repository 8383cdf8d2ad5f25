#pragma once

#include "base/str.h"

struct arena;

/* JSON where a Dockerfile may hold it, read as strictly as Go's encoding/json does. */

enum jsonlist {
    JSONLIST_OK,
    JSONLIST_NOT_JSON,    /* no valid array */
    JSONLIST_NOT_STRINGS, /* a valid array with something else in it */
};
/* An array of strings, white space around it. A string with a NUL in it counts as no string. */
enum jsonlist jsonlist_parse(struct arena *a, const char *text, struct strs *ret);

/* A member of an object whose value is a string; NULL if there is none, or if the text is no object. */
const char *jsonlist_member(struct arena *a, const char *text, const char *key);
