package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// captured is a survey with what Pacemaker said in the lab; PostgreSQL's part is added by
// each test.
func captured(t *testing.T, name, node string) survey {
	t.Helper()
	read := func(suffix string) string {
		text, err := os.ReadFile(filepath.Join("../crm/testdata", name+suffix))
		require.NoError(t, err)
		return string(text)
	}
	f := survey{node: node, local: answer{err: errNotAsked}, byAddress: answer{err: errNotAsked}, others: map[string]answer{}}
	var err error
	f.cib, err = crm.ParseCIB(read(".cib.xml"))
	require.NoError(t, err)
	f.state, err = crm.ParseState(read(".mon.xml"))
	require.NoError(t, err)
	f.resource = f.cib.Resources[0]
	f.taken = f.cib.Written.Add(time.Minute)
	return f
}

// onDisk is captured without Pacemaker.
func onDisk(t *testing.T, node string) survey {
	t.Helper()
	f := captured(t, "onedown", node)
	var err error
	f.cib, err = crm.CIBOnDisk("../crm/testdata/disk.cib.xml")
	require.NoError(t, err)
	f.onDisk, f.state = true, crm.State{}
	f.stateErr = &crm.ToolError{Tool: "crm_mon", Code: 102, Text: "crm_mon: Connection to cluster failed: Connection refused"}
	return f
}

func at(timeline wal.Timeline, lsn wal.LSN) wal.Position {
	return wal.Position{Timeline: timeline, LSN: lsn}
}

func lsn(l wal.LSN) *wal.LSN { return &l }

func length(d time.Duration) *time.Duration { return &d }

// primaryAt is a primary's word, with its standbys.
func primaryAt(p wal.Position, standbys ...pg.StandbyReport) answer {
	return answer{report: pg.Report{
		System: "7001", End: p, Standbys: standbys, SynchronousStandbyNames: "ANY 1 (n1, n2, n3)",
	}}
}

func streamingAt(name string, l wal.LSN) pg.StandbyReport {
	return pg.StandbyReport{Standby: pg.Standby{
		ApplicationName: name, State: "streaming", SyncState: "quorum", Sent: lsn(l), Write: lsn(l), Flush: lsn(l), Replay: lsn(l),
	}}
}

func standbyAt(p wal.Position) answer {
	return answer{report: pg.Report{
		System: "7001", InRecovery: true, End: p, Receive: p.LSN, Replay: p.LSN, Behind: length(0),
		Receiver: &pg.ReceiverReport{Status: "streaming", Timeline: p.Timeline, Host: "10.77.0.100", Port: "5432"},
	}}
}

func silent(err error) answer { return answer{err: err} }

var (
	errSlow    = &os.PathError{Op: "dial", Path: "n1:5432", Err: context.DeadlineExceeded}
	errNobody  = &os.PathError{Op: "dial", Path: "/var/run/postgresql/.s.PGSQL.5432", Err: syscall.ECONNREFUSED}
	errPgHba   = errors.New("n3:5432: the server refuses the connection: no pg_hba.conf entry (SQLSTATE 28000)")
	errUnnamed = errors.New("n2:5432: lookup n2: no such host")
)

// What each situation looks like, asked on one node.
func situations(t *testing.T) map[string]survey {
	t.Helper()
	healthy := captured(t, "healthy", "n2")
	healthy.local = standbyAt(at(2, 0x1742228))
	healthy.others["n1"] = primaryAt(at(2, 0x1742228), streamingAt("n2", 0x1742228), streamingAt("n3", 0x1742228))
	healthy.others["n3"] = standbyAt(at(2, 0x1742228))

	maintenance := captured(t, "maint", "n1")
	maintenance.local = primaryAt(at(2, 0x1742228), streamingAt("n2", 0x1742228), streamingAt("n3", 0x1742228))
	maintenance.others["n2"] = silent(errUnnamed)
	maintenance.others["n3"] = silent(errPgHba)

	lagging := captured(t, "healthy", "n1")
	far := streamingAt("n3", 0x1742228)
	far.State, far.Replay, far.ReplayLag = "catchup", lsn(0x1000000), length(83*time.Second)
	lagging.local = primaryAt(at(2, 0x5F742228), streamingAt("n2", 0x5F742228), far)
	lagging.others["n2"] = standbyAt(at(2, 0x5F742228))
	lagging.others["n3"] = standbyAt(at(2, 0x1742228))
	restart := lagging.others["n3"].report
	restart.PendingRestart, restart.ReplayPaused = []string{"max_connections", "shared_buffers"}, true
	lagging.others["n3"] = answer{report: restart}

	down := captured(t, "lost", "n2")
	down.local = standbyAt(at(2, 0x1742228))
	down.local.report.Receiver = nil
	down.others["n1"] = silent(errSlow)
	down.others["n3"] = silent(errSlow)
	down.byAddress = silent(errSlow)

	diverged := captured(t, "diverged", "n1")
	diverged.local, diverged.control.State = silent(errNobody), pg.StateShutDown
	diverged.others["n3"] = primaryAt(at(3, 0x1742340), streamingAt("n2", 0x1742340))
	diverged.others["n2"] = standbyAt(at(3, 0x1742340))

	noPacemaker := onDisk(t, "n3")
	noPacemaker.local, noPacemaker.control.State = silent(errNobody), pg.StateShutDownRecovery
	noPacemaker.others["n1"] = standbyAt(at(4, 0x175EB40))
	noPacemaker.others["n2"] = primaryAt(at(4, 0x175EB40), streamingAt("n1", 0x175EB40))

	nothing := onDisk(t, "n3")
	nothing.local = silent(errSlow)
	nothing.runs.Postmaster = 4711
	nothing.others["n1"], nothing.others["n2"], nothing.byAddress = silent(errSlow), silent(errSlow), silent(errSlow)

	return map[string]survey{
		"healthy": healthy, "maintenance": maintenance, "lagging": lagging, "primary-down": down, "diverged": diverged,
		"no-pacemaker": noPacemaker, "nothing": nothing,
		"banned": bannedStandby(t), "crashed": crashedPrimary(t), "by-hand": promotedByHand(t), "hanging-commits": hangingCommits(t),
		"demoted": justDemoted(t),
	}
}

func bannedStandby(t *testing.T) survey {
	f := captured(t, "ban", "n1")
	f.local = primaryAt(at(2, 0x1742228), streamingAt("n2", 0x1742228))
	f.others["n2"] = standbyAt(at(2, 0x1742228))
	f.others["n3"] = silent(errNobody)
	return f
}

// A crash that Pacemaker has recovered in place, and still remembers.
func crashedPrimary(t *testing.T) survey {
	f := captured(t, "killpg", "n1")
	f.local = primaryAt(at(3, 0x175EAA0), streamingAt("n2", 0x175EAA0), streamingAt("n3", 0x175EAA0))
	f.others["n2"], f.others["n3"] = standbyAt(at(3, 0x175EAA0)), standbyAt(at(3, 0x175EAA0))
	return f
}

func promotedByHand(t *testing.T) survey {
	f := captured(t, "healthy", "n3")
	f.local = primaryAt(at(3, 0x1750000))
	f.others["n1"] = primaryAt(at(2, 0x1760000), streamingAt("n2", 0x1760000))
	f.others["n2"] = standbyAt(at(2, 0x1760000))
	return f
}

func hangingCommits(t *testing.T) survey {
	f := captured(t, "healthy", "n1")
	f.local = primaryAt(at(2, 0x1760000))
	for _, node := range []string{"n2", "n3"} {
		f.others[node] = standbyAt(at(2, 0x1742228))
		f.others[node].report.Receiver.Status = "waiting"
	}
	return f
}

// The old primary of a switchover has been started as a standby a moment ago.
func justDemoted(t *testing.T) survey {
	f := captured(t, "healthy", "n1")
	f.local = primaryAt(at(2, 0x1760000), streamingAt("n2", 0x1760000))
	f.others["n2"], f.others["n3"] = standbyAt(at(2, 0x1760000)), standbyAt(at(2, 0x1742228))
	started := f.others["n3"].report
	started.Receiver, started.Started = nil, f.taken.Add(-4*time.Second)
	f.others["n3"] = answer{report: started}
	return f
}

func TestStatusOfEachSituation(t *testing.T) {
	for name, f := range situations(t) {
		t.Run(name, func(t *testing.T) {
			before := len(f.others)
			v := assess(f)
			require.Len(t, f.others, before, "what was found is as it was")
			text := v.text(style{columns: leastColumns})
			golden(t, "status/"+name+".txt", text)
			for line := range strings.Lines(text) {
				require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), mostColumns, line)
				require.Equal(t, strings.TrimRight(line, " \n"), strings.TrimRight(line, "\n"), "blanks at the end")
			}
			require.NotContains(t, text, "\x1b")
		})
	}
}

// Which of two primaries is to be stopped is said only where Pacemaker and the record agree.
func TestStatusOfTwoPrimaries(t *testing.T) {
	todo := func(f survey) string {
		for _, p := range assess(f).Problems {
			if strings.Contains(p.Text, "run primaries") {
				return p.ToDo
			}
		}
		return ""
	}
	f := promotedByHand(t)
	require.Contains(t, todo(f), "n1 is the cluster's")
	f.local, f.others["n2"] = standbyAt(at(2, 0x1760000)), primaryAt(at(3, 0x1750000))
	require.Contains(t, todo(f), "n1 is the cluster's; save what was committed on n2")
	f.state.Instances = nil
	require.Contains(t, todo(f), "stop none before you know")
	f = promotedByHand(t)
	f.cib.Properties["maintenance-mode"] = "true"
	require.Contains(t, todo(f), "stop none before you know")
}

// A standby that streams, and of which nobody in the cluster has a connection.
func TestStatusOfWhoFollowsAnother(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*survey)
		want   string // in the problems; empty for none
	}{
		"all as it should be": {func(*survey) {}, ""},
		"another":             {func(f *survey) { f.others["n1"].report.Standbys[1].ApplicationName = "x" }, "n1 has no connection of it"},
		"on its own timeline": {func(f *survey) {
			f.others["n1"].report.Standbys[1].ApplicationName = "x"
			f.others["n3"].report.Receiver.Timeline = 1
		}, "on timeline 1 where n1 is on 2"},
		"another standby": {func(f *survey) {
			f.local.report.Standbys = f.others["n1"].report.Standbys[1:]
			n1 := f.others["n1"]
			n1.report.Standbys = n1.report.Standbys[:1]
			f.others["n1"] = n1
		}, ""},
		"one that cannot be asked": {func(f *survey) {
			f.others["n1"].report.Standbys[1].ApplicationName = "x"
			f.local = silent(errSlow)
		}, ""},
	} {
		f := situations(t)["healthy"]
		c.change(&f)
		var found []string
		for _, p := range assess(f).Problems {
			if p.Node == "n3" {
				found = append(found, p.Text)
			}
		}
		if c.want == "" {
			require.Empty(t, found, name)
			continue
		}
		require.Len(t, found, 1, name)
		require.Contains(t, found[0], c.want, name)
		require.True(t, planSwitchover(f, "n3").Refused, name)
	}
}

// That Pacemaker recovers an instance is said only where it does.
func TestStatusOfACrash(t *testing.T) {
	todo := func(change func(*survey)) string {
		f := captured(t, "healthy", "n3")
		f.others["n1"] = primaryAt(at(2, 0x1760000), streamingAt("n2", 0x1760000))
		f.others["n2"] = standbyAt(at(2, 0x1760000))
		f.local, f.control.State = silent(errNobody), pg.StateInProduction
		change(&f)
		for _, p := range assess(f).Problems {
			if strings.Contains(p.Text, "was not shut down") {
				return p.ToDo
			}
		}
		return ""
	}
	of := func(change func(*crm.Instance)) func(*survey) {
		return func(f *survey) {
			for n := range f.state.Instances {
				if i := &f.state.Instances[n]; i.Resource == "pgsqld" && i.Node == "n3" {
					change(i)
				}
			}
		}
	}
	require.Contains(t, todo(func(*survey) {}), "Pacemaker recovers it at its next monitor")
	for name, change := range map[string]func(*survey){
		"maintenance": func(f *survey) { f.cib.Properties["maintenance-mode"] = "true" },
		"unmanaged":   of(func(i *crm.Instance) { i.Managed = false }),
		"stopped":     of(func(i *crm.Instance) { i.Role = crm.RoleStopped }),
	} {
		require.Contains(t, todo(change), "nothing comes by itself", name)
	}
	require.Contains(t, todo(func(f *survey) {
		f.state.Failures = []crm.Failure{{Node: "n3", Operation: "pgsqld_start_0", Task: "start", Reason: "why"}}
	}), "crm_resource --cleanup -r pgsqld --node n3")
}

// JSON has the same, and lists that are lists where they are empty.
func TestStatusAsJSON(t *testing.T) {
	all := situations(t)
	for _, name := range []string{"healthy", "lagging", "nothing"} {
		var out bytes.Buffer
		require.NoError(t, writeJSON(&call{Process: Process{Stdout: &out}}, assess(all[name])))
		golden(t, "status/"+name+".json", out.String())
		var back statusView
		require.NoError(t, json.Unmarshal(out.Bytes(), &back))
		for _, list := range []string{"failed_actions", "constraints", "problems", "notices", "unknown"} {
			require.NotContains(t, out.String(), `"`+list+`": null`)
		}
	}
}

// A name that a standby has chosen, and a reason, are shown without what they could do to
// a terminal.
func TestStatusShowsNothingThatActs(t *testing.T) {
	f := situations(t)["healthy"]
	f.cib.Properties["cluster-name"] = "a\x1b[31mb"
	f.others["n1"].report.Standbys[0].State = "\x1b]0;title\a"
	f.local.report.PendingRestart = []string{"x\x1b[2Jy\nz"}
	text := assess(f).text(style{columns: leastColumns})
	require.NotContains(t, text, "\x1b")
	require.NotContains(t, text, "\a")
}

func TestColorsAreForTerminals(t *testing.T) {
	v := assess(situations(t)["lagging"])
	for name, c := range map[string]struct {
		p      Process
		colors bool
	}{
		"a terminal":   {Process{Terminal: true}, true},
		"none":         {Process{}, false},
		"NO_COLOR":     {Process{Terminal: true, Environ: []string{"NO_COLOR=1"}}, false},
		"NO_COLOR, no": {Process{Terminal: true, Environ: []string{"NO_COLOR="}}, true},
		"dumb":         {Process{Terminal: true, Environ: []string{"TERM=dumb"}}, false},
	} {
		require.Equal(t, c.colors, strings.Contains(v.text(newStyle(c.p)), "\x1b["), name)
	}
	painted := v.text(style{colors: true, columns: leastColumns})
	for _, code := range []string{"0", "1", "31", "32", "33"} {
		painted = strings.ReplaceAll(painted, "\x1b["+code+"m", "")
	}
	require.Equal(t, v.text(style{columns: leastColumns}), painted, "colours change no width")
	require.Equal(t, leastColumns, newStyle(Process{Columns: 60}).columns, "no terminal")
	require.Equal(t, leastColumns, newStyle(Process{Terminal: true}).columns)
	for has, want := range map[int]int{60: narrowColumns, 90: 90, 110: 110, 300: mostColumns} {
		require.Equal(t, want, newStyle(Process{Terminal: true, Columns: has}).columns)
	}
}
