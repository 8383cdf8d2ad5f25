#!/usr/bin/env bash
# The short story on Docker Engine 29: another BuildKit, the containerd image store.
. "$(dirname "$0")/lib.sh"

export DOCKER_HOST=$GPUDEV_TEST_ENGINE29
seed
workloads
ok "apply on engine 29" apply
ok "creates images and rollouts" says "4 added, 0 changed, 0 destroyed"
api=$(state gpudev_image.api_service digest)
is "the registry has the digest" "$(digest "$unique-api" latest)" "$api"
is "the pods run the digest" "$(running_digests api-service)" "$api"
ok "a second plan is empty" plan -detailed-exitcode
echo "# edited" >>"$tf/api-service/main.sh"
ok "an edit applies" apply
ok "to one service" says "0 added, 2 changed, 0 destroyed"
api=$(state gpudev_image.api_service digest)

sed -i '/^RUN/a RUN echo "compiling the api"; echo "undefined reference to gpu_reserve"; exit 7' "$tf/api-service/Dockerfile"
ok "a failing step fails the apply" no apply
ok "with the last lines of its output" says "undefined reference to gpu_reserve"
ok "and the Dockerfile's line" says "api-service/Dockerfile:7"
is "the tag stays on the prior digest" "$(digest "$unique-api" latest)" "$api"
sed -i '/compiling the api/d' "$tf/api-service/Dockerfile"
ok "the old Dockerfile is the old image" plan -detailed-exitcode
ok "destroy" destroy

finish
