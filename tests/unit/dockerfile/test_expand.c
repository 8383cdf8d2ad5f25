#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/expand.h"
#include "dockerfile/shpattern.h"

static struct df_value value(void *self, const char *name) {
    static const struct {
        const char *name;
        struct df_value v;
    } known[] = {
        {"A", {"a", true, false}},
        {"E", {"", true, false}},
        {"P", {"usr/lib-2.so.1", true, false}},
        {"S", {"x y", true, false}},
        {"1", {"one", true, false}},
        {"O", {"open", true, true}},
        {"N", {"a\nb", true, false}},
        {"U8", {"h\xC3\xA9llo", true, false}},
        {"B", {"a*b", true, false}},
    };
    (void) self;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (!strcmp(known[i].name, name)) return known[i].v;
    return (struct df_value){.text = "", .open = !strcmp(name, "MAYBE")};
}

static const struct df_vars vars = {value, NULL};

static const char *expand(struct arena *a, const char *word, struct df_expand how) {
    struct df_expanded e;
    how.vars = &vars;
    if (!how.escape) how.escape = '\\';
    return df_expand(a, &how, word, &e, NULL) < 0 ? "ERROR" : e.text;
}

static void test_words(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"$A", "a"},
        {"${A}", "a"},
        {"$A.b", "a.b"},
        {"$1a", "onea"},
        {"x$", "x$"},
        {"$$A", "A"},
        {"$@", ""},
        {"$-x", "x"},
        {"$/", "$/"},
        {"$U", ""},
        {"'$A'", "$A"},
        {"\"$A'\"", "a'"},
        {"\"\\$A\\q\"", "$A\\q"},
        {"\\$A", "$A"},
        {"a\\*b", "a*b"},
        {"\\", ""},
        {"'a", "ERROR"},
        {"\"a", "ERROR"},
        {"${S}", "x y"},
        {"${", "ERROR"},
        {"${}", "ERROR"},
        {"${{A}}", "ERROR"},
        {"${:A}", "ERROR"},
        {"${A", "ERROR"},
        {"${A^^}", "ERROR"},
        {"${A:#x}", "ERROR"},
        {"${A:/x/y}", "ERROR"},
        {"${U-d}", "d"},
        {"${E-d}", ""},
        {"${E:-d}", "d"},
        {"${A:-d}", "a"},
        {"${U:-${V:-w}}", "w"},
        {"${U:-'a b'}", "a b"},
        {"${U+x}", ""},
        {"${E+x}", "x"},
        {"${E:+x}", ""},
        {"${A:+x$A}", "xa"},
        {"${A?no}", "a"},
        {"${U?no}", "ERROR"},
        {"${E?no}", ""},
        {"${E:?no}", "ERROR"},
        {"${MAYBE?no}", ""},
        {"${P##*/}", "lib-2.so.1"},
        {"${P#*/}", "lib-2.so.1"},
        {"${P%.*}", "usr/lib-2.so"},
        {"${P%%.*}", "usr/lib-2"},
        {"${P#?s}", "r/lib-2.so.1"},
        {"${P#x}", "usr/lib-2.so.1"},
        {"${P/s/S}", "uSr/lib-2.so.1"},
        {"${P//s/S}", "uSr/lib-2.So.1"},
        {"${P//*/x}", "x"},
        {"${P/\\//_}", "usr_lib-2.so.1"},
        {"${P/x}", "ERROR"},
        {"${P/x/y", "ERROR"},
        {"${A//a/\\$0}", "\\a"},
        {"${A/a/$S}", "x y"},
        {"${B#'a*'}", "*b"},
        {"${B#a\\*}", "b"},
        {"${B#a\\b}", "ERROR"},
        {"${U8%llo}", "h\xC3\xA9"},
        {"${U8#h?}", "llo"},
        {"${N#*}", "a\nb"},
        {"${N##*}", "\nb"},
        {"${A#\"$A\"}", ""},
        {"$A\xC3\xA9", ""},
        {"\xEF\xBB\xBFx", "x"},
        {"<<$A", "<<a"},
        {"\xFF", "\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *got = expand(a, cases[i][0], (struct df_expand){0});
        if (strcmp(got, cases[i][1]) != 0) fail_msg("%s: got %s, not %s", cases[i][0], got, cases[i][1]);
    }
}

static void test_modes(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    assert_string_equal(expand(a, "`$A\\", (struct df_expand){.escape = '`'}), "$A\\");
    assert_string_equal(expand(a, "\"a\" 'b'", (struct df_expand){.raw_quotes = true}), "\"a\" 'b'");
    assert_string_equal(expand(a, "a\\b", (struct df_expand){.raw_escapes = true}), "a\\b");
    assert_string_equal(expand(a, "'$A\" \\$A", (struct df_expand){.literal_quotes = true}), "'a\" $A");
    assert_string_equal(expand(a, "$U ${U} ${U:-x} $A", (struct df_expand){.skip_unset = true}), "$U ${U} ${U:-x} a");
}

static void test_split(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct df_expand how = {.escape = '\\', .vars = &vars};
    struct df_expanded e;
    assert_int_equal(df_expand(a, &how, " a \"b c\" $S'q'  \\ d ", &e, NULL), 0);
    assert_int_equal(e.words.n, 5);
    assert_string_equal(e.words.v[1], "b c");
    assert_string_equal(e.words.v[2], "x");
    assert_string_equal(e.words.v[3], "yq");
    assert_string_equal(e.words.v[4], " d");
    /* a nested operand takes what was collected of the word with it: BuildKit's own wart, which heredocs depend on */
    assert_int_equal(df_expand(a, &how, "ab${U:-c}d", &e, NULL), 0);
    assert_string_equal(e.text, "abcd");
    assert_string_equal(e.words.v[0], "cd");
}

static void test_open(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct df_expand how = {.escape = '\\', .vars = &vars};
    struct df_expanded e;
    static const struct {
        const char *word;
        bool open;
    } cases[] = {{"$A", false},      {"$O", true},    {"$MAYBE", true},  {"${MAYBE:-x}", true},
                 {"${U:-$O}", true}, {"'$O'", false}, {"${A:+$O}", true}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(df_expand(a, &how, cases[i].word, &e, NULL), 0);
        assert_int_equal(e.open, cases[i].open);
    }
}

/* Nested a few thousand deep, or patterns that a careless matcher takes for ever on. */
static void test_hostile(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf deep = {0};
    for (int i = 0; i < 5000; i++) buf_adds(&deep, "${U:-");
    struct df_expand how = {.escape = '\\', .vars = &vars};
    struct df_expanded e;
    assert_int_equal(df_expand(a, &how, deep.data, &e, &err), -ERR_LIMIT);
    AUTO_BUF struct buf text = {0};
    for (int i = 0; i < 400; i++) buf_addc(&text, 'a');
    const char *rest;
    assert_int_equal(shpattern_trim(a, text.data, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", false, true, &rest, NULL), 0);
    assert_string_equal(rest, text.data);
    for (int i = 0; i < 100000; i++) buf_adds(&text, "a*");
    assert_int_equal(shpattern_trim(a, text.data, text.data, false, true, &rest, NULL), -ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_modes),   cmocka_unit_test(test_split),
        cmocka_unit_test(test_open),  cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
