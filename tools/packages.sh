#!/bin/sh
# Makes the deb and the rpm for one architecture: tools/packages.sh GOARCH BINARY NFPM DIRECTORY
# VERSION and SOURCE_DATE_EPOCH are the commit's unless they are set.
set -eu

[ $# = 4 ] || { echo "usage: $0 GOARCH BINARY NFPM DIRECTORY" >&2; exit 2; }
GOARCH=$1 binary=$2 nfpm=$3 directory=$4
go=${GO:-go}

VERSION=${VERSION:-$(tools/version.sh)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
STAGE=$directory/stage/$GOARCH
export GOARCH VERSION SOURCE_DATE_EPOCH STAGE

rm -rf "$STAGE"
mkdir -p "$STAGE/man"
cp "$binary" "$STAGE/pgsqlms"
for page in man/*.[78]; do
	gzip -9 -n -c "$page" >"$STAGE/$page.gz"
done

tools/doc.sh "$STAGE/doc"

# The licenses of everything that is linked: ours, the modules' and, for its library, Go's.
{
	cat LICENSE
	"$go" version -m "$binary" | awk '$1 == "dep" { print $2 }' | while read -r module; do
		printf '\n\n%s is part of the program:\n\n' "$module"
		cat "$("$go" list -m -f '{{.Dir}}' "$module")"/LICENSE*
	done
	printf '\n\nThe library of Go is part of the program:\n\n'
	cat "$("$go" env GOROOT)/LICENSE"
} >"$STAGE/copyright"

# Directories keep their own times otherwise.
find "$STAGE" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

for packager in deb rpm; do
	"$nfpm" package --config packaging/nfpm.yaml --packager "$packager" --target "$directory"
done
