#!/usr/bin/env bash
# A terraform_data that became an image.
. "$(dirname "$0")/lib.sh"

seed
sed -i '/^resource "gpudev_rollout"/,/^}/d; /^output/,/^}/d' "$tf/main.tf"
cp "$tf/main.tf" "$work/images.tf"
cat >"$tf/main.tf" <<-EOF
	terraform {
	  required_providers { gpudev = { source = "gpudev/gpudev" } }
	}
	variable "base_image" {}
	variable "kubeconfig" {}
	variable "region" { default = "$region" }
	provider "gpudev" { region = var.region }
	resource "terraform_data" "api" { input = "built by hand" }
EOF
ok "before" apply
cp "$work/images.tf" "$tf/main.tf"
cat >>"$tf/main.tf" <<-EOF
	moved {
	  from = terraform_data.api
	  to   = gpudev_image.api_service
	}
EOF
ok "the move is planned" plan
ok "in place" says "(moved from terraform_data.api)"
ok "it applies" apply
ok "without a destroy" says "1 added, 1 changed, 0 destroyed"
is "the image is built" "$(digest "$unique-api" latest)" "$(state gpudev_image.api_service digest)"
ok "then nothing is left to do" plan -detailed-exitcode
ok "destroy" destroy
ok "takes the tag" no digest "$unique-api" latest

finish
