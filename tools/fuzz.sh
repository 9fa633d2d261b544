#!/bin/sh
# Runs every fuzz target of the module for a short while: tools/fuzz.sh LENGTH, as "go test -fuzztime" takes it.
# "go test -fuzz" takes one target of one package at a time, hence the loops.
set -eu

length=${1:?"usage: $0 LENGTH, for example 20000x or 5s"}
go=${GO:-go}

packages=$(grep -rl --include='*_test.go' '^func Fuzz' ./cmd ./internal ./metadata ./test | xargs -r -n1 dirname | sort -u)
if [ -z "$packages" ]; then
	echo "$0: found no fuzz target, expected some" >&2
	exit 1
fi

for package in $packages; do
	listed=$("$go" test -list '^Fuzz' "$package") # on its own, so that a package that does not compile ends this
	for target in $(printf '%s\n' "$listed" | grep '^Fuzz'); do
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$length" "$package"
	done
done
