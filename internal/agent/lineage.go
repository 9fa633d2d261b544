package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// The durable record says which timeline is the cluster's own, who began it, and which
// standbys' acknowledgements count. It stands in the CIB, so that it outlives every
// node. A promotion is noted in it before it begins, and the monitor of the primary that
// Pacemaker has promoted keeps it up to date.

// record reads it; nil when there is none. One that cannot be read is an error while the
// guard is on, since it may be all that speaks against a promotion.
func (a *agent) record(ctx context.Context) (*election.Record, error) {
	text, ok, err := a.crm.Property(ctx, a.req.Instance)
	if err != nil || !ok {
		return nil, err
	}
	r, err := election.ParseRecord(text)
	if err != nil && a.conf.guard {
		return nil, fmt.Errorf("the cluster's record of its timelines is not to be understood (mend it, or delete it with crm_attribute --type crm_config --name %s --delete): %w",
			crm.PropertyName(a.req.Instance), err)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // without the guard it counts for nothing
	}
	m := a.store.load()
	known, put := a.putBack(ctx, m, &r)
	if !put && m.Record != text {
		m.Record, m.Recorded = text, time.Now()
		a.remember(m)
	}
	return known, nil
}

// putBack is the record in force, given the one that the CIB has, and whether that is an
// older one than this node has seen, which is restored. A node that was cut off changes its CIB
// when it elects itself coordinator, perhaps more often than those do that go on without
// it; when it joins them again the CIB that was changed more often becomes everybody's
// (seen on Pacemaker 2.1.5; the version is admin_epoch.epoch.num_updates). With the record
// of before the last promotion, what was committed since would count for a fork.
func (a *agent) putBack(ctx context.Context, m memory, present *election.Record) (*election.Record, bool) {
	known, err := election.ParseRecord(m.Record)
	if err != nil || !known.Supersedes(present) && !a.wroteRules(known, present) {
		return present, false
	}
	a.log.Warnf("the CIB has an older record of the cluster's timelines (%s) than this node has seen, as after the return of a node that was cut off: it is restored to %s; look whether other settings were put back, too", present, known)
	if err := a.crm.SetProperty(ctx, a.req.Instance, known.String()); err != nil {
		a.log.Warnf("the record of the cluster's timelines cannot be restored: %v", err)
	}
	return &known, true
}

// wroteRules says whether the record in the CIB has other rules than this primary has written
// in the reign that it names. Nobody else writes them, so they are of an older CIB.
func (a *agent) wroteRules(known election.Record, present *election.Record) bool {
	self := a.req.Node()
	promoted := a.req.RolePromoted() || slices.Contains(a.req.Notify.Promoted, self)
	return promoted && known.Node == self && known.SameReign(present) && known.String() != present.String()
}

// newer says whether a record supersedes another, both in writing.
func newer(one, other string) bool {
	r, err := election.ParseRecord(one)
	if err != nil {
		return false
	}
	o, err := election.ParseRecord(other)
	return err == nil && r.Supersedes(&o)
}

// beforeStart looks whether the node that is about to start an instance has brought an
// older record along, when it joined. Without a primary everybody looks.
func (a *agent) beforeStart(ctx context.Context) error {
	n := a.req.Notify
	if len(n.Promoted) > 0 && !slices.Contains(n.Promoted, a.req.Node()) {
		return nil
	}
	return a.lookAtRecord(ctx)
}

// lookAtRecord has this node know the record as it is, to notice an older one later.
func (a *agent) lookAtRecord(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	_, err := a.record(ctx)
	return err
}

// noteRecord is for the monitor of a standby that streams: after a promotion it looks at
// the record once, or again a minute later if the new primary has not written it by then.
func (a *agent) noteRecord(ctx context.Context, m memory, t wal.Timeline) {
	if known, err := election.ParseRecord(m.Record); err == nil && known.History.Timeline == t || t == 0 || within(m.Recorded, verifyEvery) {
		return
	}
	m.Recorded = time.Now()
	a.remember(m)
	if err := a.lookAtRecord(ctx); err != nil {
		a.log.Infof("the cluster's record cannot be looked at: %v", err)
	}
}

// keepRecord brings the durable record up to date, when it is this primary's to write.
func (a *agent) keepRecord(ctx context.Context, m *memory, self string, status pg.Status, h wal.History) error {
	if !a.req.RolePromoted() {
		return nil
	}
	rule, err := election.RuleFor(status.SynchronousStandbyNames, self, m.Nodes, synchronous(status.Standbys))
	if err != nil {
		return fmt.Errorf("synchronous_standby_names: %w", err)
	}
	present, err := a.recordNow(ctx, m)
	if err != nil {
		return err
	}
	wanted, changed := present.Promoted(self, h, rule), true
	if present.Describes(self, h) && len(present.Next) == 0 {
		wanted, changed = present.Update(rule, m.Since, flushed(status.Standbys, h.Parent().End))
	}
	if !changed {
		if m.Since == 0 {
			m.Since = status.Current.LSN
		}
		return nil
	}
	failpoint.Hit("monitor-record")
	a.log.Infof("the cluster's record of its timelines is now: %s", wanted)
	// Remembered first: of a write that was given up nobody knows whether it was done, and
	// what is remembered is what putBack takes for the later one.
	m.Record, m.Recorded, m.Since = wanted.String(), time.Time{}, 0
	stored := a.store.load()
	stored.Record = m.Record
	a.remember(stored)
	if err := a.crm.SetProperty(ctx, a.req.Instance, m.Record); err != nil {
		return err
	}
	m.Recorded = time.Now()
	return nil
}

// recordNow is the record as it stands, or as it stood when it was last looked at. What
// cannot be read is replaced: this primary is the one to say what is so.
func (a *agent) recordNow(ctx context.Context, m *memory) (*election.Record, error) {
	if !within(m.Recorded, verifyEvery) {
		text, _, err := a.crm.Property(ctx, a.req.Instance)
		if err != nil {
			return nil, err
		}
		m.Recorded = time.Now()
		if r, err := election.ParseRecord(text); err == nil {
			if known, put := a.putBack(ctx, *m, &r); put {
				return known, nil
			}
		}
		m.Record = text
	}
	r, err := election.ParseRecord(m.Record)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	return &r, nil
}

// synchronous are the names of those that a commit may wait for.
func synchronous(standbys []pg.Standby) []string {
	var all []string
	for _, s := range standbys {
		if s.SyncState != "async" && !slices.Contains(all, s.ApplicationName) {
			all = append(all, s.ApplicationName)
		}
	}
	return all
}

// flushed is how much of this primary's log each standby has on disk. What one says that
// was sent nothing of the primary's timeline may be of a log of its own.
func flushed(standbys []pg.Standby, begin wal.LSN) map[string]wal.LSN {
	at := map[string]wal.LSN{}
	for _, s := range standbys {
		if s.Flush != nil && s.Sent != nil && *s.Sent > begin {
			at[s.ApplicationName] = max(at[s.ApplicationName], *s.Flush)
		}
	}
	return at
}

// rightful says whether a primary that a monitor has found may be taken for the
// cluster's. The recurring monitor of a promoted instance has Pacemaker's word. Others
// find a primary after Pacemaker was restarted beside it, but also one that somebody
// started or promoted: there the record tells, or that nobody else has a claim, by a score
// or as the record's own node, which may be the primary still and be asked next. What
// cannot be told counts against it, since its scores would demote the true one.
func (a *agent) rightful(ctx context.Context, self string, h wal.History) bool {
	if a.req.RolePromoted() {
		return true
	}
	record, unread := a.record(ctx)
	if unread == nil && (record == nil || record.Claims(self, h)) {
		return true
	}
	members, err := a.crm.Members(ctx)
	others := without(members, self)
	var scores map[string]int
	if err == nil {
		scores, err = a.readScores(ctx, others)
	}
	if err == nil && !anyPositive(scores) && (record == nil || !slices.Contains(others, record.Node)) {
		return true
	}
	if err := cmp.Or(unread, err); err != nil {
		a.log.Warnf("the instance in %s is a primary on timeline %d, and whether the cluster has promoted it cannot be told: it gets no promotion score from this monitor: %v",
			a.conf.dataDir, h.Timeline, err)
		return false
	}
	a.log.Warnf("the instance in %s is a primary on timeline %d, which is not the cluster's promotion (%s was, to timeline %d): it gets no promotion score",
		a.conf.dataDir, h.Timeline, record.Node, record.History.Timeline)
	return false
}

// history is the descent of a timeline, or what is known of it without its file.
func (a *agent) history(t wal.Timeline) (wal.History, error) {
	h, err := a.db.History(t)
	if errors.Is(err, fs.ErrNotExist) {
		a.log.Warnf("timeline %d has no history file in pg_wal", t)
		return wal.History{Timeline: t}, nil
	}
	return h, err
}

// begin makes known that this node is about to begin a timeline, and skips the numbers
// that others have begun, as far as anybody knows. PostgreSQL tells timelines by their
// numbers and by where they fork, and could follow the wrong one of two.
//
// A setting of synchronous_standby_names that cannot be understood is no promotion's, as
// long as the guard is on: noted as one that waits for nobody, it would let a later
// election lose what was acknowledged, and a rule of before may be another setting's. An
// empty setting is always understood, so this never stands in the way of asynchronous
// replication.
func (a *agent) begin(ctx context.Context, me election.Vote, votes []election.Vote, record *election.Record, status pg.Status) error {
	rule, err := election.RuleFor(status.SynchronousStandbyNames, me.Node, a.req.Notify.Available, nil)
	if err != nil && a.conf.guard {
		return a.cancel(ctx, me, reasonSyncNames.Because(err, me.Node))
	}
	for t := me.Position.Timeline + 1; t <= election.Taken(me, votes, record); t++ {
		if err := a.db.SkipTimeline(ctx, t); err != nil {
			return reasonPromote.Because(err, a.conf.dataDir)
		}
		failpoint.Hit("promote-skipped")
	}
	a.beside.Go(func() { a.preferSelf(ctx, me.Node) })
	next, known := record.Promoting(me, rule)
	if !known {
		return nil
	}
	failpoint.Hit("promote-record")
	if err := a.crm.SetProperty(ctx, a.req.Instance, next.String()); err != nil {
		return reasonRecord.Because(err)
	}
	return nil
}

// preferSelf gives this node the primary's score, and takes it from an old primary that
// runs on: it gets the score of a standby that holds everything. The record, once
// written, makes Pacemaker compute a transition as soon as the promotion is done, often
// before the first monitor of the new primary has given out scores: with the old
// primary's still the highest, it would demote the new one at once.
func (a *agent) preferSelf(ctx context.Context, self string) {
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	t := a.transition()
	var asked error
	err := sideBySide(
		func() { asked = a.lowerOldPrimary(ctx, self, t) },
		func() error { return a.crm.SetScore(ctx, self, a.req.Instance, election.ScorePrimary) })
	failpoint.Hit("promote-preferred")
	if err = errors.Join(err, asked); err != nil {
		a.log.Warnf("Pacemaker may give the promoted role back until this primary's first monitor: %v", err)
	}
}

// lowerOldPrimary leaves any score alone but a primary's: to Pacemaker a node whose
// promotion failed was promoted, too, and may have been banned for it.
func (a *agent) lowerOldPrimary(ctx context.Context, self string, t election.Transition) error {
	if t.OldPrimary == "" || t.OldPrimary == self || !slices.Contains(t.Voters, t.OldPrimary) {
		return nil
	}
	scores, err := a.readScores(ctx, []string{t.OldPrimary})
	if score, ok := scores[t.OldPrimary]; err != nil || !ok || score < election.ScorePrimary {
		return err
	}
	return a.crm.SetScore(ctx, t.OldPrimary, a.req.Instance, election.ScoreBest)
}
