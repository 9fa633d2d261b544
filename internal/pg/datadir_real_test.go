//go:build realpg

package pg

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// secret is a file of root's that no test may get at.
func secret(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("15\n"), 0o600))
	for dir := filepath.Dir(path); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	return path
}

// plantings are what the system user could put in the place of a file.
func plantings(t *testing.T, path string) map[string]func() {
	t.Helper()
	target := secret(t)
	all := map[string]func(){
		"a link to a file of root's": func() { require.NoError(t, os.Symlink(target, path)) },
		"a link to nothing":          func() { require.NoError(t, os.Symlink("/nowhere", path)) },
		"a link to itself":           func() { require.NoError(t, os.Symlink(path, path)) },
		"a FIFO":                     func() { require.NoError(t, syscall.Mkfifo(path, 0o666)) },
		"a directory":                func() { require.NoError(t, os.Mkdir(path, 0o755)) },
		"a device":                   func() { require.NoError(t, syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|3)) },
	}
	for what, plant := range all {
		all[what] = func() {
			plant()
			require.NoError(t, os.Lchown(path, int(here.user.UID), int(here.user.GID)))
		}
	}
	return all
}

func TestRealPlantedVersion(t *testing.T) {
	s := newPrimary(t)
	path := s.data("PG_VERSION")
	for what, plant := range plantings(t, path) {
		require.NoError(t, os.RemoveAll(path))
		plant()
		_, err := s.Version()
		require.ErrorIs(t, err, ErrNotRegular, what)
	}
	require.NoError(t, os.RemoveAll(path))
	s.plant("PG_VERSION", "")
	require.NoError(t, os.Truncate(path, 1<<40))
	_, err := s.Version()
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestRealVersionFile(t *testing.T) {
	s := newPrimary(t)
	for text, want := range map[string]error{
		"": ErrVersionGarbage, "\n": ErrVersionGarbage, "abc\n": ErrVersionGarbage, "-1\n": ErrVersionGarbage,
		"15 \n": ErrVersionGarbage, "99999\n": ErrVersionGarbage, "9.6\n": ErrVersionUnsupported, "9\n": ErrVersionUnsupported,
		"11\n": ErrVersionUnsupported, "12\n": nil, "18\n": nil,
	} {
		s.plant("PG_VERSION", text)
		_, err := s.Version()
		require.ErrorIs(t, err, want, "%q", text)
	}
	require.NoError(t, os.Remove(s.data("PG_VERSION")))
	_, err := s.Version()
	require.ErrorIs(t, err, ErrVersionMissing)
	require.NoError(t, os.RemoveAll(s.file("data")))
	_, err = s.Version()
	require.ErrorIs(t, err, ErrDataDirMissing)
	require.NoError(t, os.WriteFile(s.file("data"), nil, 0o600))
	_, err = s.Version()
	require.ErrorIs(t, err, ErrNotDirectory)
}

func TestRealCheckVersionAndBinaries(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, s.CheckBinaries())
	require.NoError(t, s.CheckVersion(t.Context()))
	s.plant("PG_VERSION", "12\n")
	require.ErrorIs(t, s.CheckVersion(t.Context()), ErrVersionMismatch)

	s.cfg.BinDir = "/nowhere"
	require.ErrorIs(t, s.CheckBinaries(), ErrBinary)
	s.cfg.BinDir = s.file("bin")
	require.NoError(t, os.Mkdir(s.cfg.BinDir, 0o755))
	require.ErrorContains(t, s.CheckBinaries(), "postgres does not exist")
	for _, name := range []string{"postgres", "pg_ctl", "pg_controldata"} {
		require.NoError(t, os.WriteFile(s.tool(name), nil, 0o755))
	}
	require.NoError(t, s.CheckBinaries())
	require.NoError(t, os.Chmod(s.tool("pg_ctl"), 0o700)) // root's
	require.ErrorContains(t, s.CheckBinaries(), "pg_ctl cannot be executed")
	require.NoError(t, os.Remove(s.tool("pg_ctl")))
	require.NoError(t, os.Mkdir(s.tool("pg_ctl"), 0o755))
	require.ErrorContains(t, s.CheckBinaries(), "pg_ctl is a directory")
	require.NoError(t, os.Chmod(s.cfg.BinDir, 0o700))
	require.ErrorIs(t, s.CheckBinaries(), ErrBinary)
}

func TestRealCheckDataDir(t *testing.T) {
	s := newPrimary(t)
	require.NoError(t, s.CheckDataDir())
	for mode, want := range map[fs.FileMode]error{
		0o700: nil, 0o750: nil, 0o500: nil, 0o755: ErrDataDirAccess, 0o770: ErrDataDirAccess, 0o701: ErrDataDirAccess,
	} {
		require.NoError(t, os.Chmod(s.file("data"), mode))
		require.ErrorIs(t, s.CheckDataDir(), want, "%o", mode)
	}
	require.NoError(t, os.Chmod(s.file("data"), 0o700))
	require.NoError(t, os.Chown(s.file("data"), 0, 0))
	require.ErrorIs(t, s.CheckDataDir(), ErrDataDirAccess)
	s.own(s.file("data"))

	link := s.file("link")
	require.NoError(t, os.Symlink(s.file("data"), link))
	s.cfg.PGData, s.cfg.DataDir = link, link
	require.NoError(t, s.CheckDataDir())
	for path, want := range map[string]error{
		s.file("none"): ErrDataDirMissing, s.file("log"): ErrNotDirectory, s.file("loop"): ErrNotDirectory,
		s.file("log") + "/x": ErrNotDirectory, "relative": ErrNotDirectory, "": ErrNotDirectory,
		s.file("$(touch x)'\";"): ErrDataDirMissing,
	} {
		require.NoError(t, os.WriteFile(s.file("log"), nil, 0o600))
		os.Symlink(s.file("loop"), s.file("loop"))
		s.cfg.PGData, s.cfg.DataDir = path, path
		require.ErrorIs(t, s.CheckDataDir(), want, path)
	}
	s.cfg.DataDir, s.cfg.PGData = s.file("data"), s.file("conf")
	require.ErrorIs(t, s.CheckDataDir(), ErrDataDirMissing)
}

func TestRealSetStandby(t *testing.T) {
	s := newPrimary(t)
	path := s.data("standby.signal")
	there, err := s.StandbySignal()
	require.NoError(t, err)
	require.False(t, there)
	for range 2 { // twice is as good as once
		require.NoError(t, s.SetStandby(t.Context()))
		there, err = s.StandbySignal()
		require.NoError(t, err)
		require.True(t, there)
	}
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, here.user.UID, info.Sys().(*syscall.Stat_t).Uid)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	require.NoError(t, os.Chmod(s.file("data"), 0o750))
	require.NoError(t, os.Remove(path))
	require.NoError(t, s.SetStandby(t.Context()))
	info, err = os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode())

	for what, plant := range plantings(t, path) {
		require.NoError(t, os.RemoveAll(path))
		plant()
		require.ErrorIs(t, s.SetStandby(t.Context()), ErrNotRegular, what)
		_, err = s.StandbySignal()
		require.ErrorIs(t, err, ErrNotRegular, what)
	}
	require.NoFileExists(t, "/nowhere")
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.Chmod(s.file("data"), 0o500))
	err = s.SetStandby(t.Context())
	require.True(t, errors.Is(err, fs.ErrPermission), err)
}

// A version before 12 takes no notice of standby.signal, and would come up as a primary.
func TestRealSetStandbyOfAnOldVersion(t *testing.T) {
	s := newPrimary(t)
	s.plant("PG_VERSION", "11\n")
	require.ErrorIs(t, s.SetStandby(t.Context()), ErrVersionUnsupported)
	require.NoFileExists(t, s.data("standby.signal"))
}

func TestRealPlantedHistory(t *testing.T) {
	s := newPrimary(t)
	path := s.data("pg_wal/00000002.history")
	s.plant("pg_wal/00000002.history", "1\t0/3000000\tno recovery target specified\n")
	h, err := s.History(2)
	require.NoError(t, err)
	require.Equal(t, "1\t0/3000000\n", h.String())
	for what, plant := range plantings(t, path) {
		require.NoError(t, os.RemoveAll(path))
		plant()
		_, err := s.History(2)
		require.ErrorIs(t, err, ErrNotRegular, what)
	}
	_, err = s.History(3)
	require.ErrorIs(t, err, fs.ErrNotExist)
	h, err = s.History(1)
	require.NoError(t, err)
	require.Empty(t, h.Ancestors)
}

func TestRealControlDamage(t *testing.T) {
	s := newPrimary(t)
	path := s.data("global/pg_control")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := append([]byte(nil), whole...)
	damaged[40] ^= 1
	for what, c := range map[string]struct {
		content []byte
		want    error
	}{
		"one bit":    {damaged, ErrControlCRC},
		"empty":      {nil, ErrControlUnreadable},
		"short":      {whole[:100], ErrControlUnreadable},
		"all zeroes": {make([]byte, len(whole)), ErrControlCRC},
		"whole":      {whole, nil},
	} {
		require.NoError(t, os.WriteFile(path, c.content, 0o600))
		_, err := s.Control(t.Context())
		require.ErrorIs(t, err, c.want, what)
	}
	require.NoError(t, os.Remove(path))
	_, err = s.Control(t.Context())
	require.ErrorIs(t, err, ErrControlUnreadable)
	require.NoError(t, os.Symlink(secret(t), path))
	_, err = s.Control(t.Context())
	require.ErrorIs(t, err, ErrControlUnreadable)
}
