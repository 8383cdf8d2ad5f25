/* Where a request goes. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/internal.h"

static char *part(CURLU *u, CURLUPart what, unsigned flags) {
    char *text = NULL;
    if (curl_url_get(u, what, &text, flags) != CURLUE_OK) return NULL;
    char *copy = mem_strdup(text);
    curl_free(text);
    return copy;
}

/* Such hosts are never reached by a proxy (as Go's ProxyFromEnvironment has it). */
static bool is_loopback(const char *host) {
    return str_eq(host, "localhost") || str_starts(host, "127.") || str_eq(host, "[::1]") || str_ends(host, ".localhost");
}

char *target_authority(const struct target *t) {
    bool usual = str_eq(t->port, t->tls ? "443" : "80");
    return usual ? mem_strdup(t->host) : mem_printf("%s:%s", t->host, t->port);
}

static char *path_and_query(CURLU *u) {
    AUTO_FREE char *path = part(u, CURLUPART_PATH, 0), *query = part(u, CURLUPART_QUERY, 0);
    return mem_printf("%s%s%s", path ? path : "/", query ? "?" : "", query ? query : "");
}

int target_parse(struct target *t, const struct http_request *req, struct err *err) {
    CURLU *u = curl_url();
    if (!u) mem_abort();
    CURLUcode code = curl_url_set(u, CURLUPART_URL, req->url, CURLU_PATH_AS_IS);
    if (code == CURLUE_OK) {
        *t = (struct target){
            .scheme = part(u, CURLUPART_SCHEME, 0),
            .host = part(u, CURLUPART_HOST, 0),
            .port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT),
            .path = path_and_query(u),
        };
    }
    curl_url_cleanup(u);
    t->tls = str_eq(t->scheme, "https");
    if (code != CURLUE_OK || (!t->tls && !str_eq(t->scheme, "http")) || str_empty(t->host) || !t->port) {
        target_done(t);
        /* The query may hold a signature. */
        return err_set(err, ERR_INVALID, "not an http or https URL: %.*s", (int) strcspn(req->url, "?"), req->url);
    }
    t->loopback = is_loopback(t->host);
    t->label = req->unix_socket ? mem_printf("unix://%s", req->unix_socket) : target_authority(t);
    return 0;
}

void target_done(struct target *t) {
    mem_free(t->scheme);
    mem_free(t->host);
    mem_free(t->port);
    mem_free(t->path);
    mem_free(t->label);
    *t = (struct target){0};
}
