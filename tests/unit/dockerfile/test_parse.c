#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/command.h"
#include "dockerfile/jsonlist.h"
#include "dockerfile/parse.h"

/* "COPY[--a=b](x|y)" for each instruction; the error with its line. */
static const char *shape(struct arena *a, const char *text) {
    struct df_file f;
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf b = {0};
    if (df_parse(a, "D", text, strlen(text), &f, &err) < 0) return arena_printf(a, "%d: %s", err.line, err_text(&err));
    for (size_t i = 0; i < f.n; i++) {
        const struct df_node *n = &f.nodes[i];
        buf_addf(&b, "%s%s", i ? " " : "", *df_kind_name(n->kind) ? df_kind_name(n->kind) : "?");
        for (size_t k = 0; k < n->flags.n; k++) buf_addf(&b, "[%s]", n->flags.v[k]);
        buf_adds(&b, n->json ? "{" : "(");
        for (size_t k = 0; k < n->args.n; k++) buf_addf(&b, "%s%s", k ? "|" : "", n->args.v[k]);
        buf_adds(&b, n->json ? "}" : ")");
        for (size_t k = 0; k < n->n_heredocs; k++) {
            const struct df_heredoc *h = &n->heredocs[k];
            buf_addf(&b, "<%s%s%s:%s>", h->chomp ? "-" : "", h->name, h->expand ? "" : "'", h->content);
        }
    }
    return arena_strdup(a, buf_str(&b));
}

static void test_shapes(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"FROM a\n", "FROM(a)"},
        {"from a as B", "FROM(a|as|B)"},
        {"\xEF\xBB\xBF# escape=`\r\nFROM a\r\nRUN x `\r\n # c\r\n\r\n  y\r\n", "FROM(a) RUN(x   y)"},
        {"# Escape = `\nFROM a\nCOPY b ` \n c\n", "FROM(a) COPY(b|c)"},
        {"\n# escape=`\nFROM a`\nRUN x", "FROM(a`) RUN(x)"},
        {"# escape=x\nFROM a", "1: invalid escape token 'x': it must be ` or \\"},
        {"# check=skip=all\n#check = a\nFROM a", "2: only one check parser directive can be used"},
        {"# what=ever\n# escape=`\nFROM a\nRUN b\\\nc", "FROM(a) RUN(bc)"},
        {"FROM a\nRUN b \\\\\nRUN c", "FROM(a) RUN(b \\\\) RUN(c)"},
        {"FROM a\nRUN b \\\n\\\nc", "FROM(a) RUN(b c)"},
        {"FROM a\nRUN b # c", "FROM(a) RUN(b # c)"},
        {"FROM a\nRUN b \\\n # c", "FROM(a) RUN(b)"},
        {"", "0: the Dockerfile has no instructions"},
        {"# only\n\n", "2: the Dockerfile has no instructions"},
        {"\\", "?()"},
        {"WHAT ever", "?()"},
        {"COPY --from=a --chown=\"x y\" b\tc", "COPY[--from=a][--chown=x y](b|c)"},
        {"COPY --a\\ b c d", "COPY[--a b](c|d)"},
        {"COPY -- --x y", "COPY(--x|y)"},
        {"COPY \"a b\" c", "COPY(\"a|b\"|c)"},
        {"COPY [\"a b\", \"c\\u0041\"]", "COPY{a b|cA}"},
        {"COPY [ab] c", "COPY([ab]|c)"},
        {"COPY [\"a\", 1]", "1: when using JSON array syntax, arrays must be comprised of strings only"},
        {"COPY [\"a\", \"b\"] c", "COPY([\"a\",|\"b\"]|c)"},
        {"RUN [\"a\",]", "RUN([\"a\",])"},
        {"CMD []", "CMD{}"},
        {"ENV a=b c='d e' f=g\\ h", "ENV(a|b|=|c|'d e'|=|f|g\\ h|=)"},
        {"ENV a b  c", "ENV(a|b  c|)"},
        {"ENV a", "1: ENV must have two arguments"},
        {"ENV a=b c", "1: can't find = in \"c\": it must be of the form name=value"},
        {"ARG a b=\"c d\"", "ARG(a|b=\"c d\")"},
        {"HEALTHCHECK --interval=1s CMD [\"x\"]", "HEALTHCHECK[--interval=1s]{CMD|x}"},
        {"ONBUILD RUN [\"x\"]", "ONBUILD{RUN|x}"},
        {"ONBUILD ONBUILD RUN x", "ONBUILD(ONBUILD)"},
        {"COPY <<A <<-'B' /\nx\nA\n\ty\n\tB\n", "COPY(<<A|<<-'B'|/)<A:x\n><-B':\ty\n>"},
        {"COPY << E /\nE\n", "COPY(<<|E|/)<E:>"},
        {"RUN echo $(( 1 <<2 ))\n2\nRUN x", "RUN(echo $(( 1 <<2 )))<2:> RUN(x)"},
        {"RUN a <<<b\nRUN c", "RUN(a <<<b) RUN(c)"},
        {"RUN <<\"E F\"\nE F\n", "RUN(<<\"E F\")<E F':>"},
        {"RUN <<E\nx", "1: unterminated heredoc E"},
        {"COPY [\"<<E\", \"/\"]\nRUN x", "COPY{<<E|/} RUN(x)"},
        {"ONBUILD COPY <<E /\nx\nE", "ONBUILD(COPY|<<E|/)<E:x\n>"},
        {"WORKDIR <<E\nRUN x", "WORKDIR(<<E) RUN(x)"},
        {"FROM a\nCOPY --exclude=\xC3\xA9 b c", "FROM(a) COPY[--exclude=\xC3\x83\xC2\xA9](b|c)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *got = shape(a, cases[i][0]);
        if (strcmp(got, cases[i][1]) != 0) fail_msg("%s:\n got %s\nwant %s", cases[i][0], got, cases[i][1]);
    }
}

static void test_lines(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf b = {0};
    struct df_file f;
    buf_adds(&b, "FROM a\n\n# x\nRUN b \\\n c\nRUN ");
    size_t start = b.len - 4;
    while (b.len - start < 65535) buf_addc(&b, 'x');
    assert_int_equal(df_parse(a, "D", b.data, b.len, &f, &err), 0);
    assert_int_equal(f.nodes[1].line, 4);
    assert_int_equal(f.nodes[1].last_line, 5);
    assert_int_equal(f.nodes[2].line, 6);
    buf_addc(&b, 'x');
    assert_int_equal(df_parse(a, "D", b.data, b.len, &f, &err), -ERR_LIMIT);
    assert_int_equal(err.line, 6);
    assert_string_equal(err.file, "D");
    assert_true(df_parse(a, "D", "FROM a\nRUN \0", 12, &f, &err) < 0);
    assert_int_equal(err.line, 2);
}

static void test_syntax(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"# syntax=a/b:1 x\nFROM a", "a/b:1"},
        {"#!/bin/x\n# syntax = a\n", "a"},
        {" # syntax=a", NULL},
        {"// syntax=a\n", "a"},
        {"{\"syntax\": \"a b\"}", "a b"},
        {"{\"syntax\": 1}", NULL},
        {"# x\n# syntax=a", NULL},
        {"# check=x\n# SYNTAX=a\r\n", "a"},
        {"# syntax=a\n# syntax=b", "a"},
        {"\xEF\xBB\xBF#syntax=a", "a"},
        {"FROM a", NULL},
        {"# escape=`\n# syntax=a", "a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *got = df_syntax(a, cases[i][0], strlen(cases[i][0]));
        if (!str_eq(got, cases[i][1])) fail_msg("%s: %s", cases[i][0], got ? got : "none");
    }
}

static void test_json(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *text;
        enum jsonlist want;
    } cases[] = {
        {"[]", JSONLIST_OK},
        {" [ \"a\" , \"b\" ] ", JSONLIST_OK},
        {"[\"\\u00e9\\ud83d\\ude00\\ud800\"]", JSONLIST_OK},
        {"[\"a\" \"b\"]", JSONLIST_NOT_JSON},
        {"[\"a\",]", JSONLIST_NOT_JSON},
        {"[\"\\q\"]", JSONLIST_NOT_JSON},
        {"[\"a\tb\"]", JSONLIST_NOT_JSON},
        {"[01]", JSONLIST_NOT_JSON},
        {"[1.]", JSONLIST_NOT_JSON},
        {"[1.5e+3, null, {\"a\": [true]}]", JSONLIST_NOT_STRINGS},
        {"[\"a\\u0000\"]", JSONLIST_NOT_STRINGS},
        {"{}", JSONLIST_NOT_JSON},
        {"", JSONLIST_NOT_JSON},
        {"[\"a", JSONLIST_NOT_JSON},
        {"['a']", JSONLIST_NOT_JSON},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct strs list;
        if (jsonlist_parse(a, cases[i].text, &list) != cases[i].want) fail_msg("%s", cases[i].text);
    }
    struct strs list;
    jsonlist_parse(a, cases[2].text, &list);
    assert_string_equal(list.v[0], "\xC3\xA9\xF0\x9F\x98\x80\xEF\xBF\xBD");
}

/* Instructions that are refused wherever they stand, and some that look as if they were. */
static void test_commands(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"COPY a", -ERR_INVALID},
        {"COPY --link=maybe a b", -ERR_INVALID},
        {"COPY --link= a b", -ERR_INVALID},
        {"COPY --link --link a b", -ERR_INVALID},
        {"COPY --exclude=a --exclude=b a b", 0},
        {"COPY --from a b", -ERR_INVALID},
        {"COPY --new=x a b", -ERR_UNSUPPORTED},
        {"COPY --Link a b", -ERR_UNSUPPORTED},
        {"COPY a <<E\nE", -ERR_INVALID},
        {"ADD --parents a b", -ERR_UNSUPPORTED},
        {"ADD --unpack=TRUE a b", 0},
        {"WHAT x", -ERR_UNSUPPORTED},
        {"FROM a b", -ERR_INVALID},
        {"FROM a AS 1b", -ERR_INVALID},
        {"FROM a aS B", 0},
        {"FROM a AS b c", -ERR_INVALID},
        {"ARG", -ERR_INVALID},
        {"ARG --x a", 0},
        {"ARG =b", -ERR_INVALID},
        {"ENV =b", -ERR_INVALID},
        {"ENV --x a=b", -ERR_UNSUPPORTED},
        {"SHELL sh", -ERR_INVALID},
        {"SHELL []", -ERR_INVALID},
        {"SHELL [\"sh\"]", 0},
        {"VOLUME [\" \"]", -ERR_INVALID},
        {"WORKDIR", -ERR_INVALID},
        {"ONBUILD", -ERR_INVALID},
        {"ONBUILD FROM a", -ERR_INVALID},
        {"ONBUILD ONBUILD x", -ERR_INVALID},
        {"ONBUILD COPY x", 0},
        {"RUN --network=x y", -ERR_INVALID},
        {"RUN --security=insecure y", 0},
        {"RUN --mount=type=x,target=/a y", 0},
        {"RUN --mount=from=$X y", -ERR_INVALID},
        {"RUN --mount=from=x$ y", 0},
        {"RUN --mount= y", -ERR_INVALID},
        {"RUN --mount='a\"b' y", -ERR_INVALID},
        {"RUN --device=a,b y", -ERR_INVALID},
        {"HEALTHCHECK NONE x", -ERR_INVALID},
        {"HEALTHCHECK CMD", -ERR_INVALID},
        {"HEALTHCHECK --interval=1us CMD x", -ERR_INVALID},
        {"HEALTHCHECK --interval=1.5m --retries=3 CMD x", 0},
        {"HEALTHCHECK --retries=-1 CMD x", -ERR_INVALID},
        {"HEALTHCHECK what", -ERR_INVALID},
        {"MAINTAINER a b", 0},
        {"STOPSIGNAL --x", -ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct df_file f;
        struct df_command c;
        if (df_parse(a, "D", cases[i].text, strlen(cases[i].text), &f, NULL) < 0) fail_msg("%s", cases[i].text);
        AUTO_ERR struct err err = {0};
        int r = df_command(a, &f.nodes[0], &c, &err);
        if (r != cases[i].want) fail_msg("%s: %d", cases[i].text, r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_lines),    cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_json),   cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
