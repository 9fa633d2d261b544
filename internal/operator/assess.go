package operator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// assessor makes a view of a survey. It does no input and output.
type assessor struct {
	survey
	v        statusView
	primary  string     // the node with the primary, by PostgreSQL's word or Pacemaker's; empty for none
	upstream *pg.Report // the primary's own report, nil without
}

// assess says what there is, what is wrong, and what cannot be known.
func assess(f survey) statusView {
	f.others = maps.Clone(f.others)
	a := assessor{survey: f, v: statusView{
		Taken: f.taken, Cluster: f.cib.Properties["cluster-name"], AskedOn: f.node,
		Resource: f.resource.Name, Clone: f.resource.Clone,
		Nodes: []nodeView{}, Followers: []followerView{}, Failures: []failureView{}, Constraints: []constraintView{},
		Problems: []remark{}, Notices: []remark{}, Unknown: []remark{},
	}}
	a.pacemaker()
	a.findPrimary()
	a.acknowledgements()
	for _, name := range a.nodeNames() {
		a.v.Nodes = append(a.v.Nodes, a.view(a.subject(name)))
	}
	a.followers()
	a.fenceDevices()
	a.failures()
	a.record()
	a.events()
	a.constraints()
	a.guards()
	a.v.Well = len(a.v.Problems) == 0
	return a.v
}

func (a *assessor) problem(node, todo, format string, args ...any) {
	a.v.Problems = append(a.v.Problems, remark{node, fmt.Sprintf(format, args...), todo})
}

func (a *assessor) notice(node, todo, format string, args ...any) {
	a.v.Notices = append(a.v.Notices, remark{node, fmt.Sprintf(format, args...), todo})
}

func (a *assessor) unknown(node, todo, format string, args ...any) {
	a.v.Unknown = append(a.v.Unknown, remark{node, fmt.Sprintf(format, args...), todo})
}

func (a *assessor) live() bool { return a.stateErr == nil }

// pacemaker tells of the cluster as a whole.
func (a *assessor) pacemaker() {
	p := &a.v.Pacemaker
	fencing, maintenance := a.cib.Fencing(), a.cib.Properties["maintenance-mode"]
	p.Source, p.Fencing = sourceLive, &fencing
	on := ocf.IsTrue(maintenance)
	p.Maintenance, p.LastChange = &on, known(a.cib.Written)
	if a.live() {
		p.Version, p.DC, p.Quorum = a.state.Version, a.state.DC, &a.state.Quorum
	}
	if a.onDisk {
		p.Source = sourceDisk
		a.problem(a.node, pacemakerToDo(a.stateErr),
			"%s; shown is this node's copy of the configuration, which may be old", a.notLive())
	} else if !a.live() {
		a.problem(a.node, pacemakerToDo(a.stateErr), "the state of the cluster cannot be had: %s", a.notLive())
	}
	switch {
	case !a.live():
	case a.state.DC == "":
		a.problem("", "look at corosync: corosync-quorumtool", "no node coordinates the cluster: an election is under way, or the nodes do not see each other")
	case !a.state.Quorum:
		a.problem("", a.quorumToDo(), "%s", a.noQuorum())
	}
	if !fencing {
		a.problem("", "configure a fence device, then: "+fencingOn(a.cib),
			"fencing is off (%s=%s): no failover is safe, and two primaries are possible", a.cib.FencingProperty(), a.cib.Properties[a.cib.FencingProperty()])
	}
	if on {
		a.notice("", "crm_attribute -n maintenance-mode -v false", "maintenance mode is on: Pacemaker watches nothing and recovers nothing")
	}
}

// pacemakerToDo tells a Pacemaker that is down from one that hangs.
func pacemakerToDo(err error) string {
	var tool *crm.ToolError
	if errors.As(err, &tool) {
		return "systemctl start pacemaker"
	}
	return "systemctl status pacemaker corosync"
}

// findPrimary takes PostgreSQL's own word before Pacemaker's.
func (a *assessor) findPrimary() {
	var primaries []string
	for _, name := range a.nodeNames() {
		if r := a.reportOf(name); r != nil && !r.InRecovery {
			primaries = append(primaries, name)
		}
	}
	promoted := a.state.Promoted(a.resource.Name)
	if len(primaries) == 0 && a.byAddress.ok() && !a.byAddress.report.InRecovery && len(promoted) == 1 {
		// The name of its node did not lead there, its address in primary_conninfo did.
		a.others[promoted[0]] = a.byAddress
		primaries = promoted
	}
	switch {
	case len(primaries) > 0:
		a.primary = primaries[0]
		if len(primaries) > 1 {
			a.problem("", a.onePrimary(primaries), "%s run primaries, expected one: whatever commits on one is not on the other", strings.Join(primaries, " and "))
			a.primary = a.trusted(primaries)
		}
	case a.promoted() != "":
		a.primary = a.promoted()
	case a.live():
		a.nobody(promoted)
	case a.byAddress.ok() && !a.byAddress.report.InRecovery:
		report := a.byAddress.report
		a.upstream = &report
		a.notice("", "", "a primary answers where primary_conninfo leads; on which node it runs cannot be told from here")
	default:
		a.unknown("", "pgsqlms status, on another node", "which node is the primary")
	}
	if a.upstream == nil {
		a.upstream = a.reportOf(a.primary)
	}
}

// nobody is for a cluster without a primary: none is promoted, or what Pacemaker holds for
// promoted is lost, or failed in it.
func (a *assessor) nobody(held []string) {
	text := "no node is promoted: nobody can write"
	for _, name := range held {
		if node, _ := a.state.Node(name); node.Unclean {
			text = fmt.Sprintf("%s, which was promoted, is lost and not fenced: here nobody can write, and nobody is promoted in its place before it is fenced", name)
			if !a.cib.Fencing() {
				text = fmt.Sprintf("%s, which was promoted, is lost: here nobody can write", name)
			}
		}
	}
	a.problem("", "pgsqlms explain; where an election waits, bring back the nodes that it names", "%s", text)
	for _, cause := range a.toldSo() {
		a.problem("", cause.ToDo, "%s", cause.Text)
	}
}

// onePrimary is what to do about several primaries. Which one has the commits that count is
// for a person to say, unless Pacemaker and the cluster's record name the same one.
func (a *assessor) onePrimary(primaries []string) string {
	promoted := a.state.Promoted(a.resource.Name)
	record, err := election.ParseRecord(a.cib.Record(a.resource.Name))
	if a.maintained() || err != nil || len(promoted) != 1 || record.Node != promoted[0] || !slices.Contains(primaries, promoted[0]) {
		return "keep clients away; pgsqlms history, on each; stop none before you know which commits count"
	}
	others := strings.Join(slices.DeleteFunc(slices.Clone(primaries), func(name string) bool { return name == promoted[0] }), " and ")
	return fmt.Sprintf("%s is the cluster's; save what was committed on %s, which Pacemaker stops; then pgsqlms rejoin there", promoted[0], others)
}

// trusted is the one of several primaries that Pacemaker has promoted.
func (a *assessor) trusted(primaries []string) string {
	for _, name := range primaries {
		if i, found := a.state.On(a.resource.Name, name); found && i.Role == crm.RolePromoted {
			return name
		}
	}
	return primaries[0]
}

// reportOf is what the instance on a node has said; nil if nothing.
func (a *assessor) reportOf(node string) *pg.Report {
	if node != "" && node == a.node {
		if a.local.ok() {
			return &a.local.report
		}
		return nil
	}
	if other, asked := a.others[node]; asked && other.ok() {
		return &other.report
	}
	return nil
}

// connection is a node's row in the pg_stat_replication of its upstream, the primary
// before other standbys, and the upstream's node.
func (a *assessor) connection(node string) (*pg.StandbyReport, string) {
	if a.upstream != nil {
		if row := rowOf(a.upstream, node); row != nil {
			return row, a.primary
		}
	}
	for _, name := range a.nodeNames() {
		if r := a.reportOf(name); r != nil && name != a.primary {
			if row := rowOf(r, node); row != nil {
				return row, name
			}
		}
	}
	return nil, ""
}

// rowOf takes the streaming one where a broken connection has left a second row.
func rowOf(r *pg.Report, node string) (found *pg.StandbyReport) {
	for n := range r.Standbys {
		row := &r.Standbys[n]
		if strings.EqualFold(row.ApplicationName, node) && (found == nil || row.State == "streaming") {
			found = row
		}
	}
	return found
}

func (a *assessor) failures() {
	for _, f := range a.state.Failures {
		a.v.Failures = append(a.v.Failures, failureView{f.Node, f.Operation, f.Code, f.Text, f.Reason, known(f.At)})
	}
	var cleanups []string
	for _, f := range a.state.Failures {
		if command := cleanupOf(f.Resource(), f.Node); !slices.Contains(cleanups, command) {
			cleanups = append(cleanups, command)
		}
	}
	if n := len(a.v.Failures); n > 0 {
		a.problem("", "mend the cause, then "+strings.Join(cleanups, "; "), "Pacemaker remembers %s, see below", plural(n, "failed action"))
	}
}

func (a *assessor) record() {
	text := a.cib.Record(a.resource.Name)
	if text == "" {
		if a.primary != "" {
			a.notice("", "", "the cluster has no record of its timelines yet: the first monitor of a primary writes it")
		}
		return
	}
	r, err := election.ParseRecord(text)
	if err != nil {
		a.problem("", "", "%v", err)
		return
	}
	v := recordView{Text: text, Serial: r.Serial, Node: r.Node, Timeline: r.History.Timeline, Sync: []string{}, Promoting: []string{}}
	if parent := r.History.Parent(); parent.Timeline != 0 {
		v.Begun = parent.End.String()
	}
	for _, rule := range r.Sync {
		v.Sync = append(v.Sync, rule.String())
	}
	for _, next := range r.Next {
		v.Promoting = append(v.Promoting, next.Rule.Primary)
		a.notice(next.Rule.Primary, "", "its promotion at %s was begun, and its end is not written down yet", next.At.LSN)
	}
	a.v.Record = &v
}

// acknowledgements says when commits wait for standbys that are not there.
func (a *assessor) acknowledgements() {
	if a.upstream == nil || a.upstream.Blind != "" || a.primary == "" {
		return
	}
	var connected, gone []string
	for _, row := range a.upstream.Standbys {
		switch {
		case row.SyncState != "sync" && row.SyncState != "quorum":
		case a.gone(row.ApplicationName):
			gone = append(gone, row.ApplicationName)
		default:
			connected = append(connected, row.ApplicationName)
		}
	}
	rule, err := election.RuleFor(a.upstream.SynchronousStandbyNames, a.primary, a.nodeNames(), connected)
	if err != nil || len(connected) >= rule.Need {
		return
	}
	a.problem(a.primary, "bring standbys back, or let the primary wait for fewer (synchronous_standby_names, then reload)",
		"commits hang: they wait for %d of %s, and %d of these are connected%s", rule.Need, strings.Join(rule.Of, ", "), len(connected), notCounting(gone))
}

// notCounting names the nodes that are gone, and whose connections the primary still has.
func notCounting(gone []string) string {
	if len(gone) == 0 {
		return ""
	}
	return ", not counting those of " + strings.Join(gone, ", ") + ", which wal_sender_timeout has not ended yet"
}

// events are the last promotion and the last fencing that Pacemaker remembers.
func (a *assessor) events() {
	for _, name := range a.nodeNames() {
		op, found := a.cib.Last(a.resource.Name, name, "promote")
		if found && op.Done && op.Code == 0 && (a.v.Promotion == nil || op.At.After(a.v.Promotion.At)) {
			a.v.Promotion = &eventView{name, op.At}
		}
	}
	if len(a.state.Fencings) == 0 {
		return
	}
	f := slices.MaxFunc(a.state.Fencings, func(x, y crm.Fencing) int { return x.Completed.Compare(y.Completed) })
	a.v.Fencing = &fencingView{f.Action, f.Target, f.By, f.Status, known(f.Completed)}
	for _, f := range a.state.Fencings {
		if f.Status != "success" && !a.overcome(f) {
			a.problem(f.Target, fencingToDo(f), "fencing (%s) of it is %s; until it succeeds, nothing that ran there is started elsewhere", f.Action, f.Status)
		}
	}
}

// overcome says that a fencing which failed does not matter any more: a later one has
// worked, or the node is back in the cluster.
func (s *survey) overcome(f crm.Fencing) bool {
	node, _ := s.state.Node(f.Target)
	return f.Status == "failed" && !node.Unclean && (node.Online || slices.ContainsFunc(s.state.Fencings, func(later crm.Fencing) bool {
		return later.Target == f.Target && later.Status == "success" && later.Completed.After(f.Completed)
	}))
}

// constraints are those that keep the resource from a node, or draw it or its promoted
// role to one, by themselves or by what runs with it.
func (a *assessor) constraints() {
	inEffect := map[string]bool{}
	for _, l := range a.around() {
		v := viewConstraint(l)
		a.v.Constraints, inEffect[l.ID] = append(a.v.Constraints, v), true
		if l.Score < 0 || crm.IsMove(l.ID) {
			name, of := a.about(l)
			a.notice(l.Node, removal(l, of), "constraint %s %s", name, v.Text)
		}
	}
	for _, l := range a.cib.LocationsOf(a.resource) {
		if !inEffect[l.ID] {
			v := viewConstraint(l)
			v.Text += ", by a rule that holds for no node now"
			a.v.Constraints = append(a.v.Constraints, v)
		}
	}
}

func viewConstraint(l crm.Location) constraintView {
	return constraintView{ID: l.ID, Resource: l.Resource, Node: l.Node, Role: string(onlyRole(l)), Score: l.Score, Text: constraintText(l)}
}

// onlyRole is the role to which a constraint is limited; empty for none.
func onlyRole(l crm.Location) crm.Role {
	if l.Role == crm.RolePromoted || l.Role == crm.RoleUnpromoted {
		return l.Role
	}
	return ""
}

// removal is what takes a constraint away. crm_resource knows those that it made itself. What
// keeps it from a node by a rule, as for an address that the node does not reach, is to stay.
func removal(l crm.Location, r crm.Resource) string {
	switch {
	case crm.IsMove(l.ID) && l.Node != "":
		return "crm_resource --clear -r " + r.Outer() + " --node " + l.Node
	case crm.IsMove(l.ID):
		return "crm_resource --clear -r " + r.Outer()
	case crm.IsRejoin(l.ID):
		return "wait for the pgsqlms rejoin there, or, where none is under way, run it again; if that refuses: cibadmin --delete --xml-text '<rsc_location id=\"" + l.ID + "\"/>'"
	case l.Rule && l.Score < 0:
		return "it holds until its rule no longer does; what that goes by: cibadmin --query --xpath \"//rsc_location[@id='" + l.ID + "']\""
	}
	return deletion(l.ID)
}

func constraintText(l crm.Location) string {
	what, node := "it", l.Node
	if role := onlyRole(l); role != "" {
		what = "the role " + string(role)
	}
	if node == "" {
		node = "a node that its rule says"
	}
	switch {
	case l.Score <= -crm.Infinity:
		return fmt.Sprintf("keeps %s from %s", what, node)
	case l.Score < 0:
		return fmt.Sprintf("prefers %s not to be on %s (%d)", what, node, l.Score)
	case l.Score >= crm.Infinity:
		return fmt.Sprintf("wants %s on %s (INFINITY)", what, node)
	}
	return fmt.Sprintf("prefers %s on %s (%d)", what, node, l.Score)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// first is the first line of an error's text.
func first(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// lagOf is how much of the log up to head is not at.
func lagOf(head, at wal.LSN) *uint64 {
	lag := uint64(0)
	if at < head {
		lag = uint64(head - at)
	}
	return &lag
}
