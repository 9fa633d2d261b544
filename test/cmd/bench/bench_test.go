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
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, o.turns)
	o, err = parse([]string{"-agents", "paf", "-n", "3", "-turns", "3,1"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 1}, o.turns)
	o, err = parse([]string{"-from", "a.json,b.json", "-agents", "/nonexistent/agent"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"a.json", "b.json"}, o.from)
	o, err = parse([]string{"-agents", "paf,hand", "-settings", "recommended,equal", "-nodes", "2,9"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []agent{{"paf", "paf", recommended}, {floorName, "hand", recommended}, {"paf equal", "paf", equal}}, o.agents)
	assert.Equal(t, []int{2, 9}, o.nodes)
	for _, args := range [][]string{
		{"-settings", "other"}, {"-instances", "0"}, {"-nodes", "x"}, {"-detection", "2s"}, {"-detection", "3500ms"}, {"-dirty-mb", "0"},
		{"-turns", "4"}, {"-turns", "0"}, {"-turns", "x"}, {"-agents", "paf,paf"}, {"-agents", "/nonexistent/agent"}, {"-n", "0"}, {"-what", ""}, {"rest"}, {"-unknown"},
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
		r.configured(a, map[string]string{"token": "1s", "monitor Promoted": "15s (timeout 10s)", "shared_buffers": "64MB"})
	}
	r.configured(ours, map[string]string{"shared_buffers": "3GB"})
	r.Runs[0].Begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Runs[0].Machine = machine{CPUs: 2, CPU: "Some CPU", MemoryMB: 24000, Kernel: "6.1.0"}
	r.Runs[0].Versions = map[string]string{"pacemaker": "2.1.5-1+deb12u1", "pgsqlms": "v1.2.3, sha256 0123456789ab"}
	r.Runs[0].Load = []loadFigure{{1, "pgsqlms", 0.5}, {1, "paf", 1.5}, {2, "pgsqlms", 0.25}}
	corosync := &corosyncFigures{Token: 1, Consensus: 1.2}
	r.Faults = []faultFigures{
		{What: whatSwitchover, Agent: "pgsqlms", Measured: true, Gap: 0.5,
			Split: map[string]float64{"stop": 0.2, "client": 0.1, "standby": 0.2}, Transitions: 2},
		{What: whatSwitchover, Agent: floorName, Measured: true, Gap: 0.25, Before: "n1", Dirty: map[string]float64{"n2": 7, "n1": 9}},
		{What: whatSwitchover, Agent: "paf", Measured: true, Gap: 2},
		{What: whatKillPG, Agent: "pgsqlms", Measured: true, Gap: 17, Interval: 15, Split: map[string]float64{"start": 1}},
		{What: whatKillNode, Agent: "pgsqlms", Measured: true, Gap: 3, Before: "n1", Coordinator: "n1", Corosync: corosync,
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: 2.5, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Measured: true, Gap: 6, Before: "n1", Coordinator: "n2", Corosync: corosync,
			Lost: 3, Complaints: []string{"3 acknowledged rows are lost"},
			Loss: &lossFigure{OutOfMembership: 1.5, FenceAsked: 1.6, FenceConfirmed: 2.1, Promoted: -1, VIP: 2.8}},
		{What: whatKillNode, Agent: "paf", Turn: 2, Gap: 90, Error: "did not come back"},
		{What: whatKillNodeClean, Agent: "pgsqlms", Measured: true, Gap: 3, Dirty: map[string]float64{"n1": 1}},
		{What: whatKillNodeDirty, Agent: "pgsqlms", Measured: true, Gap: 4.5, Dirty: map[string]float64{"n1": 2048}},
		{What: whatKillNodeBacklog, Agent: "pgsqlms", Measured: true, Gap: 4, Backlog: map[string]float64{"n2": 500}},
	}
	r.Monitors = []monitorFigures{
		{Agent: "pgsqlms", Role: "primary", CPU: 0.004, Wall: 0.020, PeakMB: 10},
		{Agent: "paf", Role: "primary", CPU: 0.100, Wall: 0.200, PeakMB: 20, Forks: 32},
	}
	r.Instances = []instancesFigure{{Agent: "pgsqlms", Instances: 5, Without: 0.01, With: 0.05}}
	for _, nodes := range []int{2, 3, 5} {
		gap := 1 + 0.1*float64(nodes-2)
		r.Growth = append(r.Growth, faultFigures{What: whatSwitchover, Agent: "pgsqlms", Nodes: nodes, Measured: true, Gap: gap,
			Split: map[string]float64{"notify": gap / 2, "stop": gap / 2}})
	}
	for i := range r.Faults {
		r.Faults[i].Run, r.Faults[i].Turn = 1, max(1, r.Faults[i].Turn)
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
	assert.NotContains(t, text, whatSwitchoverLoad, "there is no figure of it")
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

// Nothing but the intervals is made equal.
func TestEqualSettingsLeaveAnAgentItsOwnOperations(t *testing.T) {
	for _, path := range []string{"/x", lab.AgentPAF, lab.AgentShell} {
		ops := options{detection: 5 * time.Second}.configOf(agent{"x", path, equal}).Ops
		own := lab.RecommendedOps(path)
		require.Len(t, ops, len(own))
		for i := range own {
			own[i].Interval, ops[i].Interval = 0, 0
		}
		assert.Equal(t, own, ops, path)
	}
}

func TestTheReportIsSaved(t *testing.T) {
	r := sampleReport()
	dir := t.TempDir()
	o := options{json: filepath.Join(dir, "bench.json"), markdown: filepath.Join(dir, "bench.md"), svg: filepath.Join(dir, "bench.svg")}
	require.NoError(t, r.save(o))
	for path, has := range map[string]string{o.json: `"ratio_to_paf": 0.25`, o.markdown: "switchover, write gap", o.svg: "</svg>"} {
		saved, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(saved), has)
	}
	assert.NoError(t, r.save(options{}), "no file was asked for")
}

func TestAFaultThatFailedDoesNotCount(t *testing.T) {
	f := faultSample(whatKillNode, scenario.Result{}, errors.New("did not come back"))
	assert.False(t, f.Measured)
	assert.Equal(t, "did not come back", f.Error)
}

func TestALossThatWasNotLogged(t *testing.T) {
	f := faultFigures{Agent: "paf", Turn: 1, Gap: 3, Loss: lossOf(scenario.Result{})}
	assert.False(t, f.Loss.complete())
	assert.Equal(t, []string{"no", "3.00 s", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}, f.lossCells())
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
