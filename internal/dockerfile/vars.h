#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dockerfile/expand.h"

struct arena;

/* The variables of a stage. ARG and ENV both set what the next instruction sees (the last one wins); ENV also goes into
 * the image's configuration, which a stage that builds on this one applies again over the inherited ARGs. */

struct var {
    const char *key;
    const char *value;  /* what an instruction sees */
    const char *config; /* what ENV left in the image; NULL when only ARG set it */
    bool open, config_open;
};

struct vars {
    struct var *v; /* in the order they came */
    size_t n, cap;
    size_t *slots; /* hash table of index + 1 */
    size_t n_slots;
    bool external; /* the base image is unknown: what isn't here may still be set */
};

const struct var *vars_find(const struct vars *vs, const char *key);
void vars_set(struct arena *a, struct vars *vs, const char *key, const char *value, bool open, bool env);
/* What a stage begins with that builds on one which ended with `from`. */
void vars_inherit(struct arena *a, struct vars *vs, const struct vars *from);
struct df_value vars_get(const struct vars *vs, const char *key);
