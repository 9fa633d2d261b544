package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

const gigabyte = 1 << 30

// divergedFacts are of n1, an old primary that came back diverged, and is stopped.
func divergedFacts(t *testing.T) rejoinFacts {
	t.Helper()
	f := rejoinFacts{
		survey: situations(t)["diverged"], primary: "n3", programs: 15, data: 15, end: at(2, 0x1769cd0), askedErr: errNotAsked,
		premises: pg.Premises{
			DataDir: "/var/lib/postgresql/15/main", Work: "/var/lib/postgresql/15/main.pgsqlms-rejoin", Exists: true, Writable: true,
			Size: 3 * gigabyte, Sized: true, Free: 20 * gigabyte,
		},
		disk: pg.RejoinControl{ControlData: pg.ControlData{State: pg.StateShutDown, Timeline: 2}, System: "7001", Hints: true},
		up: pg.Source{
			System: "7001", Major: 15, End: at(3, 0x1742340),
			History:    wal.History{Timeline: 3, Ancestors: []wal.Ancestor{{Timeline: 1, End: 0x1742110}, {Timeline: 2, End: 0x1742228}}},
			Divergence: &pg.Divergence{Left: at(2, 0x1742228), Bytes: 162472}, Compared: true,
		},
		upSQL: pg.RewindSource{Allowed: true, FullPageWrites: true, Timeline: 3, Checkpoint: 3, Size: 2 * gigabyte},
	}
	f.instance.user.Name, f.instance.binDir = "postgres", "/usr/lib/postgresql/15/bin"
	return f
}

// standbyFacts are of n2, a standby that runs and does not stream.
func standbyFacts(t *testing.T) rejoinFacts {
	t.Helper()
	f := divergedFacts(t)
	f.survey = situations(t)["healthy"]
	f.local.report.Receiver = nil
	f.primary, f.askedErr, f.asked.Compared = "n1", nil, true
	f.up = pg.Source{System: "7001", Major: 15, End: at(2, 0x1742228), History: wal.History{Timeline: 2, Ancestors: []wal.Ancestor{{Timeline: 1, End: 0x1742110}}}}
	f.end = wal.Position{}
	f.disk.State = pg.StateArchiveRecovery
	return f
}

// rejoins are what may be found, and with which flags it was asked for.
func rejoins(t *testing.T) map[string]rejoinCase {
	t.Helper()
	all := map[string]rejoinCase{}
	diverged := func(name string, o choices, change func(f *rejoinFacts)) {
		f := divergedFacts(t)
		change(&f)
		all[name] = rejoinCase{f, o}
	}
	standby := func(name string, o choices, change func(f *rejoinFacts)) {
		f := standbyFacts(t)
		change(&f)
		all[name] = rejoinCase{f, o}
	}
	diverged("diverged", choices{}, func(*rejoinFacts) {})
	diverged("diverged-discard", choices{discard: true}, func(f *rejoinFacts) { f.upSQL.Checkpoint = 2 })
	diverged("diverged-clone", choices{clone: true}, func(*rejoinFacts) {})
	diverged("not-rewindable", choices{}, func(f *rejoinFacts) { f.disk.Hints = false })
	diverged("no-rights", choices{}, func(f *rejoinFacts) { f.upSQL.Allowed = false })
	diverged("no-sql", choices{}, func(f *rejoinFacts) { f.sqlErr, f.upSQL = errPgHba, pg.RewindSource{} })
	diverged("no-room", choices{}, func(f *rejoinFacts) { f.premises.Free = gigabyte })
	diverged("no-room-clone-discard", choices{clone: true, discard: true}, func(f *rejoinFacts) { f.premises.Free = gigabyte })
	diverged("tablespaces", choices{}, func(f *rejoinFacts) { f.premises.Tablespaces = 2 })
	diverged("tablespaces-discard", choices{discard: true}, func(f *rejoinFacts) { f.premises.Tablespaces, f.upSQL.Tablespaces = 2, 2 })
	diverged("wal-link-clone", choices{clone: true, discard: true}, func(f *rejoinFacts) { f.premises.WALLink = "/wal/15" })
	diverged("mounted", choices{}, func(f *rejoinFacts) {
		f.premises.Mounted, f.premises.Writable = []string{f.premises.DataDir}, false
	})
	diverged("mounted-inside", choices{discard: true}, func(f *rejoinFacts) { f.premises.Mounted = []string{f.premises.DataDir + "/pg_wal"} })
	diverged("mounted-left-over", choices{}, func(f *rejoinFacts) {
		f.premises.Unfinished, f.up.Divergence = true, nil
		f.premises.MountedWork = []string{f.premises.Work + "/old/pg_wal"}
	})
	diverged("stuck-left-over", choices{}, func(f *rejoinFacts) {
		f.premises.Unfinished, f.up.Divergence, f.premises.StuckInWork = true, nil, f.premises.Work+"/old/conf.d"
	})
	diverged("unremovable", choices{}, func(f *rejoinFacts) { f.premises.Unremovable = f.premises.DataDir + "/conf.d" })
	diverged("unremovable-discard", choices{discard: true}, func(f *rejoinFacts) { f.premises.Unremovable = f.premises.DataDir + "/conf.d" })
	diverged("mounts-unknown", choices{}, func(f *rejoinFacts) {
		f.premisesErr = errors.Join(pg.ErrMountsUnknown, &os.PathError{Op: "open", Path: "/var/lib/postgresql/15/main/x", Err: os.ErrPermission})
	})
	diverged("strange", choices{}, func(f *rejoinFacts) {
		f.premises.Strange, f.dataErr, f.diskErr = true, pg.ErrDamaged, pg.ErrDamaged
	})
	diverged("contested", choices{}, func(f *rejoinFacts) {
		f.premises.Unfinished, f.premises.Contested, f.diskErr = true, f.premises.Work+"/data", pg.ErrDamaged
	})
	diverged("other-system", choices{}, func(f *rejoinFacts) { f.disk.System = "7002" })
	diverged("other-version", choices{}, func(f *rejoinFacts) { f.up.Major = 16 })
	diverged("no-primary", choices{}, func(f *rejoinFacts) {
		f.primary, f.state.Instances, f.fromErr = "", nil, errNotAsked
	})
	diverged("primary-unreachable", choices{}, func(f *rejoinFacts) { f.fromErr = errPgHba })
	diverged("primary-by-hand", choices{}, func(f *rejoinFacts) { f.up.History.Ancestors[1].End = 0x1742000 })
	diverged("half-done", choices{}, func(f *rejoinFacts) {
		f.premises.Exists, f.premises.Unfinished, f.premises.Size = false, true, 0
		f.diskErr, f.dataErr = pg.ErrDamaged, pg.ErrDamaged
		f.up.Divergence = nil
	})
	diverged("left-over", choices{}, func(f *rejoinFacts) { f.premises.Unfinished, f.up.Divergence = true, nil })
	diverged("follows", choices{}, func(f *rejoinFacts) { f.up.Divergence = nil })
	diverged("half-done-tablespaces", choices{discard: true}, func(f *rejoinFacts) {
		f.premises.Exists, f.premises.Unfinished, f.premises.Size, f.premises.Tablespaces = false, true, 0, 2 // which were noted
		f.diskErr, f.dataErr = pg.ErrDamaged, pg.ErrDamaged
		f.up.Divergence = nil
	})
	diverged("half-done-no-room", choices{}, func(f *rejoinFacts) {
		f.premises.Exists, f.premises.Unfinished, f.premises.Size, f.premises.Free, f.premises.Left = false, true, 0, gigabyte, gigabyte/2
		f.diskErr, f.dataErr = pg.ErrDamaged, pg.ErrDamaged
		f.up.Divergence = nil
	})
	diverged("moved", choices{discard: true}, func(f *rejoinFacts) {
		f.premises.Unfinished, f.premises.Aside = true, f.premises.Work+"/data"
	})
	diverged("moved-follows", choices{}, func(f *rejoinFacts) {
		f.premises.Unfinished, f.premises.Aside, f.up.Divergence = true, f.premises.Work+"/data", nil
	})
	diverged("relative-link", choices{discard: true}, func(f *rejoinFacts) { f.premises.WALLink, f.premises.Relative = "../wal", "pg_wal" })
	diverged("slow", choices{discard: true}, func(f *rejoinFacts) {
		f.diskErr = &os.PathError{Op: "run", Path: "pg_controldata", Err: context.DeadlineExceeded}
	})
	diverged("damaged", choices{}, func(f *rejoinFacts) { f.diskErr = pg.ErrDamaged })
	diverged("not-mounted", choices{}, func(f *rejoinFacts) {
		f.diskErr, f.dataErr, f.premises.Empty, f.premises.Size = pg.ErrDamaged, pg.ErrDamaged, true, 0
	})
	diverged("not-mounted-in-fstab", choices{}, func(f *rejoinFacts) {
		f.diskErr, f.dataErr, f.premises.Empty, f.premises.Size = pg.ErrDamaged, pg.ErrDamaged, true, 0
		f.premises.Unmounted = []string{"/var/lib/postgresql"}
	})
	diverged("wal-not-mounted", choices{}, func(f *rejoinFacts) {
		f.premises.Unmounted = []string{"/var/lib/postgresql", f.premises.DataDir + "/pg_wal"}
	})
	diverged("no-configuration", choices{}, func(f *rejoinFacts) {
		f.diskErr, f.dataErr, f.premises.Empty, f.premises.Size = pg.ErrDamaged, pg.ErrDamaged, true, 0
		f.fromErr = fmt.Errorf("%w: there is no /var/lib/postgresql/15/main/postgresql.conf", pg.ErrConfigurationGone)
	})
	diverged("own-unreadable", choices{}, func(f *rejoinFacts) {
		f.premises.OwnErr = &os.PathError{Op: "open", Path: "/var/lib/postgresql/15/main/server.key", Err: os.ErrPermission}
	})
	diverged("logs", choices{}, func(f *rejoinFacts) { f.premises.Free, f.premises.Own = 5*gigabyte, gigabyte })
	diverged("unsized", choices{}, func(f *rejoinFacts) { f.premises.Sized, f.premises.Free = false, gigabyte })
	diverged("not-compared-clone", choices{clone: true}, func(f *rejoinFacts) { f.up.Divergence, f.up.Compared = nil, false })
	diverged("not-compared", choices{}, func(f *rejoinFacts) { f.up.Divergence, f.up.Compared = nil, false })
	diverged("archive", choices{}, func(f *rejoinFacts) {
		f.up.Divergence, f.restore = nil, "cp /archive/%f %p"
		f.up.Refusal = "requested WAL segment 000000020000000000000001 has already been removed"
	})
	diverged("archive-clone", choices{clone: true}, func(f *rejoinFacts) {
		f.up.Divergence, f.restore = nil, "cp /archive/%f %p"
		f.up.Refusal = "requested WAL segment 000000020000000000000001 has already been removed"
	})
	standby("archive-replaying", choices{}, func(f *rejoinFacts) {
		f.restore, f.asked.Replaying, f.asked.Refusal = "cp /archive/%f %p", true, "requested WAL segment 000000020000000000000001 has already been removed"
	})
	standby("archive-lost", choices{}, func(f *rejoinFacts) {
		f.restore, f.asked.Refusal = "cp /archive/%f %p", "requested WAL segment 000000020000000000000001 has already been removed"
	})
	standby("alone-clone", choices{clone: true}, func(f *rejoinFacts) { f.askedErr = errSlow })
	standby("streaming", choices{}, func(f *rejoinFacts) { f.local = standbyAt(at(2, 0x1742228)) })
	standby("streaming-clone", choices{clone: true}, func(f *rejoinFacts) { f.local = standbyAt(at(2, 0x1742228)) })
	standby("streaming-unseen", choices{}, func(f *rejoinFacts) {
		f.local, f.others["n1"] = standbyAt(at(2, 0x1742228)), silent(errPgHba)
	})
	standby("streams-from-another", choices{}, func(f *rejoinFacts) {
		f.local, f.others["n1"] = standbyAt(at(2, 0x1742228)), primaryAt(at(2, 0x1742228), streamingAt("n3", 0x1742228))
	})
	standby("streams-again-and-again", choices{}, func(f *rejoinFacts) {
		f.local = standbyAt(at(2, 0x1742228))
		f.local.report.Receive--
	})
	standby("streams-another-timeline", choices{}, func(f *rejoinFacts) { f.local = standbyAt(at(1, 0x1742228)) })
	standby("lost", choices{}, func(f *rejoinFacts) {
		f.asked.Refusal = "requested WAL segment 000000020000000000000001 has already been removed"
	})
	standby("alone", choices{}, func(f *rejoinFacts) { f.askedErr = errSlow })
	standby("on-the-primary", choices{}, func(f *rejoinFacts) {
		f.survey = situations(t)["lagging"]
		f.node, f.fromErr = "n1", errNotAsked
	})
	return all
}

type rejoinCase struct {
	facts rejoinFacts
	choices
}

// What is said, and what would be done, of each situation.
func TestRejoinPlanOfEachSituation(t *testing.T) {
	refused := []string{"no-room", "tablespaces", "wal-link-clone", "mounted", "other-system", "other-version", "no-primary",
		"primary-unreachable", "primary-by-hand", "follows", "alone", "on-the-primary", "half-done-tablespaces", "half-done-no-room",
		"relative-link", "slow", "no-configuration", "own-unreadable", "logs", "not-compared", "archive", "archive-replaying",
		"streams-from-another", "streams-again-and-again", "streams-another-timeline", "mounted-inside", "mounted-left-over",
		"stuck-left-over", "unremovable-discard", "mounts-unknown", "strange", "contested", "not-mounted-in-fstab",
		"wal-not-mounted"}
	for name, c := range rejoins(t) {
		t.Run(name, func(t *testing.T) {
			p := planRejoin(c.facts, c.choices)
			v := rejoinView{rejoinPlan: p, Resource: "pgsqld-clone"}
			golden(t, "rejoin/"+name+".txt", v.planText(style{columns: leastColumns}))
			require.Equal(t, contains(refused, name), p.Refused)
			require.Equal(t, name == "streaming" || name == "streaming-unseen", p.Nothing)
			require.Equal(t, !p.Refused && !p.Nothing, len(p.Steps) > 0)
		})
	}
}

func contains(list []string, text string) bool {
	for _, one := range list {
		if one == text {
			return true
		}
	}
	return false
}

func TestRejoinWays(t *testing.T) {
	cases := rejoins(t)
	for name, want := range map[string]way{
		"diverged": wayRewind, "diverged-discard": wayRewind, "tablespaces-discard": wayRewind, "diverged-clone": wayClone, "not-rewindable": wayClone,
		"no-rights": wayClone, "no-sql": wayClone, "no-room-clone-discard": wayClone, "half-done": wayClone, "lost": wayClone, "left-over": waySweep,
		"moved": wayRewind, "moved-follows": waySweep, "damaged": wayClone, "unsized": wayRewind, "not-compared-clone": wayClone, "archive-clone": wayClone,
		"archive-lost": wayClone, "streaming-clone": wayClone, "alone-clone": wayClone, "unremovable": wayRewind,
	} {
		c := cases[name]
		p := planRejoin(c.facts, c.choices)
		require.Equal(t, want, p.Way, name)
		require.Equal(t, !c.discard && c.facts.premises.Exists && want != waySweep, p.Keep, name)
	}
	require.True(t, planRejoin(cases["diverged-discard"].facts, choices{discard: true}).InPlace)
	require.True(t, planRejoin(cases["no-room-clone-discard"].facts, choices{clone: true, discard: true}).DropFirst)

	// Whatever of the cluster or of this node speaks against it.
	broken := map[string]func(f *rejoinFacts){
		"quorum":      func(f *rejoinFacts) { f.state.Quorum = false },
		"maintenance": func(f *rejoinFacts) { f.state.Maintenance = true },
		"node":        func(f *rejoinFacts) { f.state.Nodes[0].Standby = true },
		"transition": func(f *rejoinFacts) {
			f.state.Instances = append(f.state.Instances, crm.Instance{Resource: "pgsqld", Node: "n2", Pending: "Starting"})
		},
		"constraints": func(f *rejoinFacts) {
			f.cib.Locations = []crm.Location{{ID: "mine", Resource: "pgsqld-clone", Node: "n1", Score: -crm.Infinity}}
		},
		"programs": func(f *rejoinFacts) { f.toolsErr = os.ErrNotExist },
		"instance": func(f *rejoinFacts) { f.runs.Postmaster = 4711 },
		"data":     func(f *rejoinFacts) { f.dataErr = os.ErrPermission },
	}
	for check, breaks := range broken {
		f := divergedFacts(t)
		breaks(&f)
		p := planRejoin(f, choices{})
		require.True(t, p.Refused, check)
		for _, finding := range p.Checks {
			require.False(t, finding.Level == levelError && finding.Check != check, "%s: %v", check, finding)
		}
	}
	own := divergedFacts(t)
	own.cib.Locations = []crm.Location{{ID: crm.RejoinID("pgsqld-clone", "n1"), Resource: "pgsqld-clone", Node: "n1", Score: -crm.Infinity}}
	require.False(t, planRejoin(own, choices{}).Refused, "one that was killed has left it")
	same := divergedFacts(t)
	same.disk.Timeline = 3
	require.Contains(t, planRejoin(same, choices{}).WhyClone, "pg_rewind goes by the timelines")
	pending := divergedFacts(t)
	pending.up.Divergence.Pending = true
	require.Equal(t, wayClone, planRejoin(pending, choices{}).Way)
}

// What is shown at the end.
func TestRejoinEndings(t *testing.T) {
	var b strings.Builder
	base := rejoinView{rejoinPlan: rejoinPlan{Node: "n1", Primary: "n3"}, Resource: "pgsqld-clone", primitive: "pgsqld", Cleared: true, Seconds: 83}
	show := func(change func(v *rejoinView)) {
		v := base
		change(&v)
		v.ToDo = v.todo()
		b.WriteString(v.endText(style{columns: leastColumns}))
	}
	show(func(v *rejoinView) {
		v.Outcome, v.Used, v.Copied, v.Kept = outcomeDone, wayRewind, 3*gigabyte, "/data/main.before-rejoin-20261121T175230Z"
	})
	show(func(v *rejoinView) { v.Outcome, v.Used, v.Copied = outcomeDone, wayClone, 2*gigabyte })
	show(func(v *rejoinView) { v.Outcome = outcomeDone })
	show(func(v *rejoinView) { v.Outcome, v.Reason = outcomeInterrupted, "interrupted" })
	show(func(v *rejoinView) {
		v.Outcome, v.Used, v.Copied, v.Left = outcomeDone, wayClone, 2*gigabyte, "/data/main.before-rejoin-20261121T175230Z"
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Reason, v.HalfDone = outcomeFailed, "pg_basebackup ended with exit code 1: no space left", "/data/main.pgsqlms-rejoin"
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Reason, v.HalfDone, v.Placed = outcomeFailed, "unlinkat old/base: input/output error", "/data/main.pgsqlms-rejoin", true
		v.Kept = "/data/main.before-rejoin-20261121T175230Z"
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Reason, v.Cleared, v.ClearError = outcomeNotStreaming, "the constraint keeps Pacemaker from starting it", false, "cibadmin ended with exit code 102"
	})
	golden(t, "rejoin/endings.txt", b.String())
}

func TestProgressText(t *testing.T) {
	require.Equal(t, "copied 1.2 GB of 4.7 GB (25 %), 40 MB/s, 1 m 30 s left", progressText("copied", 1200<<20, 4800<<20, 30*time.Second, false))
	require.Equal(t, "[###############...............] fetched 512 MB of 1.0 GB (50 %), 256 MB/s, 2.0 s left", progressText("fetched", gigabyte/2, gigabyte, 2*time.Second, true))
	require.Equal(t, "fetched 0 B", progressText("fetched", 0, 0, 0, true))
	require.Equal(t, "fetched 2.0 GB of 1.0 GB (100 %), 1.0 GB/s", progressText("fetched", 2*gigabyte, gigabyte, 2*time.Second, false))
}

// A bar is for a terminal; elsewhere a line comes now and then, without an escape sequence.
func TestMeter(t *testing.T) {
	clock := time.Unix(1_000_000, 0)
	for terminal, want := range map[bool]int{true: 100, false: 2} {
		var out bytes.Buffer
		m := meter{out: &out, terminal: terminal, columns: 80, now: func() time.Time { return clock }}
		m.start("copied")
		for n := range uint64(100) {
			clock = clock.Add(250 * time.Millisecond)
			m.tell(n<<20, 100<<20)
		}
		m.end()
		require.Equal(t, want, strings.Count(out.String(), "copied"), out.String())
		require.Equal(t, terminal, strings.Contains(out.String(), "\x1b"))
		require.Equal(t, !terminal, strings.Contains(out.String(), "\n"))
	}
}

// rejoining is a node with data and fake tools, on which a rejoin is under way.
type rejoining struct {
	fakeTools
	data string
	out  bytes.Buffer
	r    *rejoiner
}

func newRejoining(t *testing.T) *rejoining {
	t.Helper()
	w := &rejoining{fakeTools: fakeTools{t: t, dir: t.TempDir()}}
	w.data = filepath.Join(w.dir, "data")
	for _, file := range []string{"base/1/1", "global/pg_control", "PG_VERSION", "postgresql.auto.conf", "pg_hba.conf", "conf.d/mine.conf"} {
		path := filepath.Join(w.data, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("15\n"), 0o600))
	}
	require.NoError(t, os.Truncate(filepath.Join(w.data, "global/pg_control"), 8192))
	mon, err := os.ReadFile("../crm/testdata/diverged.mon.xml")
	require.NoError(t, err)
	w.write("mon", string(mon))
	cib, err := os.ReadFile("../crm/testdata/diverged.cib.xml")
	require.NoError(t, err)
	w.write("cib", string(cib))
	w.write("kept", strings.Replace(string(cib), "</constraints>", `<rsc_location id="pgsqlms-rejoin-pgsqld-clone-on-n1" rsc="pgsqld-clone" node="n1" score="-INFINITY"/></constraints>`, 1))
	w.tool("crm_mon", `cat "$d/mon"`)
	w.tool("cibadmin", `case "$1" in
--create) touch "$d/constraint";;
--delete) [ -e "$d/stuck" ] && { rm "$d/stuck"; echo no >&2; exit 1; }; rm -f "$d/constraint";;
*) if [ -e "$d/constraint" ]; then cat "$d/kept"; else cat "$d/cib"; fi;;
esac`)
	w.tool("crm_resource", `touch "$d/cleaned"`)
	w.tool("attrd_updater", "")
	w.tool("postgres", `echo "postgres (PostgreSQL) 15.6"`)
	w.tool("pg_basebackup", `for a; do case "$a" in --pgdata=*) t=${a#--pgdata=};; esac; done
mkdir -p "$t/base/1"; echo 15 > "$t/PG_VERSION"; echo theirs > "$t/pg_hba.conf"; echo theirs > "$t/theirs.conf"; echo "10/20 kB (50%), 0/1 tablespace" >&2
while [ -e "$d/hang" ]; do touch "$d/hanging"; sleep 0.05; done`)

	me, err := user.Current()
	require.NoError(t, err)
	uid, err := strconv.ParseUint(me.Uid, 10, 32)
	require.NoError(t, err)
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}, Stdout: &w.out, Stderr: &w.out}, output: outputText, now: time.Now}
	f := divergedFacts(t)
	f.instance.Instance = pg.New(pg.Config{
		BinDir: w.dir, PGData: w.data, Host: w.dir, Port: 5432, User: command.User{Name: me.Username, UID: uint32(uid), Home: w.dir},
	})
	v := rejoinView{rejoinPlan: planRejoin(f, choices{clone: true}), Resource: "pgsqld-clone", primitive: "pgsqld"}
	require.False(t, v.Refused)
	w.r = newRejoiner(c, newSurveyor(c), f, v)
	w.r.every = 10 * time.Millisecond
	w.r.askSource = func(context.Context) (pg.Source, error) { return f.up, nil }
	return w
}

// when does something once a file is there.
func (w *rejoining) when(name string, do func()) {
	go func() {
		for range 3000 {
			if _, err := os.Stat(filepath.Join(w.dir, name)); err == nil {
				do()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
}

// released wants the constraint to have been made, and to be gone.
func (w *rejoining) released() {
	w.t.Helper()
	require.NoFileExists(w.t, filepath.Join(w.dir, "constraint"), w.out.String())
	require.Contains(w.t, w.calls(), "cibadmin --create --scope constraints --xml-text <rsc_location id=\"pgsqlms-rejoin-pgsqld-clone-on-n1\"")
	require.Contains(w.t, w.calls(), "cibadmin --delete --xpath //constraints/rsc_location[@id='pgsqlms-rejoin-pgsqld-clone-on-n1']\n")
}

// asBefore wants the data to be what they were, and nothing beside them.
func (w *rejoining) asBefore() {
	w.t.Helper()
	require.FileExists(w.t, filepath.Join(w.data, "base/1/1"))
	left, err := filepath.Glob(w.data + "?*")
	require.NoError(w.t, err)
	require.Empty(w.t, left)
}

func TestRejoinPutsNewDataInPlace(t *testing.T) {
	w := newRejoining(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel) // no PostgreSQL will start here
	code, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code)
	require.Equal(t, outcomeNotStreaming, w.r.v.Outcome, w.out.String())
	w.released()
	require.Contains(t, w.calls(), "crm_resource --cleanup --resource pgsqld --node n1\n")
	require.FileExists(t, filepath.Join(w.r.v.Kept, "base/1/1"), "the old data are kept")
	for file, want := range map[string]bool{
		"base/1": true, "base/1/1": false, "standby.signal": true, "conf.d/mine.conf": true, "postgresql.auto.conf": true, "theirs.conf": false,
	} {
		_, err := os.Stat(filepath.Join(w.data, file))
		require.Equal(t, want, err == nil, file)
	}
	text, err := os.ReadFile(filepath.Join(w.data, "pg_hba.conf"))
	require.NoError(t, err)
	require.Equal(t, "15\n", string(text), "this node's own")
	require.NoDirExists(t, w.data+".pgsqlms-rejoin")
}

func TestRejoinDiscardsOldData(t *testing.T) {
	w := newRejoining(t)
	w.r.v.Keep, w.r.v.noRoom = false, true
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel)
	_, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Empty(t, w.r.v.Kept)
	require.FileExists(t, filepath.Join(w.data, "conf.d/mine.conf"))
	require.NoFileExists(t, filepath.Join(w.data, "base/1/1"))
	left, err := filepath.Glob(w.data + "?*")
	require.NoError(t, err)
	require.Empty(t, left)
}

// The constraint goes on every way out, and the data stay as they were.
func TestRejoinLeavesAllAsItWas(t *testing.T) {
	t.Run("after a signal in the middle", func(t *testing.T) {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			w := newRejoining(t)
			w.write("hang", "")
			ctx, stop := signal.NotifyContext(t.Context(), s)
			w.when("hanging", func() { _ = syscall.Kill(syscall.Getpid(), s) })
			code, err := w.r.carryOut(ctx)
			stop()
			require.NoError(t, err)
			require.Equal(t, ExitUnknown, code)
			require.Equal(t, outcomeInterrupted, w.r.v.Outcome)
			require.Contains(t, w.out.String(), "the data of n1 are as they were")
			w.released()
			w.asBefore()
		}
	})
	t.Run("when pg_basebackup fails", func(t *testing.T) {
		w := newRejoining(t)
		w.tool("pg_basebackup", `echo "pg_basebackup: error: no space" >&2; exit 1`)
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.Contains(t, w.out.String(), "pg_basebackup ended with exit code 1: pg_basebackup: error: no space")
		w.released()
		w.asBefore()
	})
	t.Run("when the constraint may have been made", func(t *testing.T) {
		w := newRejoining(t)
		w.tool("cibadmin", `case "$1" in --create) touch "$d/constraint"; exit 124;; --delete) rm -f "$d/constraint";; *) cat "$d/cib";; esac`)
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("when it is not removed at once", func(t *testing.T) {
		w := newRejoining(t)
		w.tool("pg_basebackup", "exit 1")
		w.write("stuck", "")
		_, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		w.released()
	})
	t.Run("when Pacemaker does not stop it", func(t *testing.T) {
		w := newRejoining(t)
		mon, err := os.ReadFile("../crm/testdata/healthy.mon.xml")
		require.NoError(t, err)
		w.write("mon", string(mon))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err = w.r.carryOut(ctx)
		require.NoError(t, err)
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("when there was a failover meanwhile", func(t *testing.T) {
		w := newRejoining(t)
		w.r.v.Primary = "n2"
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.Contains(t, w.out.String(), "n2 is no longer the primary: promoted is n3; nothing was done")
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("while another one is under way", func(t *testing.T) {
		w := newRejoining(t)
		other, err := w.r.found.instance.LockRejoin()
		require.NoError(t, err)
		defer other.Close()
		code, err := w.r.carryOut(t.Context())
		require.ErrorIs(t, err, pg.ErrRejoining)
		require.Equal(t, ExitUnknown, code)
		require.NoFileExists(t, filepath.Join(w.dir, "calls"))
	})
}

// Where the old data had to go first, a rejoin that is broken off says that it is half-done, keeps this node's own files,
// and the next one uses them.
func TestRejoinHalfDone(t *testing.T) {
	w := newRejoining(t)
	w.r.v.Keep, w.r.v.noRoom = false, true
	w.tool("pg_basebackup", `exit 1`)
	_, err := w.r.carryOut(t.Context())
	require.NoError(t, err)
	w.released()
	require.NoDirExists(t, w.data)
	require.Contains(t, w.out.String(), "the work is half-done in "+w.data+".pgsqlms-rejoin")
	found, err := w.r.found.instance.Instance.UnfinishedRejoin()
	require.NoError(t, err)
	require.Equal(t, w.data+".pgsqlms-rejoin", found, "the agent refuses to start it")

	w.tool("pg_basebackup", `for a; do case "$a" in --pgdata=*) t=${a#--pgdata=};; esac; done; mkdir "$t"; echo 15 > "$t/PG_VERSION"`)
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel)
	again := newRejoiner(w.r.c, newSurveyor(w.r.c), w.r.found, w.r.v)
	again.askSource = w.r.askSource
	_, err = again.carryOut(ctx)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(w.data, "conf.d/mine.conf"))
	require.NoDirExists(t, w.data+".pgsqlms-rejoin")
}

// What a rejoin has left behind beside whole data is only removed.
func TestRejoinSweeps(t *testing.T) {
	w := newRejoining(t)
	require.NoError(t, os.MkdirAll(w.data+".pgsqlms-rejoin/old/base", 0o700))
	w.r.v.Way = waySweep
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel)
	_, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.NotContains(t, w.calls(), "pg_basebackup")
	w.released()
	w.asBefore()

	w = newRejoining(t) // whose data are not whole, after all
	require.NoError(t, os.Remove(filepath.Join(w.data, "global/pg_control")))
	require.NoError(t, os.Mkdir(w.data+".pgsqlms-rejoin", 0o700))
	require.NoError(t, os.WriteFile(w.data+".pgsqlms-rejoin/own.complete", nil, 0o600))
	w.r.v.Way = waySweep
	_, err = w.r.carryOut(t.Context())
	require.NoError(t, err)
	require.Contains(t, w.out.String(), "the data are not whole")
	require.FileExists(t, w.data+".pgsqlms-rejoin/own.complete")
	w.released()
}

func TestRejoinAsks(t *testing.T) {
	got := runs(t, nil, "rejoin")
	require.Equal(t, ExitUsage, got.code)
	require.Contains(t, got.errout, "expected --yes or --dry-run")
	require.Equal(t, ExitUsage, runs(t, nil, "rejoin", "n2", "--yes").code)
}
