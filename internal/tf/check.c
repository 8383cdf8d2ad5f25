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

static void check_object(struct checker *x, const struct tf_table *t, const void *s, struct tf_place place);

static const struct tf_attr *find(const struct tf_table *t, const char *name) {
    tf_each(attr, t) if (str_eq(attr->name, name)) return attr;
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

static const char *enumerated(struct arena *a, const char *names) {
    AUTO_BUF struct buf b = {0};
    for (const char *n; (n = next_name(a, &names));) buf_addf(&b, "%s%s", b.len ? ", " : "", n);
    return arena_dup(a, buf_str(&b), b.len);
}

static void check_text(struct checker *x, const struct tf_attr *attr, const char *text, struct tf_place place) {
    const char *wrong = attr->check ? attr->check(x->arena, text) : NULL;
    if (wrong)
        tf_error(x->diags, tf_place_path(x->arena, place), arena_printf(x->arena, "The value of %s can't be used", attr->name),
                 "%s", wrong);
}

static void null_element(struct checker *x, const struct tf_attr *attr, struct tf_place place) {
    tf_error(x->diags, tf_place_path(x->arena, place), arena_printf(x->arena, "An element of %s is null", attr->name),
             "Leave the element out, for example by a `for` expression with `if`, or give it a value.");
}

static void check_element(struct checker *x, const struct tf_attr *attr, struct tf_string s, struct tf_place place) {
    if (s.state == TF_NULL) null_element(x, attr, place);
    if (s.state == TF_KNOWN) check_text(x, attr, s.v, place);
}

static void check_objects(struct checker *x, const struct tf_attr *attr, const struct tf_objects *o, struct tf_place place) {
    for (size_t i = 0; i < o->n; i++) {
        struct tf_place at = o->v[i].key ? tf_place_key(place, o->v[i].key) : tf_place_index(place, i);
        if (o->v[i].state == TF_NULL) null_element(x, attr, at);
        if (o->v[i].state == TF_KNOWN) check_object(x, attr->nested, o->v[i].v, at);
    }
}

static void check_known(struct checker *x, const struct tf_attr *attr, const void *at, struct tf_place place) {
    const struct tf_strings *strings = at;
    const struct tf_map *map = at;
    switch (attr->type) {
        case TF_STRING: check_text(x, attr, ((const struct tf_string *) at)->v, place); break;
        case TF_BOOL: check_text(x, attr, ((const struct tf_bool *) at)->v ? "true" : "false", place); break;
        case TF_INT: check_text(x, attr, arena_printf(x->arena, "%lld", (long long) ((const struct tf_int *) at)->v), place); break;
        case TF_LIST_STRING:
            for (size_t i = 0; i < strings->n; i++) check_element(x, attr, strings->v[i], tf_place_index(place, i));
            break;
        case TF_SET_STRING: /* an element of a set has no place of its own */
            for (size_t i = 0; i < strings->n; i++) check_element(x, attr, strings->v[i], place);
            break;
        case TF_MAP_STRING:
            for (size_t i = 0; i < map->n; i++) check_element(x, attr, map->v[i].value, tf_place_key(place, map->v[i].key));
            break;
        case TF_OBJECT: check_object(x, attr->nested, ((const struct tf_object *) at)->v, place); break;
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT: check_objects(x, attr, at, place); break;
    }
}

static bool names_it(struct arena *a, const char *names, const char *name) {
    for (const char *n; names && (n = next_name(a, &names));)
        if (str_eq(n, name)) return true;
    return false;
}

static void check_conflicts(struct checker *x, const struct tf_table *t, const struct tf_attr *attr, const void *s,
                            struct tf_place place) {
    const char *names = attr->conflicts;
    for (const char *name; names && (name = next_name(x->arena, &names));) {
        const struct tf_attr *other = find(t, name);
        /* Said once for a pair, at the one that comes first in the table. */
        if (!other || tf_state_of(s, other) != TF_KNOWN || (other < attr && names_it(x->arena, other->conflicts, attr->name)))
            continue;
        tf_error(x->diags, tf_place_path(x->arena, place), arena_printf(x->arena, "%s and %s can't be set both", attr->name, name),
                 "At most one of them may have a value. Remove %s or %s.", attr->name, name);
    }
}

static void check_attr(struct checker *x, const struct tf_table *t, const struct tf_attr *attr, const void *s,
                       struct tf_place place) {
    enum tf_state state = tf_state_of(s, attr);
    if (state == TF_NULL && (attr->flags & TF_REQUIRED))
        tf_error(x->diags, tf_place_path(x->arena, place), arena_printf(x->arena, "%s is required", attr->name), "Give %s a value.",
                 attr->name);
    if (state == TF_KNOWN && (attr->flags & TF_WRITE_ONLY) && !x->write_only)
        tf_error(x->diags, tf_place_path(x->arena, place), arena_printf(x->arena, "%s is write-only", attr->name),
                 "This version of Terraform would store its value in the state. Use OpenTofu 1.11 or Terraform 1.11 or later, or "
                 "leave %s out.",
                 attr->name);
    if (state != TF_KNOWN) return;
    check_conflicts(x, t, attr, s, place);
    check_known(x, attr, tf_at(s, attr), place);
}

/* Exactly one of the names is set. Unknown ones may turn out either way. */
static void check_one_of(struct checker *x, const struct tf_table *t, const void *s, struct tf_place place) {
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
        tf_error(x->diags, place.attr ? tf_place_path(x->arena, place) : at, "Only one of these arguments can be set",
                 "Exactly one of %s may have a value.", enumerated(x->arena, t->one_of));
    else if (!known && !unknown)
        tf_error(x->diags, tf_place_path(x->arena, place), "An argument is missing", "Exactly one of %s needs a value.",
                 enumerated(x->arena, t->one_of));
}

static void check_object(struct checker *x, const struct tf_table *t, const void *s, struct tf_place place) {
    tf_each(attr, t) check_attr(x, t, attr, s, tf_place_attr(place, attr->name));
    if (t->one_of) check_one_of(x, t, s, place);
}

void tf_check_config(const struct tf_table *t, const void *config, bool write_only, struct tf_diags *d) {
    struct checker x = {.diags = d, .arena = d->arena, .write_only = write_only};
    if (config) check_object(&x, t, config, (struct tf_place){.index = -1});
}
