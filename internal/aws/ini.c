/* libinih, which Debian builds with lines of at most 200 bytes, would cut session tokens short without a word. */
#include "aws/ini.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static char *trim(char *s) {
    while (is_space(*s)) s++;
    size_t n = strlen(s);
    while (n && is_space(s[n - 1])) n--;
    s[n] = 0;
    return s;
}

/* A comment behind a value needs a space before it: keys may hold "#" and ";". */
static void cut_comment(char *value) {
    for (char *p = value; *p; p++) {
        if ((*p != '#' && *p != ';') || p == value || !is_space(p[-1])) continue;
        *p = 0;
        return;
    }
}

/* "profile  'my dev'" → "profile my dev" */
static char *section_name(char *s) {
    char *o = s;
    s = trim(s);
    char *start = o = s;
    for (; *s; s++) {
        if (*s == '"' || *s == '\'') continue;
        if (is_space(*s) && (is_space(s[1]) || !s[1])) continue;
        *o++ = is_space(*s) ? ' ' : *s;
    }
    *o = 0;
    return start;
}

static struct ini_section *open_section(struct arena *a, struct ini *ini, const char *name) {
    for (size_t i = 0; i < ini->n; i++)
        if (str_eq(ini->sections[i].name, name)) return &ini->sections[i];
    ARENA_GROW(a, ini->sections, ini->n, ini->cap);
    struct ini_section *s = &ini->sections[ini->n++];
    s->name = name;
    return s;
}

static void set_entry(struct arena *a, struct ini_section *s, const char *key, const char *value, int line) {
    struct ini_entry entry = {.key = key, .value = value, .line = line};
    for (size_t i = 0; i < s->n; i++) {
        if (!str_eq(s->entries[i].key, key)) continue;
        s->entries[i] = entry;
        return;
    }
    ARENA_GROW(a, s->entries, s->n, s->cap);
    s->entries[s->n++] = entry;
}

struct place { /* where the parser is */
    struct arena *a;
    struct ini *ini;
    struct ini_section *section;
    const char *parent; /* key that indented lines belong to, or NULL */
    int line;
};

static int bad_line(const struct place *p, struct err *err, const char *what) {
    int r = err_set(err, ERR_INVALID, "%s:%d: %s", p->ini->file, p->line, what);
    err_at(err, p->ini->file, p->line);
    return r;
}

static int parse_line(struct place *p, char *line, struct err *err) {
    bool indented = is_space(*line);
    char *text = trim(line);
    if (!*text || *text == '#' || *text == ';') return 0;
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (!end) return bad_line(p, err, "a section without \"]\"");
        *end = 0;
        p->section = open_section(p->a, p->ini, section_name(text + 1));
        p->parent = NULL;
        return 0;
    }
    char *equals = strchr(text, '=');
    if (!equals) return indented && p->parent ? 0 : bad_line(p, err, "expected [section] or key = value");
    if (!p->section) return bad_line(p, err, "a key before the first [section]");
    *equals = 0;
    char *value = equals + 1;
    cut_comment(value);
    value = trim(value);
    const char *key = str_lower(p->a, trim(text));
    if (indented && p->parent) {
        key = arena_printf(p->a, "%s.%s", p->parent, key);
    } else {
        p->parent = key;
    }
    set_entry(p->a, p->section, key, value, p->line);
    return 0;
}

int ini_parse_text(struct arena *a, const char *file, char *text, struct ini *ret, struct err *err) {
    *ret = (struct ini){.file = file};
    struct place p = {.a = a, .ini = ret};
    if (str_starts(text, "\xef\xbb\xbf")) text += 3;
    for (char *next; *text; text = next) {
        size_t len = strcspn(text, "\n");
        next = text + len + (text[len] != 0);
        text[len] = 0;
        if (len && text[len - 1] == '\r') text[len - 1] = 0;
        p.line++;
        int r = parse_line(&p, text, err);
        if (r < 0) return r;
    }
    return 0;
}

const struct ini_section *ini_section(const struct ini *ini, const char *name) {
    for (size_t i = 0; i < ini->n; i++)
        if (str_eq(ini->sections[i].name, name)) return &ini->sections[i];
    return NULL;
}

const struct ini_entry *ini_entry(const struct ini_section *s, const char *key) {
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(s->entries[i].key, key)) return &s->entries[i];
    return NULL;
}

const char *ini_get(const struct ini_section *s, const char *key) {
    const struct ini_entry *e = ini_entry(s, key);
    return e && *e->value ? e->value : NULL;
}
