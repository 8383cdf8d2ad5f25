/* Numbers of cty are decimals of any size. An int64 or a float64 where that is exact, else decimal text; compared by the
 * shortest decimal text, as OpenTofu does. */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

enum { MAX_DIGITS = 20000, EXACT_DIGITS = 1100 /* a float64's exact decimal has at most 1074 fraction digits */ };

/* sign, digits and the place of the decimal point: 0.ddd × 10^point. No leading or trailing zeros. */
struct decimal {
    bool negative;
    const char *digits;
    long n, point;
};

static void strip(struct decimal *d) {
    while (d->n && d->digits[0] == '0') d->digits++, d->n--, d->point--;
    while (d->n && d->digits[d->n - 1] == '0') d->n--;
    if (!d->n) *d = (struct decimal){.digits = ""};
}

/* Reads [+-]ddd[.ddd][e[+-]ddd] into digits (as long as text). */
static bool scan(const char *text, size_t len, char *digits, struct decimal *ret) {
    const char *p = text, *end = text + len;
    struct decimal d = {.digits = digits};
    bool dot = false, any = false;
    if (p < end && (*p == '-' || *p == '+')) d.negative = *p++ == '-';
    for (; p < end && (isdigit((unsigned char) *p) || (*p == '.' && !dot)); p++) {
        if (*p == '.') {
            dot = true;
            continue;
        }
        any = true;
        digits[d.n++] = *p;
        if (!dot) d.point++;
    }
    if (!any) return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        long e = 0;
        bool minus = false;
        if (++p < end && (*p == '-' || *p == '+')) minus = *p++ == '-';
        if (p >= end) return false;
        for (; p < end && isdigit((unsigned char) *p); p++)
            if (e < INT_MAX / 20) e = e * 10 + (*p - '0');
        d.point += minus ? -e : e;
    }
    if (p != end) return false;
    strip(&d);
    *ret = d;
    return true;
}

/* Without an exponent. */
static char *plain(struct arena *a, const struct decimal *d) {
    AUTO_BUF struct buf b = {0};
    if (d->negative) buf_addc(&b, '-');
    if (d->point <= 0) buf_addc(&b, '0');
    if (d->point > 0) buf_add(&b, d->digits, (size_t) (d->n < d->point ? d->n : d->point));
    for (long i = d->n; i < d->point; i++) buf_addc(&b, '0');
    if (d->n > d->point) {
        buf_addc(&b, '.');
        for (long i = d->point; i < 0; i++) buf_addc(&b, '0');
        long from = d->point > 0 ? d->point : 0;
        buf_add(&b, d->digits + from, (size_t) (d->n - from));
    }
    return arena_dup(a, b.data, b.len);
}

static bool exact(const char *text, double *ret) {
    double v = strtod(text, NULL);
    if (!isfinite(v) || v == 0) return false;
    AUTO_FREE char *full = mem_printf("%.*f", EXACT_DIGITS, v);
    size_t n = strlen(full);
    while (n && full[n - 1] == '0') n--;
    if (strncmp(full, text, n) != 0 || text[n]) return false;
    *ret = v;
    return true;
}

static int from_decimal(struct arena *a, const struct decimal *d, struct cty_num *ret, struct err *err) {
    if (d->point > MAX_DIGITS || d->point < -MAX_DIGITS || d->n > MAX_DIGITS)
        return err_set(err, ERR_LIMIT, "a number has more than %d digits", MAX_DIGITS);
    char *text = plain(a, d);
    if (d->n <= d->point || !d->n) {
        errno = 0;
        long long i = strtoll(text, NULL, 10);
        if (!errno)
            *ret = (struct cty_num){.kind = CTY_INT, .i = i};
        else
            *ret = (struct cty_num){.kind = CTY_DECIMAL, .text = text};
        return 0;
    }
    double v;
    if (d->n <= EXACT_DIGITS && exact(text, &v))
        *ret = (struct cty_num){.kind = CTY_FLOAT, .d = v};
    else
        *ret = (struct cty_num){.kind = CTY_DECIMAL, .text = text};
    return 0;
}

int cty_num_parse(struct arena *a, const char *text, size_t len, struct cty_num *ret, struct err *err) {
    if (len > 2 * MAX_DIGITS) return err_set(err, ERR_LIMIT, "a number has more than %d digits", MAX_DIGITS);
    AUTO_FREE char *digits = mem_array(len + 1, 1);
    struct decimal d;
    if (!scan(text, len, digits, &d)) return err_set(err, ERR_INVALID, "a number is required");
    return from_decimal(a, &d, ret, err);
}

/* Is the decimal of n digits that printf rounds to nearer to v than half a unit in the last place
 * of a 53-bit mantissa? Denormal numbers have fewer bits than that, but OpenTofu's big floats print all of them. */
static bool within_53_bits(double v, int n) {
    char all[64], cut[64];
    int e;
    snprintf(all, sizeof all, "%.40e", v);
    snprintf(cut, sizeof cut, "%.*e", n - 1, v);
    double bits = frexp(v, &e);
    /* The digits behind the cut, as a part of the last digit that stays. */
    double rest = 0, scale = 0.1;
    for (int i = n + 1; i < n + 19; i++, scale /= 10) rest += (all[i] - '0') * scale;
    bool up = strncmp(all, cut, (size_t) n + (n > 1)) != 0;
    double off = (up ? 1 - rest : rest) * pow(10, 1 - n);
    *strchr(cut, 'e') = 0;
    return off < strtod(cut, NULL) * ldexp(1, -54) / bits;
}

static char *shortest(struct arena *a, double v) {
    if (isinf(v)) return arena_strdup(a, v > 0 ? "+Inf" : "-Inf");
    char text[64];
    double size = fabs(v);
    int n = 1;
    for (; n < 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, size);
        if (size < DBL_MIN ? within_53_bits(size, n) : strtod(text, NULL) == size) break;
    }
    snprintf(text, sizeof text, "%.*e", n - 1, v);
    char digits[64];
    struct decimal d;
    scan(text, strlen(text), digits, &d);
    return plain(a, &d);
}

int cty_num_from_double(struct arena *a, double v, struct cty_num *ret, struct err *err) {
    if (isnan(v)) return err_set(err, ERR_PROTOCOL, "a number is NaN");
    if (isinf(v) || v != floor(v)) {
        *ret = (struct cty_num){.kind = CTY_FLOAT, .d = v};
        return 0;
    }
    char *text = shortest(a, v);
    return cty_num_parse(a, text, strlen(text), ret, err);
}

char *cty_num_text(struct arena *a, struct cty_num n) {
    if (n.kind == CTY_INT) return arena_printf(a, "%lld", (long long) n.i);
    return n.kind == CTY_FLOAT ? shortest(a, n.d) : arena_strdup(a, n.text);
}

static int sign(struct cty_num n) {
    if (n.kind == CTY_INT) return (n.i > 0) - (n.i < 0);
    if (n.kind == CTY_FLOAT) return n.d < 0 ? -1 : 1;
    return n.text[0] == '-' ? -1 : 1;
}

/* Of two positive plain decimals. */
static int compare_text(const char *a, const char *b) {
    size_t whole_a = strcspn(a, "."), whole_b = strcspn(b, ".");
    if (whole_a != whole_b) return whole_a < whole_b ? -1 : 1;
    return strcmp(a, b);
}

int cty_num_compare(struct cty_num a, struct cty_num b) {
    if (a.kind == CTY_INT && b.kind == CTY_INT) return (a.i > b.i) - (a.i < b.i);
    int sa = sign(a), sb = sign(b);
    if (sa != sb) return sa < sb ? -1 : 1;
    bool inf_a = a.kind == CTY_FLOAT && isinf(a.d), inf_b = b.kind == CTY_FLOAT && isinf(b.d);
    if (inf_a || inf_b) return sa * ((int) inf_a - (int) inf_b);
    AUTO_ARENA struct arena *arena = arena_new();
    int skip = sa < 0;
    return sa * compare_text(cty_num_text(arena, a) + skip, cty_num_text(arena, b) + skip);
}
