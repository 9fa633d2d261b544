//go:build realpg

package pg

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// logText is the server's log so far.
func (s *server) logText() string {
	s.t.Helper()
	log, err := os.ReadFile(s.file("log"))
	require.NoError(s.t, err)
	return string(log)
}

func (s *server) waitLogged(text string) {
	s.t.Helper()
	s.wait("its log says: "+text, func() bool { return strings.Contains(s.logText(), text) })
}

// promote waits for it, too.
func (s *server) promote() {
	s.t.Helper()
	require.NoError(s.t, s.Promote(s.t.Context()))
	s.wait("promoted", func() bool { return !s.status().InRecovery })
}

// family is a primary and standbys of it, which stream and hold what it has written.
func family(t *testing.T, names ...string) (primary *server, standbys []*server) {
	t.Helper()
	primary = newPrimary(t).start()
	for _, name := range names {
		standbys = append(standbys, newStandby(t, primary, name).start())
	}
	primary.write()
	for _, name := range names {
		primary.waitStreaming(name)
	}
	return primary, standbys
}

// deadBranch is three standbys of one primary, which is gone, of which a was
// promoted to timeline 2, wrote to it, and is gone before anybody has seen it.
func deadBranch(t *testing.T) (a, b, c *server) {
	t.Helper()
	p, s := family(t, "a", "b", "c")
	a, b, c = s[0], s[1], s[2]
	p.stop(Immediate)
	a.promote()
	a.write()
	a.stop(Immediate)
	return a, b, c
}

// redirect makes a standby ask another primary.
func (s *server) redirect(to *server, name string) {
	s.t.Helper()
	s.follow(to, name)
	require.NoError(s.t, s.Reload(s.t.Context()))
}

// Two timelines of one number: the hole that SkipTimeline mends. Should this fail,
// PostgreSQL has learned to tell them apart.
func TestRealTheSameTimelineTwice(t *testing.T) {
	a, b, _ := deadBranch(t)
	b.promote()
	require.Equal(t, wal.Timeline(2), b.status().Current.Timeline)
	b.sql("CREATE TABLE public.other AS SELECT generate_series(1, 100000) AS n")
	require.NoError(t, a.SetStandby(t.Context()))
	a.follow(b, "a")
	a.start()
	a.waitLogged("started streaming WAL from primary at 0/5000000 on timeline 2") // for a moment, and again
}

func TestRealSkipTimeline(t *testing.T) {
	a, b, c := deadBranch(t)
	require.NoError(t, b.SkipTimeline(t.Context(), 2))
	require.NoError(t, b.SkipTimeline(t.Context(), 2))
	b.waitLogged("new timeline 2 is not a child of database system timeline 1")
	require.Equal(t, wal.Timeline(1), b.standing().End.Timeline)
	info, err := os.Lstat(b.data("pg_wal/00000002.history"))
	require.NoError(t, err)
	require.Equal(t, here.user.UID, info.Sys().(*syscall.Stat_t).Uid)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	// The promotion does not come about, and the standby is started again.
	b.stop(Immediate)
	b.start()
	require.NoFileExists(t, b.data("pg_wal/00000002.history"))
	require.True(t, b.status().InRecovery)

	require.NoError(t, b.SkipTimeline(t.Context(), 2))
	b.promote()
	require.Equal(t, wal.Timeline(3), b.status().Current.Timeline)
	require.Equal(t, wal.Timeline(1), must(b.History(3)).Parent().Timeline)

	// Another standby follows, also after a start.
	c.redirect(b, "c")
	b.waitStreaming("c")
	require.Equal(t, wal.Timeline(3), c.standing().End.Timeline)
	require.Equal(t, must(os.ReadFile(b.data("pg_wal/00000002.history"))), must(os.ReadFile(c.data("pg_wal/00000002.history"))))
	c.stop(Immediate)
	c.start()
	b.write()
	b.waitStreaming("c")
	require.FileExists(t, c.data("pg_wal/00000002.history"), "its own standbys will ask for it")

	// The node that began timeline 2 is refused.
	require.NoError(t, a.SetStandby(t.Context()))
	a.follow(b, "a")
	a.start()
	a.waitLogged("requested timeline 2 is not in this server's history")
	for _, row := range b.status().Standbys {
		require.True(t, row.ApplicationName == "c" || row.State == "startup", "%+v", row)
	}
}

// A standby may have fetched the file of the skipped timeline, and been killed
// before it had the next one.
func TestRealSkippedTimelineFetchedAlone(t *testing.T) {
	_, b, c := deadBranch(t)
	require.NoError(t, b.SkipTimeline(t.Context(), 2))
	b.promote()
	c.stop(Kill)
	c.plant("pg_wal/00000002.history", string(must(os.ReadFile(b.data("pg_wal/00000002.history")))))
	c.follow(b, "c")
	c.start()
	b.waitStreaming("c")
	require.Equal(t, wal.Timeline(3), c.standing().End.Timeline)
}

func TestRealForgetSkipped(t *testing.T) {
	s := newPrimary(t)
	const skipped, genuine = "# nothing\n", "1\t0/3000000\tx\n"
	for name, text := range map[string]string{
		"00000002.history": skipped, "00000003.history": "", "00000004.history": genuine, // leads up to a real one
		"00000006.history": skipped, "00000007.history": "", // leads nowhere
		"00000009.history": "garbage", "0000000B.history": skipped + genuine,
		"0000000A.history.x": skipped, "C.history": "",
	} {
		s.plant("pg_wal/"+name, text)
	}
	require.NoError(t, s.forgetSkipped())
	left, err := filepath.Glob(s.data("pg_wal/*history*"))
	require.NoError(t, err)
	for n := range left {
		left[n] = filepath.Base(left[n])
	}
	require.Equal(t, []string{
		"00000002.history", "00000003.history", "00000004.history", "00000009.history", "0000000A.history.x", "0000000B.history", "C.history",
	}, left)
	s.start()
}

// What lies there already stays as it is, and no link leads anywhere.
func TestRealSkipTimelineInTheWay(t *testing.T) {
	s := newPrimary(t)
	s.plant("pg_wal/00000002.history", "1\t0/3000000\tx\n")
	require.NoError(t, s.SkipTimeline(t.Context(), 2))
	require.Equal(t, "1\t0/3000000\tx\n", string(must(os.ReadFile(s.data("pg_wal/00000002.history")))))

	require.NoError(t, os.Symlink("/etc/pgsqlms-planted", s.data("pg_wal/00000003.history")))
	require.NoError(t, os.Symlink("/etc/passwd", s.data("pg_wal/00000004.history")))
	require.NoError(t, os.Mkdir(s.data("pg_wal/00000005.history"), 0o777))
	for _, timeline := range []wal.Timeline{3, 4, 5} {
		require.ErrorIs(t, s.SkipTimeline(t.Context(), timeline), ErrNotRegular)
	}
	require.NoFileExists(t, "/etc/pgsqlms-planted")
	require.Error(t, s.SkipTimeline(t.Context(), 1))
	require.Error(t, s.SkipTimeline(t.Context(), 0))

	// pg_wal itself may be a link, as initdb -X makes it.
	require.NoError(t, os.Rename(s.data("pg_wal"), s.file("wal")))
	require.NoError(t, os.Symlink(s.file("wal"), s.data("pg_wal")))
	require.NoError(t, s.SkipTimeline(t.Context(), 6))
	require.FileExists(t, s.file("wal/00000006.history"))
	isRoot(t)
}
