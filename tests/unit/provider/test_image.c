/* gpudev_image as OpenTofu drives it: plan, apply, read and destroy, with the checks that OpenTofu makes of the answers. */
#include "../tf/harness.h"

#include "../context/tree.h"
#include "fake_registry.h"
#include "provider/image/image.h"

static void *configure_nothing(struct tf_req *req, const void *config) {
    (void) req, (void) config;
    return &fake;
}

static const struct tf_attr no_attrs[] = {{0}};
static const struct tf_resource *const resources[] = {&image_resource, NULL};
static const struct tf_provider provider = {
    .table = {no_attrs, sizeof(int), NULL}, .description = "", .configure = configure_nothing, .resources = resources};

/* What OpenTofu has of one resource. */
struct core {
    struct harness h;
    char *dir;
    const char *config, *created; /* JSON; the second what the state was made from */
    struct cty_value state;       /* null: not there */
    bool tainted;
    ProtobufCBinaryData private;
    /* the last call */
    const char *diags;
    bool replaces;
    struct cty_value planned;
    ProtobufCBinaryData planned_private;
};

static int setup(void **state) {
    struct core *c = NEW(struct core);
    fake_reset();
    c->h = (struct harness){.arena = arena_new(), .stop = cancel_new(NULL)};
    c->h.server = tf_server_new(&provider, c->h.stop);
    c->h.ctx.arena = c->h.arena;
    Tfplugin6__ConfigureProvider__Request q = TFPLUGIN6__CONFIGURE_PROVIDER__REQUEST__INIT;
    q.config = dyn_of(&c->h, &c->h.server->shape, "{}");
    CALL(&c->h, ConfigureProvider, configure_provider, &q);
    c->dir = tree_new(c->h.arena);
    tree_file(c->h.arena, c->dir, "Dockerfile", "FROM scratch\nCOPY a /a\n");
    tree_file(c->h.arena, c->dir, "a", "1");
    c->state = cty_null(thing(&c->h)->type);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    struct core *c = *state;
    tree_remove(c->dir);
    harness_done(&c->h);
    mem_free(c);
    return 0;
}

static const struct cty_value *attr(const struct cty_value *object, const char *name) {
    ptrdiff_t i = cty_type_find(object->type, name, strlen(name));
    assert_true(i >= 0 && object->state == CTY_KNOWN);
    return &object->seq.v[i];
}

static const char *shown_attr(struct core *c, const struct cty_value *object, const char *name) {
    AUTO_BUF struct buf b = {0};
    show_into(&b, attr(object, name));
    return arena_dup(c->h.arena, b.data, b.len);
}

static struct cty_value config_of(struct core *c) {
    return parse_val(c->h.arena, thing(&c->h)->type, arena_printf(c->h.arena, "{\"context\":\"%s\",%s}", c->dir, c->config));
}

static struct cty_value decoded(struct core *c, const Tfplugin6__DynamicValue *m) {
    struct cty_value v = cty_null(thing(&c->h)->type);
    AUTO_ERR struct err err = {0};
    if (m && cty_msgpack_decode(c->h.arena, v.type, m->msgpack.data, m->msgpack.len, &v, &err) < 0) fail_msg("%s", err_text(&err));
    return v;
}

static ProtobufCBinaryData kept(struct core *c, ProtobufCBinaryData b) {
    return (ProtobufCBinaryData){b.len, b.len ? arena_dup(c->h.arena, b.data, b.len) : NULL};
}

/* The config with prior's value where it is null and the attribute computed. */
static struct cty_value proposed(struct core *c, const struct cty_value *prior, const struct cty_value *config) {
    struct cty_value v = *config;
    v.seq.v = arena_dup(c->h.arena, config->seq.v, v.seq.n * sizeof *v.seq.v);
    tf_each(a, thing(&c->h)->table) {
        ptrdiff_t i = cty_type_find(v.type, a->name, strlen(a->name));
        if (v.seq.v[i].state == CTY_NULL && a->flags & TF_COMPUTED && prior->state == CTY_KNOWN) v.seq.v[i] = prior->seq.v[i];
    }
    return v;
}

/* Whether a plan came. */
static bool plan_from(struct core *c, const struct cty_value *prior, ProtobufCBinaryData private) {
    struct cty_value config = config_of(c), next = proposed(c, prior, &config);
    Tfplugin6__PlanResourceChange__Request q = TFPLUGIN6__PLAN_RESOURCE_CHANGE__REQUEST__INIT;
    q.type_name = (char *) "gpudev_image";
    q.prior_state = dyn(&c->h, prior);
    q.config = dyn(&c->h, &config);
    q.proposed_new_state = dyn(&c->h, &next);
    q.prior_private = private;
    Tfplugin6__PlanResourceChange__Response *m = CALL(&c->h, PlanResourceChange, plan_resource_change, &q);
    c->diags = DIAGS(&c->h, m);
    c->planned = decoded(c, m->planned_state);
    c->planned_private = kept(c, m->planned_private);
    c->replaces = m->n_requires_replace > 0;
    return strstr(c->diags, "E ") == NULL;
}

/* The rules of OpenTofu about an answer without error. */
static void check_consistent(const struct cty_value *planned, const struct cty_value *now) {
    assert_true(cty_wholly_known(now));
    assert_int_equal(now->state, planned->state);
    for (size_t i = 0; now->state == CTY_KNOWN && i < planned->seq.n; i++)
        if (cty_wholly_known(&planned->seq.v[i]) && !cty_equal(&planned->seq.v[i], &now->seq.v[i]))
            fail_msg("inconsistent result: %s", planned->type->attrs[i].name);
}

static void apply_to(struct core *c, const struct cty_value *prior, const struct cty_value *planned, ProtobufCBinaryData private) {
    struct cty_value config = planned->state == CTY_KNOWN ? config_of(c) : *planned;
    Tfplugin6__ApplyResourceChange__Request q = TFPLUGIN6__APPLY_RESOURCE_CHANGE__REQUEST__INIT;
    q.type_name = (char *) "gpudev_image";
    q.prior_state = dyn(&c->h, prior);
    q.planned_state = dyn(&c->h, planned);
    q.config = dyn(&c->h, &config);
    q.planned_private = private;
    Tfplugin6__ApplyResourceChange__Response *m = CALL(&c->h, ApplyResourceChange, apply_resource_change, &q);
    c->diags = DIAGS(&c->h, m);
    struct cty_value now = decoded(c, m->new_state);
    bool failed = strstr(c->diags, "E ") != NULL, create = prior->state == CTY_NULL;
    if (!failed) check_consistent(planned, &now);
    if (failed && now.state == CTY_NULL && !create) return; /* the prior state and its private bytes stay */
    c->state = now;
    c->private = kept(c, m->private_);
    c->tainted = failed && create;
}

static bool destroy_with(struct core *c, ProtobufCBinaryData private) {
    struct cty_value gone = cty_null(c->state.type);
    apply_to(c, &c->state, &gone, private);
    return strstr(c->diags, "E ") == NULL;
}

/* As `tofu apply` without a refresh; whether it went well. */
static bool apply(struct core *c, const char *config) {
    c->config = config;
    struct cty_value none = cty_null(c->state.type);
    /* A tainted object is planned as if it weren't there. */
    bool tainted = c->tainted && c->state.state == CTY_KNOWN;
    if (!plan_from(c, tainted ? &none : &c->state, tainted ? (ProtobufCBinaryData){0} : c->private)) return false;
    if (!c->replaces && !tainted) {
        if (c->state.state == CTY_NULL || !cty_equal(&c->planned, &c->state)) apply_to(c, &c->state, &c->planned, c->planned_private);
        return strstr(c->diags, "E ") == NULL;
    }
    if (!tainted && !plan_from(c, &none, c->planned_private)) return false;
    if (!destroy_with(c, c->planned_private)) return false;
    if (!plan_from(c, &none, c->planned_private)) return false;
    apply_to(c, &none, &c->planned, c->planned_private);
    return strstr(c->diags, "E ") == NULL;
}

static void refresh(struct core *c) {
    Tfplugin6__ReadResource__Request q = TFPLUGIN6__READ_RESOURCE__REQUEST__INIT;
    q.type_name = (char *) "gpudev_image";
    q.current_state = dyn(&c->h, &c->state);
    q.private_ = c->private;
    Tfplugin6__ReadResource__Response *m = CALL(&c->h, ReadResource, read_resource, &q);
    c->diags = DIAGS(&c->h, m);
    c->state = decoded(c, m->new_state);
    assert_true(cty_wholly_known(&c->state));
    c->private = kept(c, m->private_);
}

static void import(struct core *c, const char *id) {
    Tfplugin6__ImportResourceState__Request q = TFPLUGIN6__IMPORT_RESOURCE_STATE__REQUEST__INIT;
    q.type_name = (char *) "gpudev_image";
    q.id = (char *) id;
    Tfplugin6__ImportResourceState__Response *m = CALL(&c->h, ImportResourceState, import_resource_state, &q);
    c->diags = DIAGS(&c->h, m);
    if (!m->n_imported_resources) return;
    c->state = decoded(c, m->imported_resources[0]->state);
    refresh(c);
}

static void edit(struct core *c, const char *text) { tree_file(c->h.arena, c->dir, "a", text); }

static bool no_change(struct core *c) { return plan_from(c, &c->state, c->private) && cty_equal(&c->planned, &c->state); }

#define URL "111122223333.dkr.ecr.us-east-2.amazonaws.com/api"
#define API "\"repository\":\"api\""
#define assert_tags(c, expected) assert_string_equal(fake_tags((c)->h.arena), (expected))
#define assert_attr(c, name, expected) assert_string_equal(shown_attr((c), &(c)->state, (name)), (expected))

/* ---- the story ---- */

static void test_story(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    assert_attr(c, "uri", "\"" URL ":latest\"");
    assert_attr(c, "registry_id", "\"111122223333\"");
    assert_true(fake.policy && fake.marked);
    assert_tags(c, "latest src");
    assert_true(no_change(c));
    refresh(c);
    assert_true(no_change(c));

    edit(c, "2");
    assert_true(apply(c, API));
    assert_int_equal(fake.builds, 2);
    assert_tags(c, "latest src src");
    edit(c, "1"); /* a revert builds nothing */
    assert_true(apply(c, API));
    assert_int_equal(fake.builds, 2);

    assert_true(apply(c, API ",\"tags\":[\"v1\",\"latest\"]"));
    assert_tags(c, "latest src src v1");
    assert_true(apply(c, API ",\"tags\":[\"v1\"]"));
    assert_int_equal(fake.builds, 2);
    assert_tags(c, "src src v1");

    assert_true(destroy_with(c, c->private));
    assert_tags(c, "");
    assert_false(fake.repository);
}

static void test_elsewhere_nothing_is_built(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    c->state = cty_null(c->state.type);
    c->private = (ProtobufCBinaryData){0};
    fake.no_builder = true;
    assert_true(apply(c, API));
    assert_int_equal(fake.builds, 1);
}

static void test_drift(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API ",\"tags\":[\"latest\",\"v1\"]"));
    fake_put("latest", "sha256:0000000000000000000000000000000000000000000000000000000000009999");
    refresh(c);
    assert_string_equal(c->diags, "W tags[0]: A tag was moved");
    assert_attr(c, "tags", "[\"v1\"]");
    assert_true(apply(c, API ",\"tags\":[\"latest\",\"v1\"]"));
    assert_int_equal(fake.builds, 1);
    assert_string_equal(fake_digest("latest"), fake_digest("v1"));

    fake.no_network = true;
    struct cty_value before = c->state;
    refresh(c);
    assert_string_equal(c->diags, "W repository: The image could not be looked at; its last known state is kept");
    assert_true(cty_equal(&before, &c->state));
    fake.no_network = false;

    fake.n = 0;
    refresh(c);
    assert_int_equal(c->state.state, CTY_NULL);
}

/* ---- failures ---- */

static void test_failed_build_keeps_all(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    struct cty_value before = c->state;
    edit(c, "2");
    fake.build_fails = true;
    assert_false(apply(c, API));
    assert_true(cty_equal(&before, &c->state));
    assert_tags(c, "latest src");
    assert_string_equal(fake_digest("latest"), "sha256:0000000000000000000000000000000000000000000000000000000000000001");
}

static void test_pushed_is_not_forgotten(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    struct cty_value before = c->state;
    edit(c, "2");
    fake.put_fails = "latest";
    assert_false(apply(c, API));
    assert_true(cty_equal(&before, &c->state));
    assert_tags(c, "latest src src");
    fake.put_fails = NULL;
    edit(c, "3"); /* what was pushed in between is taken away with the rest */
    assert_true(apply(c, API));
    assert_int_equal(fake.builds, 3);
    assert_true(destroy_with(c, c->private));
    assert_tags(c, "");
    assert_false(fake.repository);
}

static void test_pushed_without_content_tag(void **state) {
    struct core *c = *state;
    fake.get_fails = true;
    assert_false(apply(c, API ",\"content_tag\":false,\"tags\":[\"v1\",\"v2\"]"));
    assert_string_equal(c->diags, "E : The image was pushed, but could not be verified");
    assert_true(c->tainted);
    assert_attr(c, "digest", "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\"");
    assert_attr(c, "tags", "[\"v1\"]");
    fake.get_fails = false;
    /* A tainted object's private bytes reach nobody: destroy finds out by itself whose the repository is. */
    assert_true(apply(c, API ",\"content_tag\":false,\"tags\":[\"v1\",\"v2\"]"));
    assert_tags(c, "v1 v2");
    assert_true(destroy_with(c, (ProtobufCBinaryData){0}));
    assert_tags(c, "");
    assert_false(fake.repository);
}

static void test_no_policy_no_repository(void **state) {
    struct core *c = *state;
    fake.no_policy = true;
    assert_false(apply(c, API));
    assert_false(fake.repository);
    assert_int_equal(c->state.state, CTY_NULL);
}

static void test_policy(void **state) {
    struct core *c = *state;
    fake.repository = fake.marked = true; /* made by an apply that was killed right after that */
    assert_true(apply(c, API));
    assert_true(fake.policy);
    assert_true(apply(c, API ",\"keep_last\":0"));
    assert_false(fake.policy);
    edit(c, "2");
    assert_true(apply(c, API ",\"keep_last\":0"));
    assert_false(fake.policy);
    assert_true(apply(c, API ",\"keep_last\":5"));
    assert_true(fake.policy);
}

static void test_no_builder_nothing_made(void **state) {
    struct core *c = *state;
    fake.no_builder = true;
    assert_false(apply(c, API));
    assert_false(fake.repository);
}

static void test_changed_since_the_plan(void **state) {
    struct core *c = *state;
    c->config = API;
    assert_true(plan_from(c, &c->state, c->private));
    edit(c, "2");
    apply_to(c, &c->state, &c->planned, c->planned_private);
    assert_string_equal(c->diags, "E context: The sources have changed since the plan");
    assert_int_equal(c->state.state, CTY_NULL);
    assert_int_equal(fake.builds, 0);
}

/* The plan in the apply sees what has changed since the first one, before OpenTofu calls that a bug. */
static void test_changed_before_the_second_plan(void **state) {
    struct core *c = *state;
    setenv("XDG_CACHE_HOME", tree_new(c->h.arena), 1);
    setenv("TF_PLUGIN_MAGIC_COOKIE", "x", 1);
    c->config = API;
    assert_true(plan_from(c, &c->state, c->private));
    assert_true(plan_from(c, &c->state, c->private));
    edit(c, "2");
    assert_false(plan_from(c, &c->state, c->private));
    assert_string_equal(c->diags, "E context: The sources have changed since the plan");
    c->config = API ",\"triggers\":{\"a\":\"1\"}"; /* another image of the same sources */
    assert_true(plan_from(c, &c->state, c->private));
    assert_true(apply(c, API));
    edit(c, "3"); /* built: what comes now is another change */
    assert_true(apply(c, API));
    assert_int_equal(fake.builds, 2);
    tree_remove(getenv("XDG_CACHE_HOME"));
    unsetenv("XDG_CACHE_HOME");
    unsetenv("TF_PLUGIN_MAGIC_COOKIE");
}

/* ---- whose repository ---- */

static void test_adopted_repository_stays(void **state) {
    struct core *c = *state;
    fake.repository = true;
    assert_true(apply(c, API));
    assert_false(fake.policy);
    assert_true(destroy_with(c, c->private));
    assert_tags(c, "");
    assert_true(fake.repository);
}

/* The create call of a replacement comes with what is remembered of the old object. */
static void test_replaced(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    fake.repository = true; /* the fake has one place for all names: as if the new one were there, and not ours */
    c->config = "\"repository\":\"web\"";
    assert_true(plan_from(c, &c->state, c->private));
    assert_true(c->replaces);
    struct cty_value none = cty_null(c->state.type);
    assert_true(plan_from(c, &none, c->planned_private));
    assert_true(destroy_with(c, c->planned_private));
    assert_false(fake.repository); /* the old one was ours */
    fake.repository = true;
    apply_to(c, &none, &c->planned, c->planned_private);
    assert_string_equal(c->diags, "");
    assert_true(destroy_with(c, c->private));
    assert_tags(c, "");
    assert_true(fake.repository);
}

static void test_other_account(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    struct cty_value before = c->state;
    fake.account = "999999999999";
    edit(c, "2");
    assert_false(apply(c, API));
    assert_true(cty_equal(&before, &c->state));
    assert_int_equal(fake.builds, 1);
}

/* ---- import ---- */

static void test_import(void **state) {
    struct core *c = *state;
    fake.repository = true;
    fake_put("v7", "sha256:0000000000000000000000000000000000000000000000000000000000009999");
    import(c, "api:v7");
    assert_string_equal(c->diags, "");
    assert_attr(c, "uri", "\"" URL ":v7\"");
    import(c, "api:v8");
    assert_string_equal(c->diags, "E : The image can't be imported");
    import(c, "api");
    assert_string_equal(c->diags, "E : The import's id can't be used");
}

/* Imported by its URL, configured by its name: the same repository, not a replacement. */
static void test_url_and_name_are_one(void **state) {
    struct core *c = *state;
    assert_true(apply(c, API));
    const char *id = URL ":latest";
    import(c, id);
    assert_attr(c, "repository", "\"" URL "\"");
    c->config = API;
    assert_true(plan_from(c, &c->state, c->private));
    assert_false(c->replaces);
    assert_true(apply(c, API));
    assert_attr(c, "repository", "\"api\"");
    assert_true(apply(c, "\"repository\":\"" URL "\""));
    assert_false(c->replaces);
    assert_attr(c, "repository", "\"" URL "\"");
    assert_int_equal(fake.builds, 1);
    c->config = "\"repository\":\"web\"";
    assert_true(plan_from(c, &c->state, c->private));
    assert_true(c->replaces);
}

/* ---- plans ---- */

static void test_plan_checks_late_values(void **state) {
    static const struct {
        const char *config, *diags;
    } cases[] = {
        {API ",\"tags\":[]", "E tags: An image needs a tag"},
        {API ",\"tags\":[null]", "E tags[0]: An element of tags is null"},
        {API ",\"tags\":[\"a\",\"a\"]", "E tags: A tag stands twice"},
        {"\"repository\":\"API\"", "E repository: The value of repository can't be used"},
        {API ",\"dockerfile\":\"none\"", "E dockerfile: The Dockerfile can't be read"},
    };
    struct core *c = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        c->config = cases[i].config;
        assert_false(plan_from(c, &c->state, c->private));
        assert_string_equal(c->diags, cases[i].diags);
    }
}

static void test_plan_unknown(void **state) {
    struct core *c = *state;
    c->config = API ",\"triggers\":{\"a\":\"??\"},\"tags\":[\"??\"]";
    assert_true(plan_from(c, &c->state, c->private));
    assert_string_equal(shown_attr(c, &c->planned, "source_hash"), "\"??\"");
    assert_string_equal(shown_attr(c, &c->planned, "sources"), "\"??\"");
    assert_true(apply(c, API ",\"triggers\":{\"a\":\"1\"},\"tags\":[\"v1\"]"));
    c->config = API ",\"triggers\":{\"a\":\"1\"},\"tags\":[\"??\"]";
    assert_true(plan_from(c, &c->state, c->private));
    assert_string_equal(shown_attr(c, &c->planned, "uri"), "\"??\"");
    assert_string_equal(shown_attr(c, &c->planned, "digest"), shown_attr(c, &c->state, "digest"));
}

static void test_immutable(void **state) {
    struct core *c = *state;
    fake.repository = fake.immutable = true;
    assert_true(apply(c, API ",\"tags\":[\"v1\"]"));
    edit(c, "2");
    assert_false(apply(c, API ",\"tags\":[\"v1\"]"));
    assert_string_equal(c->diags, "E tags[0]: The tag can't be moved");
    edit(c, "1");
    /* On another machine the tag is on this very image already. */
    c->state = cty_null(c->state.type);
    assert_true(apply(c, API ",\"tags\":[\"v1\"]"));
    assert_int_equal(fake.builds, 1);
    fake_put("v2", fake_digest("v1"));
    assert_true(apply(c, API ",\"tags\":[\"v1\",\"v2\"]"));
    fake_put("v3", "sha256:0000000000000000000000000000000000000000000000000000000000009999");
    assert_false(apply(c, API ",\"tags\":[\"v1\",\"v3\"]"));
    assert_string_equal(c->diags, "E tags[1]: The tag can't be moved");
}

static void test_lower_case_dockerfile(void **state) {
    struct core *c = *state;
    assert_int_equal(rename(fs_join(c->h.arena, c->dir, "Dockerfile"), fs_join(c->h.arena, c->dir, "dockerfile")), 0);
    c->config = API;
    assert_true(plan_from(c, &c->state, c->private));
}

/* ---- moved here ---- */

static void test_moved(void **state) {
    struct core *c = *state;
    Tfplugin6__MoveResourceState__Request q = TFPLUGIN6__MOVE_RESOURCE_STATE__REQUEST__INIT;
    Tfplugin6__RawState raw = TFPLUGIN6__RAW_STATE__INIT;
    q.source_provider_address = (char *) "registry.opentofu.org/hashicorp/null";
    q.source_type_name = (char *) "null_resource";
    q.target_type_name = (char *) "gpudev_image";
    raw.json = bytes_of("{\"id\":\"123\",\"triggers\":null}");
    q.source_state = &raw;
    Tfplugin6__MoveResourceState__Response *m = CALL(&c->h, MoveResourceState, move_resource_state, &q);
    assert_string_equal(DIAGS(&c->h, m), "");
    c->state = decoded(c, m->target_state);
    refresh(c);
    assert_string_equal(c->diags, "");
    assert_true(apply(c, API));
    assert_false(c->replaces);
    assert_attr(c, "id", "\"" URL "\"");
    assert_true(no_change(c));
}

/* ---- what is remembered ---- */

static void test_private(void **state) {
    struct core *c = *state;
    struct arena *a = c->h.arena;
    struct image_private p;
    image_private_read(a, NULL, &p);
    assert_false(p.ours);
    image_private_read(a, "[not json", &p);
    assert_int_equal(p.content_tags.n, 0);
    image_private_read(a, "{\"ours\":true,\"content_tags\":[\"src-a\",7,\"src-b\",\"src-a\"]}", &p);
    assert_true(p.ours);
    assert_string_equal(image_private_text(a, &p), "{\"ours\":true,\"content_tags\":[\"src-b\",\"src-a\"]}");
    for (int i = 0; i < 150; i++) image_private_add(&p, arena_printf(a, "src-%d", i));
    assert_int_equal(p.content_tags.n, 100);
    assert_string_equal(p.content_tags.v[0], "src-50");
    assert_string_equal(p.content_tags.v[99], "src-149");
    assert_string_equal(image_content_tag(a, "sha256:0123456789abcdef0123"), "src-0123456789abcdef");
}

static void test_repository_names(void **state) {
    static const char *const good[] = {"ab", "a-b/c.d_e", "localhost:5000/ab", "123456789012.dkr.ecr.us-east-2.amazonaws.com/team/api", "a--b"};
    static const char *const bad[] = {"a", "", "/ab", "ab/", "a//b", "-ab", "ab-", "a/-b", "A", "ab:1", "ab@sha256:00", "a b", "user:pw@host.com/ab", "https://host.com/ab", "host:x/ab", "\303\244b"};
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    const char *(*check)(struct arena *, const char *) = image_resource.table.attrs[0].check;
    assert_string_equal(image_resource.table.attrs[0].name, "repository");
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (check(a, good[i])) fail_msg("%s", check(a, good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (!check(a, bad[i])) fail_msg("\"%s\" is accepted", bad[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_story),
        TEST(test_elsewhere_nothing_is_built),
        TEST(test_drift),
        TEST(test_failed_build_keeps_all),
        TEST(test_pushed_is_not_forgotten),
        TEST(test_pushed_without_content_tag),
        TEST(test_no_policy_no_repository),
        TEST(test_policy),
        TEST(test_no_builder_nothing_made),
        TEST(test_changed_since_the_plan),
        TEST(test_changed_before_the_second_plan),
        TEST(test_adopted_repository_stays),
        TEST(test_replaced),
        TEST(test_other_account),
        TEST(test_import),
        TEST(test_url_and_name_are_one),
        TEST(test_plan_checks_late_values),
        TEST(test_plan_unknown),
        TEST(test_immutable),
        TEST(test_lower_case_dockerfile),
        TEST(test_moved),
        TEST(test_private),
        cmocka_unit_test(test_repository_names),
    };
    return cmocka_run_group_tests_name("gpudev_image", tests, NULL, NULL);
}
