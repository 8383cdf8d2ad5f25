/* Validation: the rules that a table states, on a config in which anything may still be unknown. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tf/table.h"

struct checker {
    struct tf_diags *diags;
    struct arena *arena;
    bool write_only;
};

static void check_object(struct checker *x, const struct tf_table *t, const void *s, const char *path);

static const struct tf_attr *find(const struct tf_table *t, const char *name) {
    tf_each(attr, t)
        if (str_eq(attr->name, name)) return attr;
    return NULL;
}

/* The next of space-separated names; NULL at the end. */
static const char *next_name(struct arena *a, const char **names) {
    while (**names == ' ') (*names)++;
    size_t n = strcspn(*names, " ");
    const char *name = n ? arena_strndup(a, *names, n) : NULL;
    *names += n;
    return name;
}

static void check_text(struct checker *x, const struct tf_attr *attr, const char *text, const char *path) {
    const char *wrong = attr->check ? attr->check(x->arena, text) : NULL;
    if (wrong) tf_error(x->diags, path, arena_printf(x->arena, "The value of %s can't be used", attr->name), "%s", wrong);
}

static void null_element(struct checker *x, const struct tf_attr *attr, const char *path) {
    tf_error(x->diags, path, arena_printf(x->arena, "An element of %s is null", attr->name),
             "Leave the element out, for example by a `for` expression with `if`, or give it a value.");
}

static void check_element(struct checker *x, const struct tf_attr *attr, struct tf_string s, const char *path) {
    if (s.state == TF_NULL) null_element(x, attr, path);
    if (s.state == TF_KNOWN) check_text(x, attr, s.v, path);
}

static void check_objects(struct checker *x, const struct tf_attr *attr, const struct tf_objects *o, const char *path) {
    for (size_t i = 0; i < o->n; i++) {
        const char *at = o->v[i].key ? tf_path_key(x->arena, path, o->v[i].key) : tf_path_index(x->arena, path, i);
        if (o->v[i].state == TF_NULL) null_element(x, attr, at);
        if (o->v[i].state == TF_KNOWN) check_object(x, attr->nested, o->v[i].v, at);
    }
}

static void check_known(struct checker *x, const struct tf_attr *attr, const void *at, const char *path) {
    const struct tf_strings *strings = at;
    const struct tf_map *map = at;
    switch (attr->type) {
        case TF_STRING: check_text(x, attr, ((const struct tf_string *) at)->v, path); break;
        case TF_BOOL: check_text(x, attr, ((const struct tf_bool *) at)->v ? "true" : "false", path); break;
        case TF_INT:
            check_text(x, attr, arena_printf(x->arena, "%lld", (long long) ((const struct tf_int *) at)->v), path);
            break;
        case TF_LIST_STRING:
            for (size_t i = 0; i < strings->n; i++) check_element(x, attr, strings->v[i], tf_path_index(x->arena, path, i));
            break;
        case TF_SET_STRING: /* an element of a set has no place of its own */
            for (size_t i = 0; i < strings->n; i++) check_element(x, attr, strings->v[i], path);
            break;
        case TF_MAP_STRING:
            for (size_t i = 0; i < map->n; i++) check_element(x, attr, map->v[i].value, tf_path_key(x->arena, path, map->v[i].key));
            break;
        case TF_OBJECT: check_object(x, attr->nested, ((const struct tf_object *) at)->v, path); break;
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT: check_objects(x, attr, at, path); break;
    }
}

static bool names_it(struct arena *a, const char *names, const char *name) {
    for (const char *n; names && (n = next_name(a, &names));)
        if (str_eq(n, name)) return true;
    return false;
}

static void check_conflicts(struct checker *x, const struct tf_table *t, const struct tf_attr *attr, const void *s, const char *path) {
    const char *names = attr->conflicts;
    for (const char *name; names && (name = next_name(x->arena, &names));) {
        const struct tf_attr *other = find(t, name);
        /* Said once for a pair, at the one that comes first in the table. */
        if (!other || tf_state_of(s, other) != TF_KNOWN || (other < attr && names_it(x->arena, other->conflicts, attr->name))) continue;
        tf_error(x->diags, path, arena_printf(x->arena, "%s and %s can't be set both", attr->name, name),
                 "At most one of them may have a value. Remove %s or %s.", attr->name, name);
    }
}

static void check_attr(struct checker *x, const struct tf_table *t, const struct tf_attr *attr, const void *s, const char *path) {
    enum tf_state state = tf_state_of(s, attr);
    if (state == TF_NULL && (attr->flags & TF_REQUIRED))
        tf_error(x->diags, path, arena_printf(x->arena, "%s is required", attr->name), "Give %s a value.", attr->name);
    if (state == TF_KNOWN && (attr->flags & TF_WRITE_ONLY) && !x->write_only)
        tf_error(x->diags, path, arena_printf(x->arena, "%s is write-only", attr->name),
                 "This version of Terraform would store its value in the state. Use OpenTofu 1.11 or Terraform 1.11 or later, or leave %s out.",
                 attr->name);
    if (state != TF_KNOWN) return;
    check_conflicts(x, t, attr, s, path);
    check_known(x, attr, tf_at(s, attr), path);
}

/* Exactly one of the names is set. Unknown ones may turn out either way. */
static void check_one_of(struct checker *x, const struct tf_table *t, const void *s, const char *path) {
    size_t known = 0, unknown = 0;
    const char *names = t->one_of, *at = NULL;
    for (const char *name; (name = next_name(x->arena, &names));) {
        const struct tf_attr *attr = find(t, name);
        enum tf_state state = attr ? tf_state_of(s, attr) : TF_NULL;
        known += state == TF_KNOWN;
        unknown += state == TF_UNKNOWN;
        if (state == TF_KNOWN && known == 2) at = name;
    }
    if (known > 1)
        tf_error(x->diags, path ? path : at, "Only one of these arguments can be set", "Exactly one of %s may have a value.", t->one_of);
    else if (!known && !unknown)
        tf_error(x->diags, path, "An argument is missing", "Exactly one of %s needs a value.", t->one_of);
}

static void check_object(struct checker *x, const struct tf_table *t, const void *s, const char *path) {
    tf_each(attr, t) check_attr(x, t, attr, s, path ? path : attr->name);
    if (t->one_of) check_one_of(x, t, s, path);
}

void tf_check_config(const struct tf_table *t, const void *config, bool write_only, struct tf_diags *d) {
    struct checker x = {.diags = d, .arena = d->arena, .write_only = write_only};
    if (config) check_object(&x, t, config, NULL);
}
