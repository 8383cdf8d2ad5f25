/* Goes through the reached stages as BuildKit's frontend does, with the environment that each instruction sees. */
#include "dockerfile/plan.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "dockerfile/checks.h"
#include "dockerfile/mount.h"
#include "dockerfile/remote.h"
#include "dockerfile/rune.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct planner {
    struct arena *a;
    const struct df_input *in;
    struct df_stages stages;
    struct df_plan *out;
    struct err *err;
    struct df_stage *stage; /* the one that is gone through */
    struct df_step *step;
    const char *open_name; /* the first open variable of the current instruction */
    struct source_list *of_stage;
};

/* Sources are kept with their stage until it is known which stages' results are used. */
struct source_list {
    struct df_source *v;
    size_t n, cap;
};

static struct df_value stage_value(void *self, const char *name) {
    struct planner *p = self;
    struct df_value v = vars_get(&p->stage->vars, name);
    if (v.open && !p->open_name) p->open_name = arena_strdup(p->a, name);
    return v;
}

static int expand(struct planner *p, const char *word, const char **ret, bool *ret_open) {
    struct df_vars vars = {stage_value, p};
    struct df_expand how = {.escape = (unsigned char) p->stages.escape, .vars = &vars};
    struct df_expanded e;
    int r = df_expand(p->a, &how, word, &e, p->err);
    if (r < 0) return r;
    *ret = e.text;
    if (ret_open) *ret_open = *ret_open || e.open;
    return 0;
}

/* ---- Widening ---- */

static const char *bottom_image(const struct df_stage *st) {
    while (st->base_stage) st = st->base_stage;
    return st->base;
}

static void widen(struct planner *p, const char *what) {
    if (p->out->widened) return;
    const char *name = p->open_name ? p->open_name : "";
    bool builder = str_starts(name, "BUILD") || str_starts(name, "TARGET");
    p->out->widened_line = p->step ? p->step->line : p->stage->line;
    if (builder)
        p->out->widened = arena_printf(p->a, "%s in line %d takes $%s, which only the builder knows: say for which platform it is",
                                       what, p->out->widened_line, name);
    else
        p->out->widened = arena_printf(p->a, "%s in line %d takes $%s, which the base image %s may set", what, p->out->widened_line,
                                       name, bottom_image(p->stage));
}

/* ---- Environment ---- */

static void begin_stage(struct planner *p, struct df_stage *st) {
    struct vars *vs = &st->vars;
    if (st->base_stage) {
        vars_inherit(p->a, vs, &st->base_stage->vars);
        st->paths = st->base_stage->paths;
        st->workdir = st->base_stage->workdir;
        st->named = st->base_stage->named;
    } else {
        bool local = st->named >= 0 && p->in->named[st->named].local;
        vs->external = !local && strcmp(st->base, "scratch") != 0;
        if (!vs->external) st->workdir = "/";
    }
    if (!vs->external && !vars_find(vs, "PATH")) vars_set(p->a, vs, "PATH", DEFAULT_PATH, false, true);
}

static int set_env(struct planner *p, const struct df_command *c) {
    struct df_pair *expanded = arena_array(p->a, c->n_pairs, sizeof *expanded);
    bool *open = arena_array(p->a, c->n_pairs, sizeof *open);
    for (size_t i = 0; i < c->n_pairs; i++) { /* all of them see the old values */
        int r = expand(p, c->pairs[i].key, &expanded[i].key, &open[i]);
        if (r >= 0) r = expand(p, c->pairs[i].value, &expanded[i].value, &open[i]);
        if (r < 0) return r;
    }
    for (size_t i = 0; i < c->n_pairs && c->kind == DF_ENV; i++)
        vars_set(p->a, &p->stage->vars, expanded[i].key, expanded[i].value, open[i], true);
    return 0;
}

static bool only_for_sbom(const char *key) {
    return !strcmp(key, "BUILDKIT_SBOM_SCAN_CONTEXT") || !strcmp(key, "BUILDKIT_SBOM_SCAN_STAGE");
}

static void widen_for_sbom(struct planner *p, const char *key, const char *value) {
    bool on;
    if (strcmp(key, "BUILDKIT_SBOM_SCAN_CONTEXT") != 0 || (go_parse_bool(value, &on) && !on) || p->out->widened) return;
    p->out->widened = "BUILDKIT_SBOM_SCAN_CONTEXT lets an SBOM scan the whole context";
    p->out->widened_line = p->step ? p->step->line : 0;
}

static int set_arg(struct planner *p, const struct df_pair *pair) {
    const char *value = df_build_arg(p->in, pair->key);
    bool open = false;
    if (!value && pair->value) {
        int r = expand(p, pair->value, &value, &open);
        if (r < 0) return r;
    } else if (!value) {
        struct df_value v = vars_get(&p->stages.globals, pair->key);
        if (v.set) value = v.text;
        open = v.set && v.open;
    }
    strs_add(p->a, &p->out->text, value && !open ? arena_printf(p->a, "%s=%s", pair->key, value) : pair->key);
    if (!value) return 0;
    widen_for_sbom(p, pair->key, value);
    if (!only_for_sbom(pair->key)) vars_set(p->a, &p->stage->vars, pair->key, value, open, false);
    return 0;
}

/* ---- Sources ---- */

static bool has_wildcard(const char *s) {
    for (; *s; s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '\\')
            return false;
        else if (strchr("*?[", *s))
            return true;
    }
    return false;
}

static const char *rooted(struct planner *p, const char *path) { return fs_clean(p->a, arena_printf(p->a, "/%s", path)); }

static void ask_for(struct planner *p, struct df_paths *paths, const char *path) {
    const char *clean = rooted(p, path);
    if (!strcmp(clean, "/"))
        paths->all = true;
    else
        strs_add(p->a, &paths->list, clean + 1);
}

static struct df_source *add_source(struct planner *p, const char *what, const char *written, int context) {
    struct source_list *l = p->of_stage;
    ARENA_GROW(p->a, l->v, l->n, l->cap);
    l->v[l->n] = (struct df_source){
        .written = written,
        .from = arena_printf(p->a, "%s line %d", what, p->step ? p->step->line : p->stage->line),
        .line = p->step ? p->step->line : p->stage->line,
        .context = context,
        .path = "/",
    };
    return &l->v[l->n++];
}

/* --parents: what comes before the first "/./" is the base, the rest a pattern. */
static void split_parents(struct planner *p, struct df_source *s, const char *text) {
    const char *pivot = strstr(text, "/./");
    const char *base = pivot ? arena_strndup(p->a, text, (size_t) (pivot - text)) : "/";
    const char *pattern = pivot ? pivot + 3 : text;
    if (*pattern != '/') pattern = rooted(p, pattern);
    s->path = rooted(p, base);
    s->include = *pattern == '/' ? pattern + 1 : pattern;
    s->filtered = true;
    if (!has_wildcard(base) && !has_wildcard(pattern)) s->required = rooted(p, arena_printf(p->a, "%s/%s", base, pattern));
}

/* The context that a COPY or mount reads: -1 the build context, -2 none (a stage, or an image). */
static int context_of(const struct planner *p, const struct df_step *s, size_t i) {
    if (!s->n_from) return -1;
    const struct df_stage *st = s->from[i];
    return (st->is_named || st->implied) && st->named >= 0 && p->in->named[st->named].local ? st->named : -2;
}

static int copy_one(struct planner *p, const char *written, const char *text) {
    const struct df_command *c = &p->step->command;
    int kind = df_remote_kind(text, p->err);
    if (kind < 0) return kind;
    if (kind != DF_LOCAL && c->kind == DF_COPY)
        return err_set(p->err, ERR_INVALID, "source can't be a %s for COPY: %s", kind == DF_GIT ? "git ref" : "URL", text);
    struct df_paths *paths = p->step->n_from ? p->step->from[0]->paths : &p->out->paths;
    if (kind != DF_HTTP) ask_for(p, paths, text);
    if (kind != DF_LOCAL) return 0;
    if (p->step->n_from) p->step->from_used[0] = true;
    int context = context_of(p, p->step, 0);
    if (context < -1) return 0;
    struct df_source *s = add_source(p, df_kind_name(c->kind), written, context);
    s->path = rooted(p, text);
    s->excludes = c->excludes;
    s->filtered = c->excludes.n > 0;
    if (c->parents) split_parents(p, s, text);
    s->wildcard = has_wildcard(s->path);
    return 0;
}

static int check_copy_flags(struct planner *p, const struct df_command *c, const struct strs *sources) {
    const char *chown, *chmod, *checksum;
    bool open = false;
    int r = expand(p, c->chown, &chown, &open);
    if (r >= 0) r = expand(p, c->chmod, &chmod, &open);
    if (r >= 0) r = expand(p, c->checksum, &checksum, &open);
    if (r < 0 || open) return r;
    if (c->link && df_chown_by_name(chown))
        return err_set(p->err, ERR_INVALID,
                       "--chown=%s: user and group names can't be resolved when used with --link, use numeric uid[:gid] instead",
                       chown);
    if (*chmod && !df_valid_chmod(chmod))
        return err_set(p->err, ERR_INVALID, "invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777",
                       chmod);
    if (!*checksum) return 0;
    if (sources->n != 1) return err_set(p->err, ERR_INVALID, "checksum can't be specified for multiple sources");
    int kind = df_remote_kind(sources->v[0], p->err);
    if (kind == DF_LOCAL) return err_set(p->err, ERR_INVALID, "checksum requires HTTP(S) or Git sources");
    return kind < 0 ? kind : 0;
}

static int check_contents(struct planner *p, const struct df_command *c) {
    struct df_vars vars = {stage_value, p};
    struct df_expand how = {.escape = '\\', .literal_quotes = true, .vars = &vars};
    for (size_t i = 0; i < c->n_contents; i++) {
        struct df_expanded e;
        int r = c->contents[i].expand ? df_expand(p->a, &how, c->contents[i].content, &e, p->err) : 0;
        if (r < 0) return r;
    }
    return 0;
}

static int not_before(struct planner *p, const char *verb, const struct df_stage *from) {
    return err_set(p->err, ERR_INVALID, "cannot %s stage \"%s\", it needs to be defined before current stage \"%s\"", verb,
                   *from->name ? from->name : from->base, p->stage->name);
}

static int copy(struct planner *p, const struct df_command *c) {
    struct strs texts = {0};
    bool open = false;
    const char *dest;
    p->open_name = NULL;
    for (size_t i = 0; i < c->sources.n; i++) {
        const char *text;
        int r = expand(p, c->sources.v[i], &text, &open);
        if (r < 0) return r;
        strs_add(p->a, &texts, text);
    }
    if (open && (!p->step->n_from || context_of(p, p->step, 0) >= 0)) widen(p, df_kind_name(c->kind));
    int r = expand(p, c->dest, &dest, NULL);
    if (r >= 0) r = check_copy_flags(p, c, &texts);
    if (r >= 0) r = check_contents(p, c);
    if (r < 0) return r;
    if (p->step->n_from && !p->step->from[0]->done) return not_before(p, "copy from", p->step->from[0]);
    if (p->step->n_from && open) p->step->from_used[0] = true;
    for (size_t i = 0; !open && r >= 0 && i < texts.n; i++) r = copy_one(p, c->sources.v[i], texts.v[i]);
    return r;
}

/* ---- RUN ---- */

static int expand_word(void *arg, const char *word, const char **ret, bool *ret_open, struct err *err) {
    struct planner *p = arg;
    (void) err; /* p->err is it */
    return expand(p, word, ret, ret_open);
}

static int check_target(struct planner *p, const struct df_mount *m) {
    const char *target = m->target;
    if (*target != '/') {
        if (!p->stage->workdir || p->open_name) return 0;
        target = fs_clean(p->a, arena_printf(p->a, "%s/%s", p->stage->workdir, target));
    }
    return strcmp(target, "/") != 0 ? 0 : err_set(p->err, ERR_INVALID, "invalid mount target \"%s\"", m->target);
}

static int mount(struct planner *p, size_t i, const char *value) {
    struct df_mount m;
    p->open_name = NULL;
    int r = df_mount_parse(p->a, value, expand_word, p, &m, p->err);
    if (r < 0) return r;
    struct df_stage *from = p->step->from[i];
    if (m.open) {
        p->step->from_used[i] = true;
        if (!*m.from || context_of(p, p->step, i) >= 0) widen(p, "RUN --mount");
        return 0;
    }
    if (m.type == MOUNT_CACHE && !*m.from) m.from = "scratch";
    if (*m.from && !from->done) return not_before(p, "mount from", from);
    if (m.type == MOUNT_SECRET || m.type == MOUNT_SSH) return 0;
    r = check_target(p, &m);
    if (r < 0) return r;
    ask_for(p, *m.from ? from->paths : &p->out->paths, m.source);
    if (m.type == MOUNT_TMPFS) return 0;
    p->step->from_used[i] = *m.from != 0;
    int context = *m.from ? context_of(p, p->step, i) : -1;
    if (context < -1) return 0;
    struct df_source *s = add_source(p, "RUN --mount", *m.source ? m.source : "/", context);
    s->path = rooted(p, m.source);
    return 0;
}

static int run(struct planner *p, const struct df_command *c) {
    p->stage->paths->all = true;
    for (size_t i = 0; i < c->mounts.n; i++) {
        int r = mount(p, i, c->mounts.v[i]);
        if (r < 0) return err_wrap(p->err, "--mount=%s", c->mounts.v[i]);
    }
    return 0;
}

/* ---- Instructions that read nothing: only their errors count ---- */

static int workdir(struct planner *p, const char *text, bool open) {
    if (open)
        p->stage->workdir = NULL;
    else if (*text == '/')
        p->stage->workdir = fs_clean(p->a, text);
    else if (p->stage->workdir)
        p->stage->workdir = fs_clean(p->a, arena_printf(p->a, "%s/%s", p->stage->workdir, text));
    return 0;
}

static int expose(struct planner *p, const struct df_command *c) {
    struct df_vars vars = {stage_value, p};
    struct df_expand how = {.escape = (unsigned char) p->stages.escape, .vars = &vars};
    for (size_t i = 0; i < c->node->args.n; i++) {
        struct df_expanded e;
        int r = df_expand(p->a, &how, c->node->args.v[i], &e, p->err);
        if (r < 0) return r;
        for (size_t k = 0; !e.open && k < e.words.n; k++)
            if (!df_valid_port(e.words.v[k])) return err_set(p->err, ERR_INVALID, "invalid port: \"%s\"", e.words.v[k]);
    }
    return 0;
}

static int volume(struct planner *p, const struct df_command *c) {
    for (size_t i = 0; i < c->node->args.n; i++) {
        struct text t = text_trim((struct text){c->node->args.v[i], strlen(c->node->args.v[i])});
        const char *text;
        bool open = false;
        int r = expand(p, arena_strndup(p->a, t.p, t.len), &text, &open);
        if (r < 0) return r;
        if (!*text && !open) return err_set(p->err, ERR_INVALID, "VOLUME specified can not be an empty string");
    }
    return 0;
}

static int one_word(struct planner *p, const struct df_command *c) {
    const char *text;
    bool open = false;
    int r = expand(p, c->node->args.v[0], &text, &open);
    if (r < 0) return r;
    if (c->kind == DF_WORKDIR) return workdir(p, text, open);
    if (c->kind == DF_STOPSIGNAL && !open && !df_valid_signal(text))
        return err_set(p->err, ERR_INVALID, "invalid signal: %s", text);
    return 0;
}

static int instruction(struct planner *p, const struct df_command *c) {
    int r = 0;
    switch (c->kind) {
        case DF_ADD:
        case DF_COPY: return copy(p, c);
        case DF_RUN: return run(p, c);
        case DF_ENV:
        case DF_LABEL: return set_env(p, c);
        case DF_ARG:
            for (size_t i = 0; r >= 0 && i < c->n_pairs; i++) r = set_arg(p, &c->pairs[i]);
            return r;
        case DF_WORKDIR:
        case DF_USER:
        case DF_STOPSIGNAL: return one_word(p, c);
        case DF_EXPOSE: return expose(p, c);
        case DF_VOLUME: return volume(p, c);
        default: return 0;
    }
}

/* ---- The text of what decides ---- */

static void add_command_text(struct planner *p, const struct df_command *c) {
    struct strs *t = &p->out->text;
    strs_add(p->a, t, df_kind_name(c->kind));
    for (size_t i = 0; i < c->node->flags.n; i++) strs_add(p->a, t, c->node->flags.v[i]);
    strs_add(p->a, t, c->node->json ? "[]" : "");
    for (size_t i = 0; i < c->node->args.n; i++) strs_add(p->a, t, c->node->args.v[i]);
    for (size_t i = 0; i < c->node->n_heredocs; i++) {
        const struct df_heredoc *h = &c->node->heredocs[i];
        strs_add(p->a, t, arena_printf(p->a, "<<%s%s%s", h->chomp ? "-" : "", h->name, h->expand ? "" : "'"));
        strs_add(p->a, t, h->content);
    }
}

static int go_through(struct planner *p, struct df_stage *st) {
    p->stage = st;
    p->step = NULL;
    st->done = true;
    begin_stage(p, st);
    if (st->base_open) {
        p->open_name = "TARGETPLATFORM"; /* or one of its like: nothing else is open there */
        widen(p, "FROM");
    }
    strs_add(p->a, &p->out->text, "FROM");
    strs_add(p->a, &p->out->text, st->base);
    strs_add(p->a, &p->out->text, st->platform);
    for (size_t i = 0; i < st->n_steps; i++) {
        struct df_step *s = p->step = &st->steps[i];
        p->open_name = NULL;
        add_command_text(p, &s->command);
        int r = instruction(p, &s->command);
        if (r < 0) {
            err_at(p->err, p->in->file, s->line);
            return r;
        }
    }
    return 0;
}

/* ---- Which results are used ---- */

static void need(struct df_stage *st) {
    for (; st && !st->needed; st = st->base_stage) {
        st->needed = true;
        for (size_t i = 0; i < st->n_steps; i++)
            for (size_t k = 0; k < st->steps[i].n_from; k++)
                if (st->steps[i].from_used[k]) need(st->steps[i].from[k]);
    }
}

/* A stage that begins as a folder takes all of it. */
static void add_base(struct planner *p, struct source_list *list, struct df_stage *st) {
    const struct df_stage *bottom = st->base_stage && st->base_stage->is_named ? st->base_stage : st->base_stage ? NULL : st;
    if (!bottom || st->is_named || st->implied || bottom->named < 0 || !p->in->named[bottom->named].local) return;
    p->stage = st;
    p->step = NULL;
    p->of_stage = list;
    add_source(p, "FROM", st->base_written, bottom->named);
}

static void collect(struct planner *p, const struct source_list *lists, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!p->stages.v[i]->needed) continue;
        for (size_t k = 0; k < lists[i].n; k++) {
            ARENA_GROW(p->a, p->out->sources, p->out->n_sources, p->out->cap);
            p->out->sources[p->out->n_sources++] = lists[i].v[k];
        }
    }
}

static int plan_stages(struct planner *p) {
    size_t n = p->stages.n;
    struct source_list *lists = arena_array(p->a, n, sizeof *lists);
    for (size_t i = 0; i < n; i++) {
        struct df_stage *st = p->stages.v[i];
        st->done = st->done || st->implied || st->is_named;
        if (st->is_named && st->reached) begin_stage(p, st);
    }
    for (size_t i = 0; i < n; i++) {
        struct df_stage *st = p->stages.v[i];
        if (!st->reached || st->done) continue;
        p->of_stage = &lists[i];
        int r = go_through(p, st);
        if (r < 0) return r;
    }
    need(p->stages.target);
    p->stages.target->paths->all = true;
    for (size_t i = 0; i < n; i++) add_base(p, &lists[i], p->stages.v[i]);
    collect(p, lists, n);
    for (size_t i = 0; i < n; i++) {
        const struct df_stage *st = p->stages.v[i];
        if (st->base_stage || st->named < 0 || !st->reached) continue;
        struct df_paths *to = &p->out->named_paths[st->named];
        to->all = to->all || st->paths->all || !st->paths->list.n;
        for (size_t k = 0; k < st->paths->list.n; k++) strs_add(p->a, &to->list, st->paths->list.v[k]);
    }
    return 0;
}

bool df_official_frontend(const char *syntax) {
    static const char *const names[] = {"docker/dockerfile", "docker.io/docker/dockerfile", "docker/dockerfile-upstream",
                                        "docker.io/docker/dockerfile-upstream"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t len = strlen(names[i]);
        if (!strncmp(syntax, names[i], len) && (!syntax[len] || syntax[len] == ':' || syntax[len] == '@')) return true;
    }
    return false;
}

int df_plan(struct arena *a, const struct df_input *in, const struct df_file *file, bool syntax_given, struct df_plan *ret,
            struct err *err) {
    *ret = (struct df_plan){.named_paths = arena_array(a, in->n_named, sizeof *ret->named_paths)};
    struct planner p = {.a = a, .in = in, .out = ret, .err = err};
    struct err own = {0};
    int r = df_stages(a, in, file, &p.stages, &own);
    if (r == -ERR_UNSUPPORTED && syntax_given) {
        ret->widened =
            arena_printf(a, "line %d: %s; the frontend that the Dockerfile asks for may know it", own.line, err_text(&own));
        ret->widened_line = own.line;
        err_done(&own);
        return 0;
    }
    if (r < 0) {
        err_move(err, &own);
        return r;
    }
    struct df_value global = vars_get(&p.stages.globals, "BUILDKIT_SBOM_SCAN_CONTEXT");
    if (global.set) widen_for_sbom(&p, "BUILDKIT_SBOM_SCAN_CONTEXT", global.text);
    return plan_stages(&p);
}
