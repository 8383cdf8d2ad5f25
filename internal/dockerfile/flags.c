#include "dockerfile/flags.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"

static const struct df_flag *find(const struct df_flag *known, size_t n, const char *name, size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(known[i].name) == len && !memcmp(known[i].name, name, len)) return &known[i];
    return NULL;
}

static int set_bool(const struct df_flag *f, const char *value, struct err *err) {
    if (value && !*value) return err_set(err, ERR_INVALID, "missing a value on flag: --%s", f->name);
    if (value && strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0)
        return err_set(err, ERR_INVALID, "expecting boolean value for flag --%s, not: %s", f->name, value);
    *f->on = !value || !strcasecmp(value, "true");
    return 0;
}

static int set(struct arena *a, const struct df_flag *f, const char *value, struct err *err) {
    if (f->type == FLAG_BOOL) return set_bool(f, value, err);
    if (!value) return err_set(err, ERR_INVALID, "missing a value on flag: --%s", f->name);
    if (f->type == FLAG_LIST)
        strs_add(a, f->list, value);
    else
        *f->text = value;
    return 0;
}

int df_flags(struct arena *a, const struct strs *given, const struct df_flag *known, size_t n, struct err *err) {
    bool *used = arena_array(a, n, sizeof *used);
    for (size_t i = 0; i < given->n; i++) {
        const char *text = given->v[i];
        if (!strcmp(text, "--")) return 0;
        if (strncmp(text, "--", 2) != 0) return err_set(err, ERR_INVALID, "a flag should start with --: %s", text);
        const char *eq = strchr(text, '=');
        size_t len = eq ? (size_t) (eq - text) : strlen(text);
        const struct df_flag *f = find(known, n, text + 2, len - 2);
        if (!f) return err_set(err, ERR_UNSUPPORTED, "unknown flag: %.*s", (int) len, text);
        bool *seen = &used[f - known];
        if (*seen && f->type != FLAG_LIST) return err_set(err, ERR_INVALID, "duplicate flag specified: --%s", f->name);
        *seen = true;
        int r = set(a, f, eq ? eq + 1 : NULL, err);
        if (r < 0) return r;
    }
    return 0;
}
