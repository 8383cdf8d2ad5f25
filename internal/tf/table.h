#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cty/cty.h"
#include "tf/diag.h"
#include "tf/resource.h"

/* What the server does with tables; of no use outside internal/tf. */

/* A table with its cty type. */
struct tf_shape {
    const struct tf_table *table;
    const struct cty_type *type; /* object */
};
struct tf_shape tf_shape_new(struct arena *a, const struct tf_table *t);
const struct cty_type *tf_attr_type(struct arena *a, const struct tf_attr *attr);

/* Every value struct begins with its state. */
static inline void *tf_at(const void *s, const struct tf_attr *attr) { return (char *) s + attr->offset; }
static inline enum tf_state tf_state_of(const void *s, const struct tf_attr *attr) {
    return *(const enum tf_state *) tf_at(s, attr);
}
static inline bool tf_is_object(const struct tf_attr *attr) { return attr->type >= TF_OBJECT; }
#define tf_each(attr, table) for (const struct tf_attr *attr = (table)->attrs; attr->name; attr++)

/* Where a diagnostic belongs: a top-level attribute or an element of one. Whatever lies deeper keeps the place of what it
 * lies in, since deeper paths lose the source line. Made into a path only when something is wrong there. */
struct tf_place {
    const char *attr; /* NULL: the object as a whole */
    const char *key;  /* of a map's element */
    long index;       /* of a list's, else -1 */
    bool inner;       /* below a nested attribute */
};
struct tf_place tf_place_attr(struct tf_place outer, const char *attr);
struct tf_place tf_place_key(struct tf_place p, const char *key);
struct tf_place tf_place_index(struct tf_place p, size_t i);
const char *tf_place_path(struct arena *a, struct tf_place p);

/* A value of the table's type as its struct. What a struct can't hold (NUL in a string, a number that is not whole) is
 * reported. NULL for null; an unknown object is a struct of unknowns. */
void *tf_decode(struct arena *a, const struct tf_shape *shape, const struct cty_value *v, struct tf_diags *d);
/* One attribute's value into the struct s. */
void tf_decode_attr(struct arena *a, const struct tf_attr *attr, const struct cty_value *v, void *s, struct tf_diags *d);

/* The other way. Write-only attributes become null. With settle, unknowns become null as well, and the name of the first
 * top-level attribute that had one goes to *ret_unsettled (if there is none it stays as it is); without, pass NULL. */
struct cty_value tf_encode(struct arena *a, const struct tf_shape *shape, const void *s, bool settle, const char **ret_unsettled);

/* Values of `fallback` where config is null. */
void tf_put_fallbacks(struct arena *a, const struct tf_table *t, const void *config, void *planned);
/* Computed attributes that the config leaves open; those with TF_STABLE only if there is no prior. Structs may be NULL. */
void tf_put_unknowns(const struct tf_table *t, const void *config, const void *prior, void *planned);
/* The first argument of a planned struct that is not what an apply can rely on: an unknown value that the provider doesn't
 * compute, a required one that is null, an element without a struct. NULL if all is well. */
const char *tf_open_argument(const struct tf_table *t, const void *planned);
/* Something that TF_REPLACE marks in or below the attribute differs. */
bool tf_replaces(const struct tf_attr *attr, const struct cty_value *prior, const struct cty_value *planned);

/* The rules that the table states. write_only: the caller can handle such attributes. */
void tf_check_config(const struct tf_table *t, const void *config, bool write_only, struct tf_diags *d);
