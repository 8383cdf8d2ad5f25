/* Documentation pages in the layout that registries show and readers of provider documentation know: front matter, an
 * example, and what is required, optional and read-only. */
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "tf/table.h"

struct page {
    struct arena *arena;
    struct buf text;
    const char *provider; /* "gpudev" */
};

/* Nested attributes that are still to be described, each with its place: "kubernetes--exec". */
struct pending {
    const struct tf_attr *attr;
    const char *place, *path;
};

static const char *type_name(const struct tf_attr *attr) {
    switch (attr->type) {
        case TF_STRING: return "String";
        case TF_BOOL: return "Boolean";
        case TF_INT: return "Number";
        case TF_LIST_STRING: return "List of String";
        case TF_SET_STRING: return "Set of String";
        case TF_MAP_STRING: return "Map of String";
        case TF_OBJECT: return "Attributes";
        case TF_LIST_OBJECT: return "Attributes List";
        case TF_MAP_OBJECT: return "Attributes Map";
    }
    return "";
}

static void add_attr(struct page *p, const struct tf_attr *attr, const char *place) {
    struct buf *b = &p->text;
    buf_addf(b, "- `%s` (%s", attr->name, type_name(attr));
    if (attr->flags & TF_SENSITIVE) buf_adds(b, ", Sensitive");
    if (attr->flags & TF_WRITE_ONLY) buf_adds(b, ", Write-only");
    if (attr->deprecated) buf_adds(b, ", Deprecated");
    buf_addf(b, ") %s", attr->description ? attr->description : "");
    if (attr->deprecated) buf_addf(b, " %s", attr->deprecated);
    if (attr->fallback) buf_addf(b, attr->type == TF_STRING ? " Default: `\"%s\"`." : " Default: `%s`.", attr->fallback);
    if (tf_is_object(attr)) buf_addf(b, " (see [below for nested schema](#nestedatt--%s))", place);
    buf_addc(b, '\n');
}

static unsigned kind_of(const struct tf_attr *attr) {
    return attr->flags & TF_REQUIRED ? TF_REQUIRED : attr->flags & TF_OPTIONAL ? TF_OPTIONAL : TF_COMPUTED;
}

/* One heading with the attributes of a kind; the nested ones among them are left for later. */
static void add_kind(struct page *p, const struct tf_table *t, unsigned kind, const char *heading, const char *title,
                     const char *place, const char *path, struct pending *later, size_t *n_later) {
    bool first = true;
    tf_each(attr, t) {
        if (kind_of(attr) != kind) continue;
        if (first) buf_addf(&p->text, "\n%s%s\n\n", heading, title);
        first = false;
        const char *below = arena_printf(p->arena, "%s%s%s", place, *place ? "--" : "", attr->name);
        add_attr(p, attr, below);
        if (!tf_is_object(attr)) continue;
        later[(*n_later)++] = (struct pending){attr, below, arena_printf(p->arena, "%s%s%s", path, *path ? "." : "", attr->name)};
    }
}

static void add_schema(struct page *p, const struct tf_table *t, const char *place, const char *path, const char *heading) {
    size_t n = 0, n_later = 0;
    tf_each(attr, t) n++;
    struct pending *later = arena_array(p->arena, n, sizeof *later);
    bool top = !*place;
    add_kind(p, t, TF_REQUIRED, heading, top ? "Required" : "Required:", place, path, later, &n_later);
    add_kind(p, t, TF_OPTIONAL, heading, top ? "Optional" : "Optional:", place, path, later, &n_later);
    add_kind(p, t, TF_COMPUTED, heading, top ? "Read-Only" : "Read-Only:", place, path, later, &n_later);
    if (t->one_of) {
        AUTO_BUF struct buf names = {0};
        for (const char *s = t->one_of; *s; s++) *s == ' ' ? buf_adds(&names, "`, `") : buf_addc(&names, *s);
        buf_addf(&p->text, "\nExactly one of `%s` must be set.\n", buf_str(&names));
    }
    for (size_t i = 0; i < n_later; i++) {
        buf_addf(&p->text, "\n<a id=\"nestedatt--%s\"></a>\n### Nested Schema for `%s`\n", later[i].place, later[i].path);
        add_schema(p, later[i].attr->nested, later[i].place, later[i].path, "");
    }
}

static int add_example(struct page *p, const char *file, const char *title, const char *language, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    int r = fs_read(p->arena, file, 1 << 20, &text, &len, err);
    if (r == -ERR_NOT_FOUND) return 0;
    if (r < 0) return r;
    while (len && text[len - 1] == '\n') text[--len] = 0;
    buf_addf(&p->text, "\n%s\n\n```%s\n%s\n```\n", title, language, text);
    return 0;
}

static void add_head(struct page *p, const char *title, const char *description) {
    AUTO_BUF struct buf flat = {0};
    for (const char *s = description; s && *s; s++) buf_addc(&flat, *s == '\n' ? ' ' : *s);
    buf_addf(&p->text, "---\npage_title: \"%s - %s\"\nsubcategory: \"\"\ndescription: |-\n  %s\n---\n\n# %s\n\n%s\n", title,
             p->provider, buf_str(&flat), title, description ? description : "");
}

static int save(struct page *p, const char *docs, const char *folder, const char *name, struct err *err) {
    const char *dir = fs_join(p->arena, docs, folder);
    int r = fs_mkdirs(dir, 0755, err);
    if (r == 0)
        r = fs_write_atomic(fs_join(p->arena, dir, arena_printf(p->arena, "%s.md", name)), p->text.data, p->text.len, 0644, err);
    buf_reset(&p->text);
    return r;
}

/* kind: "resources" or "data-sources"; the page's name lacks the provider's. */
static int write_object(struct page *p, const char *type, const char *kind, const char *word, const char *file,
                        const char *description, const struct tf_table *t, const char *examples, const char *docs,
                        struct err *err) {
    const char *example = arena_printf(p->arena, "%s/%s/%s", examples, kind, type);
    add_head(p, arena_printf(p->arena, "%s (%s)", type, word), description);
    int r = add_example(p, fs_join(p->arena, example, file), "## Example Usage", "terraform", err);
    if (r < 0) return r;
    buf_adds(&p->text, "\n## Schema\n");
    add_schema(p, t, "", "", "### ");
    r = add_example(p, fs_join(p->arena, example, "import.sh"),
                    "## Import\n\nImport is supported using the following syntax:", "shell", err);
    size_t prefix = strlen(p->provider);
    return r < 0 ? r : save(p, docs, kind, strncmp(type, p->provider, prefix) == 0 ? type + prefix + 1 : type, err);
}

static int write_all(struct page *p, const struct tf_provider *provider, const char *examples, const char *docs, struct err *err) {
    add_head(p, arena_printf(p->arena, "%s Provider", p->provider), provider->description);
    int r = add_example(p, fs_join(p->arena, examples, "provider/provider.tf"), "## Example Usage", "terraform", err);
    buf_adds(&p->text, "\n## Schema\n");
    add_schema(p, &provider->table, "", "", "### ");
    if (r == 0) r = save(p, docs, ".", "index", err);
    for (size_t i = 0; r == 0 && provider->resources && provider->resources[i]; i++) {
        const struct tf_resource *o = provider->resources[i];
        r = write_object(p, o->name, "resources", "Resource", "resource.tf", o->description, &o->table, examples, docs, err);
    }
    for (size_t i = 0; r == 0 && provider->data_sources && provider->data_sources[i]; i++) {
        const struct tf_data_source *o = provider->data_sources[i];
        r = write_object(p, o->name, "data-sources", "Data Source", "data-source.tf", o->description, &o->table, examples, docs,
                         err);
    }
    return r;
}

int tf_docs_write(const struct tf_provider *provider, const char *examples, const char *docs, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    struct page p = {.arena = a, .provider = "provider"};
    /* Types are PROVIDER_KIND. */
    if (provider->resources && provider->resources[0])
        p.provider = arena_strndup(a, provider->resources[0]->name, strcspn(provider->resources[0]->name, "_"));
    int r = write_all(&p, provider, examples, docs, err);
    buf_done(&p.text);
    return r;
}
