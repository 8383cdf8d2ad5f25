/* curl's failures in words, with what to do. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/internal.h"

static const char *reason(const struct easy *e, CURLcode code) { return e->errbuf[0] ? e->errbuf : curl_easy_strerror(code); }

static void proxy_hint(const struct easy *e, struct err *err) {
    if (e->proxied)
        err_hint(
            err,
            "The request went by a proxy, because the environment (https_proxy, http_proxy, all_proxy) says so. If this host must "
            "be reached directly, add it to no_proxy.");
}

static int cannot_connect(const struct easy *e, CURLcode code, struct err *err) {
    long number = 0;
    curl_easy_getinfo(e->curl, CURLINFO_OS_ERRNO, &number);
    if (!number) return err_set(err, ERR_UNAVAILABLE, "cannot reach %s: %s", e->target.label, reason(e, code));
    err_errno(err, (int) number, "cannot reach %s", e->target.label);
    if (number != EACCES && number != EPERM && number != ENOENT) {
        if (err) err->code = ERR_UNAVAILABLE;
        return -ERR_UNAVAILABLE;
    }
    return number == ENOENT ? -ERR_NOT_FOUND : -ERR_DENIED;
}

static int bad_certificate(const struct easy *e, CURLcode code, struct err *err) {
    int r = err_set(err, ERR_PROTOCOL, "the certificate of %s is not accepted: %s", e->target.label, reason(e, code));
    if (strstr(e->errbuf, "expired"))
        err_hint(err, "Check this machine's clock, and the certificate's dates.");
    else if (strstr(e->errbuf, "no alternative certificate subject name") || strstr(e->errbuf, "does not match"))
        err_hint(err, "The certificate belongs to another name than %s. Check the address.", e->target.label);
    else if (e->own_trust)
        err_hint(err, "The certificate authority that is configured for this host didn't sign the host's certificate.");
    else
        err_hint(err,
                 "Is this machine behind a proxy that inspects TLS, or is the host's certificate signed by a private authority? "
                 "Add that "
                 "authority to the system's trust store (in use: %s), or name a bundle that has it in SSL_CERT_FILE.",
                 e->ca_file ? e->ca_file : "none was found");
    return r;
}

static int tls_failed(const struct easy *e, CURLcode code, struct err *err) {
    if (strstr(e->errbuf, "wrong version number") || strstr(e->errbuf, "packet length too long")) {
        int r = err_set(err, ERR_PROTOCOL, "%s doesn't speak TLS: %s", e->target.label, reason(e, code));
        err_hint(err, "Is it a plain http port?");
        return r;
    }
    bool refused = strstr(e->errbuf, "alert") != NULL;
    int r = err_set(err, refused ? ERR_PROTOCOL : ERR_UNAVAILABLE, "the TLS handshake with %s failed: %s", e->target.label,
                    reason(e, code));
    if (refused) err_hint(err, "The host ended the handshake: it may want a client certificate, or another one than was given.");
    if (err) err->retryable = !refused;
    return r;
}

/* What the proxy answered to CONNECT; 0 if there was no such answer. */
static long refused_by_proxy(const struct easy *e) {
    long status = 0;
    curl_easy_getinfo(e->curl, CURLINFO_HTTP_CONNECTCODE, &status);
    return status >= 300 ? status : 0;
}

static int proxy_refuses(const struct easy *e, long status, struct err *err) {
    int r = err_set(err, ERR_UNAVAILABLE, "cannot reach %s: the proxy refuses to connect to it: HTTP %ld", e->target.label, status);
    if (status == 407)
        err_hint(err, "The proxy wants a user name and a password: put them into its URL (https_proxy=http://USER:PASSWORD@HOST:PORT).");
    else
        proxy_hint(e, err);
    return r;
}

static int retryable(const struct easy *e, enum err_code as, const char *what, CURLcode code, struct err *err) {
    int r = err_set(err, as, "%s %s: %s", what, e->target.label, reason(e, code));
    proxy_hint(e, err);
    if (err) err->retryable = true;
    return r;
}

int easy_failed(const struct easy *e, CURLcode code, struct err *err) {
    int r;
    if (refused_by_proxy(e)) return proxy_refuses(e, refused_by_proxy(e), err);
    switch (code) {
        case CURLE_URL_MALFORMAT:
            return err_set(err, ERR_INVALID, "not a usable URL for %s: %s", e->target.label, reason(e, code));
        case CURLE_COULDNT_RESOLVE_PROXY:
            r = err_set(err, ERR_UNAVAILABLE, "cannot reach %s: its proxy's name has no address", e->target.label);
            proxy_hint(e, err);
            return r;
        case CURLE_COULDNT_RESOLVE_HOST:
            r = err_set(err, ERR_UNAVAILABLE, "cannot reach %s: no such host: the name %s has no address", e->target.label,
                        e->target.host);
            err_hint(err, "Check the name, the region in it, and this machine's network and DNS.");
            if (err) err->retryable = true;
            return r;
        case CURLE_COULDNT_CONNECT:
            r = cannot_connect(e, code, err);
            proxy_hint(e, err);
            if (err) err->retryable = r == -ERR_UNAVAILABLE;
            return r;
        case CURLE_OPERATION_TIMEDOUT: return retryable(e, ERR_TIMEOUT, "timed out connecting to", code, err);
        case CURLE_PEER_FAILED_VERIFICATION: return bad_certificate(e, code, err);
        case CURLE_SSL_CACERT_BADFILE:
            r = err_set(err, ERR_INVALID, "cannot read the certificate authorities for %s from %s", e->target.label,
                        e->ca_file ? e->ca_file : "the given PEM text");
            err_hint(err, "It must hold PEM certificates.");
            return r;
        case CURLE_SSL_CERTPROBLEM:
            return err_set(err, ERR_INVALID, "the client certificate or key for %s can't be used: %s", e->target.label,
                           reason(e, code));
        case CURLE_SSL_CONNECT_ERROR: return tls_failed(e, code, err);
        case CURLE_ABORTED_BY_CALLBACK:
            return err_set(err, ERR_IO, "sending to %s ended: its body couldn't be read", e->target.label);
        case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, the scheme is checked before */
        case CURLE_WEIRD_SERVER_REPLY:
            return err_set(err, ERR_PROTOCOL, "%s doesn't speak HTTP: %s", e->target.label, reason(e, code));
        case CURLE_OUT_OF_MEMORY: mem_abort();
        default: return retryable(e, ERR_UNAVAILABLE, "the connection broke to", code, err);
    }
}
