/* The system's trust store, found at run time: a static binary carries the paths of the machine that it was built on.
 * SSL_CERT_FILE and SSL_CERT_DIR replace it, as they do for OpenSSL and Go programs. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"

static const char *const files[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* CentOS, RHEL 7 */
    "/etc/ssl/cert.pem",                                 /* macOS, BSD, Alpine */
    "/opt/homebrew/etc/ca-certificates/cert.pem",
    "/usr/local/etc/openssl/cert.pem",
};
static const char *const dirs[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};

static struct trust of_system;

static const char *first_readable(const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (access(list[i], R_OK) == 0) return list[i];
    return NULL;
}

static void look(void) {
    of_system.file = first_readable(files, ARRAY_SIZE(files));
    if (!of_system.file) of_system.dir = first_readable(dirs, ARRAY_SIZE(dirs));
}

struct trust trust_find(void) {
    const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
    if (!str_empty(file) || !str_empty(dir)) {
        return (struct trust){.file = str_empty(file) ? NULL : file, .dir = str_empty(dir) ? NULL : dir};
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, look);
    return of_system;
}
