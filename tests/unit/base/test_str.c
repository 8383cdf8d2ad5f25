#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

static void test_clean_text(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain\n", "plain\n"},
        {"\x1b[31mred\x1b[0m", "red"},
        {"a\x1b]0;title\x07" "b", "ab"},
        {"a\x1b]0;title\x1b\\b", "ab"},
        {"cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"10%\r20%\r\n", "10%\n20%\n"},
        {"\xc2\x9b" "31m", "31m"},
        {"bell\x07 tab\t", "bell tab\t"},
        {"\x1b[12", ""},
        {"\x1b", ""},
        {"é", "é"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_string_equal(text_clean(a, cases[i].in, strlen(cases[i].in)), cases[i].out);
}

static void test_tail(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    assert_string_equal(text_tail(a, "1\n2\n3\n", 2, 100), "2\n3");
    assert_string_equal(text_tail(a, "1\n2\n3", 9, 100), "1\n2\n3");
    assert_string_equal(text_tail(a, "ééé", 9, 3), "é");
    assert_string_equal(text_tail(a, "", 9, 3), "");
}

static void test_json_string(void **state) {
    (void) state;
    AUTO_BUF struct buf b = {0};
    buf_add_json(&b, "a\"\\\n\x01\xff\x7f", 7);
    assert_string_equal(buf_str(&b), "\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\\u007f\"");
}

static void test_buffer_cap(void **state) {
    (void) state;
    AUTO_BUF struct buf b = {.max = 4};
    buf_adds(&b, "1234");
    assert_false(b.overflow);
    buf_addc(&b, '5');
    assert_true(b.overflow);
    assert_string_equal(buf_str(&b), "1234");
}

static void test_durations(void **state) {
    (void) state;
    static const struct {
        const char *text;
        long long ms;
    } cases[] = {{"10s", 10000}, {"1h30m", 5400000}, {"250ms", 250}, {"1.5s", 1500}, {"0", 0}, {"10", -1}, {"", -1}, {"-1s", -1}, {"s", -1}, {"1d", -1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_int_equal(duration_parse(cases[i].text), cases[i].ms);
}

static void test_bytes(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {{0, "0 B"},           {999, "999 B"},      {1000, "1.0 kB"},          {999949, "999.9 kB"},
                 {999950, "1.0 MB"},   {2140000, "2.1 MB"}, {12300000000, "12.3 GB"}, {2000000000000, "2000.0 GB"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_string_equal(bytes_text(a, cases[i].n), cases[i].text);
}

static void test_join_paths(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}, {"", "b", "b"},
                                           {".", "b", "b"},   {".", "", "./"},    {"..", "b", "../b"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_string_equal(fs_join(a, cases[i][0], cases[i][1]), cases[i][2]);
}

static void test_clean_paths(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"", "."}, {"/", "/"}, {"a//b/./c/", "a/b/c"}, {"a/../b", "b"}, {"..", ".."}, {"../..//x", "../../x"}, {"/../x", "/x"},
        {"a/b/../../..", ".."}, {"./", "."}, {"/a/..", "/"}, {"a/..", "."}, {"/..a", "/..a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) assert_string_equal(fs_clean(a, cases[i][0]), cases[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_text), cmocka_unit_test(test_tail),      cmocka_unit_test(test_json_string),
        cmocka_unit_test(test_buffer_cap), cmocka_unit_test(test_durations), cmocka_unit_test(test_clean_paths),
        cmocka_unit_test(test_bytes),      cmocka_unit_test(test_join_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
