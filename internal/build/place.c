/* BuildKit numbers the steps of a stage: FROM (unless it is scratch or another stage), then each ADD, COPY, RUN and
 * WORKDIR. ONBUILD of a base image and older daemons can shift that, so the instruction's word must fit, and the text
 * decides where it can. */
#include "build/place.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

struct step {
    int line;
    int stage, number; /* from 0; from 1 */
    const char *text;  /* the instruction with its continuation lines joined */
};

struct scan {
    struct arena *a;
    char escape;
    struct step *steps;
    size_t n, cap;
    struct strs stages; /* their names, lower case; "" without */
    int number;
};

static bool is_word(const char *text, const char *word) {
    size_t n = strlen(word);
    return strncasecmp(text, word, n) == 0 && (isspace((unsigned char) text[n]) || !text[n]);
}

/* The next word from *p on, in the arena; NULL at the end. */
static char *next_word(struct arena *a, const char **p) {
    while (isspace((unsigned char) **p)) ++*p;
    if (!**p) return NULL;
    const char *start = *p;
    while (**p && !isspace((unsigned char) **p)) ++*p;
    return arena_strndup(a, start, (size_t) (*p - start));
}

static void add_stage(struct scan *s, const char *text) {
    const char *p = text + 4;
    char *image = next_word(s->a, &p);
    while (image && str_starts(image, "--")) image = next_word(s->a, &p);
    char *as = next_word(s->a, &p), *name = as && strcasecmp(as, "as") == 0 ? next_word(s->a, &p) : NULL;
    bool counts = image && strcmp(image, "scratch") != 0;
    for (size_t i = 0; image && i < s->stages.n; i++)
        if (*s->stages.v[i] && strcmp(s->stages.v[i], image) == 0) counts = false;
    strs_add(s->a, &s->stages, name ? str_lower(s->a, name) : "");
    s->number = counts ? 1 : 0;
}

static void add_instruction(struct scan *s, const char *text, int line) {
    static const char *const counted[] = {"RUN", "COPY", "ADD", "WORKDIR"};
    bool from = is_word(text, "FROM"), step = from;
    if (from) add_stage(s, text);
    for (size_t i = 0; i < ARRAY_SIZE(counted); i++) step = step || is_word(text, counted[i]);
    if (!step || !s->stages.n) return;
    if (!from) s->number++;
    ARENA_GROW(s->a, s->steps, s->n, s->cap);
    s->steps[s->n++] = (struct step){line, (int) s->stages.n - 1, from ? 1 : s->number, text};
}

/* The end word of a heredoc that the instruction opens, NULL if none. */
static char *heredoc(struct arena *a, const char *text) {
    if (!is_word(text, "RUN") && !is_word(text, "COPY") && !is_word(text, "ADD")) return NULL;
    const char *p = strstr(text, "<<");
    if (!p) return NULL;
    p += 2;
    if (*p == '-') p++;
    if (*p == '"' || *p == '\'') p++;
    size_t n = 0;
    while (isalnum((unsigned char) p[n]) || p[n] == '_' || p[n] == '.') n++;
    return n ? arena_strndup(a, p, n) : NULL;
}

static bool blank_or_comment(const char *line) {
    while (isspace((unsigned char) *line)) line++;
    return !*line || *line == '#';
}

/* Cuts the escape at the end of a line; true if there was one. */
static bool continues(char *line, char escape) {
    size_t n = strlen(line);
    while (n && isspace((unsigned char) line[n - 1])) n--;
    if (!n || line[n - 1] != escape) return false;
    line[n - 1] = 0;
    return true;
}

static void scan_lines(struct scan *s, char *text) {
    AUTO_BUF struct buf whole = {0};
    const char *end_word = NULL;
    int line = 0, start = 0;
    bool head = true;
    for (char *next; text; text = next) {
        next = strchr(text, '\n');
        if (next) *next++ = 0;
        line++;
        text[strcspn(text, "\r")] = 0;
        if (end_word) {
            const char *t = text + strspn(text, "\t");
            if (strcmp(t, end_word) == 0) end_word = NULL;
            continue;
        }
        char escape;
        if (head && sscanf(text, " # escape = %c", &escape) == 1) s->escape = escape;
        if (head && *text != '#') head = false;
        if (blank_or_comment(text)) continue;
        if (!whole.len) start = line;
        bool more = continues(text, s->escape);
        buf_adds(&whole, whole.len ? text : text + strspn(text, " \t"));
        if (more && next) continue;
        const char *instruction = arena_strdup(s->a, buf_str(&whole));
        add_instruction(s, instruction, start);
        end_word = heredoc(s->a, instruction);
        buf_reset(&whole);
    }
}

/* "[build 3/9] RUN make" → its parts. */
static bool parse_name(struct arena *a, const char *name, const char **ret_stage, int *ret_number, const char **ret_text) {
    const char *close = strchr(name, ']');
    if (*name != '[' || !close) return false;
    char *inside = arena_strndup(a, name + 1, (size_t) (close - name - 1)), *slash = strrchr(inside, '/');
    if (!slash) return false;
    char *digits = slash;
    while (digits > inside && isdigit((unsigned char) digits[-1])) digits--;
    if (digits == slash) return false;
    *ret_number = (int) strtol(digits, NULL, 10);
    *digits = 0;
    char *stage = str_trim(a, inside), *platform_end = strrchr(stage, ' '); /* "linux/amd64 build" */
    *ret_stage = platform_end ? platform_end + 1 : stage;
    *ret_text = close + 1 + strspn(close + 1, " ");
    return true;
}

static bool in_stage(const struct scan *s, int stage, const char *name) {
    if (!*name) return stage == (int) s->stages.n - 1 || s->stages.n == 1;
    int index;
    char rest;
    if (sscanf(name, "stage-%d%c", &index, &rest) == 1) return stage == index;
    return strcmp(s->stages.v[stage], name) == 0;
}

static bool same_text(const char *a, const char *b) {
    for (;; a++, b++) {
        while (isspace((unsigned char) *a) && (isspace((unsigned char) a[1]) || !a[1])) a++;
        while (isspace((unsigned char) *b) && (isspace((unsigned char) b[1]) || !b[1])) b++;
        char x = isspace((unsigned char) *a) ? ' ' : *a, y = isspace((unsigned char) *b) ? ' ' : *b;
        if (x != y) return false;
        if (!x) return true;
    }
}

static int find_step(const struct scan *s, const char *stage, int number, const char *text) {
    int by_number = 0, by_text = 0;
    size_t word = strcspn(text, " ");
    for (size_t i = 0; i < s->n; i++) {
        const struct step *st = &s->steps[i];
        if (!in_stage(s, st->stage, stage) || strncasecmp(st->text, text, word) != 0) continue;
        bool texts = same_text(st->text + word, text + word);
        if (texts && st->number == number) return st->line;
        if (texts && !by_text) by_text = st->line;
        if (st->number == number) by_number = st->line;
    }
    return by_text ? by_text : by_number;
}

int place_of_step(const char *dockerfile, const char *step) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *stage, *text;
    int number;
    if (!parse_name(a, step, &stage, &number, &text)) return 0;
    struct scan s = {.a = a, .escape = '\\'};
    scan_lines(&s, arena_strdup(a, dockerfile));
    return find_step(&s, stage, number, text);
}

int place_in_error(const char *text) {
    for (const char *p = text; (p = strstr(p, "line ")); p++) {
        char *end;
        long n = strtol(p + 5, &end, 10);
        bool word = p == text || !isalnum((unsigned char) p[-1]);
        if (word && end > p + 5 && *end == ':' && n > 0 && n < 10000000) return (int) n;
    }
    return 0;
}
