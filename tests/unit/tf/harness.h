#pragma once

/* Calls to a tf_server, in JSON: "??" is an unknown value, attributes that are left out are null. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../tf/fake_provider.h"
#include "json/json.h"
#include "rpc/rpc.h"
#include "tf/server.h"

struct harness {
    struct arena *arena;
    struct cancel *stop;
    struct tf_server *server;
    struct ctx ctx;
};

static inline struct harness harness_new(void) {
    struct harness h = {.arena = arena_new(), .stop = cancel_new(NULL)};
    h.server = tf_server_new(&fake_provider, h.stop);
    h.ctx.arena = h.arena;
    return h;
}

static inline void harness_done(struct harness *h) {
    tf_server_free(h->server);
    cancel_unref(h->stop);
    arena_free(h->arena);
}
#define HARNESS(h) __attribute__((cleanup(harness_done))) struct harness h = harness_new()

static inline struct cty_value val(struct arena *a, const struct cty_type *t, const struct json *j) {
    struct cty_value v = {.type = t, .state = CTY_KNOWN};
    if (!j || json_is_null(j)) return cty_null(t);
    if (str_eq(json_str(j), "??")) return cty_unknown(t);
    if (t->kind == CTY_MAP) {
        v.map.v = arena_array(a, json_len(j), sizeof *v.map.v);
        json_each(m, j) {
            v.map.v[v.map.n].key = cty_text_new(a, json_key(m), strlen(json_key(m)));
            v.map.v[v.map.n++].value = val(a, t->elem, m);
        }
        assert_true(cty_map_normalise(&v));
    } else if (t->kind == CTY_OBJECT) {
        v.seq.v = arena_array(a, t->n, sizeof *v.seq.v);
        for (; v.seq.n < t->n; v.seq.n++) v.seq.v[v.seq.n] = val(a, t->attrs[v.seq.n].type, json_get(j, t->attrs[v.seq.n].name));
    } else if (t->kind >= CTY_LIST) {
        v.seq.v = arena_array(a, json_len(j), sizeof *v.seq.v);
        json_each(item, j) v.seq.v[v.seq.n++] = val(a, t->elem, item);
    } else {
        char *text = json_text(a, j);
        assert_int_equal(cty_json_decode(a, t, text, strlen(text), &v, NULL), 0);
    }
    return v;
}

static inline struct cty_value parse_val(struct arena *a, const struct cty_type *t, const char *text) {
    if (!text) return cty_null(t);
    AUTO_JSON struct json *j = json_parse(text, strlen(text), NULL);
    if (!j) fail_msg("not JSON: %s", text);
    return val(a, t, j);
}

/* The same form back: nulls left out, attributes by name. */
static inline void show_into(struct buf *b, const struct cty_value *v) {
    if (v->state == CTY_UNKNOWN) {
        buf_adds(b, "\"??\"");
    } else if (v->state == CTY_NULL || v->type->kind < CTY_LIST) {
        cty_json_encode(b, v->type, v, NULL);
    } else if (v->type->kind == CTY_MAP) {
        buf_addc(b, '{');
        for (size_t i = 0; i < v->map.n; i++) {
            buf_addf(b, "%s\"%s\":", i ? "," : "", v->map.v[i].key.s);
            show_into(b, &v->map.v[i].value);
        }
        buf_addc(b, '}');
    } else {
        bool object = v->type->kind == CTY_OBJECT, first = true;
        buf_addc(b, object ? '{' : '[');
        for (size_t i = 0; i < v->seq.n; i++) {
            if (object && v->seq.v[i].state == CTY_NULL) continue;
            if (!first) buf_addc(b, ',');
            first = false;
            if (object) buf_addf(b, "\"%s\":", v->type->attrs[i].name);
            show_into(b, &v->seq.v[i]);
        }
        buf_addc(b, object ? '}' : ']');
    }
}

static inline Tfplugin6__DynamicValue *dyn(struct harness *h, const struct cty_value *v) {
    AUTO_BUF struct buf b = {0};
    cty_msgpack_encode(&b, v->type, v);
    Tfplugin6__DynamicValue *m = arena_alloc(h->arena, sizeof *m);
    *m = (Tfplugin6__DynamicValue) TFPLUGIN6__DYNAMIC_VALUE__INIT;
    m->msgpack.data = arena_dup(h->arena, b.data, b.len);
    m->msgpack.len = b.len;
    return m;
}

static inline const struct tf_shape *thing(struct harness *h) { return &h->server->resources[0]; }
static inline const struct tf_shape *other(struct harness *h) { return &h->server->resources[1]; }

static inline Tfplugin6__DynamicValue *dyn_of(struct harness *h, const struct tf_shape *shape, const char *json) {
    struct cty_value v = parse_val(h->arena, shape->type, json);
    return dyn(h, &v);
}

/* "absent" without a value, "null", or JSON. */
static inline const char *shown(struct harness *h, const struct tf_shape *shape, const Tfplugin6__DynamicValue *m) {
    AUTO_BUF struct buf b = {0};
    struct cty_value v;
    if (!m) return "absent";
    AUTO_ERR struct err err = {0};
    if (cty_msgpack_decode(h->arena, shape->type, m->msgpack.data, m->msgpack.len, &v, &err) < 0) fail_msg("%s", err_text(&err));
    show_into(&b, &v);
    return arena_dup(h->arena, b.data, b.len);
}

static inline void *pb_arena_alloc(void *arena, size_t n) { return arena_alloc(arena, n); }
static inline void pb_arena_free(void *arena, void *p) {
    (void) arena;
    (void) p;
}

#define CALL(h, Name, lower, request)                                                                                              \
    ((Tfplugin6__##Name##__Response *) call_in_arena((h), #Name, &(request)->base, &tfplugin6__##lower##__response__descriptor))
static inline void *call_in_arena(struct harness *h, const char *name, const ProtobufCMessage *request,
                                  const ProtobufCMessageDescriptor *reply) {
    AUTO_ERR struct err err = {0};
    size_t len = protobuf_c_message_get_packed_size(request), out_len = 0;
    uint8_t *in = arena_alloc(h->arena, len);
    const void *out = NULL;
    protobuf_c_message_pack(request, in);
    int status =
        tf_dispatch(h->server, &h->ctx, arena_printf(h->arena, "/tfplugin6.Provider/%s", name), in, len, &out, &out_len, &err);
    if (status != RPC_OK) fail_msg("%s: status %d: %s", name, status, err_text(&err));
    ProtobufCAllocator allocator = {pb_arena_alloc, pb_arena_free, h->arena};
    void *m = protobuf_c_message_unpack(reply, &allocator, out_len, out);
    assert_non_null(m);
    return m;
}

/* "E name: summary; W labels[k]: summary" */
static inline const char *diags_text(struct harness *h, size_t n, Tfplugin6__Diagnostic **d) {
    AUTO_BUF struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        buf_addf(&b, "%s%s ", i ? "; " : "", d[i]->severity == TFPLUGIN6__DIAGNOSTIC__SEVERITY__ERROR ? "E" : "W");
        assert_int_equal(utf8_check(d[i]->summary, strlen(d[i]->summary), NULL), 0);
        assert_int_equal(utf8_check(d[i]->detail, strlen(d[i]->detail), NULL), 0);
        assert_true(strlen(d[i]->detail) > 0);
        for (size_t k = 0; d[i]->attribute && k < d[i]->attribute->n_steps; k++) {
            const Tfplugin6__AttributePath__Step *s = d[i]->attribute->steps[k];
            if (s->selector_case == TFPLUGIN6__ATTRIBUTE_PATH__STEP__SELECTOR_ELEMENT_KEY_INT)
                buf_addf(&b, "[%ld]", (long) s->element_key_int);
            else
                buf_addf(&b, k ? "[%s]" : "%s", s->attribute_name);
        }
        buf_addf(&b, ": %s", d[i]->summary);
    }
    return arena_dup(h->arena, buf_str(&b), b.len);
}
#define DIAGS(h, m) diags_text((h), (m)->n_diagnostics, (m)->diagnostics)

static inline void configure(struct harness *h) {
    Tfplugin6__ConfigureProvider__Request q = TFPLUGIN6__CONFIGURE_PROVIDER__REQUEST__INIT;
    q.config = dyn_of(h, &h->server->shape, "{\"region\":\"here\"}");
    assert_string_equal(DIAGS(h, CALL(h, ConfigureProvider, configure_provider, &q)), "");
}

static inline ProtobufCBinaryData bytes_of(const char *s) { return (ProtobufCBinaryData){s ? strlen(s) : 0, (uint8_t *) s}; }
static inline const char *text_of(struct harness *h, ProtobufCBinaryData b) { return arena_dup(h->arena, b.data, b.len); }
