#!/bin/sh
# Runs a test binary in a throw-away root of the lab's Debian tree: "go test -exec tools/in-sandbox.sh ...". So the tests
# find a real PostgreSQL and may do as root what they like, while this machine needs neither and keeps nothing of it.
#
# go test calls this in the package's directory, with the binary and its arguments. The checkout is seen in there under
# the same path, read-only.
set -eu

binary=$1
shift
checkout=$(cd "$(dirname "$0")/.." && pwd)

exec "$checkout/bin/lab" sandbox \
	-bind "$checkout:$checkout" \
	-bind "$(dirname "$binary"):/tested" \
	-dir "$PWD" \
	-- "/tested/$(basename "$binary")" "$@"
