/* Header look-up and percent-encoding. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "http/internal.h"

const char *http_header_get(const struct http_response *r, const char *name) {
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcasecmp(r->headers[i].name, name) == 0) return r->headers[i].value;
    return NULL;
}

int64_t http_date(const char *text) { return curl_getdate(text, NULL); }

/* RFC 9110 10.2.3: seconds or a date. */
int64_t http_retry_after(const struct http_response *r) {
    enum { MOST = 24 * 3600 };
    const char *text = http_header_get(r, "Retry-After");
    if (str_empty(text)) return -1;
    int64_t seconds;
    if (isdigit((unsigned char) *text)) {
        seconds = strtoll(text, NULL, 10);
    } else {
        time_t at = curl_getdate(text, NULL);
        if (at == (time_t) -1) return -1;
        seconds = at - time(NULL);
    }
    return seconds < 0 ? 0 : (seconds > MOST ? MOST : seconds) * 1000;
}

char *http_encode(struct arena *a, const char *s, bool keep_slash) {
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_array(a, strlen(s) + 1, 3), *o = text;
    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain || (c == '/' && keep_slash)) {
            *o++ = (char) c;
        } else {
            *o++ = '%';
            *o++ = digits[c >> 4];
            *o++ = digits[c & 15];
        }
    }
    *o = 0;
    return text;
}
