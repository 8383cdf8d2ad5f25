/* The session's services, asked over a real gRPC connection as a daemon does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/secret.h"
#include "buildkit/pb.h"
#include "buildkit/session.h"
#include "context/context.h"
#include "context/tree.h"
#include "proto/buildkit_session.pb-c.h"
#include "rpc/rpc.h"

struct fixture {
    struct arena *a;
    struct ctx ctx;
    char *dir, *other;
    struct bk_source sources[2];
    struct bk_session *session;
    struct rpc_channel *daemon;
    struct err err;
    atomic_int begun, ended;
};

static int credentials(void *self, struct ctx *ctx, const char *host, const char **ret_user, struct secret **ret_password,
                       struct err *err) {
    (void) self, (void) ctx;
    if (strcmp(host, "known.example") == 0) {
        *ret_user = "me";
        *ret_password = secret_new("pass", 4);
        return 0;
    }
    return strcmp(host, "broken.example") == 0 ? err_set(err, ERR_DENIED, "the helper says no") : 1;
}

static void synced(void *self, const struct bk_source *src, const struct context_filter *asked,
                   const struct bk_sync_result *result) {
    struct fixture *f = self;
    (void) src, (void) asked;
    atomic_fetch_add(result ? &f->ended : &f->begun, 1);
}

static int setup(void **state) {
    struct fixture *f = NEW(struct fixture);
    f->a = arena_new();
    f->ctx = (struct ctx){.arena = f->a};
    f->ctx = ctx_with_timeout(&f->ctx, 20000);
    f->dir = tree_new(f->a);
    f->other = tree_new(f->a);
    static const char *const only[] = {"Dockerfile", "Dockerfile.dockerignore"};
    f->sources[0] = (struct bk_source){.name = "context", .dir = f->dir};
    f->sources[1] = (struct bk_source){.name = "dockerfile", .dir = f->other, .only = only, .n_only = 2};
    struct bk_session_options opt = {
        .shared_key = "key", .sources = f->sources, .n_sources = 2, .credentials = credentials, .synced = synced, .synced_self = f};
    assert_int_equal(bk_session_new(&opt, &f->session, &f->err), 0);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(bk_session_serve(f->session, fds[0], &f->err), 0);
    f->daemon = rpc_channel_new(&(struct rpc_channel_options){.fd = fds[1]}, &f->err);
    assert_non_null(f->daemon);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    rpc_channel_free(f->daemon);
    bk_session_free(f->session);
    tree_remove(f->dir);
    tree_remove(f->other);
    err_done(&f->err);
    arena_free(f->a);
    mem_free(f);
    return 0;
}

/* ---- What the connection is opened with ---- */

static void test_headers(void **state) {
    struct fixture *f = *state;
    size_t n;
    const struct kv *h = bk_session_headers(f->session, &n);
    bool diffcopy = false, id = false, key = false;
    for (size_t i = 0; i < n; i++) {
        diffcopy |= strcmp(h[i].key, "X-Docker-Expose-Session-Grpc-Method") == 0 &&
                    strcmp(h[i].value, "/moby.filesync.v1.FileSync/DiffCopy") == 0;
        id |= strcmp(h[i].key, "X-Docker-Expose-Session-Uuid") == 0 && strcmp(h[i].value, bk_session_id(f->session)) == 0;
        key |= strcmp(h[i].key, "X-Docker-Expose-Session-Sharedkey") == 0 && strcmp(h[i].value, "key") == 0;
    }
    assert_true(diffcopy && id && key);
}

static struct rpc_meta meta_of(const char *key, const char *value) { return (struct rpc_meta){key, value, strlen(value)}; }

static void test_metadata(void **state) {
    struct fixture *f = *state;
    const struct rpc_meta meta[] = {
        meta_of("dir-name", "context"),          meta_of("exclude-patterns", "a%20b"),   meta_of("exclude-patterns", "!c"),
        meta_of("followpaths", "h%C3%A9+llo%2"), meta_of("followpaths-encoded", "1"),    meta_of("include-patterns", "x"),
        meta_of("user-agent", "grpc"),           meta_of("exclude-patterns-other", "1"),
    };
    const char *name;
    struct context_filter filter;
    assert_int_equal(bk_parse_sync_meta(f->a, meta, ARRAY_SIZE(meta), &name, &filter, &f->err), 0);
    assert_string_equal(name, "context");
    assert_int_equal(filter.n_exclude, 2);
    assert_string_equal(filter.exclude[0], "a%20b");
    assert_string_equal(filter.exclude[1], "!c");
    assert_int_equal(filter.n_follow, 1);
    assert_string_equal(filter.follow[0], "h\xc3\xa9 llo%2");
    assert_int_equal(filter.n_include, 1);
    assert_int_equal(bk_parse_sync_meta(f->a, NULL, 0, &name, &filter, &f->err), 0);
    assert_string_equal(name, "");
}

/* ---- Calls ---- */

static int unary(struct fixture *f, const char *method, const void *msg, size_t len, struct rpc_reply *reply) {
    int status = -1;
    rpc_unary(f->daemon, &f->ctx, method, msg, len, reply, &status, &f->err);
    return status;
}

static void test_health(void **state) {
    struct fixture *f = *state;
    struct rpc_reply reply;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(unary(f, "/grpc.health.v1.Health/Check", "", 0, &reply), RPC_OK);
        assert_int_equal(reply.len, 2);
        assert_memory_equal(reply.data, "\x08\x01", 2);
    }
}

static void test_unknown_methods(void **state) {
    struct fixture *f = *state;
    struct rpc_reply reply;
    assert_int_equal(unary(f, "/moby.filesync.v1.Auth/GetTokenAuthority", "", 0, &reply), RPC_UNIMPLEMENTED);
    assert_int_equal(unary(f, "/moby.buildkit.secrets.v1.Secrets/GetSecret", "\x0a\x01x", 3, &reply), RPC_NOT_FOUND);
}

static Bk__CredentialsResponse *ask(struct fixture *f, const char *host, int *ret_status) {
    Bk__CredentialsRequest req = BK__CREDENTIALS_REQUEST__INIT;
    req.host = (char *) host;
    size_t len;
    void *packed = pb_pack(f->a, &req.base, &len);
    struct rpc_reply reply = {0};
    *ret_status = unary(f, "/moby.filesync.v1.Auth/Credentials", packed, len, &reply);
    ProtobufCAllocator alloc = pb_arena(f->a);
    return *ret_status == RPC_OK ? bk__credentials_response__unpack(&alloc, reply.len, reply.data) : NULL;
}

static void test_credentials(void **state) {
    struct fixture *f = *state;
    int status;
    Bk__CredentialsResponse *c = ask(f, "known.example", &status);
    assert_non_null(c);
    assert_string_equal(c->username, "me");
    assert_string_equal(c->secret, "pass");
    c = ask(f, "public.example", &status);
    assert_non_null(c);
    assert_string_equal(c->username, "");
    assert_string_equal(c->secret, "");
    AUTO_ERR struct err err = {0};
    assert_int_equal(bk_session_failure(f->session, &err), 0);
    assert_null(ask(f, "broken.example", &status));
    assert_int_equal(status, RPC_UNKNOWN);
    assert_int_equal(bk_session_failure(f->session, &err), 1);
    assert_string_equal(err_text(&err), "no credentials for the registry broken.example: the helper says no");
}

/* ---- File sync ---- */

struct seen {
    struct buf stats; /* "path mode\n" */
    struct buf data;  /* all contents, in order */
    int status;
    bool fin;
};

static void send_packet(struct fixture *f, struct rpc_stream *s, int type, uint32_t id) {
    Bk__Packet p = BK__PACKET__INIT;
    p.type = (Bk__Packet__PacketType) type;
    p.id = id;
    size_t len;
    void *packed = pb_pack(f->a, &p.base, &len);
    rpc_stream_send(s, packed, len, NULL);
}

/* A whole sync that asks for every regular file. */
static void sync_all(struct fixture *f, const struct rpc_meta *meta, size_t n_meta, struct seen *seen) {
    struct rpc_stream *s;
    assert_int_equal(rpc_stream_open(f->daemon, &f->ctx, "/moby.filesync.v1.FileSync/DiffCopy", meta, n_meta, &s, &f->err), 0);
    uint32_t next = 0, left = 0;
    bool listed = false;
    const void *data;
    size_t len;
    while (rpc_stream_recv(s, f->a, &data, &len, &seen->status, &f->err) > 0) {
        ProtobufCAllocator alloc = pb_arena(f->a);
        Bk__Packet *p = bk__packet__unpack(&alloc, len, data);
        assert_non_null(p);
        if (p->type == 0 && p->stat) {
            buf_addf(&seen->stats, "%s %o\n", p->stat->path, p->stat->mode);
            if (!(p->stat->mode & 1u << 31)) {
                left++;
                send_packet(f, s, 1, next);
            }
            next++;
        } else if (p->type == 0) {
            listed = true;
        } else if (p->type == 2) {
            buf_add(&seen->data, p->data.data, p->data.len);
            if (!p->data.len) left--;
        } else if (p->type == 3) {
            seen->fin = true;
        }
        if (listed && !left && p->type != 3) send_packet(f, s, 3, 0);
    }
    rpc_stream_free(s);
}

static void test_sync(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a/one", "1");
    tree_file(f->a, f->dir, "b", "2");
    tree_file(f->a, f->dir, "c.tmp", "3");
    const struct rpc_meta meta[] = {meta_of("dir-name", "context"), meta_of("exclude-patterns", "*.tmp")};
    struct seen seen = {.status = -1};
    sync_all(f, meta, ARRAY_SIZE(meta), &seen);
    assert_int_equal(seen.status, RPC_OK);
    assert_true(seen.fin);
    assert_string_equal(buf_str(&seen.stats), "a 20000000755\na/one 644\nb 644\n");
    assert_string_equal(buf_str(&seen.data), "12");
    assert_int_equal(atomic_load(&f->begun), 1);
    assert_int_equal(atomic_load(&f->ended), 1);
    buf_done(&seen.stats);
    buf_done(&seen.data);
}

/* More requests than either direction's window holds, while the listing still runs. */
static void test_many(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3000; i++)
        tree_file(f->a, f->dir, arena_printf(f->a, "dir%d/a-rather-long-name-that-fills-the-window-soon-%d", i % 30, i), "x");
    const struct rpc_meta meta[] = {meta_of("dir-name", "context")};
    struct seen seen = {.status = -1};
    sync_all(f, meta, ARRAY_SIZE(meta), &seen);
    assert_int_equal(seen.status, RPC_OK);
    assert_int_equal(seen.data.len, 3000);
    buf_done(&seen.stats);
    buf_done(&seen.data);
}

static void test_the_dockerfiles_folder(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->other, "Dockerfile", "FROM scratch");
    tree_file(f->a, f->other, "id_rsa", "secret");
    tree_file(f->a, f->other, "sub/Dockerfile", "secret");
    const struct rpc_meta meta[] = {meta_of("dir-name", "dockerfile")}; /* asks for everything */
    struct seen seen = {.status = -1};
    sync_all(f, meta, ARRAY_SIZE(meta), &seen);
    assert_string_equal(buf_str(&seen.stats), "Dockerfile 644\n");
    assert_string_equal(buf_str(&seen.data), "FROM scratch");
    buf_done(&seen.stats);
    buf_done(&seen.data);
}

static void test_folders_that_are_not_offered(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"", "/", "..", "/etc", "context/..", "Context"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct rpc_meta meta[] = {meta_of("dir-name", names[i])};
        struct seen seen = {.status = -1};
        sync_all(f, meta, ARRAY_SIZE(meta), &seen);
        assert_int_equal(seen.status, RPC_NOT_FOUND);
        assert_int_equal(seen.stats.len, 0);
    }
    assert_int_equal(atomic_load(&f->begun), 0);
}

/* A daemon that goes away in the middle leaves nothing hanging. */
static void test_daemon_goes(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a", "1");
    const struct rpc_meta meta[] = {meta_of("dir-name", "context")};
    struct rpc_stream *s;
    const void *data;
    size_t len;
    assert_int_equal(rpc_stream_open(f->daemon, &f->ctx, "/moby.filesync.v1.FileSync/DiffCopy", meta, 1, &s, &f->err), 0);
    assert_int_equal(rpc_stream_recv(s, f->a, &data, &len, NULL, &f->err), 1);
    rpc_stream_free(s);
    assert_int_equal(atomic_load(&f->ended), 0);
}

/* Freed while a sync waits for the daemon's requests. */
static void test_freed_in_the_middle(void **state) {
    struct fixture *f = *state;
    tree_file(f->a, f->dir, "a", "1");
    const struct rpc_meta meta[] = {meta_of("dir-name", "context")};
    struct rpc_stream *s;
    const void *data;
    size_t len;
    assert_int_equal(rpc_stream_open(f->daemon, &f->ctx, "/moby.filesync.v1.FileSync/DiffCopy", meta, 1, &s, &f->err), 0);
    assert_int_equal(rpc_stream_recv(s, f->a, &data, &len, NULL, &f->err), 1);
    int64_t start = ctx_now(&f->ctx);
    bk_session_free(f->session);
    f->session = NULL;
    assert_true(ctx_now(&f->ctx) - start < 1000);
    while (rpc_stream_recv(s, f->a, &data, &len, NULL, &f->err) > 0) {
    }
    rpc_stream_free(s);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_headers),
        CASE(test_metadata),
        CASE(test_health),
        CASE(test_unknown_methods),
        CASE(test_credentials),
        CASE(test_sync),
        CASE(test_many),
        CASE(test_the_dockerfiles_folder),
        CASE(test_folders_that_are_not_offered),
        CASE(test_daemon_goes),
        CASE(test_freed_in_the_middle),
    };
    int r = cmocka_run_group_tests_name("buildkit_session", tests, NULL, NULL);
    rpc_shutdown();
    return r;
}
