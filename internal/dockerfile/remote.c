#include "dockerfile/remote.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static bool is_alnum(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static bool in_list(const char *s, size_t len, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && !strncasecmp(list[i], s, len)) return true;
    return false;
}

/* user@host:path */
static bool is_scp(const char *s) {
    const char *p = s;
    while (is_alnum(*p) || *p == '-' || *p == '_') p++;
    if (p == s || *p != '@') return false;
    const char *host = ++p;
    while (is_alnum(*p) || *p == '-' || *p == '.') p++;
    return p > host && *p == ':' && !strchr(p, '\n');
}

/* Whether Go's url.Parse takes it, as far as sources go: no control characters, percent signs followed by two digits. */
static bool parses_as_url(const char *s) {
    const char *fragment = strchr(s, '#');
    for (const char *p = s; *p; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) return false;
        bool query = false;
        for (const char *q = s; q < p; q++) query = query || *q == '?';
        if (*p != '%' || (query && !(fragment && p > fragment))) continue;
        static const char hex[] = "0123456789abcdefABCDEF";
        if (!p[1] || !strchr(hex, p[1]) || !p[2] || !strchr(hex, p[2])) return false;
    }
    return true;
}

/* The query of a Git URL: known keys only, each once and with a value. */
static int check_query(const char *query, struct err *err) {
    static const char *const keys[] = {"ref", "tag", "branch", "subdir", "checksum", "commit", "mtime"};
    static const char *const switches[] = {"keep-git-dir", "submodules", "fetch-by-commit"};
    while (*query && *query != '#') {
        size_t len = strcspn(query, "&#"), name = strcspn(query, "=&#");
        bool is_switch = in_list(query, name, switches, ARRAY_SIZE(switches));
        if (len && !is_switch && !in_list(query, name, keys, ARRAY_SIZE(keys)))
            return err_set(err, ERR_INVALID, "unexpected query \"%.*s\" in a Git URL", (int) name, query);
        if (len && !is_switch && name + 1 >= len)
            return err_set(err, ERR_INVALID, "query \"%.*s\" has no value", (int) name, query);
        query += len;
        if (*query == '&') query++;
    }
    return 0;
}

static int git(const char *source, struct err *err) {
    const char *query = strchr(source, '?'), *fragment = strchr(source, '#');
    if (!query || (fragment && fragment < query)) return DF_GIT;
    int r = check_query(query + 1, err);
    return r < 0 ? r : DF_GIT;
}

static bool path_ends_in_git(const char *rest) { /* what follows "//" */
    size_t len = strcspn(rest, "?#"), host = strcspn(rest, "/?#");
    return host < len && len - host > 4 && !memcmp(rest + len - 4, ".git", 4);
}

int df_remote_kind(const char *source, struct err *err) {
    static const char *const git_only[] = {"ssh", "git"}, *const http[] = {"http", "https"};
    const char *p = source;
    if (str_starts(source, "./") || str_starts(source, "../")) return DF_LOCAL;
    if (str_starts(source, "github.com/")) { /* taken as a local name, but its query is still looked at */
        int r = parses_as_url(source) ? git(source, err) : DF_LOCAL;
        return r < 0 ? r : DF_LOCAL;
    }
    while (is_alnum(*p)) p++;
    bool scheme = p > source && str_starts(p, "://");
    size_t len = (size_t) (p - source);
    if (scheme && parses_as_url(source)) {
        if (in_list(source, len, git_only, ARRAY_SIZE(git_only))) return git(source, err);
        if (in_list(source, len, http, ARRAY_SIZE(http)) && path_ends_in_git(p + 3)) return git(source, err);
    }
    if (!scheme && is_scp(source)) return git(source, err);
    return str_starts(source, "http://") || str_starts(source, "https://") ? DF_HTTP : DF_LOCAL;
}
