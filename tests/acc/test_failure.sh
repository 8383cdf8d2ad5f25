#!/usr/bin/env bash
# Builds and rollouts that fail: nothing of the prior state, tags or images is lost, and the words help.
. "$(dirname "$0")/lib.sh"

seed
workloads
ok "a first good apply" apply
api=$(state gpudev_image.api_service digest)
cp "$tf/terraform.tfstate" "$work/good"

# A RUN step that fails.
cp "$tf/api-service/Dockerfile" "$work/Dockerfile"
sed -i '/^RUN/a RUN echo "compiling the api"; echo "undefined reference to gpu_reserve"; exit 7' "$tf/api-service/Dockerfile"
ok "a failing step fails the apply" no apply
ok "with the step" says 'RUN echo "compiling the api"'
ok "the last lines of its output" says "undefined reference to gpu_reserve"
ok "the exit code" says "7"
ok "the Dockerfile's line" says "api-service/Dockerfile:7"
ok "and the log's path" says ".jsonl"
log=$(grep -o '/[^ ]*\.jsonl' "$work/out" | head -n 1)
ok "the log is there" test -s "$log"
is "and private" "$(stat -c %a "$log")" 600
is "the tag stays on the prior digest" "$(digest "$unique-api" latest)" "$api"
is "so does the state" "$(state gpudev_image.api_service digest)" "$api"
ok "the next plan wants it again" no plan -detailed-exitcode
cp "$work/Dockerfile" "$tf/api-service/Dockerfile"
ok "the old Dockerfile is the old image" plan -detailed-exitcode

# A push that the registry refuses.
echo "# edited" >>"$tf/api-service/main.sh"
fault '"op": "PutManifest", "times": 1, "action": "status", "status": 403, "body": "quota of images reached"'
ok "a refused push fails the apply" no apply -target=gpudev_image.api_service
ok "with the registry's words" says "quota of images reached"
is "the tag stays on the prior digest" "$(digest "$unique-api" latest)" "$api"
is "so does the state" "$(state gpudev_image.api_service digest)" "$api"

# A push that went through, whose tag could not be put.
fault '"op": "PutManifest", "skip": 1, "times": 1, "action": "status", "status": 403, "body": "no tag today"'
ok "a tag that can't be put fails the apply" no apply -target=gpudev_image.api_service
ok "with the registry's words" says "no tag today"
is "the tag stays on the prior digest" "$(digest "$unique-api" latest)" "$api"
uploads=$(requests StartUpload)
ok "the next apply finds the pushed image" apply
is "and uploads nothing" "$(requests StartUpload)" "$uploads"
api=$(state gpudev_image.api_service digest)
is "and puts the tag" "$(digest "$unique-api" latest)" "$api"
cp "$tf/api-service/Dockerfile" "$work/Dockerfile"

# An image that can't run.
sed -i 's#^CMD.*#CMD ["/nope"]#' "$tf/api-service/Dockerfile"
ok "an image that can't start fails the rollout" no apply -target=gpudev_rollout.api_service
ok "with the pod's reason" says "/nope"
ok "the image itself is kept" test "$(state gpudev_image.api_service digest)" != "$api"
ok "the failed rollout is planned again" no plan -detailed-exitcode
cp "$work/Dockerfile" "$tf/api-service/Dockerfile"
ok "the mended one applies" apply
is "the pods run the good digest" "$(running_digests api-service)" "$api"

# A container that ends again and again.
sed -i 's#^CMD.*#CMD ["/bin/sh", "-c", "echo no database at db:5432; exit 3"]#' "$tf/api-service/Dockerfile"
ok "a crash loop fails the rollout" no apply -target=gpudev_rollout.api_service
ok "with its log" says "no database at db:5432"
ok "and its exit code" says "3"
cp "$work/Dockerfile" "$tf/api-service/Dockerfile"
ok "the mended one applies" apply
ok "then nothing is left to do" plan -detailed-exitcode

# An image that isn't there.
cat >>"$tf/main.tf" <<-EOF
	resource "gpudev_rollout" "ghost" {
	  namespace  = "$unique"
	  deployment = "ghost"
	  images     = { app = "$ecr_host/$unique-api:never-pushed" }
	}
EOF
sed -n '/name: api-service/,/^---/p' "$tf/kubernetes/workloads.yaml" >/dev/null
kubectl -n "$unique" create deployment ghost --image="$GPUDEV_TEST_BASE_IMAGE" -- sleep 3600 >/dev/null
kubectl -n "$unique" patch deployment ghost --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/name","value":"app"}]' >/dev/null
ok "an image that isn't in the registry fails the rollout" no apply -target=gpudev_rollout.ghost
ok "in words" says "never-pushed"
ok "and says that it isn't there" says "not found"

finish
