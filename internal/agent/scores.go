package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

const (
	// scoreWait bounds all a monitor asks of the cluster: with attrd hanging the
	// primary must still be found healthy within 2 s.
	scoreWait = 1500 * time.Millisecond

	// probeWait is the same for a probe that finds a primary: right after Pacemaker's start
	// its daemons are busy, and without a score the primary is demoted when maintenance mode
	// ends (seen at a high load).
	probeWait = 3 * attributeWait

	// verifyEvery is how long the scores last seen are believed. What else changes
	// them, a node's reboot, an administrator, Pacemaker's restart, is made good
	// within that time.
	verifyEvery = time.Minute

	// connectGrace is how long after a promotion a node that voted keeps its score
	// without being connected: wal_retrieve_retry_interval (5 s by default) passes
	// before a standby tries the new primary, and a primary that is lost meanwhile
	// must have a candidate.
	connectGrace = 10 * time.Second
)

// refreshScores gives every node the promotion score it should have. Whatever goes
// wrong with it is a warning: the primary is healthy all the same.
func (a *agent) refreshScores(ctx context.Context, status pg.Status) {
	wait := scoreWait
	if a.req.Probe() { // after which no monitor comes as long as maintenance mode lasts
		wait = max(scoreWait, min(probeWait, time.Until(a.req.Deadline)/2))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := a.updateScores(ctx, status); err != nil {
		a.log.Warnf("the promotion scores could not be brought up to date: %v", err)
	}
}

func (a *agent) updateScores(ctx context.Context, status pg.Status) error {
	self, err := a.nodeName(ctx)
	if err != nil {
		return err
	}
	history, err := a.history(status.Current.Timeline)
	if err != nil {
		return fmt.Errorf("the history of timeline %d: %w", status.Current.Timeline, err)
	}
	if !a.rightful(ctx, self, history) {
		return nil
	}
	m := a.store.load()
	before, recorded := m, m
	var changed bool
	var unkept error
	keep := func() { unkept = a.keepRecord(ctx, &recorded, self, status, history) }
	err = sideBySide(
		func() {
			if len(before.Nodes) > 0 {
				keep()
			}
		},
		func() (err error) { changed, err = a.giveScores(ctx, &m, self, status, history); return err })
	if len(before.Nodes) == 0 { // which a setting of * goes by
		recorded.Nodes = m.Nodes
		keep()
	}
	m.Record, m.Recorded, m.Since = recorded.Record, recorded.Recorded, recorded.Since
	if err == nil && unkept == nil && !before.Verified.IsZero() { // the first monitor after a promotion runs beside the start of what depends on it
		a.takeBack(ctx, &m)
	}
	if changed || !m.Verified.Equal(before.Verified) || before.Published || m.Record != before.Record || !m.Recorded.Equal(before.Recorded) || m.Since != before.Since {
		a.remember(m)
	}
	return errors.Join(err, unkept)
}

// giveScores writes the scores that are not as they should be, and says whether there were
// any.
func (a *agent) giveScores(ctx context.Context, m *memory, self string, status pg.Status, h wal.History) (changed bool, err error) {
	learned := *m
	if err := a.learn(ctx, &learned, status); err != nil {
		return false, err // and nothing of it is remembered: it may be half of what there is
	}
	*m = learned
	failpoint.Hit("monitor-scores")
	wanted := a.keepOrder(m, election.Scores(a.situation(self, status, *m, h)))
	changed, err = a.writeScores(ctx, m.Scores, wanted)
	m.Scores = wanted
	if err != nil {
		m.Verified = time.Time{}
	}
	return changed, err
}

// keepOrder keeps the standbys in the order that they have for settled's time: under load they
// pass each other again and again, and each change of a score makes Pacemaker compute a
// transition. Who can be promoted and who cannot is not put off.
func (a *agent) keepOrder(m *memory, wanted map[string]int) map[string]int {
	if !onlyOrder(m.Scores, wanted) {
		return wanted
	}
	if within(m.Ordered, settled.span) {
		return maps.Clone(m.Scores)
	}
	m.Ordered = time.Now()
	return wanted
}

// onlyOrder says whether two sets of scores differ, and only in who of those that can be
// promoted comes first.
func onlyOrder(have, want map[string]int) bool {
	if maps.Equal(have, want) || len(have) != len(want) {
		return false
	}
	for node, score := range want {
		if old, ok := have[node]; !ok || old != score && (old < 0 || score < 0) {
			return false
		}
	}
	return true
}

// takeBack deletes what was published for the last promotion, and scores that PAF left
// for ever. What could not be deleted is tried again by the next monitor, of the nodes
// that are there then. A value that stays meanwhile is harmless: the next promotion is on
// a higher timeline. A node that was off meanwhile has its score of PAF's when it joins,
// perhaps the primary's: so all of it is done again where learn sees a node appear.
func (a *agent) takeBack(ctx context.Context, m *memory) {
	if !m.Published {
		return
	}
	private := forEach([][]string{{attrVote, attrBallot}, {attrShutdown}}, func(names []string) (err error) {
		for _, name := range names { // a vote without its ballot would pass for PAF's
			values, asked := a.crm.PrivateOfAll(ctx, a.attribute(name))
			err = errors.Join(err, asked)
			for node := range values {
				err = errors.Join(err, a.crm.DeletePrivate(ctx, node, a.attribute(name)))
			}
		}
		return err
	})
	ofPAF := forEach(m.Nodes, func(node string) error { return a.crm.DeleteLastingScore(ctx, node, a.req.Instance) })
	if err := errors.Join(private, ofPAF); err != nil {
		a.log.Infof("the votes of the last promotion could not be taken back: %v", err)
		return
	}
	m.Published = false
}

// readyNames are those that stream, or are about to.
func readyNames(status pg.Status) []string {
	var names []string
	for _, s := range status.Standbys {
		if (s.State == "streaming" || s.State == "catchup") && !slices.Contains(names, s.ApplicationName) {
			names = append(names, s.ApplicationName)
		}
	}
	return names
}

// learn reads the cluster's nodes and their scores, when what is remembered of them
// may no longer be so.
func (a *agent) learn(ctx context.Context, m *memory, status pg.Status) (err error) {
	ready := readyNames(status)
	same := slices.Equal(ready, m.Ready)
	m.Ready = ready
	if !a.req.Probe() && within(m.Verified, verifyEvery) && same {
		return nil
	}
	known := m.Nodes
	if m.Nodes, err = a.crm.Members(ctx); err != nil {
		return err
	}
	if m.Scores, err = a.readScores(ctx, m.Nodes); err != nil {
		return err
	}
	m.Verified = time.Now()
	// What an agent before this one has left is for the next monitor; what it has left on a
	// node that was not there yet, for this one.
	if a.req.Probe() || known != nil && joined(known, m.Nodes) {
		m.Published = true
	}
	return nil
}

func joined(before, now []string) bool {
	return slices.ContainsFunc(now, func(n string) bool { return !slices.Contains(before, n) })
}

// readScores are the scores of those nodes that have one.
func (a *agent) readScores(ctx context.Context, nodes []string) (map[string]int, error) {
	return a.crm.Scores(ctx, a.req.Instance, nodes)
}

// writeScores writes those that differ, side by side: Pacemaker then sees them as few
// changes.
func (a *agent) writeScores(ctx context.Context, have, want map[string]int) (changed bool, err error) {
	var differ []string
	for node, score := range want {
		if old, ok := have[node]; !ok || old != score {
			differ = append(differ, node)
		}
	}
	err = forEach(differ, func(node string) error {
		a.log.Infof("promotion score of %s: %d", node, want[node])
		err := a.crm.SetScore(ctx, node, a.req.Instance, want[node])
		failpoint.Hit("monitor-score")
		if have == nil {
			failpoint.Hit("notify-score") // of two that are written together
		}
		return err
	})
	return len(differ) > 0, err
}

func (a *agent) situation(self string, status pg.Status, m memory, h wal.History) election.Situation {
	s := election.Situation{
		Primary: self, Current: status.Current.LSN, MaxLag: a.conf.maxLag,
		Nodes: m.Nodes, Previous: m.Scores,
	}
	if within(m.Promoted, connectGrace) {
		s.Kept = m.Voters
	}
	for _, b := range status.Standbys {
		s.Standbys = append(s.Standbys, standby(b, h.Parent().End))
	}
	return s
}

// standby reads one row of pg_stat_replication. In states startup and backup the
// connection is not, or not yet, one of a standby that could be promoted. Nor is one
// to which nothing of the primary's own timeline was sent: a standby that diverged on
// the timeline before asks for that one again and again, and looks well between two
// attempts. What it says to have written does not count, that may be its own WAL.
func standby(b pg.Standby, begin wal.LSN) election.Standby {
	s := election.Standby{Node: b.ApplicationName, Sync: b.SyncState == "sync" || b.SyncState == "quorum"}
	if b.Write == nil || b.Sent == nil {
		return s
	}
	s.Written = *b.Write
	s.Ready = (b.State == "streaming" || b.State == "catchup") && *b.Sent > begin
	return s
}

// forEach runs do for all names side by side and returns one of the errors.
func forEach[T any](names []T, do func(T) error) error {
	errs := make(chan error, len(names))
	for _, name := range names {
		go func() { errs <- do(name) }()
	}
	var first error
	for range names {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
