#!/bin/sh
# Runs every fuzz target of the module for a short while: tools/fuzz.sh DURATION.
# "go test -fuzz" takes one target of one package at a time, hence the loops.
set -eu

duration=${1:?"usage: $0 DURATION, for example 5s"}
go=${GO:-go}

packages=$(grep -rl --include='*_test.go' '^func Fuzz' ./cmd ./internal ./metadata ./test | xargs -r -n1 dirname | sort -u)
if [ -z "$packages" ]; then
	echo "$0: found no fuzz target, expected some" >&2
	exit 1
fi

for package in $packages; do
	targets=$("$go" test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "$package"
	done
done
