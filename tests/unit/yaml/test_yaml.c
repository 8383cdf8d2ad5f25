#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "yaml/yaml.h"
#include "json/json.h"

static void expect(const char *yaml, const char *json) {
    AUTO_ERR struct err err = {0};
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_JSON struct json *j = yaml_parse(yaml, strlen(yaml), &err);
    if (!j) fail_msg("%s: %s", yaml, err_text(&err));
    assert_string_equal(json_text(a, j), json);
}

static void expect_error(const char *yaml, enum err_code code, int line, const char *part) {
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *j = yaml_parse(yaml, strlen(yaml), &err);
    assert_null(j);
    assert_int_equal(err.code, code);
    if (!strstr(err_text(&err), part)) fail_msg("\"%s\" is not in \"%s\"", part, err_text(&err));
    if (line) assert_int_equal(err.line, line);
}

static void test_types(void **state) {
    (void) state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"", "null"},
        {"~", "null"},
        {"Null", "null"},
        {"\"null\"", "\"null\""},
        {"nULL", "\"nULL\""},
        {"true", "true"},
        {"yes", "true"},
        {"Off", "false"},
        {"'yes'", "\"yes\""},
        {"yEs", "\"yEs\""},
        {"12", "12"},
        {"-7", "-7"},
        {"+7", "7"},
        {"0x1F", "31"},
        {"0b101", "5"},
        {"0o17", "15"},
        {"017", "15"},
        {"1_000", "1000"},
        {"0", "0"},
        {"09", "9"},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"1e3", "1000"},
        {"1.2.3", "\"1.2.3\""},
        {"1e", "\"1e\""},
        {".", "\".\""},
        {"-", "[null]"},
        {"- -", "[[null]]"},
        {".inf", "\".inf\""},
        {"1e999", "\"1e999\""},
        {"2001-01-01", "\"2001-01-01\""},
        {"10:20", "\"10:20\""},
        {"!!str 12", "\"12\""},
        {"!!int \"12\"", "12"},
        {"! 12", "\"12\""},
        {"|\n a\n b\n", "\"a\\nb\\n\""},
        {">\n a\n b\n", "\"a b\\n\""},
        {"{a: 1, b: [x, z]}", "{\"a\":1,\"b\":[\"x\",\"z\"]}"},
        {"a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}"},
        {"1: x\ntrue: z", "{\"1\":\"x\",\"true\":\"z\"}"},
        {"a: 1\n---\nb: 2\n", "{\"a\":1}"},
        {"\"\\u00e4\\x41\"", "\"\xc3\xa4"
                             "A\""},
        {"# only a comment\n", "null"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) expect(cases[i].yaml, cases[i].json);
}

static void test_anchors_and_merge(void **state) {
    (void) state;
    expect("a: &x {k: 1}\nb: *x\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}");
    expect("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
    expect("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n", "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"l\":3,\"k\":1}}");
    expect("- &x {k: 1}\n- &y {k: 2, m: 3}\n- <<: [*x, *y]\n", "[{\"k\":1},{\"k\":2,\"m\":3},{\"k\":1,\"m\":3}]");
    expect("\"<<\": 1", "{\"<<\":1}");
    expect_error("<<: 1", ERR_INVALID, 1, "mapping");
    expect_error("a: *x", ERR_INVALID, 1, "isn't defined");
    expect_error("&x [1, *x]", ERR_INVALID, 1, "own anchor");
}

static void test_broken(void **state) {
    (void) state;
    expect_error("a: 1\nb: 2\na: 3\n", ERR_INVALID, 3, "\"a\" is there twice");
    expect_error("a: 1\n b: 2\n", ERR_INVALID, 2, "line 2");
    expect_error("a: [1, 2\n", ERR_INVALID, 0, "line");
    expect_error("a: \"\\0\"", ERR_INVALID, 1, "NUL");
    expect_error("a: !!binary aGk=", ERR_INVALID, 1, "tag");
    expect_error("? [a]\n: 1\n", ERR_INVALID, 1, "key");
    expect_error("a: \xff", ERR_INVALID, 0, "line");
}

static void test_limits(void **state) {
    (void) state;
    AUTO_BUF struct buf deep = {0}, bomb = {0};
    for (int i = 0; i < 5000; i++) buf_addc(&deep, '[');
    expect_error(buf_str(&deep), ERR_LIMIT, 1, "deeply");
    buf_adds(&bomb, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 10; i++) {
        buf_addf(&bomb, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) buf_addf(&bomb, "*a%d,", i - 1);
        buf_adds(&bomb, "]\n");
    }
    expect_error(buf_str(&bomb), ERR_LIMIT, 0, "too many values");
    buf_reset(&bomb);
    buf_adds(&bomb, "- &x ");
    for (int i = 0; i < 100000; i++) buf_addc(&bomb, 'x');
    for (int i = 0; i < 500; i++) buf_adds(&bomb, "\n- *x");
    expect_error(buf_str(&bomb), ERR_LIMIT, 0, "too much text");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_anchors_and_merge),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
