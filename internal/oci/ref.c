/* References (github.com/distribution/reference is the grammar everybody uses). */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/oci.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128 };

static bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

bool oci_valid_tag(const char *tag) {
    if (str_empty(tag) || !(is_alnum(*tag) || *tag == '_')) return false;
    size_t n = 0;
    for (; tag[n]; n++)
        if (!is_alnum(tag[n]) && !strchr("._-", tag[n])) return false;
    return n <= TAG_MAX_LEN;
}

bool oci_valid_digest(const char *digest) {
    if (!digest) return false;
    bool long_one = str_starts(digest, "sha512:");
    if (!long_one && !str_starts(digest, "sha256:")) return false;
    const char *hex = digest + 7;
    size_t n = strspn(hex, "0123456789abcdef");
    return !hex[n] && n == (long_one ? 128 : 64);
}

/* Parts of lower-case letters and digits, joined by ".", "_", "__" or dashes. */
static bool valid_part(const char *s, size_t len) {
    if (!len || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1])) return false;
    for (size_t i = 0; i < len; i++) {
        if (is_lower_alnum(s[i]) || s[i] == '-') continue;
        if (s[i] == '.' && is_lower_alnum(s[i - 1]) && is_lower_alnum(s[i + 1])) continue;
        if (s[i] != '_') return false;
        size_t run = strspn(s + i, "_");
        if (run > 2 || !is_lower_alnum(s[i - 1]) || !is_lower_alnum(s[i + run])) return false;
        i += run - 1;
    }
    return true;
}

static bool valid_name(const char *name) {
    if (strlen(name) > NAME_MAX_LEN) return false;
    for (size_t len;; name += len + 1) {
        len = strcspn(name, "/");
        if (!valid_part(name, len)) return false;
        if (!name[len]) return true;
    }
}

static bool valid_port(const char *s) {
    size_t n = strspn(s, "0123456789");
    return n && n <= 5 && !s[n];
}

/* A DNS name, an IPv4 address or an IPv6 one in brackets, with or without a port. */
static bool valid_host(const char *host) {
    const char *end;
    if (*host == '[') {
        size_t n = strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (!n || host[n + 1] != ']') return false;
        end = host + n + 2;
    } else {
        size_t n = 0;
        while (is_alnum(host[n]) || host[n] == '.' || host[n] == '-') n++;
        if (!n || !is_alnum(host[0]) || !is_alnum(host[n - 1])) return false;
        end = host + n;
    }
    return !*end || (*end == ':' && valid_port(end + 1));
}

static int bad(struct err *err, const char *text, const char *why) {
    return err_set(err, ERR_INVALID, "\"%.300s\" is no image reference: %s", text, why);
}

static bool has_upper(const char *s) {
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z') return true;
    return false;
}

int oci_parse_ref(struct arena *a, const char *text, struct oci_ref *ret, struct err *err) {
    struct oci_ref ref = {0};
    char *rest = arena_strdup(a, text);
    char *at = strchr(rest, '@');
    if (at) {
        *at = 0;
        ref.digest = at + 1;
        if (!oci_valid_digest(ref.digest)) return bad(err, text, "what follows \"@\" must be sha256: and 64 hex digits");
    }
    char *slash = strchr(rest, '/'), *colon = strrchr(rest, ':');
    if (!slash) return bad(err, text, "the registry's host is missing: HOST/NAME[:TAG][@DIGEST]");
    if (colon > slash) {
        *colon = 0;
        ref.tag = colon + 1;
        if (!oci_valid_tag(ref.tag))
            return bad(err, text,
                       "a tag has at most 128 letters, digits, \"_\", \".\" and \"-\", and begins with none of the last two");
    }
    *slash = 0;
    ref.host = rest;
    ref.name = slash + 1;
    if (!strpbrk(ref.host, ".:") && !str_eq(ref.host, "localhost"))
        return bad(err, text, "its first part is no host (it has neither \".\" nor \":\", and isn't localhost)");
    if (!valid_host(ref.host)) return bad(err, text, "its host is malformed");
    if (has_upper(ref.name)) return bad(err, text, "a repository's name must be in lower case");
    if (!valid_name(ref.name))
        return bad(err, text,
                   "a repository's name has lower-case letters and digits, with \".\", \"_\", \"-\" and \"/\" between them");
    *ret = ref;
    return 0;
}
