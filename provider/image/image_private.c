#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include "provider/image/image.h"

void image_private_read(struct arena *a, const char *json, struct image_private *ret) {
    *ret = (struct image_private){0};
    if (str_empty(json)) return;
    AUTO_JSON struct json *j = json_parse(json, strlen(json), NULL);
    ret->ours = json_true(json_get(j, "ours"));
    json_each(tag, json_get(j, "content_tags")) {
        if (json_is_str(tag)) image_private_add(ret, arena_strdup(a, json_str(tag)));
    }
}

const char *image_private_text(struct arena *a, const struct image_private *p) {
    AUTO_JSON struct json *j = json_obj();
    json_set_bool(j, "ours", p->ours);
    struct json *tags = json_set(j, "content_tags", json_arr());
    for (size_t i = 0; i < p->content_tags.n; i++) json_add(tags, json_new_str(p->content_tags.v[i]));
    return json_text(a, j);
}

void image_private_add(struct image_private *p, const char *content_tag) {
    const char **v = p->content_tags.v;
    size_t *n = &p->content_tags.n;
    for (size_t i = 0; i < *n; i++) {
        if (!str_eq(v[i], content_tag)) continue;
        memmove(v + i, v + i + 1, (*n - i - 1) * sizeof *v);
        --*n;
        break;
    }
    if (*n == ARRAY_SIZE(p->content_tags.v)) memmove(v, v + 1, --*n * sizeof *v); /* the oldest is long gone from the registry */
    v[(*n)++] = content_tag;
}

const char *image_content_tag(struct arena *a, const char *source_hash) {
    const char *colon = strchr(source_hash, ':');
    return arena_printf(a, "src-%.16s", colon ? colon + 1 : source_hash);
}
