#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;

/* Types and values of OpenTofu's language (cty), and their two encodings: msgpack, as it crosses the plugin protocol
 * (https://github.com/zclconf/go-cty/blob/main/docs/json.md for types and JSON), and the JSON of state files. Everything
 * lives in the arena that it was made in. Input is taken for hostile: sizes are bounded by the bytes that are left,
 * nesting by CTY_MAX_DEPTH, the number of values by CTY_MAX_VALUES. */

enum { CTY_MAX_DEPTH = 96, CTY_MAX_VALUES = 4 << 20 };

enum cty_kind { CTY_DYNAMIC, CTY_BOOL, CTY_NUMBER, CTY_STRING, CTY_LIST, CTY_SET, CTY_MAP, CTY_OBJECT, CTY_TUPLE };

struct cty_attr {
    const char *name; /* NULL in tuples */
    const struct cty_type *type;
    bool optional;
};

struct cty_type {
    enum cty_kind kind;
    const struct cty_type *elem;  /* list, set, map */
    const struct cty_attr *attrs; /* object: bytewise sorted by name, no name twice; tuple: in order */
    size_t n;
};

extern const struct cty_type cty_dynamic, cty_bool, cty_number, cty_string;
const struct cty_type *cty_collection(struct arena *a, enum cty_kind kind, const struct cty_type *elem);
/* Sorts attrs in place and keeps it. */
const struct cty_type *cty_object(struct arena *a, struct cty_attr *attrs, size_t n);
/* Type JSON: "string", ["list","string"], ["object",{"a":"bool"}] … */
int cty_type_parse(struct arena *a, const char *text, size_t len, const struct cty_type **ret, struct err *err);
char *cty_type_text(struct arena *a, const struct cty_type *t);
bool cty_type_equal(const struct cty_type *a, const struct cty_type *b);
/* The attribute's index in an object type; -1 if it isn't there. */
ptrdiff_t cty_type_find(const struct cty_type *object, const char *name, size_t len);

/* Numbers keep their spelling, since 0.1 as a float64 and "0.1" are equal to OpenTofu but not the same bytes. */
struct cty_num {
    enum { CTY_INT, CTY_FLOAT, CTY_DECIMAL } kind;
    union {
        int64_t i;
        double d;         /* infinite, or not a whole number */
        const char *text; /* "-12.5": no exponent, no needless zeros; never what an int64 holds */
    };
};
/* Decimal text, also with an exponent. */
int cty_num_parse(struct arena *a, const char *text, size_t len, struct cty_num *ret, struct err *err);
int cty_num_from_double(struct arena *a, double d, struct cty_num *ret, struct err *err);
/* The shortest decimal text ("+Inf", "-Inf"); what equality goes by. */
char *cty_num_text(struct arena *a, struct cty_num n);
int cty_num_compare(struct cty_num a, struct cty_num b);

enum cty_state { CTY_NULL, CTY_UNKNOWN, CTY_KNOWN };

struct cty_text {
    const char *s; /* UTF-8 in NFC, a NUL follows; it may hold NULs too */
    size_t len;
};

struct cty_entry;

/* What is known of an unknown value. */
struct cty_refined {
    bool not_null, has_min, has_max, min_inclusive, max_inclusive;
    struct cty_text prefix; /* s is NULL without one */
    struct cty_num min, max;
    int64_t len_min, len_max; /* -1: not given */
};

struct cty_value {
    const struct cty_type *type; /* the value's own; dynamic only while null or unknown without a type */
    enum cty_state state;
    union {
        bool b;
        struct cty_num num;
        struct cty_text str;
        struct {
            struct cty_value *v; /* list, set, tuple; object: in the order of type->attrs */
            size_t n;
        } seq;
        struct {
            struct cty_entry *v; /* bytewise sorted by key, no key twice */
            size_t n;
        } map;
        const struct cty_refined *refined; /* unknown: or NULL */
    };
};

struct cty_entry {
    struct cty_text key;
    struct cty_value value;
};

static inline struct cty_value cty_null(const struct cty_type *t) { return (struct cty_value){.type = t}; }
static inline struct cty_value cty_unknown(const struct cty_type *t) { return (struct cty_value){.type = t, .state = CTY_UNKNOWN}; }
/* Normalised to NFC. s must be valid UTF-8. */
struct cty_text cty_text_new(struct arena *a, const char *s, size_t len);
/* Sorts, drops what is there twice; unknown elements all stay. */
void cty_set_normalise(struct cty_value *set);
/* Sorts the entries; false if a key is there twice. */
bool cty_map_normalise(struct cty_value *map);
/* A total order within a type: known, unknown, null. */
int cty_compare(const struct cty_value *a, const struct cty_value *b);
bool cty_equal(const struct cty_value *a, const struct cty_value *b); /* types and refinements too */
bool cty_wholly_known(const struct cty_value *v);

/* One value of the type and nothing behind it. */
int cty_msgpack_decode(struct arena *a, const struct cty_type *t, const void *data, size_t len, struct cty_value *ret,
                       struct err *err);
/* t is the type of the place; a value with another type needs t to be dynamic there. */
void cty_msgpack_encode(struct buf *out, const struct cty_type *t, const struct cty_value *v);

/* The JSON of states: attributes that are missing become null, those that the type hasn't are dropped. */
int cty_json_decode(struct arena *a, const struct cty_type *t, const char *text, size_t len, struct cty_value *ret,
                    struct err *err);
/* Fails if something in v is unknown. */
int cty_json_encode(struct buf *out, const struct cty_type *t, const struct cty_value *v, struct err *err);
