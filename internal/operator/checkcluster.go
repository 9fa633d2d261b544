package operator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/ocf"
	"pgsqlms/metadata"
)

// judge says of every requirement whether it is met. It does no input and output.
func judge(f checkFacts) findings {
	j := judgement{checkFacts: f, v: assess(f.survey)}
	j.cluster()
	j.clone()
	j.operations()
	j.constraints()
	j.colocations()
	for _, name := range f.cib.Followers(f.resource) {
		j.orders(name)
	}
	j.compareVersions()
	j.names()
	j.replicationTests()
	j.selfTest()
	for _, node := range j.nodes() {
		j.settings(node)
	}
	j.synchronous()
	j.guards()
	j.keptWAL()
	j.service()
	j.freeSpace()
	j.keptData()
	return j.all
}

type judgement struct {
	checkFacts
	v   statusView
	all findings
}

func (j *judgement) add(check, node string, ok bool, bad level, found, expected, todo string) {
	j.all.add(check, node, ok, bad, found, expected, todo)
}

func (j *judgement) unknown(check, node, found, todo string) {
	j.all = append(j.all, finding{check, levelUnknown, node, found, "", todo})
}

// nodes are those that may run an instance: without those that a constraint keeps it from
// for good, such as a third node that is there for the quorum only.
func (j *judgement) nodes() []string {
	return slices.DeleteFunc(j.nodeNames(), func(node string) bool { return j.keptOff(node) != "" && node != j.node })
}

// others are the nodes but this one.
func (j *judgement) others() []string {
	return slices.DeleteFunc(j.nodes(), func(node string) bool { return node == j.node })
}

func (j *judgement) cluster() {
	if j.stateErr != nil {
		j.add("pacemaker", j.node, false, levelError, first(j.stateErr), "an answer on this node", pacemakerToDo(j.stateErr))
	} else {
		j.add("quorum", "", j.state.Quorum, levelError, "quorum "+yesNo(&j.state.Quorum, "yes", "no"), "yes", "corosync-quorumtool")
	}
	if j.cib.NoQuorumPolicy() == crm.NoQuorumIgnore && !j.needsTwoNode() {
		j.add("quorum", "", false, levelWarning, crm.NoQuorumProperty+"="+crm.NoQuorumIgnore, "stop, the default: a part of the cluster that is cut off goes on else, and fences the others", quorumMatters)
	}
	j.all = append(j.all, fencingChecks(j.survey)...)
	j.fenceable()
	j.twoNodes()
	on := *j.v.Pacemaker.Maintenance
	j.add("maintenance", "", !on, levelWarning, "maintenance mode "+yesNo(&on, "on", "off"), "off", "crm_attribute -n maintenance-mode -v false")
	j.add("status", "", j.v.Well, levelError, plural(len(j.v.Problems), "problem"), "none", "pgsqlms status")
}

// fenceable says of each other node whether this one could fence it. A device of a node is
// mostly kept off that node, so no node can tell of itself.
func (j *judgement) fenceable() {
	const check = "fence devices"
	for _, node := range j.toFence() {
		known, others := j.fencers[node], []string{}
		for _, device := range j.cib.FenceDevices {
			if device.Names(node) {
				others = append(others, device.Name)
			}
		}
		switch {
		case known.err != nil:
			j.unknown(check, node, "whether anything fences it: "+first(known.err), "stonith_admin --list "+node)
		case len(known.devices) == 0 && len(others) > 0:
			j.add(check, node, false, levelWarning, orNone(others)+" may not fence it from "+j.node, "a device that any other node may use", "crm_resource --constraints -r "+others[0])
		case len(known.devices) == 0:
			j.add(check, node, false, levelError, "no device fences it", "one: once it is lost, nobody is promoted in its place else", readme+": fencing first; stonith_admin --list "+node)
		default:
			j.add(check, node, true, levelOK, "it is fenced by "+orNone(known.devices), "", "")
		}
	}
}

// twoNodes looks at what two nodes alone need: a majority when one is lost, and, as each has
// one, somebody who waits before both fence each other.
func (j *judgement) twoNodes() {
	if j.stateErr != nil || j.state.Members() != 2 {
		return
	}
	const check = "quorum"
	ignore := j.cib.NoQuorumPolicy() == crm.NoQuorumIgnore
	switch {
	case j.quorumErr != nil:
		j.unknown(check, j.node, "whether it outlives the loss of one of two nodes: "+first(j.quorumErr), "corosync-quorumtool -s, on "+orUnknown(j.node, false))
		return
	case j.quorum.Has(crm.FlagTwoNode) && j.quorum.Expected > 2:
		j.add(check, "", false, levelError, fmt.Sprintf("two_node, and %d expected votes", j.quorum.Expected), "2: one vote is a quorum, also for a part that has lost the others",
			"take the nodes that are no more out of corosync.conf, on both nodes, then corosync-cfgtool -R: docs/cookbook.md, Remove a node")
	case !j.needsTwoNode():
	case ignore: // in this order: the policy alone would stop both
		j.add(check, "", false, levelWarning, "two nodes, flags "+orNone(j.quorum.Flags)+", "+crm.NoQuorumProperty+"="+crm.NoQuorumIgnore,
			"two_node: 1 in corosync.conf, or a qdevice, and stop, the default: Corosync says then which of the two goes on", j.quorumToDo())
	default:
		j.add(check, "", false, levelWarning, "two nodes, and flags "+orNone(j.quorum.Flags), "two_node: 1 in corosync.conf, or a qdevice: whichever is lost, the other one has no quorum else", twoNode)
	}
	if !j.cib.Fencing() || !ignore && !j.quorum.Has(crm.FlagTwoNode) {
		return
	}
	delays, idle := j.cib.FencingDelays()
	found := orNone(delays)
	if idle != "" && len(delays) == 0 {
		found = idle + ", and no resource has a priority"
	}
	j.add("fencing delay", "", len(delays) > 0, levelWarning, found, "one: when the network between the two fails, each fences the other at the same moment else",
		fmt.Sprintf("crm_resource --meta -r %s -p priority -v 1; crm_attribute -n priority-fencing-delay -v 15s", j.resource.Outer())+cookbook)
}

// needsTwoNode says of two nodes, of which Corosync has told, that nothing lets one go on
// without the other.
func (j *judgement) needsTwoNode() bool {
	return j.stateErr == nil && j.state.Members() == 2 && j.quorumErr == nil && !j.quorum.Has(crm.FlagTwoNode, crm.FlagQdevice, crm.FlagTieBreaker)
}

// clone looks at the meta attributes, in both spellings.
func (j *judgement) clone() {
	r := j.resource
	j.add("promotable", "", r.Promotable(), levelError, "promotable="+orUnset(r.Meta["promotable"]), "a promotable clone", readme)
	meta := func(name string) string {
		return fmt.Sprintf("crm_resource --meta -r %s -p %s -v ", r.Outer(), name)
	}
	notify := strings.ToLower(r.Meta["notify"])
	j.add("notify", "", ocf.IsTrue(notify), levelError, "notify="+orUnset(notify),
		"true: without it there is no vote before a promotion", meta("notify")+"true")
	for _, names := range [][]string{{"promoted-max", "master-max"}, {"promoted-node-max", "master-node-max"}, {"clone-node-max"}} {
		for _, name := range names {
			if value := r.Meta[name]; value != "" || name == names[0] {
				j.add(names[0], "", value == "" || value == "1", levelError, name+"="+orUnset(value), "1", meta(name)+"1")
			}
		}
	}
	if unique := r.Meta["globally-unique"]; ocf.IsTrue(unique) {
		j.add("globally-unique", "", false, levelError, "globally-unique="+unique, "not set: the instances are copies of one", meta("globally-unique")+"false")
	}
	if most := r.Meta["clone-max"]; most != "" && number(most) < len(j.nodes()) {
		j.add("clone-max", "", false, levelWarning, "clone-max="+most, fmt.Sprintf("not set, or one a node: there are %d", len(j.nodes())), fmt.Sprintf("%s%d", meta("clone-max"), len(j.nodes())))
	}
	if threshold := j.cib.MigrationThreshold(r); threshold == 0 || threshold >= crm.Infinity {
		j.add("migration-threshold", "", false, levelWarning, "migration-threshold not set", "some failures, such as 5: a primary that fails again and again is recovered in place for ever else, and no other node promoted",
			meta("migration-threshold")+"5")
	}
	for _, node := range (&assessor{survey: j.survey}).nodeNames() {
		if why := j.keptOff(node); why != "" && node != j.node {
			j.add("nodes", node, true, levelOK, "runs no PostgreSQL, and is not looked at: "+why, "", "")
		}
	}
}

func orUnset(s string) string {
	if s == "" {
		return "(not set)"
	}
	return s
}

// operations are held against the meta-data: no timeout shorter, and no interval longer than
// those that PAF suggests, which a cluster may have from there.
func (j *judgement) operations() {
	const check = "operations"
	before := len(j.all)
	intervals := map[string]bool{}
	for _, want := range metadata.Actions() {
		if !slices.Contains([]string{metadata.Start, metadata.Stop, metadata.Promote, metadata.Demote, metadata.Monitor, metadata.Notify}, want.Name) {
			continue
		}
		op, found := operationOf(j.resource, want.Name, string(want.Role))
		if !found {
			l := levelWarning
			if want.Name == metadata.Monitor {
				l = levelError
			}
			j.operation(l, opCommand(j.resource.Name, want.Name, options(recommended(want))), opName(want)+" is not configured", "timeout "+want.Timeout.String())
			continue
		}
		j.options(want, op)
		if want.Name == metadata.Monitor {
			j.monitor(want, op, intervals)
		}
	}
	if len(j.all) == before {
		j.add(check, "", true, levelOK, "timeouts as recommended, or safer"+j.slowMonitor(), "", "")
	}
}

// slowMonitor says what a monitor costs that comes less often than it could.
func (j *judgement) slowMonitor() string {
	for _, want := range metadata.Actions() {
		if want.Name != metadata.Monitor {
			continue
		}
		op, _ := operationOf(j.resource, want.Name, string(want.Role))
		if d, ok := crm.Duration(op.Interval); ok && d > want.Interval {
			return fmt.Sprintf("; a crash of PostgreSQL in the role %s is noticed up to %s late, interval=%s is recommended", want.Role, d, recommended(want).Interval)
		}
	}
	return "; intervals as recommended"
}

// slowest is the longest interval of a monitor that is not complained of: PAF's for the role.
func slowest(role metadata.Role) time.Duration {
	if role == metadata.RolePromoted {
		return 15 * time.Second
	}
	return 16 * time.Second
}

// operation adds what is wrong with one, which a command of pcs sets right.
func (j *judgement) operation(l level, mend, found, expected string) {
	j.add("operations", "", false, l, found, expected, mend+", or crm configure edit "+j.resource.Name)
}

// mended is the command that changes options of an operation, and leaves the others as they
// are: pcs makes the operation anew, of what it is given. One without a value is left out.
func (j *judgement) mended(op crm.Op, changes map[string]string) string {
	all := maps.Clone(op.Own)
	maps.Copy(all, changes)
	return opCommand(j.resource.Name, op.Name, all)
}

func opName(a metadata.Action) string { return strings.TrimSpace(a.Name + " " + string(a.Role)) }

// options are those that any operation has.
func (j *judgement) options(want metadata.Action, op crm.Op) {
	if d, ok := crm.Duration(op.Timeout); !ok || d < want.Timeout {
		mend := j.mended(op, map[string]string{"timeout": recommended(want).Timeout})
		j.operation(levelWarning, mend, opName(want)+": timeout "+orUnset(op.Timeout), want.Timeout.String()+" or more")
	}
	if op.OnFail == "ignore" || op.OnFail == "block" {
		mend := j.mended(op, map[string]string{"on-fail": ""})
		if op.Own["on-fail"] == "" { // it has it from the defaults of all operations
			mend = "crm_attribute --type op_defaults --name on-fail --delete"
		}
		j.operation(levelError, mend, opName(want)+": on-fail="+op.OnFail, "on-fail not set: Pacemaker does nothing about a failure else")
	}
}

// monitor is about one of the two; intervals are those of the monitors before it.
func (j *judgement) monitor(want metadata.Action, op crm.Op, intervals map[string]bool) {
	if op.Enabled != "" && !ocf.IsTrue(op.Enabled) {
		j.add("operations", "", false, levelError, opName(want)+" is disabled (enabled="+op.Enabled+")", "enabled: nobody notices a failure else", "pcs resource manage "+j.resource.Name+" --monitor")
	}
	d, ok := crm.Duration(op.Interval)
	if !ok || d == 0 || d > slowest(want.Role) {
		j.operation(levelWarning, j.mended(op, map[string]string{"interval": recommended(want).Interval}), opName(want)+": interval "+orUnset(op.Interval), want.Interval.String()+" or less")
	}
	if intervals[d.String()] {
		j.operation(levelError, j.mended(op, map[string]string{"interval": recommended(want).Interval}), opName(want)+": interval "+op.Interval+", as the other role's", "two different ones: Pacemaker tells the monitors apart by it")
	}
	intervals[d.String()] = true
}

// recommended is an operation as the meta-data have it.
func recommended(a metadata.Action) crm.Op {
	seconds := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return crm.Op{Name: a.Name, Role: crm.Role(a.Role), Timeout: seconds(a.Timeout), Interval: seconds(a.Interval)}
}

// options are those of an operation by their names.
func options(op crm.Op) map[string]string {
	return map[string]string{"interval": op.Interval, "timeout": op.Timeout, "role": string(op.Role)}
}

// opCommand sets an operation's options to those that have a value here, and to no others.
func opCommand(resource, name string, all map[string]string) string {
	text := "pcs resource update " + resource + " op " + name
	order := []string{"interval", "timeout", "role"}
	for _, option := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(order, option) {
			order = append(order, option)
		}
	}
	for _, option := range order {
		if value := all[option]; value != "" {
			text += " " + option + "=" + value
		}
	}
	return text
}

// colocations looks for what would follow any instance, and not the primary, and for what
// may stay behind.
func (j *judgement) colocations() {
	const check = "constraints"
	for _, l := range j.cib.Colocations {
		ours := l.With == j.resource.Clone || l.With == j.resource.Name
		mend := fmt.Sprintf("pcs constraint delete %s; pcs constraint colocation add %s with Promoted %s score=INFINITY, or crm configure delete %[1]s; crm configure colocation %[2]s-with-primary inf: %[2]s %[3]s:Promoted",
			l.ID, l.Resource, j.resource.Outer())
		switch {
		case !ours || l.Score <= 0:
		case l.WithRole == "" || l.WithRole == crm.RoleStarted:
			j.add(check, "", false, levelWarning, fmt.Sprintf("%s: %s runs with any instance of %s", l.ID, l.Resource, l.With), "with the promoted one, unless it is to lead to standbys too", mend)
		case l.WithRole == crm.RolePromoted && l.Score < crm.Infinity:
			j.add(check, "", false, levelWarning, fmt.Sprintf("%s: %s prefers to run with the primary (%d)", l.ID, l.Resource, l.Score), "INFINITY: it may stay behind else, and lead to a standby", mend)
		}
	}
	if len(j.cib.ColocationSets) > 0 {
		j.unknown(check, "", "colocation sets are not read ("+strings.Join(j.cib.ColocationSets, ", ")+")", "pcs constraint config, or crm configure show")
	}
}

// operationOf finds an operation by its name and role. A monitor without a role is the one of
// unpromoted instances (pcmk__create_recurring_actions of Pacemaker's pcmk_sched_recurring.c).
func operationOf(r crm.Resource, name, role string) (crm.Op, bool) {
	for _, op := range r.Ops {
		of := string(op.Role)
		if of == "" && role == string(metadata.RoleUnpromoted) {
			of = role
		}
		if op.Name == name && (role == "" || of == role) {
			return op, true
		}
	}
	return crm.Op{}, false
}

// constraints left over by moves keep the promoted role where nobody remembers why.
func (j *judgement) constraints() {
	found := false
	for _, l := range j.around() {
		name, of := j.about(l)
		switch {
		case crm.IsMove(l.ID):
			found = true
			j.add("constraints", "", false, levelWarning, name+" "+constraintText(l), "none left over by a move or a ban", removal(l, of))
		case l.Score <= -crm.Infinity && (!l.Rule || j.stateErr == nil): // else nobody says whether it holds
			found = true
			j.add("constraints", "", false, levelWarning, name+" "+constraintText(l), "no ban, unless it is meant", removal(l, of))
		}
	}
	if !found {
		j.add("constraints", "", true, levelOK, "none left over by a move or a ban", "", "")
	}
}

// orders looks at what lets a follower, such as a virtual IP, start after the promotion
// and stop after the demotion. A symmetrical order turns the latter around: the address
// goes first, and standbys that connect to it miss the old primary's last WAL.
func (j *judgement) orders(follower string) {
	for _, want := range []struct{ first, then string }{{"promote", "start"}, {"demote", "stop"}} {
		check, expected := "order", fmt.Sprintf("%s, then %s of %s, mandatory, symmetrical=false", want.first, want.then, follower)
		moved := j.cib.GroupOf(follower)
		pcs := fmt.Sprintf("pcs constraint order %s %s then %s %s symmetrical=false kind=Mandatory", want.first, j.resource.Outer(), want.then, moved)
		crmsh := fmt.Sprintf("crm configure order %s-then-%s-%s Mandatory: %s:%[1]s %[3]s:%[2]s symmetrical=false", want.first, want.then, moved, j.resource.Outer())
		o, found := j.orderOf(follower, want.first, want.then)
		switch {
		case !found && len(j.cib.OrderSets) > 0:
			j.unknown(check, "", "order sets are not read ("+strings.Join(j.cib.OrderSets, ", ")+"); wanted: "+expected, "pcs constraint config, or crm configure show")
		case !found:
			j.add(check, "", false, levelError, "none of "+want.first+" and "+want.then+" of "+follower, expected, pcs+", or "+crmsh)
		default:
			// pcs takes another one of the same two actions for a duplicate: the old one goes first.
			text := fmt.Sprintf("%s: %s, then %s of %s, mandatory=%t, symmetrical=%t", o.ID, want.first, want.then, follower, o.Mandatory, o.Symmetrical)
			j.add(check, "", o.Mandatory && !o.Symmetrical, levelError, text, expected,
				fmt.Sprintf("pcs constraint delete %s; %s, or crm configure delete %[1]s; %[3]s", o.ID, pcs, crmsh))
		}
	}
}

// orderOf finds an order of an action of the clone before one of the follower, or of a
// group with it.
func (j *judgement) orderOf(follower, firstAction, thenAction string) (crm.Order, bool) {
	for _, o := range j.cib.Orders {
		ours := o.First == j.resource.Clone || o.First == j.resource.Name
		its := o.Then == follower || slices.Contains(j.cib.Group(o.Then), follower)
		if ours && its && o.FirstAction == firstAction && o.ThenAction == thenAction {
			return o, true
		}
	}
	return crm.Order{}, false
}
