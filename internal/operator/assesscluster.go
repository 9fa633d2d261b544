package operator

import (
	"fmt"
	"slices"
	"strings"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pattern"
	"pgsqlms/metadata"
)

// toldSo is why a resource does nothing that it was told to do nothing: what an administrator
// has set and may have forgotten.
func (s *survey) toldSo() (causes []remark) {
	add := func(found bool, todo, format string, args ...any) {
		if found {
			causes = append(causes, remark{Text: fmt.Sprintf(format, args...), ToDo: todo})
		}
	}
	role := s.resource.Meta["target-role"]
	add(s.targetRole() == crm.RoleStopped || s.targetRole() == crm.RoleUnpromoted, "crm_resource "+strings.Join(s.resource.Unset("target-role"), " "),
		"the resource is told so: its target-role is %s", role)
	add(ocf.IsTrue(s.cib.Properties["stop-all-resources"]), "crm_attribute -n stop-all-resources -v false", "the cluster is told to stop all resources (stop-all-resources)")
	managed, set := s.resource.Meta["is-managed"]
	add(set && !ocf.IsTrue(managed), manageInstances(s.resource), "the resource is unmanaged (is-managed=%s): Pacemaker does nothing with it", managed)
	add(!s.resource.Promotable(), readme, "the resource is no promotable clone")
	return causes
}

// targetRole is what the resource's target-role comes to; empty where it may have any role.
func (s *survey) targetRole() crm.Role {
	switch strings.ToLower(s.resource.Meta["target-role"]) {
	case "", "started", "master", "promoted":
		return ""
	case "slave", "unpromoted":
		return crm.RoleUnpromoted
	}
	return crm.RoleStopped
}

// toldToStop says that no instance is meant to run.
func (s *survey) toldToStop() bool {
	return s.targetRole() == crm.RoleStopped || ocf.IsTrue(s.cib.Properties["stop-all-resources"])
}

// keptOff is what keeps instances from a node for good; empty for nothing. A ban that
// crm_resource or a rejoin has made is meant to go again.
func (s *survey) keptOff(node string) (why string) {
	if i, found := s.state.On(s.resource.Name, node); found && i.Role != crm.RoleStopped {
		return ""
	}
	optIn, set := s.cib.Properties["symmetric-cluster"]
	if set && !ocf.IsTrue(optIn) {
		why = "symmetric-cluster=" + optIn + ", and no constraint that lets it run there"
	}
	for _, l := range s.cib.LocationsOf(s.resource) {
		switch {
		case l.Node != node || l.Rule || crm.IsMove(l.ID) || crm.IsRejoin(l.ID) || l.Role == crm.RolePromoted || l.Role == crm.RoleUnpromoted:
		case l.Score <= -crm.Infinity:
			return "constraint " + l.ID
		case l.Score >= 0:
			why = ""
		}
	}
	return why
}

// followers are what has to run where the primary does: an address that is elsewhere, or
// nowhere, leads nobody to it.
func (a *assessor) followers() {
	if !a.live() {
		return
	}
	promoted := a.promoted()
	bound := a.cib.Bound(a.resource)
	for _, name := range a.cib.Followers(a.resource) {
		v := followerView{Name: name, Nodes: []string{}}
		pending, managed := "", true
		for _, i := range a.state.Instances {
			if i.Resource != name {
				continue
			}
			if i.Role != crm.RoleStopped && i.Node != "" {
				v.Nodes = append(v.Nodes, i.Node)
			}
			v.Failed = v.Failed || i.Failed || i.Blocked
			managed = managed && i.Managed
			if pending == "" && i.UnderWay() {
				pending = i.Pending
			}
		}
		a.v.Followers = append(a.v.Followers, v)
		if pending != "" {
			a.notice("", "", "%s: %s", name, pending)
		}
		if !managed && !a.maintained() {
			a.notice("", manageAgain(name), "%s is unmanaged: Pacemaker does not recover it", name)
		}
		a.follows(v, promoted, slices.Contains(bound, name), pending != "")
	}
}

// follows says where a follower is missing. One under way is waited for.
func (a *assessor) follows(v followerView, promoted string, bound, underWay bool) {
	why := "crm_resource --why -r " + v.Name
	switch {
	case v.Failed:
		a.problem("", "mend the cause, then crm_resource --cleanup -r "+v.Name, "%s has failed", v.Name)
	case underWay || promoted == "" || slices.Contains(v.Nodes, promoted) && len(v.Nodes) == 1:
	case len(v.Nodes) == 0:
		a.problem(promoted, why, "%s runs nowhere, and is to run here, with the primary", v.Name)
	case bound:
		a.problem(promoted, why, "%s runs on %s, and is to run here, with the primary", v.Name, strings.Join(v.Nodes, " and "))
	default:
		a.notice(promoted, why, "%s runs on %s, and would better be here, with the primary", v.Name, strings.Join(v.Nodes, " and "))
	}
}

// fenceDevices says whether somebody could fence. That fencing is switched on is said
// elsewhere.
func (a *assessor) fenceDevices() {
	if !a.live() || !a.cib.Fencing() {
		return
	}
	for _, f := range deviceChecks(a.survey) {
		switch f.Level {
		case levelOK:
		case levelError:
			a.problem("", f.ToDo, "no fence device runs: a node that is lost is not fenced, and nobody is promoted in its place")
		default:
			a.notice("", f.ToDo, "fence devices %s", f.Found)
		}
	}
}

// noQuorum says what Pacemaker does in a part of the cluster that has no quorum.
func (s *survey) noQuorum() string {
	policy := s.cib.NoQuorumPolicy()
	text := map[string]string{
		crm.NoQuorumStop:    "so Pacemaker stops what runs in it, and starts and promotes nothing",
		crm.NoQuorumFreeze:  "so Pacemaker leaves what runs in it, and starts and promotes nothing",
		crm.NoQuorumDemote:  "so Pacemaker demotes the primary, and starts and promotes nothing",
		crm.NoQuorumIgnore:  "and Pacemaker goes on all the same, as may the part that is cut off",
		crm.NoQuorumFence:   "so Pacemaker fences its nodes",
		crm.NoQuorumSuicide: "so Pacemaker fences its nodes",
	}[policy]
	return fmt.Sprintf("this part of the cluster has no quorum, %s (%s=%s)", text, crm.NoQuorumProperty, policy)
}

// quorumToDo is what to do about it. Whoever has Pacemaker ignore it has done so for two
// nodes mostly, of which Corosync can let one go on by itself.
func (s *survey) quorumToDo() string {
	if s.cib.NoQuorumPolicy() == crm.NoQuorumIgnore && s.state.Members() == 2 {
		return twoNode + "; then " + quorumMatters
	}
	return "bring nodes back: corosync-quorumtool"
}

const (
	cookbook      = ": docs/cookbook.md, Two nodes"
	twoNode       = "two_node: 1" + cookbook
	quorumMatters = "crm_attribute -n " + crm.NoQuorumProperty + " -v " + crm.NoQuorumStop
)

// quorumChecks refuse to move a role and to stop an instance without a quorum, also where
// Pacemaker would ignore that: another part of the cluster may have a primary.
func quorumChecks(s survey) (all findings) {
	ok, expected := s.state.Quorum && s.state.DC != "", "a quorum and a coordinator"
	found, todo := fmt.Sprintf("quorum %s, coordinator %s", yesNo(&s.state.Quorum, "yes", "no"), orUnknown(s.state.DC, true)), "corosync-quorumtool"
	if !s.state.Quorum && s.cib.NoQuorumPolicy() == crm.NoQuorumIgnore {
		found += ", " + crm.NoQuorumProperty + "=" + crm.NoQuorumIgnore
		expected += ": the part that is cut off may have a primary"
		todo = s.quorumToDo()
	}
	all.add("quorum", "", ok, levelError, found, expected, todo)
	return all
}

// guards are those parameters of the agent that keep commits from being lost, and which an
// administrator may have switched off to get through an outage.
func (a *assessor) guards() {
	if value, off := a.guardOff(); off {
		a.notice("", a.guardOn(), "%s=%s: whoever is promoted next may lack commits that were acknowledged", metadata.SyncGuard, value)
	}
}

// guardOff says whether sync_guard is off, and what it is set to.
func (s *survey) guardOff() (value string, off bool) {
	value = s.resource.Params[metadata.SyncGuard]
	return value, ocf.IsFalse(value) // as for the agent: what is no boolean leaves it on
}

func (s *survey) guardOn() string {
	return "crm_resource -r " + s.resource.Name + " --set-parameter " + metadata.SyncGuard + " --parameter-value true"
}

// psql is a question or an order to the instance on a node, as a person gives it there.
func (s *survey) psql(node, sql string) string {
	get := func(name string) string { return parameter(s.resource, name) }
	text := fmt.Sprintf(`psql -h %s -p %s -d postgres -c "%s", as %s`, get(metadata.PGHost), get(metadata.PGPort), sql, get(metadata.SystemUser))
	if node != "" {
		text += ", on " + node
	}
	return text
}

// keepFromNow has a slot keep WAL from when it is made, and not from when it is first used.
const keepFromNow = ", true"

// makeSlot is the command that makes a slot on a node; more is empty, or keepFromNow.
func (s *survey) makeSlot(node, slot, more string) string {
	return s.psql(node, fmt.Sprintf("select pg_create_physical_replication_slot('%s'%s)", slot, more))
}

// makeSlotAnew empties a slot, or replaces one that has lost its WAL.
func (s *survey) makeSlotAnew(node, slot, more string) string {
	return s.psql(node, fmt.Sprintf("select pg_drop_replication_slot('%s'); select pg_create_physical_replication_slot('%[1]s'%s)", slot, more))
}

// fencingOn is the command that switches fencing on.
func fencingOn(c crm.CIB) string { return "crm_attribute -n " + c.FencingProperty() + " -v true" }

// grantMonitor lets a role see who streams. The name is quoted for PostgreSQL within the
// quotation marks of the shell.
func (s *survey) grantMonitor(primary, role string) string {
	if !plainRole.MatchString(role) {
		role = `\"` + strings.ReplaceAll(role, `"`, `\"\"`) + `\"`
	}
	text := s.psql(primary, "grant pg_monitor to "+role)
	if primary == "" {
		text += ", on the primary's node"
	}
	return text
}

// plainRole is a name that PostgreSQL takes as it is (PostgreSQL, "Identifiers and Key Words").
var plainRole = pattern.New(`^[a-z_][a-z0-9_]*$`)

// readme is where a package has the page that says how a cluster is set up.
const readme = "README.md, Quick start (/usr/share/doc/pgsqlms)"
