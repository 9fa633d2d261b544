package election

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/internal/wal"
)

// The oracle of the elections. It knows nothing of positions, histories or rules that
// could be wrong: it keeps every byte of every disk as a thing of its own, notes which of
// them were acknowledged to a client, and looks whether the promoted disk has them all.
//
// What the world does is what PostgreSQL, Pacemaker and people do: a primary writes;
// standbys that are connected take over its bytes in order; a commit returns when as many
// as the setting says hold it; anybody may be lost at any time, also in the middle of a
// promotion, and come back; a standby may be promoted by hand; settings change; a
// diverged node may be rebuilt. There is one primary at a time, which is fencing's part.

// stored is a byte on a disk. Bytes are told apart by their id.
type stored struct {
	id       int
	timeline int
}

type machine struct {
	name    string
	disk    []stored
	up      bool
	byHand  bool // was promoted by somebody while it was cut off
	heard   int  // how far the primary had written when it last sent something
	setting StandbyNames
	left    *Vote // what it published last, and nobody took back
	paf     bool
}

type world struct {
	machines []*machine // the last one is no node of the cluster: it streams, and never votes
	nodes    []string
	primary  *machine
	record   *Record
	truth    []stored // the disk of the last primary, or of whom the cluster chose since
	acked    map[int]bool
	ids      int
	since    wal.LSN // of the primary's monitor: where the present rule was in force for certain

	// Some nodes' votes are PAF's. A timeline is then known by its number alone, so there
	// are no two with the same number in such a world.
	paf bool

	elections, promotions, refusals int
}

func newWorld(t *rapid.T, paf bool) *world {
	w := &world{acked: map[int]bool{}, paf: paf, nodes: names("n1", "n2", "n3", "n4")[:rapid.IntRange(2, 4).Draw(t, "nodes")]}
	uniform := w.drawSetting(t)
	for _, name := range append(slices.Clone(w.nodes), "dr") {
		m := &machine{name: name, up: true, setting: uniform, disk: []stored{{0, 1}}}
		if rapid.IntRange(0, 3).Draw(t, "own setting") == 0 {
			m.setting = w.drawSetting(t)
		}
		m.paf = paf && name != "n1" && rapid.Bool().Draw(t, name+" runs PAF")
		w.machines = append(w.machines, m)
	}
	w.primary = w.machines[0]
	w.record = w.published((*Record)(nil).Promoted("n1", history(1), w.rule(w.primary)))
	return w
}

func (w *world) drawSetting(t *rapid.T) StandbyNames {
	s := StandbyNames{Need: rapid.SampledFrom([]int{1, 1, 1, 2, 2, 3, 0}).Draw(t, "need")}
	if s.Need == 0 {
		return s
	}
	s.Priority = rapid.Bool().Draw(t, "FIRST")
	s.Names = slices.Clone(w.nodes)
	switch rapid.IntRange(0, 3).Draw(t, "list") {
	case 0:
		s.Names = rapid.SliceOfNDistinct(rapid.SampledFrom(append(slices.Clone(w.nodes), "dr")), 1, len(w.nodes), rapid.ID[string]).Draw(t, "names")
	case 1:
		s.Names = names("*")
	}
	return s
}

// published is a record as the next one reads it.
func (w *world) published(r Record) *Record {
	again, err := ParseRecord(r.String())
	if err != nil {
		panic(err)
	}
	return &again
}

// rule is what the agent makes of a setting.
func (w *world) rule(m *machine) Rule {
	r, err := RuleFor(written(m.setting), m.name, w.nodes, w.connected(m))
	if err != nil {
		panic(err)
	}
	return r
}

func (w *world) connected(primary *machine) (all []string) {
	for _, m := range w.machines {
		if m != primary && m.up && startsWith(primary.disk, m.disk) {
			all = append(all, m.name)
		}
	}
	return all
}

func startsWith(disk, with []stored) bool {
	return len(with) <= len(disk) && slices.Equal(disk[:len(with)], with)
}

func (w *world) node(name string) *machine {
	for _, m := range w.machines {
		if m.name == name {
			return m
		}
	}
	return nil
}

func (w *world) cluster() []*machine { return w.machines[:len(w.machines)-1] }

func pick(t *rapid.T, label string, from []*machine, good func(*machine) bool) *machine {
	var fit []*machine
	for _, m := range from {
		if good(m) {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		t.Skip("nobody to " + label)
	}
	return fit[rapid.IntRange(0, len(fit)-1).Draw(t, label)]
}

func (w *world) writes(m *machine, timeline int) {
	w.ids++
	m.disk = append(m.disk, stored{w.ids, timeline})
}

// write: the primary writes.
func (w *world) write(t *rapid.T) {
	if w.primary == nil {
		t.Skip("no primary")
	}
	for range rapid.IntRange(1, 3).Draw(t, "bytes") {
		w.writes(w.primary, w.primary.disk[len(w.primary.disk)-1].timeline)
	}
}

// stream: a standby takes over bytes, and clients get their answers.
func (w *world) stream(t *rapid.T) {
	if w.primary == nil {
		t.Skip("no primary")
	}
	p := w.primary
	m := pick(t, "stream", w.machines, func(m *machine) bool {
		return m != p && m.up && startsWith(p.disk, m.disk) && len(m.disk) < len(p.disk)
	})
	end := rapid.IntRange(len(m.disk)+1, len(p.disk)).Draw(t, "up to")
	m.disk, m.heard, m.byHand = slices.Clone(p.disk[:end]), p.endOf(p.disk[end-1].timeline), false
	w.acknowledge()
}

// endOf is how far the machine has a timeline: no sender tells more.
func (m *machine) endOf(timeline int) (end int) {
	for i, b := range m.disk {
		if b.timeline == timeline {
			end = i + 1
		}
	}
	return end
}

// acknowledge answers the commits for which enough hold the byte. Written from
// PostgreSQL's documentation, not from Rule.
func (w *world) acknowledge() {
	p := w.primary
	if p.setting.Need == 0 {
		return
	}
	for i, b := range p.disk {
		holders, asked := 0, 0
		for _, m := range w.inOrder(p.setting, p) {
			if p.setting.Priority && asked == p.setting.Need {
				break
			}
			asked++
			if len(m.disk) > i {
				holders++
			}
		}
		if holders >= p.setting.Need {
			w.acked[b.id] = true
		}
	}
}

// inOrder are the connected standbys that the setting names, the first one first. Whoever
// is no node, and was not connected when the monitor looked, is not in the promise.
func (w *world) inOrder(s StandbyNames, p *machine) (all []*machine) {
	for _, name := range s.Names {
		for _, m := range w.machines {
			fits := name == m.name || name == "*" && (containsName(w.nodes, m.name) || w.listed(m.name))
			if fits && m != p && m.up && startsWith(p.disk, m.disk) && !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all
}

func (w *world) listed(name string) bool {
	for _, r := range w.record.rules() {
		if !containsName(r.Of, name) {
			return false
		}
	}
	return true
}

// crash: anybody is lost.
func (w *world) crash(t *rapid.T) {
	for _, m := range w.machines {
		if rapid.IntRange(0, 2).Draw(t, m.name+" is lost") == 0 {
			w.lose(m)
		}
	}
}

func (w *world) lose(m *machine) {
	m.up = false
	if w.primary == m {
		w.truth = m.disk
		w.primary = nil
	}
}

// losePrimary is what makes elections.
func (w *world) losePrimary(t *rapid.T) {
	if w.primary == nil {
		t.Skip("no primary")
	}
	w.lose(w.primary)
}

func (w *world) start(t *rapid.T) {
	pick(t, "start", w.machines, func(m *machine) bool { return !m.up }).up = true
}

// promoteByHand: a standby is cut off, promoted, and written to.
func (w *world) promoteByHand(t *rapid.T) {
	m := pick(t, "promote by hand", w.cluster(), func(m *machine) bool {
		return m.up && m != w.primary && !m.byHand && len(pathOf(m.disk).Ancestors) < MaxAncestors/2 // a ballot names no more than MaxAncestors
	})
	timeline := w.newTimeline(m)
	for range rapid.IntRange(1, 6).Draw(t, "bytes") {
		w.writes(m, timeline)
	}
	m.byHand = true
}

// rebuild: a node that left the primary's history is made anew from it.
func (w *world) rebuild(t *rapid.T) {
	if w.primary == nil {
		t.Skip("no primary")
	}
	m := pick(t, "rebuild", w.machines, func(m *machine) bool { return m.up && !startsWith(w.primary.disk, m.disk) })
	m.disk, m.byHand, m.heard = slices.Clone(w.primary.disk), false, len(w.primary.disk)
	w.acknowledge()
}

// changeSetting: the primary is reloaded, and its monitor finds that at once. What is
// acknowledged before it does is what the promise leaves out.
func (w *world) changeSetting(t *rapid.T) {
	if w.primary == nil || !w.record.Describes(w.primary.name, pathOf(w.primary.disk)) {
		t.Skip("no primary, or no monitor yet")
	}
	w.primary.setting = w.drawSetting(t)
	w.promiseEnds(w.primary)
	w.monitor(t)
	w.acknowledge()
}

// promiseEnds: who turns synchronous replication off gives up what it promised.
func (w *world) promiseEnds(p *machine) {
	if p.setting.Need == 0 {
		clear(w.acked)
	}
}

// monitor keeps the record, as the primary's monitor does.
func (w *world) monitor(t *rapid.T) {
	if w.primary == nil {
		t.Skip("no primary")
	}
	p := w.primary
	path := pathOf(p.disk)
	if !w.record.Describes(p.name, path) {
		w.record = w.published(w.record.Promoted(p.name, path, w.rule(p)))
		w.since = wal.LSN(len(p.disk))
		return
	}
	flushed := map[string]wal.LSN{}
	for _, name := range w.connected(p) {
		flushed[name] = wal.LSN(len(w.node(name).disk))
	}
	rule := w.rule(p)
	if !w.record.Sync[0].same(rule) {
		w.since = 0
	}
	r, changed := w.record.Update(rule, w.since, flushed)
	if changed {
		w.record = w.published(r)
	}
	if w.since == 0 {
		w.since = wal.LSN(len(p.disk))
	}
}

// pathOf reads the history off the disk itself.
func pathOf(disk []stored) wal.History {
	h := history(wal.Timeline(disk[0].timeline))
	for i, b := range disk {
		if t := wal.Timeline(b.timeline); t != h.Timeline {
			h = h.After(t, wal.LSN(i))
		}
	}
	return h
}

// newTimeline is the number after those that the machine knows of, as PostgreSQL takes
// it: two machines may take the same. Where they do so at the very same place PostgreSQL
// could not tell the two timelines apart, and nor could anybody (docs/election.md); the
// world does as if there were an archive, and takes another number.
func (w *world) newTimeline(m *machine) int {
	next := m.disk[len(m.disk)-1].timeline
	for taken := true; taken; {
		next++
		taken = false
		path := pathOf(m.disk).After(wal.Timeline(next), wal.LSN(len(m.disk)))
		known := []wal.History{w.record.History}
		for _, o := range w.machines {
			known = append(known, pathOf(o.disk))
		}
		for _, h := range known {
			if until, found := h.Until(path.Timeline); found && (w.paf || until.Equal(path)) {
				taken = true
			}
		}
	}
	return next
}

// vote is what a machine publishes.
func (w *world) vote(m *machine) Vote {
	path := pathOf(m.disk)
	v := Vote{Node: m.name, Position: wal.Position{Timeline: path.Timeline, LSN: wal.LSN(len(m.disk))}}
	if m.paf {
		return v
	}
	v.History, v.Serial = path, w.record.Serial
	if !m.byHand {
		v.Known = wal.LSN(m.heard)
	}
	read, err := ParseBallot(m.name, v.Ballot())
	if err != nil {
		panic(err)
	}
	return read
}

// elect: there is no primary. Some who are up answer, of some a vote was left over, of
// some who are down it is known what they hold.
func (w *world) elect(t *rapid.T) {
	if w.primary != nil {
		t.Skip("there is a primary")
	}
	candidate := pick(t, "ask", w.cluster(), func(m *machine) bool { return m.up })
	q := Question{Record: w.record, Guard: true}
	everybody, byHand := true, 0
	for _, m := range w.cluster() {
		answers := m == candidate || m.up && rapid.IntRange(0, 3).Draw(t, m.name+" is silent") > 0
		v := w.vote(m)
		switch {
		case answers && m == candidate:
			q.Candidate = v
		case answers:
			q.Others = append(q.Others, v)
		case !m.paf && rapid.IntRange(0, 3).Draw(t, m.name+" is a witness") == 0:
			v.Witness = true
			q.Others = append(q.Others, v)
		case m.left != nil:
			q.Others = append(q.Others, *m.left)
		}
		if answers && !m.paf {
			published := v
			m.left = &published
		}
		everybody = everybody && answers && !m.paf
		if m.byHand {
			byHand++
		}
	}
	o := Decide(q)
	w.elections++
	if o.Winner == "" {
		w.refusals++
		require.False(t, everybody && byHand < 2, "all nodes vote, and nobody wins: %v\n%s", o, w.picture(q))
		return
	}
	w.holdsWhatItMust(t, q, o)
	w.promote(t, w.node(o.Winner))
}

func (w *world) holdsWhatItMust(t *rapid.T, q Question, o Outcome) {
	winner := w.node(o.Winner)
	has := map[int]bool{}
	for _, b := range winner.disk {
		has[b.id] = true
	}
	require.True(t, o.Settled || w.paf || !w.record.synchronous())
	for id := range w.acked {
		require.True(t, has[id] || w.paf && o.Conflict != "", "%s lacks byte %d, which was acknowledged: %v\n%s", winner.name, id, o, w.picture(q))
	}
	for _, v := range append([]Vote{q.Candidate}, q.Others...) {
		m := w.node(v.Node)
		stale := v.History.Timeline != 0 && v.Serial != w.record.Serial
		more := startsWith(w.truth, m.disk) && startsWith(w.truth, winner.disk) && len(m.disk) > len(winner.disk)
		require.False(t, more && !v.Witness && !stale && o.Conflict == "", "%s holds more than %s: %v\n%s", m.name, winner.name, o, w.picture(q))
	}
	for i, v := range q.Others {
		if v.Node == o.Winner {
			others := slices.Delete(slices.Clone(q.Others), i, i+1)
			again := Decide(Question{Candidate: v, Others: append(others, q.Candidate), Record: q.Record, Guard: true})
			require.Equal(t, o.Winner, again.Winner, "the winner, asked itself, names another: %v then %v\n%s", o, again, w.picture(q))
		}
	}
}

// promote is the winner's promotion, which may break off anywhere.
func (w *world) promote(t *rapid.T, m *machine) {
	if m.paf {
		return // it would hold an election of PAF's, and record nothing
	}
	w.promotions++
	w.truth = m.disk
	winner := w.vote(m)
	r, ok := w.record.Promoting(winner, w.rule(m))
	require.True(t, ok)
	w.record = w.published(r)
	if rapid.IntRange(0, 5).Draw(t, "lost before the promotion") == 0 {
		w.lose(m)
		return
	}
	w.writes(m, w.newTimeline(m))
	w.primary, m.byHand, w.since = m, false, 0
	w.promiseEnds(m)
	if rapid.IntRange(0, 3).Draw(t, "recorded at once") > 0 {
		w.monitor(t)
	}
}

func (w *world) picture(q Question) string {
	s := fmt.Sprintf("record %s\nacknowledged %v\n", w.record, w.acked)
	for _, m := range w.machines {
		s += fmt.Sprintf("%s (up %v, by hand %v) %v\n", m.name, m.up, m.byHand, m.disk)
	}
	for _, v := range append([]Vote{q.Candidate}, q.Others...) {
		s += fmt.Sprintf("vote of %s: %s\n", v.Node, v.Ballot())
	}
	return s
}

func (w *world) actions(byHand bool) map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"write": w.write, "write more": w.write, "stream": w.stream, "stream more": w.stream, "crash": w.crash, "lose the primary": w.losePrimary,
		"start": w.start, "start another": w.start, "rebuild": w.rebuild, "change the setting": w.changeSetting, "monitor": w.monitor,
		"elect": w.elect, "elect again": w.elect,
	}
	if byHand {
		actions["promote by hand"] = w.promoteByHand
	}
	return actions
}

func TestNoAcknowledgedCommitIsLost(t *testing.T) {
	for name, run := range map[string]struct{ byHand, paf bool }{
		"promotions by the cluster": {},
		"promotions by hand, too":   {byHand: true},
		"some nodes run PAF":        {paf: true},
	} {
		t.Run(name, func(t *testing.T) {
			var elections, promotions, refusals int
			for range 10 { // each a hundred worlds, unless -rapid.checks says otherwise
				rapid.Check(t, func(t *rapid.T) {
					w := newWorld(t, run.paf)
					t.Repeat(w.actions(run.byHand))
					elections, promotions, refusals = elections+w.elections, promotions+w.promotions, refusals+w.refusals
				})
			}
			t.Logf("%d elections, %d promotions, %d refusals", elections, promotions, refusals)
			require.NotZero(t, promotions)
			require.NotZero(t, refusals)
		})
	}
}
