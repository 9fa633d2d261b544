package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pgsqlms/test/scenario"
)

// runFigures is one run of the bench: how it was called, and under which conditions it measured.
type runFigures struct {
	Command  string            `json:"command"`
	Begun    time.Time         `json:"begun"`
	Suite    string            `json:"suite"`
	Sync     bool              `json:"synchronous"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // of Debian's packages in the nodes, and of each agent that is a file
	Load     []loadFigure      `json:"load"`
}

// machine is what a run was made on.
type machine struct {
	CPUs     int    `json:"cpus"`
	CPU      string `json:"cpu"`
	MemoryMB int    `json:"memory_mb"`
	Kernel   string `json:"kernel"`
}

// loadFigure is the machine's load in the minute before a cluster came up: much of it is the cluster's that was there
// before, and what is above the others' is somebody else's.
type loadFigure struct {
	Turn  int     `json:"turn"`
	Agent string  `json:"agent"`
	Load  float64 `json:"load"`
}

func thisMachine() machine {
	m := machine{CPUs: runtime.NumCPU(), CPU: "unknown"}
	for _, one := range []struct {
		path, key string
		set       func(string)
	}{
		{"/proc/cpuinfo", "model name", func(text string) { m.CPU = text }},
		{"/proc/meminfo", "MemTotal", func(text string) { _, _ = fmt.Sscan(text, &m.MemoryMB); m.MemoryMB /= 1024 }},
	} {
		text, _ := os.ReadFile(one.path) // what is not told is left out
		for line := range strings.Lines(string(text)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == one.key {
				one.set(strings.TrimSpace(value))
				break
			}
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// versionOf tells builds of an agent apart: what Go put into the file, and the beginning of the file's sum.
func versionOf(path string) string {
	version := "unknown"
	if info, err := buildinfo.ReadFile(path); err == nil && info.Main.Version != "" {
		version = info.Main.Version
	}
	f, err := os.Open(path)
	if err != nil {
		return version
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return version
	}
	return fmt.Sprintf("%s, sha256 %x", version, sum.Sum(nil)[:6])
}

// loaded notes the load before a cluster comes up.
func (r *report) loaded(turn int, a agent) {
	figure := loadFigure{Turn: turn, Agent: a.Name}
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	if _, err := fmt.Sscan(string(text), &figure.Load); err == nil {
		r.Runs[0].Load = append(r.Runs[0].Load, figure)
	}
}

// versions notes those of the nodes' packages.
func (r *report) versions(packages map[string]string) { maps.Copy(r.Runs[0].Versions, packages) }

// configured notes settings that a system was measured with. Where clusters differ, all values are told.
func (r *report) configured(a agent, settings map[string]string) {
	if r.Settings[a.Name] == nil {
		r.Settings[a.Name] = map[string]string{}
	}
	for name, value := range settings {
		r.Settings[a.Name][name] = either(r.Settings[a.Name][name], value)
	}
}

// either puts another value beside those that are there.
func either(values, value string) string {
	const or = " or "
	if values == "" || value == "" {
		return values + value
	}
	all := strings.Split(values, or)
	for _, one := range strings.Split(value, or) {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return strings.Join(all, or)
}

// joined puts the reports of several runs together.
func joined(args, paths []string) (*report, error) {
	all := &report{Joined: strings.Join(args, " "), Settings: map[string]map[string]string{}}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var one report
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(one.Runs) == 0 {
			return nil, fmt.Errorf("%s: expected a report that -json wrote, found one without runs", path)
		}
		if err := all.join(one); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}

// join adds what another report has. A run that is there already would count twice.
func (r *report) join(more report) error {
	for _, run := range more.Runs {
		if slices.ContainsFunc(r.Runs, func(other runFigures) bool { return run.Command == other.Command && run.Begun.Equal(other.Begun) }) {
			return fmt.Errorf("the run begun at %s is joined already: %s", run.Begun.Format(time.RFC3339), run.Command)
		}
	}
	before := len(r.Runs)
	r.Runs = append(r.Runs, more.Runs...)
	for _, a := range more.Agents {
		if !slices.ContainsFunc(r.Agents, func(b agent) bool { return a.Name == b.Name }) {
			r.Agents = append(r.Agents, a)
		}
		r.configured(a, more.Settings[a.Name])
	}
	for _, f := range more.Faults {
		f.Run += before
		r.Faults = append(r.Faults, f)
	}
	for _, f := range more.Growth {
		f.Run += before
		r.Growth = append(r.Growth, f)
	}
	for _, m := range more.Monitors {
		m.Run += before
		r.Monitors = append(r.Monitors, m)
	}
	for _, i := range more.Instances {
		i.Run += before
		r.Instances = append(r.Instances, i)
	}
	return nil
}

// turn names a turn: with its run, where there are several.
func (r *report) turn(run, turn int) string {
	if len(r.Runs) < 2 {
		return fmt.Sprint(turn)
	}
	return fmt.Sprintf("%d.%d", run, turn)
}

// runsText tells what was measured by which command, and on what.
func (r *report) runsText() string {
	var b strings.Builder
	if r.Joined != "" {
		fmt.Fprintf(&b, "\nJoined by: %s\nA turn is named by its run and its number there.\n", r.Joined)
	}
	b.WriteString("\nMeasured by:\n\n")
	var cells [][]string
	for i, run := range r.Runs {
		replication := "asynchronous"
		if run.Sync {
			replication = "synchronous (ANY 1)"
		}
		cells = append(cells, []string{fmt.Sprint(i + 1), run.Begun.Format(time.RFC3339), run.Suite, replication,
			fmt.Sprintf("%d of %s", run.Machine.CPUs, run.Machine.CPU), fmt.Sprintf("%d MB", run.Machine.MemoryMB), run.Machine.Kernel,
			run.loads(), run.Command})
	}
	header := []string{"run", "begun", "nodes", "replication", "CPUs", "memory", "kernel", "load before each turn", "command"}
	b.WriteString(scenario.Table(header, cells))
	return b.String()
}

// loads tells the load before each turn, as the median of the minutes before its clusters came up.
func (r runFigures) loads() string {
	by := map[int][]float64{}
	for _, f := range r.Load {
		by[f.Turn] = append(by[f.Turn], f.Load)
	}
	var texts []string
	for _, turn := range slices.Sorted(maps.Keys(by)) {
		texts = append(texts, fmt.Sprintf("%d: %.1f", turn, summarize(by[turn]).Median))
	}
	return strings.Join(texts, ", ")
}

// versionsText tells what was measured.
func (r *report) versionsText() string {
	versions := map[string]string{}
	for _, run := range r.Runs {
		for name, version := range run.Versions {
			versions[name] = either(versions[name], version)
		}
	}
	var cells [][]string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		cells = append(cells, []string{name, versions[name]})
	}
	if len(cells) == 0 {
		return ""
	}
	return "\nVersions:\n\n" + scenario.Table([]string{"of", "version"}, cells)
}
