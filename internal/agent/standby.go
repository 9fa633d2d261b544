package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pattern"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

const (
	// watchWait bounds what a standby's monitor asks of the cluster, and of the primary,
	// when it does not stream. A transition that was broken off waits for the monitors
	// under way before another one begins, with whatever is still to be started in it.
	watchWait = 1500 * time.Millisecond

	// shownFor is how long a node's status stays while nothing but its numbers changes:
	// positions and counts of bytes move between any two monitors.
	shownFor = time.Minute
)

var (
	// settled is how long monitors must find the same before it is shown, as every change
	// of a node's status makes Pacemaker compute a transition, and a failover passes by
	// itself; unreachable is the same for a primary that cannot be reached at all, as there
	// is none during a failover.
	settled     = lasting{looks: 2, span: 15 * time.Second}
	unreachable = lasting{looks: 5, span: time.Minute}
)

// watch looks after a standby that is up. One that streams costs nothing. One that does
// not is asked why: there may be no primary, or it cannot follow the one there is. A
// diverged one is an error: it serves what never was in the cluster's database, and
// will not get better by waiting.
func (a *agent) watch(ctx context.Context, status pg.Status) error {
	m := a.store.load()
	if status.Streams() {
		a.noteRecord(ctx, m, status.Receiver.Timeline)
		a.well(ctx, m)
		a.tellVersion(ctx, m.Version)
		return nil
	}
	if !a.req.Recurring() {
		return nil
	}
	if !m.Lonely { // the monitor of a standby that has just been started, or has just lost its primary
		m.Lonely = true
		a.remember(m)
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	waiting, err := a.nominate(wait, m.WasPrimary, m.Alone+1 < a.looksFor(patience), func() bool { return a.abandoned(ctx, m.Silent) })
	if err != nil {
		a.log.Warnf("cannot tell whether anybody is to be promoted: %v", err)
		return nil
	}
	m = a.store.load() // it may have voted
	if waiting == "" {
		m.Alone, m.Mute = 0, m.Mute+1
		m.stands(status.Replay)
		a.remember(m)
		return a.followsNot(ctx, m)
	}
	m.Alone, m.Mute = m.Alone+1, 0
	m.stands(nil)
	a.remember(m)
	if m.Alone >= a.looksFor(settled) {
		a.trouble(ctx, waiting)
	}
	return nil
}

// stands counts the monitors in a row that found the replay at the same place.
func (m *memory) stands(replay *wal.LSN) {
	switch {
	case replay == nil:
		m.Stood, m.Stands = 0, 0
	case m.Stands > 0 && *replay == m.Stood:
		m.Stands++
	default:
		m.Stood, m.Stands = *replay, 1
	}
}

// abandoned says whether the promotion scores that there are may be those of a cluster
// which has no primary: nobody answers where it should be, for silent monitors by now, and
// Pacemaker holds nobody for promoted. One that merely cannot be reached from this node
// goes on acknowledging, and a vote that is given meanwhile says less and less of what
// this node holds. Where Pacemaker does not say, there is one.
func (a *agent) abandoned(ctx context.Context, silent int) bool {
	if silent < a.looksFor(unreachable) {
		return false
	}
	promoted, told := a.promoted(ctx, watchWait)
	return told && len(promoted) == 0
}

// promoted are those that Pacemaker holds for promoted, if it says so in time.
func (a *agent) promoted(ctx context.Context, wait time.Duration) (nodes []string, told bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	nodes, err := a.crm.Promoted(ctx, a.req.Instance)
	if err != nil {
		a.log.Infof("Pacemaker does not say whether it has promoted anybody: %v", err)
	}
	return nodes, err == nil
}

// well forgets what was the matter with a standby, and takes the vote back that it gave
// while there was no primary: it receives more than that from now on.
func (a *agent) well(ctx context.Context, m memory) {
	if !m.Lonely && !m.WasPrimary && !m.Voted && m.Trouble == "" {
		return
	}
	if m.Trouble != "" {
		a.trouble(ctx, "")
	}
	m = a.store.load()
	if m.Voted {
		m.Voted = !a.withdraw(ctx)
	}
	m.Lonely, m.Alone, m.Mute, m.Silent, m.Willing, m.WasPrimary = false, 0, 0, 0, 0, false
	m.stands(nil)
	a.remember(m)
}

// trouble shows in crm_mon -A what is the matter with this node's instance; nothing
// when text is empty. A change of its numbers alone is not written often: Pacemaker
// computes a transition. What has not changed is written again now and then, which
// costs none: the attribute ends with Pacemaker, and what is remembered of it does not.
func (a *agent) trouble(ctx context.Context, text string) {
	m := a.store.load()
	same := m.Trouble == text
	if same && text == "" || alike(m.Trouble, text) && within(m.Shown, shownFor) {
		return
	}
	ctx, cancel := a.lastWord(ctx)
	defer cancel()
	self, err := a.nodeName(ctx)
	if err == nil {
		err = a.crm.SetStatus(ctx, self, a.req.Instance, text)
	}
	if err != nil {
		a.log.Warnf("the node's status cannot be shown (%s): %v", text, err)
		return
	}
	if text != "" && !same {
		a.log.Warnf("%s", text)
	}
	m.Trouble, m.Shown = text, time.Now()
	a.remember(m)
}

// lastWord is a time for what an action leaves in the cluster's attributes when it is over
// for itself, its own ctx included.
func (a *agent) lastWord(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), min(scoreWait, time.Until(a.req.Deadline)))
}

// alike says whether two texts differ in their numbers only. Another node's name is
// another text, although there be no more to it than a digit.
func alike(one, other string) bool {
	return slices.EqualFunc(strings.Fields(one), strings.Fields(other), func(a, b string) bool {
		return a == b || number.MatchString(a) && number.MatchString(b)
	})
}

// number is a word that is one, an LSN, or the name of a WAL segment.
var number = pattern.New(`^\(?([0-9]+|[0-9A-F]{1,8}/[0-9A-F]{1,8}|[0-9A-F]{24})[,;:)]*$`)

// followsNot asks the primary what PostgreSQL's WAL receiver asks it.
func (a *agent) followsNot(ctx context.Context, m memory) error {
	wait, cancel := context.WithTimeout(ctx, a.askWait(m))
	defer cancel()
	up, err := a.db.AskPrimary(wait)
	willing := err == nil && up.LetsStream()
	a.heard(&m, err == nil, willing)
	if a.hasDiverged(ctx, up) {
		return a.diverged(ctx, *up.Divergence)
	}
	if willing {
		if m.Stands >= a.looksFor(settled) && a.restartHelps(ctx, up) {
			return reasonAstray.With(up.Astray, up.Timeline, a.conf.dataDir)
		}
		if a.mayReconnect(m.Willing) {
			a.reconnect(ctx, up.Address)
		}
	}
	if m.Mute >= a.looksFor(settled) && !compared(up, err) {
		if d := a.leftRecord(ctx); d != nil {
			return a.diverged(ctx, *d)
		}
	}
	if text := a.muteText(up, err, m.Mute); text != "" {
		a.trouble(ctx, text)
	}
	return nil
}

// muteText is why a standby does not stream, once that has lasted for so many monitors.
func (a *agent) muteText(up pg.Upstream, asked error, times int) string {
	switch {
	case asked != nil && times >= a.looksFor(unreachable):
		return "does not stream: " + asked.Error()
	case asked != nil || times < a.looksFor(settled):
		return ""
	case up.Refusal != "":
		return "does not stream: " + up.Refusal
	case up.Replaying:
		return "does not stream yet: it replays the WAL that it was started with"
	}
	return "does not stream, though the primary would let it"
}

// compared says whether the primary's history was held against what is here, or there is
// nothing to compare: one that refuses the connection tells nothing of it.
func compared(up pg.Upstream, err error) bool {
	return err == nil && (up.History.Timeline != 0 || up.Foreign)
}

// restartHelps says whether the instance waits for a timeline that is not the cluster's.
// It is asked for once for each timeline of the primary's: where an archive brings its
// history file at every start, the file's age proves nothing.
func (a *agent) restartHelps(ctx context.Context, up pg.Upstream) bool {
	m := a.store.load()
	if up.Astray == 0 || m.Restarted == up.Timeline {
		return false
	}
	record, err := a.recordSoon(ctx)
	if err != nil || record != nil && !record.IsOf(up.History) {
		return false // it may be somebody's who was promoted by hand
	}
	m.Restarted = up.Timeline
	a.remember(m)
	return true
}

// silentWait is what a primary gets to answer that has not answered the monitor before. While
// this one asks, no notification of a failover is begun on this node.
const silentWait = 300 * time.Millisecond

// askWait is watchWait for the first monitor that asks and once in settled's time, as there
// are networks on which an answer takes longer than silentWait.
func (a *agent) askWait(m memory) time.Duration {
	if m.Silent == 0 || (m.Mute-1)%a.perSettled() == 0 {
		return watchWait
	}
	return silentWait
}

// heard counts the monitors in a row in which nobody answered where the primary should
// be, and those in which somebody did who would let this standby stream. After some of the
// former, a promotion score that somebody still has proves no primary.
func (a *agent) heard(m *memory, answered, willing bool) {
	m.Silent++
	if answered {
		m.Silent = 0
	}
	m.Willing++
	if !willing {
		m.Willing = 0
	}
	a.remember(*m)
}

// perSettled is how many monitors there are in settled's time.
func (a *agent) perSettled() int { return a.looksFor(settled) - 1 }

// hasDiverged believes the server that is on the record's own timeline, or without a
// record one that is not behind: an old primary that nobody has stopped yet, and one
// that somebody promoted by hand, would take every other node for diverged. promoted are
// those that Pacemaker holds for promoted, where it says so: a new primary may not have
// written down yet that the promotion which the record knows to be begun is done.
func (a *agent) hasDiverged(ctx context.Context, up pg.Upstream, promoted ...string) bool {
	if up.Divergence == nil || up.Divergence.Pending {
		return false
	}
	record, err := a.recordSoon(ctx)
	if err != nil {
		a.log.Warnf("this standby seems to have diverged, which cannot be held against the cluster's record: %v", err)
		return false
	}
	if record == nil {
		return !up.Behind
	}
	return record.IsOf(up.History) ||
		slices.ContainsFunc(promoted, func(node string) bool { return record.Claims(node, up.History) })
}

// recordSoon reads the cluster's record within what a monitor asks of the cluster.
func (a *agent) recordSoon(ctx context.Context) (*election.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	return a.record(ctx)
}

// mayReconnect says whether the WAL receiver is to be ended that found nobody so far, given
// the monitors in a row that found a primary which would have this standby. Where they come
// often it is the second, as the first may have come while the connection was being made,
// and then one in settled's time: one that takes long would never come about.
func (a *agent) mayReconnect(willing int) bool {
	every := a.perSettled()
	return every == 1 || willing >= 2 && (willing-2)%every == 0
}

// reconnect helps a WAL receiver on that waits for a primary which is no longer there,
// or not yet.
func (a *agent) reconnect(ctx context.Context, address string) {
	restarted, err := a.db.RestartReceiver(ctx)
	switch {
	case err != nil:
		a.log.Warnf("the WAL receiver cannot be started again: %v", err)
	case restarted:
		a.log.Infof("the primary at %s would let this standby stream: the WAL receiver, which waits for something else, was told to start again", address)
	}
}

// diverged shows what is the matter, and is the reason to stop the instance. It cannot
// be promoted either: in an election it has left the lineage, and a score that a new
// primary still leaves to it, for having voted, is taken away before.
func (a *agent) diverged(ctx context.Context, d pg.Divergence) error {
	a.disqualify(ctx)
	e := reasonDiverged.With(d.Left.Timeline, d.Left.LSN, d.Bytes, a.conf.dataDir)
	a.trouble(ctx, e.Text)
	return e
}

// disqualify gives this node the score of one that is not connected, if it has one with
// which it could be promoted.
func (a *agent) disqualify(ctx context.Context) {
	ctx, cancel := a.lastWord(ctx)
	defer cancel()
	self, err := a.nodeName(ctx)
	var scores map[string]int
	if err == nil {
		scores, err = a.readScores(ctx, []string{self})
	}
	if err == nil && anyPositive(scores) {
		err = a.crm.SetScore(ctx, self, a.req.Instance, election.ScoreNotConnected)
	}
	if err != nil {
		a.log.Warnf("this node's promotion score cannot be taken away: %v", err)
	}
}

// leftRecord says where the data of this standby left the lineage of the cluster's
// record, nil where they did not or it cannot be told. It is for when the primary cannot
// be asked: the record has the places at which the primary's timelines begin, and who
// has replayed past one of them can follow no more, whoever answers.
func (a *agent) leftRecord(ctx context.Context) *pg.Divergence {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	record, err := a.record(ctx)
	if err != nil || record == nil {
		return nil
	}
	s, err := a.db.Standing(ctx)
	if err != nil {
		a.log.Infof("this standby cannot tell whether it is on the cluster's timelines: %v", err)
		return nil
	}
	h, err := a.history(s.Replayed.Timeline)
	if err != nil {
		a.log.Infof("this standby cannot tell whether it is on the cluster's timelines: %v", err)
		return nil
	}
	return leftAt(record, h, s.Replayed)
}

// leftAt is where a log that follows h and is at p left the record's lineage, nil where it
// did not.
func leftAt(record *election.Record, h wal.History, p wal.Position) *pg.Divergence {
	at, left := record.Left(h, p)
	if !left {
		return nil
	}
	return &pg.Divergence{Left: at, Bytes: uint64(p.LSN - at.LSN)}
}

// primaryStays says whether there is a primary, and is not soon to be another one, by what
// Pacemaker tells of the transition.
func (a *agent) primaryStays() bool {
	n := a.req.Notify
	return len(n.Promoted) > 0 && len(n.Promote) == 0 && len(n.Demote) == 0
}

// refuseLeft is for a start before the server runs: data that pg_control says to hold what
// is not on the lineage of the primary's record. PostgreSQL could not come up with them, and
// some of them it does not refuse: it waits for WAL that nobody has, without an answer to
// anybody, until the start is ended (seen on 15, where the history of a later timeline that
// is not a child of theirs lies in pg_wal).
func (a *agent) refuseLeft(ctx context.Context, control pg.ControlData) error {
	if !a.primaryStays() {
		return nil
	}
	if a.mayBeBackup() {
		return nil
	}
	record, err := a.recordSoon(ctx)
	if err != nil || record == nil || !slices.Contains(a.req.Notify.Promoted, record.Node) {
		return nil //nolint:nilerr // the primary is asked, once the instance is up
	}
	for _, held := range []wal.Position{control.MinRecovery, behindCheckpoint(control)} {
		h, err := a.db.History(held.Timeline)
		if err != nil {
			continue // among others of timeline 0, which is none
		}
		if d := leftAt(record, h, held); d != nil && a.excluded(held) {
			return a.diverged(ctx, *d)
		}
	}
	return nil
}

// excluded says whether pg_wal has the history of a later timeline that does not contain p.
// PostgreSQL goes for the latest that it finds, and cannot come up then. Without one it
// comes up, and the primary itself can be asked, whose word is worth more than the record's:
// that may be of a life of the cluster before a restore.
func (a *agent) excluded(p wal.Position) bool {
	files, err := a.db.HistoryFiles()
	return err == nil && slices.ContainsFunc(files, func(f pg.HistoryFile) bool {
		return f.Err == nil && f.History.Timeline > p.Timeline && !f.History.Contains(p)
	})
}

// refuseDiverged is for a start, where the cluster has a primary: an instance that has
// left its history is not to serve.
func (a *agent) refuseDiverged(ctx context.Context) error {
	if !a.primaryStays() {
		return nil
	}
	a.awaitOwnWAL(ctx)
	wait, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	up, err := a.db.AskPrimary(wait)
	if err != nil {
		a.log.Infof("the primary cannot be asked whether this standby may follow: %v", err)
	}
	if !compared(up, err) {
		if d := a.leftRecord(ctx); d != nil {
			return a.diverged(ctx, *d)
		}
	}
	if a.hasDiverged(wait, up, a.req.Notify.Promoted...) {
		return a.diverged(ctx, *up.Divergence)
	}
	return nil
}

// awaitOwnWAL waits, for watchWait at most, until the instance has come to the end of the
// WAL that it was started with. Whether it left the primary's history cannot be told
// before; and an instance that died before the first checkpoint after its promotion lets
// clients in long before, as it takes itself for the standby that it was. Unseen here, its
// divergence costs one more start, which PostgreSQL then refuses.
func (a *agent) awaitOwnWAL(ctx context.Context) {
	wait, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	err := poll(wait, connectEvery, func() (bool, error) { return a.db.ReplayedOwn(wait) })
	if err != nil {
		a.log.Infof("the primary is asked before this instance has replayed the WAL it was started with: %v", err)
	}
}

// standbyResult is a monitor's result for an instance in recovery.
func (a *agent) standbyResult(ctx context.Context, status pg.Status) (ocf.ExitCode, error) {
	if err := a.watch(ctx, status); err != nil {
		return refuse(err)
	}
	return ocf.Success, nil
}
