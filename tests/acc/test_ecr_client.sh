#!/bin/sh
# Runs alone: it moves the clock of the ECR that all tests share.
# The AWS and registry clients by themselves against the local ECR: tests/acc/ecr_client.c.
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
CMOCKA_MESSAGE_OUTPUT=TAP LSAN_OPTIONS=suppressions=tests/lsan.supp exec "${GPUDEV_TEST_ECR_CLIENT:-build/gcc-address/acc/ecr_client}"
