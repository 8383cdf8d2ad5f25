#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* Attribute values as the C structs of resources hold them. A value is null, unknown or known, and its type shows it;
 * a zeroed struct is all null. Strings are NUL-terminated UTF-8 without NUL inside, in the request's arena. */

enum tf_state { TF_NULL = 0, TF_UNKNOWN, TF_KNOWN };

struct tf_string {
    enum tf_state state;
    const char *v;
};
struct tf_bool {
    enum tf_state state;
    bool v;
};
struct tf_int {
    enum tf_state state;
    int64_t v;
};
struct tf_strings { /* list or set of string */
    enum tf_state state;
    size_t n;
    struct tf_string *v;
};
struct tf_map_entry {
    const char *key;
    struct tf_string value;
};
struct tf_map { /* map of string, keys bytewise sorted */
    enum tf_state state;
    size_t n;
    struct tf_map_entry *v;
    size_t cap; /* tf_map_put's: room in v; 0 for an array that somebody else made */
};
struct tf_object { /* nested attribute, single: v points to the struct of its table */
    enum tf_state state;
    void *v;
};
struct tf_object_entry {
    const char *key; /* NULL in lists */
    enum tf_state state;
    void *v;
};
struct tf_objects { /* nested attribute, list or map */
    enum tf_state state;
    size_t n;
    struct tf_object_entry *v;
};

static inline struct tf_string tf_str(const char *s) { return (struct tf_string){s ? TF_KNOWN : TF_NULL, s}; }
static inline struct tf_bool tf_boolean(bool v) { return (struct tf_bool){TF_KNOWN, v}; }
static inline struct tf_int tf_integer(int64_t v) { return (struct tf_int){TF_KNOWN, v}; }
#define TF_UNKNOWN_STRING ((struct tf_string){.state = TF_UNKNOWN})

/* The text, or NULL unless known. */
static inline const char *tf_text(struct tf_string s) { return s.state == TF_KNOWN ? s.v : NULL; }

bool tf_string_equal(struct tf_string a, struct tf_string b);
bool tf_strings_equal(const struct tf_strings *a, const struct tf_strings *b);
bool tf_map_equal(const struct tf_map *a, const struct tf_map *b);
/* Unknown itself, or an element of it is. */
bool tf_strings_unknown(const struct tf_strings *s);
bool tf_map_unknown(const struct tf_map *m);
const char *tf_map_get(const struct tf_map *m, const char *key);                             /* NULL if absent, null or unknown */
void tf_map_put(struct arena *a, struct tf_map *m, const char *key, struct tf_string value); /* keeps the order */
