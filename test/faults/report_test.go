package faults

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutcomeIsTheWorst(t *testing.T) {
	run := func(open bool, breaches ...Breach) Run {
		r := Run{GapOpen: open}
		for _, b := range breaches {
			r.Findings = append(r.Findings, Finding{Invariant: b.Invariant, Breaches: []Breach{b}})
		}
		return r
	}
	for want, r := range map[string]Run{
		OutcomeGood:     run(false),
		OutcomeLost:     run(true, breach(I1, "x"), breach(I2, "x"), breach(I7, "n1 was fenced")),
		OutcomeSplit:    run(false, breach(I2, "x"), breach(I5, "x")),
		OutcomeWrong:    run(false, breach(I3, "x"), breach(I4, "x")),
		OutcomeStuck:    run(false, breach(I4, "x"), breach(I5, "x")),
		OutcomeFenced:   run(false, breach(I4, "x"), breach(I7, "n1 was fenced 1 times, not at all")),
		OutcomeDiverged: run(false, breach(I7, "2 promotions"), breach(I4, "x"), breach(I6, "x")),
		OutcomeNeedless: run(false, breach(I7, "2 promotions"), breach(I6, "x")),
		OutcomeLate:     run(false, breach(I6, "x"), breach(I8, "x")),
		OutcomeSilent:   run(false, breach(I8, "x")),
		OutcomeError:    {Error: "x"},
	} {
		assert.Equal(t, want, r.Outcome())
	}
	assert.Equal(t, OutcomeStuck, run(true, breach(I6, "nobody can write any more")).Outcome())
}

func TestReport(t *testing.T) {
	r := Report{Runs: []Run{
		{Fault: "F1", Title: "a crash", Mode: Sync, Agent: "pgsqlms", Gap: 3, Counts: Counts{Acknowledged: 10, InDoubt: 1}},
		{Fault: "F1", Title: "a crash", Mode: Sync, Agent: "pgsqlms", Gap: 5, Counts: Counts{InDoubt: 2}},
		{Fault: "F1", Title: "a crash", Mode: Sync, Agent: "paf", Gap: 60, GapOpen: true, Counts: Counts{Lost: 7},
			Findings: []Finding{{Invariant: I1, Breaches: []Breach{breach(I1, "gone")}}}},
		{Fault: "F2", Title: "another", Mode: Async, Agent: "pgsqlms", Error: "no lab"},
	}}
	var rows [][]string
	for line := range strings.Lines(r.Text()) {
		var row []string
		for _, cell := range strings.Split(line, "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	require.Len(t, rows, 5)
	assert.Equal(t, []string{"F1", "a crash", "sync", "pgsqlms", "2", "4.0 s", "3.0 to 5.0", "0", "3", "ok:2", "0"}, rows[2])
	assert.Equal(t, []string{"F1", "a crash", "sync", "paf", "1", "-", "-", "7", "0", "lost:1", "I1:1"}, rows[3])
	assert.Equal(t, []string{"F2", "another", "async", "pgsqlms", "1", "-", "-", "0", "0", "error:1", "0"}, rows[4])
	total, text := r.Breaches()
	assert.Equal(t, 2, total)
	assert.Equal(t, "breaches: I1 1, I2 0, I3 0, I4 0, I5 0, I6 0, I7 0, I8 0; not played to their end: 1", text)
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Catalogue() {
		assert.NotEmpty(t, f.Title, f.ID)
		assert.NotEmpty(t, f.Must, f.ID)
		assert.NotNil(t, f.Play, f.ID)
		assert.False(t, seen[f.ID], f.ID)
		seen[f.ID] = true
		variants := map[string]bool{}
		for _, v := range f.Variants {
			assert.False(t, variants[v], "%s has the variant %q twice", f.ID, v)
			variants[v] = true
		}
	}
	chosen, err := Choose([]string{"f9", "F1"})
	require.NoError(t, err)
	assert.Equal(t, []string{"F1", "F9"}, IDs(chosen))
}

func TestOnlyVariants(t *testing.T) {
	all := []Fault{{ID: "F1", Variants: []string{"a b", "b"}}, {ID: "F2"}, {ID: "F3", Variants: []string{"c"}}}
	kept, err := OnlyVariants(all, "a")
	require.NoError(t, err)
	assert.Equal(t, []Fault{{ID: "F1", Variants: []string{"a b"}}}, kept)
	kept, err = OnlyVariants(all, "")
	require.NoError(t, err)
	assert.Equal(t, all, kept)
	_, err = OnlyVariants(all, "z")
	assert.ErrorContains(t, err, `no variant of F1 F2 F3 contains "z"`)
}

// docs/faults.md has a line for every scenario, and no other.
func TestEveryScenarioIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile(`(?m)^\| (F\d+) \|`).FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	assert.Equal(t, IDs(Catalogue()), documented)
}

func TestEveryRoundPlaysEveryStep(t *testing.T) {
	f := everyStep("x", []string{"promote-begin", "stop-begin", "start-up"})
	assert.Equal(t, []string{"promote-begin kill", "promote-begin node", "stop-begin node", "start-up node"}, f.Variants)
	assert.Equal(t, 8, f.plays(2))
	for seed := range uint64(5) {
		assert.Equal(t, "promote-begin kill", f.variant(0, seed))
		assert.Equal(t, "promote-begin kill", f.variant(4, seed))
		assert.Equal(t, "start-up node", f.variant(7, seed))
	}
	one := Fault{Variants: []string{"a", "b"}}
	assert.Equal(t, 3, one.plays(3))
	assert.Empty(t, Fault{}.variant(5, 1))
}

// One round of a scenario plays another variant with another seed, and as many rounds as there are variants play all of them.
func TestTheSeedChoosesTheVariant(t *testing.T) {
	f := Fault{Variants: []string{"a", "b", "c"}}
	begins := map[uint64]string{0: "a", 1: "b", 2: "c", 3: "a", 7: "b", math.MaxUint64: f.Variants[uint64(math.MaxUint64)%3]}
	for seed, first := range begins {
		assert.Equal(t, first, f.variant(0, seed), seed)
		seen := map[string]bool{}
		for play := range len(f.Variants) {
			seen[f.variant(play, seed)] = true
		}
		assert.Len(t, seen, len(f.Variants), seed)
	}
	assert.Equal(t, []string{"b", "c", "a", "b"}, []string{f.variant(0, 1), f.variant(1, 1), f.variant(2, 1), f.variant(3, 1)})
	only, err := OnlyVariants([]Fault{f}, "c")
	require.NoError(t, err)
	assert.Equal(t, "c", only[0].variant(0, 1))
}
