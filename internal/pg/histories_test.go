package pg

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/wal"
)

func TestHistoryFiles(t *testing.T) {
	i := New(Config{PGData: t.TempDir(), User: command.User{UID: uint32(os.Geteuid())}})
	_, err := i.HistoryFiles()
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.Mkdir(i.path("pg_wal"), 0o700))
	path := func(name string) string { return filepath.Join(i.path("pg_wal"), name) }
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(path(name), []byte(text), 0o600))
	}
	write("00000003.history", "1\t0/3000000\tno recovery target specified\n\n2\t0/4000000\tat restore point\n")
	write("00000002.history", "1\t0/3000000\tno recovery target specified\n")
	write("00000004.history", "# pgsqlms: another node began timeline 4\n")
	write("00000005.history", "no history\n")
	write("000000020000000000000003", "")
	write("0000000A.history.done", "")
	require.NoError(t, os.Symlink(path("00000002.history"), path("00000006.history")))
	require.NoError(t, syscall.Mkfifo(path("00000007.history"), 0o600))
	written := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	require.NoError(t, os.Chtimes(path("00000003.history"), written, written))

	files, err := i.HistoryFiles()
	require.NoError(t, err)
	require.Len(t, files, 6)
	for n, f := range files {
		require.Equal(t, wal.Timeline(n+2), f.History.Timeline, "in rising order")
	}
	require.Equal(t, wal.Ancestor{Timeline: 2, End: 0x4000000}, files[1].History.Parent())
	require.True(t, files[1].Modified.Equal(written))
	require.True(t, files[2].Skipped)
	require.NoError(t, files[2].Err)
	for _, n := range []int{3, 4, 5} {
		require.Error(t, files[n].Err, "a damaged file, a link, a pipe")
		require.False(t, files[n].Skipped)
	}
	require.ErrorIs(t, files[5].Err, ErrNotRegular)
}
