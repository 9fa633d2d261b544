package election

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// TestScenarios plays the files in testdata/scenarios; their README says how to read
// and write one.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s := newScenario(t)
			for n, line := range strings.Split(string(text), "\n") {
				s.where = fmt.Sprintf("%s:%d: %s", filepath.Base(file), n+1, line)
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line != "" {
					s.play(line)
				}
			}
			require.NotZero(t, s.asked, "%s decides nothing", file)
		})
	}
}

type scenario struct {
	t       *testing.T
	where   string
	nodes   []string
	record  *Record
	votes   map[string]Vote
	order   []string
	vacancy Vacancy
	end     wal.Position
	asked   int
	outcome Outcome
	reason  string
}

func newScenario(t *testing.T) *scenario {
	return &scenario{t: t, nodes: names("n1", "n2", "n3"), votes: map[string]Vote{}, vacancy: Vacancy{Guard: true}}
}

func (s *scenario) play(line string) {
	head, rest, found := strings.Cut(line, ":")
	require.True(s.t, found, "%s: expected what: value", s.where)
	rest = strings.TrimSpace(rest)
	words := strings.Fields(head)
	if words[0] == "vote" {
		require.Len(s.t, words, 2, s.where)
		s.vote(words[1], strings.Fields(rest))
		return
	}
	do, known := map[string]func(string){
		"nodes":       func(v string) { s.nodes = strings.Fields(v) },
		"record":      s.setRecord,
		"sync":        func(v string) { s.record.Sync = append(s.record.Sync, s.rule(v)) },
		"promoting":   s.promoting,
		"promoted":    s.promoted,
		"setting":     s.setting,
		"confirmed":   s.confirmed,
		"silent":      func(v string) { s.silent(strings.Fields(v)) },
		"guard":       func(v string) { s.vacancy.Guard = v == "on" },
		"patient":     func(v string) { s.vacancy.Patient = v == "yes" },
		"members":     func(v string) { s.vacancy.Members = strings.Fields(v) },
		"was primary": func(v string) { s.vacancy.WerePrimary = strings.Fields(v) },
		"end":         func(v string) { s.end = s.position(strings.Fields(v)) },
		"decision":    s.decision,
		"nomination":  s.nomination,
		"forked":      s.forked,
		"may be lost": func(v string) { assert.Equal(s.t, v, strconv.FormatUint(s.outcome.MayBeLost, 10), s.where) },
		"settled":     func(v string) { assert.Equal(s.t, v == "yes", s.outcome.Settled, s.where) },
		"ahead":       func(v string) { assert.Equal(s.t, strings.Fields(v), s.outcome.Ahead, s.where) },
		"stale":       func(v string) { assert.Equal(s.t, strings.Fields(v), s.outcome.Stale, s.where) },
		"conflict":    func(v string) { assert.Equal(s.t, v == "yes", s.outcome.Conflict != "", s.where) },
		"unheard":     func(v string) { assert.Equal(s.t, v, cmp.Or(s.outcome.Unheard, "nobody"), s.where) },
		"says":        func(v string) { assert.Contains(s.t, s.reason, v, s.where) },
		"keeps":       func(v string) { assert.Equal(s.t, v, rulesText(s.record.Sync), s.where) },
	}[head]
	require.True(s.t, known, "%s: not known", s.where)
	do(rest)
}

// history reads "5 from 4@0/5000060,3@0/4000028", as the labels of a record have it.
func (s *scenario) history(words []string) wal.History {
	text := "timeline=" + words[0]
	if len(words) > 2 && words[1] == "from" {
		text += " from=" + words[2]
	}
	l := readLabels(text)
	h := l.history()
	require.NoError(s.t, l.err, s.where)
	return h
}

func (s *scenario) position(words []string) wal.Position {
	require.GreaterOrEqual(s.t, len(words), 2, s.where)
	timeline, err := wal.ParseTimeline(words[0])
	require.NoError(s.t, err, s.where)
	lsn, err := wal.ParseLSN(words[1])
	require.NoError(s.t, err, s.where)
	return wal.Position{Timeline: timeline, LSN: lsn}
}

// setRecord reads "n1 on timeline 5 from 4@0/5000060".
func (s *scenario) setRecord(v string) {
	if v == "none" {
		s.record = nil
		return
	}
	words := strings.Fields(v)
	require.GreaterOrEqual(s.t, len(words), 4, s.where)
	s.record = &Record{Serial: 1, Node: words[0], History: s.history(words[3:])}
}

// rule reads "n1 ANY 1 (n1, n2, n3)": the primary and its synchronous_standby_names.
func (s *scenario) rule(v string) Rule {
	primary, setting, _ := strings.Cut(v, " ")
	setting, connected, _ := strings.Cut(setting, " connected ")
	if setting == "off" {
		setting = ""
	}
	r, err := RuleFor(setting, primary, s.nodes, strings.Fields(connected))
	require.NoError(s.t, err, s.where)
	return r
}

// promoting reads "n2 ANY 1 (n1, n2, n3)", and takes the place from n2's vote.
func (s *scenario) promoting(v string) {
	rule := s.rule(v)
	winner, votes := s.votes[rule.Primary]
	require.True(s.t, votes, "%s: it has no vote", s.where)
	r, ok := s.record.Promoting(winner, rule)
	require.True(s.t, ok, s.where)
	s.record = &r
}

// promoted reads "n2 on timeline 6 from 5@0/7000000 sync ANY 1 (n1, n2, n3)".
func (s *scenario) promoted(v string) {
	v, setting, _ := strings.Cut(v, " sync ")
	words := strings.Fields(v)
	rule := s.rule(words[0] + " " + setting)
	r := s.record.Promoted(words[0], s.history(words[3:]), rule)
	s.record = &r
}

func (s *scenario) setting(v string) {
	r, changed := s.record.Update(s.rule(v), 0, nil)
	assert.True(s.t, changed, s.where)
	s.record = &r
}

// confirmed reads "n3 n4": whose flushed positions are past the change of the rule.
func (s *scenario) confirmed(v string) {
	flushed := map[string]wal.LSN{}
	for _, node := range strings.Fields(v) {
		flushed[node] = 2
	}
	r, _ := s.record.Update(s.record.Sync[0], 1, flushed)
	s.record = &r
}

// vote reads "5 0/7000000 from 4@0/5000060 known 0/7000F00 serial 3 paf witness".
func (s *scenario) vote(node string, words []string) {
	v := Vote{Node: node, Position: s.position(words)}
	if s.record != nil {
		v.Serial = s.record.Serial
		v.History, _ = s.record.History.Until(v.Position.Timeline)
	}
	if v.History.Timeline == 0 {
		v.History = history(v.Position.Timeline)
	}
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "paf":
			v.History, v.Serial = wal.History{}, 0
		case "witness":
			v.Witness = true
		case "from":
			v.History = s.history([]string{words[0], "from", words[i+1]})
			i++
		case "known":
			v.Known = s.position([]string{words[0], words[i+1]}).LSN
			i++
		default:
			require.Fail(s.t, "not known", "%s: %s", s.where, words[i])
		}
	}
	s.silent([]string{node})
	s.votes[node] = v
	s.order = append(s.order, node)
}

func (s *scenario) silent(nodes []string) {
	for _, node := range nodes {
		delete(s.votes, node)
		var rest []string
		for _, n := range s.order {
			if n != node {
				rest = append(rest, n)
			}
		}
		s.order = rest
	}
}

// decision reads "n3", "nobody" or "awaits n1, or n2", after "of n2" if the candidate is
// not the node that voted first.
func (s *scenario) decision(want string) {
	s.asked++
	order := s.order
	if rest, found := strings.CutPrefix(want, "candidate "); found {
		candidate, result, _ := strings.Cut(rest, " -> ")
		want = result
		order = append([]string{candidate}, order...)
	}
	require.NotEmpty(s.t, order, s.where)
	q := Question{Candidate: s.votes[order[0]], Record: s.record, Guard: s.vacancy.Guard, End: s.end}
	for _, node := range order[1:] {
		q.Others = append(q.Others, s.votes[node])
	}
	s.outcome = Decide(q)
	s.reason = s.outcome.String()
	s.check(want, s.outcome.Winner, s.outcome.Awaits)
}

func (s *scenario) nomination(want string) {
	s.asked++
	v := s.vacancy
	v.Record = s.record
	for _, node := range s.order {
		v.Votes = append(v.Votes, s.votes[node])
	}
	n := Nominate(v)
	s.outcome, s.reason = n.Outcome, n.Reason
	s.check(want, n.Node, n.Awaits)
}

func (s *scenario) check(want, winner string, awaits []Wait) {
	got := winner
	if winner == "" {
		got = "nobody"
		if len(awaits) > 0 {
			got = "awaits " + waits(awaits)
		}
	}
	assert.Equal(s.t, want, got, "%s\n%s", s.where, s.reason)
	assert.NotContains(s.t, s.reason, "\n")
	if testing.Verbose() {
		s.t.Logf("%s\n    %s", s.where, s.reason)
	}
}

// forked reads "n2 at 0/5000060 on timeline 4", or "nobody".
func (s *scenario) forked(want string) {
	got := []string{}
	for _, f := range s.outcome.Forked {
		if f.Left.Timeline == 0 {
			got = append(got, f.Node+" somewhere")
		} else {
			got = append(got, f.Node+" at "+shown(f.Left))
		}
	}
	if len(got) == 0 {
		got = append(got, "nobody")
	}
	assert.Equal(s.t, want, strings.Join(got, ", "), s.where)
}
