#include "dockerfile/mount.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/checks.h"

static const char *const type_names[] = {"bind", "cache", "tmpfs", "secret", "ssh"};

/* One quoted field, its quote passed: up to the closing one. */
static int quoted_field(const char **p, struct buf *out, struct err *err) {
    for (;;) {
        const char *quote = strchr(*p, '"');
        if (!quote) return err_set(err, ERR_INVALID, "a quoted field has no closing quote");
        buf_add(out, *p, (size_t) (quote - *p));
        *p = quote + 1;
        if (**p == '"') {
            buf_addc(out, '"');
            ++*p;
            continue;
        }
        if (**p && **p != ',') return err_set(err, ERR_INVALID, "text follows the quoted field \"%s\"", buf_str(out));
        return 0;
    }
}

/* The fields of a CSV line. */
static int fields(struct arena *a, const char *value, struct strs *ret, struct err *err) {
    *ret = (struct strs){0};
    if (!*value) return err_set(err, ERR_INVALID, "the value is empty");
    for (const char *p = value;; p++) {
        AUTO_BUF struct buf field = {0};
        if (*p == '"') {
            p++;
            int r = quoted_field(&p, &field, err);
            if (r < 0) return r;
        } else {
            size_t len = strcspn(p, ",");
            if (memchr(p, '"', len)) return err_set(err, ERR_INVALID, "a quote within the field \"%.*s\"", (int) len, p);
            buf_add(&field, p, len);
            p += len;
        }
        strs_add(a, ret, arena_strdup(a, buf_str(&field)));
        if (!*p) return 0;
    }
}

int df_mount_check(struct arena *a, const char *value, const char **ret_from, struct err *err) {
    struct strs list;
    *ret_from = "";
    int r = fields(a, value, &list, err);
    if (r < 0) return err_wrap(err, "--mount=%s", value);
    for (size_t i = 0; i < list.n; i++) {
        const char *eq = strchr(list.v[i], '=');
        if (!eq || !str_eq(str_lower(a, arena_strndup(a, list.v[i], (size_t) (eq - list.v[i]))), "from")) continue;
        const char *dollar = strchr(eq + 1, '$');
        if (dollar && dollar[1])
            return err_set(err, ERR_INVALID, "'from' doesn't support variable expansion, define alias stage instead");
        *ret_from = eq + 1;
    }
    return 0;
}

struct parse {
    struct arena *a;
    struct df_mount *m;
    df_word_fn *expand;
    void *arg;
    bool sharing, id, owner; /* which of the keys that not every type takes were there */
};

static int unexpected(const char *key, enum df_mount_type type, struct err *err) {
    return err_set(err, ERR_INVALID, "unexpected key '%s' for mount type '%s'", key, type_names[type]);
}

static int invalid(const char *key, const char *value, struct err *err) {
    return err_set(err, ERR_INVALID, "invalid value for %s: %s", key, value);
}

static int bare_key(struct parse *ps, const char *key, const char *field, struct err *err) {
    static const char *const flags[] = {"readonly", "ro", "readwrite", "rw"};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (!strcmp(key, flags[i])) return 0;
    if (strcmp(key, "required") != 0) return err_set(err, ERR_INVALID, "invalid field '%s' must be a key=value pair", field);
    return ps->m->type == MOUNT_SECRET || ps->m->type == MOUNT_SSH ? 0 : unexpected(key, ps->m->type, err);
}

static int set_type(struct parse *ps, const char *value, struct err *err) {
    const char *lower = str_lower(ps->a, value);
    for (size_t i = 0; i < ARRAY_SIZE(type_names); i++) {
        if (strcmp(lower, type_names[i]) != 0) continue;
        ps->m->type = (enum df_mount_type) i;
        return 0;
    }
    return err_set(err, ERR_INVALID, "unsupported mount type \"%s\"", value);
}

static int check_number(const char *key, const char *value, unsigned base, struct err *err) {
    uint64_t v;
    return go_parse_uint(value, base, UINT32_MAX, &v) ? 0 : err_set(err, ERR_INVALID, "invalid value %s for %s", value, key);
}

/* Keys that only need a check. */
static int check_key(struct parse *ps, const char *key, const char *value, const char *field, struct err *err) {
    bool secret = ps->m->type == MOUNT_SECRET || ps->m->type == MOUNT_SSH, flag;
    if (!strcmp(key, "readonly") || !strcmp(key, "ro") || !strcmp(key, "readwrite") || !strcmp(key, "rw"))
        return go_parse_bool(value, &flag) ? 0 : invalid(key, value, err);
    if (!strcmp(key, "required"))
        return !secret ? unexpected(key, ps->m->type, err) : go_parse_bool(value, &flag) ? 0 : invalid(key, value, err);
    if (!strcmp(key, "size"))
        return ps->m->type != MOUNT_TMPFS ? unexpected(key, ps->m->type, err) : df_valid_size(value) ? 0 : invalid(key, value, err);
    if (!strcmp(key, "id")) {
        ps->id = *value;
        return 0;
    }
    if (!strcmp(key, "sharing")) {
        const char *lower = str_lower(ps->a, value);
        ps->sharing = true;
        if (!strcmp(lower, "shared") || !strcmp(lower, "private") || !strcmp(lower, "locked")) return 0;
        return err_set(err, ERR_INVALID, "unsupported sharing value \"%s\"", value);
    }
    if (!strcmp(key, "mode") || !strcmp(key, "uid") || !strcmp(key, "gid")) {
        ps->owner = true;
        return check_number(key, value, *key == 'm' ? 8 : 10, err);
    }
    if (!strcmp(key, "env")) return 0;
    return err_set(err, ERR_INVALID, "unexpected key '%s' in '%s'", key, field);
}

static int take_field(struct parse *ps, const char *field, struct err *err) {
    const char *eq = strchr(field, '=');
    const char *key = str_lower(ps->a, eq ? arena_strndup(ps->a, field, (size_t) (eq - field)) : field);
    if (!eq) return bare_key(ps, key, field, err);
    const char *value;
    bool open = false;
    int r = ps->expand(ps->arg, eq + 1, &value, &open, err);
    if (r < 0) return r;
    bool source = !strcmp(key, "source") || !strcmp(key, "src"), type = !strcmp(key, "type"), from = !strcmp(key, "from");
    if (open) ps->m->open = ps->m->open || source || type || from;
    if (source)
        ps->m->source = value;
    else if (from)
        ps->m->from = value;
    else if (!strcmp(key, "target") || !strcmp(key, "dst") || !strcmp(key, "destination"))
        ps->m->target = value;
    else if (open)
        return 0; /* nothing to check in what isn't known */
    else if (type)
        return set_type(ps, value, err);
    else
        return check_key(ps, key, value, field, err);
    return 0;
}

static int check_whole(const struct parse *ps, struct err *err) {
    const struct df_mount *m = ps->m;
    if (m->open) return 0;
    if (ps->owner && (m->type == MOUNT_BIND || m->type == MOUNT_TMPFS))
        return err_set(err, ERR_INVALID, "mode, uid and gid are not allowed for \"%s\" type mounts", type_names[m->type]);
    if (ps->sharing && m->type != MOUNT_CACHE)
        return err_set(err, ERR_INVALID, "invalid cache sharing set for %s mount", type_names[m->type]);
    if (m->type == MOUNT_SSH && *m->source) return err_set(err, ERR_INVALID, "ssh does not support source");
    if (m->type != MOUNT_SECRET) return 0;
    if (*m->from) return err_set(err, ERR_INVALID, "secret mount should not have a from");
    if (!*m->source && !*m->target && !ps->id)
        return err_set(err, ERR_INVALID, "invalid secret mount: one of source, target required");
    return *m->source && ps->id ? err_set(err, ERR_INVALID, "both source and id can't be set") : 0;
}

int df_mount_parse(struct arena *a, const char *value, df_word_fn *expand, void *arg, struct df_mount *ret, struct err *err) {
    struct strs list;
    *ret = (struct df_mount){.from = "", .source = "", .target = ""};
    struct parse ps = {.a = a, .m = ret, .expand = expand, .arg = arg};
    int r = fields(a, value, &list, err);
    for (size_t i = 0; r >= 0 && i < list.n; i++) r = take_field(&ps, list.v[i], err);
    return r < 0 ? r : check_whole(&ps, err);
}

int df_device_check(struct arena *a, const char *value, struct err *err) {
    struct strs list;
    int r = fields(a, value, &list, err);
    if (r < 0) return err_wrap(err, "--device=%s", value);
    bool named = false, flag;
    for (size_t i = 0; i < list.n; i++) {
        const char *field = list.v[i], *eq = strchr(field, '=');
        const char *key = str_lower(a, eq ? arena_strndup(a, field, (size_t) (eq - field)) : field);
        if (!strcmp(key, "required")) {
            if (eq && !go_parse_bool(eq + 1, &flag)) return invalid(key, eq + 1, err);
            continue;
        }
        if (named) return err_set(err, ERR_INVALID, "unexpected field '%s' in --device=%s", field, value);
        named = true;
    }
    return 0;
}
