/* Types of plain scalars: https://yaml.org/type/{null,bool,int,float}.html, as far as Go's YAML library, which
 * Kubernetes uses, follows them: no sexagesimal numbers, timestamps stay strings. */
#include "yaml/scalar.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

static bool one_of(const char *s, const char *const *words) {
    for (; *words; words++)
        if (str_eq(s, *words)) return true;
    return false;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const trues[] = {"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", NULL};
static const char *const falses[] = {"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF", NULL};

static int base_of(const char **digits) {
    const char *s = *digits;
    if (s[0] != '0' || !s[1]) return 10;
    if (s[1] == 'x' || s[1] == 'b' || s[1] == 'o') {
        *digits = s + 2;
        return s[1] == 'x' ? 16 : s[1] == 'b' ? 2 : 8;
    }
    *digits = s + 1;
    return 8;
}

/* Underscores may stand between digits. */
static bool integer(const char *s, double *ret) {
    bool minus = *s == '-';
    if (*s == '-' || *s == '+') s++;
    int base = base_of(&s);
    double value = 0;
    size_t digits = 0;
    for (; *s; s++) {
        if (*s == '_' && digits) continue;
        int d = isdigit((unsigned char) *s) ? *s - '0' : isxdigit((unsigned char) *s) ? tolower((unsigned char) *s) - 'a' + 10 : 99;
        if (d >= base) return false;
        value = value * base + d;
        digits++;
    }
    if (!digits || digits > 300) return false;
    *ret = minus ? -value : value;
    return true;
}

static bool is_float(const char *s) {
    if (*s == '-' || *s == '+') s++;
    size_t digits = 0;
    for (; isdigit((unsigned char) *s); s++) digits++;
    if (*s == '.')
        for (s++; isdigit((unsigned char) *s); s++) digits++;
    if (!digits) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+') s++;
        if (!isdigit((unsigned char) *s)) return false;
        while (isdigit((unsigned char) *s)) s++;
    }
    return !*s;
}

struct json *yaml_resolve(const char *text) {
    double n;
    if (one_of(text, nulls)) return json_new_null();
    if (one_of(text, trues)) return json_new_bool(true);
    if (one_of(text, falses)) return json_new_bool(false);
    if (strlen(text) <= 400) {
        if (integer(text, &n)) return json_new_num(n);
        if (is_float(text)) {
            n = strtod(text, NULL);
            if (n <= 1.7e308 && n >= -1.7e308) return json_new_num(n);
        }
    }
    return json_new_str(text);
}
