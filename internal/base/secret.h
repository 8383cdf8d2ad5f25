#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A secret string: reference-counted, wiped when the last reference goes, compared in constant time. Its text leaves
 * it only through secret_bytes, at the place that needs it. */

struct secret;

struct secret *secret_new(const void *bytes, size_t len); /* copies; the caller wipes its own copy */
struct secret *secret_take(char *text);                   /* copies, then wipes and frees a mem_* string; NULL stays NULL */
struct secret *secret_ref(const struct secret *s);        /* NULL stays NULL */
void secret_unref(struct secret *s);
static inline void secret_unref_p(struct secret **s) { secret_unref(*s); }
#define AUTO_SECRET __attribute__((cleanup(secret_unref_p)))

const char *secret_bytes(const struct secret *s); /* NUL-terminated; "" for NULL; valid while a reference is held */
size_t secret_len(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b);
const char *secret_print(const struct secret *s); /* "***", or "" for NULL and empty */

void mem_wipe(void *p, size_t len); /* not optimised away */
