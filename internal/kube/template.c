/* Reading the live object. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "kube/rollout.h"

static const struct json *pod_template(const struct json *object) { return json_at(object, "spec", "template", NULL); }

static const struct json *named(const struct json *list, const char *name) {
    json_each(c, list) {
        if (str_eq(json_get_str(c, "name"), name)) return c;
    }
    return NULL;
}

const struct json *kube_container(const struct json *object, const char *name, bool *ret_init) {
    const struct json *spec = json_get(pod_template(object), "spec"), *c = named(json_get(spec, "containers"), name);
    bool init = !c;
    if (!c) c = named(json_get(spec, "initContainers"), name);
    if (c && ret_init) *ret_init = init;
    return c;
}

char *kube_container_names(struct arena *a, const struct json *object) {
    AUTO_BUF struct buf b = {.max = 4000};
    const struct json *spec = json_get(pod_template(object), "spec");
    json_each(c, json_get(spec, "containers")) buf_addf(&b, "%s%s", b.len ? ", " : "", json_get_str(c, "name"));
    json_each(c, json_get(spec, "initContainers")) buf_addf(&b, "%s%s (init)", b.len ? ", " : "", json_get_str(c, "name"));
    return arena_strdup(a, buf_str(&b));
}

const char *kube_template_annotation(const struct json *object, const char *key) {
    return json_str(json_at(pod_template(object), "metadata", "annotations", key, NULL));
}

const char *kube_uid(const struct json *object) {
    const char *uid = json_str(json_at(object, "metadata", "uid", NULL));
    return uid ? uid : "";
}

static int by_key(const void *x, const void *y) {
    return strcmp(json_key(*(const struct json *const *) x), json_key(*(const struct json *const *) y));
}

/* Members sorted by name, so that the text depends on the meaning alone. */
static void canonical(struct arena *a, const struct json *j, struct buf *b) {
    size_t n = json_len(j), i = 0;
    if (json_is_obj(j)) {
        const struct json **members = arena_array(a, n + 1, sizeof *members);
        json_each(m, j) members[i++] = m;
        qsort(members, n, sizeof *members, by_key);
        buf_addc(b, '{');
        for (i = 0; i < n; i++) {
            buf_add_json(b, json_key(members[i]), strlen(json_key(members[i])));
            buf_addc(b, ':');
            canonical(a, members[i], b);
            buf_addc(b, ',');
        }
        buf_addc(b, '}');
    } else if (json_is_arr(j)) {
        buf_addc(b, '[');
        json_each(item, j) {
            canonical(a, item, b);
            buf_addc(b, ',');
        }
        buf_addc(b, ']');
    } else {
        buf_adds(b, json_text(a, j));
    }
}

char *kube_template_hash(struct arena *a, const struct json *object) {
    AUTO_BUF struct buf b = {0};
    AUTO_ARENA struct arena *scratch = arena_new();
    const struct json *t = pod_template(object);
    if (t) canonical(scratch, t, &b);
    return sha256_digest(a, buf_str(&b), b.len);
}

/* fieldsV1: {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"api\"}":{"f:image":{}}}}}}} */
static bool holds_image(struct arena *a, const struct json *fields, const char *list, const char *container) {
    AUTO_BUF struct buf key = {0};
    buf_adds(&key, "k:{\"name\":");
    buf_add_json(&key, container, strlen(container));
    buf_addc(&key, '}');
    return json_at(fields, "f:spec", "f:template", "f:spec", list, arena_strdup(a, buf_str(&key)), "f:image", NULL) != NULL;
}

const char *kube_image_manager(struct arena *a, const struct json *object, const char *container, const char *except) {
    const char *found = NULL, *latest = "";
    json_each(entry, json_at(object, "metadata", "managedFields", NULL)) {
        const struct json *fields = json_get(entry, "fieldsV1");
        const char *name = json_get_str(entry, "manager"), *time = json_get_str(entry, "time");
        if (!name || str_eq(name, except)) continue;
        if (!holds_image(a, fields, "f:containers", container) && !holds_image(a, fields, "f:initContainers", container)) continue;
        if (found && strcmp(time ? time : "", latest) <= 0) continue;
        found = text_clean(a, name, strnlen(name, 200));
        latest = time ? time : "";
    }
    return found;
}
