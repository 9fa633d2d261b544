#!/bin/sh
# Sees to it that the programs which the lab needs on this machine are there. Where apt-get is at hand, and this is
# root, installs what is missing; elsewhere says what to install. Cluster and database packages are not among it: those
# live in the lab's own tree.
set -eu

# program and the Debian package that brings it
needed='
debootstrap debootstrap
ip          iproute2
mount       mount
chroot      coreutils
'

missing=
packages=
for pair in $(printf '%s' "$needed" | awk 'NF { print $1 ":" $2 }'); do
	program=${pair%%:*}
	package=${pair#*:}
	PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null && continue
	missing="$missing $program"
	case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
done

[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
	echo "installing$packages (missing:$missing)"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y --no-install-recommends $packages </dev/null ||
		{ apt-get update && apt-get install -y --no-install-recommends $packages </dev/null; }
	exit
fi

echo "missing on this machine:$missing" >&2
echo "install them first; on Debian they are in the packages:$packages" >&2
exit 1
