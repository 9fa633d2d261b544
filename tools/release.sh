#!/bin/sh
# Adds to the packages in a directory an archive for each architecture, and the checksums of all:
# tools/release.sh DIRECTORY GOARCH...
set -eu

[ $# -ge 2 ] || { echo "usage: $0 DIRECTORY GOARCH..." >&2; exit 2; }
directory=$1
shift

version=${VERSION:-$(tools/version.sh)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

for arch in "$@"; do
	name=pgsqlms-$version-linux-$arch
	root=$directory/stage/$name
	mkdir -p "$root/man"
	tools/doc.sh "$root"
	cp "$directory/stage/$arch/pgsqlms" packaging/pgsqlms.bash packaging/pgsqlms.logrotate "$root"
	cp "$directory/stage/$arch/copyright" "$root/LICENSE"
	cp man/*.[78] "$root/man"
	chmod -R u=rwX,go=rX "$root"
	# The same commit gives the same bytes, whoever packs it and when.
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -C "$directory/stage" -cf - "$name" |
		gzip -9 -n >"$directory/$name.tar.gz"
done

cd "$directory"
sha256sum pgsqlms* >SHA256SUMS
rm -rf stage build
cat SHA256SUMS

case $version in
*+*) echo "warning: $version is no release: found a checkout that is changed or not at a tag, expected a clean one at vX.Y.Z" >&2 ;;
esac
