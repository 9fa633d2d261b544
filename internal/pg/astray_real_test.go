//go:build realpg

package pg

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// A node loses its power in its promotion, when the file of timeline 2 is written and nothing of that timeline is, and
// another one begins timeline 3. Should it stream by itself, PostgreSQL has learned to change its mind.
func TestRealAstray(t *testing.T) {
	p, s := family(t, "a", "b")
	a, b := s[0], s[1]
	p.stop(Immediate)
	held := a.standing().End.LSN
	a.stop(Immediate)
	a.plant("pg_wal/00000002.history", fmt.Sprintf("1\t%s\tno recovery target specified\n", held))
	require.NoError(t, b.SkipTimeline(t.Context(), 2))
	b.promote()
	require.Equal(t, wal.Timeline(3), b.position().Timeline)

	require.NoError(t, a.SetStandby(t.Context()))
	a.follow(b, "a")
	a.start()
	a.waitLogged("new timeline 3 is not a child of database system timeline ")
	want := b.sends()
	want.Astray = 2
	require.Equal(t, want, a.askPrimary())

	// Started with both files it would follow the later one, and is not to be started again.
	conninfo := a.sql("SHOW primary_conninfo")
	a.stop(Fast)
	a.configure("primary_conninfo = ''")
	a.start()
	startup := a.process("startup")
	signal(t, startup, syscall.SIGSTOP)
	a.asks(conninfo)
	require.Equal(t, wal.Timeline(1), a.standing().Replayed.Timeline)
	require.Equal(t, b.sends(), a.askPrimary())
	signal(t, startup, syscall.SIGCONT)
	b.waitStreaming("a")
	require.Equal(t, b.sends(), a.askPrimary())
}
