#pragma once

/* A provider with every kind of attribute, which does what its `act` attribute says: for the unit tests, and as a real
 * plugin (tests/tf/probe.c) for OpenTofu and Terraform. */

#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "tf/resource.h"

struct fake_one {
    struct tf_string a, secret, made;
    struct tf_int b;
    struct tf_strings words;
};
struct fake_item {
    struct tf_string name, id;
};
struct fake_secret {
    struct tf_string value, env;
};
struct fake_thing {
    struct tf_string name, text;
    struct tf_bool flag;
    struct tf_int amount;
    struct tf_strings tags, many;
    struct tf_map labels;
    struct tf_object one;
    struct tf_objects items, secrets;
    struct tf_string token, left, right, act, id, rev, seen;
};

static const char *fake_check_count(struct arena *a, const char *text) {
    (void) a;
    return *text == '-' ? "A count is not negative." : NULL;
}

static const char *fake_check_tag(struct arena *a, const char *text) {
    return strchr(text, ' ') ? arena_printf(a, "\"%s\" holds a space.", text) : NULL;
}

enum { FAKE_OC = TF_OPTIONAL | TF_COMPUTED };

#define AT(field) offsetof(struct fake_one, field)
static const struct tf_attr fake_one_attrs[] = {
    {"a", TF_STRING, TF_OPTIONAL | TF_REPLACE, AT(a), "A."},
    {"b", TF_INT, FAKE_OC, AT(b), "B.", .fallback = "7", .check = fake_check_count},
    {"made", TF_STRING, TF_COMPUTED, AT(made), "Made."},
    {"secret", TF_STRING, TF_OPTIONAL | TF_WRITE_ONLY | TF_SENSITIVE, AT(secret), "Secret."},
    {"words", TF_LIST_STRING, TF_OPTIONAL, AT(words), "Words.", .check = fake_check_tag},
    {0},
};
#undef AT
#define AT(field) offsetof(struct fake_item, field)
static const struct tf_attr fake_item_attrs[] = {
    {"name", TF_STRING, TF_REQUIRED, AT(name), "Name."},
    {"id", TF_STRING, TF_COMPUTED | TF_STABLE, AT(id), "Id."},
    {0},
};
#undef AT
#define AT(field) offsetof(struct fake_secret, field)
static const struct tf_attr fake_secret_attrs[] = {
    {"env", TF_STRING, TF_OPTIONAL, AT(env), "Variable.", .conflicts = "value"},
    {"value", TF_STRING, TF_OPTIONAL | TF_WRITE_ONLY, AT(value), "Value.", .conflicts = "env"},
    {0},
};
#undef AT
static const struct tf_table fake_one_table = {fake_one_attrs, sizeof(struct fake_one), NULL};
static const struct tf_table fake_item_table = {fake_item_attrs, sizeof(struct fake_item), NULL};
static const struct tf_table fake_secret_table = {fake_secret_attrs, sizeof(struct fake_secret), "env value"};

#define AT(field) offsetof(struct fake_thing, field)
static const struct tf_attr fake_thing_attrs[] = {
    {"name", TF_STRING, TF_REQUIRED | TF_REPLACE, AT(name), "Name of the thing."},
    {"text", TF_STRING, TF_OPTIONAL, AT(text), "Any text."},
    {"flag", TF_BOOL, FAKE_OC, AT(flag), "A flag.", .fallback = "true"},
    {"amount", TF_INT, FAKE_OC, AT(amount), "How many.", .fallback = "3", .check = fake_check_count},
    {"tags", TF_LIST_STRING, FAKE_OC, AT(tags), "Tags.", .fallback = "[\"latest\"]", .check = fake_check_tag},
    {"many", TF_SET_STRING, TF_OPTIONAL, AT(many), "A set.", .check = fake_check_tag},
    {"labels", TF_MAP_STRING, TF_OPTIONAL, AT(labels), "Labels.", .check = fake_check_tag},
    {"one", TF_OBJECT, TF_OPTIONAL, AT(one), "One object.", .nested = &fake_one_table},
    {"items", TF_LIST_OBJECT, TF_OPTIONAL, AT(items), "Objects in order.", .nested = &fake_item_table},
    {"secrets", TF_MAP_OBJECT, TF_OPTIONAL, AT(secrets), "Objects by name.", .nested = &fake_secret_table},
    {"token", TF_STRING, TF_OPTIONAL | TF_WRITE_ONLY, AT(token), "A token."},
    {"left", TF_STRING, TF_OPTIONAL, AT(left), "Left.", .conflicts = "right", .deprecated = "Use right."},
    {"right", TF_STRING, TF_OPTIONAL, AT(right), "Right.", .conflicts = "left"},
    {"act", TF_STRING, TF_OPTIONAL, AT(act), "What to do."},
    {"id", TF_STRING, TF_COMPUTED | TF_STABLE, AT(id), "Id."},
    {"rev", TF_STRING, TF_COMPUTED, AT(rev), "Revision."},
    {"seen", TF_STRING, TF_COMPUTED, AT(seen), "The write-only token's length, as apply has seen it."},
    {0},
};
#undef AT

static void fake_fill(struct tf_req *req, struct tf_apply *a) {
    struct arena *arena = req->ctx->arena;
    struct fake_thing *t = a->state;
    const struct fake_thing *config = a->config, *prior = a->prior;
    const char *token = tf_text(config->token);
    if (t->id.state == TF_UNKNOWN) t->id = tf_str(arena_printf(arena, "id-%s", t->name.v));
    if (t->rev.state == TF_UNKNOWN)
        t->rev = tf_str(arena_printf(arena, "r%d", prior && prior->rev.v && prior->rev.v[0] ? prior->rev.v[1] - '0' + 1 : 1));
    if (t->seen.state == TF_UNKNOWN) t->seen = token ? tf_str(arena_printf(arena, "%zu", strlen(token))) : tf_str("none");
    struct fake_one *one = t->one.v;
    if (t->one.state == TF_KNOWN && one->made.state == TF_UNKNOWN) one->made = tf_str("made");
    for (size_t i = 0; i < t->items.n; i++) {
        struct fake_item *item = t->items.v[i].v;
        if (item->id.state == TF_UNKNOWN) item->id = tf_str(arena_printf(arena, "item-%s", item->name.v));
    }
}

/* "fail" fails before anything is done, "keep" after, "unknown" forgets a value, "bytes" lets a bad byte through,
 * "wait" waits for Ctrl-C. */
static void fake_apply(struct tf_req *req, struct tf_apply *a) {
    struct fake_thing *t = a->state;
    const char *act = tf_text(t->act);
    if (str_eq(act, "wait")) {
        AUTO_ERR struct err err = {0};
        if (ctx_sleep(req->ctx, 600000, &err) < 0) tf_error_from(req->diags, NULL, "The thing was not made", &err);
        return;
    }
    if (str_eq(act, "fail")) {
        t->text = tf_str("changed");
        tf_error(req->diags, "text", "It failed", "As asked, with \x1b[1mbytes\xff.");
        return;
    }
    if (str_eq(act, "keep")) {
        a->keep = true;
        tf_error(req->diags, "labels[\"k\"]", "It failed late", "As asked.");
        return;
    }
    fake_fill(req, a);
    if (str_eq(act, "unknown")) t->rev = TF_UNKNOWN_STRING;
    if (str_eq(act, "bytes")) t->rev = tf_str("cut\xe2\x82");
    a->private.out = "{\"made\":true}";
}

static void fake_destroy(struct tf_req *req, struct tf_apply *a) {
    const struct fake_thing *prior = a->prior;
    const char *act = tf_text(prior->act);
    if (str_eq(act, "nodestroy") || str_eq(act, "halfdestroy")) tf_error(req->diags, NULL, "It stays", "As asked.");
    if (str_eq(act, "halfdestroy")) ((struct fake_thing *) a->state)->rev = tf_str("half");
}

/* A file named by `text` stands for the thing outside: "gone", "drift", "broken" or "warn". */
static void fake_read(struct tf_req *req, struct tf_read *r) {
    struct fake_thing *t = r->state;
    char *world = NULL;
    size_t n;
    if (!tf_text(t->text) || t->text.v[0] != '/' || fs_read(req->ctx->arena, t->text.v, 100, &world, &n, NULL) < 0)
        world = (char *) "";
    world = str_trim(req->ctx->arena, world);
    if (str_eq(world, "gone")) r->gone = true;
    if (str_eq(world, "drift")) t->labels = (struct tf_map){0};
    if (str_eq(world, "broken")) {
        t->rev = tf_str("guess");
        tf_error(req->diags, NULL, "It can't be read", "As asked.");
    }
    if (str_eq(world, "warn")) tf_warning(req->diags, "text", "It could not be looked at", "As asked.");
    if (str_eq(world, "unknown")) t->rev = TF_UNKNOWN_STRING;
    if (!tf_text(t->name)) t->name = tf_str(arena_strdup(req->ctx->arena, t->id.v + 3)); /* after an import */
    if (t->rev.state == TF_NULL) t->rev = tf_str("r0");
}

/* act = "drift": the world has changed, although nothing in the config has. */
static void fake_plan(struct tf_req *req, struct tf_plan *p) {
    extern const struct tf_resource fake_thing;
    struct fake_thing *t = p->planned;
    if (str_eq(tf_text(t->act), "drift") && p->prior) tf_plan_unknown(&fake_thing.table, p);
    if (str_eq(tf_text(t->act), "replace") && p->prior) p->replace[0] = "text";
    if (str_eq(tf_text(t->act), "badplan")) tf_error(req->diags, "one.a", "It can't be planned", "As asked.");
}

static void fake_plan_destroy(struct tf_req *req, const void *prior) {
    const struct fake_thing *t = prior;
    if (str_eq(tf_text(t->act), "nodestroyplan")) tf_error(req->diags, NULL, "It must not go", "As asked.");
}

static void fake_validate(struct tf_req *req, struct tf_validate *v) {
    const struct fake_thing *t = v->config;
    if (req->provider) tf_error(req->diags, NULL, "Validation was configured", "It never is.");
    if (str_eq(tf_text(t->text), "bad")) tf_error(req->diags, "text", "The text is bad", "Use another.");
}

static void fake_import(struct tf_req *req, struct tf_import *i) {
    struct fake_thing *t = i->state;
    if (!str_starts(i->id, "id-")) {
        tf_error(req->diags, NULL, "No such thing", "An id begins with \"id-\", \"%s\" doesn't.", i->id);
        return;
    }
    t->id = tf_str(i->id);
    i->private.out = "{\"imported\":true}";
}

static void fake_move(struct tf_req *req, struct tf_move *m) {
    struct fake_thing *t = m->state;
    if (!str_eq(m->source_type, "terraform_data") && !str_eq(m->source_type, "probe_other")) {
        tf_error(req->diags, NULL, "This can't become a thing", "%s from %s.", m->source_type, m->source_provider);
        return;
    }
    t->id = tf_str("id-moved");
    t->name = tf_str("moved");
    t->text = tf_str(arena_strdup(req->ctx->arena, m->source_json));
}

extern const struct tf_resource fake_thing, fake_other;
const struct tf_resource fake_thing = {
    .name = "probe_thing",
    .description = "A thing.",
    .version = 1,
    .table = {fake_thing_attrs, sizeof(struct fake_thing), NULL},
    .validate = fake_validate,
    .plan = fake_plan,
    .plan_destroy = fake_plan_destroy,
    .create = fake_apply,
    .update = fake_apply,
    .destroy = fake_destroy,
    .read = fake_read,
    .import = fake_import,
    .move = fake_move,
};

struct fake_other {
    struct tf_string a, b, c;
};
#define AT(field) offsetof(struct fake_other, field)
static const struct tf_attr fake_other_attrs[] = {
    {"a", TF_STRING, TF_OPTIONAL, AT(a), "A."},
    {"b", TF_STRING, TF_OPTIONAL, AT(b), "B."},
    {"c", TF_STRING, TF_OPTIONAL, AT(c), "C."},
    {0},
};
#undef AT
const struct tf_resource fake_other = {
    .name = "probe_other",
    .description = "Exactly one of three.",
    .table = {fake_other_attrs, sizeof(struct fake_other), "a b"},
};

struct fake_data {
    struct tf_string name, value;
    struct tf_int size;
};
#define AT(field) offsetof(struct fake_data, field)
static const struct tf_attr fake_data_attrs[] = {
    {"name", TF_STRING, TF_REQUIRED, AT(name), "Name."},
    {"size", TF_INT, FAKE_OC, AT(size), "Size.", .fallback = "5"},
    {"value", TF_STRING, TF_COMPUTED, AT(value), "Value."},
    {0},
};
#undef AT

static void fake_data_read(struct tf_req *req, void *state) {
    struct fake_data *d = state;
    if (str_eq(d->name.v, "none")) tf_error(req->diags, "name", "There is no such data", "Name another.");
    d->value = str_eq(d->name.v, "unknown")
                   ? TF_UNKNOWN_STRING
                   : tf_str(arena_printf(req->ctx->arena, "%s by %s", d->name.v, (const char *) req->provider));
}

static const struct tf_data_source fake_data = {
    .name = "probe_data",
    .description = "Data.",
    .table = {fake_data_attrs, sizeof(struct fake_data), NULL},
    .read = fake_data_read,
};

struct fake_config {
    struct tf_string region;
    struct tf_object cluster; /* struct fake_secret */
};
#define AT(field) offsetof(struct fake_secret, field)
static const struct tf_attr fake_cluster_attrs[] = {
    {"env", TF_STRING, TF_OPTIONAL, AT(env), "Variable."},
    {"value", TF_STRING, TF_OPTIONAL | TF_SENSITIVE, AT(value), "Value."},
    {0},
};
#undef AT
static const struct tf_table fake_cluster_table = {fake_cluster_attrs, sizeof(struct fake_secret), "env value"};
#define AT(field) offsetof(struct fake_config, field)
static const struct tf_attr fake_config_attrs[] = {
    {"region", TF_STRING, TF_OPTIONAL, AT(region), "Region.", .check = fake_check_tag},
    {"cluster", TF_OBJECT, TF_OPTIONAL, AT(cluster), "Cluster.", .nested = &fake_cluster_table},
    {0},
};
#undef AT

static void *fake_configure(struct tf_req *req, const void *config) {
    const struct fake_config *c = config;
    if (str_eq(tf_text(c->region), "nowhere")) {
        tf_error(req->diags, "region", "There is no such region", "Name another.");
        return NULL;
    }
    return mem_strdup(c->region.state == TF_UNKNOWN ? "unknown" : c->region.v ? c->region.v : "default");
}

static const struct tf_resource *const fake_resources[] = {&fake_thing, &fake_other, NULL};
static const struct tf_data_source *const fake_data_sources[] = {&fake_data, NULL};
static const struct tf_provider fake_provider = {
    .table = {fake_config_attrs, sizeof(struct fake_config), NULL},
    .description = "A provider for tests.",
    .configure = fake_configure,
    .done = mem_free,
    .resources = fake_resources,
    .data_sources = fake_data_sources,
};
