#include "dockerfile/parse.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/directive.h"
#include "dockerfile/expand.h"
#include "dockerfile/jsonlist.h"
#include "dockerfile/words.h"

enum { LINE_MAX_BYTES = 64 * 1024 }; /* with its newline */

static const char *const kind_names[] = {
    [DF_UNKNOWN] = "",        [DF_ADD] = "ADD",
    [DF_ARG] = "ARG",         [DF_CMD] = "CMD",
    [DF_COPY] = "COPY",       [DF_ENTRYPOINT] = "ENTRYPOINT",
    [DF_ENV] = "ENV",         [DF_EXPOSE] = "EXPOSE",
    [DF_FROM] = "FROM",       [DF_HEALTHCHECK] = "HEALTHCHECK",
    [DF_LABEL] = "LABEL",     [DF_MAINTAINER] = "MAINTAINER",
    [DF_ONBUILD] = "ONBUILD", [DF_RUN] = "RUN",
    [DF_SHELL] = "SHELL",     [DF_STOPSIGNAL] = "STOPSIGNAL",
    [DF_USER] = "USER",       [DF_VOLUME] = "VOLUME",
    [DF_WORKDIR] = "WORKDIR",
};

const char *df_kind_name(enum df_kind kind) { return kind_names[kind]; }

struct parser {
    struct arena *a;
    const char *file;
    const char *p, *end; /* what is left */
    int line;            /* of the line last read */
    char escape;
    struct directives directives;
    struct df_file *out;
    size_t cap;
    struct err *err;
};

static int fail_at(struct parser *ps, int line, int r) {
    err_at(ps->err, ps->file, line);
    return r;
}

/* ---- Lines ---- */

/* The next line with its newline: 1, 0 at the end, negative when it is too long. */
static int next_line(struct parser *ps, struct text *ret) {
    if (ps->p == ps->end) return 0;
    const char *newline = memchr(ps->p, '\n', (size_t) (ps->end - ps->p));
    size_t n = newline ? (size_t) (newline + 1 - ps->p) : (size_t) (ps->end - ps->p);
    ps->line++;
    if (n > LINE_MAX_BYTES - !newline)
        return fail_at(ps, ps->line,
                       err_set(ps->err, ERR_LIMIT, "the line is longer than the %d bytes that are allowed", LINE_MAX_BYTES - 1));
    *ret = (struct text){ps->p, n};
    ps->p += n;
    return 1;
}

static struct text trim_newline(struct text t) {
    while (t.len && (t.p[t.len - 1] == '\n' || t.p[t.len - 1] == '\r')) t.len--;
    return t;
}

static struct text trim_left(struct text t) {
    size_t width;
    for (; t.len && rune_is_space(rune_decode(t.p, t.len, &width)); t.len -= width) t.p += width;
    return t;
}

static bool is_comment(struct text t) {
    t = trim_left(t);
    return t.len && *t.p == '#';
}

/* A line ends in the escape character, blanks aside, and the character before that is not one too: it goes on in the
 * next line. The escape and the blanks are taken away. */
static bool continues(const struct parser *ps, struct text *t) {
    size_t n = t->len;
    while (n && (t->p[n - 1] == ' ' || t->p[n - 1] == '\t')) n--;
    if (!n || t->p[n - 1] != ps->escape || (n > 1 && t->p[n - 2] == ps->escape)) return false;
    t->len = n - 1;
    return true;
}

static int read_directive(struct parser *ps, struct text line) {
    struct directive d;
    int r = directive_parse(&ps->directives, line, &d, ps->err);
    if (r <= 0 || strcmp(d.key, "escape") != 0) return r;
    if (!text_eq(d.value, "\\") && !text_eq(d.value, "`"))
        return err_set(ps->err, ERR_INVALID, "invalid escape token '%.*s': it must be ` or \\", (int) d.value.len, d.value.p);
    ps->escape = *d.value.p;
    return 1;
}

/* The lines that a first one goes on in, joined. */
static int join_lines(struct parser *ps, struct buf *logical) {
    for (;;) {
        struct text line;
        int r = next_line(ps, &line);
        if (r <= 0) return r;
        struct text t = trim_newline(line);
        r = read_directive(ps, t);
        if (r < 0) return fail_at(ps, ps->line, r);
        if (is_comment(t) || !trim_left(t).len) continue;
        bool more = continues(ps, &t);
        buf_add(logical, t.p, t.len);
        if (!more) return 1;
    }
}

/* ---- Heredocs ---- */

/* The three parts of `[fd]<<[-] NAME`; false if the word isn't one. */
static bool heredoc_parts(const char *word, bool *chomp, const char **name) {
    const char *p = word + strspn(word, "0123456789");
    if (strncmp(p, "<<", 2) != 0) return false;
    p += 2;
    *chomp = *p == '-';
    p += *chomp;
    p += strspn(p, "\t\n\f\r ");
    *name = p;
    return *p && !strchr(p, '<');
}

static size_t count_quotes(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += *s == '\'' || *s == '"';
    return n;
}

/* 1, 0 if the word is none, negative if its quotes are malformed. */
static int heredoc_word(struct arena *a, const char *word, struct df_heredoc *ret, struct err *err) {
    bool chomp;
    const char *name;
    if (!heredoc_parts(word, &chomp, &name)) return 0;
    struct df_expand plain = {.escape = '\\', .skip_unset = true}, raw = {.escape = '\\', .skip_unset = true, .raw_quotes = true};
    struct df_expanded words, raw_words;
    int r = df_expand(a, &plain, name, &words, err);
    if (r < 0) return r;
    if (words.words.n != 1) return 0;
    r = df_expand(a, &raw, name, &raw_words, err);
    if (r < 0) return r;
    if (raw_words.words.n != 1) return err_set(err, ERR_INVALID, "the name of the heredoc %s can't be read", word);
    *ret = (struct df_heredoc){
        .name = words.words.v[0],
        .chomp = chomp,
        .expand = count_quotes(words.words.v[0]) == count_quotes(raw_words.words.v[0]),
    };
    return 1;
}

bool df_heredoc_word(struct arena *a, const char *word, struct df_heredoc *ret) { return heredoc_word(a, word, ret, NULL) > 0; }

const char *df_chomp(struct arena *a, const char *content) {
    char *out = arena_alloc(a, strlen(content) + 1), *q = out;
    bool at_start = true;
    for (const char *p = content; *p; p++) {
        if (at_start && *p == '\t') continue;
        at_start = *p == '\n';
        *q++ = *p;
    }
    return out;
}

static int read_body(struct parser *ps, int first_line, struct df_heredoc *h) {
    const char *start = ps->p;
    for (;;) {
        struct text line;
        const char *before = ps->p;
        int r = next_line(ps, &line);
        if (r < 0) return r;
        if (!r) return fail_at(ps, first_line, err_set(ps->err, ERR_INVALID, "unterminated heredoc %s", h->name));
        struct text t = trim_newline(line);
        while (h->chomp && t.len && *t.p == '\t') t.p++, t.len--;
        if (!text_eq(t, h->name)) continue;
        h->content = arena_strndup(ps->a, start, (size_t) (before - start));
        return 0;
    }
}

static bool takes_heredocs(enum df_kind kind) { return kind == DF_ADD || kind == DF_COPY || kind == DF_RUN; }

static int read_heredocs(struct parser *ps, int first_line, struct df_node *node) {
    struct df_expand how = {.escape = '\\', .raw_quotes = true, .raw_escapes = true, .skip_unset = true};
    struct df_expanded words;
    if (df_expand(ps->a, &how, node->text, &words, NULL) < 0) return 0;
    size_t cap = 0;
    for (size_t i = 0; i < words.words.n; i++) {
        struct df_heredoc h;
        int r = heredoc_word(ps->a, words.words.v[i], &h, ps->err);
        if (r < 0) return fail_at(ps, first_line, r);
        if (!r) continue;
        ARENA_GROW(ps->a, node->heredocs, node->n_heredocs, cap);
        node->heredocs[node->n_heredocs++] = h;
    }
    for (size_t i = 0; i < node->n_heredocs; i++) {
        int r = read_body(ps, first_line, &node->heredocs[i]);
        if (r < 0) return r;
    }
    return 0;
}

/* ---- The words of an instruction ---- */

static enum df_kind kind_of(const char *name) {
    for (size_t i = DF_UNKNOWN + 1; i < ARRAY_SIZE(kind_names); i++)
        if (!strcasecmp(name, kind_names[i])) return (enum df_kind) i;
    return DF_UNKNOWN;
}

static void add_text(struct arena *a, struct strs *args, struct text t) {
    if (t.len) strs_add(a, args, arena_strndup(a, t.p, t.len));
}

/* ENV and LABEL: "name=value …", or the old "name value". */
static int parse_pairs(struct parser *ps, struct df_node *node, struct text rest) {
    struct strs words = words_quoted(ps->a, rest, ps->escape);
    if (!words.n) return 0;
    if (!strchr(words.v[0], '=')) {
        struct strs parts = words_split(ps->a, rest, 2);
        if (parts.n < 2) return err_set(ps->err, ERR_INVALID, "%s must have two arguments", df_kind_name(node->kind));
        strs_add(ps->a, &node->args, parts.v[0]);
        strs_add(ps->a, &node->args, parts.v[1]);
        strs_add(ps->a, &node->args, "");
        return 0;
    }
    for (size_t i = 0; i < words.n; i++) {
        const char *eq = strchr(words.v[i], '=');
        if (!eq) return err_set(ps->err, ERR_INVALID, "can't find = in \"%s\": it must be of the form name=value", words.v[i]);
        strs_add(ps->a, &node->args, arena_strndup(ps->a, words.v[i], (size_t) (eq - words.v[i])));
        strs_add(ps->a, &node->args, eq + 1);
        strs_add(ps->a, &node->args, "=");
    }
    return 0;
}

/* A JSON array of strings: 1; 0 if the text is something else. */
static int parse_json(struct parser *ps, struct df_node *node, struct text rest) {
    struct strs list;
    enum jsonlist r = jsonlist_parse(ps->a, arena_strndup(ps->a, rest.p, rest.len), &list);
    if (r == JSONLIST_NOT_STRINGS)
        return err_set(ps->err, ERR_INVALID, "when using JSON array syntax, arrays must be comprised of strings only");
    if (r != JSONLIST_OK) return 0;
    for (size_t i = 0; i < list.n; i++) strs_add(ps->a, &node->args, list.v[i]);
    node->json = true;
    return 1;
}

static int parse_node(struct parser *ps, struct text line, struct df_node *node);

static int parse_healthcheck(struct parser *ps, struct df_node *node, struct text rest) {
    size_t n = 0;
    while (n < rest.len && !rune_is_space((unsigned char) rest.p[n])) n++;
    if (!n) return 0;
    add_text(ps->a, &node->args, (struct text){rest.p, n});
    while (n < rest.len && rune_is_space((unsigned char) rest.p[n])) n++;
    struct text command = {rest.p + n, rest.len - n};
    int r = parse_json(ps, node, command);
    if (!r) add_text(ps->a, &node->args, command);
    return r;
}

static int parse_trigger(struct parser *ps, struct df_node *node, struct text rest) {
    if (!rest.len) return 0;
    struct df_node inner = {0};
    struct strs words = words_split(ps->a, rest, 2);
    if (kind_of(words.v[0]) == DF_ONBUILD) { /* refused by whoever looks at the words */
        strs_add(ps->a, &node->args, words.v[0]);
        return 0;
    }
    int r = parse_node(ps, rest, &inner);
    if (r < 0) return r;
    strs_add(ps->a, &node->args, inner.name);
    for (size_t i = 0; i < inner.args.n; i++) strs_add(ps->a, &node->args, inner.args.v[i]);
    node->json = inner.json;
    return 0;
}

static int parse_args(struct parser *ps, struct df_node *node, struct text rest) {
    int r = 0;
    switch (node->kind) {
        case DF_UNKNOWN: return 0;
        case DF_ENV:
        case DF_LABEL: return parse_pairs(ps, node, rest);
        case DF_ARG: node->args = words_quoted(ps->a, rest, ps->escape); return 0;
        case DF_ONBUILD: return parse_trigger(ps, node, rest);
        case DF_HEALTHCHECK: return parse_healthcheck(ps, node, rest);
        case DF_ADD:
        case DF_COPY:
        case DF_VOLUME: r = parse_json(ps, node, rest); /* fall through */
        case DF_FROM:
        case DF_EXPOSE:
            if (!r && rest.len) node->args = words_split(ps->a, rest, 0);
            return r;
        case DF_CMD:
        case DF_ENTRYPOINT:
        case DF_RUN:
        case DF_SHELL: r = parse_json(ps, node, rest); break;
        default: break;
    }
    if (!r) add_text(ps->a, &node->args, rest);
    return r;
}

static int parse_node(struct parser *ps, struct text line, struct df_node *node) {
    struct strs parts = words_split(ps->a, text_trim(line), 2);
    node->name = parts.v[0];
    node->kind = kind_of(node->name);
    node->text = arena_strndup(ps->a, line.p, line.len);
    struct text rest = {"", 0};
    if (parts.n == 2) node->flags = words_flags(ps->a, (struct text){parts.v[1], strlen(parts.v[1])}, ps->escape, &rest);
    return parse_args(ps, node, text_trim(rest));
}

/* The kind that decides about heredocs: of the trigger in an ONBUILD. */
static enum df_kind inner_kind(const struct df_node *node) {
    return node->kind == DF_ONBUILD && node->args.n ? kind_of(node->args.v[0]) : node->kind;
}

static int parse_instruction(struct parser *ps, struct text logical, int first_line) {
    struct df_node node = {.line = first_line};
    int r = parse_node(ps, logical, &node);
    if (r < 0) return fail_at(ps, first_line, r);
    if (takes_heredocs(inner_kind(&node)) && !node.json && strstr(node.text, "<<")) {
        r = read_heredocs(ps, first_line, &node);
        if (r < 0) return r;
    }
    node.last_line = ps->line;
    ARENA_GROW(ps->a, ps->out->nodes, ps->out->n, ps->cap);
    ps->out->nodes[ps->out->n++] = node;
    return 0;
}

static int parse_lines(struct parser *ps) {
    for (;;) {
        struct text line;
        int r = next_line(ps, &line);
        if (r <= 0) return r;
        if (ps->line == 1 && line.len >= 3 && !memcmp(line.p, "\xEF\xBB\xBF", 3)) line = (struct text){line.p + 3, line.len - 3};
        struct text t = trim_left(trim_newline(line));
        r = read_directive(ps, t);
        if (r < 0) return fail_at(ps, ps->line, r);
        if (is_comment(t)) continue;
        int first_line = ps->line;
        bool more = continues(ps, &t);
        if (!more && !t.len) continue;
        AUTO_BUF struct buf logical = {0};
        buf_add(&logical, t.p, t.len);
        if (more) r = join_lines(ps, &logical);
        if (r < 0) return r;
        r = parse_instruction(ps, (struct text){buf_str(&logical), logical.len}, first_line);
        if (r < 0) return r;
    }
}

int df_parse(struct arena *a, const char *file, const char *data, size_t len, struct df_file *ret, struct err *err) {
    *ret = (struct df_file){0};
    struct parser ps = {.a = a, .file = file, .p = data, .end = data + len, .escape = '\\', .out = ret, .err = err};
    const char *nul = memchr(data, 0, len);
    if (nul) {
        int line = 1;
        for (const char *p = data; p < nul; p++) line += *p == '\n';
        return fail_at(&ps, line, err_set(err, ERR_INVALID, "a NUL byte: the file must be UTF-8 text"));
    }
    int r = parse_lines(&ps);
    if (r < 0) return r;
    if (!ret->n) return fail_at(&ps, ps.line, err_set(err, ERR_INVALID, "the Dockerfile has no instructions"));
    ret->escape = ps.escape;
    return 0;
}
