#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *page(struct harness *h, const char *dir, const char *name) {
    char *text = NULL;
    size_t len;
    const char *path = fs_join(h->arena, dir, name);
    assert_int_equal(fs_read(h->arena, path, 1 << 20, &text, &len, NULL), 0);
    unlink(path);
    return text;
}

static void has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

static void test_pages(void **state) {
    (void) state;
    HARNESS(h);
    char dir[] = "/tmp/gpudev-docs-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *examples = fs_join(h.arena, dir, "examples/resources/probe_thing");
    assert_int_equal(fs_mkdirs(examples, 0755, NULL), 0);
    assert_int_equal(fs_write_atomic(fs_join(h.arena, examples, "resource.tf"), "resource {}\n\n", 13, 0644, NULL), 0);
    assert_int_equal(fs_write_atomic(fs_join(h.arena, examples, "import.sh"), "import it\n", 10, 0644, NULL), 0);
    const char *docs = fs_join(h.arena, dir, "docs");
    AUTO_ERR struct err err = {0};
    if (tf_docs_write(&fake_provider, fs_join(h.arena, dir, "examples"), docs, &err) < 0) fail_msg("%s", err_text(&err));

    const char *index = page(&h, docs, "index.md"), *text = page(&h, docs, "resources/thing.md");
    has(index, "page_title: \"probe Provider - probe\"");
    has(index, "# probe Provider\n\nA provider for tests.\n");
    has(index, "### Optional\n\n- `region` (String) Region.\n- `cluster` (Attributes) Cluster. (see [below for nested "
               "schema](#nestedatt--cluster))\n");
    has(index, "Exactly one of `env`, `value` must be set.");
    has(text, "---\npage_title: \"probe_thing (Resource) - probe\"\nsubcategory: \"\"\ndescription: |-\n  A thing.\n---\n");
    has(text, "## Example Usage\n\n```terraform\nresource {}\n```\n");
    has(text, "### Required\n\n- `name` (String) Name of the thing.\n\n### Optional\n\n- `text`");
    has(text, "- `tags` (List of String) Tags. Default: `[\"latest\"]`.\n");
    has(text, "- `token` (String, Write-only) A token.\n");
    has(text, "- `left` (String, Deprecated) Left. Use right.\n");
    has(text, "### Read-Only\n\n- `id` (String) Id.\n");
    has(text, "<a id=\"nestedatt--one\"></a>\n### Nested Schema for `one`\n\nOptional:\n\n- `a` (String) A.\n");
    has(text, "- `secret` (String, Sensitive, Write-only) Secret.\n");
    has(text, "Read-Only:\n\n- `made` (String) Made.\n");
    has(text, "## Import\n\nImport is supported using the following syntax:\n\n```shell\nimport it\n```\n");
    has(page(&h, docs, "resources/other.md"), "# probe_other (Resource)");
    has(page(&h, docs, "data-sources/data.md"), "# probe_data (Data Source)");

    static const char *const left[] = {"examples/resources/probe_thing/resource.tf",
                                       "examples/resources/probe_thing/import.sh",
                                       "examples/resources/probe_thing",
                                       "examples/resources",
                                       "examples",
                                       "docs/resources",
                                       "docs/data-sources",
                                       "docs",
                                       ""};
    for (size_t i = 0; i < ARRAY_SIZE(left); i++) assert_int_equal(remove(fs_join(h.arena, dir, left[i])), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
