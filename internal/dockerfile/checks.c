#include "dockerfile/checks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool any_of(const char *s, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s, list[i])) return true;
    return false;
}

bool go_parse_bool(const char *s, bool *ret) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    *ret = any_of(s, yes, ARRAY_SIZE(yes));
    return *ret || any_of(s, no, ARRAY_SIZE(no));
}

bool go_parse_uint(const char *s, unsigned base, uint64_t max, uint64_t *ret) {
    uint64_t v = 0;
    if (!*s) return false;
    for (; *s; s++) {
        unsigned d = (unsigned) (*s - '0');
        if (*s < '0' || d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v) || v > max)
            return false;
    }
    *ret = v;
    return true;
}

bool go_parse_int(const char *s, int64_t *ret) {
    bool negative = *s == '-';
    uint64_t v;
    if (!go_parse_uint(s + (*s == '-' || *s == '+'), 10, INT64_MAX, &v)) return false;
    *ret = negative ? -(int64_t) v : (int64_t) v;
    return true;
}

/* "RTMIN+n" and "RTMAX-n" within the half that belongs to each. */
static bool real_time_signal(const char *s) {
    uint64_t n;
    if (!strcasecmp(s, "RTMIN") || !strcasecmp(s, "RTMAX")) return true;
    if (!strncasecmp(s, "RTMIN+", 6)) return s[6] != '0' && go_parse_uint(s + 6, 10, 15, &n);
    return !strncasecmp(s, "RTMAX-", 6) && s[6] != '0' && go_parse_uint(s + 6, 10, 14, &n);
}

bool df_valid_signal(const char *s) {
    static const char *const names[] = {
        "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",    "ILL",  "INT",  "IO",   "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STKFLT", "STOP", "SYS",  "TERM", "TRAP",
        "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ",
    };
    int64_t n;
    if (go_parse_int(s, &n)) return n != 0;
    if (!strncasecmp(s, "SIG", 3)) s += 3;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcasecmp(s, names[i])) return true;
    return real_time_signal(s);
}

static bool port_number(const char *s, int64_t *ret) { return go_parse_int(s, ret) && *ret >= 0 && *ret <= 65535; }

static bool port_range(char *s, int64_t *start, int64_t *end) {
    char *dash = strchr(s, '-');
    if (dash) *dash = 0;
    if (!port_number(s, start)) return false;
    *end = *start;
    if (!dash || !strcmp(s, dash + 1)) return true;
    return port_number(dash + 1, end) && *end >= *start;
}

static bool valid_ip(char *ip) {
    unsigned char address[16];
    size_t len = strlen(ip);
    if (*ip == '[') {
        if (ip[len - 1] != ']') return false;
        ip[len - 1] = 0;
        ip++;
        if (!*ip) return true;
    }
    return inet_pton(AF_INET, ip, address) == 1 || inet_pton(AF_INET6, ip, address) == 1;
}

static char *cut_last(char *s, char c) { /* what follows the last c, which becomes the end of s; NULL without one */
    char *at = strrchr(s, c);
    if (!at) return NULL;
    *at = 0;
    return at + 1;
}

bool df_valid_port(const char *s) {
    AUTO_FREE char *copy = mem_strdup(s);
    char *port = cut_last(copy, ':'), *host = NULL, *ip = NULL;
    if (port) {
        host = cut_last(copy, ':');
        ip = host ? copy : NULL;
        host = host ? host : copy;
    } else {
        port = copy;
    }
    char *proto = strchr(port, '/');
    if (proto) *proto++ = 0;
    if (!*port ||
        (proto && *proto && strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0 && strcasecmp(proto, "sctp") != 0))
        return false;
    if (ip && *ip && !valid_ip(ip)) return false;
    int64_t start, end, host_start, host_end;
    if (!port_range(port, &start, &end)) return false;
    if (!host || !*host) return true;
    if (!port_range(host, &host_start, &host_end)) return false;
    return end - start == host_end - host_start || end == start;
}

static bool symbolic_mode(const char *s) {
    for (;;) {
        s += strspn(s, "augo");
        do {
            if (!*s || !strchr("+-=", *s)) return false;
            s++;
            s += strspn(s, "rstwXxugo");
        } while (*s && *s != ',');
        if (!*s) return true;
        s++;
        if (!*s) return false;
    }
}

bool df_valid_chmod(const char *s) {
    uint64_t mode;
    if (go_parse_uint(s, 8, UINT32_MAX, &mode)) return mode <= 07777;
    return !is_digit(*s) && symbolic_mode(s);
}

/* A duration as Go writes it, in nanoseconds. */
static bool parse_duration(const char *s, long double *ret) {
    static const struct {
        const char *unit;
        long double ns;
    } units[] = {{"ns", 1},   {"us", 1e3}, {"\xC2\xB5s", 1e3}, {"\xCE\xBCs", 1e3},
                 {"ms", 1e6}, {"s", 1e9},  {"m", 6e10},        {"h", 3.6e12}};
    bool negative = *s == '-';
    long double total = 0;
    s += *s == '-' || *s == '+';
    if (!strcmp(s, "0")) {
        *ret = 0;
        return true;
    }
    if (!*s) return false;
    while (*s) {
        long double v = 0, scale = 1;
        const char *start = s;
        for (; is_digit(*s); s++) v = v * 10 + (*s - '0');
        bool any = s > start;
        if (*s == '.')
            for (s++; is_digit(*s); s++, any = true) v += (*s - '0') * (scale /= 10);
        size_t len = strcspn(s, ".0123456789"), i = 0;
        while (i < ARRAY_SIZE(units) && (strlen(units[i].unit) != len || memcmp(units[i].unit, s, len) != 0)) i++;
        if (!any || i == ARRAY_SIZE(units)) return false;
        total += v * units[i].ns;
        if (total > (long double) INT64_MAX) return false;
        s += len;
    }
    *ret = negative ? -total : total;
    return true;
}

bool df_valid_interval(const char *s) {
    long double ns;
    if (!*s) return true;
    return parse_duration(s, &ns) && ((int64_t) ns == 0 || ns >= 1e6L);
}

bool df_valid_size(const char *s) {
    size_t digits = 0;
    for (size_t i = 0; s[i]; i++)
        if (strchr("0123456789. ", s[i])) digits = i + 1;
    if (!digits) return false;
    AUTO_FREE char *number = mem_strndup(s, s[digits - 1] == ' ' ? digits - 1 : digits);
    char *end;
    errno = 0;
    double v = strtod(number, &end);
    if (!*number || *number == ' ' || *end || errno || !(v >= 0)) return false;
    const char *suffix = s + digits;
    size_t len = strlen(suffix);
    if (!len) return true;
    if (len > 3) return false;
    if ((*suffix | 0x20) == 'b') return len == 1;
    if (!strchr("kmgtp", *suffix | 0x20)) return false;
    return len == 1 || (len == 2 && (suffix[1] | 0x20) == 'b') || (len == 3 && !strcasecmp(suffix + 1, "ib"));
}

static bool is_id(const char *s) {
    int64_t v;
    return !strcmp(s, "root") || (go_parse_int(s, &v) && v >= INT32_MIN && v <= INT32_MAX);
}

bool df_chown_by_name(const char *s) {
    const char *colon = strchr(s, ':');
    AUTO_FREE char *user = mem_strndup(s, colon ? (size_t) (colon - s) : strlen(s));
    return (!is_id(user) && *user) || (colon && colon[1] && !is_id(colon + 1));
}
