#!/bin/sh
# Runs the tests that need a real PostgreSQL (build tag realpg), package by package, in the lab's Debian tree.
set -eu

go=${GO:-go}
here=$(cd "$(dirname "$0")" && pwd)

packages=$(grep -rl --include='*_test.go' '^//go:build .*realpg' ./cmd ./internal ./metadata | xargs -r -n1 dirname | sort -u)
if [ -z "$packages" ]; then
	echo "$0: found no test with the build tag realpg, expected some" >&2
	exit 1
fi

# shellcheck disable=SC2086 # a list of directories
exec "$go" test -tags realpg -count=1 -timeout 10m -exec "$here/in-sandbox.sh" $packages
