package main

import (
	"encoding/xml"
	"errors"
	"flag"
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
		interval := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "interval"))
		phase := time.Duration(rapid.Int64Range(0, int64(interval)-1).Draw(t, "phase"))
		wait := untilPhase(since, phase, interval)
		assert.GreaterOrEqual(t, wait, leastSteady)
		assert.Less(t, wait, leastSteady+interval)
		assert.Equal(t, phase, (since+wait)%interval)
	})
}

func TestChosen(t *testing.T) {
	what, err := chosen("kill-node,monitor")
	require.NoError(t, err)
	assert.Equal(t, []string{whatMonitor, whatKillNode}, what)
	what, err = chosen("all")
	require.NoError(t, err)
	assert.Equal(t, everything, what)
	what, err = chosen("heavy,monitor")
	require.NoError(t, err)
	assert.Equal(t, append([]string{whatMonitor}, heavy...), what)
	_, err = chosen("kill-everything")
	assert.ErrorContains(t, err, "kill-everything")
}

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pgsqlms")
	require.NoError(t, os.WriteFile(file, nil, 0o755))
	o, err := parse([]string{"-agents", file + ",paf", "-n", "7"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 7, o.n)
	assert.Equal(t, []agent{{"pgsqlms", file, recommended}, {"paf", lab.AgentPAF, recommended}}, o.agents)
	assert.Equal(t, light, o.what)
	o, err = parse([]string{"-agents", "paf,hand", "-settings", "recommended,equal", "-nodes", "2,9"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []agent{{"paf", "paf", recommended}, {floorName, "hand", recommended}, {"paf equal", "paf", equal}}, o.agents)
	assert.Equal(t, []int{2, 9}, o.nodes)
	for _, args := range [][]string{
		{"-settings", "other"}, {"-instances", "0"}, {"-nodes", "x"}, {"-detection", "2s"}, {"-detection", "3500ms"}, {"-dirty-mb", "0"},
		{"-agents", "paf,paf"}, {"-agents", "/nonexistent/agent"}, {"-n", "0"}, {"-what", ""}, {"rest"}, {"-unknown"},
	} {
		_, err := parse(args, io.Discard)
		assert.Error(t, err, "%v", args)
	}
}

func sampleReport() *report {
	ours, paf := agent{"pgsqlms", "/x/pgsqlms", recommended}, agent{"paf", lab.AgentPAF, recommended}
	floor := agent{floorName, lab.AgentHand, recommended}
	r := newReport([]string{"bench", "-n", "1"}, options{agents: []agent{ours, paf, floor}, suite: "bookworm", sync: true})
	for _, a := range []agent{ours, paf} {
		r.Corosync[a.Name] = corosyncFigures{Token: 1, Consensus: 1.2}
		r.Settings[a.Name] = map[string]string{"token": "1s", "monitor Promoted": "15s"}
	}
	r.Begun, r.CPUs, r.Token = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 2, 1
	r.Faults = []faultFigures{
		{What: whatSwitchover, Agent: "pgsqlms", Turn: 1, Measured: true, Gap: 0.5, Split: map[string]float64{"stop": 0.2, "client": 0.1, "standby": 0.2}, Transitions: 2},
		{What: whatSwitchover, Agent: floorName, Turn: 1, Measured: true, Gap: 0.25, Before: "n1", Dirty: map[string]float64{"n2": 7, "n1": 9}},
		{What: whatSwitchover, Agent: "paf", Turn: 1, Measured: true, Gap: 2},
		{What: whatKillNode, Agent: "pgsqlms", Turn: 1, Measured: true, Gap: 3,
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: 2.5, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Turn: 1, Measured: true, Gap: 6, Lost: 3, Complaints: []string{"3 acknowledged rows are lost"},
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: -1, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Turn: 2, Gap: 90, Error: "did not come back"},
	}
	r.Monitors = []monitorFigures{
		{Agent: "pgsqlms", Role: "primary", CPU: 0.010, Wall: 0.020, PeakMB: 10},
		{Agent: "paf", Role: "primary", CPU: 0.100, Wall: 0.200, PeakMB: 20, Forks: 32},
	}
	r.Instances = []instancesFigure{{Agent: "pgsqlms", Instances: 5, Without: 0.01, With: 0.05}}
	for nodes, gap := range map[int]float64{2: 1, 3: 1.1, 5: 1.3} {
		r.Growth = append(r.Growth, faultFigures{What: whatSwitchover, Agent: "pgsqlms", Nodes: nodes, Measured: true, Gap: gap,
			Split: map[string]float64{"notify": gap / 2, "stop": gap / 2}})
	}
	return r
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestReport(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile("testdata/report.txt", []byte(sampleReport().text()), 0o644))
	}
	want, err := os.ReadFile("testdata/report.txt")
	require.NoError(t, err)
	assert.Equal(t, string(want), sampleReport().text())
}

func TestPlot(t *testing.T) {
	text := sampleReport().plot()
	require.NoError(t, xml.Unmarshal([]byte(text), new(struct{})))
	assert.Contains(t, text, ">switchover</text>")
	assert.Contains(t, text, ">0.50 s (0.50 s to 0.50 s), n 1</text>")
	assert.Contains(t, text, "bench -n 1", "the command that made it")
	assert.NotContains(t, text, whatKillPG, "there is no figure of it")
}

func TestSlope(t *testing.T) {
	assert.InDelta(t, 0.05, points{2: {0.1}, 3: {0.15}, 8: {0.4, 0.3, 0.5}}.slope(), 1e-9)
	assert.Zero(t, points{2: {1}}.slope())
}

func TestEnoughMemory(t *testing.T) {
	const meminfo = "MemTotal: 24000000 kB\nMemAvailable: 20480000 kB\n"
	assert.NoError(t, enoughMemory(2048, meminfo))
	assert.ErrorContains(t, enoughMemory(8192, meminfo), "20000 MB of memory are available")
}

func TestEqualSettings(t *testing.T) {
	o := options{detection: 5 * time.Second}
	c := o.configOf(agent{"x", "/x", equal})
	assert.Equal(t, 2272*time.Millisecond, c.Token)
	assert.Equal(t, lab.PatroniConfig{TTL: 5 * time.Second, LoopWait: time.Second, RetryTimeout: 2 * time.Second}, c.Patroni)
	intervals := map[time.Duration]bool{}
	for _, op := range c.Ops {
		if op.Name == "monitor" {
			intervals[op.Interval] = true
		}
	}
	assert.Equal(t, map[time.Duration]bool{time.Second: true, 1100 * time.Millisecond: true}, intervals)
	assert.Nil(t, o.configOf(agent{"x", "/x", recommended}).Ops, "its own")
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
	assert.Equal(t, []string{"paf", "1", "3.00 s", "0.00 s", "0.00 s", "-", "-", "-", "-", "-", "-", "-", "-", "-"}, f.lossCells(corosyncFigures{}))
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
