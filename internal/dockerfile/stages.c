#include "dockerfile/stages.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/checks.h"
#include "dockerfile/image.h"
#include "dockerfile/mount.h"

struct builder {
    struct arena *a;
    const struct df_input *in;
    struct df_stages *out;
    struct err *err;
};

static int fail_at(struct builder *b, int line, int r) {
    err_at(b->err, b->in->file, line);
    return r;
}

const char *df_build_arg(const struct df_input *in, const char *key) {
    for (size_t i = in->n_build_args; i > 0; i--)
        if (!strcmp(in->build_args[i - 1].key, key)) return in->build_args[i - 1].value;
    return NULL;
}

static struct df_value global_value(void *self, const char *name) { return vars_get(self, name); }

/* A word in which only global ARGs are seen. */
static int expand_global(struct builder *b, const char *word, struct df_expanded *ret) {
    struct df_vars vars = {global_value, &b->out->globals};
    struct df_expand how = {.escape = (unsigned char) b->out->escape, .vars = &vars};
    return df_expand(b->a, &how, word, ret, b->err);
}

/* ---- Stages from commands ---- */

static struct df_stage *stage_new(struct builder *b) {
    struct df_stages *s = b->out;
    struct df_stage *st = arena_alloc(b->a, sizeof *st);
    *st = (struct df_stage){.name = "", .base = "", .base_written = "", .platform = "", .named = -1};
    st->paths = arena_alloc(b->a, sizeof *st->paths);
    ARENA_GROW(b->a, s->v, s->n, s->cap);
    s->v[s->n++] = st;
    return st;
}

static int global_arg(struct builder *b, const struct df_command *c) {
    for (size_t i = 0; i < c->n_pairs; i++) {
        const char *key = c->pairs[i].key, *value = df_build_arg(b->in, key);
        bool open = false;
        if (!value && c->pairs[i].value) {
            struct df_expanded e;
            int r = expand_global(b, c->pairs[i].value, &e);
            if (r < 0) return r;
            value = e.text;
            open = e.open;
        }
        if (value) vars_set(b->a, &b->out->globals, key, value, open, false);
    }
    return 0;
}

static void add_step(struct builder *b, struct df_stage *st, const struct df_command *c, int line) {
    ARENA_GROW(b->a, st->steps, st->n_steps, st->cap_steps);
    st->steps[st->n_steps++] = (struct df_step){.command = *c, .line = line};
}

static void set_predefined(struct builder *b, const char *prefix, const struct df_platform *p, bool open) {
    const char *const values[][2] = {
        {"PLATFORM", p->text}, {"OS", p->os}, {"OSVERSION", p->os_version}, {"ARCH", p->arch}, {"VARIANT", p->variant}};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        const char *key = arena_printf(b->a, "%s%s", prefix, values[i][0]), *given = df_build_arg(b->in, key);
        vars_set(b->a, &b->out->globals, key, given ? given : values[i][1], open && !given, false);
    }
}

static int set_predefined_args(struct builder *b, const char *target) {
    static const struct df_platform unknown = {"", "", "", "", ""};
    struct df_platform builder = unknown, platform = unknown;
    int r = 0;
    if (b->in->builder_platform) r = df_platform_parse(b->a, b->in->builder_platform, true, &builder, b->err);
    if (r >= 0 && b->in->platform)
        r = df_platform_parse(b->a, b->in->platform, true, &platform, b->err);
    else
        platform = builder;
    if (r < 0) return r;
    set_predefined(b, "BUILD", &builder, !b->in->builder_platform);
    set_predefined(b, "TARGET", &platform, !b->in->platform && !b->in->builder_platform);
    const char *given = df_build_arg(b->in, "TARGETSTAGE");
    vars_set(b->a, &b->out->globals, "TARGETSTAGE", given ? given : *target ? target : "default", false, false);
    return 0;
}

enum { STAGES_MAX = 5000 }; /* the graph is walked by recursion */

/* All commands, those of unreached stages too, so that each error is found; globals wait until the target's name is
 * known, which is one of them. */
static int read_commands(struct builder *b, const struct df_file *file, struct df_command **ret) {
    struct df_command *list = arena_array(b->a, file->n, sizeof *list);
    bool in_stage = false;
    size_t n_stages = 0;
    for (size_t i = 0; i < file->n; i++) {
        int r = df_command(b->a, &file->nodes[i], &list[i], b->err);
        if (r >= 0 && !in_stage && list[i].kind != DF_ARG && list[i].kind != DF_FROM)
            r = err_set(b->err, ERR_INVALID, "%s stands before the first FROM", df_kind_name(list[i].kind));
        if (r >= 0 && list[i].kind == DF_FROM && ++n_stages > STAGES_MAX)
            r = err_set(b->err, ERR_LIMIT, "there are more than %d stages", STAGES_MAX);
        if (r < 0) return fail_at(b, file->nodes[i].line, r);
        in_stage = in_stage || list[i].kind == DF_FROM;
    }
    if (!in_stage) return fail_at(b, file->nodes[file->n - 1].line, err_set(b->err, ERR_INVALID, "the Dockerfile has no FROM"));
    *ret = list;
    return 0;
}

static int take_commands(struct builder *b, const struct df_file *file, const struct df_command *list) {
    struct df_stage *st = NULL;
    for (size_t i = 0; i < file->n; i++) {
        const struct df_command *c = &list[i];
        int line = file->nodes[i].line;
        if (c->kind == DF_FROM) {
            st = stage_new(b);
            st->name = c->name;
            st->base_written = c->base;
            st->platform = c->platform;
            st->line = line;
        } else if (st) {
            add_step(b, st, c, line);
        } else {
            int r = global_arg(b, c);
            if (r < 0) return fail_at(b, line, r);
        }
    }
    return 0;
}

/* ---- What each builds on ---- */

/* The last stage of that name among the first n. */
static struct df_stage *find(const struct builder *b, const char *name, size_t n, bool fold) {
    for (size_t i = n; i > 0; i--) {
        struct df_stage *st = b->out->v[i - 1];
        if (*st->name && (fold ? !strcasecmp(st->name, name) : !strcmp(st->name, name))) return st;
    }
    return NULL;
}

static int find_named(const struct builder *b, const char *name) {
    const char *familiar = df_image_familiar(b->a, name);
    const char *platform = b->in->platform ? b->in->platform : b->in->builder_platform;
    const char *with_platform = platform ? arena_printf(b->a, "%s::%s", familiar, platform) : NULL;
    int found = -1;
    for (size_t i = 0; i < b->in->n_named; i++) {
        if (with_platform && !strcmp(b->in->named[i].name, with_platform)) return (int) i;
        if (!strcmp(b->in->named[i].name, familiar)) found = (int) i;
    }
    return found;
}

static bool can_be_named(const char *name) { return strcasecmp(name, "scratch") != 0 && strcasecmp(name, "context") != 0; }

static int resolve_platform(struct builder *b, struct df_stage *st) {
    struct df_expanded e;
    struct df_platform p;
    int r = expand_global(b, st->platform, &e);
    if (r < 0 || e.open) return r;
    if (!*e.text) return err_set(b->err, ERR_INVALID, "empty platform value from expression %s", st->platform);
    r = df_platform_parse(b->a, e.text, false, &p, b->err);
    st->platform = e.text;
    return r;
}

static int resolve_base(struct builder *b, size_t index) {
    struct df_stage *st = b->out->v[index];
    struct df_expanded e;
    int r = expand_global(b, st->base_written, &e);
    if (r < 0) return r;
    if (!*e.text && !e.open) return err_set(b->err, ERR_INVALID, "base name (%s) should not be blank", st->base_written);
    st->base = e.text;
    st->base_open = e.open;
    if (*st->platform) r = resolve_platform(b, st);
    if (r < 0) return r;
    if (*st->name && can_be_named(st->name)) {
        r = df_image_check(st->name, b->err);
        if (r < 0) return r;
        st->named = find_named(b, st->name);
        st->is_named = st->named >= 0;
    }
    if (!st->is_named) st->base_stage = find(b, st->base, index, false);
    if (st->base_stage || (!strcmp(st->base, "scratch") && !st->is_named) || e.open) return 0;
    r = df_image_check(st->base, b->err);
    if (r >= 0 && !st->is_named) st->named = find_named(b, st->base);
    return r;
}

/* ---- What each takes from others ---- */

static struct df_stage *implied(struct builder *b, const char *image, int line) {
    struct df_stage *st = stage_new(b);
    st->base = st->base_written = image;
    st->line = line;
    st->implied = true;
    if (strcmp(image, "scratch") != 0) st->named = find_named(b, image);
    return st;
}

static int check_implied(struct builder *b, const struct df_stage *st) {
    return strcmp(st->base, "scratch") != 0 ? df_image_check(st->base, b->err) : 0;
}

static int copy_source(struct builder *b, struct df_step *s) {
    const char *from = s->command.from;
    struct df_expand how = {.escape = (unsigned char) b->out->escape};
    struct df_expanded e;
    int r = df_expand(b->a, &how, from, &e, b->err);
    if (r < 0) return r;
    if (strcmp(e.text, from) != 0)
        return err_set(b->err, ERR_INVALID,
                       "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
                       "as a workaround");
    int64_t index;
    struct df_stage *st;
    if (go_parse_int(from, &index)) {
        if (index < 0 || (uint64_t) index >= b->out->n) return err_set(b->err, ERR_INVALID, "invalid stage index %s", from);
        st = b->out->v[index];
    } else {
        st = find(b, from, b->out->n, true);
        if (!st) {
            st = implied(b, from, s->line);
            r = check_implied(b, st);
        }
    }
    s->from = arena_array(b->a, 1, sizeof *s->from);
    s->from_used = arena_array(b->a, 1, sizeof *s->from_used);
    s->from[s->n_from++] = st;
    return r;
}

static int mount_sources(struct builder *b, struct df_step *s) {
    const struct strs *mounts = &s->command.mounts;
    s->from = arena_array(b->a, mounts->n, sizeof *s->from);
    s->from_used = arena_array(b->a, mounts->n, sizeof *s->from_used);
    for (size_t i = 0; i < mounts->n; i++) {
        const char *from;
        int r = df_mount_check(b->a, mounts->v[i], &from, b->err);
        if (r < 0) return r;
        if (!*from) from = "scratch";
        struct df_stage *st = find(b, from, b->out->n, true);
        if (!st) {
            st = implied(b, from, s->line);
            r = check_implied(b, st);
            if (r < 0) return r;
        }
        s->from[s->n_from++] = st;
    }
    return 0;
}

static int link_step(struct builder *b, struct df_step *s) {
    int r = 0;
    if (s->command.kind == DF_COPY && *s->command.from) r = copy_source(b, s);
    if (s->command.kind == DF_RUN && s->command.mounts.n) r = mount_sources(b, s);
    return r < 0 ? fail_at(b, s->line, r) : 0;
}

/* A stage that takes something from itself, by whatever way round. */
static bool has_circle(struct df_stage *st) {
    enum { UNSEEN, ON_PATH, CLEAR };
    if (st->mark) return st->mark == ON_PATH;
    st->mark = ON_PATH;
    for (size_t i = 0; i < st->n_steps; i++)
        for (size_t k = 0; k < st->steps[i].n_from; k++)
            if (has_circle(st->steps[i].from[k])) return true;
    st->mark = CLEAR;
    return false;
}

static int link_all(struct builder *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct df_stage *st = b->out->v[i];
        for (size_t k = 0; k < st->n_steps; k++) {
            int r = link_step(b, &st->steps[k]);
            if (r < 0) return r;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (has_circle(b->out->v[i]))
            return fail_at(b, b->out->v[i]->line,
                           err_set(b->err, ERR_INVALID, "circular dependency detected on stage: %s", b->out->v[i]->name));
    return 0;
}

/* ---- The target, and what it reaches ---- */

static int find_target(struct builder *b, size_t n) {
    b->out->target = b->out->v[n - 1];
    if (str_empty(b->in->target)) return 0;
    b->out->target = find(b, b->in->target, n, true);
    if (b->out->target) return 0;
    AUTO_BUF struct buf names = {0};
    for (size_t i = 0; i < n; i++)
        if (*b->out->v[i]->name) buf_addf(&names, "%s%s", names.len ? ", " : "", b->out->v[i]->name);
    err_set(b->err, ERR_INVALID, "target stage \"%s\" could not be found%s%s", b->in->target, names.len ? "; there are: " : "",
            buf_str(&names));
    return fail_at(b, 0, -ERR_INVALID);
}

/* The instruction of a trigger, as part of the stage that builds on the one which has it. */
static int run_trigger(struct builder *b, struct df_stage *st, const char *text, struct df_step *ret) {
    struct df_file file;
    int r = df_parse(b->a, b->in->file, text, strlen(text), &file, b->err);
    if (r >= 0 && file.n != 1) r = err_set(b->err, ERR_INVALID, "onbuild trigger should be a single expression");
    *ret = (struct df_step){.line = st->line};
    if (r >= 0) r = df_command(b->a, &file.nodes[0], &ret->command, b->err);
    if (r >= 0 && ret->command.kind == DF_FROM) r = err_set(b->err, ERR_INVALID, "FROM isn't allowed as an ONBUILD trigger");
    if (r < 0) return fail_at(b, st->line, r);
    return link_step(b, ret);
}

static int run_triggers(struct builder *b, struct df_stage *st) {
    const struct df_stage *base = st->base_stage;
    st->triggered = true;
    struct df_step *steps = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; base && i < base->n_steps; i++) {
        if (base->steps[i].command.kind != DF_ONBUILD) continue;
        struct df_step s;
        int r = run_trigger(b, st, base->steps[i].command.trigger, &s);
        if (r < 0) return r;
        ARENA_GROW(b->a, steps, n, cap);
        steps[n++] = s;
    }
    if (!n) return 0;
    for (size_t i = 0; i < st->n_steps; i++) {
        ARENA_GROW(b->a, steps, n, cap);
        steps[n++] = st->steps[i];
    }
    st->steps = steps;
    st->n_steps = st->cap_steps = n;
    return 0;
}

/* Marks all that the target reaches; triggers can add to that on the way. Every reached stage is looked at once. */
static int reach(struct builder *b) {
    struct df_stage **todo = NULL;
    size_t n = 0, cap = 0;
    ARENA_GROW(b->a, todo, n, cap);
    todo[n++] = b->out->target;
    while (n) {
        struct df_stage *st = todo[--n];
        if (st->reached) continue;
        st->reached = true;
        int r = run_triggers(b, st);
        if (r < 0) return r;
        if (st->base_stage) {
            ARENA_GROW(b->a, todo, n, cap);
            todo[n++] = st->base_stage;
        }
        for (size_t i = 0; i < st->n_steps; i++) {
            for (size_t k = 0; k < st->steps[i].n_from; k++) {
                ARENA_GROW(b->a, todo, n, cap);
                todo[n++] = st->steps[i].from[k];
            }
        }
    }
    return 0;
}

static const char *target_name(const struct df_input *in, const struct df_file *file, const struct df_command *list) {
    if (!str_empty(in->target)) return in->target;
    const char *name = "";
    for (size_t i = 0; i < file->n; i++)
        if (list[i].kind == DF_FROM) name = list[i].name;
    return name;
}

int df_stages(struct arena *a, const struct df_input *in, const struct df_file *file, struct df_stages *ret, struct err *err) {
    *ret = (struct df_stages){.escape = file->escape};
    struct builder b = {a, in, ret, err};
    struct df_command *list = NULL;
    int r = read_commands(&b, file, &list);
    if (r >= 0) r = set_predefined_args(&b, target_name(in, file, list));
    if (r >= 0) r = take_commands(&b, file, list);
    if (r < 0) return r;
    size_t n = ret->n;
    for (size_t i = 0; i < n; i++) {
        r = resolve_base(&b, i);
        if (r < 0) return fail_at(&b, ret->v[i]->line, r);
    }
    r = find_target(&b, n);
    if (r >= 0) r = link_all(&b, n);
    if (r >= 0) r = reach(&b);
    return r;
}
