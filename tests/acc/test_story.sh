#!/usr/bin/env bash
# The main job: create, no-op, edits, drift, destroy, with two services.
. "$(dirname "$0")/lib.sh"

seed
workloads

ok "the first apply succeeds" apply
ok "it creates images and rollouts" says "4 added, 0 changed, 0 destroyed"
api=$(state gpudev_image.api_service digest)
worker=$(state gpudev_image.reservation_processor_service digest)
is "the registry has the api's digest under latest" "$(digest "$unique-api" latest)" "$api"
is "the registry has the worker's digest under latest" "$(digest "$unique-worker" latest)" "$worker"
is "image is repository@digest" "$(state gpudev_image.api_service image)" "$ecr_host/$unique-api@$api"
is "uri has the first tag" "$(state gpudev_image.api_service uri)" "$ecr_host/$unique-api:latest"
is "the api's pods run the digest" "$(running_digests api-service)" "$api"
is "the worker's pods run the digest" "$(running_digests reservation-processor-service)" "$worker"

ok "the second apply succeeds" apply
ok "it changes nothing" unchanged
ok "and the plan is empty" plan -detailed-exitcode

echo 'echo "edited"' >>"$tf/api-service/main.sh"
ok "an edit of one service applies" apply
ok "its image and rollout alone change" says "0 added, 2 changed, 0 destroyed"
is "the other image stays" "$(state gpudev_image.reservation_processor_service digest)" "$worker"
ok "the edited image is another" test "$(state gpudev_image.api_service digest)" != "$api"
api=$(state gpudev_image.api_service digest)
is "the api's pods run the new digest" "$(running_digests api-service)" "$api"

echo 2.0 >"$tf/shared/version"
ok "an edit of shared/ applies" apply
ok "both images and rollouts change" says "0 added, 4 changed, 0 destroyed"

mkdir -p "$tf/.terraform" && echo x >"$tf/.terraform/x"
ok "files that no build reads change nothing" plan -detailed-exitcode

ok "destroy succeeds" destroy
ok "everything is destroyed" says "4 destroyed"
ok "the tag is gone from the registry" no digest "$unique-api" latest

finish
