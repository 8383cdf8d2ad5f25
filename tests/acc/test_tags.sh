#!/usr/bin/env bash
# Tags: a change of them builds nothing; drift of each kind; two resources in one repository.
. "$(dirname "$0")/lib.sh"

seed
cat >"$tf/main.tf" <<-EOF
	terraform {
	  required_providers { gpudev = { source = "gpudev/gpudev" } }
	}
	variable "base_image" {}
	variable "kubeconfig" {}
	variable "tags" { default = ["latest"] }
	provider "gpudev" { region = "$region" }
	resource "gpudev_image" "api" {
	  repository = "$unique-api"
	  dockerfile = "api-service/Dockerfile"
	  build_args = { BASE = var.base_image }
	  tags       = var.tags
	}
EOF
ok "the first apply succeeds" apply
first=$(state gpudev_image.api digest)

cat >"$tf/x.auto.tfvars" <<<'tags = ["v1", "latest"]'
ok "another tag is planned as an update" plan
ok "that builds nothing" says "1 to change"
ok "and keeps the digest" no says "digest"
ok "it applies" apply
is "the new tag is on the same digest" "$(digest "$unique-api" v1)" "$first"
is "uri has the first tag" "$(state gpudev_image.api uri)" "$ecr_host/$unique-api:v1"
cat >"$tf/x.auto.tfvars" <<<'tags = ["v1"]'
ok "a tag less applies" apply
ok "the tag is removed" no digest "$unique-api" latest
is "the other one stays" "$(digest "$unique-api" v1)" "$first"

# Somebody else moves the tag.
echo "# v2" >>"$tf/api-service/main.sh"
ok "a new build" apply
second=$(state gpudev_image.api digest)
ok "is another digest" test "$first" != "$second"
ok "the tag is moved back by somebody else" move_tag "$unique-api" v1 "$first"
ok "the plan notices" plan
ok "with a warning that names both digests" says "$second"
ok "and the other" says "$first"
ok "and says that the tag was moved" says "was moved"
ok "the apply puts it back" apply
is "on the built digest" "$(digest "$unique-api" v1)" "$second"
ok "a tag that is removed by somebody else" remove_tag "$unique-api" v1
ok "is noticed" plan
ok "in words" says "A tag is gone"
ok "and put back" apply
is "on the built digest" "$(digest "$unique-api" v1)" "$second"

# A revert finds the old image by its content.
sed -i '$d' "$tf/api-service/main.sh"
ok "a revert applies" apply
is "without a build: the first digest is back" "$(state gpudev_image.api digest)" "$first"

# The state is lost: a second machine, or a fresh CI runner.
rm "$tf"/terraform.tfstate*
ok "an apply without state" apply
is "adopts the image" "$(state gpudev_image.api digest)" "$first"
ok "destroy" destroy
ok "removes the tag" no digest "$unique-api" v1

finish
