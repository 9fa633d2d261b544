package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/pg"
)

// newRejoiningInPlace is a node whose data were not shut down, and are rewound where they are.
func newRejoiningInPlace(t *testing.T) *rejoining {
	t.Helper()
	w := newRejoining(t)
	w.write("state", "in production")
	w.tool("pg_controldata", `cat <<END
Database system identifier:           7001
Database cluster state:               $(cat "$d/state")
Latest checkpoint location:           0/1769CD0
Latest checkpoint's TimeLineID:       2
Minimum recovery ending location:     0/0
Min recovery ending loc's timeline:   0
wal_log_hints setting:                on
Bytes per WAL segment:                16777216
Data page checksum version:           0
END`)
	w.tool("postgres", `case "$1" in
--version) echo "postgres (PostgreSQL) 15.6";;
--single) while [ -e "$d/hang" ]; do touch "$d/hanging"; sleep 0.05; done; printf "shut down" > "$d/state";;
*) echo;;
esac`)
	w.rewinds(`echo "pg_rewind: Done!"`)
	w.r.v = rejoinView{rejoinPlan: planRejoin(w.r.found, choices{discard: true}), Resource: "pgsqld-clone", primitive: "pgsqld"}
	require.True(t, w.r.v.InPlace)
	w.r.askRewind = func(context.Context) (pg.RewindSource, error) { return w.r.found.upSQL, nil }
	return w
}

// rewinds is what pg_rewind does once it is not only to look.
func (w *rejoining) rewinds(script string) {
	w.tool("pg_rewind", `case "$*" in *--dry-run*) echo "pg_rewind: Done!"; exit;; esac
`+script)
}

// Before pg_rewind changes anything, whatever breaks the work off leaves the data in their place.
func TestRejoinInPlaceLeavesAllAsItWas(t *testing.T) {
	t.Run("after a signal in the crash recovery", func(t *testing.T) {
		w := newRejoiningInPlace(t)
		require.NoError(t, os.WriteFile(filepath.Join(w.data, "standby.signal"), nil, 0o600))
		w.write("hang", "")
		ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT)
		defer stop()
		w.when("hanging", func() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGINT) })
		_, err := w.r.carryOut(ctx)
		require.NoError(t, err)
		require.Equal(t, outcomeInterrupted, w.r.v.Outcome)
		require.Contains(t, w.out.String(), "the data of n1 are as they were")
		w.released()
		w.asBefore()
		require.FileExists(t, filepath.Join(w.data, "standby.signal"))
	})
	t.Run("when pg_rewind cannot connect", func(t *testing.T) {
		w := newRejoiningInPlace(t)
		w.r.v.noRoom = true
		w.rewinds(`echo "pg_rewind: error: could not connect to server: Connection refused" >&2; exit 1`)
		_, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Equal(t, outcomeFailed, w.r.v.Outcome)
		require.Contains(t, w.out.String(), "could not connect to server")
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("when pg_rewind cannot, and the primary is gone", func(t *testing.T) {
		w := newRejoiningInPlace(t)
		w.r.v.noRoom = true
		asked := 0
		w.r.askSource = func(context.Context) (pg.Source, error) {
			if asked++; asked > 1 { // it was there before the data were taken
				return pg.Source{}, errSlow
			}
			return w.r.found.up, nil
		}
		w.rewinds(`echo "pg_rewind: error: could not find previous WAL record" >&2; exit 1`)
		_, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Contains(t, w.r.v.Reason, "could not find previous WAL record; and no new copy takes its place: n3 cannot be asked any more")
		require.NotContains(t, w.calls(), "pg_basebackup")
		w.released()
		w.asBefore()
	})
	t.Run("when the primary was promoted again", func(t *testing.T) {
		w := newRejoiningInPlace(t)
		w.r.askSource = func(context.Context) (pg.Source, error) {
			again := w.r.found.up
			again.End.Timeline++
			return again, nil
		}
		_, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		require.Contains(t, w.out.String(), "n3 writes timeline 4, expected 3: it was promoted again")
		require.NotContains(t, w.calls(), "--progress")
		w.released()
		w.asBefore()
	})
}

// Where pg_rewind cannot for a reason of the data, a new copy takes its place, and the old data go last.
func TestRejoinClonesInsteadOfARewindInPlace(t *testing.T) {
	w := newRejoiningInPlace(t)
	w.rewinds(`echo "pg_rewind: error: could not find previous WAL record" >&2; exit 1`)
	w.tool("pg_basebackup", `[ -e "$d/data/base/1/1" ] || exit 1
for a; do case "$a" in --pgdata=*) t=${a#--pgdata=};; esac; done; mkdir "$t"; echo 15 > "$t/PG_VERSION"`)
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel)
	_, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, wayClone, w.r.v.Used, w.out.String())
	require.FileExists(t, filepath.Join(w.data, "conf.d/mine.conf"))
	require.NoFileExists(t, filepath.Join(w.data, "base/1/1"))
	require.NoDirExists(t, w.data+".pgsqlms-rejoin")
}

// What a crash recovery writes into the data directory itself is on disk when it says so; of a copy it need not be.
func TestRejoinRecoversInPlaceWithFsync(t *testing.T) {
	for discard, want := range map[bool]string{true: "postgres --single -D %s -c", false: "postgres --single -D %s -F -c"} {
		w := newRejoiningInPlace(t)
		w.rewinds("exit 1")
		w.tool("pg_basebackup", "exit 1")
		w.r.v.rejoinPlan = planRejoin(w.r.found, choices{discard: discard})
		_, err := w.r.carryOut(t.Context())
		require.NoError(t, err)
		dir := w.data
		if !discard {
			dir += ".pgsqlms-rejoin/data"
		}
		require.Contains(t, w.calls(), fmt.Sprintf(want, dir))
	}
}

// Once pg_rewind has begun, its data are never taken for whole again; what lay elsewhere is known to the next one.
func TestRejoinInPlaceHalfDone(t *testing.T) {
	w := newRejoiningInPlace(t)
	require.NoError(t, os.MkdirAll(filepath.Join(w.data, "pg_tblspc"), 0o700))
	require.NoError(t, os.Symlink("/space/1", filepath.Join(w.data, "pg_tblspc/16384")))
	require.NoError(t, os.Symlink("/wal/15", filepath.Join(w.data, "pg_wal")))
	w.rewinds(`echo "pg_rewind: need to copy 12 MB (total source directory size is 40 MB)" >&2
echo "pg_rewind: error: server closed the connection unexpectedly" >&2; exit 1`)
	_, err := w.r.carryOut(t.Context())
	require.NoError(t, err)
	w.released()
	require.Contains(t, w.out.String(), "the work is half-done in "+w.data+".pgsqlms-rejoin")
	require.NoDirExists(t, w.data)
	p, err := w.r.found.instance.Premises(t.Context())
	require.NoError(t, err)
	require.False(t, p.Exists)
	require.Equal(t, pg.Elsewhere{WALLink: "/wal/15", Tablespaces: 1}, p.Elsewhere)
	require.Positive(t, p.Left)
	f := w.r.found
	f.premises, f.diskErr, f.dataErr = p, pg.ErrDamaged, pg.ErrDamaged
	require.True(t, planRejoin(f, choices{}).Refused)
}

// Killed between the taking of the data and pg_rewind, they are found, looked at, and moved back.
func TestRejoinMovesDataBack(t *testing.T) {
	w := newRejoiningInPlace(t)
	killed, err := w.r.found.instance.LockRejoin()
	require.NoError(t, err)
	require.NoError(t, killed.Begin(t.Context()))
	require.NoError(t, killed.Take())
	killed.Close()
	require.NoDirExists(t, w.data)

	p, err := w.r.found.instance.Premises(t.Context())
	require.NoError(t, err)
	require.True(t, p.Exists && p.Unfinished)
	require.Equal(t, w.data+".pgsqlms-rejoin/data", p.Aside)
	_, err = w.r.found.instance.Instance.Aside(p.Aside).RejoinVersion()
	require.NoError(t, err)

	w.r.v.Way = waySweep
	ctx, cancel := context.WithCancel(t.Context())
	w.when("cleaned", cancel)
	_, err = w.r.carryOut(ctx)
	require.NoError(t, err)
	w.asBefore()
}

// A checkpoint may be under way, and the next one is spread over checkpoint_timeout again; pg_basebackup waits for one too.
func TestRejoinWaitsAsLongAsACheckpointTakes(t *testing.T) {
	for timeout, want := range map[time.Duration][2]time.Duration{
		0:                {40 * time.Minute, time.Hour}, // not known
		5 * time.Minute:  {40 * time.Minute, time.Hour},
		20 * time.Minute: {45 * time.Minute, time.Hour},
		24 * time.Hour:   {48*time.Hour + 5*time.Minute, 48*time.Hour + 5*time.Minute},
	} {
		r := rejoiner{c: &call{}}
		r.found.up.CheckpointTimeout = timeout
		require.Equal(t, want, [2]time.Duration{r.checkpointWait(), r.copyStall()}, timeout)
		r.c.checkpoint = true
		require.Equal(t, time.Hour, r.copyStall(), "it need not wait")
	}

	w := newRejoiningInPlace(t)
	unsettled := w.r.found.upSQL
	unsettled.Checkpoint = 2
	w.r.askRewind = func(context.Context) (pg.RewindSource, error) { return unsettled, nil }
	w.r.found.up.CheckpointTimeout = time.Hour
	for asked, says := range map[bool]string{true: "within 2 h 5 m", false: "within 2 h 5 m (--checkpoint asks for it at once)"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		w.r.c.checkpoint = asked
		err := w.r.awaitCheckpoint(ctx)
		cancel()
		require.EqualError(t, err, "n3 has made no checkpoint on its timeline "+says)
	}
	require.Contains(t, w.out.String(), "the role in primary_conninfo may not ask for it")
}

// A primary that goes away, or is another one, ends the waiting for its checkpoint: this node is kept down meanwhile.
func TestRejoinWaitsForNoPrimaryThatIsGone(t *testing.T) {
	unsettled := func(w *rejoining) pg.RewindSource {
		s := w.r.found.upSQL
		s.Checkpoint = 2
		return s
	}
	for name, c := range map[string]struct {
		says string
		ask  func(w *rejoining, times int) (pg.RewindSource, error)
	}{
		"it stops answering": {"n3 has not answered for 1 m", func(w *rejoining, times int) (pg.RewindSource, error) {
			if times > 3 {
				return pg.RewindSource{}, errSlow
			}
			return unsettled(w), nil
		}},
		"another one was promoted": {"n3 is no longer the primary: promoted is n2", func(w *rejoining, _ int) (pg.RewindSource, error) {
			w.write("mon", w.promoted("n2"))
			return pg.RewindSource{}, errors.New("recovery is in progress")
		}},
		"it was promoted again": {"n3 writes timeline 4, expected 3", func(w *rejoining, _ int) (pg.RewindSource, error) {
			s := unsettled(w)
			s.Timeline++
			return s, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newRejoiningInPlace(t)
			clock, times := time.Unix(1_000_000, 0), 0
			w.r.c.now = func() time.Time { return clock }
			w.r.askRewind = func(context.Context) (pg.RewindSource, error) {
				times++
				clock = clock.Add(10 * time.Second)
				return c.ask(w, times)
			}
			_, err := w.r.carryOut(t.Context())
			require.NoError(t, err)
			require.Equal(t, outcomeFailed, w.r.v.Outcome)
			require.Contains(t, w.out.String(), c.says)
			require.NotContains(t, w.calls(), "pg_rewind")
			w.released()
			w.asBefore()
		})
	}
}
