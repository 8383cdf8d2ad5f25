#include "dockerfile/image.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/words.h"

static bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
static bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }
static bool is_hex(char c) { return c && strchr("0123456789abcdefABCDEF", c); }

/* Lower-case words with a dot, one or two underscores or any number of dashes between them. */
static bool path_component(const char *p, const char *end) {
    for (;;) {
        const char *word = p;
        while (p < end && is_lower_alnum(*p)) p++;
        if (p == word) return false;
        if (p == end) return true;
        if (*p == '.')
            p++;
        else if (*p == '_')
            p += p + 1 < end && p[1] == '_' ? 2 : 1;
        else if (*p == '-')
            while (p < end && *p == '-') p++;
        else
            return false;
    }
}

static bool repository(const char *p, const char *end) {
    for (;;) {
        const char *slash = memchr(p, '/', (size_t) (end - p));
        if (!path_component(p, slash ? slash : end)) return false;
        if (!slash) return true;
        p = slash + 1;
    }
}

static bool domain(const char *p, const char *end) {
    const char *host = p;
    if (p < end && *p == '[') {
        for (p++; p < end && (is_hex(*p) || *p == ':'); p++) {
        }
        if (p == host + 1 || p == end || *p++ != ']') return false;
    } else {
        for (;; p++) {
            const char *part = p;
            while (p < end && (is_alnum(*p) || *p == '-')) p++;
            if (p == part || *part == '-' || p[-1] == '-') return false;
            if (p == end || *p != '.') break;
        }
    }
    if (p == end) return true;
    if (*p++ != ':' || p == end) return false;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p == end;
}

static bool tag(const char *p, const char *end) {
    if (p == end || end - p > 128 || !(is_alnum(*p) || *p == '_')) return false;
    for (; p < end; p++)
        if (!is_alnum(*p) && *p != '_' && *p != '.' && *p != '-') return false;
    return true;
}

static bool digest(const char *p, const char *end) {
    const char *start = p;
    for (;; p++) {
        if (p == end || !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')) return false;
        while (p < end && is_alnum(*p)) p++;
        if (p == end || !strchr("-_+.", *p)) break;
    }
    static const char *const algorithms[] = {"sha256:", "sha384:", "sha512:"};
    if (p == end || *p++ != ':') return false;
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        if (p - start != 7 || strncmp(start, algorithms[i], 7) != 0) continue;
        const char *hex = p;
        while (p < end && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f'))) p++;
        return p == end && p - hex == (ptrdiff_t) (64 + 32 * i);
    }
    return false;
}

struct parts {
    const char *domain_end; /* NULL without a domain; else its slash */
    const char *path, *path_end;
    const char *tag, *digest; /* NULL without */
    const char *end;
};

static struct parts split(const char *name) {
    struct parts s = {.path = name, .end = name + strlen(name)};
    const char *slash = strchr(name, '/');
    if (slash) {
        bool upper = false;
        for (const char *p = name; p < slash; p++) upper = upper || (*p >= 'A' && *p <= 'Z') || *p == '.' || *p == ':';
        if (upper || (slash - name == 9 && !strncmp(name, "localhost", 9))) {
            s.domain_end = slash;
            s.path = slash + 1;
        }
    }
    const char *at = strchr(s.path, '@');
    s.path_end = at ? at : s.end;
    if (at) s.digest = at + 1;
    const char *colon = memchr(s.path, ':', (size_t) (s.path_end - s.path));
    if (colon) {
        s.tag = colon + 1;
        s.path_end = colon;
    }
    return s;
}

static bool is_identifier(const char *name) {
    size_t n = 0;
    while ((name[n] >= '0' && name[n] <= '9') || (name[n] >= 'a' && name[n] <= 'f')) n++;
    return n == 64 && !name[n];
}

int df_image_check(const char *name, struct err *err) {
    struct parts s = split(name);
    if (is_identifier(name))
        return err_set(err, ERR_INVALID, "invalid repository name (%s): 64 hexadecimal digits name no repository", name);
    for (const char *p = s.path; p < s.path_end; p++)
        if (*p >= 'A' && *p <= 'Z')
            return err_set(err, ERR_INVALID, "invalid image name \"%s\": the repository name must be lowercase", name);
    bool ok = (!s.domain_end || domain(name, s.domain_end)) && repository(s.path, s.path_end) && s.path_end - name <= 255;
    const char *tag_end = s.digest ? s.digest - 1 : s.end;
    ok = ok && (!s.tag || tag(s.tag, tag_end)) && (!s.digest || digest(s.digest, s.end));
    return ok ? 0 : err_set(err, ERR_INVALID, "invalid image name \"%s\"", name);
}

const char *df_image_familiar(struct arena *a, const char *name) {
    static const char *const hubs[] = {"docker.io/", "index.docker.io/"};
    for (size_t i = 0; i < ARRAY_SIZE(hubs); i++)
        if (str_starts(name, hubs[i])) name += strlen(hubs[i]);
    struct parts s = split(name);
    if (str_starts(name, "library/") && !memchr(name + 8, '/', (size_t) (s.path_end - name - 8))) name += 8;
    size_t len = strlen(name);
    return arena_strndup(a, name, str_ends(name, ":latest") ? len - 7 : len);
}

/* ---- Platforms (containerd/platforms) ---- */

static bool known(const char *s, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s, list[i])) return true;
    return false;
}

static void normal_arch(struct arena *a, struct df_platform *p) {
    static const char *const aliases[][2] = {{"i386", "386"},      {"x86_64", "amd64"}, {"x86-64", "amd64"},
                                             {"aarch64", "arm64"}, {"armhf", "arm"},    {"armel", "arm"}};
    const char *given = p->arch;
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
        if (!strcmp(given, aliases[i][0])) p->arch = aliases[i][1];
    const char *v = p->variant;
    if (!strcmp(given, "i386") || (!strcmp(p->arch, "amd64") && !strcmp(v, "v1"))) v = "";
    if (!strcmp(given, "armhf"))
        v = "v7";
    else if (!strcmp(given, "armel"))
        v = "v6";
    else if (!strcmp(p->arch, "arm") && (!*v || !strcmp(v, "7")))
        v = "v7";
    else if (!strcmp(p->arch, "arm") && (!strcmp(v, "5") || !strcmp(v, "6") || !strcmp(v, "8")))
        v = arena_printf(a, "v%s", v);
    if (!strcmp(p->arch, "arm64") && (!strcmp(v, "8") || !strcmp(v, "v8") || !strcmp(v, "v8.0"))) v = "";
    if (!strcmp(p->arch, "arm64") && (!strcmp(v, "9") || !strcmp(v, "9.0") || !strcmp(v, "v9.0"))) v = "v9";
    p->variant = v;
}

/* The operating system and, in parentheses, its version. */
static bool parse_os(struct arena *a, const char *part, struct df_platform *p) {
    size_t n = strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    p->os = str_lower(a, arena_strndup(a, part, n));
    if (!strcmp(p->os, "macos")) p->os = "darwin";
    if (!*p->os) p->os = "linux";
    if (!part[n]) return n > 0;
    size_t end = strlen(part) - 1;
    if (part[n] != '(' || part[end] != ')') return false;
    size_t version = strcspn(part + n + 1, "+)");
    p->os_version = arena_strndup(a, part + n + 1, version);
    return true;
}

static bool plain_part(const char *s) {
    return *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];
}

static const char *format(struct arena *a, const struct df_platform *p) {
    const char *version = *p->os_version ? arena_printf(a, "(%s)", p->os_version) : "";
    return arena_printf(a, "%s%s%s%s%s%s", p->os, version, *p->arch ? "/" : "", p->arch, *p->variant ? "/" : "", p->variant);
}

int df_platform_parse(struct arena *a, const char *text, bool normalize, struct df_platform *ret, struct err *err) {
    static const char *const systems[] = {"aix",   "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios", "js",
                                          "linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos"};
    static const char *const arches[] = {"386",     "amd64",    "amd64p32",  "arm",         "armbe",   "arm64",
                                         "arm64be", "ppc64",    "ppc64le",   "loong64",     "mips",    "mipsle",
                                         "mips64",  "mips64le", "mips64p32", "mips64p32le", "ppc",     "riscv",
                                         "riscv64", "s390",     "s390x",     "sparc",       "sparc64", "wasm"};
    const char *part[4] = {"", "", "", ""};
    size_t n = 0;
    for (const char *p = text; n < 4; n++) {
        size_t len = n == 3 ? strlen(p) : strcspn(p, "/");
        part[n] = arena_strndup(a, p, len);
        if (!p[len]) {
            n++;
            break;
        }
        p += len + 1;
    }
    struct df_platform p = {"", str_lower(a, part[1]), str_lower(a, part[2]), "", ""};
    bool ok = n < 4 && parse_os(a, part[0], &p);
    for (size_t i = 1; i < n; i++) ok = ok && plain_part(part[i]);
    if (!ok) return err_set(err, ERR_INVALID, "\"%s\" is not a platform: it must be of the form os/arch or os/arch/variant", text);
    if (n == 1 && known(p.os, systems, ARRAY_SIZE(systems))) {
        p.arch = "amd64"; /* in truth the builder's */
    } else if (n == 1) {
        p.arch = str_lower(a, part[0]);
        p.os = "linux";
    }
    normal_arch(a, &p);
    if (n == 1 && !known(p.arch, arches, ARRAY_SIZE(arches)))
        return err_set(err, ERR_INVALID, "\"%s\" is no operating system or architecture that is known", text);
    if (n < 3 && !normalize && !strcmp(p.arch, "arm") && !strcmp(p.variant, "v7")) p.variant = "";
    if (n == 3 && !normalize && !strcmp(p.arch, "arm64") && !*p.variant) p.variant = "v8";
    p.text = format(a, &p);
    *ret = p;
    return 0;
}
