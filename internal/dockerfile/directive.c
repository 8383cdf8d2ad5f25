#include "dockerfile/directive.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/jsonlist.h"
#include "dockerfile/parse.h"

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }

static struct text skip_blanks(struct text t) {
    while (t.len && is_blank(*t.p)) t.p++, t.len--;
    return t;
}

/* key = value, the value with at least one character: of blanks alone the last one is it. */
static bool split(struct text t, struct text *key, struct text *value) {
    size_t n = 0;
    while (n < t.len && ((t.p[n] | 0x20) >= 'a' && (t.p[n] | 0x20) <= 'z')) n++;
    if (!n) return false;
    while (n < t.len && (((t.p[n] | 0x20) >= 'a' && (t.p[n] | 0x20) <= 'z') || (t.p[n] >= '0' && t.p[n] <= '9'))) n++;
    *key = (struct text){t.p, n};
    struct text rest = skip_blanks((struct text){t.p + n, t.len - n});
    if (!rest.len || *rest.p != '=') return false;
    rest.p++, rest.len--;
    struct text v = skip_blanks(rest);
    if (!v.len && !rest.len) return false;
    if (!v.len)
        v = (struct text){rest.p + rest.len - 1, 1};
    else
        while (v.len > 1 && is_blank(v.p[v.len - 1])) v.len--;
    *value = v;
    return true;
}

static bool named(struct text key, const char *name) { return key.len == strlen(name) && !strncasecmp(key.p, name, key.len); }

int directive_parse(struct directives *d, struct text line, struct directive *ret, struct err *err) {
    if (d->done) return 0;
    d->done = true; /* unless it turns out to be one */
    const char *comment = d->comment ? d->comment : "#";
    size_t n = strlen(comment);
    if (line.len < n || memcmp(line.p, comment, n) != 0) return 0;
    struct text t = {line.p + n, line.len - n}, key, value;
    for (size_t width; t.len && rune_is_space(rune_decode(t.p, t.len, &width)); t.len -= width) t.p += width;
    if (!split(t, &key, &value)) return 0;
    struct {
        const char *name;
        bool *seen;
    } known[] = {{"syntax", &d->seen_syntax}, {"escape", &d->seen_escape}, {"check", &d->seen_check}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (!named(key, known[i].name)) continue;
        if (*known[i].seen) return err_set(err, ERR_INVALID, "only one %s parser directive can be used", known[i].name);
        *known[i].seen = true;
        d->done = false;
        *ret = (struct directive){known[i].name, value};
        return 1;
    }
    return 0;
}

/* The syntax directive among those at the top of a text, with a given comment sign. */
static const char *find_syntax(struct arena *a, const char *comment, const char *p, const char *end) {
    struct directives d = {.comment = comment};
    while (p < end && !d.done) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        struct text line = {p, (size_t) ((newline ? newline : end) - p)};
        if (line.len && line.p[line.len - 1] == '\r') line.len--;
        p = newline ? newline + 1 : end;
        struct directive found;
        int r = directive_parse(&d, line, &found, NULL);
        if (r < 0) break;
        if (r == 0 || strcmp(found.key, "syntax") != 0) continue;
        const char *space = memchr(found.value.p, ' ', found.value.len);
        return arena_strndup(a, found.value.p, space ? (size_t) (space - found.value.p) : found.value.len);
    }
    return NULL;
}

const char *df_syntax(struct arena *a, const char *data, size_t len) {
    const char *p = data, *end = data + len;
    if (str_starts(p, "\xEF\xBB\xBF")) p += 3;
    if (str_starts(p, "#!")) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        p = newline ? newline + 1 : end;
    }
    const char *found = find_syntax(a, "#", p, end);
    if (!found) found = find_syntax(a, "//", p, end);
    return found ? found : jsonlist_member(a, p, "syntax");
}
