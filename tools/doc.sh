#!/bin/sh
# Puts the pages together as packages and archives have them: tools/doc.sh DIRECTORY
# Links to sources, which are not in there, become plain text.
set -eu

[ $# = 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
cp -r README.md CHANGELOG.md LICENSE docs "$1"
find "$1/README.md" "$1/CHANGELOG.md" "$1/docs" -name '*.md' -exec \
	sed -i 's,\[\([^]]*\)\](\(\.\./\)*\(cmd\|internal\|metadata\|test\|tools\)/[^)]*),\1,g' {} +
chmod -R u=rwX,go=rX "$1" # whatever the umask of the checkout was
