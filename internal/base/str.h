#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* A growing byte buffer with a cap on its size. Zero-initialised it is empty and uncapped. */
struct buf {
    char *data; /* NUL-terminated once anything was added; else NULL */
    size_t len, cap;
    size_t max;    /* 0: no limit */
    bool overflow; /* something was dropped because of max */
};

#define AUTO_BUF __attribute__((cleanup(buf_done)))

void buf_done(struct buf *b);
void buf_reset(struct buf *b); /* empty, memory kept */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_take(struct buf *b); /* the text (never NULL), the caller frees; the buffer is empty again */
const char *buf_str(const struct buf *b); /* never NULL */
void buf_wipe(struct buf *b); /* wipes, then frees: for buffers that held secrets */

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *b, const char *s, size_t len);

struct kv {
    const char *key;
    const char *value;
};

struct strs { /* a list of strings */
    const char **v;
    size_t n, cap;
};
void strs_add(struct arena *a, struct strs *list, const char *s); /* s is not copied */

bool str_eq(const char *a, const char *b); /* NULL equals NULL only */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_empty(const char *s); /* NULL or "" */
char *str_lower(struct arena *a, const char *s); /* ASCII */
char *str_trim(struct arena *a, const char *s); /* ASCII white space at both ends */

/* The length of s if it is valid UTF-8 (RFC 3629), else the offset of the first bad byte in *ret_bad and -1. */
int utf8_check(const char *s, size_t len, size_t *ret_bad);

/* Text of foreign origin made fit for a reply, a terminal and a log: UTF-8 repaired with U+FFFD, ESC sequences and
 * control characters dropped, CR LF and a lone CR folded to LF; tab and LF stay. */
char *text_clean(struct arena *a, const char *s, size_t len);
/* The last n lines of cleaned text, at most max bytes, cut at a line or character boundary. */
char *text_tail(struct arena *a, const char *s, size_t lines, size_t max);

/* "812 B", "4.1 kB", "2.1 MB", "12.3 GB": powers of a thousand. */
char *bytes_text(struct arena *a, uint64_t n);

/* "1h30m", "10s", "250ms" → milliseconds (Go's ParseDuration units h m s ms; fractions allowed). -1 if malformed or
 * negative. */
int64_t duration_parse(const char *s);
