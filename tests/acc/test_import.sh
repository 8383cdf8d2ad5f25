#!/usr/bin/env bash
# Import by name:tag and namespace/kind/name; moved from null_resource is in test_protocol.
. "$(dirname "$0")/lib.sh"

seed
workloads
ok "something to import" apply
api=$(state gpudev_image.api_service digest)
rm "$tf"/terraform.tfstate*
ok "an image by NAME:TAG" tofu import gpudev_image.api_service "$unique-api:latest"
is "has its digest" "$(state gpudev_image.api_service digest)" "$api"
ok "an image by REPOSITORY_URL:TAG" tofu import gpudev_image.reservation_processor_service "$ecr_host/$unique-worker:latest"
ok "a rollout by NAMESPACE/KIND/NAME" tofu import gpudev_rollout.api_service "$unique/deployment/api-service"
ok "a rollout by a short kind" tofu import gpudev_rollout.reservation_processor_service "$unique/deploy/reservation-processor-service"
ok "an apply takes over" apply
is "the image that is there" "$(state gpudev_image.api_service digest)" "$api"
ok "then nothing is left to do" plan -detailed-exitcode

ok "no such tag" no tofu import gpudev_image.x "$unique-api:nothing"
ok "needs a resource in the configuration" says "gpudev_image.x"
cat >>"$tf/main.tf" <<-EOF
	resource "gpudev_image" "x" { repository = "$unique-api" }
	resource "gpudev_rollout" "x" {
	  deployment = "x"
	}
EOF
ok "an image that isn't there" no tofu import gpudev_image.x "$unique-api:nothing"
ok "is said to be missing" says "There is no tag \"nothing\" in the repository $unique-api"
ok "an id without a tag" no tofu import gpudev_image.x "$unique-api"
ok "is explained" says "is not NAME:TAG or REPOSITORY_URL:TAG"
ok "a workload that isn't there" no tofu import gpudev_rollout.x "$unique/deployment/nothing"
ok "is named" says "nothing"
ok "a kind that doesn't exist" no tofu import gpudev_rollout.x "$unique/cronjob/nothing"
ok "is named" says "cronjob"

finish
