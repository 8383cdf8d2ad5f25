#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Values that instructions refuse, judged as BuildKit (that is, Go's strconv and a few small parsers) does. */

bool go_parse_bool(const char *s, bool *ret);
bool go_parse_int(const char *s, int64_t *ret);                                /* decimal, a sign allowed */
bool go_parse_uint(const char *s, unsigned base, uint64_t max, uint64_t *ret); /* digits only */

bool df_valid_signal(const char *s);   /* STOPSIGNAL */
bool df_valid_port(const char *s);     /* EXPOSE: [ip:][host:]port[-port][/proto] */
bool df_valid_chmod(const char *s);    /* octal to 07777, or symbolic */
bool df_valid_interval(const char *s); /* HEALTHCHECK: "", 0, or a duration from 1 ms on */
bool df_valid_size(const char *s);     /* tmpfs: a number and perhaps a unit */
bool df_chown_by_name(const char *s);  /* a user or group that isn't a number */
