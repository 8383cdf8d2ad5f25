/* The program: a plugin when a host starts it, else what its first argument says. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "plugin/plugin.h"
#include "provider/cli/cli.h"
#include "provider/provider.h"
#include "rpc/rpc.h"
#include "tf/resource.h"

static const char address[] = "registry.opentofu.org/gpudev/gpudev";

static const char help[] =
    "terraform-provider-gpudev " GPUDEV_VERSION ": an OpenTofu provider that builds images, pushes them and rolls them out.\n"
    "\n"
    "OpenTofu starts it by itself. In a configuration:\n"
    "\n"
    "  terraform {\n"
    "    required_providers {\n"
    "      gpudev = { source = \"gpudev/gpudev\" }\n"
    "    }\n"
    "  }\n"
    "\n"
    "By hand:\n"
    "\n"
    "  terraform-provider-gpudev version\n"
    "  terraform-provider-gpudev sources [--file DOCKERFILE] [--target NAME] [--build-arg K=V] [--build-context NAME=DIR]\n"
    "                                    [--platform P] [--ignore PATTERN] [--json] DIR\n"
    "                                    which files make the source hash of an image, and why\n"
    "  terraform-provider-gpudev -debug  serve until Ctrl-C; tells how OpenTofu attaches to it (for debuggers)\n";

/* A build that looks for leaks frees everything; else the end is quick, since the host waits for it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool take_apart = true;
#else
static const bool take_apart = false;
#endif

static void tell(const struct err *err) {
    fprintf(stderr, "terraform-provider-gpudev: %s\n", err_text(err));
    if (err->hint) fprintf(stderr, "%s\n", err->hint);
}

static int serve(bool debug) {
    AUTO_ERR struct err err = {0};
    log_init();
    struct cancel *stop = cancel_new(NULL);
    /* StopProvider ends what the calls wait for; the calls themselves, and those that come after it, are still answered. */
    struct cancel *work = cancel_new(stop);
    struct tf_server *server = tf_server_new(&provider_gpudev, work);
    if (debug) tf_server_outlives_hosts(server);
    bool running = false;
    int r = plugin_serve(
        &(struct plugin_options){
            .methods = tf_server_methods(),
            .service = server,
            .stop = stop,
            .debug = debug,
            .take_apart = take_apart,
            .address = address,
        },
        &running, &err);
    if (r < 0) tell(&err);
    if (running) _exit(r < 0);
    tf_server_free(server);
    cancel_unref(work);
    cancel_unref(stop);
    rpc_shutdown();
    return r < 0;
}

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static int run_help(int argc, char **argv) {
    (void) argc;
    (void) argv;
    fputs(help, stdout);
    return 0;
}

static int run_version(int argc, char **argv) {
    (void) argc;
    (void) argv;
    printf("terraform-provider-gpudev %s\n", GPUDEV_VERSION);
    return 0;
}

static int run_debug(int argc, char **argv) {
    (void) argc;
    (void) argv;
    return serve(true);
}

static const struct command commands[] = {
    {"help", run_help},   {"version", run_version}, {"sources", cli_sources},
    {"debug", run_debug}, {"h", run_help},          {"v", run_version},
};

int main(int argc, char **argv) {
    if (argc < 2) {
        if (plugin_wanted()) return serve(false);
        fputs(help, stderr);
        return 1;
    }
    const char *name = argv[1];
    name += strspn(name, "-"); /* -debug, --debug, --version */
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (str_eq(commands[i].name, name)) return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "terraform-provider-gpudev: there is no command \"%s\"\n\n%s", argv[1], help);
    return 2;
}
