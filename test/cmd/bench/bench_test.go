package main

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    summary
	}{
		{nil, summary{}},
		{[]float64{3}, summary{N: 1, Median: 3, Min: 3, Max: 3}},
		{[]float64{4, 1}, summary{N: 2, Median: 2.5, Min: 1, Max: 4}},
		{[]float64{9, 1, 2}, summary{N: 3, Median: 2, Min: 1, Max: 9}},
	} {
		assert.Equal(t, c.want, summarize(c.figures))
	}
}

func TestTheMedianHalvesTheFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		figures := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 30).Draw(t, "figures")
		s := summarize(figures)
		below, above := 0, 0
		for _, f := range figures {
			assert.True(t, s.Min <= f && f <= s.Max)
			if f < s.Median {
				below++
			}
			if f > s.Median {
				above++
			}
		}
		assert.LessOrEqual(t, 2*below, len(figures))
		assert.LessOrEqual(t, 2*above, len(figures))
	})
}

func TestRatio(t *testing.T) {
	assert.InDelta(t, 0.25, ratio(summarize([]float64{1}), summarize([]float64{4})), 1e-9)
	assert.True(t, math.IsNaN(ratio(summarize([]float64{1}), summary{})))
	assert.True(t, math.IsNaN(ratio(summary{}, summarize([]float64{1}))))
}

func TestUntilPhase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		since := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "since"))
		phase := time.Duration(rapid.Int64Range(0, int64(monitorInterval)-1).Draw(t, "phase"))
		wait := untilPhase(since, phase)
		assert.GreaterOrEqual(t, wait, leastSteady)
		assert.Less(t, wait, leastSteady+monitorInterval)
		assert.Equal(t, phase, (since+wait)%monitorInterval)
	})
}

func TestChosen(t *testing.T) {
	what, err := chosen("kill-node,monitor")
	require.NoError(t, err)
	assert.Equal(t, []string{whatMonitor, whatKillNode}, what)
	what, err = chosen("all")
	require.NoError(t, err)
	assert.Equal(t, everything, what)
	_, err = chosen("kill-everything")
	assert.ErrorContains(t, err, "kill-everything")
}

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pgsqlms")
	require.NoError(t, os.WriteFile(file, nil, 0o755))
	o, err := parse([]string{"-agents", file + ",paf", "-n", "7"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 7, o.n)
	assert.Equal(t, []agent{{"pgsqlms", file}, {"paf", lab.AgentPAF}}, o.agents)
	for _, args := range [][]string{
		{"-agents", "paf,paf"}, {"-agents", "/nonexistent/agent"}, {"-n", "0"}, {"-what", ""}, {"rest"}, {"-unknown"},
	} {
		_, err := parse(args, io.Discard)
		assert.Error(t, err, "%v", args)
	}
}

func sampleReport() *report {
	ours, paf := agent{"pgsqlms", "/x/pgsqlms"}, agent{"paf", lab.AgentPAF}
	r := newReport([]string{"bench", "-n", "1"}, options{agents: []agent{ours, paf}, suite: "bookworm", sync: true})
	r.Corosync = corosyncFigures{Token: 1, Consensus: 1.2}
	r.Begun, r.CPUs, r.Token = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 2, 1
	r.Faults = []faultFigures{
		{What: whatSwitchover, Agent: "pgsqlms", Turn: 1, Measured: true, Gap: 0.5},
		{What: whatSwitchover, Agent: "paf", Turn: 1, Measured: true, Gap: 2},
		{What: whatKillNode, Agent: "pgsqlms", Turn: 1, Measured: true, Gap: 3,
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: 2.5, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Turn: 1, Measured: true, Gap: 6, Lost: 3, Complaints: []string{"3 acknowledged rows are lost"},
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: -1, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Turn: 2, Gap: 90, Error: "did not come back"},
	}
	r.Monitors = []monitorFigures{
		{Agent: "pgsqlms", Role: "primary", CPU: 0.010, Wall: 0.020},
		{Agent: "paf", Role: "primary", CPU: 0.100, Wall: 0.200},
	}
	return r
}

func TestReport(t *testing.T) {
	const want = `
Measured by: bench -n 1
bookworm, begun 2026-01-02T03:04:05Z, 2 CPUs, synchronous (ANY 1) replication, token 1.0 s

figure                 | agent   | n |   median |      min |      max | ratio to PAF | failed | lost rows
-----------------------|---------|---|----------|----------|----------|--------------|--------|----------
monitor, primary, CPU  | pgsqlms | 1 |  10.0 ms |  10.0 ms |  10.0 ms |        0.100 |      0 |         0
monitor, primary, CPU  | paf     | 1 | 100.0 ms | 100.0 ms | 100.0 ms |        1.000 |      0 |         0
monitor, primary, wall | pgsqlms | 1 |  20.0 ms |  20.0 ms |  20.0 ms |        0.100 |      0 |         0
monitor, primary, wall | paf     | 1 | 200.0 ms | 200.0 ms | 200.0 ms |        1.000 |      0 |         0
switchover, write gap  | pgsqlms | 1 |   0.50 s |   0.50 s |   0.50 s |        0.250 |      0 |         0
switchover, write gap  | paf     | 1 |   2.00 s |   2.00 s |   2.00 s |        1.000 |      0 |         0
kill-node, write gap   | pgsqlms | 1 |   3.00 s |   3.00 s |   3.00 s |        0.500 |      0 |         0
kill-node, write gap   | paf     | 1 |   6.00 s |   6.00 s |   6.00 s |        1.000 |      1 |         3

Loss of the primary's node, seconds after it. Corosync's token in effect is 1.00 s, its consensus 1.20 s.
The rest is what the gap has beside the time until the node is out of the membership, and the fencing.
agent   | turn | write gap | out of membership | fencing asked | confirmed | promoted |    VIP |   rest | rest <= 2 s | token + fencing + 2 s | kept
--------|------|-----------|-------------------|---------------|-----------|----------|--------|--------|-------------|-----------------------|-----
pgsqlms |    1 |    3.00 s |            1.50 s |        1.60 s |    2.10 s |   2.50 s | 2.80 s | 1.00 s | yes         |                3.50 s | yes
paf     |    1 |    6.00 s |            1.50 s |        1.60 s |    2.10 s |        - | 2.80 s | 4.00 s | no          |                3.50 s | no

paf, kill-node, turn 1: 3 acknowledged rows are lost
paf, kill-node, turn 2: did not come back
`
	assert.Equal(t, want, sampleReport().text())
}

func TestTheReportIsSaved(t *testing.T) {
	r := sampleReport()
	_ = r.text()
	path := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, r.save(path))
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(saved), `"ratio_to_paf": 0.25`)
	assert.NoError(t, r.save(""), "no file was asked for")
}

func TestAFaultThatFailedDoesNotCount(t *testing.T) {
	f := faultSample(whatKillNode, scenario.Result{}, errors.New("did not come back"))
	assert.False(t, f.Measured)
	assert.Equal(t, "did not come back", f.Error)
}

func TestALossThatWasNotLogged(t *testing.T) {
	f := faultFigures{Agent: "paf", Turn: 1, Gap: 3, Loss: lossOf(scenario.Result{})}
	assert.False(t, f.Loss.complete())
	assert.Equal(t, []string{"paf", "1", "3.00 s", "-", "-", "-", "-", "-", "-", "-", "-", "-"}, f.lossCells(corosyncFigures{}))
}

func TestParseCmap(t *testing.T) {
	v, err := parseCmap("runtime.config.totem.token (u32) = 1650\n")
	require.NoError(t, err)
	assert.InDelta(t, 1.65, v, 1e-9)
	for _, text := range []string{"", "x = y", "1650"} {
		_, err := parseCmap(text)
		assert.Error(t, err)
	}
}

func TestFirstWith(t *testing.T) {
	status := &lab.Status{Nodes: map[string]lab.NodeStatus{"n1": {SQL: "standby"}, "n3": {SQL: "primary"}, "n2": {SQL: "standby"}}}
	assert.Equal(t, "n3", firstWith(status, "primary"))
	assert.Equal(t, "n1", firstWith(status, "standby"))
	assert.Empty(t, firstWith(status, "witness"))
}
