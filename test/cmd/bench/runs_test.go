package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// savedRun saves a run of its own, and gives the file.
func savedRun(t *testing.T, dir, name string, change func(*report)) string {
	r := sampleReport()
	r.Runs[0].Command = "bench -json " + name
	if change != nil {
		change(r)
	}
	path := filepath.Join(dir, name)
	require.NoError(t, r.save(options{json: path}))
	return path
}

func TestRunsAreJoined(t *testing.T) {
	dir := t.TempDir()
	first := savedRun(t, dir, "a.json", nil)
	second := savedRun(t, dir, "b.json", func(r *report) {
		r.Runs[0].Versions["pacemaker"], r.Runs[0].Machine.Kernel = "2.1.6-1", "6.2.0"
		r.Faults[0].Gap = 1.5
		patroni := agent{"patroni", lab.AgentPatroni, recommended}
		r.Agents = append(r.Agents, patroni)
		r.configured(patroni, map[string]string{"ttl": "20"})
		r.configured(r.Agents[1], map[string]string{"token": "2s"})
	})
	var out, errs bytes.Buffer
	saved := filepath.Join(dir, "all.json")
	args := []string{"bench", "-from", first + "," + second, "-json", saved, "-svg", filepath.Join(dir, "all.svg"), "-markdown", filepath.Join(dir, "all.md")}
	require.Zero(t, run(t.Context(), args, &out, &errs), errs.String())
	assert.Empty(t, errs.String())
	text := out.String()
	assert.Contains(t, text, "Joined by: bench -from")
	for _, each := range []string{"bench -json a.json", "bench -json b.json", "6.1.0", "6.2.0", "1: 1.0, 2: 0.2",
		"2.1.5-1+deb12u1 or 2.1.6-1", "token 1s or 2s", "patroni | ttl 20", "paf, kill-node, turn 2.2: did not come back"} {
		assert.Contains(t, text, each)
	}
	assert.Regexp(t, `switchover, write gap +\| pgsqlms \| 2 \| +1\.00 s \| +0\.50 s \| +1\.50 s`, text)
	plot, err := os.ReadFile(filepath.Join(dir, "all.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(plot), "bench -json a.json</text>")
	assert.Contains(t, string(plot), "bench -json b.json</text>")

	// What was joined can be joined again, and nothing counts twice.
	var all report
	written, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(written, &all))
	assert.Len(t, all.Faults, 20)
	assert.Equal(t, 2, all.Faults[19].Run)
	assert.Len(t, all.Monitors, 4)
	assert.Len(t, all.Growth, 6)
	assert.Len(t, all.Instances, 2)
	_, err = joined(nil, []string{saved, first})
	assert.ErrorContains(t, err, "is joined already: bench -json a.json")
}

func TestWhatIsNoReportIsNotJoined(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	for _, text := range []string{"", "{}", "[]"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := joined(nil, []string{path})
		assert.ErrorContains(t, err, path, "%q", text)
	}
	var out, errs bytes.Buffer
	assert.Equal(t, 2, run(t.Context(), []string{"bench", "-from", filepath.Join(dir, "none.json")}, &out, &errs))
	assert.Contains(t, errs.String(), "none.json")
}

// An hour is too late to find that there is nowhere to write to.
func TestFilesAreTriedFirst(t *testing.T) {
	dir := t.TempDir()
	file := savedRun(t, dir, "a.json", nil)
	var out, errs bytes.Buffer
	assert.Equal(t, 2, run(t.Context(), []string{"bench", "-from", file, "-svg", dir}, &out, &errs))
	assert.Contains(t, errs.String(), "found a directory")
	assert.Empty(t, out.String())
}

func TestThisMachine(t *testing.T) {
	m := thisMachine()
	assert.Positive(t, m.CPUs)
	assert.Greater(t, m.MemoryMB, 100)
	assert.NotEmpty(t, m.Kernel)
}

func TestVersionsTellBuildsApart(t *testing.T) {
	this, err := os.Executable()
	require.NoError(t, err)
	assert.Regexp(t, `, sha256 [0-9a-f]{12}$`, versionOf(this))
	script := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	assert.Regexp(t, `^unknown, sha256 [0-9a-f]{12}$`, versionOf(script))
	assert.NotEqual(t, versionOf(this), versionOf(script))
	assert.Equal(t, "unknown", versionOf("/nonexistent"))
}

func TestEither(t *testing.T) {
	assert.Equal(t, "a", either("", "a"))
	assert.Equal(t, "a", either("a", ""))
	assert.Equal(t, "a or b", either("a or b", "b"))
	assert.Equal(t, "a or b or c", either("a or b", "c or a"))
}
