#include "kube/when.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

/* Days since 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of(int y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int64_t kube_time_parse(const char *text) {
    int y, mo, d, h, mi, s, used = 0;
    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &used) != 6 || used != 19) return -1;
    if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 60 || y < 0 || h < 0 || mi < 0 || s < 0) return -1;
    int64_t ms = (days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s) * 1000;
    const char *p = text + used;
    if (*p == '.') {
        int64_t scale = 100;
        for (p++; isdigit((unsigned char) *p); p++, scale /= 10) ms += (*p - '0') * scale;
    }
    if (str_eq(p, "Z") || str_eq(p, "z")) return ms;
    int oh, om, all = 0;
    if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2d:%2d%n", &oh, &om, &all) != 2 || p[1 + all]) return -1;
    return ms - (*p == '-' ? -1 : 1) * (int64_t) (oh * 60 + om) * 60000;
}

char *kube_time_text(struct arena *a, int64_t ms) {
    time_t s = (time_t) (ms / 1000);
    struct tm tm = {0};
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_strdup(a, text);
}

char *kube_span_text(struct arena *a, int64_t ms) {
    long long s = (long long) ((ms + 500) / 1000);
    if (s < 60) return arena_printf(a, "%llds", s);
    if (s < 3600) return s % 60 ? arena_printf(a, "%lldm%llds", s / 60, s % 60) : arena_printf(a, "%lldm", s / 60);
    return s / 60 % 60 ? arena_printf(a, "%lldh%lldm", s / 3600, s / 60 % 60) : arena_printf(a, "%lldh", s / 3600);
}
