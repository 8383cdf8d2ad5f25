#include "dockerfile/command.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/checks.h"
#include "dockerfile/flags.h"
#include "dockerfile/mount.h"
#include "dockerfile/rune.h"

static int no_flags(struct arena *a, const struct df_node *n, struct err *err) { return df_flags(a, &n->flags, NULL, 0, err); }

static int need_some(const struct df_node *n, struct err *err) {
    if (n->args.n) return 0;
    return err_set(err, ERR_INVALID, "%s requires at least one argument", df_kind_name(n->kind));
}

static int need_one(const struct df_node *n, struct err *err) {
    if (n->args.n == 1) return 0;
    return err_set(err, ERR_INVALID, "%s requires exactly one argument", df_kind_name(n->kind));
}

/* ---- COPY and ADD ---- */

static int sort_sources(struct arena *a, struct df_command *c, struct err *err) {
    const struct df_node *n = c->node;
    struct df_heredoc h;
    size_t count = n->args.n - 1, cap = 0;
    c->dest = n->args.v[count];
    if (df_heredoc_word(a, c->dest, &h))
        return err_set(err, ERR_INVALID, "%s cannot accept a heredoc as a destination", df_kind_name(n->kind));
    for (size_t i = 0; i < count; i++) {
        if (!df_heredoc_word(a, n->args.v[i], &h)) {
            strs_add(a, &c->sources, n->args.v[i]);
            continue;
        }
        h.content = ""; /* in JSON form a heredoc has no body */
        for (size_t k = 0; k < n->n_heredocs; k++)
            if (!strcmp(n->heredocs[k].name, h.name)) h.content = n->heredocs[k].content;
        if (h.chomp) h.content = df_chomp(a, h.content);
        ARENA_GROW(a, c->contents, c->n_contents, cap);
        c->contents[c->n_contents++] = h;
    }
    return 0;
}

static int check_copy(struct arena *a, struct df_command *c, struct err *err) {
    const struct df_node *n = c->node;
    if (n->args.n < 2)
        return err_set(err, ERR_INVALID,
                       "%s requires at least two arguments, but only %zu was provided: the destination is missing",
                       df_kind_name(n->kind), n->args.n);
    bool ignored;
    const struct df_flag add[] = {
        {.name = "chown", .text = &c->chown},
        {.name = "chmod", .text = &c->chmod},
        {.name = "link", .type = FLAG_BOOL, .on = &c->link},
        {.name = "keep-git-dir", .type = FLAG_BOOL, .on = &ignored},
        {.name = "checksum", .text = &c->checksum},
        {.name = "unpack", .type = FLAG_BOOL, .on = &ignored},
        {.name = "exclude", .type = FLAG_LIST, .list = &c->excludes},
    };
    const struct df_flag copy[] = {
        {.name = "chown", .text = &c->chown},
        {.name = "from", .text = &c->from},
        {.name = "chmod", .text = &c->chmod},
        {.name = "link", .type = FLAG_BOOL, .on = &c->link},
        {.name = "exclude", .type = FLAG_LIST, .list = &c->excludes},
        {.name = "parents", .type = FLAG_BOOL, .on = &c->parents},
    };
    int r =
        n->kind == DF_ADD ? df_flags(a, &n->flags, add, ARRAY_SIZE(add), err) : df_flags(a, &n->flags, copy, ARRAY_SIZE(copy), err);
    return r < 0 ? r : sort_sources(a, c, err);
}

/* ---- FROM ---- */

static bool valid_stage_name(const char *s) {
    if (*s < 'a' || *s > 'z') return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == 0;
}

static int check_from(struct arena *a, struct df_command *c, struct err *err) {
    const struct strs *args = &c->node->args;
    c->name = "";
    if (args->n == 3 && !strcasecmp(args->v[1], "as")) {
        c->name = str_lower(a, args->v[2]);
        if (!valid_stage_name(c->name))
            return err_set(err, ERR_INVALID,
                           "invalid name for build stage: \"%s\", name can't start with a number or contain symbols", args->v[2]);
    } else if (args->n != 1) {
        return err_set(err, ERR_INVALID, "FROM requires either one or three arguments");
    }
    c->base = args->v[0];
    const struct df_flag flags[] = {{.name = "platform", .text = &c->platform}};
    return df_flags(a, &c->node->flags, flags, ARRAY_SIZE(flags), err);
}

/* ---- RUN ---- */

static int check_run(struct arena *a, struct df_command *c, struct err *err) {
    const char *network = "default", *security = "sandbox", *from;
    struct strs devices = {0};
    const struct df_flag flags[] = {
        {.name = "mount", .type = FLAG_LIST, .list = &c->mounts},
        {.name = "network", .text = &network},
        {.name = "security", .text = &security},
        {.name = "device", .type = FLAG_LIST, .list = &devices},
    };
    int r = df_flags(a, &c->node->flags, flags, ARRAY_SIZE(flags), err);
    if (r < 0) return r;
    for (size_t i = 0; r >= 0 && i < c->mounts.n; i++) r = df_mount_check(a, c->mounts.v[i], &from, err);
    for (size_t i = 0; r >= 0 && i < devices.n; i++) r = df_device_check(a, devices.v[i], err);
    if (r < 0) return r;
    if (strcmp(network, "default") != 0 && strcmp(network, "none") != 0 && strcmp(network, "host") != 0)
        return err_set(err, ERR_INVALID, "invalid network mode \"%s\"", network);
    if (strcmp(security, "sandbox") != 0 && strcmp(security, "insecure") != 0)
        return err_set(err, ERR_INVALID, "security \"%s\" is not valid", security);
    return 0;
}

/* ---- ENV, LABEL and ARG ---- */

static int check_pairs(struct arena *a, struct df_command *c, struct err *err) {
    const struct strs *args = &c->node->args;
    int r = no_flags(a, c->node, err);
    if (r >= 0) r = need_some(c->node, err);
    if (r < 0) return r;
    c->pairs = arena_array(a, args->n / 3, sizeof *c->pairs);
    for (size_t i = 0; i + 2 < args->n; i += 3) {
        if (!*args->v[i]) return err_set(err, ERR_INVALID, "%s names can not be blank", df_kind_name(c->kind));
        c->pairs[c->n_pairs++] = (struct df_pair){args->v[i], args->v[i + 1]};
    }
    return 0;
}

static int check_arg(struct arena *a, struct df_command *c, struct err *err) {
    const struct strs *args = &c->node->args;
    int r = need_some(c->node, err);
    if (r < 0) return r;
    c->pairs = arena_array(a, args->n, sizeof *c->pairs);
    for (size_t i = 0; i < args->n; i++) {
        const char *eq = strchr(args->v[i], '=');
        if (eq == args->v[i]) return err_set(err, ERR_INVALID, "ARG names can not be blank");
        c->pairs[c->n_pairs++] = eq ? (struct df_pair){arena_strndup(a, args->v[i], (size_t) (eq - args->v[i])), eq + 1}
                                    : (struct df_pair){args->v[i], NULL};
    }
    return 0;
}

/* ---- The others ---- */

static const char *trigger_text(struct arena *a, const struct df_node *n) {
    struct text t = text_trim((struct text){n->text, strlen(n->text)});
    t.p += strlen("ONBUILD");
    while (*t.p && strchr("\t\n\f\r ", *t.p)) t.p++;
    AUTO_BUF struct buf b = {0};
    buf_adds(&b, t.p);
    for (size_t i = 0; i < n->n_heredocs; i++) buf_addf(&b, "\n%s%s", n->heredocs[i].content, n->heredocs[i].name);
    return arena_strdup(a, buf_str(&b));
}

static int check_onbuild(struct arena *a, struct df_command *c, struct err *err) {
    int r = need_some(c->node, err);
    if (r >= 0) r = no_flags(a, c->node, err);
    if (r < 0) return r;
    const char *inner = c->node->args.v[0];
    if (!strcasecmp(inner, "ONBUILD")) return err_set(err, ERR_INVALID, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (!strcasecmp(inner, "FROM") || !strcasecmp(inner, "MAINTAINER"))
        return err_set(err, ERR_INVALID, "%s isn't allowed as an ONBUILD trigger", inner);
    c->trigger = trigger_text(a, c->node);
    return 0;
}

static int check_retries(const char *text, struct err *err) {
    int64_t n;
    if (!*text) return 0;
    if (!go_parse_int(text, &n) || n < 0 || n > INT32_MAX)
        return err_set(err, ERR_INVALID, "--retries is not a number from 0 on (%s)", text);
    return 0;
}

static int check_healthcheck(struct arena *a, struct df_command *c, struct err *err) {
    const struct strs *args = &c->node->args;
    int r = need_some(c->node, err);
    if (r < 0) return r;
    if (!strcasecmp(args->v[0], "NONE")) return args->n > 1 ? err_set(err, ERR_INVALID, "HEALTHCHECK NONE takes no arguments") : 0;
    const char *intervals[4] = {"", "", "", ""}, *retries = "";
    const struct df_flag flags[] = {
        {.name = "interval", .text = &intervals[0]},     {.name = "timeout", .text = &intervals[1]},
        {.name = "start-period", .text = &intervals[2]}, {.name = "start-interval", .text = &intervals[3]},
        {.name = "retries", .text = &retries},
    };
    r = df_flags(a, &c->node->flags, flags, ARRAY_SIZE(flags), err);
    if (r < 0) return r;
    if (strcasecmp(args->v[0], "CMD") != 0)
        return err_set(err, ERR_INVALID, "Unknown type \"%s\" in HEALTHCHECK (try CMD)", args->v[0]);
    if (args->n == 1) return err_set(err, ERR_INVALID, "Missing command after HEALTHCHECK CMD");
    for (size_t i = 0; i < ARRAY_SIZE(intervals); i++)
        if (!df_valid_interval(intervals[i]))
            return err_set(err, ERR_INVALID, "invalid duration --%s=%s", flags[i].name, intervals[i]);
    return check_retries(retries, err);
}

static int check_shell(struct arena *a, struct df_command *c, struct err *err) {
    int r = no_flags(a, c->node, err);
    if (r >= 0) r = need_some(c->node, err);
    if (r < 0) return r;
    return c->node->json ? 0 : err_set(err, ERR_INVALID, "SHELL requires the arguments to be in JSON form");
}

static int check_volume(struct arena *a, struct df_command *c, struct err *err) {
    int r = need_some(c->node, err);
    if (r >= 0) r = no_flags(a, c->node, err);
    for (size_t i = 0; r >= 0 && i < c->node->args.n; i++)
        if (!text_trim((struct text){c->node->args.v[i], strlen(c->node->args.v[i])}).len)
            r = err_set(err, ERR_INVALID, "VOLUME specified can not be an empty string");
    return r;
}

static int check_one_text(struct arena *a, struct df_command *c, struct err *err) {
    int r = need_one(c->node, err);
    return r < 0 || c->kind == DF_STOPSIGNAL ? r : no_flags(a, c->node, err);
}

static int check_expose(struct arena *a, struct df_command *c, struct err *err) {
    int r = need_some(c->node, err);
    return r < 0 ? r : no_flags(a, c->node, err);
}

int df_command(struct arena *a, const struct df_node *node, struct df_command *ret, struct err *err) {
    *ret = (struct df_command){
        .kind = node->kind, .node = node, .from = "", .chown = "", .chmod = "", .checksum = "", .platform = "", .name = ""};
    switch (node->kind) {
        case DF_UNKNOWN: break;
        case DF_ADD:
        case DF_COPY: return check_copy(a, ret, err);
        case DF_ARG: return check_arg(a, ret, err);
        case DF_CMD:
        case DF_ENTRYPOINT: return no_flags(a, node, err);
        case DF_ENV:
        case DF_LABEL: return check_pairs(a, ret, err);
        case DF_EXPOSE: return check_expose(a, ret, err);
        case DF_FROM: return check_from(a, ret, err);
        case DF_HEALTHCHECK: return check_healthcheck(a, ret, err);
        case DF_ONBUILD: return check_onbuild(a, ret, err);
        case DF_RUN: return check_run(a, ret, err);
        case DF_SHELL: return check_shell(a, ret, err);
        case DF_VOLUME: return check_volume(a, ret, err);
        case DF_MAINTAINER:
        case DF_STOPSIGNAL:
        case DF_USER:
        case DF_WORKDIR: return check_one_text(a, ret, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "unknown instruction: %s", node->name);
}
