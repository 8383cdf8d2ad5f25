#include <stdatomic.h>
#include "harness.h"

static Tfplugin6__ApplyResourceChange__Response *apply(struct harness *h, const char *prior, const char *planned,
                                                       const char *config) {
    Tfplugin6__ApplyResourceChange__Request q = TFPLUGIN6__APPLY_RESOURCE_CHANGE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.prior_state = dyn_of(h, thing(h), prior);
    q.planned_state = dyn_of(h, thing(h), planned);
    q.config = dyn_of(h, thing(h), config);
    q.planned_private = bytes_of("{\"plan\":1}");
    return CALL(h, ApplyResourceChange, apply_resource_change, &q);
}

#define PRIOR "{\"id\":\"id-x\",\"name\":\"x\",\"rev\":\"r1\",\"seen\":\"none\"}"
#define OPEN "\"rev\":\"??\",\"seen\":\"??\""
#define PLAN "{\"plan\":1}"

/* The rows of the table of what core stores: an absent state keeps the prior one with its private bytes. */
static const struct {
    const char *what, *prior, *planned, *config, *state, *private, *diags;
} cases[] = {
    {"create", NULL,
     "{\"name\":\"x\",\"id\":\"??\",\"one\":{\"a\":\"1\",\"made\":\"??\"},\"items\":[{\"id\":\"??\",\"name\":\"i\"}]," OPEN "}",
     "{\"name\":\"x\",\"token\":\"four\"}",
     "{\"id\":\"id-x\",\"items\":[{\"id\":\"item-i\",\"name\":\"i\"}],\"name\":\"x\",\"one\":{\"a\":\"1\",\"made\":\"made\"},"
     "\"rev\":\"r1\",\"seen\":\"4\"}",
     "{\"made\":true}", ""},
    {"create: error", NULL, "{\"act\":\"fail\",\"name\":\"x\",\"id\":\"??\"," OPEN "}", "{\"name\":\"x\"}", "absent", PLAN,
     "E text: It failed"},
    {"create: error, kept, unknowns null", NULL, "{\"act\":\"keep\",\"name\":\"x\",\"id\":\"??\",\"tags\":[\"??\"]," OPEN "}",
     "{\"name\":\"x\"}", "{\"act\":\"keep\",\"name\":\"x\",\"tags\":[null]}", PLAN, "E labels[k]: It failed late"},
    {"create: a value forgotten", NULL, "{\"act\":\"unknown\",\"name\":\"x\",\"id\":\"??\"," OPEN "}", "{\"name\":\"x\"}",
     "{\"act\":\"unknown\",\"id\":\"id-x\",\"name\":\"x\",\"seen\":\"none\"}", "{\"made\":true}",
     "E rev: A value is still unknown"},
    {"create: a bad byte", NULL, "{\"act\":\"bytes\",\"name\":\"x\",\"id\":\"??\"," OPEN "}", "{\"name\":\"x\"}",
     "{\"act\":\"bytes\",\"id\":\"id-x\",\"name\":\"x\",\"rev\":\"cut\xef\xbf\xbd\xef\xbf\xbd\",\"seen\":\"none\"}",
     "{\"made\":true}", ""},
    {"write-only values that come in a plan are not stored", NULL,
     "{\"name\":\"x\",\"token\":\"t\",\"one\":{\"secret\":\"s\"},\"secrets\":{\"k\":{\"value\":\"v\"}},\"id\":\"??\"," OPEN "}",
     "{\"name\":\"x\"}", "{\"id\":\"id-x\",\"name\":\"x\",\"one\":{},\"rev\":\"r1\",\"secrets\":{\"k\":{}},\"seen\":\"none\"}",
     "{\"made\":true}", ""},
    {"update", PRIOR, "{\"id\":\"id-x\",\"name\":\"x\",\"text\":\"t\"," OPEN "}", "{\"name\":\"x\"}",
     "{\"id\":\"id-x\",\"name\":\"x\",\"rev\":\"r2\",\"seen\":\"none\",\"text\":\"t\"}", "{\"made\":true}", ""},
    {"update: error", PRIOR, "{\"act\":\"fail\",\"id\":\"id-x\",\"name\":\"x\"," OPEN "}", "{\"name\":\"x\"}", "absent", PLAN,
     "E text: It failed"},
    {"update: error, kept", PRIOR, "{\"act\":\"keep\",\"id\":\"id-x\",\"name\":\"x\"," OPEN "}", "{\"name\":\"x\"}",
     "{\"act\":\"keep\",\"id\":\"id-x\",\"name\":\"x\"}", PLAN, "E labels[k]: It failed late"},
    {"an argument is open", NULL, "{\"name\":\"x\",\"labels\":{\"a\":\"??\"}}", "{\"name\":\"x\"}", "absent", PLAN,
     "E labels: An argument has no value yet"},
    {"a nested argument is open", NULL, "{\"name\":\"x\",\"items\":[{}]}", "{\"name\":\"x\"}", "absent", PLAN,
     "E items: An argument has no value yet"},
    {"a required argument is null", NULL, "{}", "{\"name\":\"x\"}", "absent", PLAN, "E name: An argument has no value yet"},
    {"no configuration", NULL, "{\"name\":\"x\"}", NULL, "absent", PLAN, "E : There is no configuration"},
    {"destroy", PRIOR, NULL, NULL, "null", "", ""},
    {"destroy: error", "{\"act\":\"nodestroy\",\"id\":\"id-x\",\"name\":\"x\"}", NULL, NULL, "absent", PLAN, "E : It stays"},
    {"destroy: error, something went", "{\"act\":\"halfdestroy\",\"id\":\"id-x\",\"name\":\"x\"}", NULL, NULL,
     "{\"act\":\"halfdestroy\",\"id\":\"id-x\",\"name\":\"x\",\"rev\":\"half\"}", PLAN, "E : It stays"},
};

static void test_applies(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        HARNESS(h);
        configure(&h);
        Tfplugin6__ApplyResourceChange__Response *m = apply(&h, cases[i].prior, cases[i].planned, cases[i].config);
        const char *got = shown(&h, thing(&h), m->new_state);
        if (!str_eq(got, cases[i].state)) print_message("# %s\n", cases[i].what);
        assert_string_equal(DIAGS(&h, m), cases[i].diags);
        assert_string_equal(got, cases[i].state);
        assert_string_equal(text_of(&h, m->private_), cases[i].private);
        assert_false(m->legacy_type_system);
    }
}

static void test_needs_configuration(void **state) {
    (void) state;
    HARNESS(h);
    Tfplugin6__ApplyResourceChange__Response *m = apply(&h, NULL, "{\"name\":\"x\",\"id\":\"??\"}", "{\"name\":\"x\"}");
    assert_string_equal(DIAGS(&h, m), "E : The provider is not configured");
    assert_null(m->new_state);
    assert_string_equal(text_of(&h, m->private_), PLAN);
}

struct waiting {
    struct harness h;
    const char *diags;
    bool absent;
    atomic_bool started, done;
};

static void *wait_in_create(void *arg) {
    struct waiting *w = arg;
    atomic_store(&w->started, true);
    w->h.arena = arena_new(); /* a thread, an arena */
    w->h.ctx.arena = w->h.arena;
    Tfplugin6__ApplyResourceChange__Response *m =
        apply(&w->h, NULL, "{\"name\":\"x\",\"act\":\"wait\",\"id\":\"??\"}", "{\"name\":\"x\"}");
    w->diags = DIAGS(&w->h, m);
    w->absent = !m->new_state;
    atomic_store(&w->done, true);
    return NULL;
}

/* StopProvider reaches all calls that run; later ones are still answered. */
static void test_stop(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    pthread_t threads[3];
    struct waiting w[3];
    for (size_t i = 0; i < 3; i++) {
        w[i] = (struct waiting){.h = h};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_create, &w[i]), 0);
    }
    AUTO_ERR struct err err = {0};
    ctx_sleep(&h.ctx, 30, &err);
    Tfplugin6__StopProvider__Request stop = TFPLUGIN6__STOP_PROVIDER__REQUEST__INIT;
    assert_string_equal(CALL(&h, StopProvider, stop_provider, &stop)->error, "");
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(w[i].diags, "E : The thing was not made");
        assert_true(w[i].absent);
        arena_free(w[i].h.arena);
    }
    Tfplugin6__ApplyResourceChange__Response *m =
        apply(&h, NULL, "{\"name\":\"x\",\"act\":\"wait\",\"id\":\"??\"}", "{\"name\":\"x\"}");
    assert_string_equal(DIAGS(&h, m), "E : The thing was not made");
    m = apply(&h, PRIOR, NULL, NULL);
    assert_string_equal(shown(&h, thing(&h), m->new_state), "null");
    assert_string_equal(CALL(&h, StopProvider, stop_provider, &stop)->error, "");
}

/* A server that hosts attach to works on for the next one. */
static void test_stop_in_reattach_mode(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    tf_server_outlives_hosts(h.server);
    for (int host = 0; host < 2; host++) {
        struct waiting w = {.h = h};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wait_in_create, &w), 0);
        while (!atomic_load(&w.started)) ctx_sleep(&h.ctx, 1, NULL);
        ctx_sleep(&h.ctx, 50, NULL);
        assert_false(atomic_load(&w.done));
        while (!atomic_load(&w.done)) { /* a call that comes after it isn't reached */
            Tfplugin6__StopProvider__Request stop = TFPLUGIN6__STOP_PROVIDER__REQUEST__INIT;
            assert_string_equal(CALL(&h, StopProvider, stop_provider, &stop)->error, "");
            ctx_sleep(&h.ctx, 5, NULL);
        }
        pthread_join(thread, NULL);
        assert_string_equal(w.diags, "E : The thing was not made");
        arena_free(w.h.arena);
    }
    assert_false(cancel_requested(h.stop));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applies),
        cmocka_unit_test(test_needs_configuration),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_in_reattach_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
