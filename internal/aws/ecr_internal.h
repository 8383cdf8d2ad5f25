#pragma once

#include "aws/internal.h"
#include "json/json.h"

struct ecr {
    struct aws *aws;
    char *region;
};

struct ecr_reply {
    struct json *json; /* NULL on failure */
    const char *code;  /* AWS's, where the call failed with one */
    int attempts;
};
#define AUTO_REPLY __attribute__((cleanup(ecr_reply_done)))
static inline void ecr_reply_done(struct ecr_reply *r) { json_free(r->json); }

int ecr_call(struct ecr *e, struct ctx *ctx, const char *action, const struct json *body, struct ecr_reply *ret, struct err *err);
int ecr_bad_reply(const char *action, struct err *err);
/* True if the call failed with just this code, which the caller expects: err is then emptied. */
bool ecr_expected(const struct ecr_reply *r, const char *code, struct err *err);
