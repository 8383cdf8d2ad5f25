#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* JSON (RFC 8259) over cJSON. A tree is owned by its root and freed with json_free; everything else borrows. Readers
 * accept NULL and the wrong kind of node and then answer "absent". Parsing is capped at a depth of 256. */
struct json;

struct json *json_parse(const char *text, size_t len, struct err *err); /* NULL on failure; trailing white space only */
void json_free(struct json *j);
static inline void json_free_p(struct json **j) { json_free(*j); }
#define AUTO_JSON __attribute__((cleanup(json_free_p)))

const struct json *json_get(const struct json *obj, const char *key);
/* A path of keys: json_at(j, "status", "conditions", NULL). */
const struct json *json_at(const struct json *obj, ...) __attribute__((sentinel));
const char *json_str(const struct json *j);              /* NULL unless a string */
const char *json_get_str(const struct json *obj, const char *key);
int64_t json_int(const struct json *j, int64_t absent);  /* a number cut to an integer */
int64_t json_get_int(const struct json *obj, const char *key, int64_t absent);
double json_num(const struct json *j, double absent);
bool json_true(const struct json *j);
bool json_is_obj(const struct json *j);
bool json_is_arr(const struct json *j);
bool json_is_str(const struct json *j);
bool json_is_num(const struct json *j);
bool json_is_bool(const struct json *j);
bool json_is_null(const struct json *j); /* a null literal; false for NULL */
const char *json_key(const struct json *j); /* the member's name, NULL in an array */
size_t json_len(const struct json *arr);    /* items or members */
const struct json *json_first(const struct json *arr_or_obj);
const struct json *json_next(const struct json *j);
#define json_each(item, of) \
    for (const struct json *item = json_first(of); item; item = json_next(item))
bool json_equal(const struct json *a, const struct json *b); /* by meaning: member order is free */

/* Builders. Adding gives the child to its parent; the child is returned so that it can be filled. */
struct json *json_obj(void);
struct json *json_arr(void);
struct json *json_new_str(const char *s);
struct json *json_new_num(double n);
struct json *json_new_bool(bool b);
struct json *json_new_null(void);
struct json *json_copy(const struct json *j);
struct json *json_set(struct json *obj, const char *key, struct json *child);
struct json *json_add(struct json *arr, struct json *child);
void json_set_str(struct json *obj, const char *key, const char *s); /* NULL: left out */
void json_set_int(struct json *obj, const char *key, int64_t n);
void json_set_bool(struct json *obj, const char *key, bool b);
void json_remove(struct json *obj, const char *key);

char *json_text(struct arena *a, const struct json *j);        /* compact */
char *json_text_pretty(struct arena *a, const struct json *j);
