#!/usr/bin/env bash
# The short story under Terraform 1.8 or later, where it is on PATH.
. "$(dirname "$0")/lib.sh"

terraform=$(command -v terraform || true)
version=$([ -z "$terraform" ] || "$terraform" version -json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])')
if [ -z "$version" ] || ! printf '%s\n' 1.8.0 "$version" | sort -CV; then
	skip "the story under Terraform" "no Terraform 1.8 or later on PATH"
	finish
	exit
fi
GPUDEV_TEST_TOFU=$terraform

seed
workloads
ok "apply under Terraform $version" apply
ok "creates images and rollouts" says "4 added, 0 changed, 0 destroyed"
api=$(state gpudev_image.api_service digest)
is "the pods run the digest" "$(running_digests api-service)" "$api"
ok "a second plan is empty" plan -detailed-exitcode
echo "# edited" >>"$tf/api-service/main.sh"
ok "an edit applies" apply
ok "to one service" says "0 added, 2 changed, 0 destroyed"

# A null_resource that became an image.
cat >>"$tf/main.tf" <<-EOF
	resource "terraform_data" "old" { input = "x" }
EOF
ok "an image that was terraform_data before" apply
sed -i '/resource "terraform_data" "old"/d' "$tf/main.tf"
cat >>"$tf/main.tf" <<-EOF
	resource "gpudev_image" "old" {
	  repository = "$unique-old"
	  context    = path.module
	  dockerfile = "api-service/Dockerfile"
	  build_args = { BASE = var.base_image }
	}
	moved {
	  from = terraform_data.old
	  to   = gpudev_image.old
	}
EOF
ok "moves" apply
ok "in place" says "0 added, 1 changed, 0 destroyed"
ok "and then nothing is left to do" plan -detailed-exitcode
ok "destroy" destroy

finish
