#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "build/place.h"

static const char dockerfile[] = "# escape=\\\n"                   /* 1 */
                                 "ARG V=1\n"                       /* 2 */
                                 "FROM golang:${V} AS Build\n"     /* 3 */
                                 "WORKDIR /src\n"                  /* 4 */
                                 "COPY . .\n"                      /* 5 */
                                 "ENV A=b\n"                       /* 6 */
                                 "RUN make \\\n"                   /* 7 */
                                 "  # inside\n"                    /* 8 */
                                 "\n"                              /* 9 */
                                 "  all\n"                         /* 10 */
                                 "RUN <<EOF\n"                     /* 11 */
                                 "FROM inside a heredoc\n"         /* 12 */
                                 "EOF\n"                           /* 13 */
                                 "run  test\n"                     /* 14 */
                                 "FROM build\n"                    /* 15 */
                                 "RUN again\r\n"                   /* 16 */
                                 "FROM scratch\n"                  /* 17 */
                                 "COPY --from=build /x /${NAME}\n" /* 18 */
                                 "RUN make all\n";                 /* 19 */

static void test_steps(void **state) {
    (void) state;
    static const struct {
        const char *name;
        int line;
    } cases[] = {
        {"[build 1/6] FROM docker.io/library/golang:1", 3},
        {"[build 2/6] WORKDIR /src", 4},
        {"[build 3/6] COPY . .", 5},
        {"[build 4/6] RUN make   all", 7},
        {"[build 5/6] RUN <<EOF (FROM inside a heredoc)", 11},
        {"[build 6/6] RUN  test", 14},
        {"[stage-1 1/1] RUN again", 16},
        {"[stage-2 1/2] COPY --from=build /x /name", 18},
        {"[linux/amd64 stage-2 2/2] RUN make all", 19},
        {"[stage-2 2/3] RUN make all", 19},
        {"[build 9/9] COPY elsewhere", 0},
        {"[build 4/6] ADD x", 0},
        {"[other 1/2] RUN make", 0},
        {"[internal] load build context", 0},
        {"exporting to image", 0},
        {"[]", 0},
        {"[x/y", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (place_of_step(dockerfile, cases[i].name) != cases[i].line)
            fail_msg("%s: line %d, not %d", cases[i].name, place_of_step(dockerfile, cases[i].name), cases[i].line);
}

static void test_one_stage(void **state) {
    (void) state;
    assert_int_equal(place_of_step("FROM scratch\nCOPY a /a\nCOPY b /b\n", "[2/2] COPY b /b"), 3);
    assert_int_equal(place_of_step("FROM base\nCOPY a /a\nCOPY b /b", "[3/3] COPY b /b"), 3);
    assert_int_equal(place_of_step("# escape=`\nFROM base\nRUN a `\n b\nRUN c", "[3/3] RUN c"), 5);
    assert_int_equal(place_of_step("", "[3/3] RUN c"), 0);
    assert_int_equal(place_of_step("RUN c", "[1/1] RUN c"), 0); /* no stage */
}

static void test_errors(void **state) {
    (void) state;
    assert_int_equal(place_in_error("dockerfile parse error line 3: unknown instruction: FOO"), 3);
    assert_int_equal(place_in_error("dockerfile parse error on line 12: unknown flag"), 12);
    assert_int_equal(place_in_error("outline 4: x"), 0);
    assert_int_equal(place_in_error("line of text"), 0);
    assert_int_equal(place_in_error("line 99999999999: x"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps), cmocka_unit_test(test_one_stage),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests_name("build_place", tests, NULL, NULL);
}
