#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/gomatch.h"
#include "dockerfile/ignore.h"
#include "dockerfile/pattern.h"
#include "dockerfile/regex.h"

static void test_go_match(void **state) {
    (void) state;
    static const struct {
        const char *pattern, *name;
        int want;
    } cases[] = {
        {"abc", "abc", 1},
        {"*", "abc", 1},
        {"*c", "abc", 1},
        {"a*", "a", 1},
        {"a*", "ab/c", 0},
        {"a*/b", "a/c/b", 0},
        {"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
        {"a*b?c*x", "abxbbxdbxebxczzx", 1},
        {"a*b?c*x", "abxbbxdbxebxczzy", 0},
        {"ab[c]", "abc", 1},
        {"ab[b-d]", "abc", 1},
        {"ab[e-g]", "abc", 0},
        {"ab[^c]", "abc", 0},
        {"ab[^e-g]", "abc", 1},
        {"a\\*b", "a*b", 1},
        {"a\\*b", "ab", 0},
        {"a?b",
         "a\xE2\x98\xBA"
         "b",
         1},
        {"a[^a]b",
         "a\xE2\x98\xBA"
         "b",
         1},
        {"a???b",
         "a\xE2\x98\xBA"
         "b",
         0},
        {"[a-\xCE\xB6]*", "\xCE\xB1", 1},
        {"*[a-\xCE\xB6]", "A", 0},
        {"a?b", "a/b", 0},
        {"a*b", "a/b", 0},
        {"[\\]a]", "]", 1},
        {"[\\-]", "-", 1},
        {"[x\\-]", "z", 0},
        {"[\\-x]", "-", 1},
        {"[]a]", "]", -1},
        {"[-]", "-", -1},
        {"[x-]", "x", -1},
        {"[a-b-c]", "a", -1},
        {"[", "a", -1},
        {"[^", "a", -1},
        {"[^bc", "a", -1},
        {"a[", "a", -1},
        {"a[", "ab", -1},
        {"*x", "xxx", 1},
        {"f[^a]o", "f/o", 1},
        {"a\\", "a", -1},
        {"a*[", "b", 0},
        {"", "", 1},
        {"", "a", 0},
        {"**/x", "a/x", 1},
        {"**/x", "a/b/x", 0},
        {"[!a]", "!", 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (go_match(cases[i].pattern, cases[i].name) != cases[i].want) fail_msg("%s on %s", cases[i].pattern, cases[i].name);
}

static void test_regex(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *re, *text;
        int want; /* -1: refused */
    } cases[] = {
        {"^a[^/]*b$", "axxb", 1},
        {"^a[^/]*b$", "a/b", 0},
        {"^(.*/)?x$", "x", 1},
        {"^(.*/)?x$", "a/b/x", 1},
        {"^(.*/)?x$", "ax", 0},
        {"^(.*/)?x$", "\n/x", 0},
        {"^.*$", "a\nb", 0},
        {"^[^a]$", "\n", 1},
        {"^\\d\\D$", "5x", 1},
        {"^[\\d_]$", "_", 1},
        {"^[^\\w]$", "-", 1},
        {"^[\\W]$", "a", 0},
        {"^[[:alpha:]]$", "q", 1},
        {"^[[:^alpha:]]$", "q", 0},
        {"^[[:foo:]]$", "q", -1},
        {"^[[:foo]$", ":", 1},
        {"^\\x41\\101$", "AA", 1},
        {"^\\1$", "1", -1},
        {"^\\0$", "x", 0},
        {"^\\pL\\PL$",
         "\xC3\xA9"
         "1",
         1},
        {"^\\pX$", "x", -1},
        {"^\\e$", "e", -1},
        {"^\\n$", "\n", 1},
        {"^\\Qa*\\Eb$", "a*b", 1},
        {"^a\\bb$", "ab", 0},
        {"^a\\b-$", "a-", 1},
        {"^\\Ba$", "a", 0},
        {"^a^b$", "ab", 0},
        {"^\\Aa\\z$", "a", 1},
        {"^[[^/]*]$", "[[]", 1},
        {"^[z-a]$", "z", -1},
        {"^[a-\\d]$", "-", -1},
        {"^a\\$", "a$b", 1},
        {"^a\\$", "ab", 0},
        {"^\xEF\xBF\xBD$", "\xFF", 1},
        {"^[^/]$", "\xFF", 1},
        {"^[^/][^/]$", "\xC3\xA9", 0},
        {"^[b$", "b", -1},
        {"^]$", "]", 1},
        {"^[]a]$", "]", 1},
        {"^x\\{2\\}$", "x{2}", 1},
        {"^x\\x4$", "x", -1},
        {"^[[:^", "x", -1},
        {"^a[^/]*\\.pyc$", "a.pyc", 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct regex *re = regex_compile(a, cases[i].re, strlen(cases[i].re));
        int got = re ? regex_match(re, cases[i].text, strlen(cases[i].text)) : -1;
        if (got != cases[i].want) fail_msg("%s on %s: %d", cases[i].re, cases[i].text, got);
    }
}

/* Walks from the top to path; 1 ignored, 0 kept, negative malformed. */
static int ignored(struct arena *a, const char *lines, const char *path) {
    struct ignore ig;
    struct patterns *p;
    if (ignore_parse(a, "f", lines, strlen(lines), &ig, NULL) < 0) return -1;
    if (patterns_compile(a, ig.patterns, ig.n, &p, NULL, NULL) < 0) return -2;
    uint64_t *hits = arena_array(a, PATTERN_WORDS(ig.n), sizeof *hits), *parent = NULL;
    for (const char *slash = path;; slash++) {
        slash = strchr(slash, '/');
        const char *part = slash ? arena_strndup(a, path, (size_t) (slash - path)) : path;
        int r = patterns_step(p, part, parent, hits, NULL, NULL);
        if (!slash || r < 0) return r < 0 ? -3 : r;
        parent = hits;
    }
}

static void test_ignore(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *lines, *path;
        int want;
    } cases[] = {
        {"foo", "foo/x", 1},
        {"/foo/", "foo/x", 1},
        {"foo", "a/foo", 0},
        {"*/foo", "a/foo", 1},
        {"*/foo", "foo", 0},
        {"*/foo", "a/b/foo", 0},
        {"**/foo", "foo", 1},
        {"**/foo", "a/foo/z", 1},
        {"**/foo", "xfoo", 0},
        {"**foo", "a/xfoo", 1},
        {"foo**", "foobar", 1},
        {"foo**", "foo/x", 1},
        {"foo**", "fo", 0},
        {"foo/**", "foo/x", 1},
        {"foo/**", "foo", 0},
        {"foo/*", "foo/x", 1},
        {"foo/*", "foo", 0},
        {"*.o", ".o", 1},
        {"*.o", "a/x.o", 0},
        {"a/**b", "a/x/b", 1},
        {"a/**b", "a/xb", 0},
        {".", "a", 0},
        {"/", "a", 0},
        {"../x", "x", 0},
        {"a\n!a/b", "a/c", 1},
        {"a\n!a/b", "a/b", 0},
        {"!a/b\na", "a/b", 1},
        {"*\n!**/*.go", "a/c.txt", 1},
        {"*\n!**/*.go", "a/b.go", 0},
        {"**/*.pyc\n!src", "src/x.pyc", 1},
        {"**/*.pyc\n!src", "src/y", 0},
        {"*\n!src\n**/*.pyc", "src/x.pyc", 1},
        {"f[^a]o", "fbo", 1},
        {"f[^a]o", "f/o", 1},
        {"f[^a]o", "fao", 0},
        {"f[!a]o", "fao", 1},
        {"f[!a]o", "f!o", 1},
        {"\\!x", "!x", 1},
        {"x\\d", "x5", 1},
        {"x\\d", "xd", 0},
        {"#a", "#a", 0},
        {" #a", "#a", 1},
        {"\xEF\xBB\xBF"
         "a",
         "a", 1},
        {"! a", "a", 0},
        {"a \r\n", "a", 1},
        {"!", "a", -2},
        {"[", "a", -2},
        {"a\\", "a", -2},
        {"[a-]", "a", -2},
        {"x\\y", "a", -3},
        {"[z-a]", "a", -3},
        {"!x\\y", "a", 0},
        {"\xC2\xA0"
         "a\xE3\x80\x80",
         "a", 1},
        {"**", "a/b", 1},
        {"a/../b", "b", 1},
        {"A", "a", 0},
        {"***", "x/y", 1},
        {"!/", "a", -2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (ignored(a, cases[i].lines, cases[i].path) != cases[i].want) fail_msg("%s on %s", cases[i].lines, cases[i].path);
}

static void test_ignore_errors(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    AUTO_FREE char *text = mem_array(65536 + 3, 1);
    struct ignore ig;
    memset(text, 'a', 65536 + 2);
    text[0] = '\n';
    text[65536] = '\n'; /* 65,535 bytes and the newline: just fits */
    assert_int_equal(ignore_parse(a, "f", text, 65538, &ig, &err), 0);
    assert_int_equal(ig.n, 2);
    assert_int_equal(ig.lines[1], 3);
    text[65536] = 'a';
    assert_true(ignore_parse(a, "f", text, 65538, &ig, &err) < 0);
    assert_string_equal(err.file, "f");
    assert_int_equal(err.line, 2);
}

/* BuildKit opens files by another rule than it walks by. */
static void test_match_or_parent(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct patterns *p;
    const char *const list[] = {"a", "!a/b", "a"};
    assert_int_equal(patterns_compile(a, list, 3, &p, NULL, NULL), 0);
    assert_int_equal(ignored(a, "a\n!a/b\na", "a/b"), 0);
    assert_true(patterns_match_or_parent(p, "a/b"));
    assert_false(patterns_match_or_parent(p, "b/a"));
    assert_int_equal(patterns_compile(a, list, 2, &p, NULL, NULL), 0);
    assert_false(patterns_match_or_parent(p, "a/b/c"));
}

static void test_below(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct patterns *p;
    const char *const literal[] = {"x", "!a/b/c", "!d/**"}, *const wild[] = {"x", "!a/*.c"};
    assert_int_equal(patterns_compile(a, literal, 3, &p, NULL, NULL), 0);
    assert_true(patterns_may_match_below(p, true, "a"));
    assert_true(patterns_may_match_below(p, true, "a/b/c"));
    assert_true(patterns_may_match_below(p, true, "d"));
    assert_false(patterns_may_match_below(p, true, "a/b/c/d"));
    assert_false(patterns_may_match_below(p, true, "aa"));
    assert_int_equal(patterns_compile(a, wild, 2, &p, NULL, NULL), 0);
    assert_true(patterns_may_match_below(p, true, "z"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_match),      cmocka_unit_test(test_regex),           cmocka_unit_test(test_ignore),
        cmocka_unit_test(test_ignore_errors), cmocka_unit_test(test_match_or_parent), cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
