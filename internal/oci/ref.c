/* References: OCI Distribution Specification, "Pulling manifests"; hosts as docker's reference grammar has them. */
#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/oci.h"

static bool word_char(char c) { return isalnum((unsigned char) c) || c == '_'; }

bool oci_valid_tag(const char *tag) {
    size_t n = strlen(tag);
    if (!n || n > 128 || !word_char(*tag)) return false;
    for (const char *p = tag; *p; p++)
        if (!word_char(*p) && *p != '.' && *p != '-') return false;
    return true;
}

bool oci_valid_digest(const char *digest) {
    size_t want = str_starts(digest, "sha256:") ? 64 : str_starts(digest, "sha512:") ? 128 : 0;
    return want && strlen(digest) == want + 7 && strspn(digest + 7, "0123456789abcdef") == want;
}

/* One part between slashes: [a-z0-9]+ joined by '.', '_', '__' or any number of '-'. */
static bool valid_part(const char *p, size_t n) {
    size_t i = 0;
    for (;;) {
        size_t start = i;
        while (i < n && (islower((unsigned char) p[i]) || isdigit((unsigned char) p[i]))) i++;
        if (i == start) return false;
        if (i == n) return true;
        if (p[i] == '-')
            while (i < n && p[i] == '-') i++;
        else if (p[i] == '.')
            i++;
        else if (p[i] == '_')
            i += i + 1 < n && p[i + 1] == '_' ? 2 : 1;
        else
            return false;
    }
}

static bool valid_name(const char *name) {
    if (strlen(name) > 255) return false;
    for (const char *p = name;;) {
        size_t n = strcspn(p, "/");
        if (!valid_part(p, n)) return false;
        if (!p[n]) return true;
        p += n + 1;
    }
}

static bool valid_host(const char *host) {
    if (!strpbrk(host, ".:") && !str_eq(host, "localhost")) return false;
    const char *p = host;
    if (*p == '[') {
        p += strspn(p + 1, "0123456789abcdefABCDEF:.") + 1;
        if (*p++ != ']') return false;
    } else {
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
        if (!n) return false;
        p += n;
    }
    if (!*p) return true;
    size_t digits = *p == ':' ? strspn(p + 1, "0123456789") : 0;
    return digits && digits <= 5 && !p[digits + 1];
}

int oci_parse_ref(struct arena *a, const char *text, struct oci_ref *ret, struct err *err) {
    struct oci_ref ref = {0};
    const char *slash = strchr(text, '/');
    if (slash) ref.host = arena_strndup(a, text, (size_t) (slash - text));
    if (!slash || !valid_host(ref.host))
        return err_set(err, ERR_INVALID, "\"%s\" names no registry host: it must be HOST[:PORT]/NAME[:TAG][@DIGEST]", text);
    char *rest = arena_strdup(a, slash + 1), *at = strchr(rest, '@');
    if (at) {
        *at = 0;
        ref.digest = at + 1;
        if (!oci_valid_digest(ref.digest)) return err_set(err, ERR_INVALID, "\"%s\": \"%s\" is not a digest", text, ref.digest);
    }
    char *colon = strrchr(rest, ':');
    if (colon) {
        *colon = 0;
        ref.tag = colon + 1;
        if (!oci_valid_tag(ref.tag)) return err_set(err, ERR_INVALID, "\"%s\": \"%s\" is not a tag", text, ref.tag);
    }
    ref.name = rest;
    if (!valid_name(rest)) return err_set(err, ERR_INVALID, "\"%s\": \"%s\" is not a repository name", text, rest);
    *ret = ref;
    return 0;
}
