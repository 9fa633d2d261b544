package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// subject is one node, and all that anybody said of it.
type subject struct {
	name     string
	here     bool              // it is this node
	member   crm.Node          // zero without Pacemaker
	placed   crm.Instance      // the same
	runs     bool              // by Pacemaker's word, placed says as what
	report   *pg.Report        // its instance's own word, nil without
	row      *pg.StandbyReport // that of its upstream
	upstream string            // whose row that is
}

func (a *assessor) subject(name string) subject {
	s := subject{name: name, here: name == a.node, report: a.reportOf(name)}
	s.member, _ = a.state.Node(name)
	s.placed, s.runs = a.state.On(a.resource.Name, name)
	s.runs = s.runs && s.placed.Role != crm.RoleStopped
	if !a.gone(name) {
		s.row, s.upstream = a.connection(name)
	}
	return s
}

// view makes the row of one node, and says what is not well with it.
func (a *assessor) view(s subject) nodeView {
	v := nodeView{Name: s.name, Here: s.here, Asked: s.report != nil, Role: a.roleOf(s), State: a.stateOf(s)}
	a.position(&v, s)
	if v.Role == roleStandby {
		v.Upstream = s.upstream
		if s.upstream == "" && s.report != nil && s.report.Receiver != nil {
			v.Upstream = s.report.Receiver.Host
		}
		if s.row != nil {
			v.Sync = s.row.SyncState
		}
	}
	if s.report != nil {
		v.PendingRestart = append([]string{}, s.report.PendingRestart...)
	}
	a.score(&v)
	a.remarks(v, s)
	return v
}

// roleOf is PostgreSQL's own word; or the primary's, that it streams from it; or
// Pacemaker's.
func (a *assessor) roleOf(s subject) nodeRole {
	switch {
	case s.report != nil && s.report.InRecovery:
		return roleStandby
	case s.report != nil:
		return rolePrimary
	case s.row != nil && s.name != a.primary:
		return roleStandby
	case s.member.Unclean:
		return roleNone // nobody can tell whether it still runs
	case s.runs && s.placed.Role == crm.RolePromoted:
		return rolePrimary
	case s.runs && s.placed.Role == crm.RoleUnpromoted:
		return roleStandby
	}
	return roleNone
}

// stateOf takes the word of the instance, then of its upstream, then what can be seen of
// it here, then Pacemaker's.
func (a *assessor) stateOf(s subject) nodeState {
	diverged := strings.HasPrefix(a.cib.Status(s.name, a.resource.Name), divergedPrefix)
	switch {
	case s.report != nil && !s.report.InRecovery:
		return stateRunning
	case diverged:
		return stateDiverged
	case s.report != nil && a.followsAnother(s):
		return stateFollowsAnother
	case s.report != nil:
		return streamingState(s.report, s.row)
	case s.row != nil && s.row.State != "":
		return connectionState(s.row.State)
	case s.here && a.local.err != nil:
		return a.localState()
	case !a.live():
		return stateUnknown
	}
	return a.placedState(s)
}

// placedState is Pacemaker's word.
func (a *assessor) placedState(s subject) nodeState {
	switch {
	case s.member.Unclean:
		return stateUnclean
	case !s.member.Online && !s.member.Pending:
		return stateOffline
	case s.member.Pending:
		return stateJoining
	case !s.runs:
		return stateStopped
	case a.unreachable(s.name):
		return stateSilent
	case s.placed.Role == crm.RolePromoted:
		return stateRunning
	case a.upstream != nil && a.upstream.Blind == "":
		return stateNotStreaming // the primary does not know it
	}
	return stateUnknown
}

// unreachable says that nobody answers where a node's instance should be. One that
// answers and refuses us is there.
func (a *assessor) unreachable(node string) bool {
	other, asked := a.others[node]
	return asked && (pg.IsTimeout(other.err) || pg.IsRefused(other.err))
}

// followsAnother says that a standby streams from somebody who is none of the cluster: neither the
// primary nor any standby that was asked has a connection of it. Where one could not be
// asked, that one may be it.
func (a *assessor) followsAnother(s subject) bool {
	if a.upstream == nil || a.upstream.Blind != "" || a.primary == "" || s.row != nil || s.report.Receiver == nil || s.report.Receiver.Status != "streaming" {
		return false
	}
	for _, name := range a.nodeNames() {
		placed, runs := a.state.On(a.resource.Name, name)
		if r := a.reportOf(name); (r == nil || r.Blind != "") && (!a.live() || runs && placed.Role != crm.RoleStopped) {
			return false
		}
	}
	return true
}

// divergedPrefix is how the agent's reason for a diverged instance begins.
const divergedPrefix = "diverged"

// streamingState is a standby's own word; its receiver does not tell whether it is
// still behind, its upstream does.
func streamingState(r *pg.Report, row *pg.StandbyReport) nodeState {
	switch {
	case r.Blind != "" && row == nil:
		return stateUnknown
	case r.Blind == "" && (r.Receiver == nil || r.Receiver.Status != "streaming"):
		return stateNotStreaming
	case row != nil && row.State != "":
		return connectionState(row.State)
	}
	return stateStreaming
}

func connectionState(s string) nodeState {
	switch s {
	case "streaming":
		return stateStreaming
	case "catchup":
		return stateCatchingUp
	}
	return nodeState(s)
}

// localState is for this node's instance when it did not answer: by its processes and
// pg_control.
func (a *assessor) localState() nodeState {
	switch {
	case pg.IsStartingUp(a.local.err):
		return stateStarting
	case a.runsErr != nil || errors.Is(a.local.err, errNotAsked):
		return stateUnknown
	case a.runs.Running():
		return stateSilent
	case a.ctrlErr == nil && (a.control.State == pg.StateShutDown || a.control.State == pg.StateShutDownRecovery):
		return stateStopped
	case a.ctrlErr == nil:
		return stateCrashed
	}
	return stateStopped
}

// position fills in where the instance is, and how far behind.
func (a *assessor) position(v *nodeView, s subject) {
	at, replayed := a.placeOf(v, s)
	v.Timeline = at.Timeline
	if s.report != nil && s.report.InRecovery && (s.report.Receiver == nil || s.report.Receiver.Status != "streaming") && s.row == nil {
		v.Timeline = 0 // what it has of pg_control is of its last restartpoint
	}
	if at.LSN != 0 {
		v.LSN = at.LSN.String()
	}
	if v.Role != roleStandby || at.LSN == 0 {
		return
	}
	if replayed != 0 {
		v.ToReplayBytes = lagOf(at.LSN, replayed)
	}
	if a.upstream != nil && v.State != stateDiverged && v.State != stateFollowsAnother {
		v.LagBytes = lagOf(a.upstream.End.LSN, at.LSN)
	}
	v.BehindSeconds = a.behind(s)
}

// placeOf is how far the instance's log goes, and how far it has replayed it.
func (a *assessor) placeOf(v *nodeView, s subject) (at wal.Position, replayed wal.LSN) {
	if s.report != nil {
		at, replayed = s.report.End, s.report.Replay
	}
	if s.row == nil || v.Role != roleStandby {
		return at, replayed
	}
	// The primary's view is of one moment with the primary's own position.
	if s.row.Flush != nil {
		at.LSN = *s.row.Flush
	}
	if s.row.Replay != nil {
		replayed = *s.row.Replay
	}
	if at.Timeline == 0 && s.row.State == "streaming" && a.upstream != nil {
		at.Timeline = a.upstream.End.Timeline // from nowhere else could it stream
	}
	return at, replayed
}

// behind is how old the newest commit is that a reader sees: by the primary's measure
// where there is one.
func (a *assessor) behind(s subject) *float64 {
	seconds := func(d time.Duration) *float64 { s := d.Seconds(); return &s }
	switch {
	case s.row != nil && s.row.Replay != nil && a.upstream != nil && *s.row.Replay >= a.upstream.End.LSN:
		return seconds(0)
	case s.row != nil && s.row.ReplayLag != nil:
		return seconds(*s.row.ReplayLag)
	case s.report == nil || s.report.Behind == nil:
		return nil
	case s.row != nil, a.upstream != nil && s.report.Replay >= a.upstream.End.LSN:
		return seconds(*s.report.Behind)
	}
	return nil // it has replayed all it has, which says nothing of what it lacks
}

func (a *assessor) score(v *nodeView) {
	if a.onDisk {
		return
	}
	v.ScoreKnown = true
	if score, ok := a.cib.Score(v.Name, a.resource.Name); ok {
		v.Score = &score
	}
}

// remarks says what is not well with a node, the most telling first.
func (a *assessor) remarks(v nodeView, s subject) {
	if a.machineRemarks(v, s.member) {
		return
	}
	if text := a.cib.Status(v.Name, a.resource.Name); text != "" {
		a.problem(v.Name, repairOf(v), "%s", text)
	} else {
		a.stateRemarks(v, s)
	}
	if v.Here && !a.local.ok() && v.State != stateStopped && v.State != stateDiverged {
		a.problem(v.Name, a.recovery(v.State, s), "PostgreSQL: %s", first(a.local.err))
	}
	if a.live() {
		a.contradiction(s)
		a.placeRemarks(s)
	}
	a.scoreRemarks(v)
	if s.report == nil {
		a.silence(v)
		return
	}
	if s.report.Blind != "" {
		a.unknown(v.Name, a.grantMonitor(a.primary, s.report.Blind), "its instance was asked as %s, who is not in pg_monitor: who streams from it, and from whom it does", s.report.Blind)
	}
	if len(s.report.PendingRestart) > 0 {
		a.notice(v.Name, "", "waits for a restart to use: %s", strings.Join(s.report.PendingRestart, ", "))
	}
	if s.report.ReplayPaused {
		a.problem(v.Name, a.psql(v.Name, "select pg_wal_replay_resume()"), "replay is paused: it receives, and what it receives is not in the data")
	}
	if v.ToReplayBytes != nil && *v.ToReplayBytes >= muchToReplay {
		a.notice(v.Name, "", "%s of WAL are received and not replayed yet: a promotion of it waits for that", bytesText(*v.ToReplayBytes))
	}
}

// muchToReplay is, in bytes, one WAL segment as PostgreSQL makes them: replaying it is a
// matter of a tenth of a second, so less than that is not worth a word.
const muchToReplay = 16 << 20

// machineRemarks is for a node that is not there. It says whether that is so.
func (a *assessor) machineRemarks(v nodeView, member crm.Node) bool {
	if !a.live() {
		return false
	}
	switch {
	case member.Unclean:
		a.problem(v.Name, "wait for the fencing; if it fails or never comes, pgsqlms explain says what to do",
			"the node is lost and not fenced yet: Pacemaker waits for the fence device before it promotes another one")
		return true
	case v.State == stateOffline:
		a.problem(v.Name, nodeDown,
			"the node is not in the cluster: it is down, cut off, or Pacemaker does not run there")
		return true
	}
	if member.Pending && v.State == stateJoining {
		a.problem(v.Name, "systemctl start pacemaker, on "+v.Name, "the node is in the membership, and Pacemaker does not run there yet, or no more")
		return true
	}
	if member.Standby {
		a.notice(v.Name, "crm_standby -N "+v.Name+" -D", "the node is in standby mode: it runs nothing")
	}
	if member.Maintenance && !a.maintained() {
		a.notice(v.Name, "crm_attribute -t nodes -N "+v.Name+" -n maintenance -D", "the node is in maintenance mode: Pacemaker watches and recovers nothing there")
	}
	return false
}

// nodeDown is what to do about a node that is not in the cluster.
const nodeDown = "look at the machine; on it: systemctl start corosync pacemaker"

// stateRemarks tells of a state that the agent itself has said nothing of.
func (a *assessor) stateRemarks(v nodeView, s subject) {
	switch v.State {
	case stateStopped:
		a.stopped(v, s.member)
	case stateCrashed:
		a.problem(v.Name, a.recovery(v.State, s), "PostgreSQL does not run and was not shut down: pg_control says %q", a.control.State)
	case stateNotStreaming:
		if age, young := a.age(s); young {
			a.notice(v.Name, "", "the standby was started %.0f s ago, and does not stream yet", age.Seconds())
			return
		}
		if a.live() && a.primary == "" {
			a.notice(v.Name, "", "the standby does not stream: there is no primary")
			return
		}
		a.problem(v.Name, "read PostgreSQL's log on "+v.Name, "the standby does not stream")
	case stateFollowsAnother:
		r := s.report.Receiver
		text := ""
		if r.Timeline != a.upstream.End.Timeline {
			text = fmt.Sprintf(", on timeline %s where %s is on %s", r.Timeline, a.primary, a.upstream.End.Timeline)
		}
		a.problem(v.Name, "pgsqlms status again, as the two were asked at two moments; if it stays, look where primary_conninfo on "+v.Name+" leads",
			"it streams from %s port %s%s, and %s has no connection of it: it follows somebody else", r.Host, r.Port, text, a.primary)
	case stateCatchingUp:
		a.notice(v.Name, "", "the standby catches up with what it has missed")
	case stateSilent:
		if !v.Here {
			a.problem(v.Name, "pgsqlms status, on "+v.Name, "its instance does not answer, though Pacemaker says that it runs: it has just died, or cannot be reached from here (%v)", first(a.others[v.Name].err))
		}
	}
}

// newborn is how long a standby that was just started, or demoted, may take to find the
// primary: twice the default of wal_retrieve_retry_interval, after which it tries again.
const newborn = 10 * time.Second

// age says how long ago an instance was started, and whether that is so little that it
// may not stream yet.
func (a *assessor) age(s subject) (age time.Duration, young bool) {
	if s.report == nil || s.report.Started.IsZero() {
		return 0, false
	}
	age = a.taken.Sub(s.report.Started)
	return age, age >= 0 && age < newborn
}

// recovery is what there is to do about an instance that does not answer.
func (a *assessor) recovery(state nodeState, s subject) string {
	switch {
	case state == stateStarting:
		return "wait until it has replayed its WAL"
	case a.lastFailure(s.name) != "":
		return "read PostgreSQL's log; mend the cause, then " + cleanupOf(a.resource.Name, s.name)
	case state != stateCrashed:
		return "read PostgreSQL's log"
	}
	return a.awaited(s, "read PostgreSQL's log; Pacemaker recovers it at its next monitor")
}

// awaited is what happens by itself to an instance that Pacemaker watches. Of another one it
// says that nobody does anything.
func (a *assessor) awaited(s subject, comes string) string {
	if a.live() && !a.maintained() && !s.member.Maintenance && s.runs && s.placed.Managed && !s.placed.Blocked {
		return comes
	}
	return "read PostgreSQL's log; nothing comes by itself: Pacemaker does not watch this instance now"
}

// stopped tells why an instance does not run; one that was told not to is no problem.
func (a *assessor) stopped(v nodeView, member crm.Node) {
	reason := a.lastFailure(v.Name)
	todo := ""
	if reason != "" {
		todo = cleanupOf(a.resource.Name, v.Name)
	}
	switch {
	case member.Standby, reason == "" && (a.banned(v.Name) || a.keptOff(v.Name) != "" || a.toldToStop()):
	case a.maintained():
		a.notice(v.Name, "", "PostgreSQL does not run there, and under maintenance mode Pacemaker does not start it")
	default:
		a.problem(v.Name, todo, "PostgreSQL does not run there%s", reason)
	}
}

// banned says whether a constraint keeps the resource from a node.
func (a *assessor) banned(node string) bool {
	for _, l := range a.locations() {
		if l.Node == node && l.Score <= -crm.Infinity && l.Role != crm.RolePromoted {
			return true
		}
	}
	return false
}

// lastFailure is the reason of the failed action that Pacemaker remembers of a node.
func (a *assessor) lastFailure(node string) string {
	for _, f := range a.state.Failures {
		if f.Node == node && f.Resource() == a.resource.Name && f.Reason != "" {
			return ": " + f.Reason
		}
	}
	return ""
}

func repairOf(v nodeView) string {
	if v.State == stateDiverged {
		return "pgsqlms rejoin, on " + v.Name
	}
	return ""
}

// contradiction compares what Pacemaker says with what PostgreSQL says.
func (a *assessor) contradiction(s subject) {
	switch promoted := s.runs && s.placed.Role == crm.RolePromoted; {
	case s.report == nil:
	case !s.runs && !a.cib.Seen(a.resource.Name, s.name):
		a.notice(s.name, "", "Pacemaker looks at the instance anew, as after a cleanup or a refresh, and does not know it yet")
	case !s.report.InRecovery && !promoted:
		role := crm.RoleStopped
		if s.runs {
			role = s.placed.Role
		}
		a.problem(s.name, a.awaited(s, "wait for the transition; one promoted by hand is stopped at its next monitor"),
			"PostgreSQL is a primary there, and Pacemaker has not promoted it (it says %q): it was promoted by hand, or a transition is under way", role)
	case s.report.InRecovery && promoted:
		a.problem(s.name, a.awaited(s, "wait for the transition, or for the next monitor, at which Pacemaker recovers it"),
			"PostgreSQL is a standby there, and Pacemaker says that it is promoted: a transition is under way, or the role was changed by hand")
	case s.report.InRecovery && !s.runs:
		a.problem(s.name, "crm_resource --refresh -r "+a.resource.Name+" --node "+s.name, "PostgreSQL runs there, and Pacemaker does not know")
	}
}

// placeRemarks tells what Pacemaker does with the instance, or does not.
func (a *assessor) placeRemarks(s subject) {
	if s.placed.Blocked {
		a.problem(s.name, cleanupOf(a.resource.Name, s.name), "Pacemaker has given the instance up (blocked)")
	}
	if s.runs && !s.placed.Managed && !a.maintained() {
		a.notice(s.name, "", "the instance is unmanaged: Pacemaker does not recover it")
	}
	if s.placed.UnderWay() {
		a.notice(s.name, "", "%s", s.placed.Pending)
	}
}

// maintained says whether the whole cluster is in maintenance mode.
func (a *assessor) maintained() bool { return *a.v.Pacemaker.Maintenance }

// scoreRemarks explains a score with which a node cannot be promoted, where nothing else
// does so already.
func (a *assessor) scoreRemarks(v nodeView) {
	if !v.ScoreKnown || v.Role == roleNone || v.State == stateNotStreaming || v.State == stateDiverged {
		return
	}
	switch {
	case v.Score == nil:
		a.problem(v.Name, "wait for the primary's next monitors; then pgsqlms explain "+v.Name, "it has no promotion score: it cannot be promoted, and a primary without one is demoted")
	case *v.Score <= election.ScoreBanned:
		a.problem(v.Name, "pgsqlms explain "+v.Name, "promotion score -INFINITY: a promotion or a switchover of it was refused, and it has not streamed since")
	case *v.Score == election.ScoreHeld:
		a.problem(v.Name, "pgsqlms explain, which names the node", "promotion score %d: an election waits for another node's vote", *v.Score)
	case *v.Score == election.ScoreNotReady:
		a.problem(v.Name, "wait until it has caught up", "promotion score %d: it lags more than maxlag, or is being set up", *v.Score)
	case *v.Score < 0:
		a.notConnected(v)
	}
}

// notConnected is for a standby that the primary did not find streaming from it.
func (a *assessor) notConnected(v nodeView) {
	ofAnother := v.Upstream != a.primary && slices.Contains(a.nodeNames(), v.Upstream) && a.primary != ""
	switch {
	case v.State != stateStreaming:
		a.problem(v.Name, "pgsqlms explain "+v.Name, "promotion score %d: the primary did not find it streaming", *v.Score)
	case ofAnother:
		a.problem(v.Name, "host in primary_conninfo, on "+v.Name+": an address that goes with the primary, or all other nodes with target_session_attrs=read-write",
			"promotion score %d: it streams from %s, and %s is the primary: no commit waits for it, and it cannot be promoted", *v.Score, v.Upstream, a.primary)
	default:
		a.notice(v.Name, "", "promotion score %d: it did not stream when the primary last looked; its next monitor looks again", *v.Score)
	}
}

// silence names what only an instance itself could have said.
func (a *assessor) silence(v nodeView) {
	if v.Here || v.State == stateSilent || v.Role == roleNone && v.State != stateUnknown {
		return
	}
	why := errNotAsked
	if other, asked := a.others[v.Name]; asked && other.err != nil {
		why = other.err
	}
	a.unknown(v.Name, "pgsqlms status, on "+v.Name, "its instance could not be asked from here (%s); it alone knows which settings wait for a restart", first(why))
}
