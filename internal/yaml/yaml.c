/* YAML 1.1 (https://yaml.org/spec/1.1/) to JSON by libyaml's event parser. */
#include "yaml/yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "yaml/scalar.h"
#include "json/json.h"

enum { MAX_DEPTH = 64, MAX_NODES = 200000, MAX_BYTES = 32 << 20 };

struct anchor {
    const char *name;
    struct json *value; /* a copy; NULL while its node is still being read */
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    size_t nodes;
    size_t alias_bytes; /* text that aliases have copied */
    struct err *err;
};

static int fail(struct reader *r, enum err_code code, size_t line, const char *what) {
    err_set(r->err, code, "line %zu: %s", line + 1, what);
    err_at(r->err, NULL, (int) line + 1);
    return -(int) code;
}

static int next(struct reader *r, yaml_event_t *ev) {
    if (yaml_parser_parse(&r->parser, ev)) return 0;
    const char *problem = r->parser.problem ? r->parser.problem : "not valid YAML";
    return fail(r, ERR_INVALID, r->parser.problem_mark.line, problem);
}

static int count(struct reader *r, size_t line, size_t n) {
    r->nodes += n;
    return r->nodes > MAX_NODES ? fail(r, ERR_LIMIT, line, "too many values (aliases count as often as they are used)") : 0;
}

static size_t weigh(const struct json *j, size_t *bytes) {
    size_t n = 1;
    const char *s = json_str(j);
    *bytes += s ? strlen(s) : 0;
    json_each(item, j) n += weigh(item, bytes);
    return n;
}

/* The latest definition of a name wins. */
static struct anchor *find_anchor(struct reader *r, const char *name) {
    for (size_t i = r->n_anchors; i > 0; i--)
        if (str_eq(r->anchors[i - 1].name, name)) return &r->anchors[i - 1];
    return NULL;
}

static int alias(struct reader *r, const yaml_event_t *ev, struct json **ret) {
    size_t line = ev->start_mark.line, bytes = 0;
    const struct anchor *a = find_anchor(r, (const char *) ev->data.alias.anchor);
    if (!a) return fail(r, ERR_INVALID, line, "an alias to an anchor that isn't defined above it");
    if (!a->value) return fail(r, ERR_INVALID, line, "an alias inside of its own anchor");
    int rc = count(r, line, weigh(a->value, &bytes));
    if (rc < 0) return rc;
    if ((r->alias_bytes += bytes) > MAX_BYTES) return fail(r, ERR_LIMIT, line, "aliases repeat too much text");
    *ret = json_copy(a->value);
    return 0;
}

static int scalar(struct reader *r, const yaml_event_t *ev, struct json **ret) {
    const char *text = (const char *) ev->data.scalar.value, *tag = (const char *) ev->data.scalar.tag;
    size_t line = ev->start_mark.line;
    if (strlen(text) != ev->data.scalar.length) return fail(r, ERR_INVALID, line, "a NUL character inside a text");
    bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!tag || str_eq(tag, "!")) {
        *ret = plain && !tag ? yaml_resolve(text) : json_new_str(text);
        return 0;
    }
    if (str_eq(tag, YAML_STR_TAG)) {
        *ret = json_new_str(text);
        return 0;
    }
    struct json *j = yaml_resolve(text);
    if ((str_eq(tag, YAML_NULL_TAG) && json_is_null(j)) || (str_eq(tag, YAML_BOOL_TAG) && json_is_bool(j)) ||
        ((str_eq(tag, YAML_INT_TAG) || str_eq(tag, YAML_FLOAT_TAG)) && json_is_num(j))) {
        *ret = j;
        return 0;
    }
    json_free(j);
    return fail(r, ERR_INVALID, line, "a tag that is not supported here");
}

static int node(struct reader *r, const yaml_event_t *ev, int depth, struct json **ret);

static int sequence(struct reader *r, int depth, struct json *arr) {
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc < 0) return rc;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return 0;
        }
        struct json *item = NULL;
        rc = node(r, &ev, depth + 1, &item);
        yaml_event_delete(&ev);
        if (rc < 0) return rc;
        json_add(arr, item);
    }
}

static void merge_one(struct json *into, const struct json *from) {
    json_each(m, from) {
        if (!json_get(into, json_key(m))) json_set(into, json_key(m), json_copy(m));
    }
}

/* https://yaml.org/type/merge.html: keys of the mapping itself win, then the earlier of a list. */
static int merge(struct reader *r, size_t line, struct json *into, const struct json *from) {
    if (json_is_obj(from)) {
        merge_one(into, from);
        return 0;
    }
    if (!json_is_arr(from)) return fail(r, ERR_INVALID, line, "<< needs a mapping or a list of mappings");
    json_each(item, from) {
        if (!json_is_obj(item)) return fail(r, ERR_INVALID, line, "<< needs a mapping or a list of mappings");
        merge_one(into, item);
    }
    return 0;
}

static int mapping_key(struct reader *r, const yaml_event_t *ev, const char **ret, bool *is_merge) {
    size_t line = ev->start_mark.line;
    AUTO_JSON struct json *j = NULL;
    int rc = ev->type == YAML_SCALAR_EVENT ? scalar(r, ev, &j) : ev->type == YAML_ALIAS_EVENT ? alias(r, ev, &j) : 0;
    if (rc < 0) return rc;
    if (!j || json_is_null(j)) return fail(r, ERR_INVALID, line, "a key that is not a text");
    /* Kubernetes' reader turns other scalars into texts; their spelling does. */
    *ret = arena_strdup(r->arena, json_is_str(j) ? json_str(j) : json_text(r->arena, j));
    *is_merge = ev->type == YAML_SCALAR_EVENT && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_eq(*ret, "<<");
    return 0;
}

static int member(struct reader *r, const yaml_event_t *key_ev, int depth, struct json *obj, struct json **merged) {
    const char *key;
    bool is_merge;
    size_t line = key_ev->start_mark.line;
    int rc = mapping_key(r, key_ev, &key, &is_merge);
    if (rc < 0) return rc;
    if (is_merge ? *merged != NULL : json_get(obj, key) != NULL)
        return fail(r, ERR_INVALID, line, arena_printf(r->arena, "the key \"%s\" is there twice", key));
    yaml_event_t ev;
    rc = next(r, &ev);
    if (rc < 0) return rc;
    struct json *value = NULL;
    rc = node(r, &ev, depth + 1, &value);
    yaml_event_delete(&ev);
    if (rc < 0) return rc;
    if (is_merge)
        *merged = value;
    else
        json_set(obj, key, value);
    return 0;
}

static int mapping(struct reader *r, size_t line, int depth, struct json *obj) {
    AUTO_JSON struct json *merged = NULL;
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc < 0) return rc;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            return merged ? merge(r, line, obj, merged) : 0;
        }
        rc = member(r, &ev, depth, obj, &merged);
        yaml_event_delete(&ev);
        if (rc < 0) return rc;
    }
}

static const char *anchor_of(const yaml_event_t *ev) {
    switch (ev->type) {
        case YAML_SCALAR_EVENT: return (const char *) ev->data.scalar.anchor;
        case YAML_SEQUENCE_START_EVENT: return (const char *) ev->data.sequence_start.anchor;
        case YAML_MAPPING_START_EVENT: return (const char *) ev->data.mapping_start.anchor;
        default: return NULL;
    }
}

/* On failure nothing is left in *ret. */
static int node(struct reader *r, const yaml_event_t *ev, int depth, struct json **ret) {
    size_t line = ev->start_mark.line, at = 0;
    if (depth > MAX_DEPTH) return fail(r, ERR_LIMIT, line, "nested too deeply");
    if (ev->type == YAML_ALIAS_EVENT) return alias(r, ev, ret);
    int rc = count(r, line, 1);
    if (rc < 0) return rc;
    const char *anchor = anchor_of(ev);
    if (anchor) {
        ARENA_GROW(r->arena, r->anchors, r->n_anchors, r->cap_anchors);
        at = r->n_anchors++;
        r->anchors[at] = (struct anchor){.name = arena_strdup(r->arena, anchor)};
    }
    AUTO_JSON struct json *j = NULL;
    if (ev->type == YAML_SCALAR_EVENT) {
        rc = scalar(r, ev, &j);
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        j = json_arr();
        rc = sequence(r, depth, j);
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        j = json_obj();
        rc = mapping(r, line, depth, j);
    } else {
        rc = fail(r, ERR_INVALID, line, "not valid YAML");
    }
    if (rc < 0) return rc;
    if (anchor) r->anchors[at].value = json_copy(j);
    *ret = TAKE_PTR(j);
    return 0;
}

static int document(struct reader *r, struct json **ret) {
    for (;;) {
        yaml_event_t ev;
        int rc = next(r, &ev);
        if (rc < 0) return rc;
        if (ev.type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&ev);
            *ret = json_new_null();
            return 0;
        }
        bool content = ev.type != YAML_STREAM_START_EVENT && ev.type != YAML_DOCUMENT_START_EVENT;
        rc = content ? node(r, &ev, 0, ret) : 0;
        yaml_event_delete(&ev);
        if (rc < 0 || content) return rc;
    }
}

struct json *yaml_parse(const char *text, size_t len, struct err *err) {
    struct reader r = {.err = err};
    if (len > MAX_BYTES) {
        err_set(err, ERR_LIMIT, "a YAML text of more than %d MiB", MAX_BYTES >> 20);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) mem_abort();
    AUTO_ARENA struct arena *arena = arena_new();
    r.arena = arena;
    yaml_parser_set_input_string(&r.parser, (const unsigned char *) text, len);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    struct json *j = NULL;
    int rc = document(&r, &j);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.n_anchors; i++) json_free(r.anchors[i].value);
    return rc < 0 ? NULL : j;
}
