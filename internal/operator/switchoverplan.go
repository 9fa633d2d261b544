package operator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/metadata"
)

// switchoverPlan is what a switchover would do, and whether it may be tried.
type switchoverPlan struct {
	From      string        `json:"from,omitempty"`
	Target    string        `json:"target,omitempty"`
	Checks    findings      `json:"checks"`
	Refused   bool          `json:"refused"`
	Done      bool          `json:"nothing_to_do"` // the target is the primary already
	Followers []string      `json:"followers"`     // what moves along, such as a virtual IP
	Steps     []string      `json:"steps"`
	Command   string        `json:"command"`
	Bound     time.Duration `json:"-"`

	lifetime time.Duration // of the constraint, by this node's clock
}

// What a target may lack. More than that is sent while the old primary shuts down, when
// nobody can write.
const (
	mostLag      = 16 << 20  // bytes of WAL that its disk has not: one segment
	mostToReplay = 256 << 20 // bytes that a promotion would have to replay first
)

// planSwitchover judges a survey. An empty target stands for the best standby.
func planSwitchover(f survey, target string) switchoverPlan {
	p := planner{survey: f, v: assess(f)}
	p.Followers, p.Steps, p.Checks = []string{}, []string{}, findings{}
	p.cluster()
	p.primary()
	p.followers()
	p.Target = target
	if target == "" {
		p.Target = p.best()
	}
	if p.Target != "" && p.Target == p.From {
		p.Done = !slices.ContainsFunc(p.Checks, func(f finding) bool { // what else is wrong with the cluster does not take the role away
			return f.Level == levelError && slices.Contains([]string{"pacemaker", "quorum", "primary"}, f.Check)
		})
		p.Refused = !p.Done
		return p.switchoverPlan
	}
	p.target()
	p.rules()
	p.rest()
	p.Refused = p.Checks.count(levelError) > 0
	if p.Refused {
		return p.switchoverPlan
	}
	p.Bound = switchoverBound(f.resource)
	p.lasts(f, moveLifetime(p.Bound, 0))
	p.steps()
	return p.switchoverPlan
}

// lasts sets what the constraint lasts.
func (p *switchoverPlan) lasts(f survey, lifetime time.Duration) {
	p.lifetime = lifetime
	p.Command = "crm_resource " + strings.Join(crm.MoveArguments(f.resource.Clone, p.Target, f.state.Version, lifetime), " ")
}

// lifetimeMargin is what the constraint lasts beyond all that this command waits for. Its
// end is told by this node's clock and judged by the coordinator's, and `pgsqlms check` calls
// it an error where two are a tenth of this apart.
const lifetimeMargin = 10 * clockError

// moveLifetime is what the constraint lasts where nobody removes it, as after SIGKILL or the
// loss of this node. ahead is by how much the coordinator's clock is before this node's: more
// than an error of it is added, or the constraint could be over before it begins.
func moveLifetime(bound, ahead time.Duration) time.Duration {
	lifetime := constraintWait + bound + clearWait + lifetimeMargin
	if ahead > clockError {
		lifetime += ahead
	}
	return lifetime
}

type planner struct {
	survey
	switchoverPlan
	v statusView
}

// must adds a check that refuses the switchover when it is not ok.
func (p *planner) must(check string, ok bool, found, expected, todo string) {
	p.Checks.add(check, "", ok, levelError, found, expected, todo)
}

// cluster is what has to be so of the cluster as a whole.
func (p *planner) cluster() {
	if p.stateErr != nil {
		p.must("pacemaker", false, first(p.stateErr), "an answer on this node", pacemakerToDo(p.stateErr))
		return
	}
	p.Checks = append(p.Checks, quorumChecks(p.survey)...)
	p.Checks = append(p.Checks, fencingChecks(p.survey)...)
	p.must("maintenance", !*p.v.Pacemaker.Maintenance, "maintenance mode "+yesNo(p.v.Pacemaker.Maintenance, "on", "off"), "off: Pacemaker would do nothing",
		"crm_attribute -n maintenance-mode -v false")
	p.must("promotable", p.resource.Promotable(), p.resource.Name+" in "+orUnknown(p.resource.Clone, true), "a promotable clone", readme)
	found := "none"
	if len(p.state.Failures) > 0 {
		var all []string
		for _, failure := range p.state.Failures {
			all = append(all, failure.Operation+" on "+failure.Node)
		}
		found = strings.Join(all, ", ")
	}
	p.must("failed actions", len(p.state.Failures) == 0, found, "none", "pgsqlms status; mend the cause, then crm_resource --cleanup")
	var busy []string
	for _, i := range p.state.Instances {
		if i.UnderWay() {
			busy = append(busy, i.Resource+": "+i.Pending)
		}
	}
	p.must("transition", len(busy) == 0, orNone(busy), "nothing under way", "crm_resource --wait")
}

// fencingChecks are of fencing: switched on, and a device that runs.
func fencingChecks(f survey) (checks findings) {
	on := f.cib.Fencing()
	checks.add("fencing", "", on, levelError, f.cib.FencingProperty()+"="+fmt.Sprint(on), "true: without fencing no promotion is safe", "configure a fence device, then: "+fencingOn(f.cib))
	if f.stateErr != nil {
		return checks
	}
	checks = append(checks, deviceChecks(f)...)
	for _, event := range f.state.Fencings {
		if event.Status != "success" && !f.overcome(event) {
			checks.add("fencing", event.Target, false, levelError, "fencing of it is "+event.Status, "none that is under way or failed", fencingToDo(event))
		}
	}
	return checks
}

// deviceChecks say whether anybody could fence, by Pacemaker's word.
func deviceChecks(f survey) (checks findings) {
	const check = "fence devices"
	var up, down []string
	for _, i := range f.state.Instances {
		switch {
		case !strings.HasPrefix(i.Agent, "stonith:"):
		case i.Role == crm.RoleStarted && !i.Failed:
			up = append(up, i.Resource+" on "+i.Node)
		default:
			down = append(down, i.Resource)
		}
	}
	running := "running: " + orNone(up)
	watchdog := f.cib.WatchdogFencing()
	if watchdog {
		running += "; nodes fence themselves by their watchdog, whose timeout is set"
	}
	checks.add(check, "", len(up) > 0 || watchdog, levelError, running, "a fence device that runs", readme+": fencing first")
	if len(down) > 0 {
		checks.add(check, "", false, levelWarning, "not running: "+orNone(down), "all of them running", "crm_resource --cleanup -r "+down[0])
	}
	return checks
}

// fencingToDo is for a fencing that has failed, and which nothing has overcome, or is under
// way.
func fencingToDo(f crm.Fencing) string {
	if f.Status == "failed" {
		return "mend the fence device; once the node is fenced or back: stonith_admin --cleanup --history " + f.Target
	}
	return "stonith_admin --history " + f.Target + " --verbose"
}

// primary finds the one that has the role now.
func (p *planner) primary() {
	promoted := p.state.Promoted(p.resource.Name)
	if len(promoted) == 1 {
		p.From = promoted[0]
	}
	p.must("primary", len(promoted) == 1, "promoted: "+orNone(promoted), "one node", "pgsqlms status")
	for _, n := range p.v.Nodes {
		if n.Name == p.From {
			p.able("primary", n.Name)
			p.must("primary", n.Role == rolePrimary && n.State == stateRunning, n.Name+" is "+string(n.State), string(stateRunning), "pgsqlms status")
		} else if n.Role == rolePrimary {
			p.must("primary", false, n.Name+" runs a primary as well", "one primary", "pgsqlms status")
		}
	}
}

// followers are those that run with the primary now and have to go with it. One that is
// stopped, on purpose or since it cannot start, is not waited for.
func (p *planner) followers() {
	for _, name := range p.cib.Bound(p.resource) {
		if i, found := p.state.On(name, p.From); found && i.Role != crm.RoleStopped {
			p.Followers = append(p.Followers, name)
		}
	}
}

// best is the standby with the highest score among those that stream; empty without any.
func (p *planner) best() string {
	best := nodeView{}
	for _, n := range p.v.Nodes {
		if n.Role == roleStandby && n.State == stateStreaming && n.Score != nil && *n.Score > 0 && (best.Score == nil || *n.Score > *best.Score) {
			best = n
		}
	}
	return best.Name
}

// target is what has to be so of the node that takes the role.
func (p *planner) target() {
	const check = "target"
	if p.Target == "" {
		p.must(check, false, "no standby that streams and has a positive promotion score", "one", p.askThere("pgsqlms status"))
		return
	}
	n := slices.IndexFunc(p.v.Nodes, func(n nodeView) bool { return n.Name == p.Target })
	if n < 0 {
		p.must(check, false, "the cluster has no node "+p.Target, "one of "+orNone(p.nodeNames()), "pgsqlms status")
		return
	}
	v := p.v.Nodes[n]
	p.able(check, v.Name)
	p.must("streaming", v.State == stateStreaming, v.Name+" is "+string(v.State), string(stateStreaming), p.askThere("pgsqlms status"))
	lag, few := "not known", false
	if v.LagBytes != nil {
		lag, few = bytesText(*v.LagBytes), *v.LagBytes <= mostLag
	}
	p.must("lag", few, lag, "at most "+bytesText(mostLag), p.askThere("wait, or write less, until it has caught up"))
	score, positive := "none", false
	if v.Score != nil {
		score, positive = fmt.Sprint(*v.Score), *v.Score > 0
	}
	p.must("score", positive, "promotion score "+score, "above 0", "pgsqlms status")
	if v.ToReplayBytes != nil {
		p.must("replay", *v.ToReplayBytes <= mostToReplay, bytesText(*v.ToReplayBytes)+" to replay", "at most "+bytesText(mostToReplay)+": the promotion waits for it", "wait")
	}
	if r := (&assessor{survey: p.survey}).reportOf(v.Name); r != nil {
		p.must("replay", !r.ReplayPaused, "paused: "+yesNo(&r.ReplayPaused, "yes", "no"), "no", p.psql(v.Name, "select pg_wal_replay_resume()"))
	}
}

// askThere is what to do where the primary does not let this node ask it, and with it what
// only the primary knows; else it is todo.
func (p *planner) askThere(todo string) string {
	a := assessor{survey: p.survey}
	if p.From == "" || p.From == p.node || a.reportOf(p.From) != nil || a.unreachable(p.From) {
		return todo
	}
	return "run it on " + p.From + ", the primary's node, which cannot be asked by SQL from here; pgsqlms check says why"
}

// able is about a node on which Pacemaker has to act: the one that it demotes, and the one
// that it promotes.
func (p *planner) able(check, node string) {
	member, _ := p.state.Node(node)
	p.must(check, serves(member), node+nodeText(member), "online, neither in standby nor in maintenance mode", "pgsqlms status")
	p.managed(check, node, member)
}

// serves says that Pacemaker runs instances on a node, and acts there.
func serves(n crm.Node) bool {
	return n.Online && !n.Standby && !n.Maintenance && !n.Unclean && !n.Shutdown
}

// managed is about the instance on a node. Maintenance mode, under which none is managed, has
// a line of its own.
func (p *planner) managed(check, node string, member crm.Node) {
	placed, _ := p.state.On(p.resource.Name, node)
	todo := cleanupOf(p.resource.Name, node)
	if placed.Node != "" && !placed.Managed && !placed.Blocked { // Pacemaker has a blocked one as unmanaged too
		todo = manageInstances(p.resource)
	}
	managed := placed.Node != "" && (placed.Managed || *p.v.Pacemaker.Maintenance || member.Maintenance)
	p.must(check, managed && !placed.Blocked && !placed.Failed, node+instanceText(placed), "an instance that Pacemaker manages", todo)
}

func nodeText(n crm.Node) string {
	switch {
	case n.Unclean:
		return " is lost and not fenced yet"
	case !n.Online:
		return " is not in the cluster"
	case n.Standby:
		return " is in standby mode"
	case n.Maintenance:
		return " is in maintenance mode"
	case n.Shutdown:
		return " is leaving the cluster"
	}
	return " is online"
}

func instanceText(i crm.Instance) string {
	switch {
	case i.Node == "":
		return ": no instance runs there"
	case i.Blocked:
		return ": its instance is blocked"
	case i.Failed:
		return ": its instance has failed"
	case !i.Managed:
		return ": its instance is unmanaged"
	}
	return ": its instance is managed"
}

// rules are constraints in the way: a ban of the target, and what another move or ban of
// crm_resource has left, which a new move would replace.
func (p *planner) rules() {
	clean := true
	for _, l := range p.locations() {
		banned := l.Score <= -crm.Infinity && l.Node == p.Target && l.Role != crm.RoleUnpromoted
		if !banned && !crm.IsMove(l.ID) {
			continue
		}
		clean = false
		p.must("constraints", false, l.ID+" "+constraintText(l), "no ban of the target, and nothing left by an earlier move or ban", removal(l, p.resource))
	}
	if banned, bad := p.staysBehind(); len(banned) > 0 {
		clean = false
		for _, l := range banned {
			what, of := p.about(l)
			p.Checks.add("constraints", "", false, bad, what+" "+constraintText(l), "no ban of what goes with the primary from the target: it would run nowhere", removal(l, of))
		}
	}
	for _, l := range p.outweighing() {
		clean = false
		bad := levelWarning
		if l.Score >= crm.Infinity {
			bad = levelError
		}
		what, of := p.about(l)
		p.Checks.add("constraints", "", false, bad, what+" "+constraintText(l),
			fmt.Sprintf("nothing that takes the role back once it has moved: the target's promotion score is above the others by %d then", lead), removal(l, of))
	}
	if clean {
		p.must("constraints", true, "none in the way", "", "")
	}
}

// staysBehind are the bans of what runs with the primary from the target: Pacemaker promotes
// there all the same, and what follows runs nowhere. That is an error where nothing goes along,
// and nothing comes up there that is banned here, as the address of another site.
func (p *planner) staysBehind() (found []crm.Location, bad level) {
	from := func(node string) (bans []crm.Location) {
		for _, l := range p.beside() {
			if l.Score <= -crm.Infinity && l.Node == node {
				bans = append(bans, l)
			}
		}
		return bans
	}
	found, bad = from(p.Target), levelError
	if len(p.Followers) == 0 {
		bad = levelWarning
	}
	for _, name := range p.cib.Bound(p.resource) {
		its := func(l crm.Location) bool { return l.Resource == name || l.Resource == p.cib.GroupOf(name) }
		leads := slices.Contains(p.Followers, name) || slices.ContainsFunc(from(p.From), its)
		if leads && !slices.ContainsFunc(found, its) {
			bad = levelWarning
		}
	}
	return found, bad
}

// lead is by how much a primary's promotion score is above the best of a standby. Pacemaker
// leaves the role where it is at equal sums.
const lead = election.ScorePrimary - election.ScoreBest

// preferences are the constraints that count in a promotion besides the scores: those about
// the resource, whatever their role, and those about what is bound to its promoted instance
// (apply_coloc_to_primary in pcmk_sched_promotable.c; tried with crm_simulate 2.1.5).
func (p *planner) preferences() (found []crm.Location) {
	for _, l := range p.locations() {
		if !crm.IsMove(l.ID) && l.Score > -crm.Infinity {
			found = append(found, l)
		}
	}
	for _, l := range p.beside() {
		if l.Score > 0 {
			found = append(found, l)
		}
	}
	return found
}

// outweighing are the preferences by which another node has more than the target's lead, so
// that Pacemaker would move the role there once the constraint of the switchover is gone.
// Those by a rule that names no node are not known.
func (p *planner) outweighing() (found []crm.Location) {
	all := p.preferences()
	sums := map[string]int{}
	for _, l := range all {
		sums[l.Node] += l.Score
	}
	ahead := func(node string) bool { return node != p.Target && sums[node]-sums[p.Target] > lead }
	for _, l := range all {
		own := l.Node == p.Target && l.Score < 0 && slices.ContainsFunc(p.nodeNames(), ahead)
		if own || l.Score > 0 && l.Node != "" && ahead(l.Node) {
			found = append(found, l)
		}
	}
	return found
}

// rest is what is not well, and no reason to refuse.
func (p *planner) rest() {
	for _, r := range p.v.Problems {
		told := strings.Contains(r.Text, "failed action") || strings.Contains(r.Text, "fencing") || r.Node == p.Target || r.Node == p.From
		if !told {
			p.Checks.add("status", r.Node, false, levelWarning, r.Text, "", r.ToDo)
		}
	}
}

// steps says what will happen.
func (p *planner) steps() {
	p.Steps = append(p.Steps,
		fmt.Sprintf("%s is shut down cleanly, with a checkpoint before: its clients lose their connections, and nobody can write", p.From),
		fmt.Sprintf("%s starts again as a standby", p.From),
		fmt.Sprintf("%s is promoted if it holds all that %s has written; otherwise it is cancelled, and %[2]s is the primary again", p.Target, p.From))
	if len(p.Followers) > 0 {
		p.Steps = append(p.Steps, fmt.Sprintf("%s: stopped on %s, started on %s", strings.Join(p.Followers, ", "), p.From, p.Target))
	}
	p.Steps = append(p.Steps, fmt.Sprintf("the constraint %s, which moves the role, is removed again, whatever happens; should this command be killed, it ends by itself",
		crm.MoveID(p.resource.Clone)))
}

// timeoutOf is what an operation of the resource may take: as it is configured, else as
// the meta-data recommend.
func timeoutOf(r crm.Resource, name string) (longest time.Duration) {
	for _, op := range r.Ops {
		if d, ok := crm.Duration(op.Timeout); ok && op.Name == name {
			longest = max(longest, d)
		}
	}
	if longest > 0 {
		return longest
	}
	for _, a := range metadata.Actions() {
		if a.Name == name {
			longest = max(longest, a.Timeout)
		}
	}
	return longest
}

// followerWait is how long what moves along is waited for once the target has the role: as
// long as Pacemaker gives to an operation that has no timeout of its own (20 s: Pacemaker
// Explained, "Operation Properties"), to stop and to start.
const followerWait = 2 * 20 * time.Second

// switchoverBound is as long as Pacemaker may take: each action with the notifications
// before and after it, and what moves along.
func switchoverBound(r crm.Resource) time.Duration {
	notify := 2 * timeoutOf(r, metadata.Notify)
	return timeoutOf(r, metadata.Demote) + notify + timeoutOf(r, metadata.Promote) + notify + followerWait
}

// bestScored says whether a node has the best promotion score, so that Pacemaker leaves
// the role there when the constraint is gone.
func bestScored(cib crm.CIB, r crm.Resource, node string) bool {
	own, found := cib.Score(node, r.Name)
	if !found || own <= election.ScoreHeld {
		return false
	}
	for _, other := range cib.NodeNames {
		if score, found := cib.Score(other, r.Name); other != node && found && score >= own {
			return false
		}
	}
	return true
}
