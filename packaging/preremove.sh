#!/bin/sh
# Before the package goes: prerm of the deb, %preun of the rpm. A node without the agent cannot stop PostgreSQL, and
# Pacemaker fences it for that (docs/decisions/0029). What cannot be told in time does not keep the package: a node that is
# broken has to be cleared up, too.
case $1 in
remove | 0) ;;
*) exit 0 ;; # an upgrade
esac

unset CIB_file CIB_shadow CIB_server # this node's cluster is meant

ask() {
	timeout -k 1 5 "$@" </dev/null 2>/dev/null
}

resources=$(ask cibadmin --query --scope resources) || exit 0
case $resources in
*' type="pgsqlms"'*) ;;
*) exit 0 ;;
esac
maintenance=$(ask crm_attribute --type crm_config --name maintenance-mode --query --quiet --default false) || exit 0
case $maintenance in
[Tt][Rr][Uu][Ee] | [Yy][Ee][Ss] | [Yy] | [Oo][Nn] | 1) exit 0 ;;
esac

cat >&2 <<END
pgsqlms: not removed: Pacemaker runs here with a resource of this agent, and fences a node on which it finds no agent to stop
PostgreSQL with. Expected maintenance mode, no such resource, or no Pacemaker on this node. To do, one of:
  crm_attribute --name maintenance-mode --update true      # to exchange the package, then back to false
  pcs resource delete CLONE                                # stops PostgreSQL on all nodes; or: crm configure delete RESOURCE
  systemctl stop pacemaker                                 # where this node leaves the cluster
END
exit 1
