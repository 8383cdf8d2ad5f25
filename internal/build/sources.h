#pragma once

struct build_request;
struct ctx;
struct err;

/* Whether the sources are (still) those that were planned. when: "since the plan", "while it was built". ERR_CONFLICT
 * with the file that changed last, as far as that can be told. */
int sources_check(struct ctx *ctx, const struct build_request *req, const char *when, struct err *err);
