#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

static const struct cty_type *type(struct arena *a, const char *text) {
    const struct cty_type *t = NULL;
    assert_int_equal(cty_type_parse(a, text, strlen(text), &t, NULL), 0);
    return t;
}

static void test_types_refused(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const bad[] = {
        "",
        "1",
        "null",
        "\"any\"",
        "[]",
        "[\"list\"]",
        "[\"list\",\"string\",\"string\"]",
        "[\"object\"]",
        "[\"object\",[]]",
        "[\"object\",{\"a\":\"string\",\"a\":\"bool\"}]",
        "[\"object\",{},[\"b\"]]",
        "[\"object\",{},{}]",
        "[\"tuple\",{}]",
        "[\"tuple\"]",
        "[\"list\",\"\xff\"]",
        "\"string\" x",
        "[[\"list\"],\"string\"]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERR struct err err = {0};
        const struct cty_type *t = NULL;
        assert_true(cty_type_parse(a, bad[i], strlen(bad[i]), &t, &err) < 0);
        assert_null(t);
        assert_non_null(err.message);
    }
    AUTO_BUF struct buf deep = {0};
    for (int i = 0; i < CTY_MAX_DEPTH + 2; i++) buf_adds(&deep, "[\"list\",");
    buf_adds(&deep, "\"bool\"");
    for (int i = 0; i < CTY_MAX_DEPTH + 2; i++) buf_adds(&deep, "]");
    const struct cty_type *t = NULL;
    assert_int_equal(cty_type_parse(a, deep.data, deep.len, &t, NULL), -ERR_LIMIT);
}

static void test_optional_attributes(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    const char *text = "[\"object\",{\"a\":\"string\",\"b\":[\"set\",\"bool\"]},[\"b\"]]";
    const struct cty_type *t = type(a, text);
    assert_string_equal(cty_type_text(a, t), text);
    assert_true(cty_type_equal(t, type(a, text)));
    assert_false(cty_type_equal(t, type(a, "[\"object\",{\"a\":\"string\",\"b\":[\"set\",\"bool\"]}]")));
    assert_int_equal(cty_type_find(t, "b", 1), 1);
    assert_int_equal(cty_type_find(t, "a\0x", 3), -1);
    assert_int_equal(cty_type_find(t, "bb", 2), -1);
    assert_int_equal(cty_type_find(t, "", 0), -1);
}

static void test_msgpack_refused(void **state) {
    (void) state;
    static const struct {
        const char *type, *bytes;
        size_t len;
    } bad[] = {
#define BYTES(s) s, sizeof s - 1
        {"\"string\"", BYTES("")},
        {"\"string\"", BYTES("\xc1")},             /* unused */
        {"\"string\"", BYTES("\xa1\xff")},         /* not UTF-8 */
        {"\"string\"", BYTES("\xa3\xed\xa0\x80")}, /* a surrogate */
        {"\"string\"", BYTES("\x01")},
        {"\"string\"", BYTES("\xdb\xff\xff\xff\xff"
                             "x")}, /* longer than what follows */
        {"\"bool\"", BYTES("\x01")},
        {"\"number\"", BYTES("\xc3")},
        {"\"number\"", BYTES("\xcb\x7f\xf8\0\0\0\0\0\0")}, /* NaN */
        {"\"number\"", BYTES("\xca\xff\xc0\0\0")},         /* NaN */
        {"\"number\"", BYTES("\xa1x")},
        {"\"number\"", BYTES("\xa0")},
        {"\"number\"", BYTES("\xa5"
                             "1e999")}, /* fine: see below */
        {"\"number\"", BYTES("\xac"
                             "1e9999999999")}, /* too many digits */
        {"[\"list\",\"string\"]", BYTES("\xdd\xff\xff\xff\xff\xc0")},
        {"[\"list\",\"string\"]", BYTES("\x80")},
        {"[\"map\",\"string\"]", BYTES("\x90")},
        {"[\"map\",\"string\"]", BYTES("\xdf\x80\0\0\0\xa1"
                                       "a\xc0")},
        {"[\"map\",\"string\"]", BYTES("\x82\xa1"
                                       "a\xc0\xa1"
                                       "a\xc0")}, /* a key twice */
        {"[\"map\",\"string\"]", BYTES("\x82\xa2\xc3\xa9\xc0\xa3"
                                       "e\xcc\x81\xc0")}, /* twice after NFC */
        {"[\"map\",\"string\"]", BYTES("\x81\xc0\xc0")},
        {"[\"map\",\"string\"]", BYTES("\x81\x01\xc0")},
        {"[\"object\",{\"a\":\"string\"}]", BYTES("\x80")}, /* missing */
        {"[\"object\",{\"a\":\"string\"}]", BYTES("\x82\xa1"
                                                  "a\xc0\xa1"
                                                  "b\xc0")}, /* unknown */
        {"[\"object\",{\"a\":\"string\"}]", BYTES("\x82\xa1"
                                                  "a\xc0\xa1"
                                                  "a\xc0")}, /* twice */
        {"[\"tuple\",[\"string\"]]", BYTES("\x90")},
        {"\"dynamic\"", BYTES("\xa1x")},
        {"\"dynamic\"", BYTES("\x91\xc0")},
        {"\"dynamic\"", BYTES("\x92\xc4\x03\"x\"\xc0")},
        {"\"dynamic\"", BYTES("\x92\xc0\xc0")},
        {"\"string\"", BYTES("\xc7\x03\x0b\x81\x01\xc2")}, /* another extension */
        {"\"string\"", BYTES("\xc7\x03\x0c\x81\x01\x01")},
        {"\"string\"", BYTES("\xc7\x04\x0c\x81\x01\xc2\xc2")}, /* bytes behind the map */
        {"\"string\"", BYTES("\xc7\x03\x0c\x82\x01\xc2")},     /* one pair short */
        {"\"bool\"", BYTES("\xc7\x04\x0c\x81\x02\xa1x")},      /* a prefix of a bool */
        {"\"string\"", BYTES("\xc7\x05\x0c\x81\x03\x92\x00\xc3")},
        {"\"number\"", BYTES("\xc7\x04\x0c\x81\x03\x91\x00")},
        {"\"string\"", BYTES("\xc7\x03\x0c\x81\x05\x01")},
        {"[\"list\",\"bool\"]", BYTES("\xc7\x03\x0c\x81\x05\xff")},
#undef BYTES
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ARENA struct arena *a = arena_new();
        AUTO_ERR struct err err = {0};
        struct cty_value v;
        AUTO_FREE void *exact = mem_dup(bad[i].bytes, bad[i].len);
        int r = cty_msgpack_decode(a, type(a, bad[i].type), exact, bad[i].len, &v, &err);
        if (strstr(bad[i].bytes, "1e999") && bad[i].len == 6) {
            assert_int_equal(r, 0);
            assert_int_equal(strlen(cty_num_text(a, v.num)), 1000);
            continue;
        }
        if (r >= 0) fail_msg("case %zu was taken", i);
        assert_non_null(err.message);
    }
}

static void test_skips_later_refinements(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct cty_value v;
    /* key 9: [1, {"x": nil}]; then not null */
    const char bytes[] = "\xc7\x0a\x0c\x82\x09\x92\x01\x81\xa1x\xc0\x01\xc2";
    assert_int_equal(cty_msgpack_decode(a, &cty_bool, bytes, sizeof bytes - 1, &v, NULL), 0);
    assert_int_equal(v.state, CTY_UNKNOWN);
    assert_true(v.refined->not_null);
}

static void test_depth_and_size(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_BUF struct buf b = {0};
    struct cty_value v;
    /* dynamic in dynamic in dynamic … */
    for (int i = 0; i < 200; i++) buf_add(&b, "\x92\xa9\"dynamic\"", 11);
    buf_add(&b, "\xc0", 1);
    assert_int_equal(cty_msgpack_decode(a, &cty_dynamic, b.data, b.len, &v, NULL), -ERR_LIMIT);
    /* Claims of great length, one in the other: what they take together is bounded. */
    AUTO_BUF struct buf t = {0};
    for (int i = 0; i < 20; i++) buf_adds(&t, "[\"list\",");
    buf_adds(&t, "\"bool\"");
    for (int i = 0; i < 20; i++) buf_adds(&t, "]");
    buf_reset(&b);
    for (int i = 0; i < 20; i++) buf_add(&b, "\xdd\x00\x10\x00\x00", 5);
    for (int i = 0; i < 1 << 20; i++) buf_add(&b, "\xc0", 1);
    AUTO_ERR struct err err = {0};
    assert_int_equal(cty_msgpack_decode(a, type(a, buf_str(&t)), b.data, b.len, &v, &err), -ERR_LIMIT);
}

static void test_big_string(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_BUF struct buf in = {0};
    AUTO_BUF struct buf out = {0};
    buf_add(&in, "\xdb\x01\x40\x00\x00", 5);
    for (size_t i = 0; i < 20 << 16; i++) buf_add(&in, "0123456789abcdef", 16);
    struct cty_value v;
    assert_int_equal(cty_msgpack_decode(a, &cty_string, in.data, in.len, &v, NULL), 0);
    assert_int_equal(v.str.len, 20 << 20);
    cty_msgpack_encode(&out, &cty_string, &v);
    assert_int_equal(out.len, in.len);
}

static void test_nfc(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"cafe\xcc\x81", "caf\xc3\xa9"},
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"},
        {"\xe2\x84\xab", "\xc3\x85"},
        {"\xef\xac\x81", "\xef\xac\x81"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(cty_text_new(a, cases[i][0], strlen(cases[i][0])).s, cases[i][1]);
}

static struct cty_num num(struct arena *a, const char *s) {
    struct cty_num n;
    assert_int_equal(cty_num_parse(a, s, strlen(s), &n, NULL), 0);
    return n;
}

static void test_numbers(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const texts[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.000", "0"},
        {"007", "7"},
        {"+1", "1"},
        {"1.50", "1.5"},
        {"1e3", "1000"},
        {"15e-1", "1.5"},
        {"0.1", "0.1"},
        {"-.5", "-0.5"},
        {"5.", "5"},
        {"1E+2", "100"},
        {"0e999999", "0"},
        {"1e-7", "0.0000001"},
        {"9223372036854775808", "9223372036854775808"},
        {"123.456e1", "1234.56"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) assert_string_equal(cty_num_text(a, num(a, texts[i][0])), texts[i][1]);
    static const char *const bad[] = {"",   "-",  ".",   "e1",  "1e",  "1e+",   "1x", "0x10",
                                      "1 ", " 1", "1_0", "Inf", "NaN", "1.2.3", "--1"};
    struct cty_num n;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) assert_true(cty_num_parse(a, bad[i], strlen(bad[i]), &n, NULL) < 0);
    assert_int_equal(cty_num_parse(a, "1e99999", 7, &n, NULL), -ERR_LIMIT);
    static const char *const rising[] = {"-1e30",
                                         "-9223372036854775808",
                                         "-2",
                                         "-1.5",
                                         "-0.1",
                                         "0",
                                         "0.1",
                                         "0.25",
                                         "1",
                                         "1.25",
                                         "1.3",
                                         "9",
                                         "10",
                                         "10.5",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "1e400"};
    for (size_t i = 0; i < ARRAY_SIZE(rising); i++)
        for (size_t j = 0; j < ARRAY_SIZE(rising); j++) {
            int c = cty_num_compare(num(a, rising[i]), num(a, rising[j]));
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
    struct cty_num f;
    assert_int_equal(cty_num_from_double(a, 0.1, &f, NULL), 0);
    assert_int_equal(f.kind, CTY_FLOAT);
    assert_int_equal(cty_num_compare(f, num(a, "0.1")), 0);
    assert_int_equal(num(a, "0.1").kind, CTY_DECIMAL);
    assert_int_equal(num(a, "0.5").kind, CTY_FLOAT);
}

static void test_state_json(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    const struct cty_type *t = type(a, "[\"object\",{\"d\":\"dynamic\",\"m\":[\"map\",\"string\"],\"n\":\"number\",\"o\":["
                                       "\"object\",{\"x\":\"bool\"}],\"s\":[\"set\",\"string\"]}]");
    const char *json = " {\"gone\": {\"a\":[1,{\"b\":\"\\\"]\"}],\"c\":null}, \"n\": 9007199254740993,\n \"s\":[\"b\",\"a\",\"b\"],"
                       "\"o\":{\"old\":1}, \"d\": {\"value\": [1, \"x\"], \"type\": [\"tuple\",[\"number\",\"string\"]]} } ";
    struct cty_value v;
    AUTO_ERR struct err err = {0};
    if (cty_json_decode(a, t, json, strlen(json), &v, &err) < 0) fail_msg("%s", err_text(&err));
    AUTO_BUF struct buf out = {0};
    assert_int_equal(cty_json_encode(&out, t, &v, NULL), 0);
    assert_string_equal(out.data, "{\"d\":{\"value\":[1,\"x\"],\"type\":[\"tuple\",[\"number\",\"string\"]]},\"m\":null,"
                                  "\"n\":9007199254740993,\"o\":{\"x\":null},\"s\":[\"a\",\"b\"]}");
    for (size_t cut = 0; cut + 1 < strlen(json); cut++) {
        AUTO_FREE char *part = mem_dup(json, cut);
        AUTO_FREE char *exact = mem_array(cut + 1, 1);
        memcpy(exact, part, cut);
        assert_true(cty_json_decode(a, t, exact, cut, &v, NULL) < 0);
    }
}

static void test_json_converts(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *type, *in, *out; /* out NULL: refused */
    } cases[] = {
        {"\"string\"", "12.50", "\"12.50\""},
        {"\"string\"", "true", "\"true\""},
        {"\"string\"", "\"\\ud83d\\udc33 \\u0041\\n\\/\\\"\"", "\"\xf0\x9f\x90\xb3 A\\n/\\\"\""},
        {"\"string\"", "\"\\ud83d\"", "\"\xef\xbf\xbd\""},
        {"\"string\"", "\"\\ud83dx\\u00e9\"", "\"\xef\xbf\xbdx\xc3\xa9\""},
        {"\"string\"", "\"\\ud83d\\u0041\"",
         "\"\xef\xbf\xbd"
         "A\""},
        {"\"number\"", "\"7\"", "7"},
        {"\"bool\"", "\"true\"", "true"},
        {"\"string\"", "[]", NULL},
        {"\"string\"", "\"\\x\"", NULL},
        {"\"string\"", "\"\\u12g4\"", NULL},
        {"\"string\"", "\"a\nb\"", NULL},
        {"\"string\"", "\"a\" b", NULL},
        {"\"string\"", "\xff", NULL},
        {"\"bool\"", "1", NULL},
        {"\"number\"", "01x", NULL},
        {"\"number\"", "", NULL},
        {"[\"list\",\"bool\"]", "[true,]", NULL},
        {"[\"list\",\"bool\"]", "[true false]", NULL},
        {"[\"list\",\"bool\"]", "{}", NULL},
        {"[\"map\",\"bool\"]", "{\"a\":true,\"a\":true}", NULL},
        {"[\"object\",{\"a\":\"bool\"}]", "{\"a\":true,\"a\":true}", NULL},
        {"[\"tuple\",[\"bool\"]]", "[true,true]", NULL},
        {"[\"tuple\",[\"bool\"]]", "[]", NULL},
        {"\"dynamic\"", "{\"value\":1}", NULL},
        {"\"dynamic\"", "\"x\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cty_value v;
        const struct cty_type *t = type(a, cases[i].type);
        int r = cty_json_decode(a, t, cases[i].in, strlen(cases[i].in), &v, NULL);
        if ((r < 0) != !cases[i].out) fail_msg("%s as %s", cases[i].in, cases[i].type);
        if (r < 0) continue;
        AUTO_BUF struct buf out = {0};
        assert_int_equal(cty_json_encode(&out, t, &v, NULL), 0);
        assert_string_equal(out.data, cases[i].out);
    }
    AUTO_BUF struct buf deep = {0};
    for (int i = 0; i < 1000; i++) buf_adds(&deep, "{\"gone\":");
    struct cty_value v;
    assert_int_equal(cty_json_decode(a, type(a, "[\"object\",{}]"), deep.data, deep.len, &v, NULL), -ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_refused),
        cmocka_unit_test(test_optional_attributes),
        cmocka_unit_test(test_msgpack_refused),
        cmocka_unit_test(test_skips_later_refinements),
        cmocka_unit_test(test_depth_and_size),
        cmocka_unit_test(test_big_string),
        cmocka_unit_test(test_nfc),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_state_json),
        cmocka_unit_test(test_json_converts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
