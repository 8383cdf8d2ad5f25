/* A plugin process (this program, started with --serve) as a host sees it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "plugin/plugin.h"
#include "rpc/rpc.h"

extern char **environ;
static char *self, *mode = "--serve";

/* ---- The plugin ---- */

static int echo(void *service, struct rpc_call *c, struct err *err) {
    const void *msg;
    size_t len;
    if (strcmp(service, "the service") != 0 || rpc_call_recv(c, NULL, &msg, &len, err) != 1) return RPC_INTERNAL;
    return rpc_call_send(c, msg, len, err) < 0 ? RPC_INTERNAL : RPC_OK;
}

static int block(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    if (ctx_sleep(rpc_call_ctx(c), 60000, err) == 0) return RPC_DEADLINE_EXCEEDED;
    return rpc_call_send(c, "stopped", 7, err) < 0 ? RPC_INTERNAL : RPC_OK;
}

static int stubborn(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    (void) c;
    (void) err;
    sleep(60); /* no cancel reaches this */
    return RPC_INTERNAL;
}

static const struct rpc_method methods[] = {
    {.name = "/t.T/Echo", .handle = echo},
    {.name = "/t.T/Block", .handle = block},
    {.name = "/t.T/Stubborn", .handle = stubborn},
    {0},
};

static int serve(bool debug, bool take_apart) {
    AUTO_ERR struct err err = {0};
    struct cancel *stop = cancel_new(NULL);
    bool running = false;
    int r = plugin_serve(&(struct plugin_options){.methods = methods,
                                                  .service = "the service",
                                                  .stop = stop,
                                                  .take_apart = take_apart,
                                                  .debug = debug,
                                                  .address = "registry.opentofu.org/gpudev/gpudev"},
                         &running, &err);
    if (r < 0) fprintf(stderr, "%s\n", err_text(&err));
    if (running) _exit(7);
    cancel_unref(stop);
    rpc_shutdown();
    return r < 0;
}

/* ---- The host ---- */

struct host {
    pid_t pid;
    int out, err, in; /* stdout and stderr of the plugin, and what its stdin is fed from */
    char line[4096];
    char *field[8];
    char *socket;
    struct cert client; /* empty: plain */
    char *server_pem;
    struct arena *arena;
    struct ctx ctx;
    struct rpc_channel *channel;
    struct rpc_stream *stdio;
};

static void spawn(struct host *h, char *how, char **env) {
    int out[2], err[2], in[2];
    assert_int_equal(pipe(out) | pipe(err) | pipe(in), 0);
    for (int i = 0; i < 2; i++) {
        fcntl(out[i], F_SETFD, FD_CLOEXEC);
        fcntl(err[i], F_SETFD, FD_CLOEXEC);
        fcntl(in[i], F_SETFD, FD_CLOEXEC);
    }
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, err[1], 2);
    char *argv[] = {self, how, NULL};
    assert_int_equal(posix_spawn(&h->pid, self, &files, NULL, argv, env), 0);
    posix_spawn_file_actions_destroy(&files);
    close(out[1]);
    close(err[1]);
    h->out = out[0];
    h->err = err[0];
    h->in = in[0]; /* kept, to see what was left unread */
    assert_int_equal(write(in[1], "typed", 5), 5);
    close(in[1]);
}

/* Reads up to a newline, a marker or the end. */
static void read_line(struct host *h, const char *until) {
    size_t n = 0;
    while (n < sizeof h->line - 1 && !strstr(h->line, until)) {
        struct pollfd p = {.fd = h->out, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 20000), 1);
        ssize_t got = read(h->out, h->line + n, 1);
        if (got <= 0) break;
        n += (size_t) got;
    }
}

static char *env_of(struct arena *a, const char *name, const char *value) { return arena_printf(a, "%s=%s", name, value); }

/* The environment as the host makes it; NULL-ended extra variables. */
static char **host_env(struct host *h, const char *client_pem, char **extra) {
    size_t n = 0;
    char **env = arena_array(h->arena, 4096, sizeof *env);
    for (char **e = environ; *e && n < 4000; e++)
        if (!str_starts(*e, "PLUGIN_") && !str_starts(*e, "TF_")) env[n++] = *e;
    env[n++] = "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
    env[n++] = "PLUGIN_PROTOCOL_VERSIONS=5,6";
    if (client_pem) env[n++] = env_of(h->arena, "PLUGIN_CLIENT_CERT", client_pem);
    for (; extra && *extra; extra++) {
        const char *eq = strchr(*extra, '=');
        for (size_t i = 0; i < n; i++) /* the later wins */
            if (strncmp(env[i], *extra, (size_t) (eq - *extra) + 1) == 0) env[i] = "X=";
        env[n++] = *extra;
    }
    return env;
}

/* What go-plugin makes: self-signed, P-521, for client and server. */
static void p521_cert(struct cert *ret) {
    EVP_PKEY *key = EVP_EC_gen("P-521");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -30);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "localhost", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    struct {
        int nid;
        const char *value;
    } extensions[] = {{NID_basic_constraints, "critical,CA:TRUE"},
                      {NID_key_usage, "critical,digitalSignature,keyEncipherment,keyAgreement,keyCertSign"},
                      {NID_ext_key_usage, "clientAuth,serverAuth"},
                      {NID_subject_alt_name, "DNS:localhost"}};
    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, extensions[i].nid, extensions[i].value);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    assert_true(X509_sign(x, key, EVP_sha512()) > 0);
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(cert_bio, x);
    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    char *text;
    long len = BIO_get_mem_data(cert_bio, &text);
    ret->cert_pem = mem_dup(text, (size_t) len);
    len = BIO_get_mem_data(key_bio, &text);
    ret->key_pem = secret_new(text, (size_t) len);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(x);
    EVP_PKEY_free(key);
}

static char *pem_of(struct arena *a, const char *raw_base64) {
    size_t len;
    char *der = base64_decode(a, raw_base64, strlen(raw_base64), &len);
    const unsigned char *p = (const unsigned char *) der;
    X509 *x = d2i_X509(NULL, &p, (long) len);
    assert_non_null(x);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, x);
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    char *pem = arena_strndup(a, text, (size_t) n);
    BIO_free(bio);
    X509_free(x);
    return pem;
}

static void split_fields(struct host *h, size_t n_expected) {
    size_t n = 0;
    assert_non_null(strchr(h->line, '\n'));
    *strchr(h->line, '\n') = 0;
    for (char *p = h->line; p && n < ARRAY_SIZE(h->field);) {
        h->field[n++] = p;
        if ((p = strchr(p, '|'))) *p++ = 0;
    }
    assert_int_equal(n, n_expected);
    assert_string_equal(h->field[0], "1");
    assert_string_equal(h->field[1], "6");
    assert_string_equal(h->field[2], "unix");
    assert_true(strlen(h->field[3]) <= 107);
    assert_string_equal(h->field[4], "grpc");
    h->socket = h->field[3];
}

static void begin(struct host *h) {
    *h = (struct host){.arena = arena_new()};
    h->ctx = (struct ctx){.arena = h->arena};
    h->ctx = ctx_with_timeout(&h->ctx, 30000);
}

static void connect_to(struct host *h) {
    AUTO_ERR struct err err = {0};
    bool tls = h->client.cert_pem;
    h->channel = rpc_channel_new(&(struct rpc_channel_options){.target = arena_printf(h->arena, "unix:%s", h->socket),
                                                               .tls = tls,
                                                               .ca_pem = h->server_pem,
                                                               .cert_pem = h->client.cert_pem,
                                                               .key_pem = h->client.key_pem,
                                                               .server_name = tls ? "localhost" : NULL},
                                 &err);
    assert_non_null(h->channel);
}

static void open_host(struct host *h, bool tls, char **extra, size_t fields) {
    begin(h);
    if (tls) p521_cert(&h->client);
    spawn(h, mode, host_env(h, h->client.cert_pem, extra));
    read_line(h, "\n");
    split_fields(h, fields);
    if (tls) h->server_pem = pem_of(h->arena, h->field[5]);
    connect_to(h);
    assert_int_equal(rpc_stream_open(h->channel, &h->ctx, "/plugin.GRPCStdio/StreamStdio", NULL, 0, &h->stdio, NULL), 0);
    assert_int_equal(rpc_stream_send(h->stdio, NULL, 0, NULL), 0);
    assert_int_equal(rpc_stream_close_send(h->stdio, NULL), 0);
}

static int call(struct host *h, const char *method, const char *msg, struct rpc_reply *ret) {
    return rpc_unary(h->channel, &h->ctx, method, msg, strlen(msg), ret, NULL, NULL);
}

static void assert_echo(struct host *h) {
    struct rpc_reply reply;
    assert_int_equal(call(h, "/t.T/Echo", "ping", &reply), 0);
    assert_string_equal(reply.data, "ping");
}

/* A sanitizer's words, for one. */
static void show_stderr(struct host *h) {
    char text[4096];
    fcntl(h->err, F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = read(h->err, text, sizeof text)) > 0;) print_error("%.*s", (int) n, text);
}

static int exit_status(struct host *h, int within_ms) {
    int status;
    for (int i = 0; i < within_ms; i++) {
        if (waitpid(h->pid, &status, WNOHANG) == h->pid) {
            if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7)) return WEXITSTATUS(status);
            if (h->channel) show_stderr(h);
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        }
        usleep(1000);
    }
    kill(h->pid, SIGKILL);
    waitpid(h->pid, &status, 0);
    return -1000;
}

static void close_host(struct host *h, bool socket_gone) {
    rpc_stream_free(h->stdio);
    rpc_channel_free(h->channel);
    if (socket_gone) {
        assert_int_equal(access(h->socket, F_OK), -1);
        *strrchr(h->socket, '/') = 0; /* and its folder */
        assert_int_equal(access(h->socket, F_OK), -1);
    }
    close(h->out);
    close(h->err);
    close(h->in);
    cert_done(&h->client);
    arena_free(h->arena);
}

struct background {
    struct host *h;
    const char *method;
    int r;
    struct arena *arena;
    struct rpc_reply reply;
    pthread_t thread;
};

static void *call_in_background(void *arg) {
    struct background *b = arg;
    struct ctx ctx = ctx_with_arena(&b->h->ctx, b->arena);
    b->r = rpc_unary(b->h->channel, &ctx, b->method, "", 0, &b->reply, NULL, NULL);
    return NULL;
}

static void start_call(struct background *b, struct host *h, const char *method) {
    *b = (struct background){.h = h, .method = method, .arena = arena_new()};
    assert_int_equal(pthread_create(&b->thread, NULL, call_in_background, b), 0);
    usleep(100 * 1000); /* it is running by then, or the checks below are only easier */
}

static void end_call(struct background *b) {
    pthread_join(b->thread, NULL);
    arena_free(b->arena);
}

/* ---- Tests ---- */

static void test_handshake_and_shutdown(void **state) {
    (void) state;
    struct host h;
    open_host(&h, true, NULL, 6);
    assert_null(strchr(h.field[5], '=')); /* Go refuses padding */
    struct stat st;
    assert_int_equal(stat(h.socket, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    char *dir = arena_strdup(h.arena, h.socket);
    *strrchr(dir, '/') = 0;
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_echo(&h);
    struct rpc_reply reply;
    assert_int_equal(call(&h, "/grpc.health.v1.Health/Check", "\x0a\x06plugin", &reply), 0);
    assert_int_equal(reply.len, 2);
    assert_memory_equal(reply.data, "\x08\x01", 2); /* SERVING */
    assert_int_equal(call(&h, "/grpc.health.v1.Health/Check", "\x0a\x05other", &reply), -ERR_NOT_FOUND);
    assert_int_equal(call(&h, "/grpc.health.v1.Health/Check", "\xff", &reply), -ERR_INVALID);
    assert_int_equal(call(&h, "/tfplugin6.Provider/Invented", "", &reply), -ERR_UNSUPPORTED);
    struct rpc_stream *broker;
    assert_int_equal(rpc_stream_open(h.channel, &h.ctx, "/plugin.GRPCBroker/StartStream", NULL, 0, &broker, NULL), 0);
    assert_int_equal(rpc_stream_send(broker, "\x08\x01", 2, NULL), 0);
    assert_echo(&h);
    int64_t t = clock_system.now(NULL);
    assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
    assert_int_equal(reply.len, 0);
    assert_int_equal(exit_status(&h, 2000), 0);
    assert_true(clock_system.now(NULL) - t < 1000);
    rpc_stream_free(broker);
    char left[8];
    assert_int_equal(read(h.in, left, sizeof left), 5); /* stdin is the user's */
    close_host(&h, true);
}

static void test_plain(void **state) {
    (void) state;
    struct host h;
    open_host(&h, false, NULL, 6);
    assert_string_equal(h.field[5], "");
    assert_echo(&h);
    struct rpc_reply reply;
    assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
    assert_int_equal(exit_status(&h, 2000), 0);
    close_host(&h, true);
}

/* The way a real program ends: its replies are out by then. */
static void test_quick_end(void **state) {
    (void) state;
    struct host h;
    mode = "--quick";
    for (int i = 0; i < 10; i++) {
        open_host(&h, true, NULL, 6);
        assert_echo(&h);
        struct rpc_reply reply;
        assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
        assert_int_equal(exit_status(&h, 2000), 7);
        close_host(&h, true);
    }
    mode = "--serve";
}

static void test_multiplex_is_answered(void **state) {
    (void) state;
    struct host h;
    char *extra[] = {"PLUGIN_MULTIPLEX_GRPC=true", "PLUGIN_PROTOCOL_VERSIONS=6,5", NULL};
    open_host(&h, false, extra, 7);
    assert_string_equal(h.field[6], "false");
    assert_echo(&h);
    kill(h.pid, SIGTERM);
    assert_int_equal(exit_status(&h, 5000), 0);
    close_host(&h, true);
}

/* Only the host's own certificate opens the door. */
static void test_strangers_are_refused(void **state) {
    (void) state;
    struct host h;
    open_host(&h, true, NULL, 6);
    assert_echo(&h);
    struct cert mine = h.client;
    struct rpc_channel *channel = h.channel;
    h.client = (struct cert){0};
    p521_cert(&h.client);
    connect_to(&h);
    struct rpc_reply reply;
    assert_int_equal(call(&h, "/t.T/Echo", "", &reply), -ERR_UNAVAILABLE);
    rpc_channel_free(h.channel);
    cert_done(&h.client);
    h.client = mine;
    h.channel = channel;
    assert_echo(&h);
    assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
    assert_int_equal(exit_status(&h, 2000), 0);
    close_host(&h, true);
}

static void test_shutdown_does_not_wait_for_work(void **state) {
    (void) state;
    struct host h;
    struct background stuck, willing;
    open_host(&h, true, NULL, 6);
    start_call(&stuck, &h, "/t.T/Stubborn");
    start_call(&willing, &h, "/t.T/Block");
    int64_t t = clock_system.now(NULL);
    struct rpc_reply reply;
    assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
    assert_true(clock_system.now(NULL) - t < 1000); /* answered at once */
    assert_int_equal(exit_status(&h, 5000), 7);
    assert_true(clock_system.now(NULL) - t < 2000);
    end_call(&stuck);
    end_call(&willing);
    assert_true(stuck.r < 0);
    assert_int_equal(willing.r, 0);
    close_host(&h, true);
}

static void test_host_that_dies(void **state) {
    (void) state;
    struct host h;
    struct background b;
    open_host(&h, true, NULL, 6);
    assert_echo(&h);
    start_call(&b, &h, "/t.T/Block");
    rpc_stream_free(TAKE_PTR(h.stdio));
    assert_int_equal(exit_status(&h, 5000), 0);
    end_call(&b);
    close_host(&h, true);
}

static void test_signals(void **state) {
    (void) state;
    struct host h;
    struct background b;
    open_host(&h, true, NULL, 6);
    start_call(&b, &h, "/t.T/Block");
    kill(h.pid, SIGPIPE);
    usleep(100 * 1000);
    kill(h.pid, SIGTERM);
    assert_int_equal(exit_status(&h, 5000), 0);
    end_call(&b);
    assert_int_equal(b.r, 0); /* the cancelled call's reply came through */
    assert_int_equal(b.reply.len, 7);
    close_host(&h, true);
}

/* Ctrl-C stops what runs and ends nothing: that is the host's business. */
static void test_interrupt(void **state) {
    (void) state;
    struct host h;
    struct background b;
    open_host(&h, true, NULL, 6);
    start_call(&b, &h, "/t.T/Block");
    int64_t t = clock_system.now(NULL);
    kill(h.pid, SIGINT);
    end_call(&b);
    assert_int_equal(b.r, 0);
    assert_true(clock_system.now(NULL) - t < 1000);
    for (int i = 0; i < 20; i++) assert_echo(&h); /* later calls get their request, and answer in their own words */
    kill(h.pid, SIGINT);
    struct rpc_reply reply;
    assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
    assert_int_equal(exit_status(&h, 2000), 0);
    close_host(&h, true);
}

static void test_hosts_that_cannot_be_served(void **state) {
    (void) state;
    const struct {
        char *variable;
        const char *says;
    } cases[] = {
        {"PLUGIN_PROTOCOL_VERSIONS=5", "this provider speaks 6"},
        {"PLUGIN_PROTOCOL_VERSIONS=", "this provider speaks 6"},
        {"PLUGIN_PROTOCOL_VERSIONS=16,6x", "this provider speaks 6"},
        {"PLUGIN_CLIENT_CERT=junk", "not a PEM certificate"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct host h;
        char *extra[] = {cases[i].variable, NULL}, text[512] = {0};
        begin(&h);
        spawn(&h, "--serve", host_env(&h, NULL, extra));
        read_line(&h, "\n");
        assert_string_equal(h.line, "");
        assert_int_equal(exit_status(&h, 5000), 1);
        assert_true(read(h.err, text, sizeof text - 1) > 0);
        assert_non_null(strstr(text, cases[i].says));
        close_host(&h, false);
    }
}

static void test_reattach(void **state) {
    (void) state;
    struct host h;
    begin(&h);
    spawn(&h, "--debug", host_env(&h, NULL, NULL));
    read_line(&h, "ends it.\n");
    char *json = strstr(h.line, "TF_REATTACH_PROVIDERS='{\"registry.opentofu.org/gpudev/gpudev\":{\"Protocol\":\"grpc\","
                                "\"ProtocolVersion\":6,\"Pid\":");
    assert_non_null(json);
    assert_non_null(strstr(json, ",\"Test\":true,\"Addr\":{\"Network\":\"unix\",\"String\":\"/"));
    char *path = strstr(json, "\"String\":\"") + strlen("\"String\":\"");
    h.socket = arena_strndup(h.arena, path, strcspn(path, "\""));
    for (int i = 0; i < 3; i++) { /* many connections, none of which ends it */
        connect_to(&h);
        struct rpc_stream *stdio;
        assert_int_equal(rpc_stream_open(h.channel, &h.ctx, "/plugin.GRPCStdio/StreamStdio", NULL, 0, &stdio, NULL), 0);
        assert_int_equal(rpc_stream_send(stdio, NULL, 0, NULL), 0);
        assert_echo(&h);
        rpc_stream_free(stdio);
        struct rpc_reply reply;
        if (i == 1) assert_int_equal(call(&h, "/plugin.GRPCController/Shutdown", "", &reply), 0);
        rpc_channel_free(TAKE_PTR(h.channel));
    }
    kill(h.pid, SIGINT);
    assert_int_equal(exit_status(&h, 5000), 0);
    close_host(&h, true);
}

static void test_cookie(void **state) {
    (void) state;
    unsetenv("TF_PLUGIN_MAGIC_COOKIE");
    assert_false(plugin_wanted());
    setenv("TF_PLUGIN_MAGIC_COOKIE", "d602", 1);
    assert_false(plugin_wanted());
    setenv("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", 1);
    assert_true(plugin_wanted());
    unsetenv("TF_PLUGIN_MAGIC_COOKIE");
}

static int end_grpc(void **state) {
    (void) state;
    rpc_shutdown();
    return 0;
}

int main(int argc, char **argv) {
    self = argv[0];
    if (argc > 1) return serve(strcmp(argv[1], "--debug") == 0, strcmp(argv[1], "--quick") != 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_and_shutdown),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_quick_end),
        cmocka_unit_test(test_multiplex_is_answered),
        cmocka_unit_test(test_strangers_are_refused),
        cmocka_unit_test(test_shutdown_does_not_wait_for_work),
        cmocka_unit_test(test_host_that_dies),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_hosts_that_cannot_be_served),
        cmocka_unit_test(test_reattach),
        cmocka_unit_test(test_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, end_grpc);
}
