#include "json/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* struct json is cJSON under a name of our own. */
static const cJSON *in(const struct json *j) { return (const cJSON *) j; }
static cJSON *mut(struct json *j) { return (cJSON *) j; }
static struct json *out(cJSON *c) {
    if (!c) mem_abort(); /* cJSON's constructors fail for lack of memory only */
    return (struct json *) c;
}

enum { MAX_DEPTH = 256 };

/* cJSON's own limit (1000) is a compile-time setting of the library; its recursion is bounded here. */
static bool too_deep(const char *text, size_t len) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MAX_DEPTH) return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

struct json *json_parse(const char *text, size_t len, struct err *err) {
    if (too_deep(text, len)) {
        err_set(err, ERR_LIMIT, "JSON is nested deeper than %d levels", MAX_DEPTH);
        return NULL;
    }
    const char *end = NULL;
    cJSON *c = cJSON_ParseWithLengthOpts(text, len, &end, false);
    if (!c) {
        err_set(err, ERR_PROTOCOL, "not valid JSON at byte %zu", end ? (size_t) (end - text) : (size_t) 0);
        return NULL;
    }
    for (; end < text + len; end++) {
        if (!*end || strchr(" \t\r\n", *end) == NULL) {
            err_set(err, ERR_PROTOCOL, "unexpected text after the JSON value at byte %zu", (size_t) (end - text));
            cJSON_Delete(c);
            return NULL;
        }
    }
    return out(c);
}

void json_free(struct json *j) { cJSON_Delete(mut(j)); }

const struct json *json_get(const struct json *obj, const char *key) {
    return json_is_obj(obj) ? (const struct json *) cJSON_GetObjectItemCaseSensitive(in(obj), key) : NULL;
}

const struct json *json_at(const struct json *obj, ...) {
    va_list ap;
    va_start(ap, obj);
    for (const char *key; obj && (key = va_arg(ap, const char *));) obj = json_get(obj, key);
    va_end(ap);
    return obj;
}

const char *json_str(const struct json *j) { return json_is_str(j) ? in(j)->valuestring : NULL; }

const char *json_get_str(const struct json *obj, const char *key) { return json_str(json_get(obj, key)); }

double json_num(const struct json *j, double absent) { return json_is_num(j) ? in(j)->valuedouble : absent; }

int64_t json_int(const struct json *j, int64_t absent) {
    if (!json_is_num(j) || isnan(in(j)->valuedouble)) return absent;
    double d = in(j)->valuedouble;
    if (d >= 9223372036854775807.0) return INT64_MAX;
    if (d <= -9223372036854775808.0) return INT64_MIN;
    return (int64_t) d;
}

int64_t json_get_int(const struct json *obj, const char *key, int64_t absent) { return json_int(json_get(obj, key), absent); }

bool json_true(const struct json *j) { return j && cJSON_IsTrue(in(j)); }
bool json_is_obj(const struct json *j) { return j && cJSON_IsObject(in(j)); }
bool json_is_arr(const struct json *j) { return j && cJSON_IsArray(in(j)); }
bool json_is_str(const struct json *j) { return j && cJSON_IsString(in(j)); }
bool json_is_num(const struct json *j) { return j && cJSON_IsNumber(in(j)); }
bool json_is_bool(const struct json *j) { return j && cJSON_IsBool(in(j)); }
bool json_is_null(const struct json *j) { return j && cJSON_IsNull(in(j)); }

const char *json_key(const struct json *j) { return j ? in(j)->string : NULL; }

size_t json_len(const struct json *arr) {
    size_t n = 0;
    json_each(item, arr) n++;
    return n;
}

const struct json *json_first(const struct json *j) {
    return json_is_arr(j) || json_is_obj(j) ? (const struct json *) in(j)->child : NULL;
}

const struct json *json_next(const struct json *j) { return (const struct json *) in(j)->next; }

bool json_equal(const struct json *a, const struct json *b) { return a && b ? cJSON_Compare(in(a), in(b), true) : a == b; }

struct json *json_obj(void) { return out(cJSON_CreateObject()); }
struct json *json_arr(void) { return out(cJSON_CreateArray()); }
struct json *json_new_str(const char *s) { return out(cJSON_CreateString(s)); }
struct json *json_new_num(double n) { return out(cJSON_CreateNumber(n)); }
struct json *json_new_bool(bool b) { return out(cJSON_CreateBool(b)); }
struct json *json_new_null(void) { return out(cJSON_CreateNull()); }
struct json *json_copy(const struct json *j) { return out(cJSON_Duplicate(in(j), true)); }

struct json *json_set(struct json *obj, const char *key, struct json *child) {
    cJSON_DeleteItemFromObjectCaseSensitive(mut(obj), key);
    if (!cJSON_AddItemToObject(mut(obj), key, mut(child))) mem_abort();
    return child;
}

struct json *json_add(struct json *arr, struct json *child) {
    if (!cJSON_AddItemToArray(mut(arr), mut(child))) mem_abort();
    return child;
}

void json_set_str(struct json *obj, const char *key, const char *s) {
    if (s) json_set(obj, key, json_new_str(s));
}

void json_set_int(struct json *obj, const char *key, int64_t n) { json_set(obj, key, json_new_num((double) n)); }

void json_set_bool(struct json *obj, const char *key, bool b) { json_set(obj, key, json_new_bool(b)); }

void json_remove(struct json *obj, const char *key) { cJSON_DeleteItemFromObjectCaseSensitive(mut(obj), key); }

static char *print(struct arena *a, const struct json *j, bool pretty) {
    char *text = pretty ? cJSON_Print(in(j)) : cJSON_PrintUnformatted(in(j));
    if (!text) mem_abort();
    char *copy = arena_strdup(a, text);
    cJSON_free(text);
    return copy;
}

char *json_text(struct arena *a, const struct json *j) { return print(a, j, false); }

char *json_text_pretty(struct arena *a, const struct json *j) { return print(a, j, true); }
