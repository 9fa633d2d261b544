#!/bin/sh
# After the deb is gone: what the agent has made is removed with "purge", and only then.
set -e
[ "$1" = purge ] || exit 0
rm -rf /var/log/pgsqlms /var/lib/pacemaker/pgsqlms
