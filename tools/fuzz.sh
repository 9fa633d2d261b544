#!/bin/sh
# Runs every fuzz target of the module for a short while: tools/fuzz.sh LENGTH, as "go test -fuzztime" takes it.
# "go test -fuzz" takes one target of one package at a time, and links it anew for each: a package is compiled once here.
set -eu

length=${1:?"usage: $0 LENGTH, for example 20000x or 5s"}
go=${GO:-go}
cache=$("$go" env GOCACHE)/fuzz # where "go test" keeps what it has found

packages=$(grep -rl --include='*_test.go' '^func Fuzz' ./cmd ./internal ./metadata ./test | xargs -r -n1 dirname | sort -u)
if [ -z "$packages" ]; then
	echo "$0: found no fuzz target, expected some" >&2
	exit 1
fi

binaries=$(mktemp -d)
trap 'rm -rf "$binaries"' EXIT
for package in $packages; do
	name=$("$go" list "$package")
	"$go" test -c -fuzz . -o "$binaries/test" "$package"
	listed=$(cd "$package" && "$binaries/test" -test.list '^Fuzz')
	for target in $listed; do
		echo "$name $target"
		(cd "$package" && "$binaries/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$length" -test.fuzzcachedir "$cache/$name")
	done
done
