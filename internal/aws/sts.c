/* https://docs.aws.amazon.com/STS/latest/APIReference/ */
#include <string.h>

#include "aws/internal.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

int aws_caller_identity(struct aws *a, struct ctx *ctx, struct aws_identity *ret, struct err *err) {
    const char *region;
    int r = aws_region(a, ctx, &region, err);
    if (r < 0) return r;
    struct aws_request req = {
        .service = "sts",
        .region = region ? region : "us-east-1",
        .action = "GetCallerIdentity",
        .content_type = "application/x-www-form-urlencoded",
        .body = "Action=GetCallerIdentity&Version=2011-06-15",
    };
    struct aws_reply reply;
    r = aws_call(a, ctx, &req, &reply, err);
    if (r < 0) return r;
    struct aws_identity id = {
        .account = aws_xml_text(ctx->arena, reply.http.body, "Account"),
        .arn = aws_xml_text(ctx->arena, reply.http.body, "Arn"),
    };
    if (!id.account || !id.arn) return err_set(err, ERR_PROTOCOL, "the reply to sts:GetCallerIdentity lacks the account");
    *ret = id;
    return 0;
}
