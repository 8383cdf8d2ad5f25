#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* One declarative table per resource, data source and provider block. The schema reply, decoding, encoding, validation,
 * defaults, plan rules and the documentation all come from it. */

enum tf_type {
    TF_STRING,      /* struct tf_string */
    TF_BOOL,        /* struct tf_bool */
    TF_INT,         /* struct tf_int: a whole number */
    TF_LIST_STRING, /* struct tf_strings */
    TF_SET_STRING,  /* struct tf_strings */
    TF_MAP_STRING,  /* struct tf_map */
    TF_OBJECT,      /* struct tf_object, nested attribute */
    TF_LIST_OBJECT, /* struct tf_objects */
    TF_MAP_OBJECT,  /* struct tf_objects */
};

enum {
    TF_REQUIRED = 1 << 0,
    TF_OPTIONAL = 1 << 1,
    TF_COMPUTED = 1 << 2,
    TF_SENSITIVE = 1 << 3,
    TF_WRITE_ONLY = 1 << 4, /* never in a state or plan that is returned */
    TF_REPLACE = 1 << 5,    /* a change replaces the resource */
    TF_STABLE = 1 << 6,     /* computed: keeps its prior value in an update's plan unless the resource says otherwise;
                               computed attributes without it become unknown in a plan that changes something */
};

struct tf_attr {
    const char *name; /* NULL ends a table */
    enum tf_type type;
    unsigned flags;
    size_t offset;                 /* of the value in the resource's struct */
    const char *description;       /* Markdown; one or more sentences */
    const struct tf_table *nested; /* of TF_*OBJECT */
    /* Value put in the plan where the config is null: the text of a string, "true", "42", or JSON for collections
     * (["latest"]). The attribute must be optional and computed. */
    const char *fallback;
    /* Checks a known, non-null value (elements: each known string); returns NULL or what is wrong and what to do. */
    const char *(*check)(struct arena *a, const char *text);
    const char *conflicts;  /* names, space-separated: at most one of them and this may be set */
    const char *deprecated; /* what to use instead */
};

struct tf_table {
    const struct tf_attr *attrs;
    size_t size;        /* of the struct */
    const char *one_of; /* names, space-separated: exactly one must be set; NULL: no such rule */
};
