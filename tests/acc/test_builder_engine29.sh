#!/bin/sh
# Builds by the library itself on Docker Engine 29: tests/unit/build/test_engine.c.
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
CMOCKA_MESSAGE_OUTPUT=TAP LSAN_OPTIONS=suppressions=tests/lsan.supp XDG_CACHE_HOME=$cache \
	"${GPUDEV_TEST_ENGINE_BINARY:-build/gcc-address/tests/build/test_engine}" 29
