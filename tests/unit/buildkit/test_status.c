#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "buildkit/pb.h"
#include "buildkit/status.h"
#include "proto/buildkit_control.pb-c.h"

struct fixture {
    struct arena *a;
    struct bk_status *s;
    struct buf lines, output;
};

static void on_line(void *self, const char *text) {
    struct fixture *f = self;
    buf_addf(&f->lines, "%s\n", text);
}

static void on_output(void *self, const char *step, const char *data, size_t len) {
    struct fixture *f = self;
    buf_addf(&f->output, "%s|%.*s\n", step, (int) len, data);
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->s = bk_status_new(&(struct bk_status_sink){.line = on_line, .output = on_output, .self = f});
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    bk_status_free(f->s);
    buf_done(&f->lines);
    buf_done(&f->output);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

struct change {
    const char *digest, *name, *error, *log;
    bool cached;
    double started, completed; /* seconds; 0: not set */
};

static Bk__Timestamp *at(struct arena *a, double seconds) {
    if (seconds == 0) return NULL;
    Bk__Timestamp *t = arena_alloc(a, sizeof *t);
    bk__timestamp__init(t);
    t->seconds = (int64_t) seconds;
    t->nanos = (int32_t) ((seconds - (double) t->seconds) * 1e9);
    return t;
}

static void tell(struct fixture *f, const struct change *c) {
    Bk__Vertex v = BK__VERTEX__INIT, *vertexes[] = {&v};
    v.digest = (char *) c->digest;
    if (c->name) v.name = (char *) c->name;
    if (c->error) v.error = (char *) c->error;
    v.cached = c->cached;
    v.started = at(f->a, c->started);
    v.completed = at(f->a, c->completed);
    Bk__VertexLog l = BK__VERTEX_LOG__INIT, *logs[] = {&l};
    l.vertex = (char *) c->digest;
    l.stream = 1;
    if (c->log) l.msg = (ProtobufCBinaryData){strlen(c->log), (uint8_t *) c->log};
    Bk__StatusResponse m = BK__STATUS_RESPONSE__INIT;
    m.n_vertexes = 1;
    m.vertexes = vertexes;
    m.n_logs = c->log ? 1 : 0;
    m.logs = logs;
    size_t len;
    void *packed = pb_pack(f->a, &m.base, &len);
    assert_int_equal(bk_status_add(f->s, packed, len, NULL), 0);
}

#define TELL(...) tell(f, &(struct change){__VA_ARGS__})

static void test_lines(void **state) {
    struct fixture *f = *state;
    TELL(.digest = "i", .name = "[internal] load build definition", .started = 1, .completed = 1.1);
    TELL(.digest = "a", .name = "[build 1/4] FROM base", .cached = true, .started = 1, .completed = 1);
    TELL(.digest = "f", .name = "[other 1/1] FROM another", .started = 1, .completed = 1.05);
    TELL(.digest = "b", .name = "[build 2/4] COPY . /src", .cached = true, .completed = 1);
    TELL(.digest = "c", .name = "[build 3/4] RUN make");
    TELL(.digest = "c", .name = "[build 3/4] RUN make", .started = 2);
    TELL(.digest = "c", .log = "cc main.c\n");
    TELL(.digest = "c", .name = "[build 3/4] RUN make", .started = 2, .completed = 14.3);
    TELL(.digest = "c", .name = "[build 3/4] RUN make", .started = 2, .completed = 14.3);
    TELL(.digest = "d", .name = "[build 4/4] RUN ok", .cached = true, .completed = 15);
    bk_status_end(f->s);
    assert_string_equal(buf_str(&f->lines), "3 steps cached\n[build 3/4] RUN make 12.3s\n1 step cached\n");
    assert_string_equal(buf_str(&f->output), "[build 3/4] RUN make|cc main.c\n\n");
    struct bk_counts c = bk_status_counts(f->s);
    assert_int_equal(c.steps, 5);
    assert_int_equal(c.cached, 3);
}

static void test_slow_internal_steps_are_told(void **state) {
    struct fixture *f = *state;
    TELL(.digest = "e", .name = "exporting to image", .started = 1, .completed = 3.5);
    TELL(.digest = "q", .name = "exporting cache", .started = 1, .completed = 1.5);
    assert_string_equal(buf_str(&f->lines), "exporting to image 2.5s\n");
}

static void test_failure(void **state) {
    struct fixture *f = *state;
    TELL(.digest = "o", .name = "[other 2/2] RUN sleep", .started = 1, .completed = 2, .error = "context canceled: stopped");
    TELL(.digest = "c", .name = "[2/2] RUN false", .started = 1);
    TELL(.digest = "c", .log = "one\ntwo\nthree\n\033[31mfour\033[0m\n");
    TELL(.digest = "c", .name = "[2/2] RUN false", .started = 1, .completed = 2, .error = "exit code: 1");
    struct bk_step step;
    assert_int_equal(bk_status_failed(f->s, f->a, 3, &step), 1);
    assert_string_equal(step.name, "[2/2] RUN false");
    assert_string_equal(step.error, "exit code: 1");
    assert_string_equal(step.tail, "two\nthree\nfour");
    assert_string_equal(buf_str(&f->lines), "[2/2] RUN false failed after 1.0s\n");
}

static void test_no_failure(void **state) {
    struct fixture *f = *state;
    struct bk_step step;
    TELL(.digest = "c", .name = "[2/2] RUN true", .started = 1, .completed = 2);
    assert_int_equal(bk_status_failed(f->s, f->a, 40, &step), 0);
}

/* The tail of an endless output is its end, whatever the sizes of its pieces. */
static void test_long_output(void **state) {
    struct fixture *f = *state;
    TELL(.digest = "c", .name = "[2/2] RUN x", .started = 1);
    for (int i = 0; i < 20000; i++) TELL(.digest = "c", .log = arena_printf(f->a, "line %d%s", i, i % 3 ? "\n" : ",\n"));
    char *huge = arena_alloc(f->a, 100001);
    memset(huge, 'x', 100000);
    TELL(.digest = "c", .log = huge);
    for (int i = 0; i < 50; i++) TELL(.digest = "c", .log = arena_printf(f->a, "\nend %d", i));
    TELL(.digest = "c", .completed = 2, .error = "exit code: 1");
    struct bk_step step;
    assert_int_equal(bk_status_failed(f->s, f->a, 3, &step), 1);
    assert_string_equal(step.tail, "end 47\nend 48\nend 49");
}

static void test_long_names(void **state) {
    struct fixture *f = *state;
    struct buf name = {0};
    buf_adds(&name, "[2/2] RUN \n\t  ");
    for (int i = 0; i < 100; i++) buf_adds(&name, "é");
    TELL(.digest = "c", .name = name.data, .started = 1, .completed = 2);
    buf_done(&name);
    assert_true(str_starts(buf_str(&f->lines), "[2/2] RUN ééé"));
    assert_true(str_ends(buf_str(&f->lines), "é… 1.0s\n"));
    assert_int_equal(utf8_check(f->lines.data, f->lines.len, NULL), 0);
    assert_true(f->lines.len < 115);
}

static void test_transferred_bytes(void **state) {
    struct fixture *f = *state;
    TELL(.digest = "x", .name = "[internal] load build context", .started = 1);
    Bk__VertexStatus st = BK__VERTEX_STATUS__INIT, *statuses[] = {&st};
    st.id = (char *) "transferring context:";
    st.vertex = (char *) "x";
    st.current = 12345678;
    Bk__StatusResponse m = BK__STATUS_RESPONSE__INIT;
    m.n_statuses = 1;
    m.statuses = statuses;
    size_t len;
    void *packed = pb_pack(f->a, &m.base, &len);
    assert_int_equal(bk_status_add(f->s, packed, len, NULL), 0);
    TELL(.digest = "x", .started = 1, .completed = 3);
    assert_string_equal(buf_str(&f->lines), "[internal] load build context 12.3 MB 2.0s\n");
    assert_int_equal(bk_status_counts(f->s).context_bytes, 12345678);
}

static void test_rubbish(void **state) {
    struct fixture *f = *state;
    AUTO_ERR struct err err = {0};
    assert_int_equal(bk_status_add(f->s, "\xff\xff", 2, &err), -ERR_PROTOCOL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_lines),
        CASE(test_slow_internal_steps_are_told),
        CASE(test_failure),
        CASE(test_no_failure),
        CASE(test_long_output),
        CASE(test_long_names),
        CASE(test_transferred_bytes),
        CASE(test_rubbish),
    };
    return cmocka_run_group_tests_name("buildkit_status", tests, NULL, NULL);
}
