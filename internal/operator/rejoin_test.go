package operator

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/jackc/pgx/v5/pgconn"
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
		upSQL: pg.RewindSource{Allowed: true, FullPageWrites: true, Timeline: 3, Checkpoint: 3}, upSize: 2 * gigabyte,
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
	diverged("no-sql", choices{}, func(f *rejoinFacts) { f.sqlErr, f.upSQL, f.upSize = refused{errPgHba, "28000"}, pg.RewindSource{}, 0 })
	diverged("no-rights-for-sql", choices{}, func(f *rejoinFacts) {
		f.sqlErr, f.upSQL = refused{errors.New("permission denied for function pg_control_checkpoint"), "42501"}, pg.RewindSource{}
	})
	diverged("sql-unanswered", choices{}, func(f *rejoinFacts) {
		f.sqlErr, f.upSQL, f.upSize = refused{errors.New("n3:5432: the server refuses the connection: sorry, too many clients already (SQLSTATE 53300)"), "53300"}, pg.RewindSource{}, 0
	})
	diverged("sql-never-answered", choices{}, func(f *rejoinFacts) {
		f.sqlErr, f.upSQL, f.upSize = refused{errors.New(`n3:5432: the server refuses the connection: database "postgres" does not exist (SQLSTATE 3D000)`), "3D000"}, pg.RewindSource{}, 0
	})
	diverged("sql-unanswered-clone", choices{clone: true}, func(f *rejoinFacts) { f.sqlErr, f.upSQL, f.upSize = errSlow, pg.RewindSource{}, 0 })
	diverged("no-room", choices{}, func(f *rejoinFacts) { f.premises.Free = gigabyte })
	diverged("no-room-clone-discard", choices{clone: true, discard: true}, func(f *rejoinFacts) { f.premises.Free = gigabyte })
	diverged("no-room-no-sql-discard", choices{clone: true, discard: true}, func(f *rejoinFacts) {
		f.premises.Free, f.sqlErr, f.upSQL, f.upSize = gigabyte, refused{errPgHba, "28000"}, pg.RewindSource{}, 0
	})
	diverged("no-room-sql-unanswered-discard", choices{clone: true, discard: true}, func(f *rejoinFacts) {
		f.premises.Free, f.sqlErr, f.upSQL, f.upSize = gigabyte, refused{errors.New("sorry, too many clients already"), "53300"}, pg.RewindSource{}, 0
	})
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
	diverged("constraint-left", choices{}, func(f *rejoinFacts) { f.up.Divergence, f.cib.Locations = nil, keptAway("n1") })
	standby("constraint-left-streaming", choices{}, func(f *rejoinFacts) {
		f.local, f.cib.Locations = standbyAt(at(2, 0x1742228)), keptAway("n2")
	})
	diverged("constraint-left-no-slot", choices{}, func(f *rejoinFacts) {
		f.up.Divergence, f.cib.Locations, f.slot = nil, keptAway("n1"), "n1"
	})
	diverged("ruled-out", choices{}, func(f *rejoinFacts) {
		f.cib.Locations = []crm.Location{{ID: "on-the-net", Resource: "pgsqld-clone", Score: -crm.Infinity, Rule: true}}
		f.state.Bans = []crm.Ban{{ID: "on-the-net", Resource: "pgsqld-clone", Node: "n1", Score: -crm.Infinity}}
	})
	diverged("no-room-discard", choices{discard: true}, func(f *rejoinFacts) { f.premises.Free = gigabyte })
	diverged("no-room-at-all-discard", choices{discard: true}, func(f *rejoinFacts) { f.premises.Free, f.premises.Size, f.upSize = gigabyte, gigabyte, 3*gigabyte })
	diverged("other-system", choices{}, func(f *rejoinFacts) { f.disk.System = "7002" })
	diverged("other-version", choices{}, func(f *rejoinFacts) { f.up.Major = 16 })
	diverged("no-primary", choices{}, func(f *rejoinFacts) {
		f.primary, f.state.Instances, f.fromErr = "", nil, errNotAsked
	})
	diverged("primary-lost", choices{}, func(f *rejoinFacts) {
		f.state.Nodes[2].Unclean, f.primary, f.fromErr = true, "", errNotAsked
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
	diverged("own-files-apart", choices{}, func(f *rejoinFacts) {
		f.diskErr = pg.ErrDamaged
		f.premises.Unfinished, f.premises.OwnApart = true, "/var/lib/postgresql/15/main.pgsqlms-rejoin/own"
	})
	standby("streaming", choices{}, func(f *rejoinFacts) { f.local = standbyAt(at(2, 0x1742228)) })
	standby("streaming-clone", choices{clone: true}, func(f *rejoinFacts) { f.local = standbyAt(at(2, 0x1742228)) })
	waitsFor := func(f *rejoinFacts, names string, rows ...pg.StandbyReport) {
		f.local, f.others["n1"] = standbyAt(at(2, 0x1742228)), primaryAt(at(2, 0x1742228), rows...)
		there := f.others["n1"]
		there.report.SynchronousStandbyNames = names
		f.others["n1"] = there
	}
	standby("clone-of-the-last-synchronous", choices{clone: true}, func(f *rejoinFacts) {
		waitsFor(f, "ANY 1 (n1, n2, n3)", streamingAt("n2", 0x1742228))
	})
	standby("clone-of-a-needed-synchronous", choices{clone: true}, func(f *rejoinFacts) {
		waitsFor(f, "ANY 2 (n1, n2, n3)", streamingAt("n2", 0x1742228), streamingAt("n3", 0x1742228))
	})
	standby("clone-of-an-asynchronous", choices{clone: true}, func(f *rejoinFacts) {
		row := streamingAt("n2", 0x1742228)
		row.SyncState = "async"
		waitsFor(f, "ANY 1 (n3)", row)
	})
	standby("clone-unseen", choices{clone: true}, func(f *rejoinFacts) {
		f.local, f.others["n1"] = standbyAt(at(2, 0x1742228)), silent(errPgHba)
	})
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
	slots := func(name string, o choices, change func(f *rejoinFacts)) {
		diverged(name, o, func(f *rejoinFacts) {
			f.slot, f.upSQL.Slots = "n1", []pg.Slot{{Name: "n1", Status: "reserved"}, {Name: "n2", Active: true}}
			change(f)
		})
	}
	slots("slot", choices{}, func(f *rejoinFacts) {
		f.premises.Slots = []pg.OwnSlot{{Name: "cdc", Kind: pg.SlotLogical}, {Name: "n2", Kind: pg.SlotPhysical}, {Name: "n3", Kind: pg.SlotPhysical}, {Name: "x", Kind: pg.SlotUnknown}}
	})
	slots("slot-missing", choices{}, func(f *rejoinFacts) { f.upSQL.Slots = f.upSQL.Slots[1:] })
	slots("slot-lost-clone", choices{clone: true}, func(f *rejoinFacts) { f.upSQL.Slots[0].Status = pg.SlotLost })
	slots("slot-lost-18-clone", choices{clone: true}, func(f *rejoinFacts) {
		f.upSQL.Slots[0].Status, f.programs, f.data, f.up.Major = pg.SlotLost, 18, 18, 18
	})
	slots("slot-not-to-be-seen", choices{}, func(f *rejoinFacts) {
		f.upSQL.Slots, f.upSQL.SlotsErr = nil, refused{errors.New("permission denied for view pg_replication_slots"), "42501"}
	})
	slots("slot-logical", choices{}, func(f *rejoinFacts) { f.upSQL.Slots[0].Logical = true })
	slots("slot-in-use", choices{}, func(f *rejoinFacts) { f.upSQL.Slots[0].Active = true })
	slots("slot-misnamed", choices{}, func(f *rejoinFacts) { f.slot = "n1'); drop" })
	slots("slot-unseen", choices{}, func(f *rejoinFacts) { f.sqlErr, f.upSQL, f.upSize = refused{errPgHba, "28000"}, pg.RewindSource{}, 0 })
	diverged("slot-unknown", choices{}, func(f *rejoinFacts) {
		f.settingsErr = errors.New("cannot find out setting primary_slot_name: no such file")
	})
	standby("slot-refused-clone", choices{clone: true}, func(f *rejoinFacts) {
		f.slot, f.sqlErr, f.upSQL = "n2", refused{errPgHba, "28000"}, pg.RewindSource{}
		f.asked.Refusal = `replication slot "n2" does not exist`
	})
	standby("slot-invalidated", choices{}, func(f *rejoinFacts) {
		f.slot, f.sqlErr, f.upSQL = "n2", refused{errPgHba, "28000"}, pg.RewindSource{}
		f.asked.Refusal = `can no longer access replication slot "n2" (This replication slot has been invalidated due to "wal_removed".)`
	})
	standby("slot-idle", choices{}, func(f *rejoinFacts) {
		f.slot, f.sqlErr, f.upSQL = "n2", refused{errPgHba, "28000"}, pg.RewindSource{}
		f.asked.Refusal = `can no longer access replication slot "n2" (This replication slot has been invalidated due to "idle_timeout".)`
	})
	standby("slot-of-a-consumer", choices{}, func(f *rejoinFacts) {
		f.slot, f.sqlErr, f.upSQL = "n2", refused{errPgHba, "28000"}, pg.RewindSource{}
		f.asked.Refusal = "cannot use a logical replication slot for physical replication"
	})
	standby("slot-refused-otherwise", choices{}, func(f *rejoinFacts) {
		f.slot, f.sqlErr, f.upSQL = "n2", refused{errPgHba, "28000"}, pg.RewindSource{}
		f.asked.Refusal = "must be superuser or replication role to use replication slots"
	})
	standby("slot-streaming-clone", choices{clone: true}, func(f *rejoinFacts) {
		f.local, f.slot, f.upSQL.Slots = standbyAt(at(2, 0x1742228)), "n2", []pg.Slot{{Name: "n2", Active: true, Status: "extended"}}
		f.premises.Slots = []pg.OwnSlot{{Name: "n1", Kind: pg.SlotPhysical}}
	})
	standby("alone", choices{}, func(f *rejoinFacts) { f.askedErr = errSlow })
	standby("on-the-primary", choices{}, func(f *rejoinFacts) {
		f.survey = situations(t)["lagging"]
		f.node, f.fromErr = "n1", errNotAsked
	})
	return all
}

// refused is what a server has said, with its code.
type refused struct {
	error
	code string
}

func (r refused) Unwrap() error { return &pgconn.PgError{Code: r.code} }

// keptAway is the constraint of a rejoin that was killed.
func keptAway(node string) []crm.Location {
	return []crm.Location{{ID: crm.RejoinID("pgsqld-clone", node), Resource: "pgsqld-clone", Node: node, Score: -crm.Infinity}}
}

type rejoinCase struct {
	facts rejoinFacts
	choices
}

// What is said, and what would be done, of each situation.
func TestRejoinPlanOfEachSituation(t *testing.T) {
	refused := []string{"no-room", "tablespaces", "wal-link-clone", "mounted", "other-system", "other-version", "no-primary", "primary-lost", "sql-unanswered", "no-room-no-sql-discard",
		"slot-missing", "slot-lost-18-clone", "slot-logical", "slot-misnamed", "slot-refused-clone", "slot-invalidated", "slot-idle", "slot-of-a-consumer", "slot-refused-otherwise",
		"no-room-sql-unanswered-discard", "ruled-out",
		"primary-unreachable", "primary-by-hand", "follows", "alone", "on-the-primary", "half-done-tablespaces", "half-done-no-room",
		"relative-link", "slow", "no-configuration", "own-unreadable", "logs", "not-compared", "archive", "archive-replaying",
		"streams-from-another", "streams-again-and-again", "streams-another-timeline", "mounted-inside", "mounted-left-over",
		"stuck-left-over", "unremovable-discard", "mounts-unknown", "strange", "contested", "not-mounted-in-fstab",
		"wal-not-mounted", "clone-of-the-last-synchronous", "clone-of-a-needed-synchronous"}
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

// The primary is asked for its size, which takes it a while, only where a plan goes by that.
func TestRejoinGoesByTheSizeOfACopyOnly(t *testing.T) {
	cases := rejoins(t)
	for name, want := range map[string]bool{
		"diverged": false, "streaming": false, "left-over": false, "constraint-left": false, "follows": false, "other-system": false,
		"diverged-discard": true, "diverged-clone": true, "lost": true, "damaged": true, "no-room-clone-discard": true,
	} {
		require.Equal(t, want, planRejoin(cases[name].facts, cases[name].choices).bySize, name)
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
		"no-rights": wayClone, "no-sql": wayClone, "no-rights-for-sql": wayClone, "sql-unanswered-clone": wayClone, "no-room-clone-discard": wayClone, "half-done": wayClone, "lost": wayClone, "left-over": waySweep,
		"moved": wayRewind, "moved-follows": waySweep, "damaged": wayClone, "unsized": wayRewind, "not-compared-clone": wayClone, "archive-clone": wayClone,
		"archive-lost": wayClone, "streaming-clone": wayClone, "alone-clone": wayClone, "clone-of-an-asynchronous": wayClone, "clone-unseen": wayClone,
		"constraint-left": waySweep, "constraint-left-streaming": waySweep, "no-room-discard": wayRewind, "unremovable": wayRewind,
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
	for name, instead := range map[string]bool{"diverged-discard": false, "no-room-discard": true, "no-room-at-all-discard": true} {
		p := planRejoin(cases[name].facts, cases[name].choices)
		require.Equal(t, instead, p.noRoom, name)
		require.Equal(t, name == "no-room-at-all-discard", p.noClone != "", name)
	}
	for name, only := range map[string]bool{"constraint-left": true, "constraint-left-streaming": true, "left-over": false, "moved-follows": false} {
		require.Equal(t, only, planRejoin(cases[name].facts, cases[name].choices).onlyRelease, name)
	}
	own := divergedFacts(t)
	own.cib.Locations = keptAway("n1")
	require.False(t, planRejoin(own, choices{}).Refused, "one that was killed has left it")
	same := divergedFacts(t)
	same.disk.Timeline = 3
	require.Contains(t, planRejoin(same, choices{}).WhyClone, "pg_rewind goes by the timelines")
	pending := divergedFacts(t)
	pending.up.Divergence.Pending = true
	require.Equal(t, wayClone, planRejoin(pending, choices{}).Way)
}

// A node that is lost is still held for promoted until it is fenced, and so is one whose promotion failed.
func TestRejoinTakesDataFromNoPrimaryThatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *rejoinFacts)
		says   string
	}{
		"well":   {func(*rejoinFacts) {}, ""},
		"lost":   {func(f *rejoinFacts) { f.state.Nodes[2].Unclean = true }, "n3, which is lost and not fenced yet"},
		"leaves": {func(f *rejoinFacts) { f.state.Nodes[2].Shutdown = true }, "n3, which is leaving the cluster"},
		"failed": {func(f *rejoinFacts) {
			text, err := os.ReadFile("../crm/testdata/diverged.cib.xml")
			require.NoError(t, err)
			before, after, _ := strings.Cut(string(text), `operation="promote"`)
			f.cib, err = crm.ParseCIB(before + `operation="promote"` + strings.Replace(after, `rc-code="0"`, `rc-code="1"`, 1))
			require.NoError(t, err)
		}, "n3, whose promotion failed"},
		"two": {func(f *rejoinFacts) {
			f.state.Instances = append(f.state.Instances, crm.Instance{Resource: "pgsqld", Node: "n2", Role: crm.RolePromoted})
		}, "n3, n2"},
	} {
		f := divergedFacts(t)
		c.change(&f)
		node, who := f.sourceNode()
		r := rejoiner{found: divergedFacts(t), v: rejoinView{rejoinPlan: rejoinPlan{Primary: "n3"}}}
		r.found.cib = f.cib
		err := r.stillPrimary(f.state)
		if c.says == "" {
			require.NoError(t, err)
			require.Equal(t, "n3", node)
			continue
		}
		require.Empty(t, node, name)
		require.Equal(t, c.says, who, name)
		require.ErrorContains(t, err, "n3 is no longer the primary: promoted is "+c.says, name)
		require.True(t, planRejoin(f, choices{}).Refused, name)
	}
}

// Only a ban that holds now is one, whatever gives it.
func TestRejoinGoesByTheBansInEffect(t *testing.T) {
	f := divergedFacts(t)
	ban := crm.Location{ID: "cli-ban-pgsqld-clone-on-n1", Resource: "pgsqld-clone", Node: "n1", Score: -crm.Infinity, Rule: true}
	f.cib.Locations = []crm.Location{ban}
	require.False(t, planRejoin(f, choices{}).Refused, "its lifetime is over")

	told := crm.Ban{ID: ban.ID, Resource: ban.Resource, Node: "n1", Score: -crm.Infinity}
	f.state.Bans = []crm.Ban{told}
	require.True(t, planRejoin(f, choices{}).Refused)
	f.cib.Locations = []crm.Location{{ID: ban.ID, Node: "n1", Score: -crm.Infinity}}
	require.True(t, planRejoin(f, choices{}).Refused, "by a pattern")
	f.state.Bans[0].Promoted = true
	require.False(t, planRejoin(f, choices{}).Refused, "it may be a standby")
	f.state.Bans[0], f.state.Bans[0].Node = told, "n2"
	require.False(t, planRejoin(f, choices{}).Refused)
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
		v.Outcome, v.Reason, v.Placed, v.Used = outcomeInterrupted, "interrupted", true, wayClone
		v.Kept = "/data/main.before-rejoin-20261121T175230Z"
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Used, v.Copied, v.Left = outcomeDone, wayClone, 2*gigabyte, "/data/main.before-rejoin-20261121T175230Z"
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Reason, v.idle = outcomeFailed, "another rejoin of this data directory, or of one beside it, is under way: /data is locked", true
	})
	show(func(v *rejoinView) {
		v.Outcome, v.Reason, v.idle = outcomeRefused, "by now the primary is n2, and it was n3; run it again", true
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
	w.r.tryBackup = func(context.Context) error { return nil }
	w.r.look = func(context.Context) (rejoinFacts, rejoinPlan, error) { return w.r.found, w.r.v.rejoinPlan, nil }
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
	require.Equal(t, ExitUnknown, code)
	require.Equal(t, outcomeInterrupted, w.r.v.Outcome, w.out.String())
	require.True(t, w.r.v.Placed)
	require.Contains(t, w.out.String(), "n1 has new data, with which Pacemaker starts it")
	require.NotContains(t, w.out.String(), "as they were")
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

// Old data are not removed for a copy that the primary would not give.
func TestRejoinDropsNothingForNoCopy(t *testing.T) {
	w := newRejoining(t)
	w.r.v.Keep, w.r.v.noRoom = false, true
	w.r.tryBackup = func(context.Context) error {
		return fmt.Errorf("a second connection for replication: %w", refused{errors.New("too many clients"), "53300"})
	}
	code, err := w.r.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	require.Contains(t, w.r.v.Reason, "n3 would not give pg_basebackup what it needs, and the old data were not removed for it: a second connection for replication: too many clients")
	require.NotContains(t, w.calls(), "pg_basebackup")
	w.released()
	w.asBefore()
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
		w.running()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := w.r.carryOut(ctx)
		require.NoError(t, err)
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("when there was a failover meanwhile", func(t *testing.T) {
		w := newRejoining(t)
		w.write("after", w.promoted("n2"))
		w.tool("cibadmin", `case "$1" in --create) touch "$d/constraint"; cp "$d/after" "$d/mon";; --delete) rm -f "$d/constraint";; *) cat "$d/cib";; esac`)
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.Contains(t, w.out.String(), "n3 is no longer the primary: promoted is n2; nothing was done")
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("while another one is under way", func(t *testing.T) {
		w := newRejoining(t)
		w.r.c.output = outputJSON
		other, err := w.r.found.instance.LockRejoin()
		require.NoError(t, err)
		defer other.Close()
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, ExitUnknown, code)
		require.NoFileExists(t, filepath.Join(w.dir, "calls"))
		shown := map[string]any{}
		require.NoError(t, json.Unmarshal(w.out.Bytes(), &shown), w.out.String())
		require.Equal(t, "failed", shown["outcome"])
		require.Contains(t, shown["reason"], pg.ErrRejoining.Error())
	})
}

// running has crm_mon say that Pacemaker runs the instance here, as a standby.
func (w *rejoining) running() {
	w.t.Helper()
	mon, err := os.ReadFile(filepath.Join(w.dir, "mon"))
	require.NoError(w.t, err)
	const stopped, onNone = `role="Stopped" active="false"`, `nodes_running_on="0"/>`
	require.Contains(w.t, string(mon), stopped)
	w.write("mon", strings.NewReplacer(stopped, `role="Unpromoted" active="true"`, onNone, `nodes_running_on="1"><node name="n1" id="1"/></resource>`).Replace(string(mon)))
}

// promoted is what crm_mon would say with another primary than n3.
func (w *rejoining) promoted(node string) string {
	w.t.Helper()
	mon, err := os.ReadFile(filepath.Join(w.dir, "mon"))
	require.NoError(w.t, err)
	require.Equal(w.t, "n2", node, "the only other one that runs")
	return strings.NewReplacer(`role="Promoted"`, `role="Unpromoted"`, `role="Unpromoted"`, `role="Promoted"`).Replace(string(mon))
}

// The constraint would demote this node, should it be the primary by now: Pacemaker is asked again, and a constraint that is
// there already is seen, whatever the CIB said before the question.
func TestRejoinAsksAgainBeforeTheConstraint(t *testing.T) {
	w := newRejoining(t)
	w.write("mon", w.promoted("n2"))
	code, err := w.r.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	require.Contains(t, w.out.String(), "n3 is no longer the primary: promoted is n2; nothing was done")
	require.NotContains(t, w.calls(), "--create")
	w.asBefore()

	w = newRejoining(t)
	w.write("constraint", "") // since the survey
	w.tool("pg_basebackup", "exit 1")
	_, err = w.r.carryOut(t.Context())
	require.NoError(t, err)
	require.Contains(t, w.calls(), "pg_basebackup")
	require.NotContains(t, w.calls(), "--create")
	require.NoFileExists(t, filepath.Join(w.dir, "constraint"))

	w = newRejoining(t) // the survey has seen one that is not there any more
	w.r.found.cib.Locations = keptAway("n1")
	w.tool("pg_basebackup", "exit 1")
	_, err = w.r.carryOut(t.Context())
	require.NoError(t, err)
	w.released()
}

// A yes may come hours after the question, and another rejoin may have been here first: what is found by then decides.
func TestRejoinLooksAgainAfterTheQuestion(t *testing.T) {
	more := uint64(1 << 30)
	for name, c := range map[string]struct {
		now     func(p *rejoinPlan) error
		outcome outcome
		code    ExitCode
		says    string
	}{
		"streams":         {func(p *rejoinPlan) error { p.Nothing = true; return nil }, outcomeNothing, ExitWell, "n1 streams from n3: nothing to repair"},
		"another primary": {func(p *rejoinPlan) error { p.Primary = "n1"; return nil }, outcomeRefused, ExitWrong, "by now the primary is n1, and it was n3"},
		"another way": {func(p *rejoinPlan) error { p.Way, p.WhyClone, p.Ailment = waySweep, "", "whole"; return nil }, outcomeRefused, ExitWrong,
			"by now it would be a sweep (whole), and it was to be a clone (--clone asks for a new copy)"},
		"no room": {func(p *rejoinPlan) error { p.DropFirst = true; return nil }, outcomeRefused, ExitWrong, "by now there is no room any more"},
		"more slots lost": {func(p *rejoinPlan) error {
			p.LostSlots, p.lostSlots = []string{"cdc"}, []string{"the logical replication slots of n1 itself: cdc"}
			return nil
		}, outcomeRefused, ExitWrong, "by now more would be lost: the logical replication slots of n1 itself: cdc"},
		"more lost": {func(p *rejoinPlan) error { p.LostBytes, p.Lost = &more, "1 GB"; return nil }, outcomeRefused, ExitWrong, "by now more would be lost: 1 GB"},
		"an error": {func(p *rejoinPlan) error {
			p.Refused, p.Checks = true, append(findings{}, finding{Check: "quorum", Level: levelError, Found: "quorum no", Expected: "a quorum"})
			return nil
		}, outcomeRefused, ExitWrong, "by now quorum no, expected a quorum"},
		"not known": {func(*rejoinPlan) error { return errHangs }, outcomeFailed, ExitUnknown, "nothing was done: " + errHangs.Error()},
	} {
		w := newRejoining(t)
		w.r.look = func(context.Context) (rejoinFacts, rejoinPlan, error) {
			_, err := w.r.found.instance.LockRejoin()
			require.ErrorIs(t, err, pg.ErrRejoining, "nobody else begins meanwhile")
			p := w.r.v.rejoinPlan
			err = c.now(&p)
			return w.r.found, p, err
		}
		code, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.outcome, w.r.v.Outcome, name)
		require.Equal(t, c.code, code, name)
		require.Contains(t, strings.Join(strings.Fields(w.out.String()), " "), c.says, name)
		require.NoFileExists(t, filepath.Join(w.dir, "calls"), name)
		w.asBefore()
	}
	w := newRejoining(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, outcomeInterrupted, w.r.v.Outcome)
	require.NoFileExists(t, filepath.Join(w.dir, "calls"))
}

// What is looked at again is the whole, by the same rules.
func TestRejoinLooksAgainAtAll(t *testing.T) {
	w := newRejoining(t)
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}}, output: outputText, now: time.Now}
	w.tool("crm_node", "echo n1")
	w.tool("cibadmin", `echo '<cib><configuration><resources/></configuration></cib>'`)
	_, _, err := newRejoiner(c, newSurveyor(c), w.r.found, w.r.v).look(t.Context())
	require.ErrorContains(t, err, "the cluster has no resource")
}

// The same rule says before and afterwards whether a standby streams.
func TestRejoinedStreams(t *testing.T) {
	base := rejoins(t)["streaming"].facts
	for name, c := range map[string]struct {
		change func(f *rejoinFacts)
		doubt  string
		says   string
	}{
		"streams":          {func(*rejoinFacts) {}, "", ""},
		"silent":           {func(f *rejoinFacts) { f.local = silent(errNobody) }, "", "PostgreSQL does not answer"},
		"primary":          {func(f *rejoinFacts) { f.local.report.InRecovery = false }, "", "expected a standby"},
		"no receiver":      {func(f *rejoinFacts) { f.local.report.Receiver = nil }, "", "it runs, and does not stream"},
		"again and again":  {func(f *rejoinFacts) { f.local.report.Receive-- }, "", "what it has replayed long since"},
		"an old timeline":  {func(f *rejoinFacts) { f.local = standbyAt(at(1, 0x1742228)) }, "", "it streams timeline 1"},
		"a later timeline": {func(f *rejoinFacts) { f.local = standbyAt(at(3, 0x1742228)) }, "", ""},
		"another name": {func(f *rejoinFacts) {
			f.others["n1"] = primaryAt(at(2, 0x1742228), streamingAt("n3", 0x1742228))
		}, "", "n1 has no standby of the name n2"},
		"catching up": {func(f *rejoinFacts) {
			row := streamingAt("n2", 0x1742228)
			row.State = "catchup"
			f.others["n1"] = primaryAt(at(2, 0x1742228), row)
		}, "", "for n1 it is in state catchup"},
		"not seen": {func(f *rejoinFacts) { f.others["n1"] = silent(errPgHba) }, "n1 does not say whether to this node", ""},
	} {
		f := base
		f.others = map[string]answer{"n1": base.others["n1"]}
		c.change(&f)
		if f.local.report.Receiver != nil {
			receiver := *f.local.report.Receiver
			f.local.report.Receiver = &receiver
		}
		doubt, missing := f.streamsAgain()
		require.Contains(t, doubt, c.doubt, name)
		if c.says == "" {
			require.NoError(t, missing, name)
		} else {
			require.ErrorContains(t, missing, c.says, name)
		}
	}
}

// Why it does not stream the primary says itself, where it can be asked without being in the way.
func TestRejoinSaysWhyItDoesNotStream(t *testing.T) {
	streaming := standbyAt(at(2, 0x1742228))
	idle := standbyAt(at(2, 0x1742228))
	idle.report.Receiver = nil
	ends := standbyAt(at(2, 0x1742228))
	receiver := *ends.report.Receiver
	receiver.Status, ends.report.Receiver = "stopping", &receiver
	refusal := pg.Upstream{Refusal: `replication slot "n2" does not exist`}
	for name, c := range map[string]struct {
		last  answer
		says  pg.Upstream
		fails error
		want  string
	}{
		"refused":       {idle, refusal, nil, `; the primary says: replication slot "n2" does not exist`},
		"refused again": {ends, refusal, nil, `; the primary says: replication slot "n2" does not exist`},
		"unanswered":    {idle, pg.Upstream{}, errNobody, "; the primary does not answer it: " + errNobody.Error()},
		"nothing said":  {idle, pg.Upstream{}, nil, ""},
		"streams":       {streaming, refusal, nil, ""},
		"silent":        {silent(errNobody), refusal, nil, ""},
		"a primary":     {primaryAt(at(2, 0x1742228)), refusal, nil, ""},
	} {
		r := rejoiner{last: c.last, askUpstream: func(context.Context) (pg.Upstream, error) { return c.says, c.fails }}
		require.Equal(t, c.want, r.whyNot(t.Context()), name)
	}

	w := newRejoining(t)
	w.r.askSelf = func(context.Context) (pg.Report, error) { return idle.report, nil }
	w.r.askUpstream = func(context.Context) (pg.Upstream, error) { return refusal, nil }
	w.tool("crm_mon", "exit 1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, w.r.awaitStreaming(ctx), `: it runs, and does not stream; the primary says: replication slot "n2" does not exist`)
}

// Where nothing but the constraint of a killed rejoin is in the way, it goes, and nothing else is done: what runs is not
// stopped for it.
func TestRejoinReleases(t *testing.T) {
	w := newRejoining(t)
	w.write("constraint", "")
	w.running()
	w.r.v.Way, w.r.v.onlyRelease = waySweep, true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.when("cleaned", cancel)
	code, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	require.Contains(t, w.out.String(), "the data of n1 are as they were")
	require.NoFileExists(t, filepath.Join(w.dir, "constraint"))
	require.NotContains(t, w.calls(), "--create")
	require.Contains(t, w.calls(), "crm_resource --cleanup --resource pgsqld --node n1\n")
	w.asBefore()
}

// Failures that Pacemaker remembers keep the new data down, so they are forgotten also after a Ctrl-C.
func TestRejoinForgetsFailuresWhenInterrupted(t *testing.T) {
	w := newRejoining(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.r.c.Stdout = writerFunc(func(text []byte) (int, error) {
		if bytes.Contains(text, []byte("puts the new data")) {
			cancel()
		}
		return w.out.Write(text)
	})
	code, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	require.Equal(t, outcomeInterrupted, w.r.v.Outcome, w.out.String())
	require.Contains(t, w.calls(), "crm_resource --cleanup --resource pgsqld --node n1\n")
	require.NoDirExists(t, w.data+".pgsqlms-rejoin")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(text []byte) (int, error) { return f(text) }

// PostgreSQL's programs take the passphrase of a client's key in their arguments only.
func TestRejoinGivesNoPassphraseAway(t *testing.T) {
	w := newRejoining(t)
	w.tool("postgres", `echo "host=n3 sslkey=k sslpassword=secret"`)
	f := w.r.found
	var err error
	f.from, err = f.instance.RejoinConninfo(t.Context())
	require.NoError(t, err)
	p := planRejoin(f, choices{})
	require.True(t, p.Refused)
	require.Contains(t, fmt.Sprint(p.Checks), "sslpassword in primary_conninfo")
	require.NotContains(t, fmt.Sprint(p), "secret")
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
	again.askSource, again.tryBackup, again.look = w.r.askSource, w.r.tryBackup, w.r.look
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
