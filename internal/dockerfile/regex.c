/* https://github.com/google/re2/wiki/Syntax as Go's regexp/syntax reads it with its Perl flags: "." is no newline, "^"
 * and "$" are the ends of the text, a negated class holds the newline.
 *
 * A program is a row of items; the set of items that could come next is carried along the text. */
#include "dockerfile/regex.h"

#include <stdint.h>
#include <string.h>
#include <unictype.h>

#include "base/mem.h"
#include "dockerfile/rune.h"

struct range {
    uint32_t low, high;
    uc_general_category_t category; /* used instead, where by_category */
    bool by_category, negated;
};

enum item_kind { ITEM_SET, ITEM_BEGIN, ITEM_END, ITEM_WORD, ITEM_NOT_WORD, ITEM_OPTION, ITEM_ANY };

/* ITEM_OPTION enters the optional run of folders: on to its loop (the next item), or past that. ITEM_ANY is the loop. */
struct item {
    enum item_kind kind;
    bool star, negated;
    struct range *ranges;
    size_t n_ranges, cap;
};

struct regex {
    struct item *items;
    size_t n, cap;
    char *prefix, *suffix; /* every match begins and ends so: a quick refusal */
    size_t prefix_len, suffix_len;
};

struct parser {
    struct arena *a;
    const char *p, *end;
    struct regex *re;
};

static struct item *item_add(struct parser *ps, enum item_kind kind) {
    struct regex *re = ps->re;
    ARENA_GROW(ps->a, re->items, re->n, re->cap);
    re->items[re->n] = (struct item){.kind = kind};
    return &re->items[re->n++];
}

static void range_add(struct parser *ps, struct item *it, struct range r) {
    ARENA_GROW(ps->a, it->ranges, it->n_ranges, it->cap);
    it->ranges[it->n_ranges++] = r;
}

static void char_add(struct parser *ps, uint32_t r) { range_add(ps, item_add(ps, ITEM_SET), (struct range){.low = r, .high = r}); }

static uint32_t next_rune(struct parser *ps) {
    size_t width;
    uint32_t r = rune_decode(ps->p, (size_t) (ps->end - ps->p), &width);
    ps->p += width;
    return r;
}

static bool looking_at(const struct parser *ps, const char *s) {
    size_t len = strlen(s);
    return (size_t) (ps->end - ps->p) >= len && !memcmp(ps->p, s, len);
}

static bool accept(struct parser *ps, const char *s) {
    if (!looking_at(ps, s)) return false;
    ps->p += strlen(s);
    return true;
}

struct named {
    const char *name;
    const char *pairs; /* low and high bytes of its ranges */
};

static const struct named posix_classes[] = {
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"ascii", "\001\177"}, {"blank", "\t\t  "},  {"cntrl", "\001\037\177\177"},
    {"digit", "09"},     {"graph", "!~"},   {"lower", "az"},       {"print", " ~"},      {"punct", "!/:@[`{~"},
    {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZ__az"},  {"xdigit", "09AFaf"},
};
static const struct named perl_classes[] = {{"d", "09"}, {"s", "\t\n\f\r  "}, {"w", "09AZ__az"}};

/* The ranges of a named ASCII class, or what they leave over. */
static void named_add(struct parser *ps, struct item *it, const char *pairs, bool negated) {
    uint32_t next = 0;
    for (const char *p = pairs; *p; p += 2) {
        uint32_t low = (unsigned char) p[0], high = (unsigned char) p[1];
        if (!negated) range_add(ps, it, (struct range){.low = low, .high = high});
        if (negated && low > next) range_add(ps, it, (struct range){.low = next, .high = low - 1});
        next = high + 1;
    }
    if (negated) range_add(ps, it, (struct range){.low = next, .high = 0x10FFFF});
}

/* \d, \S, \pL …, each also within a class: 1 when taken, 0 when something else stands there, -1 when malformed. */
static int escaped_class(struct parser *ps, struct item *it) {
    if (ps->end - ps->p < 2 || *ps->p != '\\') return 0;
    char c = ps->p[1];
    bool negated = c >= 'A' && c <= 'Z';
    for (size_t i = 0; i < ARRAY_SIZE(perl_classes); i++) {
        if ((c | 0x20) != perl_classes[i].name[0] || !((c | 0x20) == 'd' || (c | 0x20) == 's' || (c | 0x20) == 'w')) continue;
        ps->p += 2;
        named_add(ps, it, perl_classes[i].pairs, negated);
        return 1;
    }
    if (c != 'p' && c != 'P') return 0;
    ps->p += 2;
    if (ps->p == ps->end || !*ps->p || !strchr("CLMNPSZ", *ps->p)) return -1;
    char name[2] = {*ps->p++, 0};
    range_add(ps, it, (struct range){.by_category = true, .negated = negated, .category = uc_general_category_byname(name)});
    return 1;
}

static int hex_value(const struct parser *ps) {
    if (ps->p == ps->end) return -1;
    char c = *ps->p;
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* One escaped character, its backslash passed. */
static bool escaped_char(struct parser *ps, uint32_t *ret) {
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    if (ps->p == ps->end) return false;
    uint32_t c = next_rune(ps);
    bool octal = ps->p != ps->end && *ps->p >= '0' && *ps->p <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal)) {
        uint32_t r = c - '0';
        for (int i = 1; i < 3 && ps->p != ps->end && *ps->p >= '0' && *ps->p <= '7'; i++) r = r * 8 + (uint32_t) (*ps->p++ - '0');
        *ret = r;
        return true;
    }
    if (c == 'x') {
        int high = hex_value(ps);
        if (high < 0) return false;
        ps->p++;
        int low = hex_value(ps);
        if (low < 0) return false;
        ps->p++;
        *ret = (uint32_t) (high << 4 | low);
        return true;
    }
    const char *letter = c && c < 0x80 ? strchr(letters, (int) c) : NULL;
    if (letter) {
        *ret = (uint32_t) values[letter - letters];
        return true;
    }
    *ret = c;
    return c < 0x80 && !((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'));
}

/* [:name:] within a class; as escaped_class. */
static int posix_class(struct parser *ps, struct item *it) {
    if (!looking_at(ps, "[:") || ps->end - ps->p < 3) return 0;
    const char *close = ps->p + 2;
    while (close + 1 < ps->end && !(close[0] == ':' && close[1] == ']')) close++;
    if (close + 1 >= ps->end) return 0;
    const char *name = ps->p + 2;
    bool negated = *name == '^';
    if (negated) name++;
    for (size_t i = 0; i < ARRAY_SIZE(posix_classes); i++) {
        size_t len = strlen(posix_classes[i].name);
        if (name > close || len != (size_t) (close - name) || memcmp(name, posix_classes[i].name, len) != 0) continue;
        ps->p = close + 2;
        named_add(ps, it, posix_classes[i].pairs, negated);
        if (!negated && posix_classes[i].pairs[0] == '\001') range_add(ps, it, (struct range){0}); /* ascii, cntrl: NUL too */
        return 1;
    }
    return -1;
}

static bool class_char(struct parser *ps, uint32_t *ret) {
    if (ps->p == ps->end) return false;
    *ret = next_rune(ps);
    return *ret != '\\' || escaped_char(ps, ret);
}

static bool class_parse(struct parser *ps) { /* "[" is passed */
    struct item *it = item_add(ps, ITEM_SET);
    it->negated = accept(ps, "^");
    for (bool first = true; first || ps->p == ps->end || *ps->p != ']'; first = false) {
        if (ps->p == ps->end) return false;
        int r = posix_class(ps, it);
        if (!r) r = escaped_class(ps, it);
        if (r < 0) return false;
        if (r) continue;
        uint32_t low, high;
        if (!class_char(ps, &low)) return false;
        high = low;
        if (ps->end - ps->p >= 2 && ps->p[0] == '-' && ps->p[1] != ']') {
            ps->p++;
            if (!class_char(ps, &high) || high < low) return false;
        }
        range_add(ps, it, (struct range){.low = low, .high = high});
    }
    ps->p++;
    return true;
}

static void quoted_parse(struct parser *ps) { /* \Q is passed */
    while (ps->p != ps->end && !accept(ps, "\\E")) char_add(ps, next_rune(ps));
}

static bool escape_parse(struct parser *ps) {
    static const struct {
        const char *text;
        enum item_kind kind;
    } anchors[] = {{"\\A", ITEM_BEGIN}, {"\\z", ITEM_END}, {"\\b", ITEM_WORD}, {"\\B", ITEM_NOT_WORD}};
    for (size_t i = 0; i < ARRAY_SIZE(anchors); i++) {
        if (!accept(ps, anchors[i].text)) continue;
        item_add(ps, anchors[i].kind);
        return true;
    }
    if (accept(ps, "\\Q")) {
        quoted_parse(ps);
        return true;
    }
    struct item set = {.kind = ITEM_SET};
    int r = escaped_class(ps, &set);
    if (r > 0) *item_add(ps, ITEM_SET) = set;
    if (r) return r > 0;
    uint32_t c;
    ps->p++;
    if (!escaped_char(ps, &c)) return false;
    char_add(ps, c);
    return true;
}

static bool item_parse(struct parser *ps) {
    if (accept(ps, "(.*/)?")) {
        item_add(ps, ITEM_OPTION);
        item_add(ps, ITEM_ANY);
        return true;
    }
    if (*ps->p == '\\') return escape_parse(ps);
    if (*ps->p == '^' || *ps->p == '$') {
        item_add(ps, *ps->p++ == '^' ? ITEM_BEGIN : ITEM_END);
        return true;
    }
    if (accept(ps, "[")) {
        if (!class_parse(ps)) return false;
        ps->re->items[ps->re->n - 1].star = accept(ps, "*");
        return true;
    }
    if (accept(ps, ".*")) {
        struct item *it = item_add(ps, ITEM_SET);
        range_add(ps, it, (struct range){.low = '\n', .high = '\n'});
        it->negated = it->star = true;
        return true;
    }
    char_add(ps, next_rune(ps));
    return true;
}

static bool is_char(const struct item *it) {
    return it->kind == ITEM_SET && !it->star && !it->negated && it->n_ranges == 1 && !it->ranges->by_category &&
           it->ranges->low == it->ranges->high && it->ranges->low != RUNE_BAD;
}

/* The literal runs at both ends. */
static void find_literals(struct arena *a, struct regex *re) {
    re->prefix = arena_alloc(a, 4 * re->n + 1);
    re->suffix = arena_alloc(a, 4 * re->n + 1);
    size_t begin = re->n && re->items[0].kind == ITEM_BEGIN ? 1 : 0;
    for (size_t i = begin; i < re->n && is_char(&re->items[i]); i++)
        re->prefix_len += rune_encode(re->items[i].ranges->low, re->prefix + re->prefix_len);
    if (!re->n || re->items[re->n - 1].kind != ITEM_END) return;
    size_t first = re->n - 1;
    while (first && is_char(&re->items[first - 1])) first--;
    for (size_t i = first; i < re->n - 1; i++) re->suffix_len += rune_encode(re->items[i].ranges->low, re->suffix + re->suffix_len);
}

struct regex *regex_compile(struct arena *a, const char *text, size_t len) {
    struct regex *re = arena_alloc(a, sizeof *re);
    struct parser ps = {.a = a, .p = text, .end = text + len, .re = re};
    while (ps.p != ps.end)
        if (!item_parse(&ps)) return NULL;
    find_literals(a, re);
    return re;
}

static bool set_has(const struct item *it, uint32_t r) {
    for (size_t i = 0; i < it->n_ranges; i++) {
        const struct range *g = &it->ranges[i];
        bool in = g->by_category ? uc_is_general_category(r, g->category) != g->negated : g->low <= r && r <= g->high;
        if (in) return !it->negated;
    }
    return it->negated;
}

static bool is_word(const char *s, size_t len, size_t at) {
    if (at >= len) return false;
    char c = s[at];
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static bool at_word_edge(const char *s, size_t len, size_t at) { return (at && is_word(s, len, at - 1)) != is_word(s, len, at); }

/* Puts item i into the set, and those that can follow it without a character. */
static void enter(const struct regex *re, unsigned char *set, size_t i, const char *s, size_t len, size_t at) {
    for (; !set[i]; i++) {
        set[i] = 1;
        if (i == re->n) return;
        const struct item *it = &re->items[i];
        switch (it->kind) {
            case ITEM_SET:
                if (!it->star) return;
                break;
            case ITEM_BEGIN:
                if (at) return;
                break;
            case ITEM_END:
                if (at < len) return;
                break;
            case ITEM_WORD:
                if (!at_word_edge(s, len, at)) return;
                break;
            case ITEM_NOT_WORD:
                if (at_word_edge(s, len, at)) return;
                break;
            case ITEM_OPTION:
                set[i + 1] = 1;
                i++;
                break;
            case ITEM_ANY: return;
        }
    }
}

static void advance(const struct regex *re, const unsigned char *from, unsigned char *to, uint32_t r, const char *s, size_t len,
                    size_t at) {
    for (size_t i = 0; i < re->n; i++) {
        const struct item *it = &re->items[i];
        if (!from[i]) continue;
        if (it->kind == ITEM_ANY && r != '\n') to[i] = 1;
        if (it->kind == ITEM_ANY && r == '/') enter(re, to, i + 1, s, len, at);
        if (it->kind == ITEM_SET && set_has(it, r)) enter(re, to, it->star ? i : i + 1, s, len, at);
    }
}

bool regex_match(const struct regex *re, const char *s, size_t len) {
    if (len < re->prefix_len || memcmp(s, re->prefix, re->prefix_len) != 0) return false;
    if (len < re->suffix_len || memcmp(s + len - re->suffix_len, re->suffix, re->suffix_len) != 0) return false;
    unsigned char space[2 * 256];
    AUTO_FREE unsigned char *more = re->n < 256 ? NULL : mem_array(2, re->n + 1);
    size_t size = re->n + 1;
    unsigned char *set = more ? more : space, *next = set + size;
    memset(set, 0, size);
    enter(re, set, 0, s, len, 0);
    for (size_t at = 0; at < len && !set[re->n];) {
        size_t width;
        uint32_t r = rune_decode(s + at, len - at, &width);
        at += width;
        memset(next, 0, size);
        advance(re, set, next, r, s, len, at);
        unsigned char *swap = set;
        set = next;
        next = swap;
    }
    return set[re->n];
}
