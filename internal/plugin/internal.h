#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "crypto/crypto.h"
#include "plugin/plugin.h"
#include "rpc/rpc.h"

struct arena;

/* ---- What wakes the main thread: a byte each in a pipe, which signal handlers may write too ---- */

enum plugin_event {
    PLUGIN_ATTACHED = 'a', /* the host has opened its stdio stream */
    PLUGIN_DETACHED = 'd', /* and lost it */
    PLUGIN_SHUTDOWN = 's',
    PLUGIN_INTERRUPT = 'i', /* Ctrl-C, which reaches the whole process group */
    PLUGIN_SIGNAL = 't',
    PLUGIN_TICK = '.', /* nothing for a while */
};
int plugin_events_open(bool debug, struct err *err); /* and the signal handlers */
void plugin_events_close(void);
void plugin_event(enum plugin_event e);
enum plugin_event plugin_await(int timeout_ms);

/* ---- Services of go-plugin itself ---- */

extern const struct rpc_method plugin_methods[];

/* ---- Handshake ---- */

struct plugin_handshake {
    char *dir;              /* our own, mode 0700 */
    char *path;             /* of the socket in it */
    char *address;          /* for rpc_server_listen */
    struct cert cert;       /* empty without TLS */
    const char *client_pem; /* of the host; NULL without TLS */
};
int plugin_handshake_new(struct plugin_handshake *h, bool debug, struct err *err);
void plugin_handshake_done(struct plugin_handshake *h); /* unlinks the socket */
int plugin_handshake_write(const struct plugin_handshake *h, struct err *err);
int plugin_reattach_write(const struct plugin_handshake *h, const char *provider, struct err *err);
