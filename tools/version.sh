#!/bin/sh
# Prints the version of this checkout, in a form that dpkg and rpm both take and sort as meant:
#
#   1.2.3              at the tag v1.2.3
#   1.2.3~rc1          at the tag v1.2.3-rc1
#   1.2.3+4.g0123abcd  four commits after a tag; with .dirty where files have changed since
#   0.0.0+154.g0123abcd  where there is no tag yet, the 154th commit
set -eu

cd "$(dirname "$0")/.."

# The longest part of the name that an abbreviation takes differs from clone to clone; eight digits do not.
if described=$(git describe --tags --match 'v[0-9]*' --long --abbrev=8 --dirty 2>/dev/null); then
	dirty=
	case $described in *-dirty) dirty=.dirty described=${described%-dirty} ;; esac
	hash=${described##*-}
	described=${described%-*}
	count=${described##*-}
	tag=${described%-*}
else
	tag=v0.0.0
	count=$(git rev-list --count HEAD)
	hash=g$(git rev-parse --short=8 HEAD)
	dirty=
	git diff --quiet HEAD -- || dirty=.dirty
fi

version=$(printf '%s\n' "${tag#v}" | sed 's/-/~/; s/-/./g') # a hyphen would begin the package's own revision
if [ "$count" != 0 ]; then
	version=$version+$count.$hash$dirty
elif [ -n "$dirty" ]; then
	version=$version+0.$hash$dirty
fi
printf '%s\n' "$version"
